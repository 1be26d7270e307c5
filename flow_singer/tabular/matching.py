"""Which record of a batch each row of a function's result came from.

The index of a frame tells, as long as the function kept it. After reset_index, group by or merge its labels count
from 0 again and would name the wrong records. So the labels are believed only where columns agree with them; else
the key columns find the records; else the values of whole rows do. The record that is found for a row gives it what
stands beside the columns (undeclared keys, `time_extracted`, an absent key), and the digits of unchanged values.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.tabular.batch import Batch, Column
from flow_singer.tabular.columnencoding import arrow_text, encode_column
from flow_singer.tabular.frames import MARK, to_array
from flow_singer.tabular.textarrays import TEXT

Rows: TypeAlias = pa.Array | slice
"""Positions in the batch, null for a row that came from no record; `slice(None)`: all records in their order."""


def match_rows(index: pd.Index, columns: Mapping[str, Any], batch: Batch, *, by_key: bool) -> Rows | None:
    """Match the n rows of a result to the records of the batch it was made from.

    Args:
        index: the result's index.
        columns: the result's columns, as arrays of n cells.
        batch: the records that the function was shown.
        by_key: whether key columns of the same name mean the same key in the result.

    Returns:
        The match, or None where nothing tells.
    """
    if batch.schema.unread:
        return _by_mark(index, batch.count)
    rows = _by_index(index, batch.count)
    key = batch.schema.key_properties
    if not key or any(name not in columns or name not in batch.columns for name in key):
        if rows is not None and _is_witnessed(columns, batch, rows):
            return rows
        return _by_content(columns, len(index), batch)
    after = _joined([_comparable(columns[name]) for name in key])
    before = _joined([_carried(batch, name) for name in key])
    if after.type != before.type:
        after, before = after.cast(TEXT), before.cast(TEXT)
    if rows is not None and _equal(after, _at(before, rows)) and (not _is_fresh(rows) or _is_unique(before)):
        return rows
    if rows is not None and _is_witnessed(
        columns, batch, rows, strict=True
    ):  # the function changed the key itself
        return rows
    if not by_key or not _is_unique(before):
        return _by_content(columns, len(index), batch)
    found = pc.index_in(after, value_set=before, skip_nulls=True)
    return found.cast(pa.int64()) if found.null_count < len(found) else None


def _by_content(columns: Mapping[str, Any], count: int, batch: Batch) -> Rows | None:
    """Match rows by all their values: all records in order, or each row to the one record that is like it."""
    every: Rows = slice(None)
    if count == batch.count and _is_witnessed(columns, batch, every, strict=True):
        return every
    names = [name for name in batch.columns if batch.schema.properties[name].kind != "json"]
    if len(names) < 2 or any(name not in columns for name in names):
        return None
    after = [_comparable(columns[name]) for name in names]
    before = [_carried(batch, name) for name in names]
    if any(one.type != other.type for one, other in zip(after, before, strict=True)):
        return None
    records, wanted = _joined(before), _joined(after)
    counts = pc.value_counts(records)
    once = counts.field("values").filter(pc.equal(counts.field("counts"), 1))
    found = pc.if_else(pc.is_in(wanted, value_set=once), pc.index_in(wanted, value_set=records), None)
    return found.cast(pa.int64()) if found.null_count < len(found) else None


def take_column(column: Column, rows: Rows) -> Column:
    """The column's cells at the matched rows; null for a row that came from no record."""
    if isinstance(rows, slice):
        return column
    absent = None if column.absent is None else column.absent.take(rows).fill_null(False)
    return Column(column.values.take(rows), column.as_json, absent)


def take_undeclared(column: Column, rows: Rows) -> Column:
    """The same for a key that the SCHEMA does not declare: a row that came from no record lacks it."""
    taken = take_column(column, rows)
    if isinstance(rows, slice) or not rows.null_count:
        return taken
    nowhere = rows.is_null()
    return taken._replace(absent=nowhere if taken.absent is None else pc.or_(nowhere, taken.absent))


def _by_index(index: pd.Index, count: int) -> Rows | None:
    if isinstance(index, pd.RangeIndex) and index.start == 0 and index.step == 1 and len(index) == count:
        return slice(None)
    if (
        index.name is not None
        or isinstance(index, pd.MultiIndex)
        or not pd.api.types.is_integer_dtype(index.dtype)
    ):
        return None
    labels = index.to_numpy()
    if len(labels) and (labels.min() < 0 or labels.max() >= count):
        return None
    return pa.array(labels, pa.int64())


