"""Streams that are dropped on purpose, and functions that forgot to return."""

from __future__ import annotations

import copy
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Command, Result
from projects import write_project
from pushed import INTEGER, functions_of, push, record, records, schema, state

import flow_singer
from flow_singer.errors import TransformError
from flow_singer.transforms.drops import ForgottenReturnError, never_returns

Flow = Callable[..., Result]

SCHEMA = schema("s", {"id": {"type": "integer"}, "n": INTEGER}, ["id"])
OTHER = schema("u", {"id": {"type": "integer"}}, ["id"])
ROWS = [{"id": i, "n": i * 10} for i in range(1, 7)]

FORGOTTEN = {
    "batch": "def s(df):\n    df['n'] = 1\n",
    "batch-none": "def s(df):\n    return None\n",
    "later-batch": "@transform(batch=True)\ndef s(df):\n    if df['id'].max() < 5:\n        return df\n",
    "some-batches": "@transform(batch=True)\ndef s(df):\n    return None if df['id'].max() < 5 else df\n",
    "pair": "def s(df):\n    return None, {'fields': [{'name': 'id', 'type': 'integer'}]}\n",
    "fan-out": "def s(df):\n    return {'s': df, 'more': None}\n",
    "columns": "@transform(columns=['n'])\ndef s(df):\n    pass\n",
    "rows": "def s(row):\n    row['n'] = 1\n",
    "rows-branches": "def s(row):\n    if row['n'] > 3:\n        return\n    row['n'] = 1\n    return None\n",
    "whole": "@transform(whole=True)\ndef s(df):\n    df.sort_values('id')\n",
    "whole-of-two": "@transform('s', 'u', whole=True)\ndef both(s, u):\n    s.merge(u, on='id')\n",
    "package": "def transform(package):\n    package['s'] = package['s'].head(1)\n",
    "package-value": "def transform(package):\n    return {**package, 's': None}\n",
}


@pytest.mark.parametrize("text", FORGOTTEN.values(), ids=FORGOTTEN)
@pytest.mark.parametrize("reject", [False, True])
def test_none_is_taken_for_a_forgotten_return(tmp_path: Path, text: str, reject: bool) -> None:
    data = SCHEMA + OTHER + records("s", ROWS) + record("u", {"id": 1}) + state(1)
    with pytest.raises(TransformError, match="returned None") as raised:
        push(functions_of(text, tmp_path), data, batch_records=2, reject=reject)
    assert "return" in (raised.value.hint or "")
    assert "flow_singer.DROP" in (raised.value.hint or "")


@pytest.mark.parametrize("text", [FORGOTTEN["batch"], FORGOTTEN["rows"], FORGOTTEN["whole"]])
def test_a_forgotten_return_is_found_without_any_record(tmp_path: Path, text: str) -> None:
    with pytest.raises(TransformError, match=r"t\.py:\d, function 's' returned None for stream 's'"):
        push(functions_of(text, tmp_path), SCHEMA)


def test_a_forgotten_return_is_no_reject(tmp_path: Path) -> None:
    text = "@transform(batch=True)\ndef s(df):\n    return df if (df['id'] != 4).all() else None\n"
    functions = functions_of(text, tmp_path)
    with pytest.raises(TransformError, match=r"returned None for stream 's'\. At input lines 2 to 7\."):
        push(functions, SCHEMA + records("s", ROWS), reject=True)


MEANT = {
    "batch": "def s(df):\n    return DROP\n",
    "declared": "@transform(drop=True)\ndef s(df):\n    pass\n",
    "pair": "def s(df):\n    return DROP, {'fields': []}\n",
    "rows": "def s(row):\n    return DROP\n",
    "rows-declared": "@transform(rows=True, drop=True)\ndef s(row):\n    pass\n",
    "whole": "@transform(whole=True)\ndef s(df):\n    return DROP\n",
    "whole-declared": "@transform(whole=True, drop=True)\ndef s(df):\n    pass\n",
    "taken-out": "def transform(package):\n    del package['s']\n    return package\n",
    "package-value": "def transform(package):\n    package['s'] = DROP\n    return package\n",
    "package-none": "@transform(drop=True)\ndef s(df):\n    return {'s': None}\n",
}


@pytest.mark.parametrize("text", MEANT.values(), ids=MEANT)
def test_a_stream_that_is_dropped_leaves_nothing_and_is_told(tmp_path: Path, text: str) -> None:
    functions = functions_of("from flow_singer import DROP\n" + text, tmp_path)
    data = [SCHEMA, OTHER, records("s", ROWS), record("u", {"id": 1}), state(1)]
    out = push(functions, data, batch_records=4)
    assert not [message for message in out.messages if message.get("stream") == "s"]
    assert out.records("u") == [{"id": 1}]
    assert out.messages[-1] == {"type": "STATE", "value": 1}
    assert len(out.notices) == 1
    assert out.notices[0].startswith("Stream 's': 6 records dropped by t.py:")


