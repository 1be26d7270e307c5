"""A package that grows: append and upsert, and what is there whatever ends them, at whatever moment."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator
from packages import frictionless_report
from test_sink import FORMATS, TEXT, descriptor, load, raw, record, schema

from flow_singer.datapackage.formerpackage import StateMove, digest_of, read_former
from flow_singer.datapackage.sink import load_package
from flow_singer.datapackage.writer import PackageWriter
from flow_singer.errors import BusyError, ConfigError, DataError, RecordError, TargetError
from flow_singer.reading.source import open_source
from flow_singer.tabular.recordlines import batch_lines

PROFILE = json.loads((files("dplib.profiles") / "2.0" / "datapackage.json").read_text())
NUMBER = {"type": ["null", "number"]}


def add(folder, *lines, mode="append", **options):
    return load(folder, *lines, mode=mode, **options)


def read(folder, name="s") -> list[dict[str, Any]]:
    """The rows by Flow's own reader, which checks sizes, digests and counts."""
    found = []
    with open_source(folder, notice=lambda text: pytest.fail(text)) as source:
        for batch in source.stream(name).batches():
            lines = bytes(batch_lines(batch)).splitlines()
            found += [json.loads(line, parse_float=str)["record"] for line in lines]
    return found


def check(folder: Path, *, whole: bool = True) -> dict[str, Any]:
    """Valid under the official profile and (`whole`) frictionless; every file is there, and no other."""
    package = descriptor(folder)
    assert [error.message for error in Draft7Validator(PROFILE).iter_errors(package)] == []
    named = {"datapackage.json"}
    for one in package["resources"]:
        paths = one["path"] if isinstance(one["path"], list) else [one["path"]]
        named |= set(paths)
        parts = one.get("flow:parts", [one])
        assert [part["bytes"] for part in parts] == [(folder / path).stat().st_size for path in paths]
        if len(paths) > 1:
            assert "bytes" not in one
            assert "hash" not in one
            assert [part["path"] for part in parts] == paths
            assert sum(part["rows"] for part in parts) == one["flow:records"]
    there = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert there == named
    # Frictionless has no Parquet here, and reads one workbook of a resource only.
    unread = [
        one["format"] == "parquet" or (one["format"] == "xlsx" and isinstance(one["path"], list))
        for one in package["resources"]
    ]
    if whole and not any(unread):
        report = frictionless_report(folder)
        assert report.valid, report.flatten(["name", "message"])
    return package


def paths(folder: Path) -> list[str] | str:
    (resource,) = descriptor(folder)["resources"]
    return resource["path"]


# ------------------------------------------------------------------------------------------------ append


@pytest.mark.parametrize("form", FORMATS)
def test_new_rows_become_a_further_file_and_no_file_is_written_again(tmp_path, form):
    add(tmp_path / "p", schema(), record(id=1, name="a"), record(id=2, name='b "q",\n'), format=form)
    first = tmp_path / f"p/data/s.{form}"
    before = (first.stat().st_ino, first.read_bytes())
    published, notices = add(tmp_path / "p", schema(), record(id=3, name=None))
    assert notices == []
    assert published.records == {"s": 1}
    assert paths(tmp_path / "p") == [f"data/s.{form}", f"data/s-2.{form}"]
    assert (first.stat().st_ino, first.read_bytes()) == before
    add(tmp_path / "p", schema(), record(id=4, name=""))
    (resource,) = check(tmp_path / "p")["resources"]
    assert resource["path"] == [f"data/s.{form}", f"data/s-2.{form}", f"data/s-3.{form}"]
    assert [part["rows"] for part in resource["flow:parts"]] == [2, 1, 1]
    assert resource["flow:records"] == 4
    assert read(tmp_path / "p") == [
        {"id": 1, "name": "a"},
        {"id": 2, "name": 'b "q",\n'},
        {"id": 3, "name": None},
        {"id": 4, "name": ""},
    ]


