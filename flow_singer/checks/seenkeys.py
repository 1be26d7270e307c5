"""Which keys came before: exact, as the stream goes by, and in memory that does not grow with it.

A key is two numbers of 64 bits. The newest are kept in a few sorted arrays in memory, each about twice as long as
the next; what is longer than `RUN_KEYS` goes to a file. Whether a key may be in a file, a filter in memory (one byte
a key) tells, or the range of the file's keys; so numbers that only grow are never looked up.
"""

from __future__ import annotations

import mmap
import tempfile
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from flow_singer.checks.cellvalues import Mask

RUN_KEYS = 500_000
"""How many keys are kept in one array in memory; 16 bytes each."""

Lane = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Keys:
    """n keys, in two arrays of n numbers."""

    high: Lane
    low: Lane

    def take(self, rows: npt.NDArray[np.intp] | Mask) -> Keys:
        """Those in some places."""
        return Keys(self.high[rows], self.low[rows])

    def __len__(self) -> int:
        return len(self.high)


class SeenKeys:
    """A set of keys that only grows."""

    def __init__(self, run_keys: int = RUN_KEYS) -> None:
        self._run_keys = run_keys
        self._arrays: list[Keys] = []
        self._files: list[_KeyFile] = []

    def add(self, keys: Keys) -> Mask:
        """Take n keys; True for each that came before, in an earlier call or further up in this one."""
        order = _order(keys)
        ordered = keys.take(order)
        repeated = np.zeros(len(keys), dtype=np.bool_)
        if len(keys) > 1:
            again = (ordered.high[1:] == ordered.high[:-1]) & (ordered.low[1:] == ordered.low[:-1])
            repeated[order[1:][again]] = True
        firsts = np.flatnonzero(~repeated)
        known = self.contains(keys.take(firsts))
        repeated[firsts[known]] = True
        fresh = order[~repeated[order]]
        if len(fresh):
            self._arrays.append(keys.take(fresh))
            self._merge()
        return repeated

    def contains(self, keys: Keys) -> Mask:
        """True for each key that came."""
        found = np.zeros(len(keys), dtype=np.bool_)
        for array in self._arrays:
            found |= _is_in(array, keys)
        for file in self._files:
            rest = np.flatnonzero(~found)
            if not len(rest):
                break
            found[rest[file.contains(keys.take(rest))]] = True
        return found

    def close(self) -> None:
        """Forget everything."""
        for file in self._files:
            file.close()
        self._files.clear()
        self._arrays.clear()

    def _merge(self) -> None:
        arrays = self._arrays
        while len(arrays) > 1 and len(arrays[-2]) <= 2 * len(arrays[-1]):
            last, before = arrays.pop(), arrays.pop()
            joined = Keys(np.concatenate([before.high, last.high]), np.concatenate([before.low, last.low]))
            arrays.append(joined.take(_order(joined)))
        if len(arrays[0]) >= self._run_keys:
            self._files.append(_KeyFile(arrays.pop(0)))


def _order(keys: Keys) -> npt.NDArray[np.intp]:
    """By key; of equal ones the first comes first."""
    order = np.argsort(keys.high, kind="stable")
    high = keys.high[order]
    if len(high) > 1 and (high[1:] == high[:-1]).any():
        order = np.lexsort((keys.low, keys.high))
    return order


def _is_in(array: Keys, keys: Keys) -> Mask:
    """Which keys are in a sorted array."""
    size = len(array)
    places = np.searchsorted(array.high, keys.high)
    inside = places < size
    at = np.where(inside, places, 0)
    same = inside & (array.high[at] == keys.high)
    found: Mask = same & (array.low[at] == keys.low)
    for row in np.flatnonzero(same & ~found).tolist():  # several keys have one high half
        place = int(places[row]) + 1
        while place < size and array.high[place] == keys.high[row]:
            if array.low[place] == keys.low[row]:
                found[row] = True
                break
            place += 1
    return found


class _KeyFile:
    """Sorted keys in a file that nobody else sees."""

    def __init__(self, keys: Keys) -> None:
        self._size = len(keys)
        self._first, self._last = keys.high[0], keys.high[-1]
        self._file = tempfile.TemporaryFile(prefix="flow-keys-")  # noqa: SIM115 - closed in close
        self._file.write(keys.high.tobytes())
        self._file.write(keys.low.tobytes())
        self._file.flush()
        self._map = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._filter = _Filter(keys)

    def contains(self, keys: Keys) -> Mask:
        found = np.zeros(len(keys), dtype=np.bool_)
        maybe = np.flatnonzero((keys.high >= self._first) & (keys.high <= self._last))
        if len(maybe):
            maybe = maybe[self._filter.may_have(keys.take(maybe))]
        if len(maybe):
            half = self._size
            both = np.frombuffer(self._map, dtype=np.uint64)
            found[maybe] = _is_in(Keys(both[:half], both[half:]), keys.take(maybe))
            del both
            if hasattr(mmap, "MADV_DONTNEED"):
                self._map.madvise(mmap.MADV_DONTNEED)  # its pages would count as memory of ours
        return found

    def close(self) -> None:
        self._map.close()
        self._file.close()


class _Filter:
    """A Bloom filter: says of three keys in a hundred that they may be there, though they are not."""

    def __init__(self, keys: Keys) -> None:
        self._bits = max(8, int(np.ceil(np.log2(max(2, len(keys) * 8)))))
        table = np.zeros(1 << self._bits, dtype=np.bool_)
        for places in self._places(keys):
            table[places] = True
        self._table = np.packbits(table)

    def may_have(self, keys: Keys) -> Mask:
        found = np.ones(len(keys), dtype=np.bool_)
        for places in self._places(keys):
            found &= (
                self._table[places >> np.uint64(3)] >> (7 - (places & np.uint64(7))).astype(np.uint8)
            ) & 1 == 1
        return found

    def _places(self, keys: Keys) -> list[Lane]:
        mixed = keys.high ^ (keys.low * _MIX[0])
        shift = np.uint64(64 - self._bits)
        return [((mixed ^ (mixed >> np.uint64(29))) * one) >> shift for one in _MIX]


_MIX = [np.uint64(number) for number in (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93)]
