from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from flow_singer.errors import ConfigError, DataError
from flow_singer.project.meltanofile import load_project
from flow_singer.state.bookmarks import open_store
from flow_singer.state.documents import StateStore, deep_merge, is_empty, run_lock, state_id
from flow_singer.state.statefolder import FolderStore
from flow_singer.state.systemdb import SqliteStore

ID = "dev:tap-demo-to-target-csv"
EXACT = b'{"bookmarks":{"b":{"v":1.10,"n":1180591620717411303424,"t":"\\u00e9"},"a":{"v":1E5}}}'


def project_with(
    root: Path, settings: dict[str, Any], *, dotenv: str = "", environ: dict[str, str] | None = None
):
    (root / "meltano.yml").write_text(json.dumps(settings))
    (root / ".env").write_text(dotenv)
    return load_project(root, environ=environ or {})


@pytest.fixture(params=["folder", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "state")
    return SqliteStore(tmp_path / "sys" / "meltano.db")


def test_state_id_has_environment_tap_target_and_suffix():
    assert state_id("dev", "tap-a", "target-b") == "dev:tap-a-to-target-b"
    assert state_id("dev", "tap-a", "target-b", "eu") == "dev:tap-a-to-target-b:eu"
    assert state_id("dev", "tap-a", "target-b", "") == "dev:tap-a-to-target-b"
    assert state_id(None, "tap-a", "target-b") == "tap-a-to-target-b"


@pytest.mark.parametrize(
    "parts", [("d:v", "t", "x"), ("dev", "t:p", "x"), ("dev", "t", "x:"), ("dev", "t", "x", "a:b")]
)
def test_a_delimiter_inside_a_name_is_refused(parts):
    with pytest.raises(ConfigError, match="which separates the parts of a state id"):
        state_id(*parts)


@pytest.mark.parametrize("bad", ["", "../up", "a/b", ".hidden", "nul\0", "x" * 300])
def test_an_id_that_cannot_name_a_folder_is_refused_by_every_store(store, bad):
    for call in (lambda: store.get(bad), lambda: store.set(bad, EXACT), lambda: store.clear(bad)):
        with pytest.raises(ConfigError, match="cannot be a state id"):
            call()


def test_a_value_comes_back_byte_for_byte(store):
    assert store.set(ID, EXACT + b"\n")
    assert store.get(ID) == EXACT


def test_an_unknown_bookmark_is_none_and_makes_nothing_on_disk(store, tmp_path):
    assert store.get(ID) is None
    assert store.list() == ()
    assert not store.clear(ID)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("nothing", [b"", b"{}", b"null", b" { } \n", b"[]", b'""', b"false"])
def test_an_empty_state_never_wipes_a_bookmark(store, nothing):
    store.set(ID, EXACT)
    assert not store.set(ID, nothing)
    assert not store.merge_partial(ID, nothing)
    assert store.get(ID) == EXACT


def test_a_state_that_says_something_is_not_empty():
    assert not is_empty(b'{"a":{}}')
    assert not is_empty(b"1")


@pytest.mark.parametrize("broken", [b'{"a":', b"INFO done", b'{"a":NaN}', b'{"a":"\xff"}'])
def test_a_value_that_is_not_json_is_refused_and_changes_nothing(store, broken):
    store.set(ID, EXACT)
    with pytest.raises(DataError, match="is not JSON"):
        store.set(ID, broken)
    assert store.get(ID) == EXACT


def test_a_full_refresh_keeps_the_streams_it_did_not_visit(store):
    store.set(ID, b'{"bookmarks":{"users":{"id":16},"issues":{"v":1.10}}}')
    store.merge_partial(ID, b'{"bookmarks":{"users":{"id":2}}}')
    store.merge_partial(ID, b'{"bookmarks":{"users":{"id":3}},"currently_syncing":null}')
    assert store.get(ID) == (b'{"bookmarks":{"users":{"id":3},"issues":{"v":1.10}},"currently_syncing":null}')
    store.set(ID, b'{"bookmarks":{"users":{"id":6}}}')
    assert store.get(ID) == b'{"bookmarks":{"users":{"id":6}}}'


def test_a_partial_state_alone_can_be_resumed_from(store):
    store.merge_partial(ID, EXACT)
    assert store.get(ID) == EXACT


@pytest.mark.parametrize(
    ("base", "over", "merged"),
    [
        (b'{"a":{"x":1.0,"y":2},"b":[1]}', b'{"a":{"y":3.50},"b":[2]}', b'{"a":{"x":1.0,"y":3.50},"b":[2]}'),
        (b'{"a":1}', b'{"a":{"b":1}}', b'{"a":{"b":1}}'),
        (b'{"a":{"b":1}}', b'{"a":null}', b'{"a":null}'),
        (b"7", b"8", b"8"),
    ],
)
def test_deep_merge_goes_through_objects_and_replaces_the_rest(base, over, merged):
    assert deep_merge(base, over) == merged


def test_clear_forgets_one_bookmark_and_list_takes_a_glob(store):
    for name in ("dev:a-to-b", "dev:c-to-b", "prod:a-to-b"):
        store.set(name, EXACT)
    assert store.list() == ("dev:a-to-b", "dev:c-to-b", "prod:a-to-b")
    assert store.list("dev:*") == ("dev:a-to-b", "dev:c-to-b")
    assert store.clear("dev:a-to-b")
    assert store.list("*a-to-b") == ("prod:a-to-b",)
    assert store.get("dev:a-to-b") is None


def test_a_document_has_meltano_s_shape(tmp_path):
    store = FolderStore(tmp_path)
    store.set(ID, b'{"x":1}')
    file = tmp_path / ID / "state.json"
    assert json.loads(file.read_text()) == {"completed": {"singer_state": {"x": 1}}, "partial": {}}
    store.merge_partial(ID, b'{"y":2}')
    assert json.loads(file.read_text()) == {
        "completed": {"singer_state": {"x": 1}},
        "partial": {"singer_state": {"y": 2}},
    }


@pytest.mark.parametrize(
    ("document", "value"),
    [
        ('{"completed": {"singer_state": {"x": 1}}}', b'{"x": 1}'),
        ('{"completed": null, "partial": {"singer_state": {"x": 1}}}', b'{"x": 1}'),
        ('{"completed": {"singer_state": {}}, "partial": {}}', None),
        ("{}", None),
    ],
)
def test_documents_of_others_with_missing_or_null_parts_are_read(tmp_path, document, value):
    (tmp_path / ID).mkdir()
    (tmp_path / ID / "state.json").write_text(document)
    assert FolderStore(tmp_path).get(ID) == value


def test_a_torn_document_is_an_error_that_names_the_file(tmp_path):
    store = FolderStore(tmp_path)
    store.set(ID, b'{"x":1}')
    store.set(ID, b'{"x":2}')
    file = tmp_path / ID / "state.json"
    file.write_text('{"completed": {"sing')
    with pytest.raises(ConfigError, match=r"state\.json is not a bookmark") as caught:
        store.get(ID)
    assert "previous.json" in str(caught.value)
    os.replace(tmp_path / ID / "previous.json", file)
    assert store.get(ID) == b'{"x":1}'


@pytest.mark.parametrize("content", ["1000000000.5", ""])
def test_an_orphaned_lock_file_is_taken_over(tmp_path, content):
    lock = tmp_path / ID / "lock"
    lock.parent.mkdir()
    lock.write_text(content)
    os.utime(lock, (1e9, 1e9))
    store = FolderStore(tmp_path)
    store.set(ID, b'{"x":1}')
    assert store.get(ID) == b'{"x":1}'
    assert not lock.exists()


def test_a_fresh_lock_file_of_another_writer_is_waited_for(tmp_path, monkeypatch):
    import time

    lock = tmp_path / ID / "lock"
    lock.parent.mkdir()
    lock.write_text(str(time.time()))
    waits = []

    def other_writer_finishes(seconds):
        waits.append(seconds)
        lock.unlink()

    monkeypatch.setattr("flow_singer.state.statefolder.time.sleep", other_writer_finishes)
    FolderStore(tmp_path).set(ID, b'{"x":1}')
    assert len(waits) == 1


def test_a_new_system_database_has_meltano_s_tables(tmp_path):
    path = tmp_path / "meltano.db"
    SqliteStore(path).set(ID, EXACT)
    with contextlib.closing(sqlite3.connect(path)) as database:
        columns = {
            table: [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            for table in ("state", "runs", "plugin_settings", "alembic_version")
        }
        row = database.execute("SELECT state_id, completed_state, partial_state FROM state").fetchall()
        head = database.execute("SELECT version_num FROM alembic_version").fetchall()
        journal = database.execute("PRAGMA journal_mode").fetchone()[0]
    assert columns == {
        "state": ["state_id", "partial_state", "completed_state", "updated_at"],
        "runs": [
            *("id", "job_name", "state", "started_at", "ended_at", "payload", "payload_flags", "run_id"),
            *("trigger", "last_heartbeat_at"),
        ],
        "plugin_settings": ["label", "description", "name", "namespace", "value", "enabled"],
        "alembic_version": ["version_num"],
    }
    assert row == [(ID, '{"singer_state": ' + EXACT.decode() + "}", "{}")]
    assert head == [("c0efb3c314eb",)]
    assert journal == "wal"


def test_a_foreign_database_is_never_touched(tmp_path):
    path = tmp_path / "other.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine (x)")
    with pytest.raises(ConfigError, match="no table 'state'"):
        SqliteStore(path).set(ID, EXACT)
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("SELECT name FROM sqlite_master").fetchall() == [("mine",)]


def test_a_file_that_is_no_database_is_a_clear_error(tmp_path):
    path = tmp_path / "meltano.db"
    path.write_text("hello, not a database" * 100)
    with pytest.raises(ConfigError, match=r"meltano\.db cannot be used"):
        SqliteStore(path).get(ID)


def test_a_null_column_of_the_system_database_is_no_state(tmp_path):
    store = SqliteStore(tmp_path / "meltano.db")
    store.set("a-to-b", EXACT)
    with contextlib.closing(sqlite3.connect(store.path)) as database, database:
        database.execute("UPDATE state SET completed_state = NULL, partial_state = 'null'")
    assert store.get("a-to-b") is None


WRITER = """
import sys
from pathlib import Path
from flow_singer.project.meltanofile import load_project
from flow_singer.state.statefolder import FolderStore
from flow_singer.state.systemdb import SqliteStore
kind, path = sys.argv[1:]
store = FolderStore(Path(path), lock_timeout_s=0.1) if kind == "folder" else SqliteStore(Path(path))
padding = "x" * 20_000
last = int((store.get("a-to-b") or b'{"n":0').removeprefix(b'{"n":').split(b",")[0])
while True:
    last += 1
    store.set("a-to-b", b'{"n":%d,"pad":"%s"}' % (last, padding.encode()))
    print(last, flush=True)
"""


@pytest.mark.parametrize("kind", ["folder", "sqlite"])
def test_l9_after_kill_9_the_bookmark_is_a_whole_earlier_or_later_value(tmp_path, kind):
    path = tmp_path / "store"
    store = FolderStore(path) if kind == "folder" else SqliteStore(path)
    chance = random.Random(2)
    confirmed = 0
    for _ in range(8):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, kind, str(path)], stdout=subprocess.PIPE
        ) as writer:
            for _ in range(chance.randint(1, 12)):
                confirmed = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            confirmed = int((writer.stdout.read().split() or [confirmed])[-1])
        value = json.loads(store.get("a-to-b"))
        assert value["pad"] == "x" * 20_000
        assert value["n"] in (confirmed, confirmed + 1)  # durable once confirmed; the next may have made it


