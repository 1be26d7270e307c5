"""`flow run TAP [T.py] TARGET`: one supervisor, one cause, one summary."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fifos
import psutil
import pytest
from command import MODULE, Command, Result
from projects import write_project
from streams import BOOKMARK, bookmark, bookmarked_id, ids, messages, plain

from flow_singer.state.systemdb import SqliteStore

Flow = Callable[..., Result]


def project(
    root: Path, tap: dict[str, Any] | None = None, target: dict[str, Any] | None = None, **more: Any
) -> Path:
    tap = {"script": "counts.py", "config": {"count": 5}} if tap is None else tap
    target = {"script": "durable.py", "config": {"rows": str(root / "rows")}} if target is None else target
    (root / "t.py").write_text("def s(df):\n    return df\n")
    return write_project(
        root, taps={"tap-x": tap, **more.pop("taps", {})}, targets={"target-x": target}, **more
    )


def store(root: Path) -> SqliteStore:
    return SqliteStore(root / ".meltano" / "meltano.db")


def errors(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("Error: ")]


def says(lines: list[bytes], **config: Any) -> dict[str, Any]:
    return {"script": "says.py", "config": {"stdout": plain(lines).decode(), **config}}


def test_a_whole_run_says_what_was_loaded_and_where_it_stands(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, says(messages(3) + messages(4, stream="more", every=4)))
    result = flow("run", "tap-x", "target-x")
    assert result.code == 0, result.stderr
    assert result.stdout == b""
    lines = result.stderr.splitlines()
    assert any(line.startswith("tap-x → target-x: 7 records of 2 streams, ") for line in lines)
    assert [line.split()[:3] for line in lines if line.startswith("  ")] == [
        ["s", "3", "records"],
        ["more", "4", "records"],
    ]
    assert lines[-1] == f"Bookmark {BOOKMARK} saved."


def test_the_summary_counts_what_was_loaded_not_what_was_read(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, says(messages(3) + messages(4, stream="more")))
    (tmp_path / "t.py").write_text(
        "def s(df):\n    return df[df['id'] > 2]\ndef more(df):\n    return df[df['id'] > 9]\n"
    )
    result = flow("run", "tap-x", "t.py", "target-x")
    assert result.code == 0, result.stderr
    counts = [line.split()[:2] for line in result.stderr.splitlines() if line.startswith("  ")]
    assert counts == [["s", "1"], ["more", "0"]]


def test_the_next_run_resumes_from_the_bookmark(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    assert flow("run", "tap-x", "target-x").code == 0
    project(tmp_path, {"script": "counts.py", "config": {"count": 8}})
    result = flow("run", "tap-x", "t.py", "target-x")
    assert result.code == 0, result.stderr
    assert ids(tmp_path / "rows") == [1, 2, 3, 4, 5, 6, 7, 8]
    assert bookmarked_id(tmp_path) == 8


FAILURES: dict[str, tuple[int, dict[str, Any] | None, dict[str, Any] | None, str, str]] = {
    "tap": (
        69,
        says(messages(3), exit=3, stderr="boom\n"),
        None,
        "def s(df):\n    return df\n",
        "Error: tap-x exited with code 3 after 3 records, the last of stream 's'. Its last line was: \"boom\"",
    ),
    "tap without a word": (
        69,
        says([], exit=3),
        None,
        "def s(df):\n    return df\n",
        "Error: tap-x exited with code 3 before its first record.",
    ),
    "noise": (
        65,
        says([*messages(3), b"INFO"]),
        None,
        "def s(df):\n    return df\n",
        "Error: Line 8 is not a Singer message",
    ),
    "function": (65, None, None, "def s(df):\n    raise ValueError('boom')\n", "Error: "),
    "target": (
        70,
        None,
        {"script": "ends.py", "config": {"exit": 3, "stderr": "boom\n"}},
        "def s(df):\n    return df\n",
        'Error: target-x exited with code 3. Its last line was: "boom"',
    ),
    "target at once": (
        70,
        {"script": "endless.py"},
        {"script": "ends.py", "config": {"lines": 0, "exit": 3}},
        "def s(df):\n    return df\n",
        "Error: target-x exited with code 3.",
    ),
}


@pytest.mark.parametrize("transformed", [False, True], ids=["direct", "transformed"])
@pytest.mark.parametrize("case", list(FAILURES))
def test_the_cause_is_told_once_and_decides_the_code(
    tmp_path: Path, flow: Flow, case: str, transformed: bool
) -> None:
    code, tap, target, functions, told = FAILURES[case]
    if case == "function" and not transformed:
        return
    project(tmp_path, tap, target)
    (tmp_path / "t.py").write_text(functions)
    result = flow("run", "tap-x", *["t.py"] * transformed, "target-x")
    assert result.code == code, result.stderr
    assert len(errors(result)) == 1, result.stderr
    assert errors(result)[0].startswith(told)
    assert "records/s" not in result.stderr
    assert "Traceback" not in result.stderr


def test_rejects_within_the_limit_are_66(tmp_path: Path, flow: Flow) -> None:
    bad = b'{"type":"RECORD","stream":"s","record":{"id":"no number"}}'
    project(tmp_path, says([*messages(2), bad]))
    result = flow("run", "tap-x", "t.py", "target-x", env={"FLOW_TRANSFORM_REJECT": "bad.jsonl"})
    assert result.code == 66, result.stderr
    assert ids(tmp_path / "rows") == [1, 2]
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 1
    assert errors(result) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_a_signal_ends_every_stage(tmp_path: Path, command: Command, number: signal.Signals) -> None:
    """Ctrl-C reaches the whole process group, SIGTERM the supervisor alone."""
    supervisor, told = _started(tmp_path, command)
    with told:
        told.readline()
        if number == signal.SIGINT:
            os.killpg(supervisor.pid, number)
        else:
            supervisor.send_signal(number)
        _, stderr = supervisor.communicate(timeout=90)
    assert supervisor.returncode == 128 + number, stderr.decode()
    assert b"Traceback" not in stderr, stderr.decode()
    assert b"Error: " not in stderr
    assert bookmarked_id(tmp_path) <= len(ids(tmp_path / "rows")) == 10


def test_sigkill_of_the_supervisor_leaves_nothing_running(tmp_path: Path, command: Command) -> None:
    supervisor, told = _started(tmp_path, command)
    with told:
        told.readline()
        family = psutil.Process(supervisor.pid).children(recursive=True)
        assert len(family) == 5
        supervisor.kill()
        supervisor.communicate(timeout=90)
    _, alive = psutil.wait_procs(family, timeout=30)
    assert alive == []
    assert bookmarked_id(tmp_path) <= len(ids(tmp_path / "rows")) == 10
    project(tmp_path, {"script": "counts.py", "config": {"count": 20, "every": 10}})
    again = command.flow("run", "tap-x", "target-x")
    assert again.code == 0, again.stderr
    assert set(ids(tmp_path / "rows")) == set(range(1, 21))


def _started(root: Path, command: Command) -> tuple[subprocess.Popen[bytes], Any]:
    """A pipeline whose tap waits behind its tenth record, which the target has kept."""
    gate, tell = root / "gate", root / "tell"
    fifos.make(gate)
    fifos.make(tell)
    project(
        root,
        {"script": "counts.py", "config": {"count": 20, "every": 10, "halt": 11, "gate": str(gate)}},
        {"script": "durable.py", "config": {"rows": str(root / "rows"), "tell": str(tell)}},
    )
    supervisor = subprocess.Popen(
        [*MODULE, "run", "tap-x", "t.py", "target-x"],
        cwd=root,
        env={**command.env, "FLOW_TRANSFORM_MAX_AGE": "0.05"},
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    return supervisor, fifos.listen(tell, supervisor)


def test_a_full_refresh_keeps_the_streams_it_did_not_visit(tmp_path: Path, flow: Flow) -> None:
    """As Meltano 4.4 merges the state of a full refresh onto that of the runs before it."""
    project(tmp_path)
    store(tmp_path).set(BOOKMARK, b'{"bookmarks":{"s":{"id":3,"was":1},"other":{"id":9}}}')
    result = flow("run", "tap-x", "target-x", "--full-refresh")
    assert result.code == 0, result.stderr
    assert ids(tmp_path / "rows") == [1, 2, 3, 4, 5]
    assert bookmark(tmp_path) == {"bookmarks": {"s": {"id": 5, "was": 1}, "other": {"id": 9}}}


def test_a_state_id_names_the_bookmark(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    store(tmp_path).set("mine", b'{"bookmarks":{"s":{"id":3}}}')
    assert flow("run", "tap-x", "target-x", "--state-id", "mine").code == 0
    assert ids(tmp_path / "rows") == [4, 5]
    assert bookmarked_id(tmp_path, "mine") == 5
    assert bookmark(tmp_path) is None


@pytest.mark.parametrize("before", [None, b'{"bookmarks":{"s":{"id":2}}}'], ids=["no bookmark", "a bookmark"])
def test_a_limit_never_moves_a_bookmark(tmp_path: Path, flow: Flow, before: bytes | None) -> None:
    project(tmp_path)
    if before:
        store(tmp_path).set(BOOKMARK, before)
    result = flow("run", "tap-x", "t.py", "target-x", "--limit", "3")
    assert result.code == 0, result.stderr
    assert ids(tmp_path / "rows") == [1, 2, 3]
    assert bookmark(tmp_path) == (None if before is None else json.loads(before))


def test_a_job_stops_at_its_first_failure(tmp_path: Path, flow: Flow) -> None:
    jobs = [{"name": "all", "tasks": ["tap-y target-x", "tap-bad target-x", "tap-x target-x"]}]
    more = {"tap-y": says(messages(2)), "tap-bad": says(messages(1, first=50), exit=3)}
    project(tmp_path, taps=more, jobs=jobs)
    result = flow("run", "all")
    assert result.code == 69, result.stderr
    assert len(errors(result)) == 1
    assert ids(tmp_path / "rows") == [1, 2, 50]


def test_a_job_runs_all_its_pipelines(tmp_path: Path, flow: Flow) -> None:
    project(
        tmp_path,
        taps={"tap-y": says(messages(2))},
        jobs=[{"name": "all", "tasks": ["tap-y target-x", "tap-x target-x"]}],
    )
    result = flow("run", "all")
    assert result.code == 0, result.stderr
    assert ids(tmp_path / "rows") == [1, 2, 1, 2, 3, 4, 5]
    assert bookmarked_id(tmp_path, "tap-y-to-target-x") == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["tap-x", "dbt:run", "target-x"],
            "'dbt:run' is a command of a utility, which Flow does not run yet.",
        ),
        (["tap-x", "hide", "target-x"], "'hide' is a mapper, which flow run does not start yet."),
        (["tap-x", "target-x", "tap-y"], "'tap-y' has no target."),
        (["t.py", "target-x"], "'t.py' is a file of functions, but it stands where a tap belongs."),
        (["tap-x", "target-x", "--to", "target-y"], "--to target-y goes with a shell pipe"),
        (["tap-x", "d/", "--state-id", "x"], "--state-id has no use for d/"),
        (
            ["tap-x", "target-x", "tap-x", "target-x", "--state-id", "x"],
            "--state-id is for one pipeline, but there are 2.",
        ),
    ],
    ids=["utility", "mapper", "no target", "no tap", "to", "state id of a package", "one id for two"],
)
def test_what_is_not_run_is_refused_by_name(tmp_path: Path, flow: Flow, words: list[str], told: str) -> None:
    root = project(tmp_path)
    document = json.loads((root / "meltano.yml").read_text())
    document["plugins"]["mappers"] = [
        {"name": "mapper", "executable": "x", "mappings": [{"name": "hide", "config": {}}]}
    ]
    (root / "meltano.yml").write_text(json.dumps(document))
    result = flow("run", *words)
    assert result.code == 2, result.stderr
    assert errors(result)[0].startswith(f"Error: {told}")
    assert not (tmp_path / "rows").exists()


def test_a_pipeline_without_target_writes_to_stdout(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    result = flow("run", "tap-x", "t.py")
    assert result.code == 0, result.stderr
    assert [one["record"]["id"] for one in result.messages if one["type"] == "RECORD"] == [1, 2, 3, 4, 5]
    assert "_flow" in result.messages[-1]
    assert "5 records of 1 stream" in result.stderr


def test_a_pipeline_whose_reader_leaves_ends_quietly(tmp_path: Path, shell: Flow) -> None:
    project(tmp_path, {"script": "endless.py"})
    result = shell("flow run tap-x t.py | head -c 1000 > /dev/null; echo ${PIPESTATUS[0]}")
    assert result.stdout == b"141\n"
    assert errors(result) == []


def test_a_tap_with_several_bookmarks_is_asked_which(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path)
    for target in ("target-x", "target-y"):
        store(tmp_path).set(f"tap-x-to-{target}", b'{"bookmarks":{"s":{"id":3}}}')
    result = flow("run", "tap-x")
    assert result.code == 2
    assert errors(result) == ["Error: tap-x has several bookmarks: tap-x-to-target-x, tap-x-to-target-y."]
    assert "--to TARGET, or --state-id ID, or --full-refresh" in result.stderr
    chosen = flow("run", "tap-x", "--to", "target-y")
    assert [one["record"]["id"] for one in chosen.messages if one["type"] == "RECORD"] == [4, 5]


@pytest.mark.parametrize("middle", ["", "flow transform t.py |"], ids=["direct", "transformed"])
def test_a_target_is_not_given_the_rest_of_what_another_has(tmp_path: Path, shell: Flow, middle: str) -> None:
    project(tmp_path)
    store(tmp_path).set("tap-x-to-target-y", b'{"bookmarks":{"s":{"id":3}}}')
    result = shell(f"flow run tap-x | {middle} flow load target-x")
    assert result.code == 2
    assert (
        "tap-x resumed from the bookmark tap-x-to-target-y, which says nothing of target-x" in result.stderr
    )
    assert "flow run tap-x --to target-x" in result.stderr
    assert not (tmp_path / "rows").exists()
    assert shell(f"flow run tap-x --to target-x | {middle} flow load target-x").code == 0
    assert ids(tmp_path / "rows") == [1, 2, 3, 4, 5]
    assert bookmarked_id(tmp_path) == 5


def test_one_variable_names_the_bookmark_of_a_whole_shell_pipe(tmp_path: Path, shell: Flow) -> None:
    project(tmp_path)
    store(tmp_path).set("mine", b'{"bookmarks":{"s":{"id":3}}}')
    result = shell("flow run tap-x | flow load target-x", env={"FLOW_STATE_ID": "mine"})
    assert result.code == 0, result.stderr
    assert ids(tmp_path / "rows") == [4, 5]
    assert bookmarked_id(tmp_path, "mine") == 5


def test_the_log_level_reaches_every_stage(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, {"script": "counts.py", "config": {"count": 5}, "capabilities": ["about"]})
    store(tmp_path).set(BOOKMARK, b'{"bookmarks":{"s":{"id":3}}}')
    assert "cannot resume" in flow("run", "tap-x", "target-x").stderr
    assert "cannot resume" not in flow("--log-level", "error", "run", "tap-x", "target-x").stderr


@pytest.mark.parametrize("piped", [False, True], ids=["supervised", "pipe"])
def test_a_target_s_settings_may_name_those_of_its_tap_but_never_get_its_secrets(
    tmp_path: Path, flow: Flow, shell: Callable[..., Result], piped: bool
) -> None:
    target = {
        "script": "tells_environment.py",
        "config": {"schema": "$MELTANO_EXTRACT__LOAD_SCHEMA", "of": "${MELTANO_EXTRACTOR_NAME}"},
    }
    tap = says(messages(1), api_token="sesame-opens")
    project(tmp_path, {**tap, "load_schema": "raw_x"}, target)
    if piped:
        shell("flow run tap-x | flow load target-x", tmp_path)
    else:
        flow("run", "tap-x", "target-x")
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["config"] == {"schema": "raw_x", "of": "tap-x"}
    assert "sesame-opens" not in json.dumps(told["environ"])
