"""Records that wait for a function, and for how long."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from flow_singer.functions import StreamFunction
from flow_singer.schema import StreamSchema
from flow_singer.spool import Spool
from flow_singer.tabular.columns import RecordDecoder
from flow_singer.tabular.parts import Part, parts_of


@dataclass(frozen=True)
class Limits:
    """When a buffer is handed to its function.

    Attributes:
        batch_records: at this many records.
        batch_bytes: at this many bytes of lines.
        total_bytes: at this many bytes in all buffers together, the fullest one.
        max_age_s: this long after its first record, also when nothing more arrives.
        max_state_age_s: this long after a STATE began to wait.
    """

    batch_records: int = 10_000
    batch_bytes: int = 8 << 20
    total_bytes: int = 64 << 20
    max_age_s: float = 10.0
    max_state_age_s: float = 60.0


@dataclass
class Buffer:
    """Records of one stream that wait for their function.

    Attributes:
        schema: the SCHEMA they came under.
        decoder: reads them.
        function: waits for them.
        chunks: whole lines, the number of the first one, how many.
        records: how many in all chunks.
        size_bytes: of all chunks.
        since: when the oldest of them came.
        seen: whether any record of this stream ever came.
        spool: keeps them to the end, where the function needs every row.
    """

    schema: StreamSchema
    decoder: RecordDecoder
    function: StreamFunction
    chunks: deque[tuple[bytes, int, int]] = field(default_factory=deque)
    records: int = 0
    size_bytes: int = 0
    since: float = 0.0
    seen: bool = False
    spool: Spool | None = None

    @property
    def oldest_line(self) -> int | None:
        """Number of the first line whose record is not written yet."""
        if self.spool is not None and self.spool.first_line is not None:
            return self.spool.first_line
        return self.chunks[0][1] if self.chunks else None

    def take(self, records: int) -> list[Part]:
        """Remove the first `records` records."""
        taken: list[Part] = []
        while records and self.chunks:
            chunk, first, count = self.chunks.popleft()
            if count > records:
                end = end_of_line(chunk, records)
                self.chunks.appendleft((chunk[end:], first + records, count - records))
                chunk, count = chunk[:end], records
            taken.append(Part(chunk, [(first, count)]))
            records -= count
            self.records -= count
            self.size_bytes -= len(chunk)
        return parts_of(taken)


def end_of_line(data: bytes, lines: int) -> int:
    """Where the first `lines` lines of `data` end."""
    end = 0
    for _ in range(lines):
        end = data.index(b"\n", end) + 1
    return end
