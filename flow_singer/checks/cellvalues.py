"""The cells of a column as something that can be compared: texts, numbers, instants. No digit is lost.

A comparison is made on doubles or microseconds first, for all cells at once. Where that cannot tell, because a cell
is the limit's neighbour, the few cells in question are compared exactly, one by one.
"""

from __future__ import annotations

import json
import re
from datetime import date
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column, json_texts
from flow_singer.tabular.textarrays import TEXT

Mask = npt.NDArray[np.bool_]
"""One flag per row; True where a row is meant."""

_DECIMAL = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_DATE = r"^\d{4}-\d\d-\d\d$"
_DATE_TIME = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)?$"
_ANY_STAMP = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[T ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:(Z)|([+-])([01]\d|2[0-3]):?([0-5]\d))?)?",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY_US = 86_400_000_000
_INT64 = range(-(2**63), 2**63)


def as_mask(flags: pa.Array) -> Mask:
    """Arrow's booleans, null as False."""
    return np.asarray(flags.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def nulls(column: Column) -> Mask:
    """Cells that are null or whose key is missing."""
    return as_mask(column.values.is_null())


def strings(column: Column) -> pa.Array:
    """The texts of a column; null where a cell is null or no text."""
    values = column.values
    if not column.as_json:
        return values if values.type == TEXT else pa.nulls(len(values), TEXT)
    quoted = pc.starts_with(values, '"')
    if not pc.any(quoted, min_count=0).as_py():
        return pa.nulls(len(values), TEXT)
    rows = as_mask(quoted)
    cells: list[str | None] = [None] * len(values)
    for row in np.flatnonzero(rows).tolist():
        text: str = json.loads(values[row].as_py())
        cells[row] = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return pa.array(cells, TEXT)


def numbers(one: Property, column: Column) -> pa.Array:
    """The texts of the numbers of a column, in any spelling that Decimal reads; null where a cell is none."""
    if one.kind == "decimal-text":
        texts = strings(column)
        return pc.if_else(pc.match_substring_regex(texts, _DECIMAL), texts, None)
    if not column.as_json:
        is_number = column.values.type == pa.int64()
        return column.values.cast(TEXT) if is_number else pa.nulls(len(column.values), TEXT)
    if one.kind != "json":
        return column.values
    return pc.if_else(pc.match_substring_regex(column.values, "^[-0-9]"), column.values, None)


def beyond(one: Property, column: Column, limit: Decimal, *, above: bool) -> Mask:
    """Numbers above a limit, or below it; compared exactly.

    Args:
        one: what the column is.
        column: n cells.
        limit: what they are compared with.
        above: whether those above it are meant; else those below.
    """
    compare = pc.greater if above else pc.less
    if column.values.type == pa.int64() and not column.as_json:
        # x < 1.5 is x < 2, and x > 1.5 is x > 1
        whole = limit.to_integral_value("ROUND_FLOOR" if above else "ROUND_CEILING")
        if whole.adjusted() > _INT64_DIGITS or int(whole) not in _INT64:
            every = (whole > 0) != above
            return as_mask(column.values.is_valid()) & every
        return as_mask(compare(column.values, pa.scalar(int(whole), pa.int64())))
    texts = numbers(one, column)
    doubles, edge = _doubles(texts), float(limit)
    mask = as_mask(compare(doubles, edge))
    # A double is never on the other side of the limit's double than the number is of the limit.
    for row in np.flatnonzero(as_mask(pc.equal(doubles, edge))).tolist():
        value = Decimal(texts[row].as_py())
        mask[row] = value > limit if above else value < limit
    return mask


_INT64_DIGITS = 20


def _doubles(texts: pa.Array) -> pa.Array:
    try:
        return texts.cast(pa.float64())
    except pa.ArrowInvalid:
        return pa.array([None if text is None else float(text) for text in texts.to_pylist()], pa.float64())


def is_decimal(text: str) -> bool:
    """Whether a text is a number."""
    return re.fullmatch(_DECIMAL[1:-1], text) is not None


class Instants(NamedTuple):
    """Dates and date-times as microseconds since 1970 in UTC; what has no zone is taken for UTC.

    Attributes:
        microseconds: n numbers; 0 where a cell is none.
        known: cells that are a date or a date-time.
        finer: cells with a fraction below a microsecond, which is cut off; None where there are none.
    """

    microseconds: npt.NDArray[np.int64]
    known: Mask
    finer: Mask | None = None


def instants(column: Column) -> Instants:
    """Read the dates and date-times of a column of text."""
    texts = strings(column)
    arrow = _cast(texts)
    if arrow is not None:
        filled = arrow.fill_null(0).to_numpy(zero_copy_only=False)
        return Instants(np.asarray(filled, dtype=np.int64), as_mask(texts.is_valid()))
    read = [None if text is None else instant_of(text) for text in texts.to_pylist()]
    known = np.fromiter((one is not None for one in read), np.bool_, len(read))
    numbers_ = np.fromiter((one[0] if one else 0 for one in read), np.int64, len(read))
    finer = np.fromiter((one is not None and one[1] for one in read), np.bool_, len(read))
    return Instants(numbers_, known, finer if finer.any() else None)


def _cast(texts: pa.Array) -> pa.Array | None:
    """Microseconds of a column whose texts are all of one form; None of any other."""
    if texts.null_count == len(texts):
        return pa.nulls(len(texts), pa.int64())
    if _any(pc.starts_with(texts, "0000-")):
        return None
    types: list[pa.DataType] = []
    if _all(pc.match_substring_regex(texts, _DATE)):
        types = [pa.date32()]
    elif _all(pc.match_substring_regex(texts, _DATE_TIME)):
        types = [pa.timestamp("us", "UTC"), pa.timestamp("us")]
    for one in types:
        try:
            read = texts.cast(one)
        except pa.ArrowInvalid:
            continue
        if pa.types.is_date(one):
            return pc.multiply(read.cast(pa.int32()).cast(pa.int64()), _DAY_US)
        return read.cast(pa.int64())
    return None


def instant_of(text: str) -> tuple[int, bool] | None:
    """Microseconds of a date or date-time, and whether a finer fraction was cut off; None where it is neither."""
    found = _ANY_STAMP.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second, fraction, _, sign, off_hour, off_minute = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - _EPOCH
    except ValueError:
        return None
    if hour is None:
        return days * _DAY_US, False
    if int(hour) > 23 or int(minute) > 59 or int(second) > 59:
        return None
    seconds = int(hour) * 3600 + int(minute) * 60 + int(second)
    if sign:
        offset = int(off_hour) * 3600 + int(off_minute) * 60
        seconds -= offset if sign == "+" else -offset
    digits = fraction or ""
    micro = int(digits[:6].ljust(6, "0"))
    return days * _DAY_US + seconds * 1_000_000 + micro, bool(digits[6:].strip("0"))


def beyond_instant(read: Instants, limit_us: int, *, above: bool) -> Mask:
    """Instants above a limit, or below it."""
    if not above:
        return read.known & (read.microseconds < limit_us)
    over = read.microseconds > limit_us
    if read.finer is not None:
        over |= read.finer & (read.microseconds == limit_us)
    return read.known & over


def shown(column: Column | None, row: int) -> str:
    """The JSON text of one cell, for messages."""
    if column is None:
        return "null"
    one: Any = json_texts(Column(column.values[row : row + 1], column.as_json))[0].as_py()
    text = "null" if one is None else str(one)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


_LONGEST = 60


def _all(flags: pa.Array) -> bool:
    return bool(pc.all(flags, min_count=0).as_py())


def _any(flags: pa.Array) -> bool:
    return bool(pc.any(flags, min_count=0).as_py())
