from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys

import pytest
from flow_target_csv.append import AppendedFiles
from flow_target_csv.target import TargetCSV
from singer_sdk.testing import get_target_test_class

COMMAND = [sys.executable, "-m", "flow_target_csv"]
STATE = '{"type":"STATE","value": {"b":1.10, "a":"\\u00e9"}}'
STATE_VALUE = b'{"b":1.10, "a":"\\u00e9"}\n'


@pytest.fixture(autouse=True)
def _own_place_and_signal_handlers(tmp_path, monkeypatch):
    """The SDK's suite writes to the default folder, and a target takes over SIGINT and SIGTERM."""
    monkeypatch.chdir(tmp_path)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


TestSdkSuiteAppend = get_target_test_class(TargetCSV, config={}, parse_env_config=False)
TestSdkSuiteReplace = get_target_test_class(
    TargetCSV, config={"overwrite_behavior": "replace"}, parse_env_config=False
)


def schema(stream="s", key=("id",), **properties):
    properties = {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}} | properties
    message = {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}}
    return json.dumps(message | {"key_properties": list(key)})


def record(_stream="s", **values):
    return json.dumps({"type": "RECORD", "stream": _stream, "record": values})


def run(folder, *lines, code=0, **config):
    (folder / "config.json").write_text(json.dumps({"output_path": str(folder / "out"), **config}))
    done = subprocess.run(
        [*COMMAND, "--config", folder / "config.json"],
        input="".join(f"{line}\n" for line in lines).encode(),
        capture_output=True,
        check=False,
    )
    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    return done


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_values_are_written_as_they_came_and_then_the_state(tmp_path, mode):
    nested = {"type": ["null", "object"]}
    done = run(
        tmp_path,
        schema(user=nested, score={"type": "number"}),
        '{"type":"RECORD","stream":"s","record":{"id":1,"name":"a,\\"b\\"\\r","user":{"x": [1, 2.50]},"score":1.10}}',
        STATE,
        overwrite_behavior=mode,
    )
    # a run that resumed would replace the file by its increment: a replacing target confirms no bookmark
    assert done.stdout == (STATE_VALUE if mode == "append" else b"")
    assert (tmp_path / "out/s.csv").read_bytes() == (
        b'id,name,user,score\r\n1,"a,""b""\r","{""x"": [1, 2.50]}",1.10\r\n'
    )
    assert os.listdir(tmp_path / "out") == ["s.csv"]


def test_replace_leaves_files_of_other_streams_and_takes_the_last_of_a_key(tmp_path):
    replace = {"overwrite_behavior": "replace"}
    run(tmp_path, schema("a"), record("a", id=1), schema("b"), record("b", id=1), **replace)
    run(tmp_path, schema("a"), record("a", id=2, name="x"), record("a", id=2, name="y"), **replace)
    assert rows(tmp_path / "out/a.csv") == [{"id": "2", "name": "y"}]
    assert rows(tmp_path / "out/b.csv") == [{"id": "1", "name": ""}]


def test_append_adds_rows_in_the_order_of_the_file_s_columns(tmp_path):
    run(
        tmp_path,
        schema(extra={"type": "string"}),
        record(id=1, name="a", extra="e"),
        overwrite_behavior="append",
    )
    message = {"type": "SCHEMA", "stream": "s", "key_properties": []}
    turned = {"properties": {"name": {"type": "string"}, "id": {"type": "integer"}}}
    run(
        tmp_path,
        json.dumps(message | {"schema": turned}),
        record(id=2, name="b"),
        overwrite_behavior="append",
    )
    assert (tmp_path / "out/s.csv").read_bytes() == b"id,name,extra\r\n1,a,e\r\n2,b,\r\n"


def test_append_is_the_default_so_that_an_increment_never_replaces_what_was_loaded(tmp_path):
    run(tmp_path, schema(), record(id=1))
    run(tmp_path, schema(), record(id=2))
    assert [row["id"] for row in rows(tmp_path / "out/s.csv")] == ["1", "2"]


