"""JSON texts to Python values and back, a column at a time, with no digit lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from math import isinf
from typing import Any, Self

import msgspec
import numpy as np
import pyarrow as pa


def decode_texts(texts: pa.Array) -> list[Any]:
    """Decode a column of JSON texts at once; null cells become None.

    Integers are exact; a float that has more digits than a float64 holds becomes a Decimal.
    """
    joined = "[" + ",".join(texts.fill_null("null").to_pylist()) + "]"
    try:
        return _decoder.decode(joined)
    except (msgspec.DecodeError, UnicodeEncodeError):
        decoded: list[Any] = json.loads(joined, parse_float=exact_float)
        return decoded


def exact_float(text: str) -> float | Decimal:
    """A float where it holds the digits of `text`, else a Decimal.

    Raises:
        ValueError: neither holds it, as its exponent has some twenty digits.
    """
    value = float(text)
    if len(text) < 17 and not isinf(value):
        return value
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"{text[:40]} is a number that no type holds") from None
    return value if exact == Decimal(repr(value)) else exact


class WrittenFloat(float):
    """A float that is written again with the digits it was read from; arithmetic with it gives plain floats."""

    __slots__ = ("text",)

    def __new__(cls, text: str) -> Self:
        """Read a JSON number."""
        value = super().__new__(cls, text)
        value.text = text
        return value

    text: str


def written_float(text: str) -> float | Decimal:
    """Like [`exact_float`][flow_singer.tabular.jsonvalues.exact_float], but `1.50` is written as `1.50` again."""
    value = float(text)
    if repr(value) == text:
        return value
    exact = exact_float(text)
    return exact if isinstance(exact, Decimal) else WrittenFloat(text)


_decoder: msgspec.json.Decoder[list[Any]] = msgspec.json.Decoder(list[Any], float_hook=exact_float)


def encode_all(cells: list[Any]) -> bytes:
    """JSON of many decoded values at once, to tell whether any of them has changed; b"" where one has no JSON form."""
    try:
        return _encoder.encode(cells)
    except (TypeError, UnicodeEncodeError, OverflowError, ValueError):
        return b""


_encoder = msgspec.json.Encoder(decimal_format="number")


def object_array(cells: Sequence[Any]) -> np.ndarray:
    """A one-dimensional object array, whatever the cells are."""
    array = np.empty(len(cells), dtype=object)
    array[:] = cells
    return array
