"""What a bookmark says: its streams, and how it is read from a text."""

from __future__ import annotations

import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flow_singer.errors import ConfigError
from flow_singer.state.documents import StateStore
from flow_singer.state.statefolder import FolderStore
from flow_singer.state.statevalues import read_state_text, streams_of, without_streams
from flow_singer.state.systemdb import SqliteStore

ID = "dev:a-to-b"


@pytest.fixture(params=["folder", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    if request.param == "folder":
        return FolderStore(tmp_path / "state")
    return SqliteStore(tmp_path / "meltano.db")


@pytest.mark.parametrize(
    ("value", "streams"),
    [
        (b'{"bookmarks":{"b":1,"a":{}},"x":1}', ("b", "a")),
        (b'{"b":1,"currently_syncing":"b"}', ("b",)),
        (b'{"bookmarks":{}}', ()),
        (b'{"bookmarks":{"currently_syncing":1}}', ("currently_syncing",)),
        (b'{"bookmarks":[1]}', ()),
        (b"[1]", ()),
        (b"{torn", ()),
        (None, ()),
    ],
)
def test_the_streams_of_a_state_are_its_bookmarks(value: bytes | None, streams: tuple[str, ...]) -> None:
    assert streams_of(value) == streams


def test_what_stays_of_a_state_keeps_order_and_bytes() -> None:
    value = (
        b'{"v": 1.10, "bookmarks": {"a": 1, "b": {"n": 1180591620717411303424, "t":"\\u00e9"}}, "z": [1E5]}'
    )
    assert without_streams(value, ["a"]) == (
        b'{"v":1.10,"bookmarks":{"b":{"n": 1180591620717411303424, "t":"\\u00e9"}},"z":[1E5]}'
    )
    assert without_streams(b'{"a":1,"b":1.10}', ["a"]) == b'{"b":1.10}'


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b' {"a": 1.10}\n', b'{"a": 1.10}'),
        (b'{"singer_state": {"a": 1.10}}', b'{"a": 1.10}'),
        (b'{"singer_state": {"a": 1}, "error": "x"}', b'{"a": 1}'),
        (
            b'{"completed": {"singer_state": {"a": 1, "b": 2}}, "partial": {"singer_state": {"a": 3}}}',
            b'{"a":3,"b":2}',
        ),
        (b"{}", None),
        (b'{"singer_state": null}', None),
    ],
)
def test_a_state_is_read_in_each_form_that_is_written(text: bytes, value: bytes | None) -> None:
    assert read_state_text(text, "It") == value


def test_what_would_be_lost_beside_a_state_is_named() -> None:
    text = b'{"singer_state": {"a": 1}, "error": "x", "b": 2}'
    with pytest.raises(ConfigError, match="It has 'error', 'b' beside 'singer_state', which would be lost"):
        read_state_text(text, "It", alone=True)


@pytest.mark.parametrize("text", [b'{"a": "\xff"}', b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b""])
def test_a_text_that_is_no_json_is_refused_by_its_name(text: bytes) -> None:
    with pytest.raises(ConfigError, match=r"^It is no state: "):
        read_state_text(text, "It")


# ---------------------------------------------------------------------------------------- all of a store


def test_all_bookmarks_are_read_at_once(store: StateStore) -> None:
    assert store.read_all() == ()
    store.set("z", b'{"a":1.10}')
    store.set(ID, b'{"a":1}')
    store.merge_partial(ID, b'{"b":2}')
    found = store.read_all()
    assert [(one.state_id, one.value, one.problem) for one in found] == [
        (ID, b'{"a":1,"b":2}', None),
        ("z", b'{"a":1.10}', None),
    ]
    for one in found:
        assert one.saved_at is not None
        assert abs(datetime.now(UTC) - one.saved_at) < timedelta(minutes=5)
    assert [one.state_id for one in store.read_all("dev:*")] == [ID]


def test_a_bookmark_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    folder, database = FolderStore(tmp_path / "state"), SqliteStore(tmp_path / "meltano.db")
    for store in (folder, database):
        store.set("a", b'{"a":1}')
        store.set("b", b'{"a":1}')
    (tmp_path / "state" / "a" / "state.json").write_text("{torn")
    with contextlib.closing(sqlite3.connect(database.path)) as connection, connection:
        connection.execute("UPDATE state SET completed_state = '{torn' WHERE state_id = 'a'")
    for store in (folder, database):
        first, second = store.read_all()
        assert first.value is None
        assert first.problem
        assert (second.value, second.problem) == (b'{"a":1}', None)


@pytest.mark.parametrize("updated_at", [None, "yesterday", 7])
def test_a_time_that_cannot_be_read_is_left_out(tmp_path: Path, updated_at: object) -> None:
    store = SqliteStore(tmp_path / "meltano.db")
    store.set("a", b'{"a":1}')
    with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE state SET updated_at = ?", (updated_at,))
    (one,) = store.read_all()
    assert (one.value, one.saved_at) == (b'{"a":1}', None)


def test_meltano_s_time_is_utc(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "meltano.db")
    store.set("a", b'{"a":1}')
    with contextlib.closing(sqlite3.connect(store.path)) as connection, connection:
        connection.execute("UPDATE state SET updated_at = '2026-01-02 03:04:05.678900'")
    assert store.read_all()[0].saved_at == datetime(2026, 1, 2, 3, 4, 5, 678900, UTC)
