"""`flow load` as the stage at the end of a pipe: what it accepts, what it keeps, how it ends."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Command, Result
from projects import write_project
from streams import bookmark, bookmarked_id, framed, ids, messages, plain

Flow = Callable[..., Result]


def project(root: Path, script: str = "durable.py", **config: Any) -> Path:
    if script == "durable.py":
        config.setdefault("rows", str(root / "rows"))
    return write_project(root, targets={"target-x": {"script": script, "config": config}})


def test_l1_a_stream_cut_in_the_middle_is_incomplete(tmp_path: Path, shell: Flow) -> None:
    project(tmp_path)
    (tmp_path / "stream").write_bytes(framed(messages(100)))
    size = (tmp_path / "stream").stat().st_size
    result = shell(f"head -c {size // 2} stream | flow load target-x")
    assert result.code == 75, result.stderr
    assert "The stream is incomplete: it has a beginning but no end" in result.stderr
    held = ids(tmp_path / "rows")
    assert 0 < bookmarked_id(tmp_path) <= len(held) < 100


def test_l1_a_stream_cut_between_two_lines_is_incomplete(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("load", "target-x", stdin=framed(messages(3), end=False))
    assert result.code == 75
    assert bookmarked_id(tmp_path) == 3


def test_l1_a_stream_that_lost_a_line_on_the_way_is_incomplete(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    lines = framed(messages(3)).split(b"\n")
    del lines[3]
    result = flow("load", "target-x", stdin=b"\n".join(lines))
    assert result.code == 75
    assert "8 lines were sent, 7 arrived" in result.stderr or "7 lines were sent, 6 arrived" in result.stderr


def test_l1_a_stream_whose_tap_failed_is_incomplete_and_says_why(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("load", "target-x", stdin=framed(messages(3), ok=False))
    assert result.code == 75
    assert "The stream is incomplete: tap-x exited with code 3." in result.stderr
    assert bookmarked_id(tmp_path) == 3


def test_l1_a_line_behind_the_end_mark_is_an_error(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("load", "target-x", stdin=framed(messages(3)) + b'{"type":"REC')
    assert result.code == 65


@pytest.mark.parametrize("earlier", [True, False], ids=["over a good package", "new"])
def test_l2_a_dying_tap_leaves_the_package_untouched(tmp_path: Path, shell: Flow, earlier: bool) -> None:
    stream = plain(messages(50)).decode()
    good = {"stdout": stream}
    dying = {"stdout": stream, "signal": "SIGKILL"}
    entries = {
        name: {"script": "says.py", "config": config}
        for name, config in {"tap-good": good, "tap-dying": dying}.items()
    }
    write_project(tmp_path, taps=entries)
    (tmp_path / "t.py").write_text("def s(df):\n    return df\n")
    if earlier:
        assert shell("flow run tap-good | flow load d/").code == 0
    before = _tree(tmp_path / "d")
    result = shell("flow run tap-dying | flow transform t.py | flow load d/")
    assert result.code == 75, result.stderr
    assert _tree(tmp_path / "d") == before
    assert (before != {}) == earlier


def _tree(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        str(file.relative_to(folder)): (file.stat().st_mtime_ns, file.read_bytes())
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_l3_no_input_at_all_is_incomplete(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("load", "target-x", stdin=b"")
    assert result.code == 75
    assert "Nothing came on stdin" in result.stderr
    assert "--allow-empty" in result.stderr


def test_l3_no_input_is_fine_where_it_is_allowed(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("load", "target-x", "--allow-empty", stdin=b"")
    assert result.code == 0, result.stderr
    assert bookmark(tmp_path) is None


def test_l4_a_stream_without_marks_is_loaded_with_a_warning(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("load", "target-x", "--state-id", "mine", stdin=plain(messages(3)))
    assert result.code == 0, result.stderr
    assert "This stream bears no marks" in result.stderr
    assert ids(tmp_path / "rows") == [1, 2, 3]
    assert bookmarked_id(tmp_path, "mine") == 3


def test_l4_a_stream_without_marks_is_refused_where_proof_is_asked_for(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("load", "target-x", "--require-end", stdin=plain(messages(3)))
    assert result.code == 75
    assert "nobody can tell whether it is complete" in result.stderr


def test_l4_a_stream_without_marks_keeps_no_bookmark_without_a_name(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("load", "target-x", stdin=plain(messages(3)))
    assert result.code == 0
    assert "Name one with --state-id" in result.stderr
    assert not (tmp_path / ".meltano" / "meltano.db").exists()


def test_l5_a_target_sees_the_messages_of_the_tap_and_nothing_else(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, raw=str(tmp_path / "raw"))
    odd = b'{"value":{"b":1.10, "a":"\\u00e9"},"type":"STATE"}'
    sent = [*messages(3), b'{"type":"ACTIVATE_VERSION","stream":"s","version":1}', odd]
    result = flow("load", "target-x", stdin=framed(sent))
    assert result.code == 0, result.stderr
    assert (tmp_path / "raw").read_bytes() == plain(sent)


@pytest.mark.parametrize("first", ["STATE", "SCHEMA"])
def test_l5_no_mark_reaches_a_target_whatever_bears_it(tmp_path: Path, flow: Flow, first: str) -> None:
    project(tmp_path, raw=str(tmp_path / "raw"))
    schema, record, state = messages(1)
    sent = [state, schema, record] if first == "STATE" else [schema, record]
    result = flow("load", "target-x", stdin=framed(sent))
    assert result.code == 0, result.stderr
    told_again = [state] if first == "STATE" else []
    assert (tmp_path / "raw").read_bytes() == plain(sent + told_again)


def test_l6_a_failed_target_is_named_with_its_code_and_its_last_words(tmp_path: Path, flow: Flow) -> None:
    project(
        tmp_path, "ends.py", lines=3, stdout='{"bookmarks":{"s":{"id":1}}}\n', stderr="why\nboom\n", exit=3
    )
    result = flow("load", "target-x", stdin=framed(messages(2_000, width=1_000)))
    assert result.code == 70
    assert result.stderr.count("Error:") == 1
    assert 'Error: target-x exited with code 3. Its last line was: "boom"' in result.stderr
    assert bookmark(tmp_path) == {"bookmarks": {"s": {"id": 1}}}


def test_l6_the_tap_is_stopped_where_the_target_failed(tmp_path: Path, shell: Flow) -> None:
    write_project(
        tmp_path,
        taps={"tap-x": {"script": "endless.py"}},
        targets={"target-x": {"script": "ends.py", "config": {"lines": 3, "exit": 3}}},
    )
    result = shell("flow run tap-x | flow load target-x; echo ${PIPESTATUS[@]}")
    assert result.stdout == b"141 70\n"


def test_l7_a_target_that_ends_with_0_before_its_input_does_has_failed(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, "ends.py", lines=3, stdout='{"bookmarks":{"s":{"id":1}}}\n')
    result = flow("load", "target-x", stdin=framed(messages(2_000, width=1_000)))
    assert result.code == 70
    assert "target-x ended with code 0 before its input did" in result.stderr
    assert bookmarked_id(tmp_path) == 1


@pytest.mark.parametrize("lines", [0, 1, 5])
def test_l7_a_target_that_leaves_something_unread_has_failed_however_little(
    tmp_path: Path, flow: Flow, lines: int
) -> None:
    project(tmp_path, "ends.py", lines=lines)
    result = flow("load", "target-x", stdin=framed(messages(3)))
    assert result.code == 70
    assert "before its input did" in result.stderr


def test_l7_a_target_that_ends_while_nothing_comes_has_failed_at_once(
    tmp_path: Path, command: Command
) -> None:
    project(tmp_path, "ends.py", lines=2)
    load = command.start("load", "target-x", stdin=subprocess.PIPE)
    assert load.stdin is not None
    load.stdin.write(plain(messages(1)))
    load.stdin.flush()
    assert load.wait(90) == 70  # its stdin is still open
    load.communicate()


def test_l8_a_megabyte_of_states_does_not_block(tmp_path: Path, flow: Flow) -> None:
    state = '{"bookmarks":{"s":{"id":{n},"padding":"%s"}}}' % ("x" * 200)
    project(tmp_path, "floods.py", to=1, size=1_000_000, line=state)
    result = flow("load", "target-x", stdin=framed(messages(3, width=300_000)))
    assert result.code == 0, result.stderr
    assert bookmarked_id(tmp_path) >= 3 * 1_000_000 // 260


NOISE = 'INFO done\n{}\nnull\n{"bookmarks":\n[1]\n"text"\n7\n'


def test_l9_what_is_no_state_never_becomes_the_bookmark(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, "ends.py", stdout=NOISE + '{"bookmarks":{"s":{"id":1}}}\n' + NOISE)
    result = flow("load", "target-x", stdin=framed(messages(3)))
    assert result.code == 0, result.stderr
    assert bookmarked_id(tmp_path) == 1
    assert "target-x: INFO done" in result.stderr


def test_l9_a_run_of_noise_alone_leaves_the_bookmark_as_it_is(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    assert flow("load", "target-x", stdin=framed(messages(3))).code == 0
    project(tmp_path, "ends.py", stdout=NOISE)
    result = flow("load", "target-x", stdin=framed(messages(3)))
    assert result.code == 0
    assert bookmarked_id(tmp_path) == 3
    assert "saved" not in result.stderr


@pytest.mark.parametrize("backend", ["systemdb", "file"])
def test_l9_a_bookmark_is_whole_under_kill_9_at_any_moment(
    tmp_path: Path, command: Command, backend: str
) -> None:
    state = '{"bookmarks":{"s":{"id":{n},"padding":"%s","end":true}}}' % ("x" * 5_000)
    folder = tmp_path / "state"
    entries = (
        {"state_backend": {"uri": f"file://{folder}", "lock_timeout_seconds": 0.2}}
        if backend == "file"
        else {}
    )
    config = {"to": 1, "size": 3_000_000, "line": state}
    write_project(tmp_path, targets={"target-x": {"script": "floods.py", "config": config}}, **entries)
    seen = 0
    for attempt in range(6):
        load = command.start("load", "target-x", stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert load.stdin is not None
        load.stdin.write(framed(messages(1)))
        load.stdin.flush()
        while (newest := _stored(tmp_path, backend)) is None or newest["at"] == seen:
            assert load.poll() is None
        for _ in range(attempt * 40):  # another moment each time
            os.stat(tmp_path)
        load.kill()
        load.wait()
        load.communicate()
        value = _stored(tmp_path, backend)
        assert value is not None
        assert value["state"]["end"] is True
        seen = value["at"]


def _stored(root: Path, backend: str) -> dict[str, Any] | None:
    """The bookmark as a stranger reads it, and when it was written."""
    if backend == "file":
        file = root / "state" / "tap-x-to-target-x" / "state.json"
        try:
            text, at = file.read_text(), file.stat().st_mtime_ns
        except FileNotFoundError:
            return None
        document = json.loads(text)["completed"]
    else:
        try:
            database = sqlite3.connect(
                f"file:{root / '.meltano' / 'meltano.db'}?mode=ro", uri=True, timeout=10
            )
            row = database.execute("SELECT completed_state, updated_at FROM state").fetchone()
            database.close()
        except sqlite3.OperationalError:
            return None
        if row is None:
            return None
        document, at = json.loads(row[0]), row[1]
    return {"state": document["singer_state"]["bookmarks"]["s"], "at": at}


@pytest.mark.parametrize("ending", ["", "\n"], ids=["without newline", "with newline"])
@pytest.mark.parametrize("code", [0, 3])
def test_l10_the_state_printed_right_before_the_end_is_kept(
    tmp_path: Path, flow: Flow, ending: str, code: int
) -> None:
    printed = '{"bookmarks":{"s":{"id":1}}}\n{"bookmarks":{"s":{"id":2}}}' + ending
    project(tmp_path, "ends.py", stdout=printed, exit=code)
    result = flow("load", "target-x", stdin=framed(messages(3)))
    assert result.code == (70 if code else 0)
    assert bookmarked_id(tmp_path) == 2


def test_l10_the_newest_of_many_states_is_durable_before_the_end(tmp_path: Path, flow: Flow) -> None:
    states = "".join(f'{{"bookmarks":{{"s":{{"id":{number}}}}}}}\n' for number in range(1, 30_001))
    (tmp_path / "config.json").write_text(json.dumps({"stdout": states}))
    project(tmp_path, "ends.py")
    result = flow("load", "target-x", "--config", "config.json", stdin=framed(messages(3)))
    assert result.code == 0, result.stderr
    assert bookmarked_id(tmp_path) == 30_000


def test_l10_a_process_that_the_target_left_behind_does_not_hold_the_run(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, "leaves_grandchild.py")
    assert flow("load", "target-x", stdin=framed(messages(1)), timeout_s=40).code == 0
    assert bookmarked_id(tmp_path) == 1


def test_l11_a_package_appears_whole_and_is_replaced_whole(tmp_path: Path, flow: Flow) -> None:
    package = tmp_path / "d"
    streams = messages(20, stream="a") + messages(30, stream="b")
    assert flow("load", f"{package}/", stdin=framed(streams)).code == 0
    assert _row_counts(package) == {"a": 20, "b": 30}
    result = flow("load", f"{package}/", stdin=framed(messages(7, stream="a")))
    assert result.code == 0, result.stderr
    assert _row_counts(package) == {"a": 7}
    assert sorted(file.name for file in tmp_path.iterdir() if file.name.startswith((".d", "d"))) == ["d"]
    assert not [file for file in package.rglob("*") if "b" in file.stem.split(".")]


def _row_counts(package: Path) -> dict[str, int]:
    descriptor = json.loads((package / "datapackage.json").read_text())
    counts = {}
    for resource in descriptor["resources"]:
        files = resource["path"] if isinstance(resource["path"], list) else [resource["path"]]
        lines = sum((package / file).read_bytes().count(b"\n") - 1 for file in files)
        assert resource["rows"] == lines
        counts[resource["name"]] = lines
    return counts


def test_l11_nothing_is_seen_of_a_package_before_it_is_complete(tmp_path: Path, command: Command) -> None:
    load = command.start("load", f"{tmp_path / 'd'}/", stdin=subprocess.PIPE)
    assert load.stdin is not None
    stream = framed(messages(20_000, every=20_000, width=100))
    load.stdin.write(stream[:-200])
    load.stdin.flush()
    assert not (tmp_path / "d" / "datapackage.json").exists()
    load.kill()
    load.communicate()
    assert not (tmp_path / "d").exists()


def test_l12_csv_columns_are_those_of_every_schema(tmp_path: Path, flow: Flow) -> None:
    def schema(*names: str) -> dict[str, Any]:
        properties = {name: {"type": ["null", "integer"]} for name in names}
        return {
            "type": "SCHEMA",
            "stream": "s",
            "schema": {"properties": properties},
            "key_properties": ["id"],
        }

    def record(**values: int) -> dict[str, Any]:
        return {"type": "RECORD", "stream": "s", "record": values}

    lines = [
        schema("id", "b", "a"),
        record(id=1),
        record(a=2, id=2),
        schema("id", "b", "a", "c"),
        record(id=3, c=3, b=3),
        record(id=1, a=9),
    ]
    result = flow("load", "d/", stdin=framed([json.dumps(line).encode() for line in lines]))
    assert result.code == 0, result.stderr
    text = (tmp_path / "d" / _path(tmp_path / "d")).read_bytes().decode()
    header, *rows = text.replace("\r\n", "\n").splitlines()
    assert header == "id,b,a,c"
    assert sorted(rows) == ["1,,9,", "2,,2,", "3,3,,3"]


def _path(package: Path) -> str:
    path = json.loads((package / "datapackage.json").read_text())["resources"][0]["path"]
    return str(path[0] if isinstance(path, list) else path)


SDK_TARGET = """
import pathlib
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.sinks import BatchSink


