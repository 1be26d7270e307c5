"""A stream that was cut short never replaces what was good, whoever publishes and however it was cut."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flow_target_csv
import pytest
from command import Command, Result
from projects import write_project
from streams import bookmark, bookmarked_id, framed, ids, messages, plain

Shell = Callable[..., Result]

CSV = {"config": {"output_path": "out", "overwrite_behavior": "replace"}}
PACKAGE = {"config": {"path": "out"}}


def project(root: Path, target: dict[str, Any], name: str, **tap: Any) -> None:
    """A project with `tap-x`, which says what `tap` tells it to."""
    write_project(root, taps={"tap-x": {"script": "says.py", "config": tap}}, targets={name: target})
    (root / "t.py").write_text("def s(df):\n    return df\n")


def content(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


GOOD = {"stdout": plain(messages(100)).decode()}
SHORT = {"stdout": plain(messages(7)).decode()}
RUNS = {
    "supervised": ("flow run tap-x {target}", 69),
    "supervised with a transform": ("flow run tap-x t.py {target}", 69),
    "pipe": ("flow run tap-x | flow load {target}", 75),
    "pipe with a transform": ("flow run tap-x | flow transform t.py | flow load {target}", 75),
    "pipe without flow load": ("flow run tap-x | {target} --config config.json", 75),
}


@pytest.mark.parametrize(
    ("name", "target", "run", "ending"),
    [
        ("target-csv", CSV, "supervised", {"exit": 1}),
        ("target-csv", CSV, "supervised with a transform", {"signal": "SIGKILL"}),
        ("target-csv", CSV, "pipe", {"signal": "SIGKILL"}),
        ("target-csv", CSV, "pipe with a transform", {"exit": 1}),
        ("target-csv", CSV, "pipe without flow load", {"exit": 1}),
        ("target-datapackage", PACKAGE, "supervised", {"exit": 1}),
        ("target-datapackage", PACKAGE, "pipe with a transform", {"exit": 1}),
        ("target-datapackage", PACKAGE, "pipe without flow load", {"exit": 1}),
    ],
)
def test_a_tap_that_fails_leaves_the_files_of_the_run_before(
    tmp_path: Path, shell: Shell, name: str, target: dict[str, Any], run: str, ending: dict[str, Any]
) -> None:
    script, code = RUNS[run]
    script = script.format(target=name)
    if run == "pipe without flow load":
        module = name.replace("target-", "flow_target_")
        script = script.replace(name, f"{shlex.quote(sys.executable)} -m {module}")
    (tmp_path / "config.json").write_text(json.dumps(target["config"]))
    project(tmp_path, target, name, **GOOD)
    good = shell(script)
    assert good.code == 0, good.stderr
    before = content(tmp_path / "out")
    assert before
    project(tmp_path, target, name, **SHORT, **ending)
    result = shell(script)
    assert result.code == code, result.stderr
    assert content(tmp_path / "out") == before
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("choice", [[], ["--on-incomplete", "commit"], ["--on-incomplete", "abort"]])
def test_no_choice_lets_our_own_targets_publish_what_is_incomplete(
    tmp_path: Path, flow: Shell, choice: list[str]
) -> None:
    project(tmp_path, CSV, "target-csv")
    assert flow("load", "target-csv", stdin=framed(messages(100))).code == 0
    before = content(tmp_path / "out")
    result = flow("load", "target-csv", *choice, stdin=framed(messages(7), ok=False))
    assert result.code == 75, result.stderr
    assert content(tmp_path / "out") == before
    assert "Traceback" not in result.stderr


def test_a_stream_without_marks_is_published_at_its_end(tmp_path: Path, flow: Shell) -> None:
    project(tmp_path, CSV, "target-csv")
    assert flow("load", "target-csv", stdin=plain(messages(5))).code == 0
    assert (tmp_path / "out" / "s.csv").read_bytes().count(b"\n") == 6


def test_a_stream_without_marks_cut_in_a_line_is_not_published(tmp_path: Path, flow: Shell) -> None:
    project(tmp_path, CSV, "target-csv")
    result = flow("load", "target-csv", stdin=plain(messages(5))[:-9])
    assert result.code == 75, result.stderr
    assert not (tmp_path / "out" / "s.csv").exists()


def test_a_killed_flow_load_does_not_look_like_an_end(tmp_path: Path, command: Command) -> None:
    """The kernel ends the target a moment after it showed it an end of input; here that moment is as long as it may be:
    what a target got up to the kill is shown to it again, with nothing behind it."""
    project(tmp_path, CSV, "target-csv")
    assert command.flow("load", "target-csv", stdin=framed(messages(100))).code == 0
    before = content(tmp_path / "out")
    (tmp_path / "config.json").write_text(json.dumps(CSV["config"]))
    keeper = tmp_path / "instead" / "flow_target_csv" / "__main__.py"
    keeper.parent.mkdir(parents=True)
    (keeper.parent / "__init__.py").touch()
    about = Path(flow_target_csv.__file__).with_name("about.json")
    (keeper.parent / "about.json").write_bytes(about.read_bytes())
    keeper.write_text(
        "import os\n"
        "with open('sent', 'wb', buffering=0) as sent:\n"
        "    while block := os.read(0, 1 << 16):\n"
        "        sent.write(block)\n"
    )
    environ = {"PYTHONPATH": str(tmp_path / "instead")}
    load = command.start("load", "target-csv", stdin=subprocess.PIPE, env=environ)
    assert load.stdin is not None
    load.stdin.write(plain(messages(7)))
    load.stdin.flush()
    sent = tmp_path / "sent"
    _wait_for(lambda: sent.exists() and sent.read_bytes().count(b"\n") == 15)
    load.kill()
    load.communicate()
    result = command.shell(f"{sys.executable} -m flow_target_csv --config config.json <sent", tmp_path)
    assert result.code == 75, result.stderr
    assert content(tmp_path / "out") == before


def _wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# -------------------------------------------------------------------------------------- appended files


def test_an_appended_file_keeps_what_the_last_state_covers_and_no_row_twice(
    tmp_path: Path, flow: Shell
) -> None:
    project(tmp_path, {"config": {"output_path": "out"}}, "target-csv")
    stream = framed(messages(10, every=4), ok=False)
    result = flow("load", "target-csv", stdin=stream)
    assert result.code == 75, result.stderr
    assert _csv_ids(tmp_path) == list(range(1, 9))
    assert bookmarked_id(tmp_path, "tap-x-to-target-csv") == 8
    assert flow("load", "target-csv", stdin=framed(messages(4, first=9, every=4))).code == 0
    assert _csv_ids(tmp_path) == list(range(1, 13))


def test_an_appended_file_without_a_state_takes_an_incomplete_stream_back(
    tmp_path: Path, flow: Shell
) -> None:
    project(tmp_path, {"config": {"output_path": "out"}}, "target-csv")
    assert flow("load", "target-csv", stdin=framed(messages(3))).code == 0
    result = flow("load", "target-csv", stdin=framed(messages(5, first=4, every=99), end=False))
    assert result.code == 75, result.stderr
    assert _csv_ids(tmp_path) == [1, 2, 3]


def test_streams_behind_the_last_state_are_taken_back_where_they_interleave(
    tmp_path: Path, flow: Shell
) -> None:
    project(tmp_path, {"config": {"output_path": "out"}}, "target-csv")
    a, b = messages(6, every=3), messages(6, every=99, stream="b")
    lines = [a[0], b[0]]
    for one, two in zip(a[1:], [*b[1:], b""], strict=False):
        lines += [line for line in (one, two) if line]
    state_at = max(i for i, line in enumerate(lines) if b"STATE" in line)
    covered = [json.loads(line) for line in lines[:state_at] if b"RECORD" in line]
    result = flow("load", "target-csv", stdin=framed([*lines, b[1]], end=False))
    assert result.code == 75, result.stderr
    for stream in ("s", "b"):
        wanted = [one["record"]["id"] for one in covered if one["stream"] == stream]
        assert _csv_ids(tmp_path, stream) == wanted


def _csv_ids(root: Path, stream: str = "s") -> list[int]:
    text = (root / "out" / f"{stream}.csv").read_text()
    return [int(line.split(",")[0]) for line in text.splitlines()[1:]]


# ------------------------------------------------------------------------------------ foreign targets


def foreign(root: Path, **config: Any) -> None:
    target = {"script": "publishes.py", "config": {"rows": str(root / "rows"), **config}}
    project(root, target, "target-x")


@pytest.mark.parametrize(
    "setting",
    [{"overwrite_behavior": "replace_file"}, {"load_method": "overwrite"}, {"overwrite": True}],
    ids=lambda setting: next(iter(setting)),
)
def test_a_foreign_target_that_says_it_replaces_gets_no_end_of_an_incomplete_stream(
    tmp_path: Path, flow: Shell, setting: dict[str, Any]
) -> None:
    foreign(tmp_path, **setting)
    assert flow("load", "target-x", stdin=framed(messages(100))).code == 0
    result = flow("load", "target-x", stdin=framed(messages(7), end=False))
    assert result.code == 75, result.stderr
    assert len(ids(tmp_path / "rows")) == 100
    assert bookmarked_id(tmp_path) == 100
    assert f"target-x replaces what was there ({next(iter(setting))}: " in result.stderr
    assert "--on-incomplete commit" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_foreign_target_gets_its_end_where_that_is_chosen(tmp_path: Path, flow: Shell) -> None:
    foreign(tmp_path, load_method="overwrite")
    stream = framed(messages(7), end=False)
    assert flow("load", "target-x", "--on-incomplete", "commit", stdin=stream).code == 75
    assert len(ids(tmp_path / "rows")) == 7


def test_a_supervised_run_takes_the_choice(tmp_path: Path, flow: Shell) -> None:
    target = {"script": "publishes.py", "config": {"rows": str(tmp_path / "rows")}}
    project(tmp_path, target, "target-x", **SHORT, exit=1)
    assert flow("run", "tap-x", "target-x", "--on-incomplete", "abort").code == 69
    assert not (tmp_path / "rows").exists()
    assert flow("run", "tap-x", "target-x").code == 69
    assert len(ids(tmp_path / "rows")) == 7
    for words in (["run", "tap-x"], ["run", "tap-x", "out/"], ["load", "out/"]):
        refused = flow(*words, "--on-incomplete", "abort", stdin=framed(messages(1)))
        assert refused.code == 2, refused.stderr


@pytest.mark.parametrize("config", [{}, {"load_method": "append-only"}, {"load_method": "upsert"}])
def test_a_foreign_target_that_does_not_replace_keeps_what_came(
    tmp_path: Path, flow: Shell, config: dict[str, Any]
) -> None:
    foreign(tmp_path, **config)
    assert flow("load", "target-x", stdin=framed(messages(7), end=False)).code == 75
    assert len(ids(tmp_path / "rows")) == 7
    assert bookmarked_id(tmp_path) == 7


# ------------------------------------------------------------------------------- what is no bookmark


@pytest.mark.parametrize(
    "printed",
    [
        '{"type": "STATE", "value": {"bookmarks": {"s": {"id": 3}}}}',
        '{"type": "RECORD", "stream": "s", "record": {"id": 3}}',
        '{"level": "info", "message": "done", "time": 1}',
    ],
    ids=["a message", "a record", "a log line"],
)
def test_json_that_is_unlike_every_state_sent_is_no_bookmark(
    tmp_path: Path, flow: Shell, printed: str
) -> None:
    target = {"script": "ends.py", "config": {"stdout": printed + "\n"}}
    project(tmp_path, target, "target-x")
    result = flow("load", "target-x", stdin=framed(messages(3)))
    assert result.code == 0, result.stderr
    assert bookmark(tmp_path) is None
    assert f"target-x: {printed}" in result.stderr


def test_a_state_that_was_never_sent_is_no_bookmark(tmp_path: Path, flow: Shell) -> None:
    project(
        tmp_path, {"script": "ends.py", "config": {"stdout": '{"bookmarks":{"s":{"id":3}}}\n'}}, "target-x"
    )
    assert flow("load", "target-x", stdin=framed(messages(3, every=99))).code == 0
    assert bookmark(tmp_path) is None
