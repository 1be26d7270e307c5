"""Numbers of many values in little memory: how many are different, and how they are spread.

Sources: Flajolet et al., "HyperLogLog" (2007); Karnin, Lang, Liberty, "Optimal Quantile Approximation in Streams" (2016).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

_INDEX_BITS = 12
_REGISTERS = 1 << _INDEX_BITS
"""An error of 1.6 %, as 1.04 / sqrt(4096)."""
_SMALL = 2.5 * _REGISTERS


class DistinctSketch:
    """About how many different values there were."""

    def __init__(self) -> None:
        self._registers = np.zeros(_REGISTERS, dtype=np.uint8)

    def take(self, hashes: npt.NDArray[np.uint64]) -> None:
        """Take values by hashes that are spread evenly over 64 bits."""
        places = (hashes >> np.uint64(64 - _INDEX_BITS)).astype(np.intp)
        rest = (hashes << np.uint64(_INDEX_BITS)) | np.uint64(1 << (_INDEX_BITS - 1))
        # Leading zeros; 53 bits of a double are enough, as the first bit is what counts.
        ranks = (64 - np.floor(np.log2(rest.astype(np.float64))).astype(np.int64)).astype(np.uint8)
        np.maximum.at(self._registers, places, ranks)

    def count(self) -> int:
        """The number of different values, give or take 2 %."""
        alpha = 0.7213 / (1 + 1.079 / _REGISTERS)
        estimate = alpha * _REGISTERS**2 / np.sum(np.ldexp(1.0, -self._registers.astype(np.int64)))
        empty = int(np.count_nonzero(self._registers == 0))
        if estimate <= _SMALL and empty:
            estimate = _REGISTERS * np.log(_REGISTERS / empty)
        return round(float(estimate))


def spread(numbers: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Hashes of integers, spread evenly. Source: the finaliser of MurmurHash3."""
    mixed = numbers.copy()
    with np.errstate(over="ignore"):
        for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
            mixed ^= mixed >> np.uint64(33)
            mixed *= np.uint64(factor)
        mixed ^= mixed >> np.uint64(33)
    return mixed


class QuantileSketch:
    """How values are spread: all of them while they are few, then every second, fourth, … one.

    Args:
        most: values that are kept per level; the rank of a quantile is off by less than 1 % with 4096.

    Attributes:
        count: how many values came.
        low, high: the smallest and the greatest.
        total: their sum.
    """

    def __init__(self, most: int = 4096, exact: int = 100_000) -> None:
        self._most, self._exact = most, exact
        self._levels: list[list[npt.NDArray[np.float64]]] = [[]]
        self._sizes = [0]
        self._odd = False
        self.count = 0
        self.low, self.high = np.inf, -np.inf
        self.total = 0.0

    @property
    def is_exact(self) -> bool:
        """Whether each value is still there."""
        return len(self._levels) == 1

    def take(self, values: npt.NDArray[np.float64]) -> None:
        """Take finite values."""
        if not len(values):
            return
        self.count += len(values)
        self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))
        self.total += float(values.sum())
        self._add(0, values)

    def _add(self, level: int, values: npt.NDArray[np.float64]) -> None:
        if level == len(self._levels):
            self._levels.append([])
            self._sizes.append(0)
        self._levels[level].append(values)
        self._sizes[level] += len(values)
        most = self._exact if self.is_exact else self._most
        if self._sizes[level] > most:
            kept = np.sort(np.concatenate(self._levels[level]))
            if len(kept) % 2:
                self._levels[level], kept = [kept[-1:]], kept[:-1]
            else:
                self._levels[level] = []
            self._sizes[level] = len(kept) % 2 + sum(map(len, self._levels[level]))
            self._odd = not self._odd  # which half stays, in turn
            self._add(level + 1, kept[int(self._odd) :: 2])

    def _weighted(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        values = [np.concatenate(level) if level else np.empty(0) for level in self._levels]
        weights = [np.full(len(one), 2.0**level) for level, one in enumerate(values)]
        found, heavy = np.concatenate(values), np.concatenate(weights)
        order = np.argsort(found, kind="stable")
        return found[order], heavy[order]

    def quantiles(self, parts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """The values below which these parts (0 to 1) of all values lie; each is one of the values."""
        values, weights = self._weighted()
        reached = np.cumsum(weights)
        places = np.searchsorted(reached, parts * reached[-1], side="left")
        found: npt.NDArray[np.float64] = values[np.minimum(places, len(values) - 1)]
        return found

    def histogram(self, bins: int) -> npt.NDArray[np.int64]:
        """How many values lie in each of `bins` equal parts from the smallest to the greatest."""
        values, weights = self._weighted()
        counts, _ = np.histogram(values, bins=bins, range=(self.low, self.high), weights=weights)
        total = counts.sum()
        return np.round(counts * (self.count / total if total else 1)).astype(np.int64)
