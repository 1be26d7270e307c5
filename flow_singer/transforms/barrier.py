"""The barrier for STATE: one that covers a record is not written before that record."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

MOST_STATES = 1_000
"""How many STATEs may wait; past that every other one is forgotten, as a newer one says more."""


class StateBarrier:
    """Holds a STATE back as long as a record that came before it is not written.

    Args:
        write: takes a STATE line (without newline) that may go.
        oldest_line: number of the first line whose record is not written yet; None where all are.
        clock: seconds.
    """

    def __init__(
        self,
        write: Callable[[bytes], object],
        oldest_line: Callable[[], int | None],
        clock: Callable[[], float],
    ) -> None:
        self._write = write
        self._oldest_line = oldest_line
        self._clock = clock
        self._states: deque[tuple[int, float, bytes]] = deque()

    def __len__(self) -> int:
        return len(self._states)

    def take(self, line_number: int, line: bytes) -> None:
        """Take the STATE of a line: it goes at once, or waits."""
        if not self._states and self._oldest_line() is None:
            self._write(line)
            return
        self._states.append((line_number, self._clock(), line))
        if len(self._states) > MOST_STATES:  # a tap may write one behind each of ten million records
            self._states = deque([*self._states][::-2][::-1])

    def has_waited(self, seconds: float) -> bool:
        """Whether a STATE has waited so long."""
        return bool(self._states) and self._clock() - self._states[0][1] >= seconds

    def release(self) -> None:
        """Write the newest STATE that no unwritten record precedes; it says all that older ones say."""
        if not self._states:
            return
        oldest = self._oldest_line()
        newest = None
        while self._states and (oldest is None or self._states[0][0] < oldest):
            newest = self._states.popleft()[2]
        if newest is not None:
            self._write(newest)
