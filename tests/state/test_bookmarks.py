"""Which bookmark a run resumes from, what of Meltano's own options it heeds, and bookmarks of nonsense."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Result
from projects import FIXTURES, script, write_project
from streams import BOOKMARK, bookmark, bookmarked_id, framed, ids, messages

from flow_singer.errors import ConfigError, DataError
from flow_singer.state.documents import StateStore
from flow_singer.state.statefolder import FolderStore
from flow_singer.state.systemdb import SqliteStore

Flow = Callable[..., Result]

GOOD = b'{"bookmarks":{"s":{"id":3}}}'


def _project(root: Path, **entry: Any) -> Path:
    return write_project(
        root,
        taps={"tap-x": {"script": "counts.py", "config": {"count": 5}, **entry}},
        targets={"target-x": {"script": "durable.py", "config": {"rows": str(root / "rows")}}},
    )


def _store(root: Path) -> SqliteStore:
    return SqliteStore(root / ".meltano" / "meltano.db")


def _sent(result: Result) -> list[int]:
    assert result.code == 0, result.stderr
    return [one["record"]["id"] for one in result.messages if one["type"] == "RECORD"]


# ------------------------------------------------------------------------------------- the extra `state`


def test_the_state_of_the_project_is_looked_for_in_its_folder_and_goes_before_bookmarks(
    tmp_path: Path, flow: Flow
) -> None:
    _project(tmp_path, state="state.json")
    (tmp_path / "state.json").write_text('{"singer_state": {"bookmarks": {"s": {"id": 2}}}}')
    (tmp_path / "deep").mkdir()
    _store(tmp_path).set(BOOKMARK, b'{"bookmarks":{"s":{"id":4}}}')
    result = flow("run", "tap-x", cwd=tmp_path / "deep")
    assert _sent(result) == [3, 4, 5]
    assert (
        "tap-x resumes from the file state.json (state: in meltano.yml), not from a bookmark."
        in result.stderr
    )
    run = flow("run", "tap-x", "target-x")
    assert run.code == 0, run.stderr
    assert ids(tmp_path / "rows") == [3, 4, 5]
    assert bookmarked_id(tmp_path) == 5


def test_the_state_of_the_project_gives_way_to_what_was_typed(tmp_path: Path, flow: Flow) -> None:
    _project(tmp_path, state="state.json")
    (tmp_path / "state.json").write_text('{"bookmarks": {"s": {"id": 2}}}')
    (tmp_path / "other.json").write_text('{"bookmarks": {"s": {"id": 4}}}')
    assert _sent(flow("run", "tap-x", "--state", "other.json")) == [5]
    assert _sent(flow("run", "tap-x", "--full-refresh")) == [1, 2, 3, 4, 5]


def test_a_state_of_the_project_that_is_not_there_is_told_by_its_place(tmp_path: Path, flow: Flow) -> None:
    _project(tmp_path, state="none.json")
    result = flow("run", "tap-x")
    assert (result.code, result.stdout) == (2, b"")
    assert "Error: Cannot read the state of tap-x in meltano.yml, " in result.stderr
    assert "none.json: No such file" in result.stderr


@pytest.mark.parametrize("given", ["extra", "option"])
def test_a_package_is_never_filled_with_what_a_state_in_a_file_left_over(
    tmp_path: Path, flow: Flow, shell: Flow, given: str
) -> None:
    _project(tmp_path, **({"state": "state.json"} if given == "extra" else {}))
    (tmp_path / "state.json").write_text('{"bookmarks": {"s": {"id": 2}}}')
    option = "--state state.json" if given == "option" else ""
    result = shell(f"flow run tap-x {option} | flow load out/")
    assert result.code == 2
    assert "tap-x resumed from a state in a file, but a package is replaced whole" in result.stderr
    assert not (tmp_path / "out").exists()
    if given == "extra":
        whole = flow("run", "tap-x", "out/")
        assert whole.code == 0, whole.stderr
        assert len((tmp_path / "out" / "data" / "s.csv").read_text().splitlines()) == 6


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"type":"STATE","value":{"bookmarks":{"s":{"id":2}}}}', "it is a Singer message (STATE)"),
        ('{"type":"RECORD","stream":"s","record":{}}', "it is a Singer message (RECORD)"),
        ('{"singer_state": 5}', "it is no JSON object, but 5"),
        ("[1]", "Expected `object`, got `array`"),
        ("[" * 100_000, "is no state"),
    ],
    ids=["STATE message", "record", "number", "list", "deep"],
)
def test_a_file_that_holds_no_state_is_refused(tmp_path: Path, flow: Flow, content: str, told: str) -> None:
    _project(tmp_path)
    (tmp_path / "state.json").write_text(content)
    result = flow("run", "tap-x", "--state", "state.json")
    assert (result.code, result.stdout) == (2, b"")
    assert "Error: --state state.json is no state: " in result.stderr
    assert told in result.stderr


def test_a_folder_for_a_state_is_refused(tmp_path: Path, flow: Flow) -> None:
    _project(tmp_path)
    result = flow("run", "tap-x", "--state", str(tmp_path))
    assert (result.code, result.stdout) == (2, b"")
    assert f"Error: Cannot read --state {tmp_path}: Is a directory." in result.stderr


@pytest.mark.parametrize(
    ("content", "sent"),
    [
        ('{"completed": {"singer_state": {"bookmarks": {"s": {"id": 2}}}}, "partial": {}}', [3, 4, 5]),
        (
            '{"completed": {"singer_state": {"bookmarks": {"s": {"id": 2}}}},'
            ' "partial": {"singer_state": {"bookmarks": {"s": {"id": 4}}}}}',
            [5],
        ),
        ('{"singer_state": null}', [1, 2, 3, 4, 5]),
        ("{}", [1, 2, 3, 4, 5]),
    ],
    ids=["completed", "partial", "null", "empty"],
)
def test_a_state_is_read_in_every_form_that_meltano_keeps(
    tmp_path: Path, flow: Flow, content: str, sent: list[int]
) -> None:
    _project(tmp_path)
    (tmp_path / "state.json").write_text(content)
    result = flow("run", "tap-x", "--state", "state.json")
    assert _sent(result) == sent
    assert ("is empty: the tap begins at the beginning" in result.stderr) == (sent[0] == 1)


# ----------------------------------------------------------------------- variables of `meltano run` itself


def test_a_full_refresh_may_be_asked_for_as_meltano_asks(tmp_path: Path, flow: Flow) -> None:
    _project(tmp_path)
    _store(tmp_path).set(BOOKMARK, GOOD)
    assert _sent(flow("run", "tap-x", env={"MELTANO_RUN_FULL_REFRESH": "true"})) == [1, 2, 3, 4, 5]
    assert _sent(flow("run", "tap-x", env={"MELTANO_RUN_FULL_REFRESH": "0"})) == [4, 5]
    result = flow("run", "tap-x", "target-x", env={"MELTANO_RUN_FULL_REFRESH": "1"})
    assert result.code == 0, result.stderr
    assert ids(tmp_path / "rows") == [1, 2, 3, 4, 5]


def test_a_catalog_is_refreshed_as_meltano_asks(tmp_path: Path, flow: Flow) -> None:
    _project(tmp_path)
    for asked in ("", "1"):
        stderr = flow("run", "tap-demo", "--limit", "1", env={"MELTANO_RUN_REFRESH_CATALOG": asked}).stderr
        assert "ago (--refresh-catalog" not in stderr
    assert "ago (--refresh-catalog" in flow("run", "tap-demo", "--limit", "1").stderr


def test_a_suffix_of_the_bookmark_s_name_may_come_as_meltano_gives_it(
    tmp_path: Path, flow: Flow, shell: Flow
) -> None:
    _project(tmp_path)
    _store(tmp_path).set(BOOKMARK, GOOD)
    suffix = {"MELTANO_RUN_STATE_ID_SUFFIX": "eu"}
    result = flow("run", "tap-x", "target-x", env=suffix)
    assert result.code == 0, result.stderr
    assert bookmarked_id(tmp_path) == 3
    assert bookmarked_id(tmp_path, f"{BOOKMARK}:eu") == 5
    _project(tmp_path, config={"count": 7})
    piped = shell("flow run tap-x | flow load target-x", env=suffix)
    assert piped.code == 0, piped.stderr
    assert ids(tmp_path / "rows") == [1, 2, 3, 4, 5, 6, 7]
    assert bookmarked_id(tmp_path, f"{BOOKMARK}:eu") == 7


@pytest.mark.parametrize("name", ["MELTANO_RUN_DRY_RUN", "MELTANO_RUN_NO_STATE_UPDATE"])
@pytest.mark.parametrize("words", [("run", "tap-x"), ("run", "tap-x", "target-x")], ids=["tap", "pipeline"])
def test_what_asks_that_nothing_happen_is_refused(
    tmp_path: Path, flow: Flow, name: str, words: tuple[str, ...]
) -> None:
    _project(tmp_path)
    result = flow(*words, env={name: "true"})
    assert (result.code, result.stdout) == (2, b"")
    assert f"Error: {name} is set, which Flow cannot do." in result.stderr
    assert not (tmp_path / "rows").exists()
    assert flow(*words, env={name: "false"}).code == 0


@pytest.mark.parametrize(
    "name", ["MELTANO_RUN_STATE_STRATEGY", "MELTANO_RUN_TIMEOUT", "MELTANO_RUN_MERGE_STATE", "MELTANO_RUN_ID"]
)
def test_other_options_of_meltano_run_are_told_once(tmp_path: Path, flow: Flow, name: str) -> None:
    _project(tmp_path)
    result = flow("run", "tap-x", "target-x", env={name: "1"})
    assert result.code == 0, result.stderr
    assert result.stderr.count(f"Flow does not heed {name}, an option of meltano run.") == 1


# ----------------------------------------------------------------------------------- catalogs that are kept


def test_the_catalog_of_a_wrapper_is_that_of_the_program_behind_it(tmp_path: Path, flow: Flow) -> None:
    """The wrapper's own file stays as it is while what it starts changes."""
    behind = tmp_path / "behind.py"
    source = (FIXTURES / "taps" / "selectable.py").read_text()
    behind.write_text(source)
    script(tmp_path / "bin", "tap-x", behind)
    entry = {"executable": "./bin/tap-x", "capabilities": ["catalog", "discover"]}
    write_project(tmp_path, taps={"tap-x": entry})
    assert flow("run", "tap-x", "--select", "db-issues.*").code == 0
    behind.write_text(source.replace('"issues"', '"tickets"'))
    result = flow("run", "tap-x", "--select", "db-tickets.*")
    assert result.code == 0, result.stderr


