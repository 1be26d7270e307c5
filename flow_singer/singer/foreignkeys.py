"""Foreign keys: what a stream's columns refer to in another stream.

Singer has no word for them. Flow keeps them in the stream's JSON Schema, as `foreignKeys` in the form of Table Schema,
with the names of streams for resources; to others that is a word without a meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

FOREIGN_KEYS = "foreignKeys"


class ForeignKey(NamedTuple):
    """Columns that refer to those of another stream.

    Attributes:
        columns: the properties that refer.
        stream: the one that is referred to; None for their own.
        referred: its properties, in the same order.
    """

    columns: tuple[str, ...]
    stream: str | None
    referred: tuple[str, ...]


def foreign_keys_in(schema: Mapping[str, Any]) -> list[ForeignKey]:
    """The foreign keys that stand in a Table Schema, or in the JSON Schema of a stream; others are no foreign keys."""
    found = schema.get(FOREIGN_KEYS)
    keys = [_read(one) for one in found] if isinstance(found, list) else []
    return [one for one in keys if one is not None]


def _read(entry: Any) -> ForeignKey | None:
    reference = entry.get("reference") if isinstance(entry, Mapping) else None
    if not isinstance(reference, Mapping):
        return None
    columns, referred = _names(entry.get("fields")), _names(reference.get("fields"))
    if not columns or len(columns) != len(referred):
        return None
    return ForeignKey(columns, str(reference.get("resource") or "") or None, referred)


def _names(found: Any) -> tuple[str, ...]:
    """Names; of one, v1 also has the name alone."""
    names = [found] if isinstance(found, str) else found
    return tuple(map(str, names)) if isinstance(names, list) else ()


def foreign_keys_as_json(keys: Iterable[ForeignKey]) -> list[dict[str, Any]]:
    """The same as they are written; a stream of its own is an empty text, as in v1, which v2 allows."""
    return [
        {
            "fields": list(one.columns),
            "reference": {"resource": one.stream or "", "fields": list(one.referred)},
        }
        for one in keys
    ]
