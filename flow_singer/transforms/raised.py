"""What a user's code raised: an interruption, or an error in words that can be shown, sent and kept."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from pathlib import Path

from flow_singer.process.interrupts import Interrupted, deferred

MOST_CHARACTERS = 2_000
"""How much of an exception's text is shown."""


def describe_exception(exc: BaseException) -> str:
    """`TypeError: text`; the name alone where it has no text or cannot tell it."""
    name = type(exc).__name__
    try:
        text = str(exc)
        if len(text) > MOST_CHARACTERS:
            text = f"{readable(text[:MOST_CHARACTERS])[:MOST_CHARACTERS]}… ({len(text):,} characters)"
    except BaseException as failure:  # a text that cannot be made must not hide what happened
        text = f"(its text cannot be made: {type(failure).__name__})"
    return readable(f"{name}: {text}" if text else name)


def readable(text: str) -> str:
    """A text without lone surrogates, which no output can encode."""
    return text.encode("utf-8", "backslashreplace").decode()


def error_line(exc: BaseException, path: Path) -> str:
    """`, line N`: the last line of the user's file that the error passed through; else nothing."""
    names = {str(path), str(path.absolute()), str(path.resolve())}
    for frame, line in reversed(list(traceback.walk_tb(exc.__traceback__))):
        if frame.f_code.co_filename in names:
            return f", line {line}"
    return ""


def chain_of(exc: BaseException) -> Iterator[BaseException]:
    """An exception, and one after the other those that it was raised from or after."""
    found: BaseException | None = exc
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        yield found
        seen.add(id(found))
        found = found.__cause__ or found.__context__


def deliver() -> None:
    """Raise an interruption that a user's code has swallowed."""
    with deferred():
        pass


def interruption_behind(exc: BaseException) -> Interrupted | None:
    """The interruption that an exception is, or was made of: a function may catch all and raise its own."""
    return next((one for one in chain_of(exc) if isinstance(one, Interrupted)), None)


def has_left_debugger(exc: BaseException) -> bool:
    """Whether pdb was left: by a person, or because nothing can be read from its terminal."""
    bdb = sys.modules.get("bdb")  # there, if anybody debugs
    return bdb is not None and any(isinstance(one, bdb.BdbQuit) for one in chain_of(exc))
