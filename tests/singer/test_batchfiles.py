"""BATCH messages: what is read, what must not be, and how each fault of a file is told."""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import Command, Result
from projects import write_project
from pushed import functions_of, line, push, records, schema, state
from streams import framed

from flow_singer.errors import MessageError
from flow_singer.singer.batchfiles import read_batch
from flow_singer.singer.batchpaths import BATCH_PATHS_VARIABLE, BatchPaths

SCHEMA = schema("s", {"id": {"type": "integer"}}, ["id"])
GOOD = b'{"id": 1}\n{"id": 2}\n'
JSONL: dict[str, Any] = {"format": "jsonl"}
GZIP: dict[str, Any] = {"format": "jsonl", "compression": "gzip"}


def batch(**words: Any) -> bytes:
    return line({"type": "BATCH", "stream": "s", **words})


def sdk(path: Path, encoding: Any = JSONL) -> bytes:
    return batch(encoding=encoding, manifest=[path.as_uri()])


def parquet(path: Path) -> bytes:
    pq.write_table(pa.table({"id": [1, 2]}), path)
    return path.read_bytes()


Case = Callable[[Path], tuple[bytes, str]]
"""Makes what a message names, and gives the message and what is said of it."""


def file_case(content: bytes, encoding: dict[str, Any], reason: str) -> Case:
    def make(folder: Path) -> tuple[bytes, str]:
        path = folder / "part"
        path.write_bytes(content)
        return sdk(path, encoding), f"{re.escape(str(path))}.*{reason}"

    return make


def message_case(reason: str, **words: Any) -> Case:
    return lambda folder: (batch(**words), reason)


def named_case(name: str, reason: str) -> Case:
    def make(folder: Path) -> tuple[bytes, str]:
        (folder / "folder").mkdir()
        os.mkfifo(folder / "fifo")
        (folder / "circle").symlink_to("circle")
        return batch(encoding=JSONL, manifest=[name.replace("HERE", str(folder))]), reason

    return make


def half_parquet(folder: Path) -> tuple[bytes, str]:
    path = folder / "part"
    path.write_bytes(parquet(path)[:-9])
    return sdk(path, {"format": "parquet"}), "it is no Parquet file that can be read"


def damaged_parquet(folder: Path) -> tuple[bytes, str]:
    path = folder / "part"
    data = bytearray(parquet(path))
    data[4:40] = bytes(36)
    path.write_bytes(data)
    return sdk(path, {"format": "parquet"}), "it is no Parquet file that can be read"


