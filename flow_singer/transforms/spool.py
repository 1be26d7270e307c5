"""Batches of one stream, kept until the stream's end; on disk past a limit.

The file has no name from the start, so that it is gone with the process, however the process ends. The numbers of
lines are not kept: no error of a function that sees every row names one, and where streams take turns they need
more memory than a small record.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import IO, Any

from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, Column, concat_batches
from flow_singer.tabular.wire import from_bytes, write_batch

MEMORY_BYTES = 4 << 20
"""How much of each stream stays in memory."""

BATCH_BYTES = 1 << 20
"""A good size of batches, in bytes of lines: decoding needs several times as much, and several are under way."""


class Spool:
    """Collects batches; `MEMORY_BYTES` of them stay in memory, all others go to a temporary file.

    Attributes:
        first_line: number of the first record's line; None while there is none.
        records: how many were added.
    """

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self.first_line: int | None = None
        self.records = 0
        self._memory_bytes = memory_bytes
        self._batches: list[Batch] = []
        self._size_bytes = 0
        self._file: IO[bytes] | None = None
        self._stored: list[Batch] = []

    def add(self, batch: Batch) -> None:
        """Append a batch."""
        if not batch.count:
            return
        if self.first_line is None:
            self.first_line = batch.line_of(0)
        self.records += batch.count
        self._batches.append(replace(batch, lines=()))
        self._size_bytes += batch.size_bytes
        if self._size_bytes > self._memory_bytes:
            self._spill()

    @property
    def stored_bytes(self) -> int:
        """How much is in the file."""
        return self._file.tell() if self._file is not None and not self._file.closed else 0

    def read(self, schema: StreamSchema) -> Batch:
        """All records, in the order they came, without the numbers of their lines; the spool is empty then."""
        everything = concat_batches(schema, [*self._stored, *self._batches])
        self._stored.clear()
        self._batches.clear()
        if self._file is not None:
            self._file.close()
        return everything

    def widened(self, old: StreamSchema, new: StreamSchema) -> StreamSchema | None:
        """One SCHEMA for the records so far and for those that come under another one.

        A log-based tap leaves a column out of the SCHEMA of updates that did not touch it, and has it again in the
        next one: such records just lack it.

        Returns:
            `old` with the properties that only `new` has; `old` itself where there are none. None where the two
            say different things, or where a record already has a key of such a name, of no known type.
        """
        mine, other = (_plain_properties(one) for one in (old, new))
        if mine is None or other is None or old.key_properties != new.key_properties:
            return None
        if any(other.get(name, one) != one for name, one in mine.items()):
            return None
        fresh = {name: one for name, one in other.items() if name not in mine}
        if any(name in batch.undeclared for batch in (*self._stored, *self._batches) for name in fresh):
            return None
        required = [name for name in old.json_schema.get("required") or () if name in new.required]
        if not fresh and len(required) == len(old.required):
            return old
        merged = {**old.json_schema, "properties": {**mine, **fresh}, "required": required}
        return StreamSchema({**old.message, "schema": merged}, read=old.read)

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="flow-")  # noqa: SIM115 - open until it is read
        # Few large pieces, not many small ones.
        batch = concat_batches(self._batches[-1].schema, self._batches)
        self._stored.append(_stored_batch(batch, self._file))
        self._batches.clear()
        self._size_bytes = 0


def _plain_properties(schema: StreamSchema) -> Mapping[str, Any] | None:
    """The properties, where they stand in the schema itself and nothing else in it decides them."""
    found = schema.json_schema.get("properties")
    return found if isinstance(found, Mapping) and not {"$ref", "allOf"} & schema.json_schema.keys() else None


class _Stored(Mapping[str, Any]):
    """Columns in a file, each read when it is asked for, so that one at a time is there twice while all are joined."""

    def __init__(self, file: IO[bytes], schema: StreamSchema, columns: Mapping[str, Column]) -> None:
        self._file = file
        self._schema = schema
        self._places: dict[str, tuple[int, int]] = {}
        for name, column in columns.items():
            start = file.tell()
            write_batch(Batch(schema, {name: column}, {}, {}, len(column.values)), file, compression="lz4")
            self._places[name] = start, file.tell() - start

    def __getitem__(self, name: str) -> Any:
        start, size = self._places[name]
        self._file.seek(start)
        return from_bytes(self._file.read(size), self._schema).columns[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


class _StoredTexts(_Stored):
    """The same for plain texts."""

    def __getitem__(self, name: str) -> Any:
        return super().__getitem__(name).values


def _stored_batch(batch: Batch, file: IO[bytes]) -> Batch:
    """The batch, in the file; it has no `rest`, as a function of every row sees all columns."""
    texts = {key: Column(found, as_json=True) for key, found in batch.envelope.items()}
    return Batch(
        batch.schema,
        _Stored(file, batch.schema, batch.columns),
        _Stored(file, batch.schema, batch.undeclared),
        _StoredTexts(file, batch.schema, texts),
        batch.count,
    )
