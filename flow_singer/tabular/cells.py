"""A frame's column as JSON text, and the property that describes it.

Source of the rules: an output column keeps its input property where its values still fit it, otherwise its
dtype decides; a cell that did not change is written with the text it came with.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import TransformError
from flow_singer.schema import Kind, Property, inferred, read_property
from flow_singer.tabular.batch import Column, json_texts
from flow_singer.tabular.decode import decode_texts, encode_all
from flow_singer.tabular.frames import exact_integers, plain_array, source_texts, to_array
from flow_singer.tabular.nested import JsonArray
from flow_singer.tabular.objects import encode_each, is_missing
from flow_singer.tabular.text import TEXT, escaped, join, quoted


@dataclass(frozen=True)
class Cells:
    """One column, ready to be written.

    Attributes:
        texts: n JSON texts; null is null.
        property: what describes them; None where no cell has a value and the dtype tells nothing.
        not_finite: how many cells were infinite and are written as null, as JSON has no such number.
        assumed: whether no cell bears the property out, as all are null.
        strings: whether all are strings, in `texts` without the quotes around them: those are cheaper to
            add when lines are joined.
    """

    texts: pa.Array
    property: dict[str, Any] | None
    not_finite: int = 0
    strings: bool = False
    assumed: bool = False

    def to_json(self) -> pa.Array:
        """n JSON texts; null is null."""
        return join('"', self.texts, '"') if self.strings else self.texts


@dataclass(frozen=True)
class Source:
    """The input column of the same name.

    Attributes:
        property: its property in the input SCHEMA.
        column: its carrier, the n cells matched to the output's; None where nothing tells which is which.
        shown: what a frame showed of these n cells, where that is known.
        pool: its carrier with the cells of the whole batch, where nothing tells which is which.
    """

    property: Property
    column: Column | None
    shown: np.ndarray | None = None
    pool: Column | None = None

    def plain(self, column: Column) -> np.ndarray:
        """What a frame shows of dates or numbers: datetime64s in UTC, or floats."""
        if self.shown is not None:
            return self.shown
        shown = plain_array(to_array(self.property.kind, column))
        if shown is None:
            raise TypeError(f"a column of kind {self.property.kind} shows neither dates nor floats")
        return shown

    def cells_of(self, *kinds: Kind) -> Column | None:
        """The carrier, where the rows are matched and the kind is one of `kinds`."""
        return self.column if self.property.kind in kinds else None


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
        return _encode_nested(values, source)
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
        return _encode_objects(np.asarray(values, dtype=object).tolist(), source)
    raise TransformError(
        f"A column of dtype {dtype} has no JSON form.", "Convert it in the function, for example to text."
    )


# -------------------------------------------------------------------------------------- one per dtype


def _encode_integers(values: pa.Array, source: Source | None) -> Cells:
    texts = values.cast(TEXT)
    column = source.cells_of("integer") if source else None
    if column is not None and column.as_json:
        texts = _restore(texts, "integer", column, equal_integers(values, column))
    return Cells(texts, _kept(source, "integer", "number", "decimal", type="integer") or inferred("integer"))


def equal_integers(values: pa.Array, column: Column) -> pa.Array:
    """Where integers are those of a carrier."""
    before = to_array("integer", column)
    if before.dtype == object:
        same = [a == b for a, b in zip(values.to_pylist(), before, strict=True)]
        return pa.array(same, pa.bool_())
    return pc.equal(values, pa.array(before, pa.int64(), from_pandas=True))


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
        texts = _restore(float_texts(values, ~finite), "number", column, pa.array(same))
    else:
        texts = float_texts(values, ~finite)
    if bool(missing.all()) and (len(values) if source is None else source.property.kind != "number"):
        return Cells(texts, None)
    return Cells(texts, _kept(source, "number", type="number") or inferred("number"), not_finite)


def _same_as_floats(values: np.ndarray, column: Column | None) -> np.ndarray:
    """Where floats are what pandas makes of the integers of a column, also of those that no float holds."""
    if column is None:
        return np.zeros(len(values), dtype=bool)
    before = pd.array(to_array("integer", column)).to_numpy("float64", na_value=np.nan)
    return np.asarray(before == values)


def float_texts(values: np.ndarray, mask: np.ndarray) -> pa.Array:
    """The shortest texts that read back as the same floats; whole numbers keep a fraction (`5.0`)."""
    texts = pa.array(values, mask=mask).cast(TEXT)
    plain = np.abs(values) < 1e10
    whole = plain & (np.trunc(np.where(plain, values, 0.5)) == values)
    if whole.any():
        texts = pc.if_else(pa.array(whole), join(texts, ".0"), texts)
    return texts


def _encode_booleans(values: pa.Array, source: Source | None) -> Cells:
    return Cells(values.cast(TEXT), _kept(source, "boolean", type="boolean") or inferred("boolean"))


def arrow_text(values: Any) -> pa.Array:
    """A column of strings as one Arrow array."""
    texts = pa.array(values, from_pandas=True)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.chunk(0) if texts.num_chunks else pa.array([], TEXT)
    return texts if texts.type == TEXT else texts.cast(TEXT)


def _encode_text(texts: pa.Array, source: Source | None) -> Cells:
    kept = _kept(source, "string", type="string")
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
        texts = _restore(texts, source.property.kind, column, pa.array(same))
    elif source and source.pool is not None and (is_date or (aware and kind == "date-time")):
        texts = _spelt(texts, stamps, source)
    if kind == "date-time" and aware:
        return Cells(texts, _kept(source, "date-time"))
    if is_date:
        return Cells(texts, _kept(source, "date"))
    return Cells(texts, inferred("string", format="date-time"))


def _spelt(texts: pa.Array, stamps: np.ndarray, source: Source) -> pa.Array:
    """Texts of rows that cannot be told, as the records of the batch write them: `+02:00` for an instant that came so."""
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
        kept = _kept(source, read_property("", categories.property).kind)
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
        return _encode_objects(values.to_pylist(), source)
    if pa.types.is_timestamp(kind):
        plain = values.cast(pa.timestamp(kind.unit)).to_numpy(zero_copy_only=False)
        return _encode_stamps(plain, source, aware=kind.tz is not None)
    if pa.types.is_date(kind):
        texts = quoted(values.cast(pa.date32()).cast(TEXT))
        return Cells(texts, _kept(source, "date") or inferred("string", format="date"))
    return _encode_objects(values.to_pylist(), source)


def _encode_nested(values: JsonArray, source: Source | None) -> Cells:
    """Nested values leave as the text they came with, but for those that were changed, also inside."""
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
            if source is None or not _fits(source.property, types, formats):
                return Cells(texts, _inferred(types, formats) if types else None)
        elif column is not None:
            texts = _respelt(texts, column.values)
    if source is not None and source.property.kind == "json":
        return Cells(texts, dict(source.property.json_schema))
    types = _types_of(texts)
    return Cells(texts, _inferred(types, {None}) if types else None)


def _respelt(texts: pa.Array, before: pa.Array) -> pa.Array:
    """Values that pandas made a column anew of, as they came where they still say the same: `1.50` inside."""
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


def _encode_objects(cells: list[Any], source: Source | None) -> Cells:
    if source is not None and source.property.kind == "date" and all(map(_is_no_time, cells)):
        cells = [cell.date() if _is_stamp(cell) else cell for cell in cells]
    encoded, types, formats = encode_each(cells)
    texts = pa.array(encoded, TEXT)
    if source is None:
        if not types:
            return Cells(texts, None)
        return Cells(texts, _inferred(types, formats))
    kind = source.property.kind
    if kind == "decimal-text" and types <= _OF_DECIMAL_TEXT:
        texts = pc.if_else(pc.starts_with(texts, '"'), texts, join('"', texts, '"'))
    column = source.column
    if column is not None and source_texts(kind, column) is not None:
        texts = _restore(texts, kind, column, _same_objects(texts, cells, kind, column))
    if _fits(source.property, types, formats):
        return Cells(texts, dict(source.property.json_schema))
    return Cells(texts, _inferred(types, formats))


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


def _fits(one: Property, types: set[str], formats: set[str | None]) -> bool:
    match one.kind:
        case "json":
            return not one.types or types <= one.types or (types == {"integer"} and "number" in one.types)
        case "decimal" | "number" | "decimal-text":
            return types <= (_OF_DECIMAL_TEXT if one.kind == "decimal-text" else {"integer", "number"})
        case "integer" | "boolean":
            return types <= {one.kind}
        case "date-time" | "date":
            return types <= {"string"} and formats <= {one.kind, None}
    return types <= {"string"}


_OF_DECIMAL_TEXT = frozenset({"integer", "number", "string"})  # `n/a` stays a text beside Decimals


def _inferred(types: set[str], formats: set[str | None]) -> dict[str, Any]:
    names = sorted(types - {"integer"} if "number" in types else types)
    keywords: dict[str, Any] = {}
    if types == {"string"} and len(formats) == 1 and None not in formats:
        keywords["format"] = next(iter(formats))
    if "array" in types:
        keywords["items"] = {}
    return inferred(names, **keywords)


# --------------------------------------------------------------------------------------------- source


def _kept(source: Source | None, *kinds: Kind, type: str | None = None) -> dict[str, Any] | None:
    """The input property, where its kind is one of `kinds`, or it allows several types and `type` among them."""
    if source is None:
        return None
    one = source.property
    if one.kind in kinds or (type and one.kind == "json" and _fits(one, {type}, {None})):
        return dict(one.json_schema)
    return None


def _restore(texts: pa.Array, kind: Kind, column: Column, same: pa.Array) -> pa.Array:
    before = source_texts(kind, column)
    return texts if before is None else pc.if_else(same.fill_null(False), before, texts)


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
    if one is not None and _fits(one, types, formats):
        return Cells(texts, dict(one.json_schema), assumed=not types)
    return Cells(texts, _inferred(types, formats) if types else None)


def _are_whole(texts: pa.Array) -> bool:
    """Whether every number among JSON texts is an integer, however it is written: `1.0`, `1e3`."""
    numbers = map(Decimal, texts.filter(pc.match_substring_regex(texts, r"^-?\d")).to_pylist())
    return all(number == number.to_integral_value() for number in numbers)
