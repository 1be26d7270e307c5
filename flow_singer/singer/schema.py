"""The one place where types are decided: a stream's SCHEMA to kinds, and kinds to dtypes and fields.

A *kind* is what Flow does with a property: how its values are carried, which dtype a frame shows, which
Table Schema type a package declares. It is a function of the SCHEMA alone, never of values, so that every
batch of a stream has the same columns.

Source: JSON Schema (drafts 4 to 2020-12) as taps write it; Table Schema, Data Package v2.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from flow_singer.errors import MessageError
from flow_singer.singer.digits import NO_DIGITS, Digits, digits_of
from flow_singer.singer.references import gather, resolve, type_of

Kind = Literal[
    "integer", "number", "decimal", "decimal-text", "boolean", "string", "date-time", "date", "json"
]


@dataclass(frozen=True)
class KindTraits:
    """What one kind means in JSON Schema, pandas and Table Schema; the docs print their table of types from this."""

    json_schema: str
    dtype: str
    field: str
    note: str


KINDS: dict[Kind, KindTraits] = {
    "integer": KindTraits(
        "integer", "Int64", "integer", "past 2^63: a column of Python integers (object) for that batch"
    ),
    "number": KindTraits("number", "float64", "number", "null is NaN; an unchanged cell keeps its digits"),
    "decimal": KindTraits(
        "number with a fractional multipleOf", "object (Decimal)", "number", "exact, any number of digits"
    ),
    "decimal-text": KindTraits(
        "string, format singer.decimal", "object (Decimal)", "number", "written as text again"
    ),
    "boolean": KindTraits("boolean", "boolean", "boolean", "nullable"),
    "string": KindTraits(
        "string; any other format", "str", "string", "time, duration, uuid and so on stay text"
    ),
    "date-time": KindTraits(
        "string, format date-time",
        "datetime64[us, UTC]",
        "datetime",
        "an unchanged cell keeps its text; a text that is no date-time shows as NaT and is counted",
    ),
    "date": KindTraits("string, format date", "datetime64[us]", "date", "midnight; as for date-time"),
    "json": KindTraits(
        "object, array, several types, none",
        "json",
        "object, array or any",
        "dicts and lists, as in a column of dtype object; decoded when first looked at",
    ),
}


@dataclass(frozen=True)
class Property:
    """One top-level property of a stream."""

    name: str
    kind: Kind
    json_schema: Mapping[str, Any]
    nullable: bool
    types: frozenset[str]
    """The JSON types it allows, without null; empty where any is allowed."""
    digits: Digits = NO_DIGITS
    """Of its numbers."""


class StreamSchema:
    """A stream's SCHEMA message, read once.

    Args:
        message: the decoded SCHEMA message.
        read: names of the properties whose values somebody reads, beside the key; None for all.

    Attributes:
        properties: those that are read.
        unread: the others, by name: their values stay JSON text, as those of keys that no SCHEMA declares.

    Raises:
        MessageError: it has no object in `schema`, or something else in its `properties`; `key_properties`
            is not a list of names; or a text in it has a lone surrogate.
    """

    def __init__(self, message: Mapping[str, Any], *, read: Collection[str] | None = None) -> None:
        self.stream: str = message["stream"]
        schema = message.get("schema")
        if not isinstance(schema, Mapping):
            raise MessageError(
                f"The SCHEMA of stream '{self.stream}' has no object in 'schema', but {_shown(schema)}.",
                _ASK,
            )
        try:
            json.dumps(message, ensure_ascii=False).encode()
        except (UnicodeEncodeError, RecursionError) as exc:
            raise MessageError(
                f"The SCHEMA of stream {self.stream!a} cannot be written again: {exc}.",
                "A lone surrogate is not Unicode, and no name or word of a SCHEMA can have one.",
            ) from exc
        self.message = message
        self.json_schema = schema
        self.key_properties = _names(message, "key_properties")
        self.bookmark_properties = _names(message, "bookmark_properties")
        root = resolve(schema, schema)
        properties = root.get("properties", {})
        if not isinstance(properties, Mapping):
            raise MessageError(
                f"The SCHEMA of stream '{self.stream}' has no object in 'properties', but {_shown(properties)}.",
                _ASK,
            )
        self.properties: dict[str, Property] = {}
        self.unread: dict[str, Property] = {}
        self.read = read
        wanted = None if read is None else {*read, *self.key_properties}
        for name, sub in properties.items():
            place = self.properties if wanted is None or name in wanted else self.unread
            place[name] = read_property(name, sub, schema)
        self.required: frozenset[str] = frozenset(required_names(root))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StreamSchema) and self.message == other.message

    __hash__ = None  # type: ignore[assignment]


_ASK = "Ask the tap's maintainer; Flow cannot type this stream's records."


def _shown(value: object) -> str:
    try:
        text = json.dumps(value)
    except RecursionError:
        return type_of(value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def required_names(root: Mapping[str, Any]) -> list[str]:
    """The names in `required`; drafts before 4 had a boolean there."""
    required = root.get("required")
    return [name for name in required if isinstance(name, str)] if isinstance(required, list | tuple) else []


def _names(message: Mapping[str, Any], key: str) -> list[str]:
    names = message.get(key)
    if names is None:
        return []
    if (
        not isinstance(names, Sequence)
        or isinstance(names, str)
        or not all(isinstance(n, str) for n in names)
    ):
        raise MessageError(
            f"The SCHEMA of stream '{message['stream']}' has {key} {names!r}, which is not a list of names.",
            _ASK,
        )
    return list(names)


def read_property(name: str, json_schema: object, root: Mapping[str, Any] | None = None) -> Property:
    """Decide the kind of one property.

    Args:
        name: the property's name.
        json_schema: its JSON Schema; anything but an object allows any value.
        root: the schema that local references point into.
    """
    verbatim = json_schema if isinstance(json_schema, Mapping) else {}
    types, formats, multiples = gather(verbatim, root or {})
    nullable = "null" in types or not types
    types.discard("null")
    if types == {"integer", "number"}:
        types = {"number"}
    kind = _kind(types, formats, multiples)
    digits = digits_of(verbatim, root or {}) if kind in _NUMBER_KINDS else NO_DIGITS
    return Property(name, kind, verbatim, nullable, frozenset(types), digits)


def _kind(types: set[str], formats: set[str | None], multiples: list[Any]) -> Kind:
    if len(types) != 1:
        return "json"
    (only,) = types
    match only:
        case "integer" | "boolean":
            return only
        case "number":
            return "decimal" if any(map(_is_fraction, multiples)) else "number"
        case "string":
            if formats in ({"date-time"}, {"date-time", "date"}):
                return "date-time"
            if formats == {"date"}:
                return "date"
            if formats == {"singer.decimal"}:
                return "decimal-text"
            return "string"
    return "json"


def _is_fraction(multiple: object) -> bool:
    try:
        return Decimal(str(multiple)) % 1 != 0
    except InvalidOperation:
        return False


_NUMBER_KINDS = frozenset({"integer", "number", "decimal", "decimal-text"})


# ---------------------------------------------------------------------------------- output properties


def inferred(types: str | Sequence[str], **keywords: Any) -> dict[str, Any]:
    """The property of a column that a function made: nullable, as nothing promises a value."""
    names = [types] if isinstance(types, str) else list(types)
    return {"type": ["null", *names], **keywords}


def without_null(json_schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same property, for a key: a key is never null."""
    declared = json_schema.get("type")
    if not isinstance(declared, list) or "null" not in declared:
        return dict(json_schema)
    rest = [name for name in declared if name != "null"]
    return {**json_schema, "type": rest[0] if len(rest) == 1 else rest}


