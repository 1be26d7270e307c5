"""Streams that are only looked at: how many records, the first of them, and what there is in each column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flow_singer.looking.columnprofile import ColumnProfile, shown_texts
from flow_singer.singer.schema import Property, StreamSchema
from flow_singer.tabular.batch import Batch, Column, slice_batch

_LONGEST = 2_000
"""Characters of a cell of the head that are kept."""


class StreamLook:
    """One stream.

    Args:
        schema: its SCHEMA.
        rows: how many rows its head has.
        profiles: whether its columns are profiled.
        most: how many records are looked at; None: all.
    """

    def __init__(self, schema: StreamSchema, *, rows: int, profiles: bool, most: int | None) -> None:
        self.schema = schema
        self.records = 0
        self.known_records: int | None = None
        """How many there are, where that is known without a look at all of them."""
        self._rows, self._profiles, self._most = rows, profiles, most
        self._properties: dict[str, Property] = dict(schema.properties)
        self._columns: dict[str, ColumnProfile] = {}
        self._head: list[dict[str, str | None]] = []

    @property
    def is_enough(self) -> bool:
        """Whether all that was asked for is there."""
        if self._most is not None and self.records >= self._most:
            return True
        return self.known_records is not None and not self._profiles and len(self._head) >= self._rows

    def extend(self, schema: StreamSchema) -> None:
        """Take a SCHEMA that came later."""
        self.schema = schema
        self._properties |= schema.properties

    def take(self, batch: Batch) -> None:
        """Take the next records."""
        if self._most is not None and self.records + batch.count > self._most:
            batch = slice_batch(batch, 0, self._most - self.records)
        for name in batch.undeclared:
            self._properties.setdefault(name, Property(name, "json", {}, True, frozenset()))
        columns = {**batch.columns, **batch.undeclared}
        if (left := self._rows - len(self._head)) > 0:
            some = {name: _cells(one.values[:left], one.as_json) for name, one in columns.items()}
            count = min(left, batch.count)
            self._head += [{name: cells[row] for name, cells in some.items()} for row in range(count)]
        if self._profiles:
            for name, one in self._properties.items():
                if name not in self._columns:
                    self._columns[name] = ColumnProfile(one)
                    self._columns[name].skip(self.records)
                if name in columns:
                    self._columns[name].take(columns[name])
                else:
                    self._columns[name].skip(batch.count)
        self.records += batch.count

    def to_json(self) -> dict[str, Any]:
        """What was found."""
        keys = self.schema.key_properties
        bookmarks = self.schema.bookmark_properties
        return {
            "name": self.schema.stream,
            "records": self.records if self.known_records is None else self.known_records,
            "is_whole": self.known_records is not None or self._most is None or self.records < self._most,
            "key": keys,
            "replication_key": bookmarks[0] if bookmarks else None,
            "fields": [
                {
                    "name": one.name,
                    "type": type_of(one),
                    "nullable": one.nullable and one.name not in keys,
                    "title": _word(one.json_schema, "title"),
                    "description": _word(one.json_schema, "description"),
                    "profile": self._columns[one.name].to_json() if one.name in self._columns else None,
                }
                for one in self._properties.values()
            ],
            "head": {"rows": [[row.get(name) for name in self._properties] for row in self._head]},
        }


def _cells(values: Any, as_json: bool) -> list[str | None]:
    texts: list[str | None] = shown_texts(Column(values, as_json)).to_pylist()
    return [text if text is None or len(text) <= _LONGEST else f"{text[:_LONGEST]}…" for text in texts]


def type_of(one: Property) -> str:
    """The type of a property in a word."""
    match one.kind:
        case "decimal":
            return "number"
        case "decimal-text":
            return "decimal"
        case "string":
            form = str(one.json_schema.get("format") or "")
            return form if form in ("time", "duration") else "string"
        case "json":
            return " | ".join(sorted(one.types)) or "any"
    return one.kind


def _word(schema: Mapping[str, Any], key: str) -> str | None:
    found = schema.get(key)
    return found if isinstance(found, str) else None


class LookSink:
    """A [`Sink`][flow_singer.datapackage.sink.Sink] that keeps what is shown of each stream.

    Args:
        rows: how many rows each head has.
        profiles: whether columns are profiled.
        most: how many records of each stream are looked at; None: all.
    """

    def __init__(self, *, rows: int, profiles: bool, most: int | None = None) -> None:
        self.streams: dict[str, StreamLook] = {}
        self._rows, self._profiles, self._most = rows, profiles, most

    @property
    def records(self) -> dict[str, int]:
        """How many were looked at, per stream."""
        return {name: one.records for name, one in self.streams.items()}

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA."""
        if schema.stream in self.streams:
            self.streams[schema.stream].extend(schema)
        else:
            self.streams[schema.stream] = StreamLook(
                schema, rows=self._rows, profiles=self._profiles, most=self._most
            )

    def batch(self, batch: Batch) -> None:
        """Look at the next records of a stream."""
        self.streams[batch.schema.stream].take(batch)

    def activate_version(self, stream: str, version: int) -> None:
        """Take an ACTIVATE_VERSION, which changes nothing here."""

    def checkpoint(self) -> bool:
        """Nothing is kept, so nothing is safe."""
        return False
