"""What is said of a stream as a whole, and when nothing that is to come can change it."""

from __future__ import annotations

from typing import Any

import pytest
from judging import NOW, batches, expected, judged, stream_schema

from flow_singer.checks.checkset import BrokenExpectationError, Checks

ID = stream_schema(
    {"id": {"type": ["null", "integer"]}, "at": {"type": ["null", "string"], "format": "date-time"}}
)


def rows(*days: str) -> list[dict[str, str]]:
    return [{"id": str(number), "at": f'"{day}T00:00:00Z"'} for number, day in enumerate(days)]


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"min_rows": 3}, "min_rows 3: there are 2"),
        ({"max_rows": 1}, "max_rows 1: there are 2"),
        ({"columns": ["id", "name"]}, "columns: there is no 'name'"),
        ({"columns": ["id"], "columns_exact": True}, "columns_exact: there is 'at', too"),
        ({"freshness": {"at": "24h"}}, "freshness 1d: the newest value is 48.0 hours old"),
        ({"min_rows": 2, "max_rows": 2, "columns": ["at"], "freshness": {"at": "2d"}}, None),
    ],
)
def test_the_whole_is_judged(entry: dict[str, Any], said: str | None) -> None:
    found = judged(batches(ID, rows("2025-12-30", "2025-12-29"), 1), expected(**entry), ID)
    assert [f"{one.expectation}: {one.said}" for one in found] == ([] if said is None else [said])


def test_a_column_without_any_date_is_not_fresh() -> None:
    (finding,) = judged(batches(ID, [{"at": "null"}], 1), expected(freshness={"at": "1h"}), ID)
    assert finding.said == "there is no value"


def test_it_is_settled_as_soon_as_nothing_can_come_between() -> None:
    checks = Checks(expected(min_rows=2, freshness={"at": "2d"}), now=lambda: NOW)
    assert not checks.is_settled
    checks.schema(ID)
    for batch, settled in zip(
        batches(ID, rows("2025-12-30", "2025-12-01", "2025-12-01"), 1), (False, True, True), strict=True
    ):
        checks.look(batch)
        assert checks.is_settled is settled


def test_it_stops_at_the_row_that_is_too_many() -> None:
    checks = Checks(expected(max_rows=1))
    checks.schema(ID)
    (batch,) = batches(ID, rows("2025-12-30", "2025-12-30"), 2)
    with pytest.raises(BrokenExpectationError, match="max_rows 1: there are 2"):
        checks.look(batch)


def test_a_stream_that_never_came_lacks_rows() -> None:
    checks = Checks([*expected(min_rows=1, stream="issues"), *expected(not_null="id", stream="isues")])
    checks.schema(stream_schema({"id": {"type": "integer"}}, name="issuess"))
    with pytest.raises(BrokenExpectationError, match="Stream 'issues': min_rows 1: there are 0"):
        checks.finish()
    assert any("'isues' never came" in one and "Did you mean 'issuess'?" in one for one in checks.notices())


def test_of_an_increment_nothing_is_said_but_that() -> None:
    words = [*expected(min_rows=5), *expected(references={"id": "other.id"})]
    checks = Checks(words, resumed=["s", "other"])
    checks.schema(ID)
    checks.look(batches(ID, rows("2025-12-30"), 1)[0])
    assert checks.is_settled
    checks.finish()
    checks.close()
    assert checks.notices() == [
        "Stream 's' goes on from a bookmark and brings only what is new: min_rows not looked at.",
        "Stream 'other' goes on from a bookmark and brings only what is new: references of stream 's' not looked at.",
    ]


@pytest.mark.parametrize("on_failure", ["raise", "warn"])
def test_a_reference_that_only_warns_holds_nothing_up(on_failure: str) -> None:
    checks = Checks(expected(references={"id": "other.id"}, on_failure=on_failure))
    checks.schema(ID)
    checks.look(batches(ID, rows("2025-12-30"), 1)[0])
    assert checks.is_settled is (on_failure == "warn")
    checks.close()


def test_a_stream_that_is_referred_to_must_come() -> None:
    checks = Checks(expected(references={"id": "other.id"}))
    checks.schema(ID)
    with pytest.raises(BrokenExpectationError, match="stream 'other' never came"):
        checks.finish()