def test_other_readers_see_all_parts(tmp_path):
    import frictionless
    import pandas as pd

    for number in range(3):
        add(tmp_path / "p", schema(), record(id=number, name=f"n{number}"))
    package = check(tmp_path / "p")
    (resource,) = package["resources"]
    frame = pd.concat(pd.read_csv(tmp_path / "p" / path) for path in resource["path"])
    assert frame.to_dict("list") == {"id": [0, 1, 2], "name": ["n0", "n1", "n2"]}
    opened = frictionless.Package(str(tmp_path / "p/datapackage.json")).get_resource("s")
    assert [row["id"] for row in opened.read_rows()] == [0, 1, 2]
    for number in range(2):
        add(tmp_path / "q", schema(), record(id=number, name="x"), format="parquet")
    assert pq.read_table(tmp_path / "q/data").column("id").to_pylist() == [1, 0]


def test_a_key_is_promised_until_it_may_come_again(tmp_path):
    add(tmp_path / "p", schema(), record(id=1), record(id=1))
    assert descriptor(tmp_path / "p")["resources"][0]["schema"]["primaryKey"] == ["id"]
    add(tmp_path / "p", schema(), record(id=1))
    (resource,) = check(tmp_path / "p")["resources"]
    assert "primaryKey" not in resource["schema"]
    assert resource["flow:keyProperties"] == ["id"]
    assert resource["schema"]["fields"][0]["constraints"] == {"required": True}
    assert len(read(tmp_path / "p")) == 2


def test_a_stream_of_its_own_is_a_resource_of_its_own(tmp_path):
    add(tmp_path / "p", schema("a"), record("a", id=1))
    add(tmp_path / "p", schema("A"), record("A", id=2), schema("a-2"), record("a-2", id=3))
    add(tmp_path / "p", schema("a"), record("a", id=4), schema("a-2"), record("a-2", id=5))
    resources = check(tmp_path / "p")["resources"]
    assert [one["flow:stream"] for one in resources] == ["a", "A", "a-2"]
    assert resources[0]["path"] == ["data/a.csv", "data/a-3.csv"]
    assert resources[2]["path"] == ["data/a-2.csv", "data/a-2-2.csv"]
    assert [row["id"] for row in read(tmp_path / "p", "a")] == [1, 4]
    assert [row["id"] for row in read(tmp_path / "p", "A")] == [2]


def test_a_run_without_new_rows_adds_no_file(tmp_path):
    add(tmp_path / "p", schema(), record(id=1))
    published, _ = add(tmp_path / "p", schema())
    assert published.records == {"s": 0}
    assert paths(tmp_path / "p") == "data/s.csv"
    with PackageWriter(tmp_path / "p", mode="append") as writer:
        writer.publish()
    check(tmp_path / "p")


def test_what_somebody_wrote_into_the_descriptor_stays(tmp_path):
    add(tmp_path / "p", schema(), record(id=1, name="a"))
    package = descriptor(tmp_path / "p")
    package |= {"title": "Mine", "licenses": [{"name": "CC0-1.0"}], "created": "2020-01-01T00:00:00Z"}
    package["resources"][0] |= {"title": "Things"}
    package["resources"][0]["schema"]["fields"][1] |= {"title": "Its name"}
    (tmp_path / "p/datapackage.json").write_text(json.dumps(package))
    add(tmp_path / "p", schema(), record(id=2, name="b"))
    add(tmp_path / "p", schema(), record(id=2, name="c"), mode="upsert")
    found = check(tmp_path / "p")
    assert (found["title"], found["licenses"][0]["name"]) == ("Mine", "CC0-1.0")
    assert found["created"] == "2020-01-01T00:00:00Z"
    assert found["resources"][0]["title"] == "Things"


