"""Which Parquet type a property gets: by its SCHEMA alone, so that the files of two days are of one type.

Each property has a short list of types. The first one is what the SCHEMA says, also in a file without a value. The
next ones are wider in some way; they are taken only where a value does not fit, and a notice says so. The list does
not depend on the values, so that two files whose values do not fit get the same wider type.

- integer: int64; `decimal128(38, 0)`, and that at once where the bounds go past 2^63; text
- number: double; `decimal128(38, 18)` where a double would lose digits; text
- decimal (`multipleOf`): `decimal128(38, s)`, where s is the digits of `multipleOf`, as long as the digits
  that the bounds allow (10 where there are none) have room before the point, else 18 at most;
  `decimal128(38, 18)`; text
- decimal (`singer.decimal`): likewise; s is 18 where nothing is said
- boolean: bool; text
- date-time: timestamp in microseconds, UTC (the instant stays, an offset goes); the same without a zone where
  no value has one; text
- date: date32; text
- nested and mixed values: JSON as text

38 digits, as no common reader of Parquet knows more.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pyarrow as pa

from flow_singer import __version__
from flow_singer.singer.digits import Digits
from flow_singer.singer.schema import Property
from flow_singer.tabular.textarrays import TEXT

DECIMAL_DIGITS = 38
_DEFAULT_SCALE = 18
_DEFAULT_INTEGER_DIGITS = 10


class ParquetType(NamedTuple):
    """A type that a column may have, and how its values are looked at."""

    name: str
    type: pa.DataType


_TEXT = ParquetType("string", TEXT)
_JSON = ParquetType("json", TEXT)
_INT64 = ParquetType("int64", pa.int64())
_DOUBLE = ParquetType("double", pa.float64())
_BOOL = ParquetType("bool", pa.bool_())
_INSTANT = ParquetType("instant", pa.timestamp("us", "UTC"))
_LOCAL = ParquetType("local", pa.timestamp("us"))
_DATE = ParquetType("date", pa.date32())


def parquet_types(one: Property) -> list[ParquetType]:
    """What a column of this property can be: the first type that holds every value."""
    match one.kind:
        case "integer":
            return [*([] if one.digits.past_int64 else [_INT64]), _decimal(0), _TEXT]
        case "number":
            return [_DOUBLE, _decimal(_DEFAULT_SCALE), _TEXT]
        case "decimal" | "decimal-text":
            scale = _scale(one.digits)
            wider = [] if scale == _DEFAULT_SCALE else [_decimal(_DEFAULT_SCALE)]
            return [_decimal(scale), *wider, _TEXT]
        case "boolean":
            return [_BOOL, _TEXT]
        case "date-time":
            return [_INSTANT, _LOCAL, _TEXT]
        case "date":
            return [_DATE, _TEXT]
        case "string":
            return [_TEXT]
        case "json":
            return [_JSON]


def for_pandas(schema: pa.Schema) -> pa.Schema:
    """The schema, saying of which dtypes a frame is made, which readers without pandas pass over.

    Unless a file says so, pandas, and whoever reads through it, makes floats of integers beside a null: one past
    2^53 changes.

    Source: pandas, "Storing pandas DataFrame objects in Apache Parquet format".
    """
    said = {
        "index_columns": [],
        "column_indexes": [],
        "columns": [_column_for_pandas(one) for one in schema],
        "creator": {"library": "flow-singer", "version": __version__},
        "pandas_version": "2.3.1",  # whose form it is
    }
    return schema.with_metadata({b"pandas": json.dumps(said).encode()})


def _column_for_pandas(one: pa.Field) -> dict[str, Any]:
    kind, dtype, more = "unicode", "object", None
    if one.type == pa.int64():
        kind, dtype = "int64", "Int64"
    elif one.type == pa.bool_():
        kind, dtype = "bool", "boolean"
    elif one.type == pa.float64():
        kind, dtype = "float64", "float64"
    elif one.type == pa.date32():
        kind = "date"
    elif pa.types.is_timestamp(one.type):
        kind, dtype = ("datetimetz", "datetime64[us]") if one.type.tz else ("datetime", "datetime64[us]")
        more = {"timezone": one.type.tz} if one.type.tz else None
    elif pa.types.is_decimal(one.type):
        kind, more = "decimal", {"precision": one.type.precision, "scale": one.type.scale}
    names = {"name": one.name, "field_name": one.name}
    return {**names, "pandas_type": kind, "numpy_type": dtype, "metadata": more}


def _decimal(scale: int) -> ParquetType:
    return ParquetType("decimal", pa.decimal128(DECIMAL_DIGITS, scale))


def _scale(digits: Digits) -> int:
    if digits.fraction is None:
        return _DEFAULT_SCALE
    before = _DEFAULT_INTEGER_DIGITS if digits.integer is None else digits.integer
    if digits.fraction + before <= DECIMAL_DIGITS:
        return digits.fraction
    return min(digits.fraction, _DEFAULT_SCALE)
