"""The SCHEMA of an output stream: it only ever widens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from flow_singer.errors import TransformError
from flow_singer.singer.references import resolve
from flow_singer.singer.schema import (
    Property,
    StreamSchema,
    inferred,
    read_property,
    required_names,
    widen,
    with_null,
    without_null,
)


class OutputSchema:
    """What the columns of an output stream are known to be.

    Args:
        name: the stream's name in the messages.
        key: key properties the user named; None keeps the input's.
        declared: properties that the user declared; they win over what is copied or inferred.

    Attributes:
        properties: JSON Schema of each column that has had a value, in the order in which they came.
    """

    def __init__(self, name: str, key: Sequence[str] | None, declared: Mapping[str, Any] | None) -> None:
        self.name = name
        self.properties: dict[str, dict[str, Any]] = {}
        self._key = None if key is None else list(key)
        self._declared: dict[str, Any] = dict(declared or {})
        self._valueless: dict[str, None] = {}
        self._assumed: set[str] = set()
        """Columns that have only had nulls: what is said of them is only assumed."""
        self._inputs: dict[str, StreamSchema] = {}
        self._read: dict[str, tuple[dict[str, Any], Property]] = {}
        self._came: dict[str, None] = {}
        """Names in the order of the SCHEMAs, where a function does not see all of a stream."""
        self._lacking: set[str] = set()
        """Columns whose key some record lacks."""

    def declare(self, properties: Mapping[str, Any], key: Sequence[str] | None) -> None:
        """Take a schema that a function returned beside its data."""
        self._declared.update(properties)
        if key and self._key is None:
            self._key = list(key)

    def add_input(self, schema: StreamSchema) -> None:
        """Take the SCHEMA of a stream that rows come from."""
        self._inputs[schema.stream] = schema
        if schema.unread:
            self._came.update(dict.fromkeys(self._root.get("properties") or {}))

    def has_input(self, schema: StreamSchema) -> bool:
        """Whether this very SCHEMA was taken last for its stream."""
        return self._inputs.get(schema.stream) is schema

    def is_unread(self, name: str) -> bool:
        """Whether this is a property that the function does not see."""
        return any(name in schema.unread for schema in self._inputs.values())

    def lack(self, names: Iterable[str]) -> None:
        """Note that some record has no such key."""
        self._lacking.update(names)

    def settle(self) -> bool:
        """Make columns that never had a value nullable text; whether there were any."""
        pending = [name for name in self._valueless if name not in self.properties]
        for name in pending:
            self.properties[name] = inferred("string")
        self._valueless.clear()
        return bool(pending)

    def known(self, name: str) -> Property | None:
        """What a column has been so far, or is declared to be; None where nothing tells."""
        one = self._declared.get(name, None if name in self._assumed else self.properties.get(name))
        if one is None:
            return None
        before, read = self._read.get(name, (None, None))
        if before != one or read is None:
            read = read_property(name, one, self._root)
            self._read[name] = one, read
        return read

    def learn(self, name: str, found: dict[str, Any] | None, *, assumed: bool = False) -> None:
        """Take the property that describes a column's values; None where it has none.

        Args:
            name: the column.
            found: the property.
            assumed: whether the column has no values, so that another property may describe later ones.
        """
        known = self.properties.get(name)
        if name in self._declared:
            self.properties[name] = self._declared[name]
        elif assumed and known is not None:
            return
        elif name in self._assumed and found is not None:
            self._assumed.discard(name)
            if known != found:
                self.properties[name] = with_null(found, self._root)
        elif assumed and found is not None:
            self._assumed.add(name)
            self.properties[name] = found
        elif found is None:
            if known is None:
                self._valueless[name] = None
        elif known is None:
            self.properties[name] = found
        elif known != found:
            self.properties[name] = widen(known, found, self._root)

    def allow_null(self, name: str) -> None:
        """Note that a column has nulls.

        Raises:
            TransformError: it was declared to have none.
        """
        if name not in self.properties:
            return
        if name in self._declared:
            if not read_property(name, self._declared[name], self._root).nullable:
                raise TransformError(
                    f"stream '{self.name}', column '{name}' is null in a row, but declared to be required.",
                    "Fill it in the function, or declare it without 'required'.",
                )
            return
        self.properties[name] = with_null(self.properties[name], self._root)

    @property
    def _root(self) -> dict[str, Any]:
        """The schema around the properties: the input's; of several inputs only what references point to."""
        if len(self._inputs) == 1:
            (only,) = self._inputs.values()
            return dict(resolve(only.json_schema, only.json_schema))
        root: dict[str, Any] = {"type": "object"}
        for schema in self._inputs.values():
            for word in ("definitions", "$defs"):
                if isinstance(found := schema.json_schema.get(word), Mapping):
                    root[word] = {**found, **root.get(word, {})}
        return root

    @property
    def key_properties(self) -> list[str]:
        """The key of the output."""
        if self._key is not None:
            return self._key
        return next((schema.key_properties for schema in self._inputs.values()), [])

    def message(self) -> dict[str, Any]:
        """The SCHEMA message."""
        key = self.key_properties
        base = self._root
        properties = {
            name: without_null(self.properties[name])
            if name in key and self._made_up(name)
            else self.properties[name]
            for name in self._order()
        }
        required = [name for name in required_names(base) if name in properties and name not in self._lacking]
        base.pop("required", None)
        if required:
            base["required"] = required
        before = base.get("properties")
        if not isinstance(before, Mapping) or properties.keys() != before.keys():
            for word in _ABOUT_KEYS:
                base.pop(word, None)
        base["properties"] = properties
        message: dict[str, Any] = {
            "type": "SCHEMA",
            "stream": self.name,
            "schema": base,
            "key_properties": key,
        }
        inputs = [schema for schema in self._inputs.values() if "bookmark_properties" in schema.message]
        if inputs:
            message["bookmark_properties"] = [b for b in inputs[0].bookmark_properties if b in properties]
        return message

    def _order(self) -> list[str]:
        """The names of the properties: as the function left them; where it did not see all of one stream, as there."""
        came = [name for name in self._came if name in self.properties]
        return list(dict.fromkeys([*came, *self.properties]))

    def _made_up(self, name: str) -> bool:
        return not any(name in schema.properties or name in schema.unread for schema in self._inputs.values())


_ABOUT_KEYS = (
    "additionalProperties",
    "unevaluatedProperties",
    "minProperties",
    "maxProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
    "dependencies",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
)
"""What a SCHEMA says of which keys a record has: no longer true where a function adds or drops columns."""
