"""Cells as keys: two numbers that are equal where the values are.

Numbers are equal however they are written: `1`, `1.0`, `1e0`. Objects are, whatever the order of their members.
Texts are equal letter by letter, and a text never equals a number.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from flow_singer.checks.cellvalues import Mask, nulls
from flow_singer.checks.seenkeys import Keys
from flow_singer.datapackage.rowkeys import number_text
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Batch, Column
from flow_singer.tabular.literals import NumberText
from flow_singer.tabular.textarrays import TEXT

_INT64 = range(-(2**63), 2**63)
_DIGITS = frozenset("-0123456789")
_LONGEST_INT64 = 20


def keys_of_values(columns: Sequence[tuple[Property, Column]]) -> Keys:
    """The keys of n rows; no cell is null.

    A single integer stands for itself; all else is hashed to 128 bits.
    """
    first = columns[0][1]
    if len(columns) == 1 and first.values.type == pa.int64() and not first.as_json:
        numbers = np.asarray(first.values.to_numpy(zero_copy_only=False), dtype=np.int64)
        # Flipped, so that they are in order as unsigned ones.
        return Keys(numbers.view(np.uint64) ^ np.uint64(1 << 63), np.zeros(len(numbers), dtype=np.uint64))
    texts = [value_texts(*one) for one in columns]
    joined = texts[0]
    if len(texts) > 1:
        joined = ["".join([f"{len(cell)}:{cell}" for cell in cells]) for cells in zip(*texts, strict=True)]
    high = np.fromiter(map(hash, joined), np.int64, len(joined)).view(np.uint64)
    low = np.fromiter((hash("\1" + text) for text in joined), np.int64, len(joined)).view(np.uint64)
    if len(columns) == 1 and first.as_json:
        for row, text in enumerate(joined):
            if (value := _short_integer(text)) is not None:
                high[row] = np.uint64(value + (1 << 63))
                low[row] = 0
    return Keys(high, low)


def keys_of_rows(batch: Batch, names: Sequence[str], kept: Mask) -> tuple[npt.NDArray[np.intp], Keys] | None:
    """The rows of a batch that have a value in each of some columns, and their keys; None where none has.

    Args:
        batch: n records.
        names: of the columns.
        kept: the rows that count.
    """
    if any(name not in batch.columns for name in names):
        return None
    columns = [(batch.schema.properties[name], batch.columns[name]) for name in names]
    for _, column in columns:
        if column.values.null_count:
            kept = kept & ~nulls(column)
    rows = np.flatnonzero(kept)
    if not len(rows):
        return None
    if len(rows) < batch.count:
        taken = pa.array(rows)
        columns = [(one, Column(column.values.take(taken), column.as_json)) for one, column in columns]
    return rows, keys_of_values(columns)


def _short_integer(text: str) -> int | None:
    if text[:1] not in _DIGITS or len(text) > _LONGEST_INT64 or not text.removeprefix("-").isdigit():
        return None
    value = int(text)
    return value if value in _INT64 else None


def value_texts(one: Property, column: Column) -> list[str]:
    """A text per cell that is equal where the values are; no cell is null."""
    cells: list[Any] = column.values.to_pylist()
    if not column.as_json:
        if column.values.type == TEXT:
            return ['"' + text for text in cells]
        if column.values.type == pa.bool_():
            return ["true" if cell else "false" for cell in cells]
        return [str(cell) for cell in cells]
    if one.kind in ("integer", "number", "decimal"):
        return [number_text(text) for text in cells]
    return [json_value_text(text) for text in cells]


def json_value_text(text: str) -> str:
    """The text of [`value_texts`][flow_singer.checks.valuekeys.value_texts] for one JSON text."""
    begin = text[:1]
    if begin == '"':
        decoded: str = json.loads(text)
        return '"' + decoded
    if begin in _DIGITS:
        return number_text(text)
    if begin and begin in "{[":
        return _in_order(json.loads(text, parse_float=NumberText, parse_int=NumberText))
    return text


def _in_order(value: Any) -> str:
    """JSON with the members of objects in the order of their names, and numbers in one spelling."""
    match value:
        case NumberText():
            return number_text(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(key)}:{_in_order(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(map(_in_order, value)) + "]"
    return json.dumps(value)
