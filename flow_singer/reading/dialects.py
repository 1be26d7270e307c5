"""How a CSV file is written: its delimiter, its quotes, and where its rows begin."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.csvrows import DELIMITERS, shown_delimiter
from flow_singer.reading.encodings import opened
from flow_singer.reading.headers import NumberedRow, find_header, usual
from flow_singer.reading.readsettings import ReadSettings

_SAMPLE_CHARACTERS = 1 << 18
_JSON = re.compile(r'\s*(\{\s*"[^"\n]*"\s*:|\[\s*\{\s*")')
_SEPARATOR = re.compile(r'"?sep=([^"\r\n])"?\r?\n')


@dataclass(frozen=True)
class FoundDialect:
    """How a file is written.

    Attributes:
        delimiter: between cells.
        skip_lines: lines above the first row of data, the header included.
        names: of the columns, each of its own.
        quote: what may stand around a cell; None: quotes are part of the text.
        escape: what stands before a quote within quotes; None: it is doubled.
        skip_space: whether a blank behind a delimiter is none of the cell.
    """

    delimiter: str
    skip_lines: int
    names: Sequence[str]
    quote: str | None = '"'
    escape: str | None = None
    skip_space: bool = False

    def table_dialect(self) -> dict[str, Any]:
        """The Table Dialect of the rows below the header."""
        made: dict[str, Any] = {
            "delimiter": self.delimiter,
            "header": False,
            "flow:skipRows": self.skip_lines,
        }
        if self.quote is None:
            made["quoteChar"] = None
        if self.escape is not None:
            made |= {"escapeChar": self.escape, "doubleQuote": False}
        if self.skip_space:
            made["skipInitialSpace"] = True
        return made


def find_dialect(
    path: Path,
    title: str,
    *,
    is_gzip: bool,
    encoding: str,
    settings: ReadSettings,
    notice: Callable[[str], None],
    quote: str | None = '"',
) -> FoundDialect:
    """Find out how a CSV file is written.

    Args:
        path: the file.
        title: as a person knows it.
        is_gzip: whether it is packed.
        encoding: of its text.
        settings: what a person said of it.
        notice: told of what is guessed and could be wrong.
        quote: what may stand around a cell; None: quotes are part of the text.

    Raises:
        DataError: it is empty, or not of its encoding.
        ConfigError: a setting is wrong, or it cannot be told which columns are named.
    """
    text = _sample(path, title, is_gzip, encoding)
    if not text.strip():
        raise DataError(f"{title} is empty.", "Get the file again.")
    if _JSON.match(text):
        raise ConfigError(f"{title} holds JSON, not CSV.", "Say so: 'format': 'json' or 'jsonl'.")
    has_tabs = path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab"))
    own = _SEPARATOR.match(text)  # Excel writes and heeds such a line
    delimiter = _said(settings) or (own and own[1]) or _delimiter(text, tabs=has_tabs)
    escape = "\\" if quote and re.search(r'[^\\]\\"[^,;\t|\r\n]', text) and '""' not in text else None
    found = FoundDialect(delimiter, 0, [], quote, escape)
    rows = _rows(text, found)
    if delimiter != "\t" and _has_space(rows):
        notice(f"{title}: a blank behind its delimiter is left out.")
        found = replace(found, skip_space=True)
        rows = _rows(text, found)
    if own:
        rows = rows[1:]
    if not rows:
        raise DataError(f"{title} is empty.", "Get the file again.")
    header = find_header(rows, settings, title, notice)
    if settings.delimiter is None and not own and delimiter != "," and not has_tabs:
        notice(f"{title}: its cells are divided by {shown_delimiter(delimiter)}.")
    return replace(found, skip_lines=header.skip_lines, names=header.names)


def _said(settings: ReadSettings) -> str | None:
    """The delimiter that a person named; a tab can be hard to type.

    Raises:
        ConfigError: it is not one character.
    """
    said = settings.delimiter
    if said in ("\\t", "tab"):
        return "\t"
    if said is not None and len(said) != 1:
        raise ConfigError(
            f"'delimiter' is {said!r}, which is not one character.", "For example: ';' or 'tab'."
        )
    return said


def _sample(path: Path, title: str, is_gzip: bool, encoding: str) -> str:
    codec = "utf-8-sig" if encoding.lower().replace("_", "-") in ("utf-8", "utf8") else encoding
    try:
        with io.TextIOWrapper(opened(path, is_gzip), encoding=codec, newline="") as file:
            text = file.read(_SAMPLE_CHARACTERS)
            if len(text) == _SAMPLE_CHARACTERS:  # to the end of a line
                text += file.readline()
            return text
    except UnicodeError as exc:
        raise DataError(
            f"{title} is not in the encoding {encoding}.",
            "Name the one it is in: 'encoding', such as cp1252.",
        ) from exc
    except (EOFError, OSError) as exc:
        raise DataError(f"{title} cannot be read: {exc}.", "Get the file again.") from exc


def _rows(text: str, dialect: FoundDialect) -> list[NumberedRow]:
    """Rows with the number of the line that each ends in; empty ones are none."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=dialect.delimiter,
        quoting=csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE,
        escapechar=dialect.escape,
        doublequote=dialect.escape is None,
        skipinitialspace=dialect.skip_space,
    )
    try:
        return [
            NumberedRow(reader.line_num, row)
            for row in itertools.islice(reader, 1_000)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error:
        return []


def _has_space(rows: Sequence[NumberedRow]) -> bool:
    """Whether there is a blank behind each delimiter."""
    cells = [cell for _, row in rows[:200] for cell in row[1:] if cell]
    return len(cells) > 1 and all(cell[0] == " " and cell.strip() for cell in cells)


def _delimiter(text: str, *, tabs: bool) -> str:
    """The one by which most rows have one width of more than one cell."""
    if tabs:
        return "\t"
    scores = {}
    for one in DELIMITERS:
        widths = [len(row) for _, row in _rows(text, FoundDialect(one, 0, []))]
        width = usual(widths)
        if width > 1:
            scores[one] = (round(widths.count(width) / len(widths), 2), width)
    best = max(scores, key=scores.__getitem__, default=",")
    # A decimal comma within cells divides no worse than the true delimiter, into more cells at times.
    if best == "," and ";" in scores and scores[";"][0] >= scores[","][0]:
        return ";"
    return best