KILLED_AT_EVERY_LINE = """
import os, signal, sys
from pathlib import Path
from flow_singer.state.statefolder import FolderStore

store = FolderStore(Path(sys.argv[1]), lock_timeout_s=0.0)
WRITERS = {"write_bytes", "write_text"}  # of pathlib: a kill inside them would tear a file
old, new = (b'{"v":"%s"}' % (letter * 20_000) for letter in (b"o", b"n"))
at = 0
while True:
    store.set("a-to-b", old)
    child = os.fork()
    if child == 0:
        lines = 0

        def trace(frame, event, argument):
            global lines
            if "flow_singer" not in frame.f_code.co_filename and frame.f_code.co_name not in WRITERS:
                return None
            if event == "line":
                lines += 1
                if lines > at:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        store.set("a-to-b", new)
        sys.settrace(None)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    value = store.get("a-to-b")
    assert value in (old, new), (at, value)
    if code == 0:
        break
    at += 1
assert value == new
print(at)
"""


def test_l9_a_kill_at_any_line_of_a_write_leaves_the_old_or_the_new_value(tmp_path):
    killed = subprocess.check_output([sys.executable, "-c", KILLED_AT_EVERY_LINE, str(tmp_path)])
    assert int(killed) > 30


def test_a_project_keeps_its_bookmarks_in_the_system_database_by_default(tmp_path):
    store = open_store(project_with(tmp_path, {}), environ={}, cwd=tmp_path)
    assert isinstance(store, SqliteStore)
    assert store.path == tmp_path / ".meltano" / "meltano.db"


