"""The encoding of a text file: by its mark, by what its bytes can be, else by a guess that is told."""

from __future__ import annotations

import codecs
import gzip
import re
from collections.abc import Callable
from pathlib import Path
from typing import IO

from flow_singer.errors import ConfigError, DataError
from flow_singer.wording import count_of

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
_WEB_PAGE = (b"<!doctype", b"<html", b"<head", b"<body", b"<!--", b"<script", b"<meta", b"<title")
_XML = (b"<?xml", b"<svg")
_OTHERS = (
    (b"%PDF-", "a PDF"),
    (b"GIF8", "a picture"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"PK\x03\x04", "a zip archive"),
    (b"BZh", "packed by bzip2"),
    (b"\xfd7zXZ", "packed by xz"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"SQLite format 3", "an SQLite database"),
    (b"\x7fELF", "a program"),
)
_NEVER_IN_TEXT = [bytes([code]) for code in (*range(1, 8), *range(14, 26))]
_BAD = re.compile("[\udc80-\udcff]")
_GOOD = re.compile("[^\0-\x7f\udc80-\udcff]")
_HIGH = re.compile(rb"[\x80-\xff]+")
_WORD = re.compile(rb"[\x80-\xff]{3,}")
_ENOUGH = 6
"""So many letters beyond ASCII tell whether they stand alone, as in Latin text, or make whole words."""


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
        DataError: it is no text, or a web page, or is cut, or was UTF-8 once.
        ConfigError: nothing tells which it is.
    """
    try:
        with opened(path, is_gzip) as file:
            return _of_bytes(file, title, notice)
    except (EOFError, gzip.BadGzipFile, OSError) as exc:
        raise DataError(f"{title} cannot be read: {exc}.", "Get the file again.") from exc


def is_ascii(path: Path, is_gzip: bool) -> bool:
    """Whether a file is of any encoding whose first 128 characters are those of ASCII."""
    with opened(path, is_gzip) as file:
        return all(block.isascii() for block in iter(lambda: file.read(_BLOCK_BYTES), b""))


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
    marked = next(((mark, encoding) for mark, encoding in _MARKS if head.startswith(mark)), None)
    _refuse_page(head.removeprefix(codecs.BOM_UTF8), title)
    if marked is not None:
        return marked[1]
    _refuse_binary(head, title)
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
        file.seek(0)
    return _narrow(file, title, notice)


def _refuse_page(head: bytes, title: str) -> None:
    begin = head[:200].lstrip().lower()
    if begin.startswith(_WEB_PAGE):
        raise DataError(
            f"{title} is a web page, not data.",
            "Get the file itself: on many sites it is behind 'raw' or 'download'.",
        )
    if begin.startswith(_XML):
        raise DataError(f"{title} is XML, not data in rows.", "Get it as CSV or JSON.")


def _refuse_binary(head: bytes, title: str) -> None:
    kind = next((kind for mark, kind in _OTHERS if head.startswith(mark)), None)
    odd = 0 if b"\0" in head else sum(head.count(byte) for byte in _NEVER_IN_TEXT)
    if kind is None and odd <= len(head) // 100:
        return
    raise DataError(
        f"{title} is no text: it is {kind}."
        if kind
        else f"{title} is no text: it has bytes that no text has.",
        "Is it of another format? Then say which: 'format'.",
    )


def _narrow(file: IO[bytes], title: str, notice: Callable[[str], None]) -> str:
    """A text of one byte per letter, unless it is one that was UTF-8 once, or of an alphabet that nothing tells."""
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    good = bad = letters = in_words = line = 0
    first = None
    is_cp1252 = True
    while data := file.read(_BLOCK_BYTES):
        text = decoder.decode(data)
        if first is None and (found := _BAD.search(text)):
            first = line + text.count("\n", 0, found.start()) + 1
        line += text.count("\n")
        bad += len(_BAD.findall(text))
        good += len(_GOOD.findall(text))
        letters += sum(map(len, _HIGH.findall(data)))
        in_words += sum(map(len, _WORD.findall(data)))
        is_cp1252 = is_cp1252 and not _NEVER_IN_CP1252 & set(data)
    if good > 2 * bad:
        raise DataError(
            f"{title} is UTF-8 but for {count_of(bad, 'byte')}, the first in line {first or line + 1}.",
            "Correct it; or say its 'encoding', such as cp1252, in which every byte is a letter.",
        )
    if letters >= _ENOUGH and in_words > letters // 2:
        raise ConfigError(
            f"{title} is not UTF-8, and its letters are not Latin ones: nothing tells which they are.",
            "Say its 'encoding', such as cp1251 (Cyrillic), cp1253 (Greek), shift_jis, gb18030 or big5.",
        )
    guess = _GUESS if is_cp1252 else "latin-1"
    notice(f"{title} is not UTF-8; it is read as {guess}. If letters are wrong, say its 'encoding'.")
    return guess


def _wide(head: bytes, title: str, notice: Callable[[str], None]) -> str:
    """UTF-16 without a mark: read so, it has lines, and hardly a character that cannot be shown."""
    whole = head[: len(head) // 2 * 2]
    for encoding in ("utf-16-le", "utf-16-be"):
        text = whole.decode(encoding, "replace")
        shown = sum(one.isprintable() or one in "\r\n\t" for one in text)
        if ("\n" in text or "\r" in text) and shown > 0.98 * len(text) and text.count("\ufffd") < 2:
            notice(f"{title} is read as {encoding}. If letters are wrong, say its 'encoding'.")
            return encoding
    raise DataError(
        f"{title} is no text: it has bytes that are zero.",
        "Is it of another format? Then say which: 'format'. UTF-16 is said by 'encoding'.",
    )
