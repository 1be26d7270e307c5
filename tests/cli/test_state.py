"""`flow state`: bookmarks by hand, in every store that Flow has."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from command import MODULE, Command, Result
from projects import write_project

from flow_singer.state.documents import StateStore, run_lock
from flow_singer.state.statefolder import FolderStore
from flow_singer.state.systemdb import SqliteStore

Flow = Callable[..., Result]

ID = "dev:tap-x-to-target-x"
OTHER = "prod:tap-x-to-target-x"
EXACT = b'{"bookmarks":{"users":{"v":1.10,"n":1180591620717411303424},"issues":{"t":"\\u00e9"}},"x":1E5}'


@pytest.fixture(params=["systemdb", "folder", "no project"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    """The store that commands in `tmp_path` use."""
    if request.param == "no project":
        return FolderStore(tmp_path / ".flow" / "state")
    environments = {"default_environment": "dev", "environments": [{"name": "dev"}, {"name": "prod"}]}
    if request.param == "folder":
        uri = f"file://{tmp_path}/kept"
        write_project(tmp_path, state_backend={"uri": uri}, **environments)
        return FolderStore(tmp_path / "kept")
    write_project(tmp_path, **environments)
    return SqliteStore(tmp_path / ".meltano" / "meltano.db")


def _said(result: Result, *, code: int = 0) -> str:
    assert (result.code, result.stdout) == (code, b""), result.stderr
    return result.stderr


# --------------------------------------------------------------------------------------------- look


def test_get_prints_the_stored_bytes_in_meltanos_form(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    result = flow("state", "get", ID)
    assert (result.code, result.stderr) == (0, "")
    assert result.stdout == b'{"singer_state": ' + EXACT + b"}\n"


def test_get_pretty_indents_and_changes_no_value(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    result = flow("state", "get", ID, "--format", "pretty")
    assert result.code == 0, result.stderr
    assert result.stdout.startswith(b'{\n  "singer_state": {\n')
    assert b"".join(result.stdout.split()) == b'{"singer_state":' + EXACT + b"}"


def test_what_get_prints_can_be_set_again_and_is_the_same(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    kept = flow("state", "get", ID).stdout
    assert _said(flow("state", "set", OTHER, "-", stdin=kept)) == f"Made the bookmark {OTHER}.\n"
    assert store.get(OTHER) == EXACT


def test_a_partial_state_is_laid_over_the_completed_one(store: StateStore, flow: Flow) -> None:
    store.set(ID, b'{"bookmarks":{"a":{"id":1},"b":{"id":2}}}')
    store.merge_partial(ID, b'{"bookmarks":{"a":{"id":0}}}')
    assert flow("state", "get", ID).stdout == b'{"singer_state": {"bookmarks":{"a":{"id":0},"b":{"id":2}}}}\n'


def test_an_unknown_id_is_told_with_near_ones_and_all_there_are(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    store.set("z", EXACT)
    for words in (["get"], ["clear", "--yes"], ["clear", "--stream", "users"]):
        assert _said(flow("state", *words, "tap-x-to-target-x"), code=2) == (
            f"Error: There is no bookmark 'tap-x-to-target-x'.\nDid you mean {ID}? There are: {ID}, z.\n"
        )


def test_without_any_bookmark_the_way_to_one_is_told(store: StateStore, flow: Flow) -> None:
    assert _said(flow("state", "get", ID), code=2) == (
        f"Error: There is no bookmark '{ID}'.\nNone is kept here yet: flow run TAP TARGET makes one.\n"
    )
    assert _said(flow("state", "list")) == "No bookmark is kept here yet: flow run TAP TARGET makes one.\n"
    assert flow("state", "list", "--json").stdout == b"[]\n"


def test_of_many_ids_the_first_are_told(tmp_path: Path, flow: Flow) -> None:
    store = FolderStore(tmp_path / ".flow" / "state")
    for number in range(23):
        store.set(f"x{number:02}", EXACT)
    said = _said(flow("state", "get", "nothing-like-it"), code=2)
    assert said.endswith("x18, x19 and 3 more (flow state list).\n")


def test_list_has_an_id_on_each_line(store: StateStore, flow: Flow) -> None:
    for one in (OTHER, ID):
        store.set(one, EXACT)
    assert flow("state", "list").stdout.decode().splitlines() == [ID, OTHER]
    assert flow("state", "list", "--pattern", "prod:*").stdout.decode().splitlines() == [OTHER]
    assert _said(flow("state", "list", "--pattern", "x*")) == (
        f"No bookmark is like 'x*'. There are: {ID}, {OTHER}.\n"
    )


def test_list_as_json_says_streams_and_when_each_was_saved(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    (one,) = json.loads(flow("state", "list", "--json").stdout)
    assert one.pop("saved_at").endswith("+00:00")
    assert one == {"id": ID, "streams": ["users", "issues"], "problem": None}


def test_a_bookmark_that_meltano_wrote_is_printed_as_it_is(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path)
    store = SqliteStore(tmp_path / ".meltano" / "meltano.db")
    store.set("a", EXACT)
    text = '{"singer_state": {"bookmarks": {"s": {"n": 36893488147419103232, "v": 1.10}}}}'
    with contextlib.closing(sqlite3.connect(store.path)) as database, database:
        database.execute("UPDATE state SET completed_state = ?, partial_state = '{}'", (text,))
    assert flow("state", "get", "a").stdout.decode() == text + "\n"


# ---------------------------------------------------------------------------------------------- set


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "wrapped"])
def test_set_takes_a_state_as_taps_and_as_meltano_write_it(
    store: StateStore, flow: Flow, wrapped: bool
) -> None:
    given = b'{"singer_state": ' + EXACT + b"}" if wrapped else EXACT
    _said(flow("state", "set", ID, given.decode()))
    assert store.get(ID) == EXACT


def test_set_reads_a_file(store: StateStore, tmp_path: Path, flow: Flow) -> None:
    (tmp_path / "state.json").write_bytes(EXACT + b"\n")
    _said(flow("state", "set", ID, "--input-file", "state.json"))
    assert store.get(ID) == EXACT
    _said(flow("state", "set", OTHER, "--input-file", "-", stdin=EXACT))
    assert store.get(OTHER) == EXACT


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("[1]", "That text is no state: Expected `object`, got `array`."),
        ("{bad", "That text is no state: "),
        ('{"singer_state": 5}', "That text is no state: it is no JSON object, but 5."),
        (
            '{"type": "STATE", "value": {"bookmarks": {}}}',
            "That text is no state: it is a Singer message (STATE).",
        ),
        (
            '{"singer_state": {"a": 1}, "b": 2}',
            "That text has 'b' beside 'singer_state', which would be lost.",
        ),
    ],
    ids=["list", "no JSON", "number", "message", "beside"],
)
def test_set_refuses_what_is_no_state(store: StateStore, flow: Flow, given: str, told: str) -> None:
    store.set(ID, EXACT)
    said = _said(flow("state", "set", ID, given, "--yes"), code=2)
    assert said.startswith(f"Error: {told}")
    assert said.endswith('\nExpected a JSON object such as {"bookmarks": ...}.\n')
    assert store.get(ID) == EXACT


@pytest.mark.parametrize("given", ["{}", '{"singer_state": {}}', '{"completed": {}, "partial": {}}'])
def test_set_refuses_an_empty_state_and_names_clear(store: StateStore, flow: Flow, given: str) -> None:
    assert _said(flow("state", "set", ID, given), code=2) == (
        "Error: That text is an empty state.\nTo forget a bookmark: flow state clear ID\n"
    )
    assert store.list() == ()


def test_set_wants_one_state(tmp_path: Path, flow: Flow) -> None:
    (tmp_path / "state.json").write_bytes(EXACT)
    message = "Error: Give one state: a JSON text, - for stdin, or --input-file FILE.\n"
    for words in ([], ["{}", "--input-file", "state.json"]):
        assert _said(flow("state", "set", ID, *words), code=2).startswith(message)
    assert _said(flow("state", "set", ID, "state.json"), code=2) == (
        "Error: 'state.json' is a file, and no JSON.\nWrite: --input-file state.json\n"
    )
    assert _said(flow("state", "set", ID, "--input-file", "none"), code=2) == (
        "Error: Cannot read --input-file none: No such file or directory.\nName a file that holds a state.\n"
    )


@pytest.mark.parametrize("bad", ["a/b", "", ".x"])
def test_an_id_that_no_store_could_keep_is_refused(store: StateStore, flow: Flow, bad: str) -> None:
    assert "cannot be a state id" in _said(flow("state", "set", bad, EXACT.decode()), code=2)
    assert store.list() == ()


def test_a_bookmark_that_cannot_be_read_can_be_set_and_cleared(tmp_path: Path, flow: Flow) -> None:
    file = tmp_path / ".flow" / "state" / ID / "state.json"
    file.parent.mkdir(parents=True)
    for words in (["set", ID, EXACT.decode()], ["clear", ID]):
        file.write_text("{torn")
        assert "is not a bookmark" in _said(flow("state", "get", ID), code=2)
        assert "is not a bookmark" in _said(flow("state", "merge", ID, EXACT.decode()), code=2)
        (listed,) = json.loads(flow("state", "list", "--json").stdout)
        assert "is not a bookmark" in listed["problem"]
        _said(flow("state", *words, "--yes"))
        assert FolderStore(tmp_path / ".flow" / "state").get(ID) == (EXACT if words[0] == "set" else None)


# -------------------------------------------------------------------------------------------- clear


def test_clear_forgets_one_bookmark(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    store.set(OTHER, EXACT)
    assert _said(flow("state", "clear", ID, "--yes")) == f"Cleared the bookmark {ID}.\n"
    assert store.list() == (OTHER,)


def test_clear_all_forgets_every_bookmark(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    store.set(OTHER, EXACT)
    assert _said(flow("state", "clear", "--all", "--force")) == f"Cleared all 2 bookmarks ({ID}, {OTHER}).\n"
    assert store.list() == ()
    assert (
        _said(flow("state", "clear", "--all")) == "No bookmark is kept here, so there is nothing to clear.\n"
    )


def test_clear_wants_one_id_or_all(flow: Flow) -> None:
    assert _said(flow("state", "clear"), code=2).startswith(
        "Error: Which bookmark? Name its ID (flow state list), or --all.\n"
    )
    for words in ([ID], ["--stream", "a"]):
        assert _said(flow("state", "clear", "--all", *words), code=2).startswith(
            "Error: --all clears every bookmark whole: leave out the ID and --stream.\n"
        )


def test_clear_of_a_stream_keeps_every_byte_of_the_others(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    said = _said(flow("state", "clear", ID, "--stream", "issues", "--yes"))
    assert said == f"Cleared issues in the bookmark {ID}.\n"
    assert store.get(ID) == b'{"bookmarks":{"users":{"v":1.10,"n":1180591620717411303424}},"x":1E5}'
    _said(flow("state", "clear", ID, "--stream", "users", "--yes"))
    assert store.get(ID) == b'{"bookmarks":{},"x":1E5}'


def test_clear_of_a_stream_reaches_the_completed_and_the_partial_state(store: StateStore, flow: Flow) -> None:
    store.set(ID, b'{"bookmarks":{"a":{"id":1},"b":{"id":2}}}')
    store.merge_partial(ID, b'{"bookmarks":{"a":{"id":0}}}')
    _said(flow("state", "clear", ID, "--stream", "a", "--yes"))
    assert store.get(ID) == b'{"bookmarks":{"b":{"id":2}}}'


def test_clear_of_a_stream_works_where_streams_lie_beside_each_other(store: StateStore, flow: Flow) -> None:
    store.set(ID, b'{"a":"2020","b":"2021","currently_syncing":"a"}')
    _said(flow("state", "clear", ID, "--stream", "a", "--yes"))
    assert store.get(ID) == b'{"b":"2021","currently_syncing":"a"}'
    store.set(ID, b'{"a":"2020"}')
    _said(flow("state", "clear", ID, "--stream", "a", "--yes"))
    assert store.list() == ()


def test_an_unknown_stream_is_told_with_near_ones_and_those_there_are(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    said = _said(flow("state", "clear", ID, "--stream", "users", "--stream", "isues", "--yes"), code=2)
    assert said == (
        f"Error: The bookmark '{ID}' has no stream 'isues'.\nDid you mean issues? It has: users, issues.\n"
    )
    assert store.get(ID) == EXACT


# -------------------------------------------------------------------------------- copy, move, merge


def test_copy_keeps_the_first_and_move_does_not(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    assert _said(flow("state", "copy", ID, OTHER)) == f"Copied {ID} to {OTHER}.\n"
    assert (store.get(ID), store.get(OTHER)) == (EXACT, EXACT)
    assert _said(flow("state", "move", OTHER, "third")) == f"Moved {OTHER} to third.\n"
    assert (store.get(ID), store.get(OTHER), store.get("third")) == (EXACT, None, EXACT)


@pytest.mark.parametrize("verb", ["copy", "move", "merge"])
def test_two_bookmarks_must_be_two_and_the_first_must_be_there(
    store: StateStore, flow: Flow, verb: str
) -> None:
    store.set(ID, EXACT)
    assert _said(flow("state", verb, ID, ID), code=2) == f"Error: Both bookmarks are '{ID}'.\nName two.\n"
    assert "There is no bookmark 'x'." in _said(flow("state", verb, "x", ID), code=2)
    assert store.get(ID) == EXACT


@pytest.mark.parametrize("words", [(OTHER, ID), (ID, "--from-state-id", OTHER)], ids=["SRC DST", "meltano"])
def test_merge_lays_one_bookmark_over_another(store: StateStore, flow: Flow, words: tuple[str, ...]) -> None:
    store.set(ID, b'{"bookmarks":{"a":{"id":1},"b":{"id":2,"x":1.10}}}')
    store.set(OTHER, b'{"bookmarks":{"b":{"id":9},"c":{"id":3}}}')
    assert _said(flow("state", "merge", *words)) == f"Laid {OTHER} over the bookmark {ID}.\n"
    assert store.get(ID) == b'{"bookmarks":{"a":{"id":1},"b":{"id":9,"x":1.10},"c":{"id":3}}}'
    assert store.get(OTHER) == b'{"bookmarks":{"b":{"id":9},"c":{"id":3}}}'


def test_merge_takes_a_state_like_set(store: StateStore, tmp_path: Path, flow: Flow) -> None:
    store.set(ID, b'{"bookmarks":{"a":1}}')
    (tmp_path / "state.json").write_text('{"singer_state": {"bookmarks": {"b": 2}}}')
    _said(flow("state", "merge", ID, "--input-file", "state.json"))
    _said(flow("state", "merge", ID, "-", stdin=b'{"bookmarks":{"c":3}}'))
    assert _said(flow("state", "merge", ID, '{"bookmarks":{"d":4}}')) == (
        f"Laid that state over the bookmark {ID}.\n"
    )
    assert json.loads(store.get(ID) or b"") == {"bookmarks": {"a": 1, "b": 2, "c": 3, "d": 4}}


def test_merge_writes_the_partial_state_as_meltano_does(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path)
    store = SqliteStore(tmp_path / ".meltano" / "meltano.db")
    store.set("a", b'{"bookmarks":{"s":1}}')
    _said(flow("state", "merge", "a", '{"bookmarks":{"s":2}}'))
    with contextlib.closing(sqlite3.connect(store.path)) as database, database:
        (row,) = database.execute("SELECT completed_state, partial_state FROM state").fetchall()
    assert row == ('{"singer_state": {"bookmarks":{"s":1}}}', '{"singer_state": {"bookmarks":{"s":2}}}')


def test_merge_wants_one_state(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    for words in ([ID], [ID, "{}", "--from-state-id", OTHER], [ID, OTHER, "--from-state-id", ID]):
        assert _said(flow("state", "merge", *words), code=2).startswith("Error: ")
    assert store.get(ID) == EXACT


# ---------------------------------------------------------------------------------------- questions


QUESTIONS = [
    (["set", ID, '{"a":1}'], f"Replace the bookmark {ID}?"),
    (["clear", ID], f"Clear the bookmark {ID}?"),
    (["clear", ID, "--stream", "users"], f"Clear users in the bookmark {ID}?"),
    (["clear", "--all"], f"Clear all 2 bookmarks ({ID}, {OTHER})?"),
    (["copy", OTHER, ID], f"Replace the bookmark {ID} by {OTHER}?"),
    (["move", OTHER, ID], f"Replace the bookmark {ID} by {OTHER}?"),
]
BY_VERB = [" ".join(words[:1] + words[2:]) for words, _ in QUESTIONS]


@pytest.fixture
def two(tmp_path: Path) -> FolderStore:
    """A folder without a project that keeps two bookmarks."""
    store = FolderStore(tmp_path / ".flow" / "state")
    store.set(ID, EXACT)
    store.set(OTHER, b'{"other":1}')
    return store


def _bookmarks(store: FolderStore) -> dict[str, bytes | None]:
    return {one: store.get(one) for one in store.list()}


@pytest.mark.parametrize(("words", "question"), QUESTIONS, ids=BY_VERB)
def test_without_a_terminal_nothing_is_replaced_unless_yes_is_said(
    two: FolderStore, flow: Flow, words: list[str], question: str
) -> None:
    before = _bookmarks(two)
    assert _said(flow("state", *words), code=2) == (
        f"Error: {question} There is no terminal to ask on, and it cannot be undone.\n"
        "If so, say it beforehand: --yes.\n"
    )
    assert _bookmarks(two) == before
    _said(flow("state", *words, "--yes"))
    assert _bookmarks(two) != before


def _answered(command: Command, words: list[str], answer: bytes) -> tuple[int, str]:
    """The exit code and the screen of a command that is answered on a terminal."""
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        [*MODULE, "state", *words],
        cwd=command.cwd,
        env={**command.env, "TERM": "dumb"},
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        seen = b""
        while b"[y/N] " not in seen:
            seen += os.read(screen, 1 << 16)
        os.write(screen, answer)
        assert process.stdout is not None
        assert process.stdout.read() == b""
        code = process.wait(60)
    try:
        while block := os.read(screen, 1 << 16):
            seen += block
    except OSError:  # Linux: the last writer closed the terminal
        pass
    os.close(screen)
    return code, seen.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("answer", [b"\n", b"n\n", b"maybe\n", b"\x04"], ids=["enter", "n", "other", "end"])
def test_on_a_terminal_only_yes_is_a_yes(two: FolderStore, command: Command, answer: bytes) -> None:
    before = _bookmarks(two)
    code, seen = _answered(command, ["clear", ID], answer)
    assert code == 130
    assert seen.startswith(f"Clear the bookmark {ID}? [y/N] ")
    assert seen.endswith("Nothing was changed.\n")
    assert _bookmarks(two) == before


@pytest.mark.parametrize(("words", "question"), QUESTIONS, ids=BY_VERB)
def test_on_a_terminal_a_question_is_asked_first(
    two: FolderStore, command: Command, words: list[str], question: str
) -> None:
    before = _bookmarks(two)
    code, seen = _answered(command, words, b"y\n")
    assert code == 0, seen
    assert seen.startswith(f"{question} [y/N] ")
    assert _bookmarks(two) != before


# -------------------------------------------------------------------------------------------- locks


CHANGES = [
    ["set", ID, '{"a":1}', "--yes"],
    ["clear", ID, "--yes"],
    ["clear", ID, "--stream", "users", "--yes"],
    ["clear", "--all", "--yes"],
    ["copy", OTHER, ID, "--yes"],
    ["move", OTHER, ID, "--yes"],
    ["move", ID, OTHER, "--yes"],
    ["merge", ID, '{"bookmarks":{"users":1}}'],
]


@pytest.mark.parametrize("words", CHANGES, ids=" ".join)
def test_a_bookmark_that_a_run_holds_is_not_changed(two: FolderStore, flow: Flow, words: list[str]) -> None:
    before = _bookmarks(two)
    with run_lock(two.lock_folder, ID):
        said = _said(flow("state", *words), code=2)
    assert said.startswith(f"Error: Another run of {ID} is under way (process {os.getpid()} on ")
    assert said.endswith(").\nWait for it or stop it, then try again.\n")
    assert _bookmarks(two) == before


def test_a_bookmark_that_a_run_holds_can_be_read_and_copied(store: StateStore, flow: Flow) -> None:
    store.set(ID, EXACT)
    with run_lock(store.lock_folder, ID):
        assert flow("state", "get", ID).code == 0
        _said(flow("state", "copy", ID, OTHER))
    assert store.get(OTHER) == EXACT
