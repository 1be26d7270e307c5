"""RECORD lines that wait, stream by stream, until there are enough of them to be decoded at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from flow_singer.singer.linenumbers import count_lines, last_line
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import Part, parts_of
from flow_singer.tabular.recorddecoder import RecordDecoder


@dataclass
class _Buffer:
    """Lines of one stream that wait to be decoded."""

    schema: StreamSchema
    decoder: RecordDecoder
    parts: list[Part] = field(default_factory=list)
    records: int = 0
    size_bytes: int = 0

    def forget_from(self, line: int) -> None:
        """Forget the lines from this number on; it is that of a message of another type, where parts end."""
        self.parts = [part for part in self.parts if part.lines[-1][0] < line]
        self.records = sum(count_lines(part.lines) for part in self.parts)
        self.size_bytes = sum(len(part.data) for part in self.parts)


class RecordBuffers:
    """The lines of all streams, one buffer for each that has a SCHEMA.

    Args:
        hand_over: called with each batch that has records, in the order in which its lines came in.
        parallel: decodes the records.
        batch_records: a buffer is handed over at this many records.
        batch_bytes: and at this many bytes of lines.
        total_bytes: at this many bytes of lines in all buffers, the fullest one is handed over.

    Attributes:
        records: how many records came, per stream.
        size_bytes: how many bytes of lines wait.
        received_bytes: how many came.
        newest_line: the last line of which a record was handed over.
    """

    def __init__(
        self,
        hand_over: Callable[[Batch], None],
        parallel: ParallelDecoder,
        *,
        batch_records: int,
        batch_bytes: int,
        total_bytes: int,
    ) -> None:
        self.records: dict[str, int] = {}
        self.size_bytes = 0
        self.received_bytes = 0
        self.newest_line = 0
        self._hand_over = hand_over
        self._parallel = parallel
        self._batch_records = batch_records
        self._batch_bytes = batch_bytes
        self._total_bytes = total_bytes
        self._buffers: dict[str, _Buffer] = {}

    def __contains__(self, stream: str) -> bool:
        return stream in self._buffers

    def schema_of(self, stream: str) -> StreamSchema | None:
        """The SCHEMA that the stream's records come under; None where none came."""
        buffer = self._buffers.get(stream)
        return None if buffer is None else buffer.schema

    def open(self, schema: StreamSchema, decoder: RecordDecoder) -> None:
        """Have the stream's next records decoded under this SCHEMA; those before are handed over already."""
        self._buffers[schema.stream] = _Buffer(schema, decoder)

    def add(self, stream: str, part: Part) -> bool:
        """Take lines of a stream; False where it has no SCHEMA, and nothing was taken."""
        buffer = self._buffers.get(stream)
        if buffer is None:
            return False
        count, size_bytes = count_lines(part.lines), len(part.data)
        self.records[stream] = self.records.get(stream, 0) + count
        buffer.parts.append(part)
        buffer.records += count
        buffer.size_bytes += size_bytes
        self.size_bytes += size_bytes
        self.received_bytes += size_bytes
        if buffer.records >= self._batch_records or buffer.size_bytes >= self._batch_bytes:
            self._decode(buffer)
        while self.size_bytes >= self._total_bytes:
            self._decode(max(self._buffers.values(), key=lambda one: one.size_bytes))
        return True

    def flush(self, stream: str) -> None:
        """Hand over what waits of one stream, and what is still being decoded of any."""
        self._decode(self._buffers[stream])
        self._parallel.drain()

    def flush_all(self) -> None:
        """Hand over everything."""
        for buffer in self._buffers.values():
            self._decode(buffer)
        self._parallel.drain()

    def forget_from(self, line: int) -> None:
        """Forget the lines from this number on; it is that of a message of another type than RECORD."""
        for buffer in self._buffers.values():
            buffer.forget_from(line)

    def _decode(self, buffer: _Buffer) -> None:
        if not buffer.records:
            return
        parts = parts_of(buffer.parts)
        self.newest_line = max(self.newest_line, last_line(parts[-1].lines))
        self.size_bytes -= buffer.size_bytes
        buffer.parts, buffer.records, buffer.size_bytes = [], 0, 0
        self._parallel.decode(buffer.decoder, parts, self._hand_over_some)

    def _hand_over_some(self, batch: Batch) -> None:
        if batch.count:
            self._hand_over(batch)