def test_append_widens_the_file_where_the_schema_brings_new_columns(tmp_path):
    run(tmp_path, schema(), record(id=1, name='a "quoted"\r\ntext'), record(id=2, name=""))
    done = run(tmp_path, schema(new={"type": ["null", "string"]}), record(id=3, new="x"), null_value="N")
    assert b"new columns new" in done.stderr
    assert (tmp_path / "out/s.csv").read_bytes() == (
        b'id,name,new\r\n1,"a ""quoted""\r\ntext",N\r\n2,"",N\r\n3,N,x\r\n'
    )
    assert os.listdir(tmp_path / "out") == ["s.csv"]


def test_append_widens_midway_and_a_failed_run_still_takes_back_its_rows(tmp_path):
    run(tmp_path, schema(), record(id=1))
    wider = schema(new={"type": ["null", "string"]})
    run(tmp_path, schema(), record(id=2), wider, record(id=3, new="x"), "no json", code=1)
    assert [row["id"] for row in rows(tmp_path / "out/s.csv")] == ["1"]


def test_append_ends_a_last_line_that_lacks_its_end(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/s.csv").write_bytes(b"id,name\n1,a")
    run(tmp_path, schema(), record(id=2), overwrite_behavior="append")
    assert rows(tmp_path / "out/s.csv") == [{"id": "1", "name": "a"}, {"id": "2", "name": ""}]


def test_append_cuts_off_what_a_killed_run_had_not_committed(tmp_path):
    run(tmp_path, schema(), record(id=1), overwrite_behavior="append")
    length = (tmp_path / "out/s.csv").stat().st_size
    (tmp_path / "out/.s.csv.committed").write_text(str(length))
    with (tmp_path / "out/s.csv").open("ab") as file:
        file.write(b'2,"half a te')
    run(tmp_path, schema(), record(id=3), overwrite_behavior="append")
    assert [row["id"] for row in rows(tmp_path / "out/s.csv")] == ["1", "3"]
    assert os.listdir(tmp_path / "out") == ["s.csv"]


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("no json", b"Line 3"),
        ('{"type":"STRANGE"}', b"unknown message type 'STRANGE'"),
        (record("other", id=1), b"before its SCHEMA"),
        (record(name="x"), b"no value for its key property 'id'"),
        (record(id="x"), b"does not fit its SCHEMA"),
    ],
)
def test_a_bad_line_ends_with_1_and_publishes_nothing(tmp_path, mode, line, reason):
    run(tmp_path, schema(), record(id=1), overwrite_behavior=mode)
    done = run(tmp_path, schema(), record(id=2), line, STATE, code=1, overwrite_behavior=mode)
    assert reason in done.stderr
    assert done.stdout == b""
    assert rows(tmp_path / "out/s.csv") == [{"id": "1", "name": ""}]
    assert os.listdir(tmp_path / "out") == ["s.csv"]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_sigterm_is_no_end_of_the_stream(tmp_path, mode):
    run(tmp_path, schema(), record(id=1), overwrite_behavior=mode)
    process = subprocess.Popen(
        [*COMMAND, "--config", tmp_path / "config.json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    # The version is logged once the target is made, and its handlers with it, and is being made.
    process.stdin.write(f"{schema()}\n{record(id=2)}\n{STATE}\n".encode())
    process.stdin.flush()
    while b"Skipping parse" not in process.stderr.readline():
        pass
    beside = tmp_path / "out" / (f".partial-{process.pid}" if mode == "replace" else ".s.csv.committed")
    while not beside.exists():
        assert process.poll() is None
        os.sched_yield()
    process.terminate()
    out, err = process.communicate()
    assert process.returncode == 143, err.decode()
    assert out == b""
    assert rows(tmp_path / "out/s.csv") == [{"id": "1", "name": ""}]
    assert not list((tmp_path / "out").glob(".partial-*"))


def test_a_null_value_tells_null_from_empty(tmp_path):
    run(tmp_path, schema(), record(id=1, name=""), record(id=2, name=None), null_value="\\N")
    assert [row["name"] for row in rows(tmp_path / "out/s.csv")] == ["", "\\N"]


@pytest.mark.parametrize("mode", ["replace", "append"])
def test_a_row_of_one_null_is_no_empty_line(tmp_path, mode):
    one = {"type": "object", "properties": {"v": {"type": ["null", "integer"]}}}
    head = json.dumps({"type": "SCHEMA", "stream": "s", "schema": one, "key_properties": []})
    run(tmp_path, head, record(v=None), record(v=1), record(), overwrite_behavior=mode)
    assert (tmp_path / "out/s.csv").read_bytes() == b'v\r\n""\r\n1\r\n""\r\n'


def test_names_of_streams_never_leave_the_folder(tmp_path):
    run(tmp_path, schema("../up/x"), record("../up/x", id=1), schema("A"), schema("a"))
    names = sorted(os.listdir(tmp_path / "out"))
    assert names == ["A.csv", "a.csv", "up-x--23b86917.csv"]


def test_an_unknown_setting_is_refused_by_name(tmp_path):
    done = run(tmp_path, schema(), code=1, stream_maps={})
    assert b"'stream_maps' was unexpected" in done.stderr


def test_about_lists_the_settings():
    done = subprocess.run([*COMMAND, "--about", "--format", "json"], capture_output=True, check=True)
    settings = json.loads(done.stdout)["settings"]["properties"]
    assert list(settings) == [
        "output_path",
        "overwrite_behavior",
        "null_value",
        "lock_wait_s",
        "nan",
        "reject_file",
        "max_rejects",
    ]


def test_append_makes_each_checkpoint_durable(tmp_path):
    from flow_singer.datapackage.sink import Loader

    sink = AppendedFiles(tmp_path / "out", null="", notice=pytest.fail)
    emitted = []

    def emit(value):
        emitted.append((value, rows(tmp_path / "out/s.csv")))

    now = [0.0]
    loader = Loader(sink, emit_state=emit, clock=lambda: now[0])
    loader.push(f'{schema()}\n{record(id=1)}\n{{"type":"STATE","value":1}}\n'.encode())
    assert emitted == []
    now[0] = 11.0
    loader.tick()
    assert emitted == [(b"1", [{"id": "1", "name": ""}])]
    sink.abandon()
    assert rows(tmp_path / "out/s.csv") == [{"id": "1", "name": ""}]


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize("wrong", [{"properties": []}, {"properties": None}, [], "x"], ids=json.dumps)
def test_a_schema_of_the_wrong_shape_is_refused(tmp_path, mode, wrong):
    message = {"type": "SCHEMA", "stream": "s", "schema": wrong, "key_properties": []}
    done = run(tmp_path, json.dumps(message), record(id=1), code=1, overwrite_behavior=mode)
    assert b"The SCHEMA of stream 's' has no object in" in done.stderr
    assert not list((tmp_path / "out").glob("*.csv"))


@pytest.mark.parametrize("mode", ["replace", "append"])
@pytest.mark.parametrize(
    "stream",
    [
        "\U0001f600" * 100,
        "x" * 10_000,
        "..",
        " ",
        "trailing. ",
        "CON",
        "e\u0301",
        "a\x00b\n",
        "日" * 100,
        "-rf",
        "~",
    ],
    ids=ascii,
)
def test_every_name_of_a_stream_has_a_file(tmp_path, mode, stream):
    for number in (1, 2):
        run(tmp_path, schema(stream), record(stream, id=number), overwrite_behavior=mode)
    (path,) = (tmp_path / "out").iterdir()
    assert [row["id"] for row in rows(path)] == (["1", "2"] if mode == "append" else ["2"])
