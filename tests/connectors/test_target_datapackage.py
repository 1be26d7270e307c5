from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import frictionless
import pytest
from flow_target_datapackage.target import TargetDataPackage
from singer_sdk.testing import get_target_test_class

from flow_singer.singer.marks import Header, add_mark

COMMAND = [sys.executable, "-m", "flow_target_datapackage"]
SCHEMA = json.dumps(
    {
        "type": "SCHEMA",
        "stream": "s",
        "schema": {"properties": {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}}},
        "key_properties": ["id"],
    }
)
STATE = '{"type":"STATE","value": {"b":1.10}}'


@pytest.fixture(autouse=True)
def _own_place_and_signal_handlers(tmp_path, monkeypatch):
    """The SDK's suite writes to a relative path, and a target takes over SIGINT and SIGTERM."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def suite(form):
    return get_target_test_class(
        TargetDataPackage, config={"path": "package", "format": form}, parse_env_config=False
    )


TestSdkSuiteCsv = suite("csv")
TestSdkSuiteJsonLines = suite("jsonl")
TestSdkSuiteParquet = suite("parquet")
TestSdkSuitePacked = suite("jsonl.gz")
TestSdkSuiteExcel = suite("xlsx")


def record(**values):
    return json.dumps({"type": "RECORD", "stream": "s", "record": values})


def run(folder, *lines, code=0, **config):
    (folder / "config.json").write_text(json.dumps({"path": str(folder / "p"), **config}))
    done = subprocess.run(
        [*COMMAND, "--config", folder / "config.json"],
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_package_is_valid_and_confirms_no_bookmark_as_the_next_run_replaces_it(tmp_path, form):
    done = run(tmp_path, SCHEMA, record(id=1, name="a"), STATE, format=form)
    assert done.stdout == b""
    assert frictionless.validate(str(tmp_path / "p/datapackage.json")).valid


def test_csv_null_is_passed_on(tmp_path):
    run(tmp_path, SCHEMA, record(id=1), csv_null="\\N")
    assert (tmp_path / "p/data/s.csv").read_bytes() == b"id,name\r\n1,\\N\r\n"


def test_a_failed_run_prints_no_state_and_leaves_the_package(tmp_path):
    run(tmp_path, SCHEMA, record(id=1))
    before = (tmp_path / "p/datapackage.json").read_bytes()
    done = run(tmp_path, SCHEMA, record(id=2), STATE, "no json", code=1)
    assert done.stdout == b""
    assert b"Line 4" in done.stderr
    assert (tmp_path / "p/datapackage.json").read_bytes() == before


def test_a_marked_stream_without_its_end_is_incomplete(tmp_path):
    marked = add_mark(SCHEMA.encode(), Header("r")).decode()
    done = run(tmp_path, marked, record(id=1), STATE, code=75)
    assert done.stdout == b""
    assert b"not complete" in done.stderr
    assert not (tmp_path / "p").exists()


def test_a_folder_of_others_is_refused(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/mine.txt").write_text("mine")
    done = run(tmp_path, SCHEMA, record(id=1), code=1)
    assert b"is not replaced" in done.stderr
    assert os.listdir(tmp_path / "p") == ["mine.txt"]


def test_a_path_is_required(tmp_path):
    (tmp_path / "empty.json").write_text("{}")
    done = subprocess.run(
        [*COMMAND, "--config", tmp_path / "empty.json"], input=b"", capture_output=True, check=False
    )
    assert done.returncode == 1
    assert b"'path' is a required property" in done.stderr


@pytest.mark.parametrize("mode", ["append", "upsert"])
def test_a_package_grows_and_the_state_is_printed_behind_the_rows(tmp_path, mode):
    first = run(tmp_path, SCHEMA, record(id=1, name="a"), record(id=2, name="b"), STATE, write_mode=mode)
    assert first.stdout == b'{"b":1.10}\n'
    second = run(
        tmp_path, SCHEMA, record(id=2, name="c"), '{"type":"STATE","value":{"b":2}}', write_mode=mode
    )
    assert second.stdout == b'{"b":2}\n'
    package = frictionless.Package(str(tmp_path / "p/datapackage.json"))
    rows = [row.to_dict() for row in package.get_resource("s").read_rows()]
    expected = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}, {"id": 2, "name": "c"}]
    assert rows == (expected if mode == "append" else [expected[0], expected[2]])
    assert frictionless.validate(str(tmp_path / "p/datapackage.json")).valid


def test_a_run_that_is_cut_short_adds_nothing_and_says_so(tmp_path):
    run(tmp_path, SCHEMA, record(id=1), write_mode="append")
    marked = add_mark(SCHEMA.encode(), Header("r")).decode()
    done = run(tmp_path, marked, record(id=2), STATE, code=75, write_mode="append")
    assert done.stdout == b""
    assert b"Nothing of it was published" in done.stderr
    assert (tmp_path / "p/data/s.csv").read_bytes() == b"id,name\r\n1,\r\n"


@pytest.mark.parametrize("form", ["parquet", "csv.gz", "xlsx"])
def test_another_format_is_told_in_words_of_settings(tmp_path, form):
    run(tmp_path, SCHEMA, record(id=1), format=form)
    done = run(tmp_path, SCHEMA, record(id=2), write_mode="append", code=1)
    assert (
        f'Add it as format: "{form}", or write the package anew with write_mode: "replace".'.encode()
        in done.stderr
    )


def test_rows_are_spread_over_files_and_a_mistake_in_that_is_told_in_words_of_settings(tmp_path):
    run(tmp_path, SCHEMA, record(id=1, name="a"), record(id=2, name="b"), partition_by="name")
    assert sorted(os.listdir(tmp_path / "p/data")) == ["s-a.csv", "s-b.csv"]
    assert frictionless.validate(str(tmp_path / "p/datapackage.json")).valid
    done = run(tmp_path, SCHEMA, record(id=1, name="a"), partition_by="nam", code=1)
    assert b"the setting partition_by nam: no stream has a column 'nam', so that nothing was published." in (
        done.stderr
    )
