"""Cells are read as what they are: an instant to the microsecond, and what was cut off is known."""

from __future__ import annotations

import pyarrow as pa
import pytest

from flow_singer.checks.cellvalues import beyond_instant, instant_of, instants
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT

DAY = 86_400_000_000
SECOND = 1_000_000


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-02", DAY),
        ("1970-01-01T00:00:01Z", SECOND),
        ("1970-01-01 00:00:01", SECOND),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T22:00:00-0200", 0),
        ("1970-01-01T05:45:00.5+05:45", SECOND // 2),
        ("0001-01-01T00:00:00+02:00", -62_135_596_800 * SECOND - 7_200 * SECOND),
        ("0000-01-01", None),
        ("2026-02-30T00:00:00Z", None),
        ("1970-01-01T24:00:00Z", None),
        ("1970-01-01T00:00:00+24:00", None),
        ("1970-01-01T00:00Z", None),
        ("", None),
    ],
)
def test_one_by_one_or_all_at_once_an_instant_is_the_same(text: str, microseconds: int | None) -> None:
    assert instant_of(text) == (None if microseconds is None else (microseconds, False))
    alone = instants(Column(pa.array([text, None], TEXT), as_json=False))
    among = instants(
        Column(pa.array([text, "1970-01-01T00:00:00", "soon", "1970-01-01T00:00:00Z"], TEXT), as_json=False)
    )
    for read in (alone, among):
        assert read.known[:2].tolist()[0] == (microseconds is not None)
        assert read.microseconds[0] == (microseconds or 0)
    assert not alone.known[1]


def test_what_is_finer_than_a_microsecond_is_above_it() -> None:
    texts = ["1970-01-01T00:00:00.0000001Z", "1970-01-01T00:00:00.0000000Z", "1970-01-01T00:00:00Z"]
    read = instants(Column(pa.array(texts, TEXT), as_json=False))
    assert beyond_instant(read, 0, above=True).tolist() == [True, False, False]
    assert not beyond_instant(read, 0, above=False).any()


def test_texts_in_json_are_read_too() -> None:
    read = instants(Column(pa.array(['"1970-01-02"', "1", None], TEXT), as_json=True))
    assert read.known.tolist() == [True, False, False]
    assert read.microseconds[0] == DAY
