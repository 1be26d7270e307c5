"""A sheet that Flow wrote, value for value: unlike other readers, it tells an empty text from no cell at all.

Whether Excel has saved it since does not matter: what a cell is, the descriptor says.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, time
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.csvrows import ROWS, TextRows, check_header
from flow_singer.reading.excelrows import json_value
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.resourcedescription import ResourceDescription
from flow_singer.tabular.textarrays import TEXT

_OLDEST = (3, 1, 3)
"""Releases before it of openpyxl fail at a text without characters."""


def check_openpyxl(what: str) -> None:
    """Make sure that workbooks of Flow can be written and read, without loading what does that.

    Args:
        what: cannot be done otherwise.

    Raises:
        ConfigError: openpyxl is not installed, or too old.
    """
    is_there = find_spec("openpyxl") is not None
    if not is_there or tuple(map(int, re.findall(r"\d+", version("openpyxl"))[:3])) < _OLDEST:
        raise ConfigError(
            f"{what}: the package openpyxl is not installed, or is older than {'.'.join(map(str, _OLDEST))}.",
            "Install it: pip install 'flow-singer[xlsx]'",
        )


def own_rows(
    path: Path,
    title: str,
    description: ResourceDescription,
    settings: ReadSettings,
    notice: Callable[[str], None],
) -> Iterator[TextRows]:
    """The rows of the first sheet, some at once: a column for each field.

    Args:
        path: of the workbook.
        title: of it, for a person.
        description: says what the columns are.
        settings: what a person said.
        notice: called with what a person should hear.

    Raises:
        ConfigError: openpyxl is not installed.
        DataError: it cannot be read, or has other columns.
    """
    rows = _cells(path, title)
    header = [_text(name, is_day=False) or "" for name in next(rows, [])]
    fields = description.fields
    places = check_header(
        header, [one.column for one in fields], title=title, trust=settings.trust, notice=notice
    )
    days = [description.schema.properties[one.name].kind == "date" for one in fields]
    first = 1
    while some := list(islice(rows, ROWS)):
        columns: list[Any] = [
            pa.array([_text(_cell(row, place), is_day=is_day) for row in some], TEXT)
            for place, is_day in zip(places, days, strict=True)
        ]
        yield TextRows(columns, first)
        first += len(some)


def _cells(path: Path, title: str) -> Iterator[Sequence[Any]]:
    """The rows of the first sheet, that of the names too, as openpyxl reads them."""
    check_openpyxl(f"{title} cannot be read")
    from openpyxl import load_workbook

    try:
        with path.open("rb") as file:
            _check_shared_texts(file)
            book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
            sheet = book.worksheets[0]
            sheet.reset_dimensions()  # a size that is wrong would hide rows
            yield from sheet.iter_rows(values_only=True)
    except Exception as exc:  # openpyxl has no errors of its own for what is damaged
        reason = str(exc).partition("\n")[0].rstrip(".") or type(exc).__name__
        raise DataError(f"{title} cannot be read as a workbook: {reason}.", "Get the file again.") from exc


def _check_shared_texts(file: IO[bytes]) -> None:
    """Make sure that openpyxl leaves alone what Excel keeps apart from the cells, once it has saved a workbook."""
    with zipfile.ZipFile(file) as archive:
        for name in archive.namelist():
            if name.endswith("sharedStrings.xml") and b"x005F_" in archive.read(name):
                raise ValueError("another program has saved it, and openpyxl would change a text with x005F_")


def _cell(row: Sequence[Any], place: int | None) -> Any:
    """What stands there; nothing where the row ends before."""
    return row[place] if place is not None and place < len(row) else None


def _text(value: Any, *, is_day: bool) -> str | None:
    """A cell as text; a time of midnight is a day, where it may be one."""
    if value is None:
        return None
    if isinstance(value, str):
        from openpyxl.utils.escape import unescape

        return str(unescape(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime) and value.time() == time():
        value = value.date()
    return str(json_value(value, stamp=not is_day))
