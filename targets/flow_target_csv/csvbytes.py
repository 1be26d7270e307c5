"""A CSV file that is there already, read as bytes: where its rows end, and what its header says."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from flow_singer.errors import TargetError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def rows_of(file: BinaryIO) -> Iterator[bytes]:
    """The rows of a CSV file, with their line ends; a quoted cell may hold line ends, too."""
    row = b""
    for line in file:
        row += line
        if row.count(b'"') % 2 == 0:
            yield row
            row = b""
    if row:
        yield row


def ends_with_a_row(path: Path) -> bool:
    """Whether the file does not end within a quoted cell."""
    with path.open("rb") as file:
        quotes = sum(block.count(b'"') for block in iter(lambda: file.read(1 << 20), b""))
    return quotes % 2 == 0


def read_header(path: Path) -> tuple[list[str], int]:
    """The names in the first row, and how many bytes that row takes.

    Raises:
        TargetError: it is no header.
    """
    try:
        with path.open("rb") as file:
            row = next(rows_of(file))
        names = next(csv.reader(io.StringIO(row.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error, StopIteration) as exc:
        raise TargetError(
            f"The header of {path} cannot be read: {exc or 'it is empty'}.",
            "It must be CSV in UTF-8. Move the file away, or mend it.",
        ) from exc
    if not names:
        raise TargetError(f"{path} begins with an empty line instead of a header.", "Mend it.")
    return names, len(row)
