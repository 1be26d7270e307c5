"""Errors about lines that are no Singer messages, or messages in the wrong place."""

from __future__ import annotations

import re
from collections.abc import Callable

from flow_singer.errors import MessageError

EXCERPT_CHARACTERS = 200
_NO_JSON = re.compile(r"([^:]+): line 1 column (\d+) \(char \d+\)")
_GZIP = b"\x1f\x8b"


class CutLineError(MessageError):
    """The last line of a stream lacks its end: its writer was stopped in the middle; `line` is its number."""

    def __init__(self, line: int, error: MessageError) -> None:
        super().__init__(error.message, error.hint)
        self.line = line


class RecordBeforeSchemaError(MessageError):
    """A record of a stream whose SCHEMA has not come."""

    def __init__(self, number: int, stream: str) -> None:
        super().__init__(
            f"Line {number}: a record of stream '{stream}' came before its SCHEMA.",
            "Singer taps write SCHEMA first; ask the tap's maintainer.",
        )


def bad_line(
    number: int, line: bytes, reason: str, *, hide: Callable[[str], str] | None = None
) -> MessageError:
    """The error for a line that is no Singer message, with its first 200 characters."""
    if found := _NO_JSON.fullmatch(reason):
        reason = f"no JSON: {found[1].lower()} at character {found[2]}"
    said = f"Line {number} is not a Singer message ({reason}): {excerpt(line, hide=hide)}"
    if number == 1 and line.startswith(_GZIP):
        return MessageError(said, "The input is compressed: gunzip -c FILE | flow …")
    return MessageError(
        said,
        "Taps must print only messages on stdout. If this is log output, run with --noise stderr; "
        "flow transform sets bad lines aside with --reject FILE.",
    )


_HIDE_BYTES = 1 << 16
"""Secrets are taken out of so much of a line before it is cut: a cut must not leave half of one."""


def excerpt(line: bytes, *, hide: Callable[[str], str] | None = None) -> str:
    """The beginning of a line, safe to show on a terminal; `hide` takes secrets out of it."""
    size = EXCERPT_CHARACTERS * 4 if hide is None else _HIDE_BYTES
    text = line[:size].decode("utf-8", "backslashreplace")
    if hide is not None:
        text = hide(text)
    shown = text[:EXCERPT_CHARACTERS]
    printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
    return printable + ("…" if len(text) > EXCERPT_CHARACTERS or len(line) > EXCERPT_CHARACTERS * 4 else "")