def with_null(json_schema: Mapping[str, Any], root: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The same property, with null allowed.

    Args:
        json_schema: the property.
        root: the schema that its local references point into.
    """
    if read_property("", json_schema, root).nullable and not _forbids_null(json_schema):
        return dict(json_schema)
    declared = json_schema.get("type")
    plain = isinstance(declared, str | list) and not _COMPOUND & json_schema.keys()
    if not plain:
        return {"anyOf": [{"type": "null"}, dict(json_schema)]}
    names = [declared] if isinstance(declared, str) else [name for name in declared or () if name != "null"]
    made = {**json_schema, "type": ["null", *names]}
    if _forbids_null(json_schema):
        made["enum"] = [*json_schema["enum"], None]
    return made


_COMPOUND = frozenset({"$ref", "anyOf", "oneOf", "allOf", "not", "const", "if"})


def _is_null(json_schema: Mapping[str, Any], root: Mapping[str, Any] | None) -> bool:
    return gather(json_schema, root or {})[0] == {"null"}


def _forbids_null(json_schema: Mapping[str, Any]) -> bool:
    values = json_schema.get("enum")
    return (isinstance(values, list) and None not in values) or json_schema.get("const") is not None


def widen(
    old: Mapping[str, Any], new: Mapping[str, Any], root: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """A property that allows what either allows.

    null < integer < number; date < date-time; anything else side by side. Never narrower than `old`, so
    that rows already sent stay valid.

    Args:
        old: the property so far.
        new: the property that has to be allowed too.
        root: the schema that local references of both point into.
    """
    if new in (old, {}) or old == with_null(new, root):
        return dict(old) if new else {}
    first, second = read_property("", old, root), read_property("", new, root)
    nullable = first.nullable or second.nullable
    if _is_null(old, root):
        return with_null(new, root)
    if _is_null(new, root):
        return with_null(old, root)
    if not first.types or not second.types:
        return {}
    if first.kind == second.kind and first.types == second.types and _covers(old, new):
        return with_null(old, root) if nullable else dict(old)
    types = set(first.types | second.types)
    if {"integer", "number"} <= types:
        types.discard("integer")
    names = [*(["null"] if nullable else []), *sorted(types)]
    merged: dict[str, Any] = {"type": names if len(names) > 1 else names[0]}
    if first.kind == second.kind:
        merged |= {k: v for k, v in old.items() if k in _HARMLESS and new.get(k) == v}
    elif {first.kind, second.kind} == {"date", "date-time"}:
        merged["format"] = "date-time"
    if "array" in types:
        merged.setdefault("items", {})
    return merged


_HARMLESS = frozenset({"format", "title", "description", "items", "properties"})


def _covers(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `new` differs from `old` only in words and nullability."""
    ignored = {"title", "description"} | ({"type"} if "type" in old and "type" in new else set())
    return {k: v for k, v in old.items() if k not in ignored} == {
        k: v for k, v in new.items() if k not in ignored
    }
