"""Processes that a user's code forks."""

from __future__ import annotations

import time

import pytest
from command import Command
from pushed import INTEGER, record, records, schema, state

SCHEMA = schema("s", {"id": {"type": "integer"}, "n": INTEGER}, ["id"])
ROWS = [{"id": i, "n": i * 10} for i in range(1, 9)]
DATA = SCHEMA + records("s", ROWS) + state(1)

COMES_BACK = {
    "returns": "def s(df):\n    os.fork()\n    return df\n",
    "returns-in-child": "def s(df):\n    if os.fork() == 0:\n        return df.head(1)\n    os.wait()\n    return df\n",
    "raises": "def s(df):\n    if os.fork() == 0:\n        raise ValueError('child')\n    return df\n",
    "exits": "def s(df):\n    if os.fork() == 0:\n        sys.exit(0)\n    return df\n",
    "forgets-return": "def s(df):\n    if os.fork() == 0:\n        return None\n    return df\n",
    "rows": "def s(row):\n    if row['id'] == 3:\n        os.fork()\n    return row\n",
    "rows-raises": "def s(row):\n    if row['id'] == 3 and os.fork() == 0:\n        raise KeyError('x')\n    return row\n",
    "generator": "def s(df):\n    os.fork()\n    for row in df.to_dict('records'):\n        yield row\n",
    "lazily": "def s(df):\n    for row in df.to_dict('records'):\n        if row['id'] == 8:\n            os.fork()\n        yield row\n",
    "whole": "@transform(whole=True)\ndef s(df):\n    os.fork()\n    return df\n",
    "package": "def transform(package):\n    os.fork()\n    return package\n",
    "import": "os.fork()\ndef s(df):\n    return df\n",
    "import-raises": "if os.fork() == 0:\n    raise KeyboardInterrupt\ndef s(df):\n    return df\n",
    "twice": "def s(df):\n    os.fork()\n    os.fork()\n    return df\n",
}


@pytest.mark.parametrize("text", COMES_BACK.values(), ids=COMES_BACK)
def test_only_the_process_that_owns_the_stream_writes_it(command: Command, text: str) -> None:
    (command.cwd / "t.py").write_text("import os, sys\nfrom flow_singer import transform\n" + text)
    result = command.flow("transform", "t.py", "--reject", "bad.jsonl", stdin=DATA)
    assert result.code == 0, result.stderr
    assert [message["type"] for message in result.messages] == ["SCHEMA", *["RECORD"] * 8, "STATE", "STATE"]
    assert result.messages[-1]["_flow"]["end"] == "ok"
    assert "came back into Flow. It ends here, and its parent goes on" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (command.cwd / "bad.jsonl").exists() or not (command.cwd / "bad.jsonl").read_text()


ENDS_BY_ITSELF = {
    "os._exit": "def s(df):\n    if os.fork() == 0:\n        os._exit(0)\n    os.wait()\n    return df\n",
    "process": (
        "def s(df):\n    one = context.Process(target=print, args=('from the child',))\n"
        "    one.start()\n    one.join()\n    assert one.exitcode == 0\n    return df\n"
    ),
    "pool": (
        "def double(n):\n    return n * 2\n"
        "def s(df):\n    with context.Pool(2) as pool:\n"
        "        return df.assign(n=pool.map(double, [int(n / 2) for n in df['n']]))\n"
    ),
    "executor": (
        "def double(n):\n    return n * 2\n"
        "def s(df):\n    with ProcessPoolExecutor(2, mp_context=context) as pool:\n"
        "        return df.assign(n=list(pool.map(double, [int(n / 2) for n in df['n']])))\n"
    ),
    "subprocess": "def s(df):\n    subprocess.run(['echo', 'from the child'], check=True)\n    return df\n",
}


