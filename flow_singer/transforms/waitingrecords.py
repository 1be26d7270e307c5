"""The records of all streams that functions take, and when each buffer is handed to its runner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import Part
from flow_singer.transforms.streamrunner import StreamRunner


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


class WaitingRecords:
    """Buffers records, one runner per stream, and hands them over by the limits.

    Args:
        parallel: decodes for the runners; what it has under way waits, too.
        limits: when buffers are handed over.
        clock: seconds.

    Attributes:
        runners: by stream, in the order of their first SCHEMAs.
        has_moved: whether anything was handed over since this was set to False.
    """

    def __init__(self, parallel: ParallelDecoder, limits: Limits, clock: Callable[[], float]) -> None:
        self.runners: dict[str, StreamRunner] = {}
        self.has_moved = False
        self._parallel = parallel
        self._limits = limits
        self._clock = clock
        self._size_bytes = 0

    @property
    def oldest_line(self) -> int | None:
        """Number of the first line whose record is not written yet; None where all are."""
        lines = [self._parallel.oldest_line, *(runner.oldest_line for runner in self.runners.values())]
        return min((line for line in lines if line is not None), default=None)

    @property
    def kept_rows(self) -> tuple[int, int]:
        """How many records wait for the end of their streams, and how many bytes of them are on disk."""
        kept = [runner.kept_rows for runner in self.runners.values()]
        return sum(rows for rows, _ in kept), sum(on_disk for _, on_disk in kept)

    def add(self, runner: StreamRunner, part: Part) -> None:
        """Take records of a stream; hand over whatever a limit asks for."""
        buffer, limits = runner.buffer, self._limits
        buffer.add(part, self._clock())
        self._size_bytes += len(part.data)
        batch_bytes = min(limits.batch_bytes, runner.most_batch_bytes)
        while buffer.records >= limits.batch_records or buffer.size_bytes >= batch_bytes:
            self._hand_over(runner)
        while self._size_bytes >= limits.total_bytes:
            self._hand_over_all(max(self.runners.values(), key=lambda one: one.buffer.size_bytes))

    def flush(self, runner: StreamRunner) -> None:
        """Hand over all records of a stream; they are decoded on return."""
        self._hand_over_all(runner)
        self._parallel.drain()

    def flush_all(self) -> None:
        """Hand over all records; they are decoded on return."""
        for runner in self.runners.values():
            self._hand_over_all(runner)
        self._parallel.drain()

    def flush_aged(self) -> None:
        """Hand over what has waited too long, and take what was decoded meanwhile."""
        now = self._clock()
        for runner in self.runners.values():
            is_due = not runner.needs_every_row and now - runner.buffer.since >= self._limits.max_age_s
            if runner.buffer.parts and is_due:
                self.flush(runner)
        self._parallel.finish_ready()

    def _hand_over_all(self, runner: StreamRunner) -> None:
        while runner.buffer.records:
            self._hand_over(runner)

    def _hand_over(self, runner: StreamRunner) -> None:
        """Hand over one batch."""
        parts = runner.buffer.take(self._limits.batch_records, self._clock())
        self._size_bytes -= sum(len(part.data) for part in parts)
        self.has_moved = True
        runner.run(parts)