def test_the_format_is_that_of_the_package(tmp_path):
    add(tmp_path / "p", schema(), record(id=1), csv_null="\\N")
    add(tmp_path / "p", schema(), record(id=2))
    assert (tmp_path / "p/data/s-2.csv").read_bytes() == b"id,name\r\n2,\\N\r\n"
    with pytest.raises(ConfigError, match="holds csv, and what is to be added is jsonl") as error:
        add(tmp_path / "p", schema(), record(id=3), format="jsonl")
    assert "--write-mode replace" in (error.value.hint or "")
    with pytest.raises(ConfigError, match=r"null is '\\N', and in what is to be added it is '-'"):
        add(tmp_path / "p", schema(), record(id=3), csv_null="-")
    assert len(read(tmp_path / "p")) == 2


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_package_that_flow_did_not_write_is_left_alone(tmp_path, mode):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/datapackage.json").write_text('{"resources": [{"name": "x", "path": "x.csv"}]}')
    with pytest.raises(ConfigError, match="is not of a package that Flow wrote"):
        add(tmp_path / "p", schema(), record(id=1), mode=mode)
    add(tmp_path / "q", schema(), record(id=1))
    (tmp_path / "q/data/s-2.csv").write_text("mine")
    with pytest.raises(ConfigError, match=r"it holds data/s-2\.csv"):
        add(tmp_path / "q", schema(), record(id=2), mode=mode)
    assert (tmp_path / "q/data/s-2.csv").read_text() == "mine"


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_zip_grows_too(tmp_path, mode):
    for number in range(3):
        add(tmp_path / "p.zip", schema(), record(id=number), schema("t"), record("t", id=0), mode=mode)
    assert os.listdir(tmp_path) == ["p.zip"]
    assert [row["id"] for row in read(tmp_path / "p.zip")] == [0, 1, 2]
    assert len(read(tmp_path / "p.zip", "t")) == (3 if mode == "append" else 1)
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == (7 if mode == "append" else 3)


def test_a_new_version_removes_no_rows_of_earlier_runs(tmp_path):
    version = json.dumps({"type": "ACTIVATE_VERSION", "stream": "s", "version": 2})
    add(tmp_path / "p", schema(), record(id=1, _version=1))
    _, notices = add(tmp_path / "p", schema(), record(id=2, _version=1), record(id=3, _version=2), version)
    assert [row["id"] for row in read(tmp_path / "p")] == [1, 3]
    assert "a new version does not remove rows of earlier runs" in notices[0]


# -------------------------------------------------------------------------------------------- schemas


@pytest.mark.parametrize("form", FORMATS)
def test_a_new_column_is_null_in_the_rows_before(tmp_path, form):
    add(tmp_path / "p", schema(), record(id=1, name="a"), format=form)
    add(tmp_path / "p", schema(), record(id=2, name="b"))
    wide = {"id": {"type": "integer"}, "more": {"type": "integer"}, "name": TEXT}
    add(tmp_path / "p", schema(properties=wide, required=["more"]), record(id=3, name="c", more=7))
    assert paths(tmp_path / "p") == f"data/s-3.{form}"
    check(tmp_path / "p")
    found = read(tmp_path / "p")
    assert [(row["id"], row["name"], row.get("more")) for row in found] == [
        (1, "a", None),
        (2, "b", None),
        (3, "c", 7),
    ]
    add(tmp_path / "p", schema(properties=wide), record(id=4, name="d", more=8))
    assert paths(tmp_path / "p") == [f"data/s-3.{form}", f"data/s-2.{form}"]
    check(tmp_path / "p")