def _by_mark(index: pd.Index, count: int) -> Rows | None:
    if len(index) == 0:
        return pa.array([], pa.int64())
    if (
        isinstance(index, pd.MultiIndex)
        or index.name != MARK
        or not pd.api.types.is_integer_dtype(index.dtype)
    ):
        return None
    labels = index.to_numpy(dtype="int64")
    if (labels < 0).any() or (labels >= count).any():
        return None
    if len(labels) == count and bool((labels == np.arange(count)).all()):
        return slice(None)
    return pa.array(labels)


def _is_fresh(rows: Rows) -> bool:
    """Whether labels may have been counted from 0 for the result, in whatever order they are now."""
    return (
        not isinstance(rows, slice)
        and (not len(rows) or pc.max(rows).as_py() < len(rows))
        and _is_unique(rows)
    )


def _is_witnessed(columns: Mapping[str, Any], batch: Batch, rows: Rows, *, strict: bool = False) -> bool:
    """Whether columns that the function left alone show that its rows are those records.

    A column in which no two records are alike cannot agree by chance, and is proof. Where no such column agrees, all
    rows in order are believed unless a column holds the same cells in another order. Other labels are believed where
    they have gaps or come twice, which reset_index never gives, if a column agrees that is not constant, or no column
    disagrees.

    Args:
        columns: the result's columns.
        batch: the records.
        rows: which records the rows may be.
        strict: whether, of all rows in order, some column has to agree, as the key does not or there is none.
    """
    whole = isinstance(rows, slice)
    agrees = disagrees = moved = False
    kinds = {name: batch.schema.properties[name].kind for name in columns if name in batch.columns}
    plain = [name for name, kind in kinds.items() if kind in _PLAIN]
    for name in [*plain, *(name for name, kind in kinds.items() if kind not in _PLAIN and kind != "json")]:
        if name not in plain and agrees and not moved:
            break
        after, carried = _comparable(columns[name]), _carried(batch, name)
        before = _at(carried, rows)
        if after.type != before.type:
            continue
        if _equal(after, before):
            if _is_unique(carried):
                return True
            agrees = agrees or pc.count_distinct(before, mode="all").as_py() > 1
        else:
            disagrees = True
            moved = moved or (whole and _equal(_sorted(after), _sorted(before)))
    if whole:
        return not moved and (agrees or not strict)
    return not _is_fresh(rows) and (agrees or not disagrees)


_PLAIN = ("integer", "string")


def _carried(batch: Batch, name: str) -> pa.Array:
    column, kind = batch.columns[name], batch.schema.properties[name].kind
    if kind in _PLAIN and not column.as_json:
        return column.values
    array = to_array(kind, column)
    return _comparable(pd.Series(array, dtype=array.dtype, copy=False).array)


def _comparable(values: Any) -> pa.Array:
    if pd.api.types.is_integer_dtype(values.dtype) and values.dtype != np.uint64:
        found = pa.array(values, from_pandas=True)
        return (found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found).cast(pa.int64())
    if isinstance(values.dtype, pd.StringDtype):
        return arrow_text(values)
    return encode_column(values, None).to_json()


def _joined(columns: list[pa.Array]) -> pa.Array:
    if len(columns) == 1:
        return columns[0]
    texts = [column.cast(TEXT).fill_null("") for column in columns]
    return pc.binary_join_element_wise(*texts, pa.scalar("\x1f", TEXT))


def _at(values: pa.Array, rows: Rows) -> pa.Array:
    return values if isinstance(rows, slice) else values.take(rows)


def _equal(left: pa.Array, right: pa.Array) -> bool:
    return bool(left.equals(right))


def _sorted(values: pa.Array) -> pa.Array:
    return values.take(pc.sort_indices(values))


def _is_unique(values: pa.Array) -> bool:
    return bool(pc.count_distinct(values, mode="all").as_py() == len(values))


def envelope_of(batch: Batch | None, rows: Rows | None) -> dict[str, pa.Array | str]:
    """What stands beside `record` in the lines of a result.

    Args:
        batch: the records that the result was made from; None where there are none.
        rows: which of them its rows came from; None where nothing tells.
    """
    if batch is None:
        return {}
    if isinstance(rows, slice):
        return dict(batch.envelope)
    newest = _newest_envelope(batch)
    if rows is None:
        return newest
    taken = {key: texts.take(rows) for key, texts in batch.envelope.items()}
    if rows.null_count:
        for key, text in newest.items():
            taken[key] = pc.if_else(rows.is_null(), pa.scalar(text, TEXT), taken[key])
    return taken


def _newest_envelope(batch: Batch) -> dict[str, pa.Array | str]:
    """What stands beside rows that cannot be matched: the newest `time_extracted`, the batch's `version`."""
    newest: dict[str, pa.Array | str] = {}
    for key in ("time_extracted", "version"):
        if key in batch.envelope:
            latest = pc.max(batch.envelope[key]).as_py()
            if latest is not None:
                newest[key] = latest
    return newest
