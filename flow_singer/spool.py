"""Batches of one stream, kept until the stream's end; on disk past a limit.

The file has no name from the start, so that it is gone with the process, however the process ends.
"""

from __future__ import annotations

import tempfile
from typing import IO

from flow_singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, concat_batches
from flow_singer.tabular.wire import from_bytes, write_batch

MEMORY_BYTES = 8 << 20
"""How much of each stream stays in memory."""

BATCH_BYTES = 4 << 20
"""A good size of batches, in bytes of lines: decoding needs several times as much."""


class Spool:
    """Collects batches; `MEMORY_BYTES` of them stay in memory, all others go to a temporary file."""

    def __init__(self, memory_bytes: int = MEMORY_BYTES) -> None:
        self.first_line: int | None = None
        self._memory_bytes = memory_bytes
        self._batches: list[Batch] = []
        self._size_bytes = 0
        self._file: IO[bytes] | None = None
        self._places: list[tuple[int, int]] = []

    def add(self, batch: Batch) -> None:
        """Append a batch."""
        if not batch.count:
            return
        if self.first_line is None:
            self.first_line = batch.line_of(0)
        self._batches.append(batch)
        self._size_bytes += sum(column.values.nbytes for column in batch.columns.values())
        if self._size_bytes > self._memory_bytes:
            self._spill()

    def read(self, schema: StreamSchema) -> Batch:
        """All records, in the order they came."""
        parts = []
        if self._file is not None:
            for start, size in self._places:
                self._file.seek(start)
                parts.append(from_bytes(self._file.read(size), schema))
            self._file.close()
        return concat_batches(schema, [*parts, *self._batches])

    def _spill(self) -> None:
        if self._file is None:
            self._file = tempfile.TemporaryFile(prefix="flow-")  # noqa: SIM115 - open until it is read
        for batch in self._batches:
            start = self._file.tell()
            write_batch(batch, self._file, compression="lz4")
            self._places.append((start, self._file.tell() - start))
        self._batches.clear()
        self._size_bytes = 0
