"""Profiles of columns against what plain Python finds."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_singer.looking.columnprofile import ColumnProfile
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder


def profile(one: dict[str, Any], texts: list[str | None], *, size: int = 3) -> dict[str, Any]:
    """The profile of a column of these JSON texts; None is an absent key."""
    schema = StreamSchema({"type": "SCHEMA", "stream": "s", "schema": {"properties": {"v": one}}})
    found = ColumnProfile(schema.properties["v"])
    decoder = RecordDecoder(schema)
    for start in range(0, len(texts), size):
        some = texts[start : start + size]
        rows = ["{}" if text is None else f'{{"v":{text}}}' for text in some]
        lines = "".join(f'{{"type":"RECORD","stream":"s","record":{row}}}\n' for row in rows)
        found.take(decoder.decode([Part(lines.encode(), [(start + 1, len(some))])]).columns["v"])
    return found.to_json()


INTEGER: dict[str, Any] = {"type": ["null", "integer"]}
NUMBER: dict[str, Any] = {"type": ["null", "number"]}
TEXT: dict[str, Any] = {"type": ["null", "string"]}
STAMP: dict[str, Any] = {"type": ["null", "string"], "format": "date-time"}
DATE: dict[str, Any] = {"type": ["null", "string"], "format": "date"}

NUMBERS = st.one_of(
    st.integers(-(2**70), 2**70).map(str),
    st.decimals(-(10**6), 10**6, places=3).map(lambda one: format(one, "f")),
)


@settings(max_examples=80)
@given(st.lists(NUMBERS | st.none() | st.just("null"), max_size=30))
def test_numbers(texts: list[str | None]) -> None:
    found = profile(NUMBER, texts)
    present = [text for text in texts if text not in (None, "null")]
    assert (found["values"], found["nulls"]) == (len(present), len(texts) - len(present))
    assert found["distinct"] == {"count": len(set(present)), "exact": True}
    if not present:
        assert (found["min"], found["mean"], found["quantiles"], found["histogram"]) == (None,) * 4
        return
    exact = [Decimal(str(text)) for text in present]
    assert (Decimal(found["min"]), Decimal(found["max"])) == (min(exact), max(exact))
    assert found["mean"] == pytest.approx(float(sum(exact) / len(exact)), rel=1e-9, abs=1e-6)
    assert {one["value"]: one["count"] for one in found["common"]}.items() <= Counter(present).items()


def test_whole_numbers_past_a_double_keep_their_digits() -> None:
    found = profile(INTEGER, ["9007199254740993", "9007199254740992", str(2**64 + 1), str(2**64)])
    assert (found["min"], found["max"]) == ("9007199254740992", str(2**64 + 1))


def test_the_spread_of_numbers() -> None:
    values = [*range(1, 101)]
    found = profile(INTEGER, [str(one) for one in values], size=7)
    assert found["mean"] == statistics.fmean(values)
    assert found["quantiles"] == {"5": "5", "25": "25", "50": "50", "75": "75", "95": "95"}
    assert found["histogram"] == {"low": "1", "high": "100", "counts": [5] * 20, "kind": "number"}
    assert found["common_exact"]
    assert found["quantiles_exact"]


def test_texts_have_lengths_and_common_values() -> None:
    found = profile(TEXT, ['"a"', '"bb"', '"a"', "null", '"ccc"', '""'])
    assert found["lengths"] == {"min": 0, "max": 3, "mean": 7 / 5}
    assert found["common"][0] == {"value": "a", "count": 2}
    assert (found["min"], found["quantiles"]) == (None, None)


def test_instants_are_in_order_whatever_their_offset() -> None:
    texts = ["2024-01-01T00:00:00+02:00", "2023-12-31T23:00:00Z", "2024-01-01T00:00:00.5Z", "no date"]
    found = profile(STAMP, [json.dumps(text) for text in texts])
    assert (found["min"], found["max"]) == (texts[0], texts[2])
    assert found["quantiles"]["50"] == "2023-12-31T23:00:00Z"
    assert found["histogram"]["kind"] == "time"


def test_dates() -> None:
    found = profile(DATE, ['"2024-01-31"', '"2024-01-01"', '"2024-02-29"'])
    assert (found["min"], found["max"], found["quantiles"]["50"]) == (
        "2024-01-01",
        "2024-02-29",
        "2024-01-31",
    )


def test_objects_are_told_apart_by_their_text() -> None:
    found = profile({"type": ["null", "object"]}, ['{"a":1}', '{"a":1}', '{"a":2}'])
    assert found["distinct"] == {"count": 2, "exact": True}
    assert found["common"][0] == {"value": '{"a":1}', "count": 2}


def test_many_values_are_counted_by_a_sketch_and_said_so() -> None:
    found = profile(INTEGER, [str(one) for one in range(30_000)], size=5_000)
    assert not found["distinct"]["exact"]
    assert abs(found["distinct"]["count"] - 30_000) < 1_500
    assert found["common"] == []


def test_a_value_that_is_common_among_many_is_found() -> None:
    texts = [str(one) if one % 2 else "7" for one in range(40_000)]
    found = profile(INTEGER, texts, size=5_000)
    assert found["common"][0]["value"] == "7"
    assert abs(found["common"][0]["count"] - 20_001) < 10
    assert not found["common_exact"]


def test_long_texts_are_not_kept_whole() -> None:
    long = json.dumps("x" * 100_000)
    found = profile(TEXT, [long, long, '"y"'])
    assert found["common"][0]["count"] == 2
    assert len(found["common"][0]["value"]) < 300
    assert found["lengths"]["max"] == 100_000
