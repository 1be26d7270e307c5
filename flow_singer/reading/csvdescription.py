"""CSV files without a schema: how they are written, and the types of their columns, from all rows of all files."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.cellforms import NUMBERS
from flow_singer.reading.columntypes import ColumnType
from flow_singer.reading.csvrows import CsvDialect, CsvFile
from flow_singer.reading.dialects import FoundDialect, find_dialect
from flow_singer.reading.encodings import find_encoding, is_ascii
from flow_singer.reading.guesses import Guesses
from flow_singer.reading.quotes import are_part_of_text, first_bad_line
from flow_singer.reading.readsettings import ReadSettings

Notice = Callable[[str], None]
_TOTAL = re.compile(
    r"(grand |sub)?(total|totals|sum|summe|gesamt(summe)?|insgesamt|somme|suma|totaal|totale)\W*", re.I
)
_UNTIL_SEEN = 3
"""So many rows above one that is called a total make it one."""


def describe_csv(
    paths: Sequence[Path], *, is_gzip: bool, settings: ReadSettings, notice: Notice
) -> dict[str, Any]:
    """The encoding, dialect and schema of CSV files that are one table.

    Args:
        paths: at least one.
        is_gzip: whether they are packed.
        settings: what a person said of them.
        notice: told of what is guessed and could be wrong.

    Returns:
        `encoding`, `dialect`, `schema` of a resource, and whether all rows were looked at as `whole`.

    Raises:
        ConfigError: a setting does not fit; or the files do not have the same columns, or are written otherwise.
        DataError: a file is not what it seems.
    """
    encodings = [
        settings.encoding or find_encoding(one, str(one), is_gzip=is_gzip, notice=notice) for one in paths
    ]
    encoding = _common_encoding(paths, encodings, is_gzip)
    founds = [_dialect(one, is_gzip, encoding, settings, notice) for one in paths]
    for path, found in zip(paths[1:], founds[1:], strict=True):
        _check_alike(paths[0], founds[0], path, found)
    first = founds[0]
    columns = [ColumnType(name, settings) for name in first.names]
    rows = [_take(one, is_gzip, encoding, first, columns, settings, notice) for one in paths]
    for column in columns:
        column.cells.finish()
    marks = {mark for column in columns if (mark := column.cells.decimal_mark())}
    title = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    guesses = Guesses()
    fields = [column.field(first.delimiter, marks, title, guesses) for column in columns]
    for text in guesses.notices(title):
        notice(text)
    form = settings.date_format
    if form and not any(one.get("format") == form for one in fields):
        notice(f"{title}: no column has dates of the form {form!r}, which 'date_format' names.")
    _tell_of_total(columns, rows[-1], str(paths[-1]), guesses, notice)
    return {
        "encoding": encoding,
        "dialect": first.table_dialect(),
        "schema": {"fields": fields, "missingValues": list(settings.null_values or [""])},
        "whole": all(count is not None for count in rows),
    }


def _dialect(
    path: Path, is_gzip: bool, encoding: str, settings: ReadSettings, notice: Notice
) -> FoundDialect:
    """How a file is written; its quotes around cells, or part of the text."""
    told: list[str] = []
    found = find_dialect(
        path, str(path), is_gzip=is_gzip, encoding=encoding, settings=settings, notice=told.append
    )
    try:
        bad = first_bad_line(path, is_gzip=is_gzip, encoding=encoding, dialect=found)
        if bad is not None:
            told.clear()
            found = find_dialect(
                path,
                str(path),
                is_gzip=is_gzip,
                encoding=encoding,
                settings=replace(settings, delimiter=found.delimiter),
                notice=told.append,
                quote=None,
            )
            if not are_part_of_text(path, is_gzip=is_gzip, encoding=encoding, dialect=found):
                raise DataError(
                    f"{path}, line {bad}: a quote is not closed, or something stands behind it in its cell.",
                    "Correct the line: a cell with quotes stands in quotes itself, and each in it is doubled.",
                )
            told.append(
                f"{path}: its quotes are read as part of the text, as they do not come in pairs around cells."
            )
    except UnicodeError as exc:
        raise DataError(
            f"{path} is not in the encoding {encoding}.", "Name the one it is in: 'encoding', such as cp1252."
        ) from exc
    for text in told:
        notice(text)
    return found


def _take(
    path: Path,
    is_gzip: bool,
    encoding: str,
    found: FoundDialect,
    columns: Sequence[ColumnType],
    settings: ReadSettings,
    notice: Notice,
) -> int | None:
    """Show the columns all their cells; how many rows there were, None where a sample was enough."""
    title = str(path)
    dialect = CsvDialect.of(found.table_dialect(), path=title, null=None)
    rows = 0
    for block in CsvFile(path, title, is_gzip, encoding, dialect, settings.on_error).rows(len(columns)):
        for column, cells in zip(columns, block.columns, strict=True):
            column.take(cells)
        rows += block.size
        if settings.sample_rows is not None and rows >= settings.sample_rows:
            notice(f"{title}: types are inferred from its first {rows} rows, as 'sample_rows' says.")
            return None
    return rows


def _common_encoding(paths: Sequence[Path], encodings: Sequence[str], is_gzip: bool) -> str:
    """The encoding of all files: those of nothing but ASCII are in any."""
    others = {one for one in encodings if one != "utf-8"}
    if len(set(encodings)) == 1:
        return encodings[0]
    if others <= {"cp1252", "latin-1"}:
        plain = [path for path, one in zip(paths, encodings, strict=True) if one == "utf-8"]
        if all(is_ascii(path, is_gzip) for path in plain):
            return "cp1252" if others == {"cp1252"} else "latin-1"
    other = next(at for at, one in enumerate(encodings) if one != encodings[0])
    raise ConfigError(
        f"{paths[0]} is in the encoding {encodings[0]}, but {paths[other]} in {encodings[other]}, so that they cannot be one "
        "stream.",
        "Name them one by one: each is a stream of its own then.",
    )


def _check_alike(path: Path, found: FoundDialect, other_path: Path, other: FoundDialect) -> None:
    if found.delimiter != other.delimiter:
        raise ConfigError(
            f"The cells of {path} are divided by {found.delimiter!r}, those of {other_path} by {other.delimiter!r}, so that "
            "they cannot be one stream.",
            "Name them one by one; or say for all of them what it is: 'delimiter'.",
        )
    names, others = found.names, other.names
    if names != others:
        raise columns_differ(path, names, other_path, others)
    if found != other:
        raise ConfigError(
            f"{path} and {other_path} cannot be one stream: they differ in the lines above their header, or in quotes.",
            "Name them one by one; or write them alike.",
        )


def columns_differ(
    path: object, names: Sequence[str], other_path: object, others: Sequence[str]
) -> ConfigError:
    """The error of two files of one stream whose columns are not the same."""
    lacks = [name for name in names if name not in others]
    more = [name for name in others if name not in names]
    said = f"it lacks {', '.join(map(repr, lacks[:5]))}" if lacks else "their order differs"
    said = f"it also has {', '.join(map(repr, more[:5]))}" if more and not lacks else said
    return ConfigError(
        f"The columns of {other_path} are not those of {path}: {said}.",
        "Name them one by one: each is a stream of its own then.",
    )


def _tell_of_total(
    columns: Sequence[ColumnType], rows: int | None, title: str, guesses: Guesses, notice: Notice
) -> None:
    """Say that the last row is called a total; the types of its columns do not tell it from the others."""
    if rows is None or rows <= _UNTIL_SEEN or any(column.is_last_odd for column in columns):
        return
    if any("that is a total" in one for one in guesses.names):
        return
    filled = [column for column in columns if column.cells.last]
    has_numbers = any(set(column.cells.alive) & set(NUMBERS) for column in filled)
    if filled and has_numbers and _TOTAL.fullmatch((filled[0].cells.last or "").strip()):
        notice(
            f"{title}: its last row is called {filled[0].cells.last!r}; it is read as any other. If it is a total, a function can "
            "leave it out."
        )