@pytest.mark.parametrize("form", FORMATS)
def test_a_column_that_vanished_is_null_in_the_rows_behind(tmp_path, form):
    add(tmp_path / "p", schema(), record(id=1, name="a"), format=form)
    add(tmp_path / "p", schema(properties={"id": {"type": "integer"}}), record(id=2))
    assert len(paths(tmp_path / "p")) == 2
    check(tmp_path / "p")
    assert [(row["id"], row.get("name")) for row in read(tmp_path / "p")] == [(1, "a"), (2, None)]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("old", "new", "rows"),
    [
        ({"type": "integer"}, {"type": "number"}, ["1", "2.50"]),
        ({"type": "string", "format": "date"}, {"type": "string"}, ['"2026-01-31"', '"later"']),
        ({"type": "integer"}, {"type": "string"}, ["1", '"2"']),
        ({"type": "string"}, {"type": "object"}, ['"1"', '{"a":1}']),
        ({"type": "boolean"}, {"type": ["boolean", "string"]}, ["true", '"true"']),
    ],
)
def test_a_type_that_became_wider_holds_both(tmp_path, form, old, new, rows):
    for one, text in zip((old, new), rows, strict=True):
        add(tmp_path / "p", schema(properties={"id": one}, key=()), raw(f'"id":{text}'), format=form)
        check(tmp_path / "p")
    expected = [json.loads(text, parse_float=str) for text in rows]
    if form in ("parquet", "xlsx") and new == {"type": "number"}:  # of doubles
        expected = [1, "2.5"]
    assert [row["id"] for row in read(tmp_path / "p")] == expected


def test_a_wider_type_of_parquet_is_kept_by_later_files(tmp_path):
    properties = {"n": NUMBER}
    for text in ("0.12345678901234567", "1.5", "2"):
        add(tmp_path / "p", schema(properties=properties, key=()), raw(f'"n":{text}'), format="parquet")
    assert len(paths(tmp_path / "p")) == 3
    assert {str(pq.read_schema(path).field("n").type) for path in (tmp_path / "p/data").iterdir()} == {
        "decimal128(38, 18)"
    }


def test_values_that_turn_out_wider_than_those_before_are_held_together(tmp_path):
    properties = {"n": {"type": "integer"}, "day": {"type": "string", "format": "date"}}
    for form in ("csv", "parquet"):
        add(
            tmp_path / form,
            schema(properties=properties, key=()),
            raw('"n":1,"day":"2026-01-31"'),
            format=form,
        )
        add(tmp_path / form, schema(properties=properties, key=()), raw(f'"n":{2**70},"day":"soon"'))
        add(tmp_path / form, schema(properties=properties, key=()), raw('"n":3,"day":"2026-01-31"'))
        check(tmp_path / form)
        assert [row["n"] for row in read(tmp_path / form)] == [1, 2**70, 3]
        assert [row["day"] for row in read(tmp_path / form)] == ["2026-01-31", "soon", "2026-01-31"]


def test_an_undeclared_column_stays_one(tmp_path):
    add(tmp_path / "p", schema(), record(id=1, odd=[1]))
    add(tmp_path / "p", schema(), record(id=2, odd="x"))
    add(tmp_path / "p", schema(), record(id=3))
    assert len(paths(tmp_path / "p")) == 3
    assert [row.get("odd") for row in read(tmp_path / "p")] == [[1], "x", None]


def test_a_changed_key_is_told_or_refused(tmp_path):
    add(tmp_path / "p", schema(), record(id=1, name="a"))
    _, notices = add(tmp_path / "p", schema(key=("id", "name")), record(id=2, name="b"))
    assert notices == ["stream 's': its key was id and is id, name now; rows are added as they are."]
    with pytest.raises(ConfigError, match="is id, name, and now it is id: nobody can tell") as error:
        add(tmp_path / "p", schema(), record(id=2, name="c"), mode="upsert")
    assert "--write-mode replace" in (error.value.hint or "")
    assert len(read(tmp_path / "p")) == 2


