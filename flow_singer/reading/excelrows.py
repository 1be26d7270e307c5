"""Sheets of an Excel workbook as rows of JSON values.

Cells have types of their own there, so that hardly anything is guessed: a number that is whole is an integer, a date has
no time. Excel keeps numbers as doubles, of 15 digits; more than these have no file of it.
"""

from __future__ import annotations

import gzip
import io
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec

from flow_singer.errors import ConfigError, DataError
from flow_singer.nearnames import suggest
from flow_singer.reading.jsonrows import row_parts
from flow_singer.reading.resourcedescription import Field
from flow_singer.tabular.parts import Part

_GZIP = b"\x1f\x8b"
_ROWS = 5_000


def sheets_of(path: Path, title: str, wanted: str | None) -> list[str]:
    """The names of a workbook's sheets, or the one that is wanted.

    Raises:
        DataError: it is no workbook.
        ConfigError: there is no such sheet.
    """
    names = list(_workbook(path, title).sheet_names)
    if wanted is None:
        return names
    if wanted not in names:
        raise ConfigError(f"{title} has no sheet {wanted!r}, which 'sheet' names.", suggest(wanted, names))
    return [wanted]


def sheet_rows(path: Path, title: str, sheet: str) -> Iterator[list[Any]]:
    """The rows of a sheet, as wide as the sheet, each cell as JSON has it; an empty one is None.

    Raises:
        DataError: it cannot be read.
    """
    for row in sheet_cells(path, title, sheet):
        yield [json_value(cell, stamp=isinstance(cell, datetime)) for cell in row]


def sheet_cells(path: Path, title: str, sheet: str) -> Iterator[list[Any]]:
    """The rows of a sheet, with cells as Python has them; an empty one is None.

    Raises:
        DataError: it cannot be read.
    """
    from python_calamine import CalamineError

    try:
        found = _workbook(path, title).get_sheet_by_name(sheet)
        before: list[Any] = [None] * (found.start or (0, 0))[1]  # columns that are left free
        for row in found.iter_rows():
            yield before + [None if cell == "" else cell for cell in row]
    except CalamineError as exc:
        raise _unreadable(title, exc) from exc


def _workbook(path: Path, title: str) -> Any:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        with path.open("rb") as file:
            is_gzip = file.read(2) == _GZIP
        if is_gzip:
            with gzip.open(path) as packed:
                return CalamineWorkbook.from_filelike(io.BytesIO(packed.read()))
        return CalamineWorkbook.from_path(str(path))
    except (CalamineError, OSError, EOFError, ValueError) as exc:
        raise _unreadable(title, exc) from exc


def _unreadable(title: str, exc: Exception) -> DataError:
    return DataError(
        f"{title} cannot be read as a workbook: {exc}.",
        "Open it in Excel, and save it as .xlsx without a password; what is in a zip archive has to be unpacked.",
    )


def json_value(cell: Any, *, stamp: bool) -> Any:
    """A cell as JSON has it.

    Args:
        cell: as Python has it.
        stamp: whether its column has times of day, too: those of midnight lack them in a workbook.
    """
    match cell:
        case float() if cell.is_integer() and abs(cell) < 2**63:
            return int(cell)
        case datetime():
            return cell.isoformat()
        case date():
            return datetime.combine(cell, time()).isoformat() if stamp else cell.isoformat()
        case time():
            return cell.isoformat()
        case timedelta():
            return _duration(cell)
    return cell


def _duration(value: timedelta) -> str:
    """ISO 8601: `PT25H30M`."""
    sign, seconds = ("-", -value.total_seconds()) if value < timedelta() else ("", value.total_seconds())
    minutes, rest = divmod(round(seconds * 1_000), 60_000)
    hours, minutes = divmod(minutes, 60)
    second = f"{rest // 1_000}.{rest % 1_000:03d}".rstrip("0").rstrip(".")
    text = "".join(
        f"{number}{unit}"
        for number, unit in ((hours, "H"), (minutes, "M"), (second, "S"))
        if number not in (0, "0")
    )
    return f"{sign}PT{text or '0S'}"


def sheet_parts(
    path: Path, title: str, dialect: Mapping[str, Any], fields: Sequence[Field], stream: str
) -> Iterator[Part]:
    """The rows of a sheet below its header, as RECORD lines; those without any value are none.

    Args:
        path: of the workbook.
        title: of it, or of the sheet.
        dialect: says which sheet, and how many rows stand above the data.
        fields: the columns, in order.
        stream: the name of the stream.

    Raises:
        DataError: it cannot be read.
    """
    sheet = str(dialect.get("sheetName") or sheets_of(path, title, None)[0])
    above = int(dialect.get("flow:skipRows") or (1 if dialect.get("header", True) else 0))
    names = [one.column for one in fields]
    stamps = [one.descriptor.get("type") == "datetime" for one in fields]
    missing = [frozenset(one.missing) - {""} for one in fields]
    encode = msgspec.json.encode
    some: list[msgspec.Raw] = []
    done = 0
    for number, row in enumerate(sheet_cells(path, title, sheet)):
        if number < above or all(cell is None for cell in row):
            continue
        values = [
            None if isinstance(cell, str) and cell in words else json_value(cell, stamp=stamp)
            for cell, stamp, words in zip(row, stamps, missing, strict=False)
        ]
        some.append(msgspec.Raw(encode(dict(zip(names, values, strict=False)))))
        if len(some) == _ROWS:
            yield from row_parts(some, title=title, stream=stream, first=done + 1)
            done, some = done + len(some), []
    yield from row_parts(some, title=title, stream=stream, first=done + 1)
