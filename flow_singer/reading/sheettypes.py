"""The columns of a sheet: their names, and their types by those of their cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.reading.columncells import NULL_WORDS
from flow_singer.reading.columntypes import empty_key
from flow_singer.reading.excelrows import json_value, sheet_cells
from flow_singer.reading.guesses import Guesses
from flow_singer.reading.headers import Header, NumberedRow, find_header
from flow_singer.reading.readsettings import ReadSettings

_FIRST = 1_000
_MOST_WORDS = 20


class _CellTypes:
    """What the cells of a column are.

    Attributes:
        kinds: Table Schema types.
        words: the texts among them, as long as they are few.
        is_empty_once: whether one is empty.
    """

    def __init__(self) -> None:
        self.kinds: set[str] = set()
        self.words: set[str] = set()
        self.is_empty_once = False

    def take(self, cell: Any) -> None:
        """Take a cell."""
        kind = _kind(cell)
        self.kinds.add(kind)
        if kind == "string" and len(self.words) < _MOST_WORDS:
            self.words.add(cell)

    def field(self, name: str, settings: ReadSettings, guesses: Guesses) -> dict[str, Any]:
        """The Table Schema field."""
        nulls = settings.null_values
        missing = self.words & set(NULL_WORDS if nulls is None else nulls)
        kinds = set(self.kinds)
        if missing and len(self.words) < _MOST_WORDS and self.words == missing and kinds != {"string"}:
            kinds.discard("string")
            if nulls is None:
                shown = ", ".join(map(repr, sorted(missing)))
                guesses.add(f"{shown} in {{names}} is null. 'null_values' says otherwise.", name)
        elif nulls is None:
            missing = set()
        made: dict[str, Any] = {"name": name, "type": settings.types.get(name) or _widest(kinds)}
        if made["type"] == "any":
            guesses.add("{names} {are} of several types: " + ", ".join(sorted(kinds)) + ".", name)
        if missing:
            made["missingValues"] = sorted(missing)
        return made


def _kind(cell: Any) -> str:
    match cell:
        case bool():
            return "boolean"
        case int() | float():
            return "integer" if isinstance(json_value(cell, stamp=False), int) else "number"
        case datetime():
            return "datetime"
        case date():
            return "date"
        case time():
            return "time"
        case timedelta():
            return "duration"
    return "string"


def _widest(kinds: set[str]) -> str:
    if not kinds:
        return "string"
    for narrow, wide in (("integer", "number"), ("date", "datetime")):
        if kinds == {narrow, wide}:
            return wide
    return next(iter(kinds)) if len(kinds) == 1 else "any"


def describe_sheet(
    path: Path, title: str, sheet: str, settings: ReadSettings, notice: Callable[[str], None]
) -> tuple[Header, list[dict[str, Any]]] | None:
    """The header of a sheet, and the fields of its columns; None where there is nothing in it.

    Args:
        path: of the workbook.
        title: of the sheet.
        sheet: its name.
        settings: what a person said.
        notice: told of what is guessed and could be wrong.

    Raises:
        DataError: it cannot be read.
        ConfigError: `header_row` is beyond it.
    """
    rows = enumerate(sheet_cells(path, title, sheet), 1)
    first = list(_some(rows, _FIRST))
    texts = [
        NumberedRow(number, ["" if cell is None else str(_shown(cell)) for cell in row])
        for number, row in first
    ]
    texts = [row for row in texts if any(cell.strip() for cell in row.cells)]
    if not texts:
        return None
    header = find_header(texts, _with_row(settings, texts, title), title, notice)
    columns = [_CellTypes() for _ in header.names]
    _take(columns, (row for number, row in first if number > header.skip_lines))
    _take(columns, (row for _, row in rows))
    guesses = Guesses()
    for name, one in zip(header.names, columns, strict=True):
        if name in settings.key and one.is_empty_once:
            raise empty_key(title, name)
    fields = [one.field(name, settings, guesses) for name, one in zip(header.names, columns, strict=True)]
    for text in guesses.notices(title):
        notice(text)
    return header, fields


def _with_row(settings: ReadSettings, rows: Sequence[NumberedRow], title: str) -> ReadSettings:
    """The settings, with the header's place among the rows that are not empty: a sheet shows the numbers of all."""
    if not settings.header_row:
        return settings
    place = next((at for at, row in enumerate(rows, 1) if row.line == settings.header_row), None)
    if place is None:
        raise ConfigError(
            f"'header_row' is {settings.header_row}, but that row of {title} is empty, or beyond its first {_FIRST:,}.",
            "Name the row of the column names by its number in the sheet.",
        )
    return replace(settings, header_row=place)


def _some(rows: Iterator[tuple[int, list[Any]]], most: int) -> Iterator[tuple[int, list[Any]]]:
    for number, row in rows:
        yield number, row
        if number >= most:
            return


def _shown(cell: Any) -> Any:
    return json_value(cell, stamp=isinstance(cell, datetime))


def _take(columns: Sequence[_CellTypes], rows: Iterator[list[Any]]) -> None:
    for row in rows:
        if all(cell is None for cell in row):
            continue
        for column, cell in zip(columns, row, strict=True):
            if cell is None:
                column.is_empty_once = True
            else:
                column.take(cell)
