"""Two SCHEMAs of one stream: what is other, and which values only the newer one allows."""

from __future__ import annotations

import json
from decimal import localcontext
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import batches, stream_schema
from test_schemarules import SMALL_NUMBERS, TEXTS, WHOLE, Judge, cases, exact

from flow_singer.checks.contract import compare_schemas, hold_to, misfits
from flow_singer.checks.contractchoice import CONTRACTS, Contract
from flow_singer.errors import DataError


def kinds(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one.column, one.kind) for one in compare_schemas(stream_schema(before), stream_schema(after))]


INTEGER = {"type": "integer"}


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (INTEGER, INTEGER, None),
        (INTEGER, {"type": "integer", "title": "Number"}, None),
        (INTEGER, {"type": ["integer"]}, None),
        (
            {"type": "object", "properties": {"title": {"type": "string", "description": "old"}}},
            {"type": "object", "properties": {"title": {"type": "string", "description": "new"}}},
            None,
        ),
        (
            {"type": "object", "properties": {"title": {"type": "string"}}},
            {"type": "object", "properties": {"name": {"type": "string"}}},
            "changed",
        ),
        ({"type": "array", "items": {"title": "a"}}, {"type": "array", "items": {"title": "b"}}, None),
        (INTEGER, {"type": "number"}, "widened"),
        (INTEGER, {"type": ["null", "integer"]}, "widened"),
        (INTEGER, {}, "widened"),
        (INTEGER, {"type": ["integer", "string"]}, "widened"),
        (INTEGER, {"type": "integer", "minimum": 1}, "narrowed"),
        (INTEGER, {"type": "string"}, "changed"),
        (INTEGER, {"anyOf": [{"type": "integer"}, {"type": "null"}]}, "changed"),
        ({"type": "integer", "minimum": 1}, {"type": "integer", "exclusiveMinimum": 0}, "widened"),
        ({"type": "integer", "maximum": 9}, {"type": "integer", "exclusiveMaximum": 9}, "narrowed"),
        ({"type": "string"}, {"type": "string", "format": "date"}, "narrowed"),
        ({"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}, "widened"),
        ({"type": "string", "maxLength": 5}, {"type": "string", "maxLength": 9}, "widened"),
        ({"enum": ["a"]}, {"enum": ["a", "b"]}, "widened"),
        ({"enum": ["a"]}, {"enum": ["b"]}, "changed"),
        ({"enum": [1]}, {"enum": [True]}, "changed"),
        ({"const": "a"}, {"enum": ["a", "b"]}, "widened"),
        ({"$ref": "#/definitions/whole"}, {"type": ["null", "integer"]}, None),
    ],
)  # fmt: skip
def test_a_column_is_told_for_what_it_is(
    before: dict[str, Any], after: dict[str, Any], kind: str | None
) -> None:
    assert kinds({"c": before}, {"c": after}) == ([] if kind is None else [("c", kind)])
    back = {None: None, "widened": "narrowed", "narrowed": "widened", "changed": "changed"}[kind]
    assert kinds({"c": after}, {"c": before}) == ([] if back is None else [("c", back)])


def test_columns_come_and_go() -> None:
    assert kinds({"a": INTEGER, "b": INTEGER}, {"c": INTEGER, "b": INTEGER}) == [
        ("c", "added"),
        ("a", "removed"),
    ]


CANDIDATES = ["null", "0", "1", "-1.5", "2", "0.1", "1e30", '"a"', '"ab"', '""', "true", "[]", "{}", '"b"']


@settings(max_examples=400)
@given(cases(), cases(), st.lists(SMALL_NUMBERS | TEXTS | WHOLE, max_size=6))
def test_what_only_widened_allows_all_that_was_allowed(one: Any, other: Any, more: list[str]) -> None:
    before, after = one[0], other[0]
    found = kinds({"c": before}, {"c": after})
    kind = found[0][1] if found else None
    with localcontext(prec=100):
        judges = [Judge(exact(json.dumps(schema))) for schema in (before, after)]
        allowed = [[judge.is_valid(exact(text)) for text in [*CANDIDATES, *more]] for judge in judges]
    lost = any(old and not new for old, new in zip(*allowed, strict=True))
    won = any(new and not old for old, new in zip(*allowed, strict=True))
    if kind in (None, "widened"):
        assert not lost
    if kind in (None, "narrowed"):
        assert not won


@settings(max_examples=400)
@given(cases(), cases(), st.data())
def test_misfits_are_the_values_that_the_former_schema_does_not_allow(
    one: Any, other: Any, data: st.DataObject
) -> None:
    before, after = stream_schema({"c": one[0]}), stream_schema({"c": other[0]})
    rows = [{"c": text} for text in data.draw(st.lists(other[1] | one[1], max_size=8))]
    rows = [row for row in rows if batches(after, [row], 1)[0].count]
    judge = Judge(exact(json.dumps(one[0])))
    with localcontext(prec=100):
        bad = [not judge.is_valid(exact(row["c"])) for row in rows]
    for batch in batches(after, rows, 100):
        found = misfits(batch, before)
        assert ("c" in found) is any(bad)
        if any(bad):
            assert found["c"].tolist() == bad


def test_of_a_column_that_is_new_every_value_is_a_misfit() -> None:
    before, after = stream_schema({"a": INTEGER}), stream_schema({"a": INTEGER, "b": {}})
    (batch,) = batches(after, [{"a": "1", "b": "2"}, {"a": "1"}, {"a": "1", "b": "null", "x": "3"}], 3)
    assert {name: mask.tolist() for name, mask in misfits(batch, before).items()} == {
        "b": [True, False, False],
        "x": [False, False, True],
    }


@pytest.mark.parametrize("contract", CONTRACTS)
def test_only_freeze_refuses(contract: Contract) -> None:
    changes = compare_schemas(
        stream_schema({"a": INTEGER, "c": INTEGER}), stream_schema({"a": {"type": "number"}, "b": {}})
    )
    if contract != "freeze":
        hold_to(contract, "s", changes)
        return
    with pytest.raises(DataError) as caught:
        hold_to(contract, "s", changes)
    assert caught.value.message == (
        "The SCHEMA of stream 's' is other than that of what is there: column 'a' widened: integer → number; "
        "column 'b' added (any, null); column 'c' removed (integer)."
    )


def test_freeze_lets_a_column_allow_less() -> None:
    changes = compare_schemas(
        stream_schema({"a": {}, "b": INTEGER}), stream_schema({"a": INTEGER, "b": INTEGER})
    )
    assert [one.kind for one in changes] == ["narrowed"]
    hold_to("freeze", "s", changes)
    assert changes[0].sentence() == "column 'a' narrowed: any, null → integer"
