"""Turn the text of a variable into the value that a setting takes."""

from __future__ import annotations

import ast
import json
from datetime import datetime
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.project.definitions import Setting
from flow_singer.project.masking import looks_secret
from flow_singer.project.variables import as_text, truthy

_NO = frozenset({"", "false", "0", "no", "off"})


def cast(setting: Setting, value: Any, plugin: str, source: str) -> Any:
    """Turn a text into the setting's kind; other values are what the file says (Meltano 4.4).

    Args:
        setting: its kind decides. Kind `json` is a value of one of several types: JSON where it is JSON.
        value: a text or what a file holds.
        plugin: whose setting it is, for the error.
        source: where the value comes from, for the error.

    Raises:
        ConfigError: the text does not read as that kind; for a boolean, unlike in Meltano, which takes every
            word it does not know for false.
    """

    def unfit(expected: str, hint: str | None = None) -> ConfigError:
        # what is to be an object or a list, and is broken, may hold a secret anywhere
        hidden = setting.sensitive or looks_secret(setting.name) or setting.kind in {"object", "array"}
        seen = "***" if hidden else str(value)[:60]
        message = f"Setting '{setting.name}' of {plugin} is '{seen}' ({source}), not {expected}."
        return ConfigError(message, hint or f"Give it {expected}.")

    if isinstance(value, str):
        if setting.kind == "boolean":
            if not truthy(value) and value.lower() not in _NO:
                raise unfit("true or false")
            value = truthy(value)
        elif setting.kind in {"integer", "decimal"}:
            try:
                value = int(value) if setting.kind == "integer" else _number(value)
            except ValueError:  # which is not chained: its text would show a secret
                raise unfit("an integer" if setting.kind == "integer" else "a number") from None
        elif setting.kind in {"object", "array"}:
            wanted, expected = (dict, "an object") if setting.kind == "object" else (list, "an array")
            value = _literal(value)
            if isinstance(value, tuple) and wanted is list:
                value = list(value)
            if not isinstance(value, wanted):
                raise unfit(f"{expected} written as JSON")
        elif setting.kind == "json":
            value = _literal(value)
        elif setting.kind == "date_iso8601" and value:
            try:
                datetime.fromisoformat(value)
            except ValueError:
                hint = "Relative dates such as '3 days ago' are not supported yet."
                raise unfit("an ISO 8601 date", hint) from None
    if setting.kind == "options" and value is not None and value not in setting.options:
        raise unfit(f"one of {', '.join(str(option) for option in setting.options)}")
    return value


def _number(text: str) -> int | float:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _literal(text: str) -> Any:
    """Read JSON, else a Python literal, else give the text back."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def process(processor: str, value: Any) -> Any:
    """Apply a definition's `value_processor` (Meltano 4.4); nesting is what always happens."""
    if processor == "upcase_string" and isinstance(value, str):
        return value.upper()
    return as_text(value) if processor == "stringify" else value
