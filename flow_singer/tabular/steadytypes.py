"""An output column keeps its type in all batches, though pandas gives another dtype to a batch with nulls.

`df["due"].dt.year` is a column of integers in a batch without nulls and one of floats in a batch with one. The type
in earlier batches decides, as long as the values fit it: a type that a SCHEMA has told is never narrowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.schema import Property, read_property
from flow_singer.tabular.matching import Rows
from flow_singer.tabular.outputcolumns import Source, equal_integers
from flow_singer.tabular.unboxing import EXACT, unboxed

Alone = Callable[[int], Mapping[str, Any]]
"""Calls a function with one record of its batch, by position, and gives the dtypes of the result's columns."""

_INTEGER = read_property("", {"type": "integer"})
_NUMBERS = ("integer", "number", "decimal", "json")


def steady(
    values: Any, returned: Any, source: Source | None, known: Property | None
) -> tuple[Any, Source | None]:
    """A column as the same type that it had in earlier batches.

    Args:
        values: n cells.
        returned: the same as the function returned them, before [`unboxed`][flow_singer.tabular.unboxing.unboxed].
        source: where they may have come from.
        known: what the column has been so far; None where it had no value yet.

    Returns:
        The cells to write, and the source to compare them with.
    """
    if source is not None and source.property.kind == "integer":
        if values is not returned and returned.dtype.kind == "f" and not _is_unchanged(values, source):
            # Arithmetic gives Float64; to hold NaN, pandas makes float64 of integers.
            is_masked = isinstance(returned, pd.arrays.FloatingArray)
            if (known is None and is_masked) or (known is not None and "number" in known.types):
                return returned, None
        return values, source
    if known is None or (source is not None and source.property.kind == known.kind):
        return values, source
    values = unboxed(values, known)
    if known.kind == "boolean" and values.dtype.kind == "f":
        return _booleans_of_floats(values), source
    if known.kind == "number" and (source is None or source.property.kind not in _NUMBERS):
        return _floats_of_integers(values), source
    return values, source


def integers_alone(
    values: Any, name: str, source: Source | None, rows: Rows | None, alone: Alone | None
) -> Any:
    """The first values of a column, as integers where only a null in the batch makes them floats.

    One record without the null is shown to the function alone, and the dtype of its result decides.

    Args:
        values: n cells.
        name: of the column.
        source: where they may have come from.
        rows: the records the n rows came from.
        alone: shows one of them; None where the function is not to be called again.
    """
    if alone is None or rows is None or (source is not None and _allows_numbers(source.property)):
        return values
    if not isinstance(values, pd.arrays.NumpyExtensionArray) or values.dtype.kind != "f":
        return values
    present = np.flatnonzero(~np.isnan(values.to_numpy()))
    if not 0 < len(present) < len(values) or (found := unboxed(values, _INTEGER)) is values:
        return values
    row = int(present[0])
    position = row if isinstance(rows, slice) else rows[row].as_py()
    dtype = None if position is None else alone(position).get(name)
    return found if dtype is not None and pd.api.types.is_integer_dtype(dtype) else values


def _allows_numbers(one: Property) -> bool:
    return not one.types or bool({"integer", "number"} & one.types)


def _is_unchanged(values: Any, source: Source) -> bool:
    """Whether integers are those of the source, but for some that are null now."""
    if source.column is None:
        return False
    cells = pa.array(values, from_pandas=True)
    same = equal_integers(cells, source.column).fill_null(False)
    return bool(pc.all(pc.or_(same, cells.is_null()), min_count=0).as_py())


def _booleans_of_floats(values: Any) -> Any:
    floats = values.to_numpy("float64", na_value=np.nan)
    missing = np.isnan(floats)
    if not missing.any() or not bool(np.isin(floats[~missing], (0, 1)).all()):
        return values
    return pd.arrays.BooleanArray(np.where(missing, 0, floats).astype(bool), missing)


def _floats_of_integers(values: Any) -> Any:
    if values.dtype.kind not in "iu" or not isinstance(
        values, pd.arrays.NumpyExtensionArray | pd.arrays.IntegerArray
    ):
        return values
    series = pd.Series(values)
    if bool((series.abs() >= EXACT).fillna(False).any()):
        return values
    return series.astype("Float64").array
