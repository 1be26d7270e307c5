"""Only the first records of each stream (`--limit`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection

from flow_singer.singer.messages import Run


class RecordLimit:
    """Counts the records of each stream, and cuts off those beyond the limit.

    Args:
        limit: how many records of each stream may pass.
        expected: names of the streams that will come; empty where nobody knows.
    """

    def __init__(self, limit: int, expected: Collection[str]) -> None:
        self._limit = limit
        self._expected = expected
        self._passed: Counter[str] = Counter()

    def take(self, run: Run) -> list[bytes]:
        """The lines of a run of records that may still pass."""
        stream = run.stream or ""
        lines = run.texts[: self._limit - self._passed[stream]]
        self._passed[stream] += len(lines)
        return lines

    @property
    def is_reached(self) -> bool:
        """Whether all streams that will come have as many records as may pass."""
        return bool(self._expected) and all(self._passed[name] >= self._limit for name in self._expected)
