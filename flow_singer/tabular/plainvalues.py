"""Python objects in a column as JSON text: dicts, lists, dates, Decimals, and what numpy and pandas make of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from math import isnan
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from flow_singer.errors import TransformError
from flow_singer.tabular.jsonvalues import WrittenFloat
from flow_singer.wording import type_name


def encode_each(cells: Sequence[Any]) -> tuple[list[str | None], set[str], set[str | None]]:
    """JSON text of each object, and the JSON types and string formats met."""
    kinds = set(map(type, cells))
    if kinds <= _CONTAINERS:
        types = {_CONTAINER_TYPES[kind] for kind in kinds if kind is not type(None)}
        return [None if cell is None else _encode(cell) for cell in cells], types, set()
    encoded: list[str | None] = []
    types = set()
    formats: set[str | None] = set()
    for cell in cells:
        plain = plain_value(cell)
        if plain is None:
            encoded.append(None)
            continue
        kind, fmt = _describe(plain)
        types.add(kind)
        if kind == "string":
            formats.add(fmt)
        encoded.append(_encode(plain))
    return encoded, types, formats


_CONTAINER_TYPES: dict[type, str] = {dict: "object", list: "array"}
_CONTAINERS = {dict, list, type(None)}


def _describe(value: object) -> tuple[str, str | None]:
    match value:
        case bool():
            return "boolean", None
        case int():
            return "integer", None
        case float() | Decimal():
            return "number", None
        case datetime():
            return "string", "date-time"
        case date():
            return "string", "date"
        case time():
            return "string", "time"
        case timedelta():
            return "string", "duration"
        case dict():
            return "object", None
        case list() | tuple() | set() | frozenset():
            return "array", None
    return "string", None


def is_missing(cell: object) -> bool:
    """Whether a cell is one of the missing values of Python, NumPy and pandas."""
    return cell is None or cell is pd.NA or cell is pd.NaT or (isinstance(cell, float) and isnan(cell))


def plain_value(cell: Any) -> Any:
    """A cell as a value of the standard library; every kind of missing value becomes None.

    Raises:
        TransformError: a value that has no JSON form.
    """
    if isinstance(cell, str | dict | list | bool | int) or cell is None:
        return cell
    if isinstance(cell, float):
        return cell if np.isfinite(cell) else None
    if isinstance(cell, Decimal):
        return cell if cell.is_finite() else None
    if cell is pd.NaT or cell is pd.NA:
        return None
    if isinstance(cell, np.ndarray):
        return cell.tolist()
    if isinstance(cell, np.datetime64):  # `.item()` makes an integer of nanoseconds
        return plain_value(pd.Timestamp(cell))
    if isinstance(cell, np.timedelta64):
        return plain_value(pd.Timedelta(cell))
    if isinstance(cell, np.generic):
        return plain_value(cell.item())
    if isinstance(cell, pd.Timedelta):
        return cell.to_pytimedelta()
    if isinstance(cell, pd.Period | pd.Interval):
        return str(cell)
    if isinstance(cell, date | time | timedelta | tuple | set | frozenset):
        return cell
    if isinstance(cell, bytes):
        raise TransformError("A cell holds bytes, which have no JSON form.", "Decode them in the function.")
    if hasattr(cell, "hex") and hasattr(cell, "int"):
        return str(cell)  # uuid.UUID
    raise TransformError(
        f"A cell holds a value of type {type_name(cell)}, which has no JSON form.",
        "Return text, numbers, booleans, dates, lists or dicts.",
    )


def json_hook(value: Any) -> Any:
    """For `msgspec.json.Encoder(enc_hook=...)`: what it does not know, as something that it knows."""
    if isinstance(value, WrittenFloat):
        return msgspec.Raw(value.text.encode("ascii"))
    if isinstance(value, float):  # of numpy
        return float(value)
    plain = plain_value(value)
    if isinstance(plain, datetime):  # of pandas
        return _utc_text(plain)
    if plain is value:
        raise TransformError(
            f"A cell holds a value of type {type_name(value)}, which has no JSON form.",
            "Return text, numbers, booleans, dates, lists or dicts.",
        )
    return plain


_encoder = msgspec.json.Encoder(enc_hook=json_hook, decimal_format="number")


def _encode(value: Any) -> str:
    """JSON text of a plain value."""
    try:
        return _text(value)
    except RecursionError:
        raise TransformError(
            "A cell is nested too deep to be written.", "Leave some of it out in the function."
        ) from None


def _text(value: Any) -> str:
    if isinstance(value, WrittenFloat):
        return value.text
    if isinstance(value, Decimal):
        return str(value) if value.is_finite() else "null"
    if isinstance(value, datetime):
        return f'"{_utc_text(value)}"'
    try:
        text = _encoder.encode(value).decode()
    except (UnicodeEncodeError, OverflowError):  # lone surrogates; integers past 64 bits
        return _text_of_parts(value)
    if not isinstance(value, str) and ("NaN" in text or "Infinity" in text):
        return _text_of_parts(value)  # Decimals of no number are written as they are, which is not JSON
    return text


def _text_of_parts(value: Any) -> str:
    """Encode what is inside one by one, so that each goes the way that it needs."""
    match value:
        case dict():
            pairs = (f"{_text_of_key(key)}:{_text(one)}" for key, one in value.items())
            return "{" + ",".join(pairs) + "}"
        case list() | tuple() | set() | frozenset():
            return "[" + ",".join(map(_text, value)) + "]"
    return json.dumps(value, default=json_hook)


def _text_of_key(key: Any) -> str:
    return _text(key) if isinstance(key, str) else _encoder.encode({key: 0}).decode()[1:-3]


def _utc_text(value: datetime) -> str:
    text = value.isoformat()
    return text[:-6] + "Z" if text.endswith("+00:00") else text
