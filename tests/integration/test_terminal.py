"""What a person sees on a terminal: counts that move, and nothing of them in a file."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

import pytest
from command import MODULE, Command
from projects import write_project
from streams import messages, plain


def _on_a_terminal(command: Command, *arguments: str) -> str:
    """Run a command whose stderr is a terminal, and return all that appeared there."""
    screen, terminal = pty.openpty()
    with subprocess.Popen(
        [*MODULE, *arguments],
        cwd=command.cwd,
        env={**command.env, "TERM": "xterm"},
        stdin=subprocess.DEVNULL,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        seen = b""
        while True:
            try:
                block = os.read(screen, 1 << 16)
            except OSError:  # Linux: the last writer closed the terminal
                break
            if not block:
                break
            seen += block
        assert process.wait(60) == 0
    os.close(screen)
    return seen.decode()


@pytest.mark.parametrize("wanted", [True, False], ids=["progress", "no-progress"])
def test_counts_move_on_a_terminal_and_are_wiped_away_at_the_end(
    tmp_path: Path, command: Command, wanted: bool
) -> None:
    tap = {"script": "says.py", "config": {"stdout": plain(messages(3)).decode()}}
    write_project(
        tmp_path,
        taps={"tap-x": tap},
        targets={"target-x": {"script": "durable.py", "config": {"rows": str(tmp_path / "rows")}}},
    )
    options = [] if wanted else ["--no-progress"]
    seen = _on_a_terminal(command, *options, "run", "tap-x", "target-x")
    drawn = re.findall(r"\r\x1b\[2K[|/\\-] tap-x → target-x +\d:\d\d +\d+ record", seen)
    assert bool(drawn) == wanted
    shown = [re.split(r"\r\x1b\[2K", line)[-1] for line in seen.split("\r\n") if line]
    summary, _, bookmark = shown[-3:]
    assert "tap-x → target-x: 3 records of 1 stream" in summary
    assert bookmark.endswith("Bookmark tap-x-to-target-x saved.")
