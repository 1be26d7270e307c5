"""Sketches are near the truth, and exact while values are few."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flow_singer.looking.sketches import DistinctSketch, QuantileSketch, spread


@pytest.mark.parametrize("count", [1, 50, 3_000, 200_000])
def test_distinct_values_within_five_percent(count: int) -> None:
    sketch = DistinctSketch()
    values = np.arange(count, dtype=np.uint64)
    for start in range(0, count, 7_000):
        sketch.take(spread(values[start : start + 7_000]))
        sketch.take(spread(values[: start + 1]))  # values that came before count once
    assert abs(sketch.count() - count) <= max(0.05 * count, 1)


def test_nothing_is_no_value() -> None:
    assert DistinctSketch().count() == 0


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200))
def test_quantiles_of_few_values_are_those_of_numpy(values: list[float]) -> None:
    sketch = QuantileSketch()
    sketch.take(np.array(values))
    parts = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    expected = np.quantile(values, parts, method="inverted_cdf")
    assert sketch.is_exact
    assert sketch.quantiles(parts).tolist() == expected.tolist()
    assert (sketch.low, sketch.high, sketch.count) == (min(values), max(values), len(values))


@pytest.mark.parametrize("order", ["up", "down", "mixed"])
def test_quantiles_of_many_values_are_off_by_less_than_a_hundredth(order: str) -> None:
    count = 400_000
    values = np.arange(count, dtype=np.float64)
    if order == "down":
        values = values[::-1].copy()
    elif order == "mixed":
        values = np.random.default_rng(1).permutation(values)
    sketch = QuantileSketch()
    for start in range(0, count, 5_000):
        sketch.take(values[start : start + 5_000])
    assert not sketch.is_exact
    parts = np.array([0.05, 0.25, 0.5, 0.75, 0.95])
    assert np.abs(sketch.quantiles(parts) / count - parts).max() < 0.01
    histogram = sketch.histogram(20)
    assert abs(int(histogram.sum()) - count) < 20
    assert np.abs(histogram / count - 0.05).max() < 0.01
    kept = sum(len(one) for level in sketch._levels for one in level)
    assert kept < 100_000