class Sink(BatchSink):
    def process_batch(self, context):
        with open(self.config["rows"], "a") as rows:
            rows.writelines(f"{record['id']}\\n" for record in context["records"])


class SdkTarget(Target):
    name = "target-sdk"
    config_jsonschema = th.PropertiesList(
        th.Property("rows", th.StringType), th.Property("batch_size_rows", th.IntegerType)
    ).to_dict()
    default_sink_class = Sink


SdkTarget.cli()
"""


def _sdk_target(root: Path) -> None:
    (root / "target.py").write_text(SDK_TARGET)
    runner = root / "target-sdk"
    runner.write_text(f'#!/bin/sh\nexec {sys.executable} {root / "target.py"} "$@"\n')
    runner.chmod(0o755)
    entry = {"executable": str(runner), "config": {"rows": str(root / "rows"), "batch_size_rows": 4}}
    write_project(root, targets={"target-x": entry})


def test_l13_an_aborted_sdk_target_keeps_nothing_of_the_unfinished_batch(tmp_path: Path, flow: Flow) -> None:
    _sdk_target(tmp_path)
    stream = framed(messages(10, every=2), end=False)
    result = flow("load", "target-x", "--on-incomplete", "abort", stdin=stream)
    assert result.code == 75, result.stderr
    rows = (tmp_path / "rows").read_text().split() if (tmp_path / "rows").exists() else []
    assert rows == [str(number) for number in range(1, 9)]
    value = bookmark(tmp_path)
    assert value is None or value["bookmarks"]["s"]["id"] <= 8


def test_l13_by_default_an_sdk_target_keeps_what_came(tmp_path: Path, flow: Flow) -> None:
    _sdk_target(tmp_path)
    result = flow("load", "target-x", stdin=framed(messages(10, every=2), end=False))
    assert result.code == 75, result.stderr
    assert (tmp_path / "rows").read_text().split() == [str(number) for number in range(1, 11)]
    assert bookmarked_id(tmp_path) == 10


def test_l13_a_state_printed_after_the_abort_does_not_count(tmp_path: Path, flow: Flow) -> None:
    tell = tmp_path / "tell"
    os.mkfifo(tell)
    project(tmp_path, "late_state.py", tell=str(tell))
    reader = threading.Thread(target=tell.read_text, daemon=True)
    reader.start()
    stream = framed(messages(3), end=False)
    result = flow("load", "target-x", "--on-incomplete", "abort", stdin=stream)
    reader.join(90)
    assert result.code == 75
    assert bookmark(tmp_path) is None


FORGETFUL_TARGET = """
import json, sys
state = None
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "RECORD":
        state = None
    elif message["type"] == "STATE":
        state = message["value"]
