"""Columns of Python objects, given the dtype back that their input column had.

`astype(object)`, `to_dict("records")`, `itertuples`, `iterrows` and `apply(axis=1)` make a Python object of each
cell. Where all cells of a column are objects that its kind is made into, the column gets the dtype of that kind
again, so that rows are matched, cells compared and changed cells written as in any other frame.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pandas as pd

from flow_singer.singer.schema import Kind, Property, StreamSchema
from flow_singer.tabular.frames import STRING_DTYPE
from flow_singer.tabular.plainvalues import is_missing

EXACT = 2**53
"""Below it, each integer is a float of its own."""


def take_back(arrays: dict[str, Any], schema: StreamSchema) -> dict[str, np.ndarray]:
    """Replace columns of objects in `arrays` by columns with the dtype of the property of the same name.

    Returns:
        For columns of dates, in which cells the function put None.
    """
    gone = {}
    for name in arrays.keys() & schema.properties.keys():
        one, before = schema.properties[name], arrays[name]
        arrays[name] = unboxed(before, one)
        if one.kind in ("date", "date-time") and arrays[name] is not before:
            found = _emptied(before)
            if found.any():
                gone[name] = found
    return gone


def unboxed(values: Any, one: Property) -> Any:
    """The n cells of a column with the dtype of its kind, where all are objects that this kind is made into.

    Args:
        values: a column's array.
        one: the property of the input column of that name.

    Returns:
        The array of that dtype; `values` where it is of another dtype than object, or a cell is something else.
        For an integer property floats become integers, too: pandas made them floats beside floats or to hold NaN.
    """
    if isinstance(values.dtype, pd.SparseDtype):
        return values
    if values.dtype.kind == "f" and _has_only_integers(one):
        found = _integers_of_floats(values)
        return values if found is None else found
    unbox = _UNBOX.get(one.kind)
    if unbox is None or not isinstance(values, pd.arrays.NumpyExtensionArray) or values.dtype.kind != "O":
        return values
    cells = np.asarray(values, dtype=object).tolist()
    try:
        found = unbox([None if is_missing(cell) else cell for cell in cells])
    except (TypeError, ValueError, OverflowError, UnicodeEncodeError):
        return values
    return values if found is None else found


def _has_only_integers(one: Property) -> bool:
    return "integer" in one.types and "number" not in one.types


def _emptied(values: Any) -> np.ndarray:
    """Where a function put None: a text that is no date shows as NaT, so that only NaT can be an unchanged one."""
    return np.array([is_missing(cell) and cell is not pd.NaT for cell in values], dtype=bool)


def _date_times(cells: list[Any]) -> Any:
    if not all(
        cell is None or (isinstance(cell, datetime) and cell.utcoffset() is not None) for cell in cells
    ):
        return None
    plain = [None if cell is None else cell.astimezone(UTC).replace(tzinfo=None) for cell in cells]
    return _stamps(plain).tz_localize("UTC")


def _dates(cells: list[Any]) -> Any:
    for cell in cells:
        if not (cell is None or isinstance(cell, date)) or (
            isinstance(cell, datetime) and cell.tzinfo is not None
        ):
            return None
    return _stamps(cells)


def _stamps(cells: list[Any]) -> Any:
    if any(isinstance(cell, pd.Timestamp) and cell.nanosecond for cell in cells):
        raise ValueError("microseconds do not hold it")
    return pd.array(np.array(cells, dtype="datetime64[us]"))


def _floats(cells: list[Any]) -> Any:
    if not all(cell is None or isinstance(cell, float | np.floating) for cell in cells):
        return None
    return pd.arrays.NumpyExtensionArray(np.array(cells, dtype="float64"))


def _integers(cells: list[Any]) -> Any:
    if not all(
        cell is None or (isinstance(cell, int | np.integer) and not isinstance(cell, bool)) for cell in cells
    ):
        floats = _floats(cells)
        found = None if floats is None else _integers_of_floats(floats)
        return floats if found is None else found
    return pd.array(cells, dtype="Int64")


def _integers_of_floats(values: Any) -> Any:
    floats = np.asarray(
        values.to_numpy("float64", na_value=np.nan) if hasattr(values, "to_numpy") else values
    )
    missing = np.isnan(floats)
    whole = np.where(missing, 0, floats)
    if not bool(((np.abs(whole) < EXACT) & (np.trunc(whole) == whole)).all()):
        return None
    return pd.arrays.IntegerArray(whole.astype("int64"), missing)


def _booleans(cells: list[Any]) -> Any:
    if not all(cell is None or isinstance(cell, bool | np.bool_) for cell in cells):
        return None
    return pd.array(cells, dtype="boolean")


def _strings(cells: list[Any]) -> Any:
    if not all(cell is None or isinstance(cell, str) for cell in cells):
        return None
    return pd.array(cells, dtype=STRING_DTYPE)


_UNBOX: dict[Kind, Callable[[list[Any]], Any]] = {
    "date-time": _date_times,
    "date": _dates,
    "number": _floats,
    "integer": _integers,
    "boolean": _booleans,
    "string": _strings,
}
