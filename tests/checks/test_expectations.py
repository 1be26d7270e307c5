"""What is expected reads as it is written, and a slip of the pen is told with its place."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from flow_singer.checks.expectations import WORDS, Expectation, duration_of, limit_of, read_expectations
from flow_singer.errors import ConfigError


def read(entry: Any) -> list[Expectation]:
    return read_expectations("issues", entry, lambda key: f"meltano.yml, line 7 ({key})")


def test_every_word_is_read() -> None:
    found = read(
        {
            "columns": ["id", "state"],
            "columns_exact": True,
            "min_rows": 1,
            "max_rows": 9,
            "unique": [["id"], ["a", "b"]],
            "not_null": "id",
            "minimum": {"id": 1},
            "maximum": {"at": date(2026, 1, 1)},
            "enum": {"state": ["open", None]},
            "pattern": {"email": "@"},
            "references": {"user_id": "app.users.id"},
            "freshness": {"at": "24h"},
        }
    )
    assert [(one.word, one.columns, one.value) for one in found] == [
        ("columns", ("id", "state"), None),
        ("columns_exact", ("id", "state"), None),
        ("min_rows", (), 1),
        ("max_rows", (), 9),
        ("unique", ("id",), None),
        ("unique", ("a", "b"), None),
        ("not_null", ("id",), None),
        ("minimum", ("id",), Decimal(1)),
        ("maximum", ("at",), "2026-01-01"),
        ("enum", ("state",), ("open", None)),
        ("pattern", ("email",), "@"),
        ("references", ("user_id",), ("app.users", "id")),
        ("freshness", ("at",), 86_400),
    ]
    assert {one.word for one in found} == set(WORDS)
    assert {one.on_failure for one in found} == {"raise"}


def test_each_entry_of_a_list_has_its_own_way_to_fail() -> None:
    found = read([{"not_null": ["id"]}, {"unique": ["a", "b"], "on_failure": "drop"}])
    assert [(one.title, one.on_failure) for one in found] == [
        ("not_null", "raise"),
        ("unique (a, b)", "drop"),
    ]


@pytest.mark.parametrize(
    ("entry", "said", "hint"),
    [
        ({"not_nul": ["id"]}, "(not_nul): unknown expectation 'not_nul' of stream 'issues'.", "Did you mean not_null?"),
        ({"x": 1}, "unknown expectation 'x'", "There are: columns, "),
        ({"not_null": [1]}, "'not_null' of stream 'issues' is not a list of columns.", "validate.md"),
        ({"min_rows": -1}, "is not a whole number from 0 on", ""),
        ({"min_rows": True}, "is not a whole number from 0 on", ""),
        ({"minimum": 3}, "does not say it by column", ""),
        ({"minimum": {"id": "soon"}}, "has 'soon' for column 'id', which is no number, date or date-time", ""),
        ({"minimum": {"id": float("nan")}}, "which is no number", ""),
        ({"enum": {"id": []}}, "has no list of values for column 'id'", ""),
        ({"pattern": {"id": 3}}, "has no text for column 'id'", ""),
        ({"references": {"id": "users"}}, "has 'users' for column 'id', which is not STREAM.COLUMN", ""),
        ({"freshness": {"at": 24}}, "has 24 for column 'at', which is no time such as 90m", ""),
        ({"columns_exact": True}, "goes with columns", ""),
        ({"not_null": "id", "on_failure": "drp"}, "on_failure of stream 'issues' is 'drp'.", "Did you mean drop?"),
        ({"min_rows": 1, "on_failure": "drop"}, "is not for 'min_rows', which is not about single rows", "- min_rows: ..."),
        ({"not_null": "id", "on_failure": "clear"}, "which does not hold of an empty cell either", "of its own"),
        ({"unique": ["a", "b"], "on_failure": "clear"}, "none of them can be cleared", ""),
        ([3], "is int.", "not_null: [id]"),
    ],
)  # fmt: skip
def test_a_mistake_is_told(entry: Any, said: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(entry)
    assert caught.value.message.startswith("meltano.yml, line 7")
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("value", "limit"),
    [
        (2**64 + 1, Decimal(2**64 + 1)),
        (0.1, Decimal("0.1")),
        ("0.1000000000000000000001", Decimal("0.1000000000000000000001")),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        (True, None),
        (float("inf"), None),
        ("x", None),
    ],
)
def test_a_limit_keeps_its_digits(value: object, limit: object) -> None:
    assert limit_of(value) == limit


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90m", 5400), ("1.5h", 5400), ("7d", 604_800), ("2w", 1_209_600), ("5s", 5), ("5", None), ("h", None)],
)
def test_a_duration_is_a_number_and_a_unit(text: str, seconds: float | None) -> None:
    assert duration_of(text) == seconds
