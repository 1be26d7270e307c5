"""Columns of Python objects and of nested values as JSON text, and the property that describes them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.schema import Kind, Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.frames import exact_integers, source_texts, to_array
from flow_singer.tabular.jsonvalues import decode_texts, encode_all
from flow_singer.tabular.nested import JsonArray
from flow_singer.tabular.outputcolumns import OF_DECIMAL_TEXT, Source, fits, property_of, restored
from flow_singer.tabular.outputrows import Cells
from flow_singer.tabular.plainvalues import encode_each, is_missing
from flow_singer.tabular.textarrays import TEXT, join, quoted


def encode_nested(values: JsonArray, source: Source | None) -> Cells:
    """Write one column of nested values: a cell keeps the text it came with, unless something in it was changed."""
    texts = values.texts
    column = source.cells_of("json") if source else None
    if not values.is_untouched:
        cells = values.objects.tolist()
        before = decode_texts(texts)
        if (found := encode_all(cells)) == b"" or found != encode_all(before):
            encoded, types, formats = encode_each(cells)
            now = pa.array(encoded, TEXT)
            same = pc.equal(now, pa.array(encode_each(before)[0], TEXT)).fill_null(False)
            texts = pc.if_else(same, texts, now)
            if column is not None:
                texts = _respelt(texts, column.values)
            if "number" in types and "integer" not in types:  # of integers, pandas makes floats to hold NaN
                types = types - {"number"} | _types_of(texts) & {"integer", "number"}
            if source is None or not fits(source.property, types, formats):
                return Cells(texts, property_of(types, formats) if types else None)
        elif column is not None:
            texts = _respelt(texts, column.values)
    if source is not None and source.property.kind == "json":
        return Cells(texts, dict(source.property.json_schema))
    types = _types_of(texts)
    return Cells(texts, property_of(types, {None}) if types else None)


def _respelt(texts: pa.Array, before: pa.Array) -> pa.Array:
    """The texts, where pandas made a new column of the values: a cell that is equal to `before` has that text.

    So `1.50` inside a cell stays `1.50`.
    """
    rows = np.flatnonzero(pc.not_equal(texts, before).fill_null(False).to_numpy(zero_copy_only=False))
    if not len(rows):
        return texts
    some = pa.array(rows)
    now, then = (
        encode_each([_whole(cell) for cell in decode_texts(column.take(some))])[0]
        for column in (texts, before)
    )
    same = np.zeros(len(texts), dtype=bool)
    same[rows] = [a == b for a, b in zip(now, then, strict=True)]
    return pc.if_else(pa.array(same), before, texts)


def _whole(cell: Any) -> Any:
    """A float as the integer that pandas may have made it of."""
    return int(cell) if isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53 else cell


def _types_of(texts: pa.Array) -> set[str]:
    """The JSON types in a column of JSON texts, by how each begins."""
    starts = pc.unique(pc.utf8_slice_codeunits(texts, 0, 1)).to_pylist()
    types = {_BY_START.get(start, "number") for start in starts if start is not None}
    if (
        "number" in types
        and pc.all(pc.match_substring_regex(texts, r"^(-?\d+|[^-\d].*)$"), min_count=0).as_py()
    ):
        types = (types - {"number"}) | {"integer"}
    return types


_BY_START = {"{": "object", "[": "array", '"': "string", "t": "boolean", "f": "boolean"}


def encode_objects(cells: list[Any], source: Source | None) -> Cells:
    """Write one column of Python objects."""
    if source is not None and source.property.kind == "date" and all(map(_is_no_time, cells)):
        cells = [cell.date() if _is_stamp(cell) else cell for cell in cells]
    encoded, types, formats = encode_each(cells)
    texts = pa.array(encoded, TEXT)
    if source is None:
        if not types:
            return Cells(texts, None)
        return Cells(texts, property_of(types, formats))
    kind = source.property.kind
    if kind == "decimal-text" and types <= OF_DECIMAL_TEXT:
        texts = pc.if_else(pc.starts_with(texts, '"'), texts, join('"', texts, '"'))
    column = source.column
    if column is not None and source_texts(kind, column) is not None:
        texts = restored(texts, kind, column, _same_objects(texts, cells, kind, column))
    if fits(source.property, types, formats):
        return Cells(texts, dict(source.property.json_schema))
    return Cells(texts, property_of(types, formats))


def _is_stamp(cell: object) -> bool:
    return isinstance(cell, datetime) and not is_missing(cell)


def _is_no_time(cell: Any) -> bool:
    """False for a datetime that no date holds."""
    return not _is_stamp(cell) or (cell.tzinfo is None and cell.time() == time())


def _same_objects(texts: pa.Array, cells: list[Any], kind: Kind, column: Column) -> pa.Array:
    """Where an object is still what its text says; compared as JSON, so that 1, 1.0 and true differ."""
    if kind == "integer":  # 1e23 and 10**23 are one value
        integers = exact_integers(column.values)
        same = [type(a) is type(b) and a == b for a, b in zip(cells, integers, strict=True)]
        return pa.array(same, pa.bool_())
    if kind in ("decimal", "decimal-text"):
        before = to_array(kind, column)
        same = [a is b or a == b for a, b in zip(cells, before, strict=True)]
        return pa.array(same, pa.bool_())
    fresh = decode_texts(column.values if column.as_json else quoted(column.values))
    if kind == "number" or (kind in ("date", "date-time") and not column.as_json):
        # A cell is what the frame showed, or the text behind it.
        shown = pd.Series(to_array(kind, column)).astype(object).tolist()
        if kind == "date":
            shown = [one.date() if one is not pd.NaT else one for one in shown]
        same = [_is_shown(cell, one, text) for cell, one, text in zip(cells, shown, fresh, strict=True)]
        nothing = pc.and_(texts.is_null(), column.values.is_null())
        return pc.or_(pa.array(same, pa.bool_()), nothing)
    canonical, _, _ = encode_each(fresh)
    before_texts = pa.array(canonical, TEXT)
    same = pc.equal(texts, before_texts).fill_null(False)
    return pc.or_(same, pc.and_(texts.is_null(), before_texts.is_null()))


def _is_shown(cell: object, shown: object, text: object) -> bool:
    if isinstance(cell, str):
        return cell == text
    return cell is shown or (isinstance(cell, float | date) and bool(cell == shown))


def encode_values(values: Sequence[Any], one: Property | None) -> Cells:
    """Write one column of plain Python values, as row functions return them."""
    kinds = set(map(type, values))
    kinds.discard(type(None))
    only = kinds.pop() if len(kinds) == 1 else None
    types: set[str]
    formats: set[str | None]
    try:
        if only is str:
            types, formats, texts = {"string"}, {None}, quoted(pa.array(values, TEXT))
        elif only is int:
            types, formats, texts = {"integer"}, set(), pa.array(values, pa.int64()).cast(TEXT)
        elif only is bool:
            types, formats, texts = {"boolean"}, set(), pa.array(values, pa.bool_()).cast(TEXT)
        else:
            only = None
    except (OverflowError, UnicodeEncodeError, pa.ArrowInvalid):
        only = None
    if only is None:
        encoded, types, formats = encode_each(values)
        texts = pa.array(encoded, TEXT)
        if one is not None and "integer" in one.types and "number" in types and _are_whole(texts):
            types = types - {"number"} | {"integer"}
    if one is not None and fits(one, types, formats):
        return Cells(texts, dict(one.json_schema), assumed=not types)
    return Cells(texts, property_of(types, formats) if types else None)


def _are_whole(texts: pa.Array) -> bool:
    """Whether every number among JSON texts is an integer, however it is written: `1.0`, `1e3`."""
    numbers = map(Decimal, texts.filter(pc.match_substring_regex(texts, r"^-?\d")).to_pylist())
    return all(number == number.to_integral_value() for number in numbers)