CASES: dict[str, Case] = {
    "no gzip": file_case(GOOD, GZIP, "it is no whole gzip file"),
    "half gzip": file_case(gzip.compress(GOOD * 9999)[:-30], GZIP, "it is no whole gzip file"),
    "damaged gzip": file_case(gzip.compress(GOOD)[:12] + b"\xff" * 20, GZIP, "it is no whole gzip file"),
    "gzip of a wrong sum": file_case(gzip.compress(GOOD)[:-8] + bytes(8), GZIP, "it is no whole gzip file"),
    "empty gzip": file_case(b"", GZIP, "it is no whole gzip file"),
    "no Parquet": file_case(GOOD, {"format": "parquet"}, "it is no Parquet file"),
    "empty Parquet": file_case(b"", {"format": "parquet"}, "it is no Parquet file"),
    "half Parquet": half_parquet,
    "damaged Parquet": damaged_parquet,
    "no Arrow": file_case(GOOD, {"format": "arrow"}, "it is no Arrow stream"),
    "half Arrow file": file_case(b"ARROW1\0\0xx", {"format": "arrow"}, "it is no Arrow stream"),
    "empty Arrow": file_case(b"", {"format": "arrow"}, "it is no Arrow stream"),
    "bad line": file_case(GOOD + b"{oops\n", JSONL, "line 3"),
    "half line": file_case(GOOD + b'{"id": 3', JSONL, "line 3"),
    "two records on a line": file_case(b'{"id": 1} {"id": 2}\n', JSONL, "line 1"),
    "a record that closes the message": file_case(b'{"id": 1},"version":{"a":1}\n', JSONL, "line 1"),
    "no object": file_case(b"\n[1]\n", JSONL, "line 2 .not a JSON object."),
    "not UTF-8": file_case(b'{"id": 1, "t": "\xff"}\n', JSONL, "line 1"),
    "UTF-16": file_case(GOOD.decode().encode("utf-16"), JSONL, "line 1"),
    "deep nesting": file_case(b'{"id": ' + b"[" * 99_999 + b"\n", JSONL, "line 1"),
    "binary": file_case(bytes(range(256)) * 9, JSONL, "line 1"),
    "gzip where none is said": file_case(gzip.compress(GOOD), JSONL, "line 1"),
    "manifest null": message_case("the manifest null", encoding=JSONL, manifest=None),
    "manifest a text": message_case('the manifest "x"', encoding=JSONL, manifest="x"),
    "manifest an object": message_case("the manifest {", encoding=JSONL, manifest={"a": 1}),
    "manifest of numbers": message_case(r"the manifest \[1\]", encoding=JSONL, manifest=[1]),
    "neither manifest nor filepath": message_case("neither", encoding=JSONL),
    "encoding a text": message_case('the encoding "jsonl"', encoding="jsonl", manifest=[]),
    "encoding null": message_case("the encoding null", encoding=None, manifest=[]),
    "encoding a list": message_case("the encoding .1.", encoding=[1], manifest=[]),
    "no encoding": message_case("the encoding null", manifest=[]),
    "format unknown": message_case('format "avro"', encoding={"format": "avro"}, manifest=[]),
    "format a list": message_case(r"format \[", encoding={"format": ["jsonl"]}, manifest=[]),
    "compression unknown": message_case(
        'compression "zip"', encoding={**JSONL, "compression": "zip"}, manifest=[]
    ),
    "compression an object": message_case(
        "compression {", encoding={**JSONL, "compression": {}}, manifest=[]
    ),
    "filepath null": message_case("the filepath null", filepath=None, format="jsonl"),
    "filepath of CSV": message_case('format "csv"', filepath="x", format="csv"),
    "missing": named_case("file://HERE/gone", "a missing file: .*gone"),
    "a folder": named_case("file://HERE/folder", "it is a directory"),
    "a pipe": named_case("file://HERE/fifo", "it is no regular file"),
    "a link to itself": named_case("file://HERE/circle", "missing|symbolic links"),
    "a path through a file": named_case("HERE/folder/../fifo/x", "missing|Not a directory"),
    "a NUL byte": named_case("file://HERE/a%00b", "null byte"),
    "a name too long": named_case("HERE/" + "x" * 5000, "too long"),
    "another host": named_case("file://server/HERE/x", 'the host "server"'),
    "S3": named_case("s3://bucket/x", "s3://"),
    "nothing": named_case("", "directory|missing"),
}