if state is not None:
    print(json.dumps(state))
"""


def test_l14_a_target_that_forgets_its_state_at_a_later_record_is_told_once_more(
    tmp_path: Path, flow: Flow
) -> None:
    """As singer-io/target-csv 0.3 does: a STATE is printed at the end only where no RECORD came after it."""
    (tmp_path / "target.py").write_text(FORGETFUL_TARGET)
    runner = tmp_path / "run-target"
    runner.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path / "target.py"} "$@"\n')
    runner.chmod(0o755)
    write_project(tmp_path, targets={"target-x": {"executable": str(runner)}})
    sent = [*messages(2), messages(1, first=3, every=9)[1]]
    assert json.loads(sent[-1])["type"] == "RECORD"
    result = flow("load", "target-x", stdin=framed(sent))
    assert result.code == 0, result.stderr
    assert bookmarked_id(tmp_path) == 2


def test_a_package_is_loaded_without_pandas(command: Command) -> None:
    program = (sys.executable, "-X", "importtime", "-m", "flow_singer")
    result = command.flow("load", "out/", stdin=framed(messages(3)), program=program)
    assert result.code == 0, result.stderr
    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert "pyarrow" in imported
    assert "pandas.core.api" not in imported


def test_a_reason_that_is_a_sentence_gets_no_second_full_stop(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    stream = framed(messages(3), ok=False).replace(b"exited with code 3", b"exited with code 3.")
    result = flow("load", "target-x", stdin=stream)
    assert result.code == 75
    assert "Error: The stream is incomplete: tap-x exited with code 3.\n" in result.stderr