def test_without_a_project_bookmarks_are_beside_the_data(tmp_path):
    store = open_store(None, environ={"MELTANO_STATE_BACKEND_URI": "s3://x"}, cwd=tmp_path)
    assert isinstance(store, FolderStore)
    assert store.folder == tmp_path / ".flow" / "state"


@pytest.mark.parametrize(
    ("environ", "dotenv", "yml", "folder"),
    [
        (
            {"MELTANO_STATE_BACKEND_URI": "file:///e"},
            "MELTANO_STATE_BACKEND_URI=file:///d",
            "file:///y",
            "/e",
        ),
        ({}, "MELTANO_STATE_BACKEND_URI=file:///d", "file:///y", "/d"),
        ({"X": "/x"}, "", "file://${X}/y", "/x/y"),
        ({"MELTANO_STATE_BACKEND_URI": "file:///${X}"}, "", None, "/${X}"),
    ],
    ids=["environment variable first", "then .env", "then meltano.yml, expanded", "a variable is literal"],
)
def test_the_state_backend_is_looked_up_in_layers(tmp_path, environ, dotenv, yml, folder):
    project = project_with(tmp_path, {"state_backend": {"uri": yml}}, dotenv=dotenv, environ=environ)
    store = open_store(project, environ=environ, cwd=tmp_path)
    assert isinstance(store, FolderStore)
    assert store.folder == Path(folder)