@pytest.mark.parametrize("reject", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_what_is_wrong_is_told_with_line_stream_file_and_reason(
    tmp_path: Path, name: str, reject: bool
) -> None:
    message, reason = CASES[name](tmp_path)
    functions = functions_of("def s(df):\n    return df\n", tmp_path)
    lines = [SCHEMA, message, state(1)]
    expected = re.compile(f"^Line 2: the BATCH of stream 's' .*({reason})")
    if not reject:
        with pytest.raises(MessageError, match=expected):
            push(functions, lines)
        return
    out = push(functions, lines, reject=True)
    assert {(number, stream) for number, stream, _, _ in out.rejects} == {(2, "s")}
    assert expected.match(out.rejects[0][3].message)
    assert {"type": "STATE", "value": 1} in out.messages


def test_a_file_that_ends_midway_is_set_aside_with_all_of_its_batch(tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(gzip.compress(GOOD))
    (tmp_path / "half").write_bytes(gzip.compress(GOOD * 50_000)[:-30])
    urls = [(tmp_path / name).as_uri() for name in ("first", "half")]
    message = batch(encoding=GZIP, manifest=urls)
    functions = functions_of("def s(df):\n    return df\n", tmp_path)
    out = push(functions, [SCHEMA, message, records("s", [{"id": 7}])], reject=True)
    assert out.records("s") == [{"id": 7}]
    assert [text for _, _, text, _ in out.rejects] == [message.rstrip()]


@pytest.mark.parametrize("dialect", ["sdk", "pipelinewise"])
def test_bad_lines_of_a_file_are_set_aside_by_themselves(tmp_path: Path, dialect: str) -> None:
    good = [{"id": 1}, {"id": 2}, {"id": 3}]
    path = tmp_path / "part"
    if dialect == "sdk":
        bad = [b"{oops", b"[]"]
        lines = [*(line(one).rstrip() for one in good)]
        message = sdk(path)
    else:
        bad = [b"{oops", records("other", [{"id": 9}]).rstrip(), b"{}"]
        lines = [SCHEMA.rstrip(), *records("s", good).splitlines(), state(9).rstrip()]
        message = batch(filepath=str(path), format="jsonl")
    path.write_bytes(b"\n".join([lines[0], *bad, *lines[1:]]) + b"\n")
    functions = functions_of("def s(df):\n    return df\n", tmp_path)
    out = push(functions, [SCHEMA, message], reject=True)
    assert out.records("s") == good
    assert [text for _, _, text, _ in out.rejects] == bad
    with pytest.raises(MessageError, match=re.escape(f"{path}, line 2 (")):
        push(functions, [SCHEMA, message])


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("a b", "file://HERE/a%20b"),
        ("a%20b", "HERE/a%20b"),
        ("a#b?c", "file://HERE/a#b?c"),
        ("a%b", "file://HERE/a%b"),
        ("é", "file://HERE/%C3%A9"),
        ("x", "file://localhostHERE/x"),
        ("x", "FILE://HERE/x"),
        ("x", "file:HERE/x"),
    ],
)
def test_a_place_is_read_as_it_is_written(tmp_path: Path, name: str, url: str) -> None:
    (tmp_path / name).write_bytes(GOOD)
    message = batch(encoding=JSONL, manifest=[url.replace("HERE", str(tmp_path))]).rstrip()
    blocks = [*read_batch(message, 1, paths=BatchPaths({}))]
    assert [count for _, count in blocks] == [2]


def test_an_arrow_file_is_read_as_an_arrow_stream_is(tmp_path: Path) -> None:
    table = pa.table({"id": [1, 2]})
    for name, make in (("stream", pa.ipc.new_stream), ("file", pa.ipc.new_file)):
        with pa.OSFile(str(tmp_path / name), "wb") as file, make(file, table.schema) as writer:
            writer.write_table(table)
        (block,) = read_batch(sdk(tmp_path / name, {"format": "arrow"}).rstrip(), 1, paths=BatchPaths({}))
        assert block[0] == b"".join(
            b'{"type":"RECORD","stream":"s","record":{"id":%d}}\n' % number for number in (1, 2)
        )


def test_a_batch_before_its_schema_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(GOOD)
    functions = functions_of("def s(df):\n    return df\n", tmp_path)
    out = push(functions, [sdk(tmp_path / "part")], reject=True)
    assert [(number, stream) for number, stream, _, _ in out.rejects] == [(1, "s")]
    with pytest.raises(MessageError, match="before its SCHEMA"):
        push(functions, [sdk(tmp_path / "part")])


# --------------------------------------------------------------------------------------- what may be read


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder beside the temporary and the current folder, with a file that looks like a BATCH's."""
    for name in ("tmp", "here", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "elsewhere" / "part").write_bytes(GOOD)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "elsewhere"


def test_only_the_current_and_the_temporary_folder_are_read(elsewhere: Path) -> None:
    message = sdk(elsewhere / "part").rstrip()
    with pytest.raises(MessageError, match="which Flow does not read: only files below") as caught:
        next(read_batch(message, 1, paths=BatchPaths({})))
    assert str(elsewhere / "part") in caught.value.message
    assert str(elsewhere.parent / "here") in caught.value.message
    assert "batch_paths:" in (caught.value.hint or "")
    allowed = BatchPaths({BATCH_PATHS_VARIABLE: f"/nowhere{os.pathsep}{elsewhere}"})
    assert [count for _, count in read_batch(message, 1, paths=allowed)] == [2]


