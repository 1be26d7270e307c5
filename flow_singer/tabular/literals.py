"""JSON as the standard library reads it, with the text of its numbers kept: for lines that the fast reader refuses."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any


class NumberText(str):
    """A JSON number as written."""

    __slots__ = ()


class NotANumber(str):
    """NaN, Infinity or -Infinity."""

    __slots__ = ()


class IntegerText(str):
    """An integer written with a fraction or an exponent, such as 1.0 or 1e3."""

    __slots__ = ()

    def __new__(cls, text: str) -> IntegerText:
        """Take a text; `ValueError` where it is no integer."""
        value = Decimal(text)  # a float would round it first
        if value.adjusted() >= INTEGER_DIGITS or value != value.to_integral_value():
            raise ValueError(text)
        return super().__new__(cls, text)


INTEGER_DIGITS = 4300
"""An integer has at most so many digits, as Python itself reads no more; `1e999999999` would fill the memory."""


def dump(value: Any) -> str:
    """JSON text of a value whose numbers are `NumberText`."""
    match value:
        case NotANumber():
            raise TypeError(f"{value} is not JSON")
        case NumberText():
            return str(value)
        case dict():
            return "{" + ",".join(f"{json.dumps(k)}:{dump(v)}" for k, v in value.items()) + "}"
        case list():
            return "[" + ",".join(map(dump, value)) + "]"
    return json.dumps(value)


def json_type(value: object) -> str:
    """What JSON calls the type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case NumberText():
            return "number"
        case str():
            return "string"
        case dict():
            return "object"
    return "array"
