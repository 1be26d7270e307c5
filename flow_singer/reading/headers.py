"""Which row of a file or a sheet names its columns, and the names themselves."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from flow_singer.errors import ConfigError
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.wording import count_of

_MOST_ABOVE = 20
"""Rows that may stand above a header."""
_NUMBER = re.compile(r"[+-]?\.?\d[\d.,]*([eE][+-]?\d+)?%?")
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}([T ].*)?")
_LIKE = 100
"""So many rows show what is in a column."""
_TOLD = 3

Notice = Callable[[str], None]


class NumberedRow(NamedTuple):
    """A row that is not empty, and the number of the line that it ends in."""

    line: int
    cells: Sequence[str]


class Header(NamedTuple):
    """Where rows of data begin, and what their columns are called.

    Attributes:
        skip_lines: lines above the first row of data.
        names: of the columns, each of its own.
    """

    skip_lines: int
    names: list[str]


def find_header(rows: Sequence[NumberedRow], settings: ReadSettings, title: str, notice: Notice) -> Header:
    """Find the row that names the columns.

    Args:
        rows: the first of a file, at least one.
        settings: what a person said.
        title: of the file.
        notice: told of what is guessed and could be wrong.

    Raises:
        ConfigError: `header_row` is beyond the file; the header has one name fewer than there are columns.
    """
    width = usual([len(row.cells) for row in rows])
    if settings.header_row == 0:
        return Header(0, _numbered(width))
    if settings.header_row is not None:
        if settings.header_row > len(rows):
            raise ConfigError(
                f"'header_row' is {settings.header_row}, but {title} has {len(rows)} rows.",
                "Count the rows that are not empty, from 1.",
            )
        at = settings.header_row - 1
    else:
        at = _place(rows, width, title)
        if at:
            above = " / ".join(" ".join(filter(None, map(str.strip, one.cells))) for one in rows[:at])
            notice(
                f"{title}: above the header, {count_of(at, 'row')} left out: {above[:100]!r}. 'header_row' says otherwise."
            )
        below = [row.cells for row in rows[at + 1 :] if len(row.cells) == len(rows[at].cells)]
        if _is_data(rows[at].cells, below):
            notice(
                f"{title} seems to have no header; its columns are column_1 and so on. 'header_row' says otherwise."
            )
            return Header(rows[at - 1].line if at else 0, _numbered(len(rows[at].cells)))
    header = list(rows[at].cells)
    if _ends_empty(header, width):
        header.pop()
    if len(header) == width - 1 and _all_end_empty(rows[at + 1 :], width):
        header.append("")
    return Header(rows[at].line, unique_names(header, title, notice))


def usual(widths: Sequence[int]) -> int:
    """The width that most rows have; of equals, the greater."""
    counts = Counter(widths)
    return max(counts, key=lambda width: (counts[width], width), default=1)


def _numbered(width: int) -> list[str]:
    return [f"column_{number}" for number in range(1, width + 1)]


def _place(rows: Sequence[NumberedRow], width: int, title: str) -> int:
    """The header: the first row that is as wide as most and not a comment."""
    start = _behind_comments(rows, width)
    places = range(start, min(start + _MOST_ABOVE + 1, len(rows)))
    wide = [
        at
        for at in places
        if len(rows[at].cells) == width
        and (_filled(rows[at]) > 1 or width == 1 or _leaves_first_unnamed(rows, at))
    ]
    if not wide:
        return start
    at = wide[0]
    if _filled(rows[at]) <= width / 2:  # of a title that ends in delimiters, some more cells may be filled
        full = next((one for one in wide if _filled(rows[one]) >= 0.8 * width), at)
        if full != at and _names_values(rows, full, width):
            return full
    before = rows[at - 1].cells if at > start else []
    if _ends_empty(before, width) and all(map(str.strip, before[:-1])) and not any(map(_is_value, before)):
        return at - 1
    if len(before) == width - 1 and all(map(str.strip, before)) and not any(map(_is_value, before)):
        if _all_end_empty(rows[at:], width):
            return at - 1
        if width > 2 and _is_data(rows[at].cells, [row.cells for row in rows[at + 1 :]]):
            raise ConfigError(
                f"{title}: its header has {len(before)} names ({', '.join(before)[:80]}), but its rows have {width} cells.",
                "Name the missing column in the file; or leave the header out: 'header_row': 0 and 'on_error': 'skip'.",
            )
    return at


def _ends_empty(header: Sequence[str], width: int) -> bool:
    """Whether there is a delimiter more behind a header than behind the rows of a file, and nothing behind it."""
    return len(header) == width + 1 and not header[-1].strip()


def _leaves_first_unnamed(rows: Sequence[NumberedRow], at: int) -> bool:
    """Whether a row names the second of two columns, above rows of data: R writes the names of a vector's values so."""
    first, *others = rows[at].cells
    below = [row.cells for row in rows[at + 1 :] if len(row.cells) == 2]
    names_second = len(others) == 1 and not first.strip() and bool(others[0].strip())
    return names_second and bool(below) and _is_data(below[0], below[1:])


def _behind_comments(rows: Sequence[NumberedRow], width: int) -> int:
    """The first row that does not begin with `#`; or the last that does, where that is the header."""
    count = next((at for at, row in enumerate(rows) if not row.cells[0].lstrip().startswith("#")), 0)
    if count and len(rows[count - 1].cells) == width > 1:
        below = [row.cells for row in rows[count:] if len(row.cells) == width]
        if below and _is_data(below[0], below[1:]):
            return count - 1
    return count


def _names_values(rows: Sequence[NumberedRow], at: int, width: int) -> bool:
    """Whether a row has no number or date itself, but a column of such below it."""
    below = [row.cells for row in rows[at + 1 : at + 1 + _LIKE] if len(row.cells) == width]
    if not below or any(map(_is_value, rows[at].cells)):
        return False
    columns = [[row[place].strip() for row in below if row[place].strip()] for place in range(width)]
    return any(column and all(map(_is_value, column)) for column in columns)


def _filled(row: NumberedRow) -> int:
    return sum(bool(cell.strip()) for cell in row.cells)


def _all_end_empty(rows: Sequence[NumberedRow], width: int) -> bool:
    """Whether each row ends with a delimiter behind which nothing is."""
    last = [row.cells[-1].strip() for row in rows if len(row.cells) == width]
    return bool(last) and not any(last)


def _is_value(cell: str) -> bool:
    return (_NUMBER.fullmatch(cell.strip()) or _DATE.fullmatch(cell.strip())) is not None


def _is_data(header: Sequence[str], below: Sequence[Sequence[str]]) -> bool:
    """Whether a row is one like those below: it has numbers or dates in columns that have them."""
    if not below:
        return any(map(_is_value, header)) and not _are_years(header)
    for place, cell in enumerate(header):
        if _is_value(cell):
            others = [row[place].strip() for row in below[:_LIKE] if len(row) > place and row[place].strip()]
            if others and all(map(_is_value, others)):
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


def unique_names(header: Sequence[str], title: str, notice: Notice) -> list[str]:
    """Names of columns, each of its own."""
    taken: set[str] = set()
    names: list[str] = []
    told = []
    for number, cell in enumerate(header, 1):
        written = cell.strip().removeprefix("\ufeff")
        plain = written or f"column_{number}"
        name, again = plain, 2
        while name in taken:
            name, again = f"{plain}_{again}", again + 1
        if name != written:
            told.append(f"column {number} ({written or 'no name'}) is {name!r}")
        names.append(name)
        taken.add(name)
    if told:
        more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        notice(f"{title}: {', '.join(told[:_TOLD])}{more}.")
    return names
