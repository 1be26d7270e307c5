"""Keys that came before are told, in memory and in files."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from flow_singer.checks.seenkeys import Keys, SeenKeys

NUMBERS = st.integers(0, 6) | st.sampled_from([2**63, 2**64 - 1])


def keys(pairs: list[tuple[int, int]]) -> Keys:
    return Keys(
        np.array([one[0] for one in pairs], dtype=np.uint64),
        np.array([one[1] for one in pairs], dtype=np.uint64),
    )


@given(st.lists(st.lists(st.tuples(NUMBERS, NUMBERS), max_size=8), max_size=12), st.integers(1, 12))
def test_each_key_is_new_once(calls: list[list[tuple[int, int]]], run_keys: int) -> None:
    seen = SeenKeys(run_keys)
    known: set[tuple[int, int]] = set()
    for pairs in calls:
        assert seen.contains(keys(pairs)).tolist() == [pair in known for pair in pairs]
        repeated = seen.add(keys(pairs))
        want = []
        for pair in pairs:
            want.append(pair in known)
            known.add(pair)
        assert repeated.tolist() == want
    seen.close()


def test_many_keys_in_many_files() -> None:
    seen = SeenKeys(1_000)
    numbers = np.random.default_rng(1).permutation(20_000).astype(np.uint64)
    for start in range(0, 20_000, 700):
        part = numbers[start : start + 700] * np.uint64(0x9E3779B97F4A7C15)
        assert not seen.add(Keys(part, numbers[start : start + 700])).any()
    assert seen.contains(Keys(numbers * np.uint64(0x9E3779B97F4A7C15), numbers)).all()
    assert not seen.contains(Keys(numbers * np.uint64(0x9E3779B97F4A7C15), numbers + np.uint64(1))).any()
    seen.close()
