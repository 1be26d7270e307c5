"""How a CSV file is written: its delimiter, the lines above its header, and the names of its columns."""

from __future__ import annotations

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.encodings import opened
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.wording import count_of

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 1 << 18
_MOST_ABOVE = 20
"""Lines that may stand above a header."""
_NUMBER = re.compile(r"[+-]?\d[\d.,]*([eE][+-]?\d+)?%?")
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([T ].*)?")
_SHOWN = {"\t": "a tab"}


@dataclass(frozen=True)
class FoundDialect:
    """How a file is written.

    Attributes:
        delimiter: between cells.
        skip_lines: lines above the first row of data, the header included.
        names: of the columns, each of its own.
        escape: what stands before a quote within quotes; None: it is doubled.
    """

    delimiter: str
    skip_lines: int
    names: Sequence[str]
    escape: str | None = None


def find_dialect(
    path: Path,
    title: str,
    *,
    is_gzip: bool,
    encoding: str,
    settings: ReadSettings,
    notice: Callable[[str], None],
) -> FoundDialect:
    """Find out how a CSV file is written.

    Args:
        path: the file.
        title: as a person knows it.
        is_gzip: whether it is packed.
        encoding: of its text.
        settings: what a person said of it.
        notice: told of what is guessed and could be wrong.

    Raises:
        DataError: it is empty, or not of its encoding.
        ConfigError: a setting is wrong.
    """
    text = _sample(path, title, is_gzip, encoding)
    if not text.strip():
        raise DataError(f"{title} is empty.", "Get the file again.")
    delimiter = settings.delimiter or _delimiter(
        text, tabs=path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab"))
    )
    if len(delimiter) != 1:
        raise ConfigError(f"'delimiter' is {delimiter!r}, which is not one character.", "For example: ';'.")
    escape = "\\" if re.search(r'[^\\]\\"[^,;\t|\r\n]', text) and '""' not in text else None
    rows = _rows(text, delimiter, escape)
    width = _modal([len(row) for _, row in rows])
    at, (line, header) = _header(rows, width, settings, title, notice)
    if (
        settings.delimiter is None
        and delimiter != ","
        and not path.name.lower().removesuffix(".gz").endswith((".tsv", ".tab"))
    ):
        notice(f"{title}: its cells are divided by {_SHOWN.get(delimiter, delimiter)}.")
    below = [row for _, row in rows[at + 1 :] if len(row) == len(header)]
    if settings.header_row == 0 or (settings.header_row is None and _is_data(header, below)):
        if settings.header_row is None:
            notice(
                f"{title} seems to have no header; its columns are column_1 and so on. 'header_row' says otherwise."
            )
        before = rows[at - 1][0] if at else 0
        return FoundDialect(delimiter, before, [f"column_{n}" for n in range(1, len(header) + 1)], escape)
    return FoundDialect(delimiter, line, _names(header, title, notice), escape)


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


def _rows(text: str, delimiter: str, escape: str | None = None) -> list[tuple[int, list[str]]]:
    """Rows with the number of the line that each ends in; empty ones are none."""
    csv.field_size_limit(1 << 30)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, escapechar=escape, doublequote=escape is None
    )
    try:
        return [
            (reader.line_num, row)
            for row in itertools.islice(reader, 1_000)
            if any(cell.strip() for cell in row)
        ]
    except csv.Error:
        return []


def _modal(widths: Sequence[int]) -> int:
    """The width that most rows have; of equals, the greater."""
    counts = Counter(widths)
    return max(counts, key=lambda width: (counts[width], width), default=1)


def _delimiter(text: str, *, tabs: bool) -> str:
    """The one by which most rows have one width of more than one cell."""
    if tabs:
        return "\t"
    scores = {}
    for one in _DELIMITERS:
        widths = [len(row) for _, row in _rows(text, one)]
        width = _modal(widths)
        if width > 1:
            scores[one] = (round(widths.count(width) / len(widths), 2), width)
    best = max(scores, key=scores.__getitem__, default=",")
    # A decimal comma within cells divides no worse than the true delimiter, into more cells at times.
    if best == "," and ";" in scores and scores[";"][0] >= scores[","][0]:
        return ";"
    return best


def _header(
    rows: Sequence[tuple[int, list[str]]],
    width: int,
    settings: ReadSettings,
    title: str,
    notice: Callable[[str], None],
) -> tuple[int, tuple[int, list[str]]]:
    """Place and content of the row that names the columns."""
    if settings.header_row:
        if settings.header_row > len(rows):
            raise ConfigError(
                f"'header_row' is {settings.header_row}, but {title} has {len(rows)} rows.",
                "Count the rows that are not empty, from 1.",
            )
        return settings.header_row - 1, rows[settings.header_row - 1]
    if settings.header_row == 0:
        return 0, rows[0]
    for at, (line, row) in enumerate(rows[: _MOST_ABOVE + 1]):
        if len(row) == width and (sum(bool(cell.strip()) for cell in row) > 1 or width == 1):
            if at:
                above = " / ".join(" ".join(filter(None, map(str.strip, one))) for _, one in rows[:at])
                notice(
                    f"{title}: above the header, {count_of(at, 'row')} left out: {above[:100]!r}. 'header_row' says otherwise."
                )
            return at, (line, row)
    return 0, rows[0]


def _is_data(header: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether the first row is one like those below: it has numbers or dates in columns that have them."""
    for place, cell in enumerate(header):
        if _NUMBER.fullmatch(cell.strip()) or _DATE.fullmatch(cell.strip()):
            others = [row[place].strip() for row in below[:100] if row[place].strip()]
            if others and all(_NUMBER.fullmatch(one) or _DATE.fullmatch(one) for one in others):
                return not _are_years(header)
    return False


def _are_years(header: Sequence[str]) -> bool:
    """Whether its numbers are years, as columns of a table may be named."""
    numbers = [cell.strip() for cell in header if _NUMBER.fullmatch(cell.strip())]
    return (
        bool(numbers)
        and len(numbers) < len(header)
        and all(re.fullmatch(r"(19|20)\d\d", one) for one in numbers)
    )


def _names(header: Sequence[str], title: str, notice: Callable[[str], None]) -> list[str]:
    """Names of columns, each of its own."""
    names: list[str] = []
    told = []
    for number, cell in enumerate(header, 1):
        plain = cell.strip() or f"column_{number}"
        name, again = plain, 2
        while name in names:
            name, again = f"{plain}_{again}", again + 1
        if name != cell.strip():
            told.append(f"column {number} ({cell.strip() or 'no name'}) is {name!r}")
        names.append(name)
    if told:
        more = f" and {len(told) - 3} more" if len(told) > 3 else ""
        notice(f"{title}: {', '.join(told[:3])}{more}.")
    return names
