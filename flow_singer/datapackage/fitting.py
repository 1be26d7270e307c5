"""Whether the values of a column are what its Table Schema type promises.

Taps declare formats that their values do not keep. A value is never changed to fit: the column's field
falls back to a type that promises less, and a notice says so.

Source: Table Schema, Data Package v2, "Field Types"; RFC 3339.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import text_bytes

_DATE = r"^\d{4}-\d\d-\d\d$"
_DATE_TIME = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):?[0-5]\d)?$"
_TIME = r"^([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?(Z|[+-]\d\d:\d\d)?$"
_DURATION = (
    r"^-?P(\d+W|(\d+Y)?(\d+M)?(\d+D)?(T(\d+H)?(\d+M)?(\d+(\.\d+)?S)?)?)$"  # at least one part: checked apart
)
_NUMBER = r"^[+-]?\d+(\.\d+)?([eE][+-]?\d+)?$"
_YEAR_ZERO = "0000-"


def fits(one: Property, field_type: str, column: Column) -> bool:
    """Whether every value of `column` is one of Table Schema type `field_type`."""
    values = column.values
    if values.null_count == len(values):
        return True
    match field_type:
        case "object" | "array":
            return _all(pc.starts_with(values, "{" if field_type == "object" else "["))
        case "number" if one.kind == "decimal-text":
            return not column.as_json and _all(pc.match_substring_regex(values, _NUMBER))
        case "time" | "duration" | "date" | "datetime":
            return not column.as_json and _fits_time(field_type, values)
    return True


def fallback(field_type: str) -> str:
    """The type of a column with values that are not of `field_type`."""
    return "any" if field_type in ("object", "array") else "string"


def _fits_time(field_type: str, values: pa.Array) -> bool:
    match field_type:
        case "time":
            return _all(pc.match_substring_regex(values, _TIME))
        case "duration":
            parts = pc.match_substring_regex(values, r"\d[YMWDHS]")
            return _all(pc.and_(parts, pc.match_substring_regex(values, _DURATION)))
        case "date":
            return (
                _all(pc.match_substring_regex(values, _DATE))
                and not _any(pc.starts_with(values, _YEAR_ZERO))
                and casts(values, pa.date32())
            )
    return (
        (_are_plain_stamps(values) or _all(pc.match_substring_regex(values, _DATE_TIME)))
        and not _any(pc.starts_with(values, _YEAR_ZERO))
        and _are_instants(values)
    )


def _are_plain_stamps(values: pa.Array) -> bool:
    """Whether all are of the form `2026-01-31T12:34:56Z`, which is known without a look at each by itself.

    Whether there are digits in the places of digits, `casts` finds out.
    """
    texts = values.drop_null()
    characters = np.frombuffer(text_bytes(texts), dtype="uint8")
    if len(characters) != len(texts) * len(_STAMP) or pc.min_max(pc.binary_length(texts)).as_py() != {
        "min": len(_STAMP),
        "max": len(_STAMP),
    }:
        return False
    table = characters.reshape(-1, len(_STAMP))
    return all((table[:, i] == ord(mark)).all() for i, mark in enumerate(_STAMP) if mark in "-T:Z")


_STAMP = "0000-00-00T00:00:00Z"


def _are_instants(values: pa.Array) -> bool:
    if casts(values, pa.timestamp("us", "UTC")):
        return True
    # Without a zone, or finer than a microsecond: what is left is checked without either.
    local = pc.replace_substring_regex(values, r"(\.\d+)?(Z|[+-]\d\d:?\d\d)?$", "")
    return casts(local, pa.timestamp("us"))


def casts(values: pa.Array, type_: pa.DataType) -> bool:
    """Whether every value can be read as `type_`."""
    try:
        values.cast(type_)
    except pa.ArrowInvalid:
        return False
    return True


def _all(mask: pa.Array) -> bool:
    return bool(pc.all(mask, min_count=0).as_py())


def _any(mask: pa.Array) -> bool:
    return bool(pc.any(mask, min_count=0).as_py())