@pytest.mark.parametrize("text", [MEANT["batch"], MEANT["declared"], MEANT["rows-declared"], MEANT["whole"]])
def test_a_stream_without_records_is_dropped_likewise(tmp_path: Path, text: str) -> None:
    out = push(functions_of("from flow_singer import DROP\n" + text, tmp_path), SCHEMA)
    assert out.messages == []


def test_one_batch_may_be_dropped_by_name(tmp_path: Path) -> None:
    text = "import flow_singer\n@transform(batch=True)\ndef s(df):\n    return df if df['id'].max() > 2 else flow_singer.DROP\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", ROWS), batch_records=2)
    assert [row["id"] for row in out.records("s")] == [3, 4, 5, 6]
    assert out.notices == ["Stream 's': 2 records dropped by t.py:4, function 's'."]


def test_a_stream_of_a_fan_out_may_be_dropped_by_name(tmp_path: Path) -> None:
    text = "from flow_singer import DROP\ndef s(df):\n    return {'s': df, 'more': DROP}\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", ROWS))
    assert out.records("s") == ROWS
    assert not out.of("SCHEMA", "more")
    assert out.notices == ["Stream 'more': 6 records dropped by t.py:4, function 's'."]


@pytest.mark.parametrize(
    "body",
    [
        "if row['n'] > 20:\n        return row",
        "return row if row['n'] > 20 else None",
        "return None if row['n'] <= 20 else row",
        "return [row] if row['n'] > 20 else []",
        "if row['n'] > 20:\n        yield row",
        "from flow_singer import DROP; return row if row['n'] > 20 else DROP",
    ],
)
def test_none_drops_one_record_of_a_row_function(tmp_path: Path, body: str) -> None:
    out = push(functions_of(f"def s(row):\n    {body}\n", tmp_path), SCHEMA + records("s", ROWS))
    assert [row["id"] for row in out.records("s")] == [3, 4, 5, 6]


def test_a_row_function_that_keeps_nothing_leaves_an_empty_stream_and_says_so(tmp_path: Path) -> None:
    text = "def s(row):\n    if row['n'] > 1000:\n        return row\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", ROWS), batch_records=4)
    assert out.messages == [json.loads(SCHEMA)]
    assert out.notices == ["Stream 's': 6 records dropped by t.py:3, function 's'."]


def test_a_row_function_that_keeps_nothing_and_renames_the_key_is_told_of(tmp_path: Path) -> None:
    text = "@transform(key=['number'], rows=True)\ndef s(row):\n    if row['n'] > 1000:\n        return {'number': 1}\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", ROWS))
    assert out.messages == []
    assert "no SCHEMA is written" in out.notices[0]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("pass", True),
        ("return", True),
        ("return None", True),
        ("row['a'] = 1", True),
        ("with open('f') as f:\n        f.write('x')", True),
        ("return row", False),
        ("return row or None", False),
        ("return row if row else None", False),
        ("return None if row else row", False),
        ("return 1", False),
        ("yield row", False),
        ("raise ValueError", False),
        ("with open('f') as f:\n        return row", False),
        ("try:\n        return row\n    finally:\n        pass", False),
        ("def inner():\n        return 1\n    inner()", True),
    ],
)
def test_whether_a_function_returns_is_read_off_its_code(body: str, expected: bool) -> None:
    names: dict[str, Callable[..., object]] = {}
    exec(f"def s(row):\n    {body}\n", names)
    assert never_returns(names["s"]) is expected


def test_what_is_no_python_function_is_not_judged() -> None:
    assert not never_returns(print)
    assert not never_returns(dict)


def test_drop_is_one_value_that_says_its_name() -> None:
    drop = flow_singer.DROP
    assert repr(drop) == str(drop) == "flow_singer.DROP"
    assert copy.deepcopy(drop) is drop
    assert pickle.loads(pickle.dumps(drop)) is drop


def test_drop_is_imported_without_pandas() -> None:
    code = "import sys; from flow_singer import DROP; sys.exit('pandas' in sys.modules or 'click' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_forgotten_return_is_a_transform_error() -> None:
    assert issubclass(ForgottenReturnError, TransformError)


def test_a_package_keeps_its_stream_when_a_return_is_forgotten(command: Command) -> None:
    tap = {"script": "says.py", "config": {"stdout": (SCHEMA + records("s", ROWS)).decode()}}
    write_project(command.cwd, taps={"tap-x": tap})
    assert command.flow("run", "tap-x", "out/").code == 0
    before = (command.cwd / "out" / "data" / "s.csv").read_bytes()
    (command.cwd / "t.py").write_text(FORGOTTEN["batch"])
    result = command.flow("run", "tap-x", "t.py", "out/")
    assert result.code == 65
    assert "t.py:1, function 's' returned None for stream 's'" in result.stderr
    assert "Traceback" not in result.stderr
    assert (command.cwd / "out" / "data" / "s.csv").read_bytes() == before
