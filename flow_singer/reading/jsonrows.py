"""JSON Lines and JSON to RECORD lines: the rows as they stand, none of their values read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from flow_singer.errors import DataError
from flow_singer.tabular.parts import Part

_BLOCK_BYTES = 1 << 20
_MOST_LINE_BYTES = 1 << 30
_rows = msgspec.json.Decoder(list[msgspec.Raw])


def record_head(stream: str) -> bytes:
    """What stands before a record in its line."""
    return f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":'.encode()


def jsonl_parts(path: Path, *, title: str, is_gzip: bool, encoding: str, stream: str) -> Iterator[Part]:
    """The lines of a file, each as a RECORD line, with their numbers in the file.

    Raises:
        DataError: a line is no object, or the file is not of its encoding.
    """
    head = record_head(stream)
    number = 1
    for block in _line_blocks(path, title, is_gzip, encoding):
        lines = block.split(b"\n")
        if not lines[-1].strip():
            lines.pop()
        bad = [at for at, line in enumerate(lines) if not line.startswith(b"{")]
        if bad:  # blanks before and behind, empty lines
            lines = [line.strip() for line in lines]
            _refuse_other(lines, number, title)
            runs = _runs([(number + at, line) for at, line in enumerate(lines) if line])
            for first, group in runs:
                yield Part(b"".join(head + line + b"}\n" for line in group), [(first, len(group))])
        else:
            yield Part(head + (b"}\n" + head).join(lines) + b"}\n", [(number, len(lines))])
        number += len(lines)


def _refuse_other(lines: Sequence[bytes], first: int, title: str) -> None:
    for number, line in enumerate(lines, first):
        if line and not line.startswith(b"{"):
            shown = line[:80].decode(errors="replace")
            raise DataError(
                f"{title}, line {number} is no JSON object: {shown!r}",
                "Each line of JSON Lines is one object.",
            )


def _runs(numbered: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, list[bytes]]]:
    group: list[bytes] = []
    start = 0
    for number, line in numbered:
        if group and number != start + len(group):
            yield start, group
            group = []
        if not group:
            start = number
        group.append(line)
    if group:
        yield start, group


def _line_blocks(path: Path, title: str, is_gzip: bool, encoding: str) -> Iterator[bytes]:
    """Whole lines in UTF-8, about a megabyte at once."""
    codec = (
        None if encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig", "ascii") else encoding
    )
    rest = b""
    is_first = True
    try:
        with _opened(path, is_gzip) as file:
            if codec is not None:
                yield from _transcoded(file, codec)
                return
            while block := file.read(_BLOCK_BYTES):
                if is_first:
                    block, is_first = block.removeprefix(b"\xef\xbb\xbf"), False
                end = block.rfind(b"\n") + 1
                if not end:
                    rest += block
                    if len(rest) > _MOST_LINE_BYTES:
                        raise DataError(
                            f"{title} has a line of more than a gigabyte.", "Is it JSON Lines at all?"
                        )
                    continue
                yield rest + block[:end]
                rest = block[end:]
            if rest:
                yield rest
    except UnicodeDecodeError as exc:
        raise DataError(
            f"{title} is not in the encoding {encoding}.", "Name the one it is in: 'encoding'."
        ) from exc
    except (EOFError, gzip.BadGzipFile) as exc:
        raise DataError(f"{title} is cut or no gzip file: {exc}.", "Get the file again.") from exc


def _transcoded(file: IO[bytes], encoding: str) -> Iterator[bytes]:
    import io

    text = io.TextIOWrapper(file, encoding=encoding, newline="\n")
    while lines := text.readlines(_BLOCK_BYTES):
        yield "".join(lines).removeprefix("\ufeff").encode()


def _opened(path: Path, is_gzip: bool) -> IO[bytes]:
    return gzip.open(path) if is_gzip else path.open("rb")  # type: ignore[return-value]


def json_parts(path: Path, *, title: str, is_gzip: bool, encoding: str, stream: str) -> Iterator[Part]:
    """The rows of a JSON file, which is one array of objects, or an object that has one; read whole.

    Raises:
        DataError: it is neither.
    """
    with _opened(path, is_gzip) as file:
        data = file.read()
    if encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
        data = data.decode(encoding).encode()
    yield from row_parts(rows_of(data.removeprefix(b"\xef\xbb\xbf"), title), title=title, stream=stream)


def rows_of(data: bytes, title: str) -> list[msgspec.Raw]:
    """The rows of a JSON document.

    Raises:
        DataError: it is no JSON, or has no rows.
    """
    try:
        if not data.lstrip().startswith(b"{"):
            return _rows.decode(data)
        found = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
        arrays = [value for value in found.values() if bytes(value).lstrip().startswith(b"[")]
        if len(arrays) == 1:
            return _rows.decode(arrays[0])
        raise DataError(
            f"{title} is an object with {len(arrays) or 'no'} arrays, so that its rows are not known.",
            "Flow reads an array of objects, or an object with one such array.",
        )
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise DataError(
            f"{title} is no array of JSON objects: {exc}.", "Is it JSON Lines? Then name it .jsonl."
        ) from exc


def inline_rows(rows: Sequence[Any], columns: Sequence[str], title: str) -> list[msgspec.Raw]:
    """The rows that stand in a descriptor: objects, or lists, of which the first may be the header."""
    if rows and isinstance(rows[0], list):
        header = [str(name) for name in rows[0]]
        if columns and header != list(columns):
            header, body = list(columns), rows
        else:
            body = rows[1:]
        rows = [dict(zip(header, row, strict=False)) for row in body]
    if not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{title} has rows that are neither objects nor lists.", "Correct its 'data'.")
    return [msgspec.Raw(json.dumps(row).encode()) for row in rows]


def row_parts(rows: Sequence[msgspec.Raw], *, title: str, stream: str, first: int = 1) -> Iterator[Part]:
    """Rows as RECORD lines; their numbers are their places, from `first`."""
    head = record_head(stream)
    for start in range(0, len(rows), 5_000):
        some = [b" ".join(bytes(row).splitlines()) for row in rows[start : start + 5_000]]
        for number, row in enumerate(some, start + first):
            if not row.startswith(b"{"):
                shown = row[:80].decode(errors="replace")
                raise DataError(
                    f"{title}, row {number} is no JSON object: {shown}", "Each row is one object."
                )
        yield Part(head + (b"}\n" + head).join(some) + b"}\n", [(start + first, len(some))])
