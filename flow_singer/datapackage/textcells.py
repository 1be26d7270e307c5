"""Text cells and rows of text, whatever the format."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import RecordError
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column, json_texts
from flow_singer.tabular.textarrays import TEXT


def plain_texts(one: Property, column: Column) -> pa.Array:
    """The cells as a reader of plain text expects them; null stays null.

    Strings stand for themselves, numbers and booleans as in JSON with the digits they came with. An integer
    that came as `1.0` or `1e3` is written as an integer. Where a property allows several types, or any, all
    is JSON, as objects and arrays are: the text `"5"` keeps its quotes, and is told from the number 5.

    Raises:
        RecordError: a string is no Unicode text (a lone surrogate).
    """
    values = column.values
    if one.kind == "json":
        return json_texts(column)
    if not column.as_json:
        return values if values.type == TEXT else values.cast(TEXT)
    if one.kind == "integer":
        return _replace(values, pc.match_substring_regex(values, "[.eE]"), _integer_text, one)
    if one.kind in ("number", "decimal"):
        return values
    return _replace(values, pc.starts_with(values, '"'), _string, one)


def _replace(values: pa.Array, mask: pa.Array, decode: Any, one: Property) -> pa.Array:
    mask = mask.fill_null(False)
    if not pc.any(mask).as_py():
        return values
    try:
        decoded = pa.array([decode(text) for text in values.filter(mask).to_pylist()], TEXT)
        return pc.replace_with_mask(values, mask, decoded)
    except UnicodeEncodeError as exc:
        raise RecordError(
            f"Property '{one.name}' has a text with a lone surrogate ({exc.object[exc.start : exc.end]!r}), "
            "which is not Unicode and has no place in this file format.",
            "Use the format jsonl, which keeps it escaped, or correct it in a transform.",
        ) from exc


def _string(text: str) -> str:
    try:
        decoded: str = msgspec.json.decode(text)
    except msgspec.DecodeError:
        decoded = json.loads(text)
    return decoded


def _integer_text(text: str) -> str:
    return str(int(Decimal(text)))


def offsets_of(lines: pa.Array) -> npt.NDArray[np.int64]:
    """The n + 1 offsets of n lines in their buffer."""
    buffer = lines.buffers()[1]
    if buffer is None or not len(lines):
        return np.zeros(1, dtype=np.int64)
    return np.frombuffer(buffer, dtype=np.int64)[lines.offset : lines.offset + len(lines) + 1]


def lines_of(data: bytes, lengths: npt.NDArray[np.int64]) -> pa.Array:
    """Cut `data` into lines of the given lengths (bytes), without a copy."""
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return pa.LargeStringArray.from_buffers(len(lengths), pa.py_buffer(offsets), pa.py_buffer(data))
