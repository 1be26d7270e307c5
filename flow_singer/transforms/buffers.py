"""Records of one stream that wait for their function."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from flow_singer.singer.linenumbers import count_lines
from flow_singer.tabular.parts import Part, parts_of, split_part


@dataclass
class Buffer:
    """RECORD lines of one stream, in the order they came.

    Attributes:
        parts: the lines.
        records: how many in all parts.
        size_bytes: of all parts.
        since: when the oldest of them came, in seconds.
        total: how many records were ever added.
    """

    parts: deque[Part] = field(default_factory=deque)
    records: int = 0
    size_bytes: int = 0
    since: float = 0.0
    total: int = 0

    @property
    def oldest_line(self) -> int | None:
        """Number of the first line; None where nothing waits."""
        return self.parts[0].lines[0][0] if self.parts else None

    def add(self, part: Part, now: float) -> None:
        """Append records that came at second `now`."""
        if not self.parts:
            self.since = now
        self.parts.append(part)
        count = count_lines(part.lines)
        self.records += count
        self.total += count
        self.size_bytes += len(part.data)

    def take(self, records: int, now: float) -> list[Part]:
        """Remove the first `records` records; those that stay count as come at second `now`."""
        self.since = now
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
