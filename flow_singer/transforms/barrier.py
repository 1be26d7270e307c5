"""STATEs that wait until every record before them is written."""

from __future__ import annotations

from collections import deque

MOST_STATES = 1_000
"""How many STATEs may wait; past that every other one is forgotten, as a newer one says more."""


class WaitingStates:
    """STATE lines in the order they came, each with the number of its line and the second it came."""

    def __init__(self) -> None:
        self._states: deque[tuple[int, float, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._states)

    @property
    def oldest_s(self) -> float:
        """When the first one came; there must be one."""
        return self._states[0][1]

    def add(self, line_number: int, at_s: float, line: bytes) -> None:
        """Take one more."""
        self._states.append((line_number, at_s, line))
        if len(self._states) > MOST_STATES:  # a tap may write one behind each of ten million records
            self._states = deque([*self._states][::-2][::-1])

    def release(self, barrier: int | None) -> bytes | None:
        """Forget those before line `barrier` (None: all of them) but for the newest, which says all, and return it."""
        newest = None
        while self._states and (barrier is None or self._states[0][0] < barrier):
            newest = self._states.popleft()[2]
        return newest
