"""The JSON Schema of a column of Parquet."""

from __future__ import annotations

from typing import Any

import pyarrow as pa


def property_of_arrow(kind: pa.DataType) -> dict[str, Any]:
    """The property of a column, nullable."""
    if pa.types.is_dictionary(kind):
        return property_of_arrow(kind.value_type)
    made = _property(kind)
    return {**made, "type": ["null", made["type"]]} if "type" in made else made


def _property(kind: pa.DataType) -> dict[str, Any]:
    if pa.types.is_integer(kind):
        return {"type": "integer"}
    if pa.types.is_floating(kind):
        return {"type": "number"}
    if pa.types.is_decimal(kind):
        if kind.scale <= 0:
            return {"type": "integer"}
        return {"type": "number", "multipleOf": float(f"1e-{kind.scale}")}
    if pa.types.is_boolean(kind):
        return {"type": "boolean"}
    if pa.types.is_timestamp(kind):
        return {"type": "string", "format": "date-time"}
    if pa.types.is_date(kind):
        return {"type": "string", "format": "date"}
    if pa.types.is_time(kind):
        return {"type": "string", "format": "time"}
    if pa.types.is_duration(kind):
        return {"type": "string", "format": "duration"}
    if pa.types.is_struct(kind):
        return {"type": "object"}
    if (
        pa.types.is_list(kind)
        or pa.types.is_large_list(kind)
        or pa.types.is_fixed_size_list(kind)
        or pa.types.is_map(kind)
    ):
        return {"type": "array", "items": {}}
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_fixed_size_binary(kind):
        return {"type": "string", "contentEncoding": "base64"}
    return {"type": "string"}
