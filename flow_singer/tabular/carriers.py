"""The decoded cells of one property, side by side, as the Arrow array that carries them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.badlines import excerpt
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import CARRIERS, Column
from flow_singer.tabular.literals import IntegerText, json_type
from flow_singer.tabular.recordtypes import PLAIN
from flow_singer.tabular.textarrays import TEXT, texts_of


class MisfitError(Exception):
    """Values that were taken as JSON text turn out to be none that their column can hold.

    Attributes:
        name: the property.
        rows: the row, the text and what is wrong of each, at least one.
    """

    def __init__(self, name: str, rows: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(name)
        self.name, self.rows = name, rows


def carrier(one: Property, cells: Sequence[Any]) -> Column:
    """The carrier of n cells as [`RecordTypes`][flow_singer.tabular.recordtypes.RecordTypes] decodes them.

    Raises:
        MisfitError: a cell that was kept as JSON text is no number where the property is one, or no UTF-8.
    """
    kind = one.kind
    if kind not in PLAIN:
        return _json_column(one.name, cells, numbers=kind in ("number", "decimal"))
    absent = None
    try:
        return Column(pa.array(cells, CARRIERS[kind]), as_json=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        pass
    missing = [cell is msgspec.UNSET for cell in cells]
    if any(missing):
        absent = pa.array(missing, pa.bool_())
        cells = [None if cell is msgspec.UNSET else cell for cell in cells]
    try:
        return Column(pa.array(cells, CARRIERS[kind]), as_json=False, absent=absent)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        texts = [
            None if cell is None else cell if isinstance(cell, IntegerText) else json.dumps(cell)
            for cell in cells
        ]
        return Column(pa.array(texts, TEXT), as_json=True, absent=absent)


def envelope_texts(key: str, cells: Sequence[msgspec.Raw]) -> pa.Array:
    """The JSON texts of what stood under a key beside `record`; null where a line lacked it.

    Raises:
        MisfitError: a text is no UTF-8.
    """
    texts = texts_of(*_raw_bytes(key, cells))
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, TEXT), texts)


def _json_column(name: str, cells: Sequence[msgspec.Raw], *, numbers: bool) -> Column:
    data, offsets = _raw_bytes(name, cells)
    missing = offsets[1:] == offsets[:-1]
    text = np.frombuffer(data or b"n", dtype="uint8")
    # A first character tells enough: the JSON reader has made sure that each text is JSON.
    firsts = text[np.minimum(offsets[:-1], len(text) - 1)]
    null = (firsts == ord("n")) | missing
    if numbers and (others := np.flatnonzero(~(null | _BEGINS_NUMBER[firsts]))).size:
        texts = [(row, bytes(cells[row]).decode()) for row in others.tolist()]
        raise MisfitError(
            name, [(row, text, f"expected number, got {json_type(json.loads(text))}") for row, text in texts]
        )
    valid = pa.array(~null) if null.any() else None
    return Column(texts_of(data, offsets, valid), True, pa.array(missing) if missing.any() else None)


_BEGINS_NUMBER = np.isin(np.arange(256), list(b"-0123456789"))


def _raw_bytes(name: str, cells: Sequence[msgspec.Raw]) -> tuple[bytes, np.ndarray]:
    """Raw cells side by side, and where each begins and ends; an object per cell would cost three times as much."""
    data = b"".join(cells)
    if not data.isascii():
        try:
            data.decode()  # the JSON reader checks the text that it decodes, but not what it leaves raw
        except UnicodeDecodeError:
            rows = [(row, excerpt(bytes(cells[row])), reason) for row, reason in _not_utf8(cells)]
            raise MisfitError(name, rows) from None
    offsets = np.zeros(len(cells) + 1, dtype="int64")
    np.cumsum(np.fromiter(map(len, cells), dtype="int64", count=len(cells)), out=offsets[1:])
    return data, offsets


def _not_utf8(cells: Sequence[msgspec.Raw]) -> Iterator[tuple[int, str]]:
    for row, cell in enumerate(cells):
        try:
            bytes(cell).decode()
        except UnicodeDecodeError as exc:
            yield row, f"not UTF-8 ({exc.reason})"