# ------------------------------------------------------------------------------------ bookmarks of nonsense

NONSENSE = [
    b'{"type":"RECORD","stream":"s","record":{"id":1}}',
    b'{"type":"STATE","value":{"bookmarks":{"s":{"id":3}}}}',
    b'{"type":"SCHEMA","stream":"s","schema":{}}',
    b"[1]",
    b"5",
    b'"text"',
    b"true",
]


@pytest.fixture(params=["folder", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    """A store of each kind."""
    if request.param == "folder":
        return FolderStore(tmp_path / "state")
    return SqliteStore(tmp_path / ".meltano" / "meltano.db")


def _put(store: StateStore, state_id: str, text: bytes) -> None:
    """Write what a store would not keep."""
    store.set(state_id, GOOD)
    if isinstance(store, FolderStore):
        file = store.folder / state_id / "state.json"
        file.write_bytes(b'{"completed": ' + text + b', "partial": {}}')
    else:
        assert isinstance(store, SqliteStore)
        with sqlite3.connect(store.path) as database:
            database.execute("UPDATE state SET completed_state = ?", (text.decode(),))


@pytest.mark.parametrize("value", NONSENSE, ids=bytes.decode)
def test_what_is_no_state_never_becomes_a_bookmark(store: StateStore, value: bytes) -> None:
    store.set(BOOKMARK, GOOD)
    for keep in (store.set, store.merge_partial):
        with pytest.raises(DataError, match=f"The state for {BOOKMARK} is (a Singer message|no JSON object)"):
            keep(BOOKMARK, value)
    assert store.get(BOOKMARK) == GOOD


def test_a_record_s_property_named_type_is_a_state_all_the_same(store: StateStore) -> None:
    value = b'{"type":"RECORD","bookmarks":{}}'
    assert store.set(BOOKMARK, value)
    assert store.get(BOOKMARK) == value


@pytest.mark.parametrize("text", [*(b'{"singer_state": %b}' % one for one in NONSENSE), b'{"torn', b"[1]"])
def test_a_full_refresh_replaces_what_is_no_state(store: StateStore, text: bytes) -> None:
    _put(store, BOOKMARK, text)
    assert store.merge_partial(BOOKMARK, GOOD)
    assert store.get(BOOKMARK) == GOOD


@pytest.mark.parametrize("text", [NONSENSE[0], NONSENSE[3]], ids=bytes.decode)
@pytest.mark.parametrize("words", [("run", "tap-x"), ("run", "tap-x", "target-x")], ids=["tap", "pipeline"])
def test_a_bookmark_of_nonsense_is_refused_with_a_way_out_that_works(
    tmp_path: Path, flow: Flow, text: bytes, words: tuple[str, ...]
) -> None:
    _project(tmp_path)
    _put(_store(tmp_path), BOOKMARK, b'{"singer_state": %b}' % text)
    result = flow(*words)
    assert (result.code, result.stdout) == (2, b"")
    assert f"Error: The bookmark {BOOKMARK} is no state: it is " in result.stderr
    assert "Run with --full-refresh to begin at the beginning and replace it" in result.stderr
    assert flow("run", "tap-x", "target-x", "--full-refresh").code == 0
    assert bookmark(tmp_path) == {"bookmarks": {"s": {"id": 5}}}
    assert _sent(flow("run", "tap-x")) == []


def test_a_bookmark_in_a_tap_is_left_aside_and_told(tmp_path: Path, flow: Flow, shell: Flow) -> None:
    _project(tmp_path)
    _store(tmp_path).set(BOOKMARK, GOOD)
    _store(tmp_path).set("tap-x-to-tap-x", b'{"bookmarks":{"s":{"id":4}}}')
    result = shell("flow run tap-x | flow load target-x")
    assert result.code == 0, result.stderr
    assert "The bookmark tap-x-to-tap-x is left aside: tap-x is a tap, no target." in result.stderr
    assert ids(tmp_path / "rows") == [4, 5]


def test_a_tap_named_by_its_path_resumes_in_a_bare_pipe_too(tmp_path: Path, shell: Flow) -> None:
    script(tmp_path / "own", "tap-y", FIXTURES / "taps" / "counts.py")
    write_project(
        tmp_path, targets={"target-x": {"script": "durable.py", "config": {"rows": str(tmp_path / "rows")}}}
    )
    (tmp_path / "own" / "tap-y").write_text(
        (tmp_path / "own" / "tap-y")
        .read_text()
        .replace("exec", 'case $* in *--help*) echo "--config --state"; exit;; esac; exec')
    )
    pipe = "flow run ./own/tap-y --config '{\"count\": %d}' | flow load target-x"
    for count in (3, 5):
        result = shell(pipe % count)
        assert result.code == 0, result.stderr
    assert ids(tmp_path / "rows") == [1, 2, 3, 4, 5]


ODD = ["", " ", "a/b", "/..", "..", "../x", ".x", "a\nb", "a\tb", " a", "a ", "x" * 241, "a\x7f", "\u2028"]


@pytest.mark.parametrize("bad", ODD, ids=lambda bad: ascii(bad)[:10])
def test_an_odd_name_is_no_name_of_a_bookmark(store: StateStore, bad: str) -> None:
    with pytest.raises(ConfigError, match="cannot be a state id"):
        store.set(bad, GOOD)


@pytest.mark.parametrize("bad", ["", "/..", "a\nb"], ids=ascii)
@pytest.mark.parametrize(
    "words",
    [
        "run tap-x",
        "run tap-x --full-refresh",
        "run tap-x target-x",
        "run tap-x target-x --force",
        "load target-x",
    ],
)
def test_an_odd_name_for_a_bookmark_is_refused_before_anything_starts(
    tmp_path: Path, flow: Flow, words: str, bad: str
) -> None:
    _project(tmp_path)
    result = flow(*words.split(), "--state-id", bad, stdin=framed(messages(3)))
    assert (result.code, result.stdout) == (2, b"")
    assert f"Error: {bad!r} cannot be a state id" in result.stderr
    assert not (tmp_path / "rows").exists()


def test_a_folder_in_the_place_of_a_bookmark_is_a_clear_error(tmp_path: Path) -> None:
    folder = FolderStore(tmp_path / "state")
    (tmp_path / "state" / BOOKMARK / "state.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"The bookmarks cannot be used: Is a directory: .*state\.json"):
        folder.get(BOOKMARK)


def test_a_file_in_the_place_of_their_folder_is_a_clear_error(tmp_path: Path, flow: Flow) -> None:
    _project(tmp_path)
    (tmp_path / "taken").write_text("")
    result = flow(
        "load",
        "target-x",
        stdin=framed(messages(3)),
        env={"MELTANO_STATE_BACKEND_URI": f"file://{tmp_path}/taken"},
    )
    assert result.code == 2
    assert "Error: The bookmarks cannot be used: " in result.stderr
    assert "a fault in Flow" not in result.stderr


def test_a_cell_of_another_type_is_no_fault_of_flow(tmp_path: Path) -> None:
    database = SqliteStore(tmp_path / "meltano.db")
    database.set(BOOKMARK, GOOD)
    with sqlite3.connect(database.path) as opened:
        opened.execute("UPDATE state SET completed_state = ?", (b'{"singer_state": ' + GOOD + b"}",))
    assert database.get(BOOKMARK) == GOOD
    with sqlite3.connect(database.path) as opened:
        opened.execute("UPDATE state SET completed_state = 5")
    with pytest.raises(ConfigError, match="is not JSON"):
        database.get(BOOKMARK)


@pytest.mark.parametrize(
    "said", ["null\n", "{}\n", "[1]\n", "5\n", "INFO done\n", '"text"\n'], ids=lambda text: text.strip()
)
def test_a_target_that_prints_no_state_moves_no_bookmark(tmp_path: Path, flow: Flow, said: str) -> None:
    _project(tmp_path)
    document = json.loads((tmp_path / "meltano.yml").read_text())
    script(tmp_path / "bin", "target-x", FIXTURES / "targets" / "ends.py")
    document["plugins"]["loaders"][0]["config"] = {"stdout": said}
    (tmp_path / "meltano.yml").write_text(json.dumps(document))
    _store(tmp_path).set(BOOKMARK, GOOD)
    assert flow("run", "tap-x", "target-x").code == 0
    assert _store(tmp_path).get(BOOKMARK) == GOOD
