"""Whether the records that a command wrote are those that it read, value by value."""

from __future__ import annotations

import json
import math
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d")


def first_difference(written: Path, messages: Path, *, exactly: bool) -> str:
    """What the first record that differs is, or nothing.

    Args:
        written: RECORD messages, or bare records; fields that are not in the input are left alone.
        messages: of the input.
        exactly: of the same JSON type and text, but for nested values, which a table may hold as JSON text;
            else only of the same meaning, see `plain`.
    """
    alike = _is_equal if exactly else _is_alike
    with written.open("rb") as found, messages.open("rb") as wanted:
        theirs = (one.get("record", one) for one in map(json.loads, found) if _has_record(one))
        ours = (one["record"] for one in map(json.loads, wanted) if one["type"] == "RECORD")
        for number, (record, source) in enumerate(zip(theirs, ours, strict=True), 1):
            for name, value in source.items():
                if name not in record:
                    return f"record {number} has no '{name}'"
                if not alike(record[name], value):
                    return f"record {number}, '{name}': wrote {record[name]!r}, not {value!r}"
    return ""


def plain(value: object) -> Any:
    """What a value means, whatever a tool's form of it: `"6"` is 6, NaN and NaT and an empty text are null.

    Texts that are numbers, booleans, date-times or JSON become those; date-times are those of UTC.
    """
    match value:
        case None | "" | "NaT":
            return None
        case bool():
            return value
        case int() | float():
            return None if math.isnan(value) else Decimal(repr(value))
        case dict():
            return {name: plain(one) for name, one in value.items()}
        case list():
            return [plain(one) for one in value]
        case str() if value in ("True", "False", "true", "false"):
            return value.lower() == "true"
        case str() if _NUMBER.fullmatch(value):
            return Decimal(value)
        case str() if value[0] in "[{":
            return plain(json.loads(value))
        case str() if _DATE_TIME.match(value):
            moment = datetime.fromisoformat(value)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return value


def _has_record(message: dict[str, Any]) -> bool:
    return message.get("type", "RECORD") == "RECORD"


def _is_equal(value: object, source: object) -> bool:
    if isinstance(source, dict | list) and isinstance(value, str):
        value = json.loads(value)
    return type(value) is type(source) and value == source


def _is_alike(value: object, source: object) -> bool:
    return bool(plain(value) == plain(source))