def test_rows_that_cannot_be_read_back_stop_an_upsert_and_stay(tmp_path):
    add(tmp_path / "p", schema(), record(id=1))
    (tmp_path / "p/data/s.csv").write_bytes(b"id,name\r\n1,x\r\n")
    with pytest.raises(DataError, match=r"in the package cannot be read back: .*s\.csv") as error:
        add(tmp_path / "p", schema(), record(id=2), mode="upsert")
    assert "--write-mode replace" in (error.value.hint or "")
    assert paths(tmp_path / "p") == "data/s.csv"


# -------------------------------------------------------------------------------------------- upsert


@pytest.mark.parametrize("form", FORMATS)
def test_a_later_row_replaces_the_one_of_its_key(tmp_path, form):
    add(tmp_path / "p", schema(), record(id=1, name="a"), record(id=2, name="b"), mode="upsert", format=form)
    add(tmp_path / "p", schema(), record(id=3, name="c"), record(id=1, name="A"), mode="upsert")
    (resource,) = check(tmp_path / "p")["resources"]
    assert resource["schema"]["primaryKey"] == ["id"]
    assert read(tmp_path / "p") == [
        {"id": 2, "name": "b"},
        {"id": 3, "name": "c"},
        {"id": 1, "name": "A"},
    ]


def test_several_parts_become_one(tmp_path):
    for number in (1, 1, 2):
        add(tmp_path / "p", schema(), record(id=number))
    _, notices = add(tmp_path / "p", schema(), record(id=3), mode="upsert")
    assert notices == []
    (resource,) = check(tmp_path / "p")["resources"]
    assert isinstance(resource["path"], str)
    assert "flow:parts" not in resource
    assert [row["id"] for row in read(tmp_path / "p")] == [1, 2, 3]
    assert resource["schema"]["primaryKey"] == ["id"]


def test_only_the_files_of_streams_with_new_rows_are_written_again(tmp_path):
    add(tmp_path / "p", schema("a"), record("a", id=1), schema("b"), record("b", id=1), mode="upsert")
    before = (tmp_path / "p/data/b.csv").stat().st_ino
    add(tmp_path / "p", schema("a"), record("a", id=1), schema("b"), mode="upsert")
    assert (tmp_path / "p/data/b.csv").stat().st_ino == before
    check(tmp_path / "p")


def test_a_stream_without_a_key_is_refused_by_name(tmp_path):
    with pytest.raises(ConfigError, match="Stream 's' has no key") as error:
        add(tmp_path / "p", schema(key=()), record(id=1), mode="upsert")
    assert "--write-mode append" in (error.value.hint or "")
    assert os.listdir(tmp_path) == []


# -------------------------------------------------------------------------------------------- any split

_VALUES = {
    "id": st.integers(-(2**70), 2**70),
    "name": st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    "n": st.none() | st.sampled_from(["0", "1.50", "-2e3", "0.1"]),
    "flag": st.none() | st.booleans(),
    "at": st.none() | st.sampled_from(["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.5+02:00", "soon"]),
    "any": st.none() | st.lists(st.integers(0, 3), max_size=2) | st.text("ab", max_size=2),
}
_PROPERTIES = {
    "id": {"type": "integer"},
    "name": TEXT,
    "n": NUMBER,
    "flag": {"type": ["null", "boolean"]},
    "at": {"type": ["null", "string"], "format": "date-time"},
    "any": {},
}
_ROWS = st.lists(st.fixed_dictionaries(_VALUES), min_size=1, max_size=8)


def _line(row: dict[str, Any]) -> str:
    texts = {
        key: value if key == "n" and value is not None else json.dumps(value) for key, value in row.items()
    }
    return raw(",".join(f'"{key}":{text}' for key, text in texts.items()))


