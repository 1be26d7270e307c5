"""Records that wait for a function, and for how long."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from flow_singer.singer.linenumbers import count_lines
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.parts import Part, parts_of, split_part
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.spool import Spool


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
        parts: their lines.
        records: how many in all parts.
        size_bytes: of all parts.
        since: when the oldest of them came.
        seen: whether any record of this stream ever came.
        spool: keeps them to the end, where the function needs every row.
        met: names of the properties that any SCHEMA of this stream had.
    """

    schema: StreamSchema
    decoder: RecordDecoder
    function: StreamFunction
    parts: deque[Part] = field(default_factory=deque)
    records: int = 0
    size_bytes: int = 0
    since: float = 0.0
    seen: bool = False
    spool: Spool | None = None
    met: set[str] = field(default_factory=set)

    @property
    def oldest_line(self) -> int | None:
        """Number of the first line whose record is not written yet."""
        if self.spool is not None and self.spool.first_line is not None:
            return self.spool.first_line
        return self.parts[0].lines[0][0] if self.parts else None

    def add(self, part: Part) -> None:
        """Append records."""
        self.parts.append(part)
        self.records += count_lines(part.lines)
        self.size_bytes += len(part.data)
        self.seen = True

    def take(self, records: int) -> list[Part]:
        """Remove the first `records` records."""
        taken: list[Part] = []
        while records and self.parts:
            part = self.parts.popleft()
            if (count := count_lines(part.lines)) > records:
                part, rest = split_part(part, records)
                self.parts.appendleft(rest)
                count = records
            taken.append(part)
            records -= count
            self.records -= count
            self.size_bytes -= len(part.data)
        return parts_of(taken)
