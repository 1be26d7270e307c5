"""Cells of text to the carriers of their property, by their Table Schema field.

Source: Table Schema, Data Package v1 and v2, "Field Types".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.reading.resourcedescription import Field
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT, quoted

_NUMBER = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"
_LOOSE_NUMBER = r"^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?$"
_LOOSE_INTEGER = r"^[+-]?\d+$"
_DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
_DATE_TIME = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-4]):[0-5]\d(:[0-6]\d([.,]\d+)?)?"
    r"(Z|[+-]\d\d:?\d\d)?$"
)
_TIME = r"^([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$"
_TRUE = ("true", "True", "TRUE", "1")
_FALSE = ("false", "False", "FALSE", "0")
_NOT_FINITE = ("nan", "inf", "-inf")
_ISO = ("default", "iso8601", "")


class Cells(NamedTuple):
    """The cells of a column.

    Attributes:
        column: the carrier; null where a cell is bad.
        bad: which cells are not of the field's type; None: none is.
    """

    column: Column
    bad: pa.Array | None = None


def own_cells(one: Property, texts: pa.Array, *, sure: bool) -> Cells:
    """Cells as Flow writes them: numbers with their digits, nested and mixed values as JSON.

    Args:
        one: the property.
        texts: n cells.
        sure: whether the file is known to be as Flow wrote it, so that no cell need be looked at.
    """
    match one.kind:
        case "integer":
            try:
                return Cells(Column(texts.cast(pa.int64()), as_json=False))
            except pa.ArrowInvalid:
                return _as_json(texts, _matches(texts, _NUMBER))
        case "number" | "decimal":
            return Cells(Column(texts, True)) if sure else _as_json(texts, _matches(texts, _NUMBER))
        case "boolean":
            return Cells(Column(texts.cast(pa.bool_()), False)) if sure else _booleans(texts, {})
        case "json":
            return Cells(Column(texts, True)) if sure else _as_json(texts, _are_json(texts))
    return Cells(Column(texts, as_json=False))


def field_cells(one: Property, described: Field, texts: pa.Array, *, sure: bool = False) -> Cells:
    """Cells as anybody writes them.

    Args:
        one: the property.
        described: its field.
        texts: n cells; those that stand for null are null.
        sure: whether the type was made from these very cells, so that they need not be looked at.
    """
    told = described.descriptor
    if sure and (found := _sure_cells(one, told, texts)) is not None:
        return found
    match told.get("type", "any"):
        case "integer" | "year":
            plain = _plain_number(texts, told)
            good = _matches(plain, _LOOSE_INTEGER)
            return _integers(pc.if_else(good, plain, None), _bad(good))
        case "number":
            return _numbers(one, _plain_number(texts, told))
        case "boolean":
            return _booleans(texts, told)
        case "date" | "datetime" | "time" as kind:
            return _times(kind, str(told.get("format") or "default"), texts)
        case "object" | "array" | "geojson":
            return _as_json(texts, _are_json(texts))
        case "list":
            return _lists(texts, str(told.get("delimiter") or ","))
    if one.kind == "json":
        return Cells(Column(quoted(texts), as_json=True))
    return Cells(Column(texts, as_json=False))


def _sure_cells(one: Property, told: Mapping[str, Any], texts: pa.Array) -> Cells | None:
    """Cells that are written as JSON writes them; None where it is not known that they are."""
    if told.keys() & {"groupChar", "decimalChar", "format"}:
        return None
    match told.get("type"):
        case "integer":
            try:
                return Cells(Column(texts.cast(pa.int64()), as_json=False))
            except pa.ArrowInvalid:
                return Cells(Column(texts, as_json=True))
        case "number" if one.kind == "number":
            return Cells(Column(texts, as_json=True))
        case "date" | "datetime" | "string":
            return Cells(Column(texts, as_json=False))
    return None


def nulled(texts: pa.Array, missing: Sequence[str]) -> pa.Array:
    """The texts, null where they stand for null."""
    if not missing:
        return texts
    if len(missing) == 1:
        found = pc.equal(texts, pa.scalar(missing[0], TEXT))
    else:
        found = pc.is_in(texts, value_set=pa.array(missing, TEXT))
    return pc.if_else(found, pa.scalar(None, TEXT), texts) if pc.any(found).as_py() else texts


# -------------------------------------------------------------------------------------------- numbers


def _plain_number(texts: pa.Array, told: Mapping[str, Any]) -> pa.Array:
    """Numbers without what may stand around and between their digits."""
    plain = pc.utf8_trim_whitespace(texts)
    if told.get("bareNumber") is False:
        plain = pc.replace_substring_regex(plain, r"^[^\d+\-.,]+", "")
        plain = pc.replace_substring_regex(plain, r"[^\d.,]+$", "")
    if group := told.get("groupChar"):
        plain = pc.replace_substring(plain, str(group), "")
    decimal = told.get("decimalChar")
    if decimal and decimal != ".":
        plain = pc.replace_substring(plain, ".", "\0")  # no point may be left that meant something else
        plain = pc.replace_substring(plain, str(decimal), ".")
    return plain


def _integers(plain: pa.Array, bad: pa.Array | None) -> Cells:
    bare = pc.replace_substring_regex(plain, r"^([+-]?)0+(\d)", r"\1\2")
    bare = pc.utf8_ltrim(bare, "+")
    try:
        return Cells(Column(bare.cast(pa.int64()), as_json=False), bad)
    except pa.ArrowInvalid:
        return Cells(Column(bare, as_json=True), bad)


def _numbers(one: Property, plain: pa.Array) -> Cells:
    strict = pc.fill_null(pc.match_substring_regex(plain, _NUMBER), True)
    if pc.all(strict, min_count=0).as_py():
        texts, bad = plain, None
    else:
        good = _matches(plain, _LOOSE_NUMBER)
        texts = pc.if_else(strict, plain, pc.if_else(good, _tidied(plain), None))
        bad = _bad(good)
    return Cells(Column(texts, as_json=one.kind != "decimal-text"), bad)


def _tidied(plain: pa.Array) -> pa.Array:
    """Numbers that JSON does not write so: `+1`, `007`, `.5`, `5.`."""
    texts = pc.utf8_ltrim(plain, "+")
    texts = pc.replace_substring_regex(texts, r"^(-?)0+(\d)", r"\1\2")
    texts = pc.replace_substring_regex(texts, r"^(-?)\.", r"\10.")  # RE2: group 1, then 0
    return pc.replace_substring_regex(texts, r"\.($|[eE])", r"\1")


def _booleans(texts: pa.Array, told: Mapping[str, Any]) -> Cells:
    trues = pa.array([str(one) for one in told.get("trueValues") or _TRUE], TEXT)
    falses = pa.array([str(one) for one in told.get("falseValues") or _FALSE], TEXT)
    true, false = pc.is_in(texts, value_set=trues), pc.is_in(texts, value_set=falses)
    known = pc.or_(true, false)
    values = pc.if_else(pc.and_(known, texts.is_valid()), true, pa.scalar(None, pa.bool_()))
    return Cells(Column(values, as_json=False), _bad(pc.or_(known, texts.is_null())))


# -------------------------------------------------------------------------------------------- time


def _times(kind: str, form: str, texts: pa.Array) -> Cells:
    if form == "any":
        return Cells(Column(texts, as_json=False))
    if form in _ISO:
        pattern = {"date": _DATE, "datetime": _DATE_TIME, "time": _TIME}[kind]
        good = _matches(texts, pattern)
        if kind != "time":
            good = pc.and_(good, _are_days(pc.utf8_slice_codeunits(pc.if_else(good, texts, None), 0, 10)))
        return Cells(Column(pc.if_else(good, texts, None), as_json=False), _bad(good))
    return _by_pattern(texts, form.removeprefix("fmt:"), _WRITERS[kind])


def _are_days(texts: pa.Array) -> pa.Array:
    """Which texts of the form `2026-01-31` are in the calendar; a null is."""
    try:
        texts.cast(pa.date32())
    except pa.ArrowInvalid:
        return pa.array([text is None or _is_day(text) for text in texts.to_pylist()], pa.bool_())
    return pa.array([True] * len(texts))


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


_WRITERS: dict[str, Callable[[datetime], str]] = {
    "date": lambda found: found.date().isoformat(),
    "datetime": datetime.isoformat,
    "time": lambda found: found.timetz().isoformat(),
}


def _by_pattern(texts: pa.Array, pattern: str, write: Callable[[datetime], str]) -> Cells:
    """Times in a form of `strptime`, in the standard form: each different text is read once, by the calendar."""
    distinct = pc.dictionary_encode(texts)
    made: list[str | None] = []
    for text in distinct.dictionary.to_pylist():
        try:
            made.append(write(datetime.strptime(text, pattern)))
        except ValueError:
            made.append(None)
    values = pa.array(made, TEXT).take(distinct.indices)
    good = pc.or_(values.is_valid(), texts.is_null())
    return Cells(Column(values, as_json=False), _bad(good))


# -------------------------------------------------------------------------------------------- JSON


def _lists(texts: pa.Array, delimiter: str) -> Cells:
    encode = msgspec.json.encode
    made = [None if text is None else encode(text.split(delimiter)).decode() for text in texts.to_pylist()]
    return Cells(Column(pa.array(made, TEXT), as_json=True))


def _are_json(texts: pa.Array) -> pa.Array:
    """Which cells are JSON; a null is."""
    present = texts.drop_null()
    joined = "[" + ",".join(present.to_pylist()) + "]"
    try:
        found = msgspec.json.decode(joined.encode(), type=list[msgspec.Raw])
        if len(found) == len(present):
            return pa.array([True] * len(texts))
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        pass
    return pa.array([text is None or _is_json(text) for text in texts.to_pylist()], pa.bool_())


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    return True


def _as_json(texts: pa.Array, good: pa.Array) -> Cells:
    bad = _bad(good)
    return Cells(Column(texts if bad is None else pc.if_else(good, texts, None), as_json=True), bad)


def _matches(texts: pa.Array, pattern: str) -> pa.Array:
    """Which texts match; a null does."""
    return pc.fill_null(pc.match_substring_regex(texts, pattern), True)


def _bad(good: pa.Array) -> pa.Array | None:
    return None if pc.all(good, min_count=0).as_py() else pc.invert(good)


def describes_not_finite(text: str) -> bool:
    """Whether a text is one of the numbers that JSON does not have."""
    return re.sub(r"inity$", "", text.strip().lower().lstrip("+")) in _NOT_FINITE
