"""What stands between the cells of CSV, where its descriptor does not say it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flow_singer.reading.csvrows import CsvFile, without_mark

DELIMITERS = (",", ";", "\t", "|")
"""What is looked for between cells, where nothing says it."""


def by_unsaid_delimiter(
    file: CsvFile, columns: Sequence[str], said: Mapping[str, Any], notice: Callable[[str], None]
) -> CsvFile:
    """The file, divided by the one mark by which its header has the columns of its schema, where no mark is said.

    Args:
        file: as the standard has it: divided by commas, or by tabs where its name ends so.
        columns: that the schema names; of a single one, nothing would tell.
        said: the dialect of its descriptor.
        notice: told of another mark.
    """
    inner = said.get("csv")
    if len(columns) < 2 or "delimiter" in said or (isinstance(inner, Mapping) and "delimiter" in inner):
        return file
    if not file.dialect.header_rows or _are_named(file.header(), columns):
        return file
    others = [
        replace(file, dialect=replace(file.dialect, delimiter=one))
        for one in DELIMITERS
        if one != file.dialect.delimiter
    ]
    found = next((one for one in others if _are_named(one.header(), columns)), None)
    if found is None:
        return file
    mark = shown_delimiter(found.dialect.delimiter)
    notice(f"{file.title}: its cells are divided by {mark}, which its descriptor does not say.")
    return found


def _are_named(header: Sequence[str] | None, columns: Sequence[str]) -> bool:
    """Whether a header has just the columns of a schema, in any order."""
    names = [name.strip() for name in without_mark(header or [])]
    return sorted(names) == sorted(name.strip() for name in columns)


def shown_delimiter(mark: str) -> str:
    """A delimiter as a message has it."""
    return "a tab" if mark == "\t" else mark