def test_the_database_uri_may_be_relative_to_the_project(tmp_path):
    for uri, path in (
        ("sqlite:///state.db", tmp_path / "state.db"),
        ("sqlite:////var/x.db?timeout=3", Path("/var/x.db")),
        ("sqlite:///$MELTANO_SYS_DIR_ROOT/m.db", tmp_path / ".meltano" / "m.db"),
    ):
        store = open_store(project_with(tmp_path, {"database_uri": uri}), environ={}, cwd=tmp_path)
        assert isinstance(store, SqliteStore)
        assert store.path == path


@pytest.mark.parametrize("uri", ["s3://key:hunter2@b/p", "gs://b", "azure://c", "snowflake://x"])
def test_other_backends_are_refused_by_name_and_without_their_secrets(tmp_path, uri):
    project = project_with(tmp_path, {"state_backend": {"uri": uri}})
    with pytest.raises(ConfigError, match=f"'{uri.split(':')[0]}' is not supported yet") as caught:
        open_store(project, environ={}, cwd=tmp_path)
    assert "hunter2" not in str(caught.value)
    assert "file:///FOLDER" in str(caught.value)


def test_a_database_server_is_refused_without_its_password(tmp_path):
    project = project_with(tmp_path, {"database_uri": "postgresql+psycopg://me:hunter2@db/x"})
    with pytest.raises(ConfigError, match="'postgresql\\+psycopg', which is not supported yet") as caught:
        open_store(project, environ={}, cwd=tmp_path)
    assert "hunter2" not in str(caught.value)


HOLDER = """
import sys
from pathlib import Path
from flow_singer.project.meltanofile import load_project
from flow_singer.state.documents import run_lock
with run_lock(Path(sys.argv[1]), "a-to-b"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_runs_of_one_bookmark_never_overlap_and_a_kill_frees_it(tmp_path):
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline() == b"held\n"
        with (
            pytest.raises(ConfigError, match=f"Another run of a-to-b is under way .process {holder.pid} on "),
            run_lock(tmp_path, "a-to-b"),
        ):
            pass
        with run_lock(tmp_path, "other-to-b"):
            pass
        holder.kill()
    with run_lock(tmp_path, "a-to-b"), pytest.raises(ConfigError, match=f"process {os.getpid()} on "):
        run_lock(tmp_path, "a-to-b").__enter__()
