"""What stands on a terminal while commands run and when they have ended; the pictures are in `screens/`.

After a change that is meant: FLOW_TEST_WRITE_SCREENS=1 writes them anew; read them before they are committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from command import Command
from projects import write_project
from terminal import Terminal

from flow_singer.cli._liveline import elapsed, live_text

SCREENS = Path(__file__).parent / "screens"
SCHEMA = '{"type":"SCHEMA","stream":"issues","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}\n'
RECORDS = "".join(f'{{"type":"RECORD","stream":"issues","record":{{"id":{n}}}}}\n' for n in range(9))
SAID = "INFO Starting sync\nWARNING The API is deprecated\nINFO METRIC: {}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a tap that talks, one that fails, and one that stops before its second record."""
    write_project(
        tmp_path,
        taps={
            "tap-x": {"script": "says.py", "config": {"stdout": SCHEMA + RECORDS, "stderr": SAID}},
            "tap-fails": {
                "script": "says.py",
                "config": {
                    "stdout": SCHEMA + RECORDS,
                    "stderr": f"{SAID}INFO Asking page 3\nCRITICAL 503 Service Unavailable\n",
                    "exit": 1,
                },
            },
            "tap-halts": {"script": "counts.py", "config": {"count": 3, "halt": 2, "gate": "gate"}},
        },
        default_environment="dev",
        environments=[{"name": "dev"}],
    )
    (tmp_path / "t.py").write_text("def issues(df):\n    return df\n")
    os.mkfifo(tmp_path / "gate")
    return tmp_path


def _compare(name: str, text: str, *, in_turn: bool = True) -> None:
    """Compare with the picture; where stages do not take turns, whatever the order of lines."""
    seen = f"{text}\n"
    file = SCREENS / f"{name}.txt"
    if "FLOW_TEST_WRITE_SCREENS" in os.environ:
        file.write_text(seen, encoding="utf-8")
    picture = file.read_text(encoding="utf-8")
    if not in_turn:
        seen, picture = ("\n".join(sorted(text.splitlines())) for text in (seen, picture))
    assert seen == picture


RUNS = {
    "pipe": ("flow run tap-x | flow transform t.py | flow load out/", 0),
    "supervised": ("flow run tap-x t.py out/", 0),
    "verbose": ("flow run -v tap-x t.py out/", 0),
    "quiet": ("flow run -q tap-x t.py out/", 0),
    "failing-tap": ("flow run tap-fails t.py out/", 69),
    "failing-tap-in-a-pipe": ("flow run tap-fails | flow load out/", 75),
    "mistake": ("flow run tap-y t.py out/", 2),
}


@pytest.mark.parametrize("columns", [100, 40])
@pytest.mark.parametrize("name", RUNS)
def test_the_screen_at_the_end(project: Path, command: Command, name: str, columns: int) -> None:
    script, code = RUNS[name]
    with Terminal(script, columns=columns, cwd=project, env=command.env, lines=40) as terminal:
        assert terminal.end() == code
        _compare(f"{name}-{columns}", terminal.text, in_turn=" | " not in script)


@pytest.mark.parametrize("columns", [100, 40])
def test_the_screen_while_a_run_lives_and_after_it_was_stopped(
    project: Path, command: Command, columns: int
) -> None:
    with Terminal("flow run tap-halts out/", columns=columns, cwd=project, env=command.env) as terminal:
        terminal.until(r"\b1 record\b")
        _compare(f"live-{columns}", terminal.text)
        terminal.press("\x03")
        assert terminal.end() == 130
        _compare(f"stopped-{columns}", terminal.text)
    assert not (project / "out").exists()


def test_only_the_last_stage_of_a_pipe_draws(project: Path, command: Command) -> None:
    script = "flow run tap-halts | flow load out/"
    with Terminal(script, columns=100, cwd=project, env=command.env) as terminal:
        text = terminal.until(r"\b1 record\b")
        terminal.press("\x03")
        terminal.end()
    live = [line for line in text.splitlines() if re.search(r"^\* ", line)]
    assert len(live) == 1
    assert live[0][2:].startswith("out/")


@pytest.mark.parametrize(
    ("setting", "has_colours"), [("", True), ("NO_COLOR=1 ", False), ("TERM=dumb ", False)]
)
def test_colours_are_for_who_wants_them(
    project: Path, command: Command, setting: str, has_colours: bool
) -> None:
    with Terminal(f"{setting}flow run tap-y out/", columns=100, cwd=project, env=command.env) as terminal:
        terminal.end()
        assert bool(terminal.colours) is has_colours


def test_nothing_depends_on_utf_8(project: Path, command: Command) -> None:
    script = "PYTHONUTF8=0 PYTHONIOENCODING=ascii flow run tap-x out/"
    with Terminal(script, columns=100, cwd=project, env=command.env) as terminal:
        assert terminal.end() == 0
        assert "tap-x -> out/" in terminal.text
        assert terminal.text.isascii()


# ---------------------------------------------------------------------------------------- the live line


@pytest.mark.parametrize("width", range(20, 120, 7))
@pytest.mark.parametrize("total", [0, 1, 999, 123_456, 98_765_432])
def test_the_live_line_fits_and_nothing_in_it_jumps(width: int, total: int) -> None:
    texts = [
        live_text("tap-github → out/", seconds, {"issues": count}, count * 480, "", width=width)
        for seconds, count in ((3.0, total), (59.2, total + 1), (61.0, total))
    ]
    assert all(len(text) <= width for text in texts)
    assert len({text.find("record") for text in texts}) == 1


def test_the_live_line_leaves_out_whole_what_does_not_fit() -> None:
    parts = ["tap-x", "0:07", "1,000 records", "143/s", "480.0 kB", "issues"]
    for width in range(20, 80):
        text = live_text("tap-x", 7.0, {"issues": 1000}, 480_000, "", width=width)
        shown = [part for part in parts if part in text]
        assert shown == parts[: len(shown)]
        assert re.sub(r"[\s|/\\-]", "", text) == re.sub(r"[\s|/\\-]", "", "".join(shown))


@pytest.mark.parametrize(("seconds", "text"), [(7.9, "0:07"), (725.0, "12:05"), (3723.0, "1:02:03")])
def test_elapsed_time(seconds: float, text: str) -> None:
    assert elapsed(seconds) == text
