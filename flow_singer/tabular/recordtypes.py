"""The types that the JSON reader decodes the RECORD lines of one stream into, made from its SCHEMA."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from flow_singer.singer.schema import Kind, Property, StreamSchema

ABSENT = msgspec.Raw(b"")
"""The cell of a property that is kept as JSON text, where the record lacks it."""

PLAIN: dict[Kind, type] = {
    "integer": int,
    "boolean": bool,
    "string": str,
    "date-time": str,
    "date": str,
    "decimal-text": str,
}
"""Kinds that are decoded to a Python value; the others are kept as JSON text."""


class RecordTypes:
    """A reader of lines that have these keys and no others; it refuses all other lines.

    Args:
        schema: the SCHEMA of the stream.
        undeclared: keys of records that are no properties of it; their values are kept as JSON text.
        envelope_keys: keys beside `record`.

    Attributes:
        properties: the declared and the undeclared ones, in the order of a record's cells.
        decoder: gives messages of type `message`.
    """

    def __init__(self, schema: StreamSchema, undeclared: Sequence[str], envelope_keys: Sequence[str]) -> None:
        self.stream = schema.stream
        self.envelope_keys = list(envelope_keys)
        self.properties = list(schema.properties.values())
        self.properties += [Property(name, "json", {}, True, frozenset()) for name in undeclared]
        self._record = msgspec.defstruct(
            "Record",
            [(f"f{i}", *_struct_field(one, i)) for i, one in enumerate(self.properties)],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._message = msgspec.defstruct(
            "Message",
            [
                ("type", Literal["RECORD"]),
                ("stream", Literal[schema.stream]),
                ("record", self._record),
                *(
                    (f"e{i}", msgspec.Raw, msgspec.field(name=field_name(key, i), default=ABSENT))
                    for i, key in enumerate(envelope_keys)
                ),
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self.decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(self._message)

    def message(self, cells: Mapping[int, Any], beside: Mapping[int, msgspec.Raw]) -> Any:
        """A message of cells that were decoded otherwise.

        Args:
            cells: by position in `properties`; those that the record lacks are left out.
            beside: by position in `envelope_keys`; those that the line lacks are left out.
        """
        record = self._record(**{f"f{i}": cell for i, cell in cells.items()})
        return self._message("RECORD", self.stream, record, **{f"e{i}": text for i, text in beside.items()})


def _struct_field(one: Property, position: int) -> tuple[Any, Any]:
    name = field_name(one.name, position)
    plain = PLAIN.get(one.kind)
    if plain is None:
        return msgspec.Raw, msgspec.field(name=name, default=ABSENT)
    return plain | None | msgspec.UnsetType, msgspec.field(name=name, default=msgspec.UNSET)


def has_odd_name(name: str) -> bool:
    """Whether msgspec takes no field of this name: it has quotes, backslashes, control characters or surrogates."""
    return _ODD_NAME.search(name) is not None


def field_name(name: str, position: int) -> str:
    """The key that msgspec reads a field from; for an odd name one that no record has.

    The reader then meets an unknown key and refuses the line, which is read the slow way.
    """
    return f"{_NO_NAME}{position}" if has_odd_name(name) else name


_NO_NAME = secrets.token_hex(16)
_ODD_NAME = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')