@settings(max_examples=25, deadline=None)
@given(rows=_ROWS, cuts=st.lists(st.integers(0, 8), max_size=3), form=st.sampled_from(FORMATS))
@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_any_split_of_the_rows_gives_the_package_that_one_run_gives(tmp_path_factory, mode, rows, cuts, form):
    folder = tmp_path_factory.mktemp("split")
    key = ("id",) if mode == "upsert" else ()
    load(folder / "one", schema(properties=_PROPERTIES, key=key), *map(_line, rows), format=form)
    ends = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    for start, end in itertools.pairwise(ends):
        lines = [_line(row) for row in rows[start:end]]
        add(folder / "many", schema(properties=_PROPERTIES, key=key), *lines, mode=mode, format=form)
    assert read(folder / "many") == read(folder / "one")
    one, many = (descriptor(folder / name)["resources"][0] for name in ("one", "many"))
    assert [f["type"] for f in many["schema"]["fields"]] == [f["type"] for f in one["schema"]["fields"]]
    assert many["flow:records"] == one["flow:records"]


# -------------------------------------------------------------------------------------------- two at once


def begin(place: Path, value: int, mode: Any = "append") -> PackageWriter:
    writer = PackageWriter(place, mode=mode)
    load_package([f"{schema()}\n{record(id=value)}\n".encode()], writer)
    return writer


@pytest.mark.parametrize("name", ["p", "p.zip"])
@pytest.mark.parametrize("mode", ["append", "upsert"])
@pytest.mark.parametrize("is_first", [True, False], ids=["into nothing", "into a package"])
def test_of_two_at_once_the_second_adds_to_what_the_first_made(tmp_path, name, mode, is_first):
    if not is_first:
        add(tmp_path / name, schema(), record(id=0), mode=mode)
    first, second = begin(tmp_path / name, 1, mode), begin(tmp_path / name, 2, mode)
    second.publish()
    first.publish()
    assert [row["id"] for row in read(tmp_path / name)] == [*([] if is_first else [0]), 2, 1]
    assert os.listdir(tmp_path) == [name]


def test_many_at_once_lose_no_row(tmp_path):
    lines = [f"{schema()}\n{''.join(record(id=100 * n + i) + chr(10) for i in range(50))}" for n in range(3)]
    started = [
        subprocess.Popen([sys.executable, "-c", THRICE, tmp_path / "p"], stdin=subprocess.PIPE) for _ in lines
    ]
    for one, text in zip(started, lines, strict=True):
        assert one.stdin is not None
        one.stdin.write(text.encode())
        one.stdin.close()
    assert [one.wait() for one in started] == [0, 0, 0]
    check(tmp_path / "p")
    found = [row["id"] for row in read(tmp_path / "p")]
    assert sorted(found) == sorted([100 * n + i for n in range(3) for i in range(50)] * 3)
    assert os.listdir(tmp_path) == ["p"]


THRICE = """
import sys
from pathlib import Path
from flow_singer.datapackage.sink import load_package
from flow_singer.datapackage.writer import PackageWriter
data = sys.stdin.buffer.read()
for _ in range(3):
    with PackageWriter(Path(sys.argv[1]), mode="append") as writer:
        load_package([data], writer)
        writer.publish()
"""


# -------------------------------------------------------------------------------------------- bookmarks


def publish(place: Path, value: int, state: StateMove, mode: Any = "append") -> None:
    with PackageWriter(place, mode=mode) as writer:
        load_package([f"{schema()}\n{record(id=value)}\n".encode()], writer)
        writer.publish(state=state)


def states(place: Path) -> dict[str, bytes]:
    former = read_former(place)
    assert former is not None
    return former.states


