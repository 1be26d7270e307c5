"""The encoding of a text file: by its mark, by what its bytes can be, else by a guess that is told."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Callable
from pathlib import Path
from typing import IO

from flow_singer.errors import ConfigError, DataError

_BLOCK_BYTES = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_GUESS = "cp1252"
_NEVER_IN_CP1252 = frozenset(b"\x81\x8d\x8f\x90\x9d")
_WEB_PAGE = (b"<!doctype html", b"<html")


def opened(path: Path, is_gzip: bool) -> IO[bytes]:
    """A file, unpacked."""
    return gzip.open(path) if is_gzip else path.open("rb")  # type: ignore[return-value]


def find_encoding(path: Path, title: str, *, is_gzip: bool, notice: Callable[[str], None]) -> str:
    """The encoding of a file of text, from all of its bytes.

    Args:
        path: the file.
        title: as a person knows it.
        is_gzip: whether it is packed.
        notice: told where it is a guess.

    Raises:
        DataError: it is no text, or a web page, or is cut.
    """
    try:
        with opened(path, is_gzip) as file:
            return _of_bytes(file, title, notice)
    except (EOFError, gzip.BadGzipFile, OSError) as exc:
        raise DataError(f"{title} cannot be read: {exc}.", "Get the file again.") from exc


def check_encoding(name: str) -> str:
    """The encoding that a person named.

    Raises:
        ConfigError: Python does not know it.
    """
    try:
        codecs.lookup(name)
    except LookupError:
        raise ConfigError(
            f"'encoding' is {name!r}, which Python does not know.",
            "Common ones are utf-8, cp1252 and utf-16.",
        ) from None
    return name


def _of_bytes(file: IO[bytes], title: str, notice: Callable[[str], None]) -> str:
    head = file.read(_BLOCK_BYTES)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if head.lstrip()[:15].lower().startswith(_WEB_PAGE):
        raise DataError(
            f"{title} is a web page, not data.",
            "Get the file itself: on many sites it is behind 'raw' or 'download'.",
        )
    if b"\0" in head:
        return _wide(head, title, notice)
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while head:
            decoder.decode(head)
            head = file.read(_BLOCK_BYTES)
        decoder.decode(b"", final=True)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    is_cp1252 = True
    while head:
        is_cp1252 = is_cp1252 and not _NEVER_IN_CP1252 & set(head)
        head = file.read(_BLOCK_BYTES)
    guess = _GUESS if is_cp1252 else "latin-1"
    notice(f"{title} is not UTF-8; it is read as {guess}. If letters are wrong, say its 'encoding'.")
    return guess


def _wide(head: bytes, title: str, notice: Callable[[str], None]) -> str:
    """UTF-16 without a mark: every other byte of European text is zero."""
    half = max(len(head) // 2, 1)
    for encoding, zeros, letters in (
        ("utf-16-le", head[1::2], head[::2]),
        ("utf-16-be", head[::2], head[1::2]),
    ):
        if zeros.count(0) > half * 0.6 and letters.count(0) < half * 0.05:
            notice(f"{title} is read as {encoding}. If letters are wrong, say its 'encoding'.")
            return encoding
    raise DataError(
        f"{title} is no text: it has bytes that are zero.",
        "Is it of another format? Then say which: 'format'. UTF-16 is said by 'encoding'.",
    )
