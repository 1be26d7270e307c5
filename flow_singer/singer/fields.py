"""Properties (JSON Schema) to Table Schema fields and back.

Source: Data Package v2, Table Schema; its published profile where prose and profile disagree.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flow_singer.errors import TransformError
from flow_singer.singer.schema import Property

_TO_JSON_SCHEMA: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "boolean": {"type": "boolean"},
    "date": {"type": "string", "format": "date"},
    "datetime": {"type": "string", "format": "date-time"},
    "time": {"type": "string", "format": "time"},
    "duration": {"type": "string", "format": "duration"},
    "year": {"type": "integer"},
    "yearmonth": {"type": "string"},
    "geopoint": {"type": "string"},
    "geojson": {"type": "object"},
    "object": {"type": "object"},
    "array": {"type": "array", "items": {}},
    "list": {"type": "array", "items": {}},
    "any": {},
}
_FORMATS = {"email": "email", "uri": "uri", "uuid": "uuid"}
_SHARED_CONSTRAINTS = ("minLength", "maxLength", "minimum", "maximum", "pattern")


def properties_from_table_schema(descriptor: Mapping[str, Any]) -> tuple[dict[str, Any], list[str] | None]:
    """Read a Table Schema descriptor.

    Returns:
        The JSON Schema property of each field, in order, and the primary key (None where it names none).

    Raises:
        TransformError: a field without a name or of an unknown type.
    """
    key = descriptor.get("primaryKey")
    keys = [key] if isinstance(key, str) else None if key is None else list(key)
    properties = {}
    for one in descriptor["fields"]:
        name, kind = one.get("name"), one.get("type", "any")
        if not name or kind not in _TO_JSON_SCHEMA:
            raise TransformError(
                f"The Table Schema has a field {dict(one)!r} that Flow cannot read.",
                f"Give it a name and one of the types {', '.join(_TO_JSON_SCHEMA)}.",
            )
        properties[name] = _property(one, kind, nullable=name not in (keys or ()))
    return properties, keys


def _property(one: Mapping[str, Any], kind: str, *, nullable: bool) -> dict[str, Any]:
    verbatim = one.get("flow:jsonSchema")
    if isinstance(verbatim, Mapping):
        return dict(verbatim)
    made = dict(_TO_JSON_SCHEMA[kind])
    if kind == "string" and one.get("format") in _FORMATS:
        made["format"] = _FORMATS[one["format"]]
    constraints = one.get("constraints") or {}
    for name in _SHARED_CONSTRAINTS:
        if name in constraints and isinstance(constraints[name], int | float | str):
            made[name] = constraints[name]
    nullable = nullable and not constraints.get("required")
    if "enum" in constraints:
        made["enum"] = [*constraints["enum"], *([None] if nullable else [])]
    if nullable and "type" in made:
        made["type"] = ["null", made["type"]]
    for word in ("title", "description"):
        if word in one:
            made[word] = one[word]
    return made


_FIELD_TYPES = {
    "integer": "integer",
    "number": "number",
    "decimal": "number",
    "decimal-text": "number",
    "boolean": "boolean",
    "date-time": "datetime",
    "date": "date",
}
_STRING_TYPES = {"time": "time", "duration": "duration"}


def field_of(one: Property, *, required: bool) -> dict[str, Any]:
    """The Table Schema field of a property.

    Args:
        one: the property.
        required: whether its cells may not be missing: it is a key, or it is required and not nullable.
    """
    schema = one.json_schema
    kind = _FIELD_TYPES.get(one.kind) or _other_type(one)
    made: dict[str, Any] = {"name": one.name, "type": kind}
    for word in ("title", "description"):
        if isinstance(schema.get(word), str):
            made[word] = schema[word]
    constraints = _constraints(one, kind)
    if required:
        constraints["required"] = True
    if constraints:
        made["constraints"] = constraints
    made["flow:jsonSchema"] = dict(schema)
    return made


def _other_type(one: Property) -> str:
    if one.kind == "string":
        return _STRING_TYPES.get(str(one.json_schema.get("format")), "string")
    if len(one.types) == 1:
        (only,) = one.types
        if only in ("object", "array"):
            return only
    return "any"


def _constraints(one: Property, kind: str) -> dict[str, Any]:
    schema = one.json_schema
    made: dict[str, Any] = {}
    if kind in ("integer", "number"):
        for name in ("minimum", "maximum"):
            bound = schema.get(name)
            if isinstance(bound, int) and not isinstance(bound, bool):
                made[name] = bound
    if kind == "string":
        for name in ("minLength", "maxLength"):
            length = schema.get(name)
            if isinstance(length, int) and not isinstance(length, bool) and length >= 0:
                made[name] = length
        pattern = schema.get("pattern")
        if (
            isinstance(pattern, str)
            and pattern.startswith("^")
            and pattern.endswith("$")
            and _compiles(pattern)
        ):
            made["pattern"] = pattern
    values = schema.get("enum")
    if isinstance(values, list) and kind in ("string", "integer"):
        present = [value for value in values if value is not None]
        if present and {type(value) for value in present} == {str if kind == "string" else int}:
            made["enum"] = list(dict.fromkeys(present))
    return made


def _compiles(pattern: str) -> bool:
    try:
        re.compile(pattern)
    except re.error:
        return False
    return True
