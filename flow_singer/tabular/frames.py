"""Columns to the frame that a user's function gets."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from flow_singer.singer.schema import Kind
from flow_singer.tabular.batch import Batch, Column
from flow_singer.tabular.jsonvalues import decode_texts, object_array
from flow_singer.tabular.nested import JsonArray
from flow_singer.tabular.textarrays import quoted

STRING_DTYPE = pd.StringDtype("pyarrow", na_value=np.nan)
"""The `str` of pandas 3, the same in pandas 2.3."""

MARK = "_flow_record"
"""Name of the index of a frame that shows some properties only. As long as the index has this name, its labels are
positions of records in the batch: filters, sorts and joins of columns keep it; reset_index, merge and whatever else
makes a new index do not."""

UTC_DTYPE = pd.DatetimeTZDtype("us", "UTC")


def to_frame(batch: Batch, *, unreadable: dict[str, int] | None = None) -> pd.DataFrame:
    """Show a batch as a frame.

    Args:
        batch: n records of a stream.
        unreadable: counts, per property, of texts that are no date or date-time; they show as NaT.

    Returns:
        Frame of shape (n, number of declared properties) with the dtypes of
        [`KINDS`][flow_singer.singer.schema.KINDS] in schema order and a RangeIndex, named `MARK` where it does
        not show all properties; a missing key is null.
    """
    index = pd.RangeIndex(batch.count)
    if batch.schema.unread:
        index = pd.RangeIndex(batch.count, name=MARK)
    series = {}
    for name, column in batch.columns.items():
        kind = batch.schema.properties[name].kind
        series[name] = to_array(kind, column)
        if (plain := plain_array(series[name])) is not None:
            batch.shown[name] = plain.copy()  # the function may change its own in place
        if unreadable is not None and kind in ("date-time", "date") and not column.as_json:
            lost = int(pd.isna(series[name]).sum()) - column.values.null_count
            if lost:
                unreadable[name] = unreadable.get(name, 0) + lost
        if series[name].dtype == object:  # as a bare array, pandas would guess a dtype from the cells
            series[name] = pd.Series(series[name], index=index, dtype=object, copy=False)
    return pd.DataFrame(series, index=index, columns=list(series), copy=False)


def to_array(kind: Kind, column: Column) -> Any:
    """The values of one carrier with the dtype of its kind."""
    values = column.values
    if column.as_json and kind not in ("number", "decimal", "json"):
        return _odd_array(kind, values)
    match kind:
        case "integer":
            mask = values.is_null().to_numpy(zero_copy_only=False)
            return pd.arrays.IntegerArray(values.fill_null(0).to_numpy().copy(), mask)
        case "boolean":
            mask = values.is_null().to_numpy(zero_copy_only=False)
            flags = values.fill_null(False).to_numpy(zero_copy_only=False)
            return pd.arrays.BooleanArray(flags, mask)
        case "number":
            return to_floats(values)
        case "decimal":
            return object_array([_decimal_or_text(text) for text in values.to_pylist()])
        case "decimal-text":
            return object_array([_decimal_or_text(text) for text in values.to_pylist()])
        case "date-time":
            return pd.array(to_datetimes(values)).tz_localize("UTC")
        case "date":
            return pd.array(to_dates(values))
        case "json":
            return JsonArray(values)
    make: Any = STRING_DTYPE
    return make.__from_arrow__(values)


def plain_array(values: Any) -> np.ndarray | None:
    """The floats or datetime64s (in UTC) of a column, without a copy; None for any other column."""
    if isinstance(values, np.ndarray):
        return values if values.dtype.kind == "f" else None
    if isinstance(values, pd.arrays.DatetimeArray):
        return values.tz_localize(None).to_numpy() if values.tz is not None else values.to_numpy()
    return None


def _odd_array(kind: Kind, values: pa.Array) -> Any:
    """Values that do not fit their Arrow type: integers past 2^63, text with lone surrogates."""
    if kind == "integer":
        cells = exact_integers(values)
        if all(cell is None or -(2**63) <= cell < 2**63 for cell in cells):
            return pd.array(cells, dtype="Int64")
        return object_array(cells)
    return object_array(decode_texts(values))


def exact_integers(texts: pa.Array) -> list[int | None]:
    """Integers as JSON may write them: `1`, `1.0`, `1e23`; null is None."""
    return [None if text is None else int(Decimal(text)) for text in texts.to_pylist()]


def to_floats(texts: pa.Array) -> np.ndarray:
    """JSON numbers to float64, correctly rounded; null is NaN."""
    return texts.cast(pa.float64()).to_numpy(zero_copy_only=False).copy()


def _decimal_or_text(text: str | None) -> Decimal | str | None:
    if text is None or not _DECIMAL.fullmatch(text):
        return text
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent of some twenty digits
        return text


_DECIMAL = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")


def to_datetimes(texts: pa.Array) -> np.ndarray:
    """RFC 3339 texts to datetime64[us] in UTC; without an offset they are read as UTC; NaT where unreadable."""
    try:
        stamps = texts.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        return np.array([_parse(text) for text in texts.to_pylist()], dtype="datetime64[us]")
    return _of_years_1_to_9999(stamps)


def to_dates(texts: pa.Array) -> np.ndarray:
    """Dates to datetime64[us] at midnight; of a date-time text its date; NaT where unreadable."""
    try:
        stamps = texts.cast(pa.date32()).cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        cells = [None if text is None else _parse(text[:10]) for text in texts.to_pylist()]
        return np.array(cells, dtype="datetime64[us]")
    return _of_years_1_to_9999(stamps)


_NAT = -(2**63)
_FIRST, _LAST = (
    int(np.datetime64(text, "us").astype("int64")) for text in ("0001-01-01", "9999-12-31T23:59:59.999999")
)


def _of_years_1_to_9999(stamps: pa.Array) -> np.ndarray:
    """As datetime64[us]; NaT for other years, as `_parse` gives: a text shows the same in every batch."""
    found = stamps.cast(pa.int64()).fill_null(_NAT).to_numpy().copy()
    found[(found < _FIRST) | (found > _LAST)] = _NAT
    return found.view("datetime64[us]")


def _parse(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        stamp = datetime.fromisoformat(text)
        return stamp.astimezone(UTC).replace(tzinfo=None) if stamp.tzinfo else stamp
    except (ValueError, OverflowError):
        return None


def source_texts(kind: Kind, column: Column) -> pa.Array | None:
    """The JSON text that each cell came with, for kinds whose dtype does not determine it."""
    if column.as_json:
        return column.values
    if kind in ("date-time", "date", "decimal-text"):
        return quoted(column.values)
    return None
