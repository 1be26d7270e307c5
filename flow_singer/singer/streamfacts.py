"""What a catalog says of each stream: its key, its replication, how many fields it has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flow_singer.singer.selection import metadata_of, stream_id, streams_of


@dataclass(frozen=True)
class StreamFacts:
    """One stream of a catalog.

    Attributes:
        id: its `tap_stream_id`.
        keys: names of the properties of its primary key.
        method: how it is replicated: FULL_TABLE, INCREMENTAL, LOG_BASED; None where nothing says so.
        replication_key: the property by which an INCREMENTAL one goes on.
        fields: how many properties it has, those of objects not counted.
    """

    id: str
    keys: tuple[str, ...]
    method: str | None
    replication_key: str | None
    fields: int

    @property
    def replication(self) -> str | None:
        """`INCREMENTAL by updated_at`."""
        return f"{self.method} by {self.replication_key}" if self.replication_key else self.method


def facts_of_streams(catalog: Mapping[str, Any]) -> list[StreamFacts]:
    """Read what a catalog says of its streams, in metadata or on the stream itself, as older taps do.

    A replication key alone means INCREMENTAL; one beside another method is not told, as nothing goes by it.

    Raises:
        ConfigError: the catalog has a wrong shape.

    Source: Singer spec, "Metadata"; Singer SDK 0.54, `Stream.replication_method`.
    """
    return [_facts_of(stream) for stream in streams_of(catalog)]


def _facts_of(stream: Mapping[str, Any]) -> StreamFacts:
    mark = metadata_of(stream).get((), {})
    keys = _first(
        mark.get("table-key-properties"), mark.get("view-key-properties"), stream.get("key_properties")
    )
    valid = _texts(mark.get("valid-replication-keys"))
    key = _first(
        mark.get("replication-key"), stream.get("replication_key"), valid if len(valid) == 1 else None
    )
    method = _first(
        mark.get("replication-method"),
        stream.get("replication_method"),
        mark.get("forced-replication-method"),
        "INCREMENTAL" if key else None,
    )
    schema = stream.get("schema")
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    return StreamFacts(
        stream_id(stream),
        tuple(_texts(keys)),
        str(method) if method else None,
        ", ".join(_texts(key)) or None if method == "INCREMENTAL" else None,
        len(properties) if isinstance(properties, Mapping) else 0,
    )


def _first(*values: Any) -> Any:
    return next(filter(None, values), None)


def _texts(value: Any) -> list[str]:
    return [str(one) for one in (value if isinstance(value, list) else [value] if value else [])]
