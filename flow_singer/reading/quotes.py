"""Whether the quotes of a CSV file come in pairs around cells: where they do not, rows would run into each other.

Readers of CSV say nothing then: a quote that is never closed takes in all rows that follow, as one cell.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from flow_singer.reading.dialects import FoundDialect
from flow_singer.reading.encodings import opened

_BLOCK_BYTES = 1 << 20
_MOST_OPEN_BYTES = 64 << 20
_UTF8 = re.compile(r"utf[-_]?8", re.IGNORECASE)
_ASCII_BELOW = re.compile(
    r"(utf[-_]?8.*|ascii|latin[-_]?1|iso[-_]?8859.*|(cp|windows[-_]?)125\d)", re.IGNORECASE
)
"""Encodings in which a byte below 128 is that character of ASCII, and no part of another."""


def first_bad_line(path: Path, *, is_gzip: bool, encoding: str, dialect: FoundDialect) -> int | None:
    """The number of the first line whose quotes do not come in pairs around cells; None where there is none."""
    if dialect.escape is None and _are_sound(_blocks(path, is_gzip, encoding), dialect.delimiter.encode()):
        return None
    with _text(path, is_gzip, encoding) as text:
        reader = _reader(text, dialect)
        try:
            for _ in reader:
                pass
        except csv.Error:
            return int(reader.line_num)
    return None


def are_part_of_text(path: Path, *, is_gzip: bool, encoding: str, dialect: FoundDialect) -> bool:
    """Whether each row has one width where quotes are taken as any other character, and few cells are in quotes."""
    plain = replace(dialect, quote=None, escape=None)
    around = inside = 0
    with _text(path, is_gzip, encoding) as text:
        for _ in range(dialect.skip_lines):
            text.readline()
        for row in _reader(text, plain):
            if row and len(row) != len(dialect.names):
                return False
            for cell in row:
                if '"' in cell:
                    is_around = len(cell) > 1 and cell[0] == cell[-1] == '"'
                    around, inside = around + is_around, inside + (not is_around)
    return around <= inside


def _reader(text: io.TextIOWrapper, dialect: FoundDialect) -> Any:
    csv.field_size_limit(1 << 30)
    return csv.reader(
        text,
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape,
        doublequote=dialect.escape is None,
        skipinitialspace=dialect.skip_space,
        strict=True,
    )


def _text(path: Path, is_gzip: bool, encoding: str) -> io.TextIOWrapper:
    codec = "utf-8-sig" if _UTF8.fullmatch(encoding) else encoding
    return io.TextIOWrapper(opened(path, is_gzip), encoding=codec, newline="")


def _blocks(path: Path, is_gzip: bool, encoding: str) -> Iterator[bytes]:
    if _ASCII_BELOW.fullmatch(encoding):
        with opened(path, is_gzip) as file:
            yield file.read(_BLOCK_BYTES).removeprefix(codecs.BOM_UTF8)
            while block := file.read(_BLOCK_BYTES):
                yield block
        return
    with _text(path, is_gzip, encoding) as text:
        while part := text.read(_BLOCK_BYTES):
            yield part.encode()


def _are_sound(blocks: Iterator[bytes], delimiter: bytes) -> bool:
    """Whether quotes stand but around cells and, doubled, in them. False where a closer look is needed, too."""
    ends = re.escape(delimiter) + rb"\r\n"
    begun = rb'[^"]*+(?<![^' + ends + rb'])"(?:[^"]++|"")*+'
    closed = re.compile(rb"(?:" + begun + rb'"(?![^"' + ends + rb"]))*+")
    opened_one = re.compile(begun)
    rest = b""
    for block in blocks:
        rest += block
        if b'"' not in rest:
            rest = rest[-1:]
            continue
        end = max(rest.rfind(b"\n"), rest.rfind(b"\r"), rest.rfind(delimiter)) + 1
        left = _left(rest[:end], closed, opened_one)
        if left is None or len(left) > _MOST_OPEN_BYTES:
            return False
        rest = left + rest[end:]
    return _left(rest, closed, opened_one) == b""


def _left(done: bytes, closed: re.Pattern[bytes], opened_one: re.Pattern[bytes]) -> bytes | None:
    """What follows the last closed cell, where another was opened; None where quotes stand otherwise."""
    found = closed.match(done)
    left = done[found.end() if found else 0 :]
    if b'"' not in left:
        return b""
    return left if opened_one.fullmatch(left) else None
