"""Sheets of an Excel workbook as rows of JSON values.

Cells have types of their own there, so that nothing is guessed: a number that is whole is an integer, a date has no time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import msgspec

from flow_singer.errors import ConfigError, DataError
from flow_singer.nearnames import suggest
from flow_singer.reading.jsonrows import row_parts
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.tabular.parts import Part
from flow_singer.wording import count_of


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
    """The rows of a sheet, each cell as JSON has it; an empty one is None.

    Raises:
        DataError: it cannot be read.
    """
    for row in _workbook(path, title).get_sheet_by_name(sheet).to_python(skip_empty_area=False):
        yield [_plain(cell) for cell in row]


def _workbook(path: Path, title: str) -> Any:
    from python_calamine import CalamineError, CalamineWorkbook

    try:
        return CalamineWorkbook.from_path(str(path))
    except (CalamineError, OSError, ValueError) as exc:
        raise DataError(
            f"{title} cannot be read as a workbook: {exc}.", "Open it in Excel, and save it as .xlsx."
        ) from exc


def _plain(cell: Any) -> Any:
    match cell:
        case "":
            return None
        case bool() | str():
            return cell
        case float() if cell.is_integer() and abs(cell) < 2**53:
            return int(cell)
        case datetime():
            return cell.isoformat()
        case date():
            return cell.isoformat()
        case time():
            return cell.isoformat()
        case timedelta():
            return cell.total_seconds()
    return cell


def header_of(
    rows: Sequence[Sequence[Any]], settings: ReadSettings, title: str, notice: Callable[[str], None]
) -> tuple[int, list[str]]:
    """How many rows stand above the first row of data, and the names of the columns.

    Raises:
        ConfigError: `header_row` is beyond the sheet.
    """
    if settings.header_row == 0:
        width = max((len(row) for row in rows), default=0)
        return 0, [f"column_{number}" for number in range(1, width + 1)]
    if settings.header_row is not None:
        at = settings.header_row - 1
        if at >= len(rows):
            raise ConfigError(
                f"'header_row' is {settings.header_row}, but {title} has {len(rows)} rows.",
                "Count them from 1.",
            )
    else:
        widest = max((_width(row) for row in rows[:100]), default=0)
        at = next((place for place, row in enumerate(rows) if _width(row) >= max(widest * 0.8, 1)), 0)
        above = [row for row in rows[:at] if _width(row)]
        if above:
            notice(
                f"{title}: above the header, {count_of(len(above), 'row')} left out. 'header_row' says otherwise."
            )
    return at + 1, _names(rows[at] if rows else [], title, notice)


def _width(row: Sequence[Any]) -> int:
    return sum(cell is not None for cell in row)


def _names(header: Sequence[Any], title: str, notice: Callable[[str], None]) -> list[str]:
    names: list[str] = []
    for number, cell in enumerate(header, 1):
        plain = "" if cell is None else str(cell).strip()
        name, again = plain or f"column_{number}", 2
        while name in names:
            name, again = f"{plain or f'column_{number}'}_{again}", again + 1
        if name != plain:
            notice(f"{title}: column {number} ({plain or 'no name'}) is {name!r}.")
        names.append(name)
    return names


def json_rows(rows: Sequence[Sequence[Any]], names: Sequence[str]) -> list[msgspec.Raw]:
    """Rows as JSON objects; those without any value are none."""
    encode = msgspec.json.encode
    return [
        msgspec.Raw(encode(dict(zip(names, row, strict=False))))
        for row in rows
        if any(cell is not None for cell in row)
    ]


def sheet_parts(
    path: Path, title: str, dialect: Mapping[str, Any], names: Sequence[str], stream: str
) -> Iterator[Part]:
    """The rows of a sheet below its header, as RECORD lines."""
    sheet = dialect.get("sheetName") or sheets_of(path, title, None)[0]
    rows = list(sheet_rows(path, title, str(sheet)))
    above = int(dialect.get("flow:skipRows") or (1 if dialect.get("header", True) else 0))
    yield from row_parts(json_rows(rows[above:], names), title=title, stream=stream)
