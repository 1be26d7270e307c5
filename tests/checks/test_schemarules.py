"""What a SCHEMA says of records, against jsonschema, which goes through them one by one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal, localcontext
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judging import batches, stream_schema
from strategies import DEFINITIONS, PROPERTIES

from flow_singer.checks.checkset import Checks
from flow_singer.checks.checksink import CheckSink
from flow_singer.checks.schemarules import schema_rules, unread_patterns
from flow_singer.singer.schema import StreamSchema

# JSON knows one kind of numbers: 1.0 is an integer. No value is rounded on its way into the judge.
TYPES = jsonschema.Draft202012Validator.TYPE_CHECKER.redefine_many(
    {
        "integer": lambda _, value: isinstance(value, Decimal) and value == value.to_integral_value(),
        "number": lambda _, value: isinstance(value, Decimal),
        "string": lambda _, value: isinstance(value, str),
    }
)
Judge = jsonschema.validators.extend(jsonschema.Draft202012Validator, type_checker=TYPES)


def exact(text: str) -> Any:
    return json.loads(text, parse_float=Decimal, parse_int=Decimal)


def broken(schema: StreamSchema, rows: list[dict[str, str]]) -> set[int]:
    """Positions of rows that do not fit, or break a rule."""
    rules = schema_rules(schema)
    fits = [place for place, row in enumerate(rows) if batches(schema, [row], 1)[0].count]
    found = set(range(len(rows))) - set(fits)
    for batch in batches(schema, [rows[place] for place in fits], 100):
        for rule in rules:
            if (bad := rule.bad(batch)) is not None:
                found |= {fits[row] for row in bad.nonzero()[0].tolist()}
    return found


def broken_slowly(schema: Mapping[str, Any], rows: list[dict[str, str]]) -> set[int]:
    judge = Judge(exact(json.dumps(schema)))
    records = [{name: exact(text) for name, text in row.items()} for row in rows]
    with localcontext(prec=100):
        return {place for place, one in enumerate(records) if not judge.is_valid(one)}


BOUND = st.sampled_from([0, 1, -1.5, 2**53 + 1, 0.1, 10**30])
NUMBER_WORDS = st.fixed_dictionaries(
    {},
    optional={
        "minimum": BOUND,
        "maximum": BOUND,
        "exclusiveMinimum": BOUND,
        "exclusiveMaximum": BOUND,
        "multipleOf": st.sampled_from([1, 2, 0.5]),
    },
)
TEXT_WORDS = st.fixed_dictionaries(
    {},
    optional={
        "minLength": st.integers(0, 3),
        "maxLength": st.integers(0, 3),
        "pattern": st.sampled_from(["^a", "b", "^.$"]),
    },
)
SMALL_NUMBERS = st.sampled_from(
    [
        "0",
        "1",
        "-1.5",
        "1.0",
        "2",
        "3e0",
        "0.5",
        "0.1",
        str(2**53),
        str(2**53 + 1),
        str(10**30),
        "1e30",
        "0.25",
    ]
)
WHOLE = st.sampled_from(["0", "1", "-2", "1.0", "2", "3e0", str(2**53 + 1), str(10**30)])
TEXTS = st.text("ab\n\U0001f600", max_size=4).map(json.dumps)


@st.composite
def cases(draw: st.DrawFn) -> tuple[dict[str, Any], st.SearchStrategy[str]]:
    kind = draw(
        st.sampled_from(["integer", "number", "string", "boolean", "mixed", "any", "array", "object"])
    )
    null = draw(st.booleans())
    if kind in ("integer", "number"):
        made = {"type": kind, **draw(NUMBER_WORDS)}
        values = WHOLE if kind == "integer" else SMALL_NUMBERS
    elif kind == "string":
        made, values = {"type": "string", **draw(TEXT_WORDS)}, TEXTS
    elif kind == "boolean":
        made, values = {"type": "boolean"}, st.sampled_from(["true", "false"])
    elif kind == "mixed":
        made = {"type": ["integer", "string"], **draw(NUMBER_WORDS)}
        values = WHOLE | SMALL_NUMBERS | TEXTS | st.sampled_from(["[]", "{}", "true"])
    else:
        made = {} if kind == "any" else {"type": kind}
        values = TEXTS | SMALL_NUMBERS | st.sampled_from(["[]", '{"a": 1}', "[1,2]", "true"])
    if null and "type" in made:
        made["type"] = ["null", *([made["type"]] if isinstance(made["type"], str) else made["type"])]
    if draw(st.booleans()):
        allowed = draw(st.lists(values, min_size=1, max_size=3)) + (["null"] if null else [])
        made["enum"] = [json.loads(text) for text in allowed]
    return made, values


@settings(max_examples=600)
@given(cases(), st.booleans(), st.data())
def test_the_same_rows_are_found_as_one_by_one(
    case: tuple[dict[str, Any], st.SearchStrategy[str]], required: bool, data: st.DataObject
) -> None:
    made, values = case
    word = {"required": ["c"]} if required else {}
    rows = [
        {} if text is None else {"c": text}
        for text in data.draw(st.lists(values | st.sampled_from(["null", None]), max_size=10))
    ]
    message = {
        "type": "SCHEMA",
        "stream": "s",
        "schema": {"properties": {"c": made}, **word},
        "key_properties": [],
    }
    assert broken(StreamSchema(message), rows) == broken_slowly(message["schema"], rows)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", sorted(set(PROPERTIES) - {"true", "array", "one of", "numeric", "cents"}))
@given(st.data())
def test_no_property_of_a_tap_is_taken_for_broken_that_is_not(name: str, data: st.DataObject) -> None:
    property_, _, values = PROPERTIES[name]
    rows = [{"c": text} for text in data.draw(st.lists(values, max_size=6))]
    schema = stream_schema({"c": property_})
    kind = schema.properties["c"].kind
    if kind in ("date", "date-time", "decimal-text") or name in ("time", "duration"):
        return  # their formats are below
    slow = {"properties": {"c": property_}, "definitions": DEFINITIONS}
    assert broken(schema, rows) == broken_slowly(slow, rows)


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        (
            "date",
            ["2024-02-29", "0001-01-01"],
            ["2023-02-29", "2026-1-1", "", "2026-01-01T00:00:00Z", "0000-01-01"],
        ),
        (
            "date-time",
            ["2026-01-01T00:00:00Z", "2026-01-01 00:00:00.5", "2026-01-01T00:00:00.1234567+02:00"],
            ["2026-01-01", "yesterday", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00+24:00"],
        ),
        ("time", ["00:00:00", "23:59:60Z", "12:30:00.5+02:00"], ["24:00:00", "noon", ""]),
        ("duration", ["P1DT2H", "P1W", "PT0.5S", "P1Y2M"], ["P", "PT", "1 day", "", "P1S"]),
        ("uuid", ["12345678-1234-1234-1234-123456789abc"], ["12345678", ""]),
        ("email", ["a@b", "a.b@c.org"], ["a", "a@", "@b", "a b@c"]),
        ("uri", ["https://x.org/a?b", "mailto:a@b"], ["x.org", "//x", "a b:c"]),
        ("ipv4", ["127.0.0.1", "255.255.255.0"], ["256.0.0.1", "1.2.3"]),
        ("singer.decimal", ["1.10", "-.5", "1e5"], ["n/a", "", "1_000", "\u0663"]),
        ("made-up", ["anything"], []),
    ],
)
def test_formats(form: str, good: list[str], bad: list[str]) -> None:
    schema = stream_schema({"c": {"type": "string", "format": form}})
    rows = [{"c": json.dumps(text)} for text in [*good, *bad]]
    assert broken(schema, rows) == set(range(len(good), len(rows)))
    for row in rows:  # alone, it is read all at once
        assert bool(broken(schema, [row])) is (row in rows[len(good) :])


@pytest.mark.parametrize(
    ("types", "bad"),
    [
        (["integer", "string"], {0, 3, 4}),
        (["number", "object"], {2, 3}),
        (["array", "boolean"], {0, 1, 2, 4}),
        (["null", "array", "string", "number"], set()),
    ],
)
def test_values_of_another_type_than_those_allowed(types: list[str], bad: set[int]) -> None:
    rows = [{"c": text} for text in ("0.5", "1.0", '"x"', "[]", "-1.5")]
    if "object" in types:
        rows.append({"c": "{}"})
    assert broken(stream_schema({"c": {"type": types}}), rows) == bad


def test_draft_4_says_exclusive_beside_the_limit() -> None:
    schema = stream_schema({"c": {"type": "integer", "minimum": 1, "exclusiveMinimum": True}})
    assert broken(schema, [{"c": "1"}, {"c": "2"}]) == {0}


def test_keys_that_a_schema_forbids_are_found() -> None:
    message = {"stream": "s", "schema": {"properties": {"a": {}}, "additionalProperties": False}}
    assert broken(StreamSchema(message), [{"a": "1"}, {"a": "1", "b": "2"}, {"b": "null"}]) == {1, 2}


def test_a_pattern_of_another_engine_is_told() -> None:
    schema = stream_schema({"c": {"type": "string", "pattern": "^(?!x)"}})
    assert broken(schema, [{"c": '"x"'}]) == set()
    assert [(name, pattern) for name, pattern, _ in unread_patterns(schema)] == [("c", "^(?!x)")]
    sink = CheckSink(Checks([], judges=True), repeated_keys="warn")
    sink.schema(schema)
    assert "not looked for, as it is none of RE2" in next(iter(sink.notes))


def test_a_schema_that_comes_again_keeps_what_was_seen() -> None:
    sink = CheckSink(Checks([], judges=True), repeated_keys="raise")
    for words in ({}, {"maximum": 5}, {"maximum": 5, "title": "x"}):
        schema = stream_schema({"id": {"type": "integer", **words}}, ["id"])
        sink.schema(schema)
        for batch in batches(schema, [{"id": "7"}], 1):
            sink.batch(batch)
    assert sorted(one.sentence() for one in sink.findings) == [
        "Stream 's', column 'id': 2 rows break key unique: row 2 (7), row 3 (7).",
        "Stream 's', column 'id': 2 rows break maximum 5: row 2 (7), row 3 (7).",
    ]