@pytest.mark.parametrize("way", ["link to a file", "link to a folder", "dots", "gone"])
def test_no_way_leads_out_of_what_is_allowed(elsewhere: Path, way: str) -> None:
    here = Path.cwd()
    (here / "file").symlink_to(elsewhere / "part")
    (here / "folder").symlink_to(elsewhere)
    path = {
        "link to a file": here / "file",
        "link to a folder": here / "folder" / "part",
        "dots": here / ".." / "elsewhere" / "part",
        "gone": elsewhere / "gone",
    }[way]
    message = batch(encoding=JSONL, manifest=[str(path)]).rstrip()
    with pytest.raises(MessageError, match="does not read"):
        next(read_batch(message, 1, paths=BatchPaths({})))


def test_a_folder_whose_name_begins_like_an_allowed_one_is_another(elsewhere: Path) -> None:
    beside = Path.cwd().with_name("here-too")
    beside.mkdir()
    (beside / "part").write_bytes(GOOD)
    with pytest.raises(MessageError, match="does not read"):
        next(read_batch(sdk(beside / "part").rstrip(), 1, paths=BatchPaths({})))


STAGES = ["transform t.py", "load out/", "load target-csv", "load target-datapackage"]


def in_project(command: Command, root: Path, stage: str, message: bytes, **entries: Any) -> Result:
    """Run a stage in a project below which the temporary folder lies."""
    write_project(root, **entries)
    (root / "t.py").write_text("def s(df):\n    return df\n")
    (root / "tmp").mkdir(exist_ok=True)
    words = stage.split()
    if words[-1] == "target-datapackage":
        words += ["--config", '{"path": "out"}']
    return command.flow(*words, stdin=SCHEMA + message, cwd=root, env={"TMPDIR": str(root / "tmp")})


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_refuses_a_file_from_elsewhere_and_reads_it_where_allowed(
    command: Command, tmp_path: Path, stage: str
) -> None:
    root, outside = tmp_path / "project", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (outside / "part").write_bytes(GOOD)
    refused = in_project(command, root, stage, sdk(outside / "part"))
    assert refused.code == (70 if "target" in stage else 65)
    assert "does not read" in refused.stderr
    assert "Traceback" not in refused.stderr
    allowed = in_project(command, root, stage, sdk(outside / "part"), batch_paths=["../outside"])
    assert allowed.code == 0, allowed.stderr
    (root / "own").write_bytes(GOOD)
    assert in_project(command, root, stage, sdk(root / "own")).code == 0


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", ["half gzip", "manifest null", "encoding a text", "no Parquet", "bad line"])
def test_every_stage_ends_with_one_message(command: Command, tmp_path: Path, stage: str, name: str) -> None:
    message, reason = CASES[name](tmp_path)
    done = in_project(command, tmp_path, stage, message)
    assert done.code == (70 if "target" in stage else 65)
    assert re.search(f"Line 2: the BATCH of stream 's' .*{reason}", done.stderr)
    assert "Traceback" not in done.stderr
    assert "fault in Flow" not in done.stderr


def test_batch_paths_that_are_no_list_are_refused(command: Command, tmp_path: Path) -> None:
    (tmp_path / "part").write_bytes(GOOD)
    done = in_project(command, tmp_path, "transform t.py", sdk(tmp_path / "part"), batch_paths="x")
    assert done.code == 2
    assert "batch_paths" in done.stderr


def test_records_of_files_are_not_missed_at_the_end_of_a_marked_stream(
    command: Command, tmp_path: Path
) -> None:
    (tmp_path / "part").write_bytes(GOOD)
    (tmp_path / "t.py").write_text("def s(df):\n    return df\n")
    lines = [SCHEMA, records("s", [{"id": 3}]), sdk(tmp_path / "part"), state(1)]
    done = command.flow("transform", "t.py", stdin=framed([one.rstrip() for one in lines]), cwd=tmp_path)
    assert done.code == 0, done.stderr
    assert done.stdout.count(b'"RECORD"') == 3