@pytest.mark.parametrize("name", ["p", "p.zip"])
def test_a_bookmark_moves_with_the_rows_and_keeps_its_digits(tmp_path, name):
    value = b'{"bookmarks": {"s": {"at": 1.10, "n": 123456789012345678901234567890}}}'
    publish(tmp_path / name, 1, StateMove("tap-x", None, value=value))
    kept = b'{"bookmarks":{"s":{"at":1.10,"n":123456789012345678901234567890}}}'
    assert states(tmp_path / name) == {"tap-x": kept}
    publish(tmp_path / name, 2, StateMove("tap-y", None, value=b'{"a": 1}'))
    publish(tmp_path / name, 3, StateMove("tap-x", digest_of(kept), value=b'{"bookmarks": {"s": 2}}'))
    assert states(tmp_path / name) == {"tap-x": b'{"bookmarks":{"s":2}}', "tap-y": b'{"a":1}'}
    publish(tmp_path / name, 4, StateMove("tap-y", digest_of(b'{"a":1}'), value=None))
    assert len(states(tmp_path / name)) == 2
    assert len(read(tmp_path / name)) == 4


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_run_whose_bookmark_another_one_moved_adds_nothing(tmp_path, mode):
    publish(tmp_path / "p", 1, StateMove("tap-x", None, value=b'{"a":1}'), mode)
    late = StateMove("tap-x", digest_of(b'{"a":1}'), value=b'{"a":3}')
    publish(tmp_path / "p", 2, StateMove("tap-x", digest_of(b'{"a":1}'), value=b'{"a":2}'), mode)
    with pytest.raises(BusyError, match="another run has moved its bookmark tap-x") as error:
        publish(tmp_path / "p", 3, late, mode)
    assert "Run again" in (error.value.hint or "")
    assert states(tmp_path / "p") == {"tap-x": b'{"a":2}'}
    assert [row["id"] for row in read(tmp_path / "p")] == [1, 2]
    check(tmp_path / "p")


def test_a_package_that_goes_while_a_run_continues_it_is_not_begun_anew(tmp_path):
    publish(tmp_path / "p", 1, StateMove("tap-x", None, value=b'{"a":1}'))
    with PackageWriter(tmp_path / "p", mode="append") as writer:
        load_package([f"{schema()}\n{record(id=2)}\n".encode()], writer)
        os.rename(tmp_path / "p", tmp_path / "q")
        with pytest.raises(BusyError):
            writer.publish(state=StateMove("tap-x", digest_of(b'{"a":1}'), value=b'{"a":2}'))
    assert not (tmp_path / "p").exists()


def test_a_full_refresh_is_laid_over_what_was_there(tmp_path):
    publish(tmp_path / "p", 1, StateMove("tap-x", None, value=b'{"bookmarks":{"a":1,"b":1}}'))
    publish(tmp_path / "p", 1, StateMove("tap-x", None, True, b'{"bookmarks":{"a":2}}'), "upsert")
    assert states(tmp_path / "p") == {"tap-x": b'{"bookmarks":{"a":2,"b":1}}'}


# ------------------------------------------------------------------------------- whatever ends it, and when


_CALLS = ("rename", "replace", "unlink", "fsync", "mkdir", "rmdir", "link")


def at_step(step: int, do: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Have something done before the `step`-th call that changes the disk; tells whether there was one."""
    count = 0

    def counted(call: Any) -> Any:
        def made(*arguments: Any, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == step:
                do()
            return call(*arguments, **more)

        return made

    for name in _CALLS:
        monkeypatch.setattr(os, name, counted(getattr(os, name)))
    return lambda: count >= step


_MOVE = StateMove("tap-x", digest_of(b'{"a":1}'), value=b'{"a":3}')


def _grow(place: Path, mode: Any) -> None:
    with PackageWriter(place, mode=mode) as writer:
        lines = [schema(), record(id=2), record(id=3), schema("t"), record("t", id=9)]
        load_package([f"{line}\n".encode() for line in lines], writer)
        writer.publish(state=_MOVE)


def _grow_killed(place: Path, mode: Any, step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Grow in a process that is killed at a step; whether there was such a step."""
    child = os.fork()
    if not child:
        try:
            at_step(step, lambda: os.kill(os.getpid(), signal.SIGKILL), monkeypatch)
            _grow(place, mode)
            os._exit(0)
        finally:
            os._exit(1)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL)
    return status != 0


