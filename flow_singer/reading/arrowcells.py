"""Arrow arrays, as Parquet holds them, to the carriers of their property.

Source: the logical types of Apache Parquet, as Arrow gives them.
"""

from __future__ import annotations

import base64
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.reading.fieldcells import Cells
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT, quoted

_ISO_SEPARATOR = 10
"""Where the `T` of a date-time stands, for the years from 0 to 9999."""


def arrow_cells(one: Property, values: pa.Array, *, own: bool) -> Cells:
    """The cells of a column.

    Args:
        one: the property.
        values: n cells.
        own: whether Flow wrote them: then a text in a column of another kind is JSON.

    Returns:
        The carrier; infinite numbers are bad.
    """
    kind = values.type
    if pa.types.is_dictionary(kind):
        return arrow_cells(one, values.dictionary_decode(), own=own)
    if pa.types.is_integer(kind):
        return _integers(one, values)
    if pa.types.is_floating(kind):
        return _floats(one, values)
    if pa.types.is_boolean(kind):
        return _plain(one, values)
    if pa.types.is_decimal(kind):
        texts = decimal_texts(values)
        return Cells(Column(texts, as_json=one.kind != "decimal-text"))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        texts = values.cast(TEXT)
        if own and one.kind in ("integer", "number", "decimal", "boolean", "json"):
            return Cells(Column(texts, as_json=True))
        return _texts(one, texts)
    if (texts := _times(values)) is not None:
        return _texts(one, texts)
    if pa.types.is_null(kind):
        return Cells(Column(pa.nulls(len(values), TEXT), as_json=True))
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        encoded = [None if one is None else base64.b64encode(one).decode() for one in values.to_pylist()]
        return _texts(one, pa.array(encoded, TEXT))
    encode = msgspec.json.Encoder(enc_hook=_hook, decimal_format="number").encode
    nested = [None if cell is None else encode(_jsonable(cell)).decode() for cell in values.to_pylist()]
    return Cells(Column(pa.array(nested, TEXT), as_json=True))


def _plain(one: Property, values: pa.Array) -> Cells:
    return Cells(Column(values.cast(TEXT) if one.kind == "json" else values, as_json=one.kind == "json"))


def _texts(one: Property, texts: pa.Array) -> Cells:
    if one.kind == "json":
        return Cells(Column(quoted(texts), as_json=True))
    return Cells(Column(texts, as_json=False))


def _integers(one: Property, values: pa.Array) -> Cells:
    if one.kind == "integer":
        try:
            return Cells(Column(values.cast(pa.int64()), as_json=False))
        except pa.ArrowInvalid:  # unsigned, past 2^63
            pass
    return Cells(Column(values.cast(TEXT), as_json=one.kind not in ("decimal-text", "string")))


def _floats(one: Property, values: pa.Array) -> Cells:
    finite = pc.or_(values.is_null(), pc.is_finite(values))
    bad = None
    if not pc.all(finite, min_count=0).as_py():
        bad = pc.invert(finite)
        values = pc.if_else(finite, values, None)
    return Cells(Column(values.cast(TEXT), as_json=one.kind not in ("decimal-text", "string")), bad)


def decimal_texts(values: pa.Array) -> pa.Array:
    """Decimals in full digits, without the zeros that only fill up their scale."""
    texts = values.cast(TEXT)
    if pc.any(pc.match_substring_regex(texts, "[eE]"), min_count=0).as_py():  # Arrow writes 1E-7 so
        texts = pa.array([None if one is None else format(one, "f") for one in values.to_pylist()], TEXT)
    if values.type.scale <= 0:
        return texts
    return _without_zeros(texts)


def _times(values: pa.Array) -> pa.Array | None:
    kind = values.type
    if pa.types.is_date(kind):
        return values.cast(pa.date32()).cast(TEXT)
    if pa.types.is_timestamp(kind):
        return stamp_texts(values)
    if pa.types.is_time(kind):
        return _without_zeros(values.cast(TEXT))
    if pa.types.is_duration(kind):
        spans = [None if one is None else _iso_duration(one) for one in values.to_pylist()]
        return pa.array(spans, TEXT)
    return None


def stamp_texts(stamps: pa.Array) -> pa.Array:
    """Timestamps as RFC 3339: `2026-01-31T12:00:00Z`, with as many digits of a second as there are.

    One with a zone is written in UTC; one without has no zone in its text either.
    """
    zone = "Z" if stamps.type.tz is not None else ""
    plain = stamps.cast(pa.timestamp(stamps.type.unit))  # the instants, as UTC has them
    try:
        texts = plain.cast(pa.timestamp("s")).cast(TEXT)
    except pa.ArrowInvalid:  # some have a fraction of a second
        texts = _without_zeros(plain.cast(TEXT))
    texts = pc.binary_replace_slice(texts, _ISO_SEPARATOR, _ISO_SEPARATOR + 1, "T")
    return pc.binary_join_element_wise(texts, pa.scalar(zone, TEXT), pa.scalar("", TEXT)) if zone else texts


def _without_zeros(texts: pa.Array) -> pa.Array:
    """Numbers without the zeros at the end of a fraction."""
    trimmed = pc.utf8_rtrim(pc.utf8_rtrim(texts, "0"), ".")
    return pc.if_else(pc.match_substring(texts, "."), trimmed, texts)


def _iso_duration(span: timedelta) -> str:
    sign = "-" if span < timedelta(0) else ""
    span = abs(span)
    seconds = f"{span.seconds}" + (f".{span.microseconds:06}".rstrip("0") if span.microseconds else "")
    return f"{sign}P{span.days}DT{seconds}S"


def _jsonable(cell: Any) -> Any:
    """A nested cell with what JSON knows; maps, which Arrow gives as pairs, stay lists of pairs."""
    if isinstance(cell, dict):
        return {str(key): _jsonable(value) for key, value in cell.items()}
    if isinstance(cell, list | tuple):
        return [_jsonable(value) for value in cell]
    if isinstance(cell, bytes):
        return base64.b64encode(cell).decode()
    if isinstance(cell, Decimal) and not cell.is_finite():
        return None
    return cell


def _hook(value: Any) -> Any:
    return str(value)