@pytest.mark.parametrize("text", ENDS_BY_ITSELF.values(), ids=ENDS_BY_ITSELF)
@pytest.mark.filterwarnings("ignore")
def test_children_that_do_not_come_back_are_left_alone(command: Command, text: str) -> None:
    head = (
        "import multiprocessing, os, subprocess\nfrom concurrent.futures import ProcessPoolExecutor\n"
        "from flow_singer import transform\ncontext = multiprocessing.get_context('fork')\n"
    )
    (command.cwd / "t.py").write_text(head + text)
    result = command.flow("transform", "t.py", "--plain", stdin=DATA)
    assert result.code == 0, result.stderr
    assert [m["record"] for m in result.messages if m["type"] == "RECORD"] == ROWS
    assert "came back" not in result.stderr
    assert "Traceback" not in result.stderr


def test_the_second_process_for_decoding_and_the_spool_outlive_a_forked_child(command: Command) -> None:
    text = (
        "import os\nfrom flow_singer import transform\nCALLS = []\n"
        "@transform(batch=True)\ndef s(df):\n    if os.fork() == 0:\n        return df\n    os.wait()\n    return df\n"
        "@transform('u', whole=True)\ndef u(df):\n    os.fork()\n    return df\n"
    )
    (command.cwd / "t.py").write_text(text)
    other = schema("u", {"id": {"type": "integer"}}, ["id"])
    block = b"".join(record("s", {"id": i, "n": i}) + record("u", {"id": i}) for i in range(30_000))
    result = command.flow(
        "transform", "t.py", "--plain", stdin=SCHEMA + other + block, env={"FLOW_PROCESSES": "2"}
    )
    assert result.code == 0, result.stderr
    found: dict[str, list[int]] = {"s": [], "u": []}
    for message in result.messages:
        if message["type"] == "RECORD":
            found[message["stream"]].append(message["record"]["id"])
    assert found == {"s": [*range(30_000)], "u": [*range(30_000)]}


def test_a_child_that_lives_on_does_not_hold_the_stream_open(command: Command) -> None:
    text = "import os, time\ndef s(df):\n    if os.fork() == 0:\n        time.sleep(8)\n        os._exit(0)\n    return df\n"
    (command.cwd / "t.py").write_text(text)
    (command.cwd / "in.singer").write_bytes(DATA)
    started = time.monotonic()
    # stderr is a file: a pipe of the test would be held open, too
    done = command.shell(
        "flow transform t.py --plain < in.singer 2> err | cat > out; date +%s%N", timeout_s=60
    )
    assert done.code == 0
    assert (command.cwd / "out").read_bytes().count(b"RECORD") == 8
    assert time.monotonic() - started < 8


def test_what_was_printed_before_a_fork_is_printed_once(command: Command) -> None:
    text = "import os\ndef s(df):\n    print('before')\n    if os.fork() == 0:\n        print('in the child')\n        return df\n    os.wait()\n    return df\n"
    (command.cwd / "t.py").write_text(text)
    one = SCHEMA + records("s", ROWS[:1])  # of one record the split check has nothing to see
    result = command.flow("transform", "t.py", "--plain", stdin=one)
    assert result.code == 0, result.stderr
    assert (result.stderr.count("before"), result.stderr.count("in the child")) == (1, 1)


def test_a_supervised_run_is_not_doubled_either(command: Command) -> None:
    (command.cwd / "t.py").write_text("import os\ndef users(df):\n    os.fork()\n    return df\n")
    result = command.flow("run", "tap-demo", "--select", "users.*", "--limit", "20", "t.py", "out/")
    assert result.code == 0, result.stderr
    assert len((command.cwd / "out" / "data" / "users.csv").read_text().splitlines()) == 21
    assert "came back into Flow" in result.stderr


@pytest.mark.parametrize("how", ["input()", "__import__('subprocess').run(['cat'])", "sys.stdin.read()"])
def test_a_function_cannot_take_messages_from_stdin(command: Command, how: str) -> None:
    text = f"import sys\ndef s(df):\n    try:\n        {how}\n    except EOFError:\n        pass\n    return df\n"
    (command.cwd / "t.py").write_text(text)
    result = command.flow("transform", "t.py", "--plain", "--batch-records", "2", stdin=DATA)
    assert result.code == 0, result.stderr
    assert len([m for m in result.messages if m["type"] == "RECORD"]) == 8
