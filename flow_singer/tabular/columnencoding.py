"""A frame's column as JSON text, and the property that describes it.

An output column keeps its input property where its values still fit it; otherwise its dtype decides. A cell that
did not change is written with the text it came with.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import TransformError
from flow_singer.singer.schema import inferred, read_property
from flow_singer.tabular.batch import Column, json_texts
from flow_singer.tabular.frames import to_array
from flow_singer.tabular.nested import JsonArray
from flow_singer.tabular.objectencoding import encode_nested, encode_objects
from flow_singer.tabular.outputcolumns import Source, equal_integers, kept_property, restored
from flow_singer.tabular.outputrows import Cells
from flow_singer.tabular.textarrays import TEXT, escaped, join, quoted


def encode_column(values: Any, source: Source | None) -> Cells:
    """Write one column of a frame.

    Args:
        values: the column's array (`Series.array`) of n cells.
        source: where the cells may have come from.

    Raises:
        TransformError: the dtype has no JSON form.
    """
    cells = _encode_by_dtype(values, source)
    if cells.texts.null_count < len(cells.texts):
        return cells
    one = cells.property
    if one is None and source is not None:  # nothing but nulls: they fit as well as before
        one = dict(source.property.json_schema)
    return replace(cells, property=one, assumed=one is not None)


def _encode_by_dtype(values: Any, source: Source | None) -> Cells:
    if isinstance(values, JsonArray):
        return encode_nested(values, source)
    dtype = values.dtype
    if isinstance(dtype, pd.SparseDtype):
        return encode_column(pd.array(np.asarray(values)), source)
    if isinstance(dtype, pd.CategoricalDtype):
        return _encode_category(values, source)
    if isinstance(dtype, pd.ArrowDtype):
        return _encode_arrow(pa.array(values), source)
    if isinstance(dtype, pd.StringDtype):
        return _encode_text(arrow_text(values), source)
    if pd.api.types.is_bool_dtype(dtype):
        return _encode_booleans(pa.array(values, pa.bool_(), from_pandas=True), source)
    if pd.api.types.is_integer_dtype(dtype):
        return _encode_integers(pa.array(values, from_pandas=True), source)
    if pd.api.types.is_float_dtype(dtype):
        return _encode_floats(values.to_numpy(np.float64, na_value=np.nan), source)
    if isinstance(dtype, pd.DatetimeTZDtype):
        stamps = np.asarray(values.tz_convert("UTC").tz_localize(None), dtype="datetime64")
        return _encode_stamps(stamps, source, aware=True)
    if dtype.kind == "M":
        return _encode_stamps(np.asarray(values), source, aware=False)
    if dtype.kind == "O" or isinstance(dtype, pd.PeriodDtype | pd.IntervalDtype) or dtype.kind == "m":
        return encode_objects(np.asarray(values, dtype=object).tolist(), source)
    raise TransformError(
        f"A column of dtype {dtype} has no JSON form.", "Convert it in the function, for example to text."
    )


# -------------------------------------------------------------------------------------- one per dtype


def _encode_integers(values: pa.Array, source: Source | None) -> Cells:
    texts = values.cast(TEXT)
    column = source.cells_of("integer") if source else None
    if column is not None and column.as_json:
        texts = restored(texts, "integer", column, equal_integers(values, column))
    return Cells(
        texts, kept_property(source, "integer", "number", "decimal", type="integer") or inferred("integer")
    )


def _encode_floats(values: np.ndarray, source: Source | None) -> Cells:
    finite = np.isfinite(values)
    missing = np.isnan(values)
    not_finite = int((~finite & ~missing).sum())
    if source and source.property.kind == "integer" and not not_finite:
        # An integer column that passed through a join or a shift: pandas made floats of it to hold NaN.
        same = _same_as_floats(values, source.column)
        whole = np.where(finite & ~same, values, 0)
        if bool((np.abs(whole) <= 2**53).all()) and bool((whole == np.trunc(whole)).all()):
            texts = pa.array(whole.astype("int64"), mask=missing).cast(TEXT)
            if source.column is not None and same.any():
                texts = pc.if_else(pa.array(same), json_texts(source.column), texts)
            return Cells(texts, dict(source.property.json_schema))
    column = source.cells_of("number") if source else None
    if source and column is not None:
        before = source.plain(column)
        same = (before == values) | (np.isnan(before) & missing)
        if same.all():
            return Cells(column.values, dict(source.property.json_schema))
        texts = restored(float_texts(values, ~finite), "number", column, pa.array(same))
    else:
        texts = float_texts(values, ~finite)
    if bool(missing.all()) and (len(values) if source is None else source.property.kind != "number"):
        return Cells(texts, None)
    return Cells(texts, kept_property(source, "number", type="number") or inferred("number"), not_finite)


def _same_as_floats(values: np.ndarray, column: Column | None) -> np.ndarray:
    """Where floats are what pandas makes of the integers of a column, also of those that no float holds."""
    if column is None:
        return np.zeros(len(values), dtype=bool)
    shown = to_array("integer", column)
    if isinstance(shown, pd.arrays.IntegerArray):
        before = shown.to_numpy("float64", na_value=np.nan)
    else:  # some are past 2^63
        before = np.array([_as_float(one) for one in shown], dtype="float64")
    return np.asarray(before == values)


def _as_float(value: object) -> float:
    try:
        return float(value) if isinstance(value, int) else np.nan
    except OverflowError:
        return np.nan


def float_texts(values: np.ndarray, mask: np.ndarray) -> pa.Array:
    """The shortest texts that read back as the same floats; whole numbers keep a fraction (`5.0`)."""
    texts = pa.array(values, mask=mask).cast(TEXT)
    plain = np.abs(values) < 1e10
    whole = plain & (np.trunc(np.where(plain, values, 0.5)) == values)
    if whole.any():
        texts = pc.if_else(pa.array(whole), join(texts, ".0"), texts)
    return texts


def _encode_booleans(values: pa.Array, source: Source | None) -> Cells:
    return Cells(values.cast(TEXT), kept_property(source, "boolean", type="boolean") or inferred("boolean"))


def arrow_text(values: Any) -> pa.Array:
    """A column of strings as one Arrow array."""
    texts = pa.array(values, from_pandas=True)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.chunk(0) if texts.num_chunks else pa.array([], TEXT)
    return texts if texts.type == TEXT else texts.cast(TEXT)


def _encode_text(texts: pa.Array, source: Source | None) -> Cells:
    kept = kept_property(source, "string", type="string")
    column = source.cells_of("decimal-text") if source else None
    if source and column is not None and texts.equals(column.values):
        kept = dict(source.property.json_schema)
    if kept is None and texts.null_count == len(texts) and len(texts):
        return Cells(texts, None)
    return Cells(escaped(texts), kept or inferred("string"), strings=True)


def _encode_stamps(stamps: np.ndarray, source: Source | None, *, aware: bool) -> Cells:
    kind = source.property.kind if source else None
    unit = np.datetime_data(stamps.dtype)[0]
    if unit not in ("s", "ms", "us", "ns"):
        stamps, unit = stamps.astype("datetime64[us]"), "us"
    if np.isnat(stamps).all():  # pandas may have lost the zone with the last date
        aware = kind == "date-time" if kind in ("date", "date-time") else aware
    arrow = pa.array(stamps)
    is_date = kind == "date" and not aware and _at_midnight(arrow)
    same = None
    column = source.cells_of("date-time" if aware else "date") if source and (aware or is_date) else None
    if source and column is not None and not column.as_json:
        before = source.plain(column)
        same = (before == stamps) | (np.isnat(before) & np.isnat(stamps))
        if same.all():
            return Cells(escaped(column.values), dict(source.property.json_schema), strings=True)
    if is_date:
        texts = quoted(pc.strftime(arrow, "%Y-%m-%d").cast(TEXT))
    else:
        texts = join('"', pc.strftime(arrow, "%Y-%m-%dT%H:%M:%S").cast(TEXT), "Z" if aware else "", '"')
    if source and column is not None and same is not None:
        texts = restored(texts, source.property.kind, column, pa.array(same))
    elif source and source.pool is not None and (is_date or (aware and kind == "date-time")):
        texts = _spelt(texts, stamps, source)
    if kind == "date-time" and aware:
        return Cells(texts, kept_property(source, "date-time"))
    if is_date:
        return Cells(texts, kept_property(source, "date"))
    return Cells(texts, inferred("string", format="date-time"))


def _spelt(texts: pa.Array, stamps: np.ndarray, source: Source) -> pa.Array:
    """The texts of rows whose records are not known, each as the records of the batch write that instant.

    So an instant that came as `+02:00` leaves like that, where all records of the batch write it in one way.
    """
    kind, pool = source.property.kind, source.pool
    if pool is None or pool.as_json:
        return texts
    shown = source.plain(pool)
    says_all = pc.invert(
        pc.match_substring_regex(pool.values, r"\.\d{7}" if kind == "date-time" else r"^.{11}")
    )
    usable = pc.and_(says_all.fill_null(False), pa.array(~np.isnat(shown)))
    instants = pa.array(shown.astype("int64"))
    known = pa.table({"at": instants.filter(usable), "text": quoted(pool.values).filter(usable)})
    spelling = known.group_by("at").aggregate([("text", "min"), ("text", "max")])
    spelling = spelling.filter(pc.equal(spelling["text_min"], spelling["text_max"]))
    micros = stamps.astype("datetime64[us]")
    wanted = pa.array(micros.astype("int64"), mask=micros != stamps)
    places = pc.index_in(wanted, value_set=spelling["at"])
    return pc.coalesce(spelling["text_min"].combine_chunks().take(places), texts)


def _at_midnight(stamps: pa.Array) -> bool:
    floored = pc.floor_temporal(stamps, unit="day")
    return bool(pc.all(pc.equal(stamps, floored), min_count=0).as_py())


def _encode_category(values: Any, source: Source | None) -> Cells:
    categories = encode_column(values.categories.array, None)
    codes = pa.array(values.codes, mask=values.codes < 0)
    texts = categories.texts.take(codes)
    kept = None
    if categories.property is not None:
        kept = kept_property(source, read_property("", categories.property).kind)
    return Cells(texts, kept or categories.property, categories.not_finite, categories.strings)


def _encode_arrow(values: pa.Array | pa.ChunkedArray, source: Source | None) -> Cells:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    kind = values.type
    if pa.types.is_integer(kind):
        return _encode_integers(values, source)
    if pa.types.is_floating(kind):
        return _encode_floats(values.cast(pa.float64()).to_numpy(zero_copy_only=False), source)
    if pa.types.is_boolean(kind):
        return _encode_booleans(values, source)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _encode_text(values.cast(TEXT), source)
    if pa.types.is_decimal(kind):
        return encode_objects(values.to_pylist(), source)
    if pa.types.is_timestamp(kind):
        plain = values.cast(pa.timestamp(kind.unit)).to_numpy(zero_copy_only=False)
        return _encode_stamps(plain, source, aware=kind.tz is not None)
    if pa.types.is_date(kind):
        texts = quoted(values.cast(pa.date32()).cast(TEXT))
        return Cells(texts, kept_property(source, "date") or inferred("string", format="date"))
    return encode_objects(values.to_pylist(), source)
