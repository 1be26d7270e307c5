"""`new_files`: a run reads only files that no run has read, and its STATE says which those are."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from command import Result
from flow_tap_datapackage.tap import TapDataPackage

from flow_singer.errors import ConfigError, DataError

from .tapmessages import Message, bookmark, messages_of, own_signal_handlers, records

Flow = Callable[..., Result]

# The SDK warns for half a year before a Python reaches its end of life: the date must not fail the tests.
pytestmark = pytest.mark.filterwarnings("ignore:Python 3.* end of life:FutureWarning")


@pytest.fixture(autouse=True)
def _own_signal_handlers():
    with own_signal_handlers():
        yield


@pytest.fixture(autouse=True)
def logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of two files, in the folder of the test."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "logs"
    folder.mkdir()
    put(folder / "day-1.jsonl", 1, 2)
    put(folder / "day-2.jsonl", 3)
    return folder


def put(file: Path, *ids: Any) -> None:
    file.write_text("".join(json.dumps({"id": one}) + "\n" for one in ids))


def sync(state: Any = None, catalog: Any = None, **config: Any) -> list[Message]:
    config = {"path": "logs/*.jsonl", "new_files": "time", **config}
    config = {name: value for name, value in config.items() if value is not None}
    return messages_of(TapDataPackage, config, catalog=catalog, state=state)


def ids(messages: list[Message]) -> list[Any]:
    return [one["id"] for one in records(messages)]


def noted(messages: list[Message], stream: str = "day") -> list[str]:
    return list(bookmark(messages)["bookmarks"][stream]["files"])


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    found = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    caplog.clear()
    return found


@pytest.mark.parametrize("how", ["time", "size", "hash"])
def test_a_run_reads_only_files_that_no_run_has_read(logs: Path, how: str) -> None:
    first = sync(new_files=how)
    assert ids(first) == [1, 2, 3]
    put(logs / "day-3.jsonl", 4)
    second = sync(bookmark(first), new_files=how)
    assert ids(second) == [4]
    assert noted(second) == [f"logs/day-{day}.jsonl" for day in (1, 2, 3)]


def test_without_the_setting_all_files_are_read_and_no_file_is_noted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert "files" not in json.dumps(bookmark(sync(new_files=None)))
    again = sync(bookmark(sync()), new_files=None)
    assert ids(again) == [1, 2, 3]
    assert "files" not in json.dumps(bookmark(again))
    assert told(caplog) == [
        "'day': all files are read, also those that the bookmark notes as read, as 'new_files' is not set."
    ]


def test_no_new_file_is_a_schema_and_no_record(caplog: pytest.LogCaptureFixture) -> None:
    state = bookmark(sync())
    again = sync(state)
    assert [one["type"] for one in again if one["type"] != "STATE"] == ["SCHEMA"]
    assert bookmark(again) == state
    assert told(caplog) == ["logs/*.jsonl: no new file; 2 files were read before."]


@pytest.mark.parametrize(
    ("how", "is_read"), [("time", True), ("size", False), ("hash", False)], ids=["time", "size", "hash"]
)
def test_a_file_that_was_touched(logs: Path, how: str, is_read: bool) -> None:
    state = bookmark(sync(new_files=how))
    os.utime(logs / "day-1.jsonl", ns=(1, 1))
    assert ids(sync(state, new_files=how)) == ([1, 2] if is_read else [])


@pytest.mark.parametrize("how", ["time", "hash"])
def test_a_file_that_has_changed_is_read_again_whole_and_told(
    logs: Path, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    state = bookmark(sync(new_files=how))
    put(logs / "day-1.jsonl", 1, 5)
    again = sync(state, new_files=how)
    assert ids(again) == [1, 5]
    assert told(caplog) == ["'logs/day-1.jsonl' has changed since it was read, and is read again, whole."]
    assert ids(sync(bookmark(again), new_files=how)) == []
    for day in (1, 2):
        put(logs / f"day-{day}.jsonl", 7, 8, 9)
    sync(state, new_files=how)
    assert told(caplog)[1:] == [
        "2 files have changed since they were read, and are read again, whole: 'logs/day-1.jsonl', 'logs/day-2.jsonl'."
    ]


def test_a_file_that_is_gone_is_forgotten_and_told(logs: Path, caplog: pytest.LogCaptureFixture) -> None:
    state = bookmark(sync())
    (logs / "day-1.jsonl").rename(logs / "day-1.kept")
    again = sync(state)
    assert noted(again) == ["logs/day-2.jsonl"]
    assert told(caplog)[0] == (
        "'logs/day-1.jsonl' was read before and is gone: it is forgotten, and read again if it comes back."
    )
    (logs / "day-1.kept").rename(logs / "day-1.jsonl")
    assert ids(sync(bookmark(again))) == [1, 2]


def test_two_files_of_one_content_are_two(logs: Path) -> None:
    state = bookmark(sync(new_files="hash"))
    put(logs / "day-3.jsonl", 3)
    assert ids(sync(state, new_files="hash")) == [3]


def test_the_way_may_change_and_no_file_is_read_again(logs: Path) -> None:
    state = bookmark(sync())
    for how in ("hash", "size", "time"):
        again = sync(state, new_files=how)
        assert ids(again) == []
        state = bookmark(again)
    assert state == bookmark(sync())
    put(logs / "day-2.jsonl", 3, 4)
    assert ids(sync(state, new_files="hash")) == [3, 4]


def test_a_state_names_only_files_whose_records_came_before_it() -> None:
    seen: list[Any] = []
    states = []
    for one in sync():
        if one["type"] == "RECORD":
            seen.append(one["record"]["id"])
        elif one["type"] == "STATE":
            files = one["value"].get("bookmarks", {}).get("day", {}).get("files", {})
            states.append((list(files), list(seen)))
    assert (["logs/day-1.jsonl"], [1, 2]) in states
    assert states[-1] == (["logs/day-1.jsonl", "logs/day-2.jsonl"], [1, 2, 3])


def test_stream_maps_take_the_way_of_the_sdk_with_the_same_states() -> None:
    maps = {"day": {"id": "id", "twice": "id * 2", "__else__": None}}
    plain, mapped = sync(), sync(stream_maps=maps)
    assert records(mapped) == [{"id": one, "twice": 2 * one} for one in (1, 2, 3)]

    def order(messages: list[Message]) -> list[Any]:
        return [one.get("value", one["type"]) for one in messages]

    assert order(mapped) == order(plain)
    assert ids(sync(bookmark(mapped), stream_maps=maps)) == []


def test_a_run_that_fails_in_a_file_has_noted_those_before(logs: Path) -> None:
    put(logs / "day-2.jsonl", 3, "x")
    with pytest.raises(DataError, match="row or line 2") as caught:
        sync(sample_rows=1)
    state = bookmark(caught.value.messages)  # type: ignore[attr-defined]
    assert list(state["bookmarks"]["day"]["files"]) == ["logs/day-1.jsonl"]
    put(logs / "day-2.jsonl", 3)
    assert ids(sync(state)) == [3]


def test_a_file_that_changes_while_it_is_read_is_not_noted(logs: Path, monkeypatch: Any) -> None:
    from flow_singer.reading.newfiles import NewFiles

    unread = NewFiles.unread

    def late(self: NewFiles) -> Any:
        """Somebody writes to the second file when its fingerprint was taken, before its rows are read."""
        for file in unread(self):
            if file.name.endswith("day-2.jsonl"):
                put(logs / "day-2.jsonl", 3, 4)
            yield file

    monkeypatch.setattr(NewFiles, "unread", late)
    with pytest.raises(DataError, match=r"day-2\.jsonl .*was changed while it was read") as caught:
        sync()
    assert noted(caught.value.messages) == ["logs/day-1.jsonl"]  # type: ignore[attr-defined]


def test_a_tap_that_is_told_to_end_has_noted_what_it_wrote_whole(logs: Path, tmp_path: Path) -> None:
    with (logs / "day-2.jsonl").open("w") as file:
        file.writelines(json.dumps({"id": one, "text": "x" * 900}) + "\n" for one in range(3, 3_003))
    (tmp_path / "config.json").write_text(json.dumps({"path": "logs/*.jsonl", "new_files": "time"}))
    command = [sys.executable, "-m", "flow_tap_datapackage", "--config", "config.json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as tap:
        assert tap.stdout is not None
        lines = [tap.stdout.readline() for _ in range(6)]
        assert b'"id":3,' in b"".join(lines).replace(b": ", b":")
        tap.send_signal(signal.SIGTERM)
        lines += tap.stdout.readlines()
        tap.wait(60)
    messages = [json.loads(line) for line in lines]
    assert noted(messages) == ["logs/day-1.jsonl"]
    assert len(records(messages)) < 3_002


def test_many_files_do_not_make_states_that_outgrow_the_records(logs: Path) -> None:
    for one in range(600):
        put(logs / f"{'day-' * 40}{one}.jsonl", one)
    messages = sync()
    states = [one for one in messages if one["type"] == "STATE"]
    assert len(noted(messages)) == 602
    large = [one for one in states if len(json.dumps(one)) > 80_000]
    assert len(large) == 1


def test_files_of_a_folder_are_streams_and_each_has_its_own(
    logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = sync(path="logs/")
    assert noted(first, "day-1") == ["logs/day-1.jsonl"]
    assert noted(first, "day-2") == ["logs/day-2.jsonl"]
    again = sync(bookmark(first), path="logs/")
    assert ids(again) == []
    assert told(caplog) == ["logs/: no new file; 2 files were read before."]
    put(logs / "day-3.jsonl", 4)
    (logs / "day-1.jsonl").unlink()
    third = sync(bookmark(first), path="logs/")
    assert ids(third) == [4]
    assert set(bookmark(third)["bookmarks"]) == {"day-2", "day-3"}
    assert told(caplog) == [
        "'logs/day-1.jsonl' was read before and is gone: it is forgotten, and read again if it comes back."
    ]


def test_one_file_is_read_once(logs: Path) -> None:
    first = sync(path="logs/day-1.jsonl")
    assert ids(first) == [1, 2]
    assert ids(sync(bookmark(first), path="logs/day-1.jsonl")) == []


def test_a_stream_that_would_get_another_name_is_refused(logs: Path) -> None:
    state = bookmark(sync())
    put(logs / "else.jsonl", 4)
    with pytest.raises(ConfigError) as caught:
        sync(state)
    assert caught.value.message == (
        "The files that were read as the stream 'day' are the stream 'logs' today, and would all be read again."
    )
    assert caught.value.hint == (
        "To go on, give the stream its name: 'stream': 'day'. To begin anew: --full-refresh."
    )
    assert ids(sync(state, stream="day")) == [4]


def test_types_are_those_of_all_files_also_of_those_that_are_not_read_again(logs: Path) -> None:
    (logs / "day-1.jsonl").write_text('{"id": "a", "only": 1.5}\n')
    first = sync()
    again = sync(bookmark(first))
    schemas = [one for one in (*first, *again) if one["type"] == "SCHEMA"]
    assert schemas[0] == schemas[1]


@pytest.mark.parametrize("form", ["csv", "parquet", "xlsx", "json", "csv.gz"])
def test_every_format(tmp_path: Path, form: str) -> None:
    import gzip

    import openpyxl
    import pyarrow as pa
    import pyarrow.parquet as pq

    def write(name: str, number: int) -> None:
        file = tmp_path / f"{name}.{form}"
        if form == "parquet":
            pq.write_table(pa.table({"id": [number]}), file)
        elif form == "xlsx":
            book = openpyxl.Workbook()
            for row in (["id"], [number]):
                book.active.append(row)
            book.save(file)
        elif form == "json":
            file.write_text(json.dumps([{"id": number}]))
        else:
            data = f"id\n{number}\n".encode()
            file.write_bytes(gzip.compress(data) if form.endswith("gz") else data)

    write("part-1", 1)
    write("part-2", 2)
    first = sync(path=f"part-*.{form}")
    assert ids(first) == [1, 2]
    write("part-3", 3)
    assert ids(sync(bookmark(first), path=f"part-*.{form}")) == [3]


# ------------------------------------------------------------------------------------------ packages


def package(folder: Path, resource: dict[str, Any]) -> None:
    folder.mkdir(exist_ok=True)
    fields = [{"name": "id", "type": "integer"}]
    whole = {"name": "r", "schema": {"fields": fields}, **resource}
    (folder / "datapackage.json").write_text(json.dumps({"resources": [whole]}))


@pytest.mark.parametrize("how", ["time", "hash"])
def test_each_path_of_a_resource_is_a_file(tmp_path: Path, how: str) -> None:
    for one in (1, 2, 3):
        (tmp_path / "p").mkdir(exist_ok=True)
        (tmp_path / "p" / f"{one}.csv").write_text(f"id\n{one}\n")
    package(tmp_path / "p", {"path": ["1.csv", "2.csv"], "rows": 2})
    first = sync(path="p/", new_files=how)
    assert ids(first) == [1, 2]
    assert noted(first, "r") == ["p/1.csv", "p/2.csv"]
    package(tmp_path / "p", {"path": ["1.csv", "2.csv", "3.csv"], "rows": 3})
    assert ids(sync(bookmark(first), path="p/datapackage.json", new_files=how)) == [3]


def test_the_digest_that_a_descriptor_promises_is_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "1.csv").write_text("id\n1\n")
    digest = "sha256:" + "0" * 64
    package(tmp_path / "p", {"path": "1.csv", "hash": digest})
    state = {"bookmarks": {"r": {"files": {"p/1.csv": digest}}}}
    assert ids(sync(state, path="p/", new_files="hash")) == []
    with pytest.raises(DataError, match="its sha256 digest is another"):
        sync(path="p/", new_files="hash")
    trusted = sync(path="p/", new_files="hash", trust=True)
    assert bookmark(trusted)["bookmarks"]["r"]["files"] != state["bookmarks"]["r"]["files"]


def test_rows_in_a_descriptor_are_no_files(tmp_path: Path) -> None:
    package(tmp_path / "p", {"data": [{"id": 1}]})
    with pytest.raises(ConfigError) as caught:
        sync(path="p/")
    assert caught.value.message == (
        "'new_files' does nothing for the stream 'r': its rows stand in the descriptor of p/, not in files."
    )


@pytest.mark.parametrize("how", ["time", "size"])
def test_files_in_an_archive_have_no_times(tmp_path: Path, how: str) -> None:
    import shutil

    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "1.csv").write_text("id\n1\n")
    package(tmp_path / "p", {"path": "1.csv"})
    shutil.make_archive("p", "zip", "p")
    with pytest.raises(ConfigError) as caught:
        sync(path="p.zip", new_files=how)
    assert caught.value.message == (
        f"'new_files' is '{how}', but nobody says of p.zip/1.csv how large it is and when it was changed before it is "
        "fetched."
    )
    first = sync(path="p.zip", new_files="hash")
    assert ids(first) == [1]
    assert ids(sync(bookmark(first), path="p.zip", new_files="hash")) == []


# ------------------------------------------------------------------------------------------ refused


def test_a_replication_key_beside_it_is_refused() -> None:
    with pytest.raises(ConfigError, match="'new_files' and 'replication_key' both say what is new"):
        sync(replication_key="id")


@pytest.mark.parametrize(
    ("entry", "by"),
    [
        ({"replication_method": "FULL_TABLE"}, "FULL_TABLE"),
        ({"replication_key": "id"}, "INCREMENTAL with the replication key 'id'"),
    ],
    ids=["full-table", "key"],
)
def test_another_method_of_the_catalog_is_refused(entry: dict[str, Any], by: str) -> None:
    catalog = TapDataPackage(config={"path": "logs/*.jsonl", "new_files": "time"}).catalog_dict
    assert catalog["streams"][0]["replication_method"] == "INCREMENTAL"
    for stream in catalog["streams"]:
        stream.update(entry)
        stream["metadata"][0]["metadata"].pop("forced-replication-method", None)
        for item in stream["metadata"]:
            item["metadata"]["selected"] = True
    with pytest.raises(ConfigError) as caught:
        sync(catalog=catalog)
    assert caught.value.message == f"Stream 'day' cannot be read by {by}: 'new_files' says what is new."


@pytest.mark.parametrize("files", [{"logs/day-1.jsonl": "yesterday"}, {"logs/day-1.jsonl": 5}, ["a"]])
def test_a_bookmark_that_was_written_wrong_is_refused(files: Any) -> None:
    with pytest.raises(ConfigError, match="The bookmark") as caught:
        sync({"bookmarks": {"day": {"files": files}}})
    assert "flow state set" in caught.value.hint


# ------------------------------------------------------------------------------------------ through Flow


def rows_of(flow: Flow, package: str) -> list[Any]:
    found = flow("run", package)
    assert found.code == 0, found.stderr
    return [one["record"]["id"] for one in found.messages if one["type"] == "RECORD"]


def test_a_package_grows_by_what_is_in_new_files(logs: Path, tmp_path: Path, flow: Flow) -> None:
    (tmp_path / "meltano.yml").write_text(
        "version: 1\nplugins:\n  extractors:\n  - name: tap-datapackage\n    config: {new_files: time}\n"
    )
    words = ("run", "logs/*.jsonl", "out/", "--write-mode", "append")
    first = flow(*words)
    assert first.code == 0, first.stderr
    assert rows_of(flow, "out/") == [1, 2, 3]
    put(logs / "day-3.jsonl", 4)
    second = flow(*words)
    assert second.code == 0, second.stderr
    third = flow(*words)
    assert third.code == 0, third.stderr
    assert "Warning: logs/*.jsonl: no new file; 3 files were read before." in third.stderr
    assert rows_of(flow, "out/") == [1, 2, 3, 4]
    assert len(list((tmp_path / "out" / "data").iterdir())) == 2


def test_a_table_grows_by_what_is_in_new_files(logs: Path, tmp_path: Path, flow: Flow) -> None:
    words = ("run", "logs/*.jsonl", "--config", '{"new_files": "hash"}', "target-csv")

    def table() -> str:
        return (tmp_path / "output" / "day.csv").read_text()

    assert flow(*words).code == 0
    put(logs / "day-3.jsonl", 4)
    assert flow(*words, "--limit", "1").code == 0  # moves no bookmark
    assert table() == "id\n1\n2\n3\n1\n"
    assert flow(*words).code == 0
    assert flow(*words).code == 0
    assert table() == "id\n1\n2\n3\n1\n4\n"
    assert flow(*words, "--full-refresh").code == 0
    assert table() == "id\n1\n2\n3\n1\n4\n1\n2\n3\n4\n"


def test_a_package_is_read_by_what_it_has_grown_by(logs: Path, tmp_path: Path, flow: Flow) -> None:
    read = ("run", "out/", "--config", '{"new_files": "hash"}', "target-csv")
    for day in (3, 4):
        assert (
            flow(
                "run", "logs/*.jsonl", "--config", '{"new_files": "time"}', "out/", "--write-mode", "append"
            ).code
            == 0
        )
        found = flow(*read)
        assert found.code == 0, found.stderr
        put(logs / f"day-{day}.jsonl", 1 + day)
    assert (tmp_path / "output" / "day.csv").read_text() == "id\n1\n2\n3\n4\n"
    parts = json.loads((tmp_path / "out" / "datapackage.json").read_text())["resources"][0]["flow:parts"]
    (state,) = (tmp_path / ".flow" / "state").rglob("state.json")
    files = json.loads(state.read_text())["completed"]["singer_state"]["bookmarks"]["day"]["files"]
    assert files == {f"out/{one['path']}": one["hash"] for one in parts}


def test_a_file_that_is_no_stream_of_the_catalog_is_told(
    logs: Path, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = TapDataPackage(config={"path": "logs/", "new_files": "time"}).catalog_dict
    for stream in catalog["streams"]:
        for item in stream["metadata"]:
            item["metadata"]["selected"] = True
    put(logs / "day-3.jsonl", 4)
    assert ids(sync(catalog=catalog, path="logs/")) == [1, 2, 3]
    assert told(caplog) == ["day-3: left out, as the catalog does not have it; discover it anew."]


def test_files_on_a_server_have_no_times(tmp_path: Path, flow: Flow) -> None:
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{server.server_port}/logs/day-1.jsonl"
        refused = flow("run", url, "--config", '{"new_files": "size"}', "target-csv")
        words = ("run", url, "--config", '{"new_files": "hash"}', "target-csv")
        done = [flow(*words), flow(*words)]
        server.shutdown()
        thread.join()
    assert refused.code == 2
    assert (
        f"'new_files' is 'size', but nobody says of {url} how large it is and when it was changed before it is fetched."
        in refused.stderr
    )
    assert "Take 'hash', which goes by what is in it" in refused.stderr
    assert [one.code for one in done] == [0, 0], done[0].stderr
    assert (tmp_path / "output" / "day-1.csv").read_text() == "id\n1\n2\n"
