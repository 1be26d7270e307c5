"""`references`: whether each value of a column is one of another stream's column, known at the end of both.

A value that is there already is settled at once. All others wait in a file, 24 bytes each.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO

import numpy as np
import numpy.typing as npt

from flow_singer.checks.expectations import Expectation
from flow_singer.checks.findings import EXAMPLES
from flow_singer.checks.seenkeys import Keys, SeenKeys

_CHUNK = 100_000
_KEPT_VALUES = 1_000


@dataclass(frozen=True)
class Orphans:
    """Rows whose value is nowhere in the other column: how many, and the first of them."""

    count: int
    rows: list[int]
    values: list[str]


class OtherValues:
    """One expectation of the word `references`.

    Args:
        expects: of the stream with the column that refers.
    """

    def __init__(self, expects: Expectation) -> None:
        self.expects = expects
        self.stream: str = expects.value[0]
        self.column: str = expects.value[1]
        self.met = False
        """Whether the other stream came."""
        self.is_skipped = False
        """Whether only a part of the other stream comes, so that nothing can be said."""
        self._known = SeenKeys()
        self._waiting: IO[bytes] | None = None
        self._count = 0
        self._values: dict[int, str] = {}

    @property
    def is_settled(self) -> bool:
        """Whether no row waits that could stop the run."""
        return self.is_skipped or not self._count or self.expects.on_failure != "raise"

    def learn(self, keys: Keys) -> None:
        """Take values of the other column."""
        self.met = True
        self._known.add(keys)

    def unknown(self, keys: Keys) -> npt.NDArray[np.intp]:
        """The places of values that have not come yet in the other column."""
        return np.flatnonzero(~self._known.contains(keys))

    def wait(self, keys: Keys, rows: npt.NDArray[np.int64], values: Sequence[str]) -> None:
        """Keep such values, with the numbers of their rows, until the end.

        Args:
            keys: n values.
            rows: their rows.
            values: the texts of the first of them.
        """
        table = np.empty((len(keys), 3), dtype=np.uint64)
        table[:, 0], table[:, 1], table[:, 2] = keys.high, keys.low, rows.view(np.uint64)
        if self._waiting is None:
            self._waiting = tempfile.TemporaryFile(prefix="flow-references-")  # noqa: SIM115 - closed in close
        self._waiting.write(table.tobytes())
        self._count += len(keys)
        if len(self._values) < _KEPT_VALUES:
            self._values.update(zip(rows.tolist(), values, strict=False))

    def finish(self) -> Orphans:
        """What is nowhere in the other column."""
        count, first = 0, list[int]()
        for keys, rows in self._chunks():
            missing = self.unknown(keys)
            count += len(missing)
            first += rows[missing[: EXAMPLES - len(first)]].tolist()
        return Orphans(count, first, [self._values.get(row, "…") for row in first])

    def close(self) -> None:
        """Forget everything."""
        self._known.close()
        if self._waiting is not None:
            self._waiting.close()

    def _chunks(self) -> Iterator[tuple[Keys, npt.NDArray[np.int64]]]:
        if self._waiting is None:
            return
        self._waiting.seek(0)
        while data := self._waiting.read(24 * _CHUNK):
            table = np.frombuffer(data, dtype=np.uint64).reshape(-1, 3)
            yield Keys(table[:, 0], table[:, 1]), table[:, 2].view(np.int64)