def _grow_into_full_disk(place: Path, mode: Any, step: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Grow on a disk that is full at a step, and has room again behind it; whether there was such a step."""

    def fail() -> None:
        raise OSError(28, "No space left on device", "somewhere")

    with monkeypatch.context() as patched:
        was_reached = at_step(step, fail, patched)
        went_well = False
        with contextlib.suppress(TargetError):
            _grow(place, mode)
            went_well = True
    assert not went_well or len(read(place)) == 3
    return was_reached()


@pytest.mark.parametrize("name", ["p", "p.zip"])
@pytest.mark.parametrize("mode", ["append", "upsert"])
@pytest.mark.parametrize("grow", [_grow_killed, _grow_into_full_disk], ids=["killed", "disk full"])
def test_ended_at_any_step_there_is_the_former_package_or_the_new_one(
    tmp_path, monkeypatch, grow, mode, name
):
    """Every call that changes the disk is a step; the next run finds a sound place, and goes on."""
    seen = set()
    for step in itertools.count(1):
        place = tmp_path / str(step) / name
        publish(place, 1, StateMove("tap-x", None, value=b'{"a":1}'), mode)
        was_reached = grow(place, mode, step, monkeypatch)
        rows = [row["id"] for row in read(place)]
        assert (rows, states(place)["tap-x"]) in (([1], b'{"a":1}'), ([1, 2, 3], b'{"a":3}'))
        seen.add(len(rows))
        if rows == [1]:
            _grow(place, mode)
        else:
            with PackageWriter(place, mode=mode) as writer:
                writer.publish()
        assert [row["id"] for row in read(place)] == [1, 2, 3]
        assert [row["id"] for row in read(place, "t")] == [9]
        assert os.listdir(place.parent) == [name]
        if name == "p":
            check(place, whole=not was_reached)
        if not was_reached:
            break
    assert seen == {1, 3}


def test_a_stranger_in_the_place_of_the_note_is_left_alone(tmp_path):
    add(tmp_path / "p", schema(), record(id=1))
    for text in ("mine", '["../mine"]', '["data/x/y"]'):
        (tmp_path / ".p.growing").write_text(text)
        with pytest.raises(ConfigError, match="is no such note"):
            add(tmp_path / "p", schema(), record(id=2))
        assert (tmp_path / ".p.growing").read_text() == text


def test_a_note_of_a_package_that_is_gone_is_forgotten(tmp_path):
    (tmp_path / ".p.growing").write_text('["data/s.csv"]')
    add(tmp_path / "p", schema(), record(id=1))
    add(tmp_path / "p", schema(), record(id=2))
    assert os.listdir(tmp_path) == ["p"]


def test_a_record_that_cannot_be_written_leaves_the_package(tmp_path):
    add(tmp_path / "p", schema(), record(id=1))
    with pytest.raises(RecordError):
        add(tmp_path / "p", schema(), record(id=2), raw('"id":"x"'))
    assert [row["id"] for row in read(tmp_path / "p")] == [1]


def test_replace_puts_one_file_in_the_place_of_several(tmp_path):
    for number in range(3):
        add(tmp_path / "p", schema(), record(id=number))
    load(tmp_path / "p", schema(), record(id=9))
    assert os.listdir(tmp_path) == ["p"]
    check(tmp_path / "p")
    assert [row["id"] for row in read(tmp_path / "p")] == [9]


def test_what_is_added_can_be_checked_first(tmp_path):
    properties = {"id": {"type": "integer", "maximum": 5}}
    add(tmp_path / "p", schema(properties=properties), record(id=1))
    with PackageWriter(tmp_path / "p", mode="append") as writer:
        load_package([f"{schema(properties=properties)}\n{record(id=7)}\n".encode()], writer)
        with pytest.raises(DataError, match="field 'id'"):
            writer.publish(check=True)
    assert [row["id"] for row in read(tmp_path / "p")] == [1]
