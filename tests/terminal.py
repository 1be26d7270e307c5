"""A terminal as a person sees it: a program on a pseudo-terminal, and the text that stands on its screen."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

LIMIT_S = 90.0  # ends only what hangs
_CHANGING = (
    (r"(?<!\d)\d\d:\d\d:\d\d\b", "HH:MM:SS"),
    (r"[|/\\-] (\S.*?) +\d:\d\d\b", r"* \1 M:SS"),  # the live line
    (r" +[\d,]+/s\b", "  N/s"),
    (r"\([\d,]+ records?/s\)", "(N records/s)"),
    (r" +[\d.,]+ k?B\b", " N kB"),
    (r"\b\d+\.\d s\b", "T s"),
    (r"\brun [0-9a-f]{8}\b", "run RUNID"),
    (r"\b\d{8}T\d{6}-(\S+)-\d+\.log\b", r"TIME-\1-PID.log"),
)
"""What differs from run to run, and what stands for it on the screen."""


class Terminal:
    """A shell script on a terminal, which shows steady words in place of what differs from run to run.

    They are put in before lines are folded, so that these fold at the same place each time.

    Args:
        script: for bash.
        columns: of the screen.
        cwd: where it runs.
        env: its whole environment.
        lines: of the screen.
    """

    def __init__(
        self, script: str, *, columns: int, cwd: Path, env: Mapping[str, str], lines: int = 24
    ) -> None:
        self._size = columns, lines
        self._written = ""
        self._changing = ((re.escape(str(cwd)), "/project"), *_CHANGING)
        self._child: pexpect.spawn[str] = pexpect.spawn(
            "bash",
            ["--noprofile", "--norc", "-c", script],
            cwd=str(cwd),
            env={**env, "TERM": "xterm-256color"},  # type: ignore[arg-type]
            dimensions=(lines, columns),
            encoding="utf-8",
            timeout=LIMIT_S,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)

    @property
    def text(self) -> str:
        """What stands on the screen now, without blanks at the ends of lines."""
        return "\n".join(line.rstrip() for line in self._screen().display).rstrip()

    @property
    def colours(self) -> set[str]:
        """The colours of the characters on the screen."""
        return {char.fg for row in self._screen().buffer.values() for char in row.values()} - {"default"}

    def until(self, pattern: str) -> str:
        """Read until the screen shows a pattern; return its text."""
        while not re.search(pattern, self.text):
            self._read()
        return self.text

    def end(self) -> int:
        """Read to the end of the script; its exit code, negative for a signal."""
        try:
            while True:
                self._read()
        except EOFError:
            pass
        self._child.wait()
        return -self._child.signalstatus if self._child.signalstatus else int(self._child.exitstatus or 0)

    def press(self, keys: str) -> None:
        """Type at the keyboard; `\\x03` is Ctrl-C."""
        self._child.send(keys)

    def _read(self) -> None:
        try:
            self._written += self._child.read_nonblocking(4096, timeout=LIMIT_S)
        except pexpect.EOF:
            raise EOFError(f"The script ended. The screen shows:\n{self.text}") from None
        except pexpect.TIMEOUT:
            sys.stderr.write(self.text)
            raise

    def _screen(self) -> pyte.Screen:
        written = self._written
        for pattern, put in self._changing:
            written = re.sub(pattern, put, written)
        screen = pyte.Screen(*self._size)
        pyte.Stream(screen).feed(written)
        return screen
