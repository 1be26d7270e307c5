"""What the code of a person prints: on stderr, as stdout is for messages."""

from __future__ import annotations

import io
import os
import sys
from typing import BinaryIO

from flow_singer.cli import _terminal
from flow_singer.errors import ConfigError


class PrintedLines(io.TextIOBase):
    """Stands in for `sys.stdout` where a live line may be drawn: each line that is printed takes its place.

    Args:
        bytes_out: gets what is printed as bytes.
    """

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, bytes_out: BinaryIO) -> None:
        self.buffer = bytes_out
        self._begun = ""

    def writable(self) -> bool:
        """It is for writing."""
        return True

    def isatty(self) -> bool:
        """Its lines end up on a terminal."""
        return True

    def fileno(self) -> int:
        """That of stdout, which leads to stderr by now."""
        return self.buffer.fileno()

    def write(self, text: str) -> int:
        """Print whole lines; the beginning of one waits for its end."""
        *lines, self._begun = (self._begun + text).split("\n")
        if lines:
            _terminal.write_line("\n".join(lines))
        return len(text)

    def end(self) -> None:
        """Print a last line that has no end."""
        if self._begun:
            self.write("\n")


def hand_terminal_over() -> None:
    """Put the terminal behind stdin and stdout, for `breakpoint()` in a person's code.

    Raises:
        ConfigError: this process has no terminal.
    """
    try:
        terminal = os.open("/dev/tty", os.O_RDWR)
    except OSError as exc:
        raise ConfigError(
            "--debug needs a terminal, and there is none.",
            "In a terminal: flow run TAP > messages.jsonl, then flow transform --debug t.py < messages.jsonl",
        ) from exc
    os.dup2(terminal, 0)
    os.dup2(terminal, 1)
    os.close(terminal)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", buffering=1, closefd=False)  # noqa: SIM115
