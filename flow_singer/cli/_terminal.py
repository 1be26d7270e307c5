"""Standard error as a screen: whether it is one, what it can, and lines that other programs draw on, too.

The stages of a shell pipe share one terminal. One of them draws a line that lives; each of the others takes that
line away before it prints its own, and the next moment it is drawn again below.
"""

from __future__ import annotations

import os
import sys
import threading

import click

_CLEAR = "\r\x1b[2K"
_writing = threading.Lock()
_supervisor: dict[str, bool] = {}


def print_for(*, terminal: bool, colours: bool) -> None:
    """Print for a supervisor that puts our lines on its own stderr.

    Args:
        terminal: whether that is a terminal.
        colours: whether it shows colours.
    """
    _supervisor.update(terminal=terminal, colours=colours)


def is_read_on_terminal() -> bool:
    """Whether our lines end up where a person may be reading: on our terminal, or on our supervisor's."""
    return _supervisor["terminal"] if _supervisor else is_terminal()


def has_colours() -> bool:
    """Whether the terminal has colours and nobody minds them.

    Source: https://no-color.org.
    """
    return _supervisor["colours"] if _supervisor else can_draw() and not os.environ.get("NO_COLOR")


def is_terminal() -> bool:
    """Whether a person may be reading."""
    return sys.stderr is not None and not sys.stderr.closed and sys.stderr.isatty()


def can_draw() -> bool:
    """Whether a line can be written over."""
    return is_terminal() and os.environ.get("TERM", "dumb") not in ("dumb", "")


def columns() -> int:
    """How wide the terminal is; 80 where it does not say."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def styled(text: str, **style: object) -> str:
    """The text in a style of `click.style`, where there are colours."""
    if not has_colours():
        return text
    return click.style(text, **style)  # type: ignore[arg-type]


def write_line(text: str) -> None:
    """Print a line where a live line may stand; in one piece, as others may print as well."""
    if sys.stderr is None:  # closed by whoever started us
        return
    _write(f"{_CLEAR if can_draw() else ''}{text}\n")


def draw(text: str) -> None:
    """Write the live line anew; empty to take it away."""
    _write(f"{_CLEAR}{text}")


def _write(text: str) -> None:
    encoding = sys.stderr.encoding or "utf-8"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = text.replace("→", "->").encode(encoding, "backslashreplace").decode(encoding)
    with _writing:
        sys.stderr.write(text)
        sys.stderr.flush()
