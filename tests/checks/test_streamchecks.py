"""Each expectation of rows, against the same said in slow, plain Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from judging import NOW, batches, expected, judged, rows_of, stream_schema
from strategies import PROPERTIES

from flow_singer.checks.checkset import BrokenExpectationError, Checks
from flow_singer.checks.expectations import Expectation, limit_of
from flow_singer.checks.findings import Finding
from flow_singer.checks.streamchecks import Verdict
from flow_singer.errors import DataError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch

# ------------------------------------------------------------------------------------ the slow judges


def number_of(kind: str, value: object) -> Decimal | None:
    if kind == "decimal-text":
        fits = isinstance(value, str) and re.fullmatch(
            r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value
        )
        return Decimal(str(value)) if fits else None
    return value if isinstance(value, Decimal) else None


def instant_of(value: object) -> Fraction | None:
    """Seconds since the year 1."""
    found = re.fullmatch(
        r"(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-](?:[01]\d|2[0-3]):?[0-5]\d)?)?",
        str(value),
        re.ASCII,
    )
    if found is None:
        return None
    day, clock, fraction, zone = found.groups()
    try:
        moment = datetime.strptime(f"{day} {clock or '00:00:00'}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    seconds = Fraction((moment - datetime(1, 1, 1, tzinfo=UTC)) // timedelta(seconds=1))
    if zone and zone != "Z":
        sign = -1 if zone[0] == "+" else 1
        seconds += sign * (int(zone[1:3]) * 3600 + int(zone[-2:]) * 60)
    return seconds + Fraction((fraction and f"0{fraction}") or 0)


def breaks_limit(kind: str, value: object, limit: Decimal | str, *, above: bool) -> bool:
    if isinstance(limit, Decimal):
        number = number_of(kind, value)
        return number is None or (number > limit if above else number < limit)
    seconds, edge = instant_of(value), instant_of(limit)
    assert edge is not None
    return seconds is None or (seconds > edge if above else seconds < edge)


def canonical(value: object) -> object:
    """Equal for values that are equal in JSON."""
    if isinstance(value, bool) or value is None:
        return ("word", value)
    if isinstance(value, dict):
        return ("object", frozenset((key, canonical(one)) for key, one in value.items()))
    if isinstance(value, list):
        return ("array", tuple(map(canonical, value)))
    return ("number", value) if isinstance(value, Decimal) else ("text", value)


KINDS_OF_LIMITS = (
    "integer",
    "number",
    "cents",
    "decimal",
    "union",
    "any",
    "stamp",
    "good stamp",
    "date",
    "time",
)
SMALL = sorted(set(PROPERTIES) - {"true"})


@st.composite
def columns(draw: st.DrawFn, names: Sequence[str]) -> tuple[str, StreamSchema, list[Batch]]:
    name = draw(st.sampled_from(list(names)))
    property_, _, values = PROPERTIES[name]
    schema = stream_schema({"c": property_})
    texts = draw(st.lists(values | st.just("null"), max_size=12))
    if texts:
        texts += draw(st.lists(st.sampled_from(texts), max_size=4))
    absent = draw(st.lists(st.booleans(), min_size=len(texts), max_size=len(texts)))
    rows = [
        {} if gone and draw(st.booleans()) else {"c": text} for text, gone in zip(texts, absent, strict=True)
    ]
    return name, schema, batches(schema, rows, draw(st.integers(1, 6)))


def compare(found: list[Finding], rows: Sequence[dict[str, Any]], breaks: Callable[[Any], bool]) -> None:
    bad = [number for number, row in enumerate(rows, 1) if breaks(row.get("c"))]
    assert sum(one.count for one in found) == len(bad)
    assert [row for one in found for row, _ in one.examples] == bad[:3]


@given(columns(SMALL))
def test_not_null_is_broken_by_null_and_by_a_key_that_is_not_there(
    made: tuple[str, StreamSchema, list[Batch]],
) -> None:
    _, schema, found = made
    compare(judged(found, expected(not_null=["c"]), schema), rows_of(found), lambda value: value is None)


LIMITS = st.sampled_from(
    [
        0,
        1,
        -1,
        2**53,
        2**53 + 1,
        2**63,
        -(2**63) - 1,
        2**64,
        1.5,
        -0.5,
        0.1,
        "0.30000000000000004",
        "1e400",
        "12.345",
    ]
)
DATES = st.sampled_from(
    [
        "2026-01-01",
        "0001-01-01",
        "9999-12-31",
        "2026-01-01T00:00:00Z",
        "2026-01-01T02:00:00+05:30",
        "2025-12-31T23:59:59.5",
    ]
)


@pytest.mark.parametrize("name", KINDS_OF_LIMITS)
@given(st.booleans(), LIMITS, DATES, st.data())
def test_limits_are_exact(name: str, above: bool, number: Any, day: str, data: st.DataObject) -> None:
    _, schema, found = data.draw(columns([name]))
    kind = schema.properties["c"].kind
    rows = rows_of(found)
    limit = number if kind not in ("date-time", "date", "string") else day
    values: list[Any] = [row["c"] for row in rows if isinstance(row["c"], Decimal)]
    if kind in ("date-time", "date", "string"):
        values = [row["c"] for row in rows if (at := instant_of(row["c"])) is not None and not at * 10**6 % 1]
    if values and data.draw(st.booleans()):  # the value itself, and its neighbours
        limit = data.draw(st.sampled_from(values))
        if isinstance(limit, Decimal):
            limit += data.draw(st.sampled_from([0, 1, -1, Decimal("0.5")]))
    word = "maximum" if above else "minimum"
    read = limit_of(limit)
    assert read is not None
    compare(
        judged(found, expected(**{word: {"c": limit}}), schema),
        rows,
        lambda value: value is not None and breaks_limit(kind, value, read, above=above),
    )


@given(columns(SMALL), st.data())
def test_enum_holds_numbers_by_value_and_texts_letter_by_letter(
    made: tuple[str, StreamSchema, list[Batch]], data: st.DataObject
) -> None:
    _, schema, found = made
    rows = rows_of(found)
    plain = [row["c"] for row in rows if isinstance(row["c"], Decimal | str | bool)]
    others = st.sampled_from([1, "1", 1.5, "", "a", True, 2**64, Decimal("1.50")])
    allowed = data.draw(
        st.lists(st.sampled_from(plain) | others if plain else others, min_size=1, max_size=4)
    )
    kind = schema.properties["c"].kind
    exact = [
        Decimal(repr(one)) if isinstance(one, float) else Decimal(one) if type(one) is int else one
        for one in allowed
    ]

    def breaks(value: object) -> bool:
        if value is None:
            return False
        if kind == "decimal-text" and value not in exact and any(type(one) is Decimal for one in exact):
            return number_of(kind, value) not in [one for one in exact if type(one) is Decimal]
        return canonical(value) not in map(canonical, exact)

    compare(judged(found, expected(enum={"c": allowed}), schema), rows, breaks)


PATTERNS = ["^a", "a", r"\d", r"^\d{4}-\d\d", "^$", ".", r"^[^@]+$", "0$"]


@given(columns(["text", "stamp", "date", "decimal", "union", "any", "enum"]), st.sampled_from(PATTERNS))
def test_pattern_is_looked_for_anywhere_in_a_text(
    made: tuple[str, StreamSchema, list[Batch]], pattern: str
) -> None:
    _, schema, found = made
    in_python = re.compile(pattern.replace("$", r"\Z"), re.ASCII)

    def breaks(value: object) -> bool:
        return value is not None and not (isinstance(value, str) and in_python.search(value))

    compare(judged(found, expected(pattern={"c": pattern}), schema), rows_of(found), breaks)


@given(columns(SMALL))
@example(
    (
        "any",
        stream_schema({"c": {}}),
        batches(stream_schema({"c": {}}), [{"c": '"1"'}, {"c": "1"}, {"c": "1.0"}], 1),
    )
)
def test_unique_is_broken_by_every_value_that_came_before(
    made: tuple[str, StreamSchema, list[Batch]],
) -> None:
    _, schema, found = made
    seen: set[object] = set()

    def breaks(value: object) -> bool:
        if value is None:
            return False
        before = canonical(value) in seen
        seen.add(canonical(value))
        return before

    compare(judged(found, expected(unique="c"), schema), rows_of(found), breaks)


PAIRS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "a": st.sampled_from(["1", "null", "2"]),
            "b": st.sampled_from(['"x"', '"x\\u0000"', "null", '"\\u0000x"', '"y"']),
        },
    ),
    max_size=20,
)


@given(PAIRS, st.integers(1, 5))
def test_unique_of_two_columns_is_about_both(pairs: list[dict[str, str]], size: int) -> None:
    schema = stream_schema({"a": {"type": ["null", "integer"]}, "b": {"type": ["null", "string"]}})
    found = batches(schema, pairs, size)
    seen, bad = set(), []
    for number, row in enumerate(rows_of(found), 1):
        pair = (row["a"], row["b"])
        if None not in pair and pair in seen:
            bad.append(number)
        seen.add(pair)
    findings = judged(found, expected(unique=["a", "b"]), schema)
    assert sum(one.count for one in findings) == len(bad)
    assert [row for one in findings for row, _ in one.examples] == bad[:3]


@given(
    st.lists(st.sampled_from(["1", "2", "3", "null", "1.0"]), max_size=12),
    st.lists(st.sampled_from(["1", "2", "null"]), max_size=6),
    st.lists(st.booleans(), max_size=30),
)
def test_references_are_known_whatever_comes_first(
    referring: list[str], referred: list[str], order: list[bool]
) -> None:
    schemas = {
        "s": stream_schema({"c": {"type": ["null", "number"]}}),
        "other": stream_schema({"id": {"type": ["null", "integer"]}}, name="other"),
    }
    first = batches(schemas["s"], [{"c": text} for text in referring], 2)
    second = batches(schemas["other"], [{"id": text} for text in referred], 2)
    checks = Checks(expected(references={"c": "other.id"}), judges=True)
    checks.schema(schemas["s"])
    checks.schema(schemas["other"])
    waiting = {True: list(first), False: list(second)}
    for turn in [*order, *[True] * len(first), *[False] * len(second)]:
        if waiting[turn]:
            checks.look(waiting[turn].pop(0))
    checks.finish()
    checks.close()
    known = {Decimal(text) for text in referred if text != "null"}
    bad = [
        number for number, text in enumerate(referring, 1) if text != "null" and Decimal(text) not in known
    ]
    assert sum(one.count for one in checks.findings) == len(bad)
    examples = [(row, value) for one in checks.findings for row, value in one.examples]
    assert examples == [(row, referring[row - 1]) for row in bad[:3]]


# ------------------------------------------------------------------------------------- drop and clear


def looked(
    found: Sequence[Batch], expectations: Sequence[Expectation], schema: StreamSchema
) -> list[Verdict]:
    checks = Checks(expectations, now=lambda: NOW)
    checks.schema(schema)
    verdicts = [checks.look(batch) for batch in found]
    checks.finish()
    checks.close()
    return verdicts


@given(st.lists(st.sampled_from(["null", "1", "2", "3", "4", "5"]), max_size=20), st.integers(1, 6))
def test_what_is_left_is_as_expected(texts: list[str], size: int) -> None:
    """Rows go first, then cells; only then is looked for what stops the run."""
    schema = stream_schema({"c": {"type": ["null", "integer"]}})
    found = batches(schema, [{"c": text} for text in texts], size)
    expectations = [
        *expected(minimum={"c": 2}, unique="c", on_failure="drop"),
        *expected(maximum={"c": 4}, on_failure="clear"),
        *expected(minimum={"c": 2}, maximum={"c": 4}, unique="c", on_failure="raise"),
    ]
    kept: list[str] = []
    for batch, verdict in zip(found, looked(found, expectations, schema), strict=True):
        for row in range(batch.count):
            gone = verdict.dropped is not None and bool(verdict.dropped[row])
            clear = "c" in verdict.cleared and bool(verdict.cleared["c"][row])
            assert not (gone and clear)
            assert (row in verdict.reasons) == gone
            value = batch.columns["c"].values[row].as_py()
            if not gone:
                kept.append("null" if clear or value is None else str(value))
    want, seen = [], set()
    for text in texts:
        if text == "1" or (text != "null" and text in seen):
            continue
        seen.add(text)
        want.append("null" if text == "5" else text)
    assert kept == want


def test_a_row_that_was_dropped_is_no_row_before() -> None:
    schema = stream_schema({"a": {"type": "integer"}, "b": {"type": "integer"}})
    rows = [{"a": "0", "b": "7"}, {"a": "1", "b": "7"}, {"a": "1", "b": "7"}]
    (found,) = batches(schema, rows, 3)
    drops = expected(minimum={"a": 1}, unique="b", on_failure="drop")
    (verdict,) = looked([found], [*drops, *expected(max_rows=1)], schema)
    assert verdict.dropped is not None
    assert verdict.dropped.tolist() == [True, False, True]


def test_a_bad_row_stops_the_run_and_is_named() -> None:
    schema = stream_schema({"c": {"type": ["null", "integer"]}})
    found = batches(schema, [{"c": "1"}, {}, {"c": "null"}], 10)
    with pytest.raises(BrokenExpectationError) as caught:
        looked(found, expected(not_null=["c"], minimum={"c": 2}), schema)
    assert caught.value.message == (
        "Stream 's', column 'c': 2 rows break not_null: row 2 (null), row 3 (null).\n"
        "Stream 's', column 'c': 1 row breaks minimum 2: row 1 (1)."
    )
    assert caught.value.exit_code == 65


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"not_null": ["idd"]}, "here: not_null names column 'idd', which stream 's' lacks."),
        ({"minimum": {"text": 1}}, "here: minimum 1 of column 'text' of stream 's' is for numbers"),
        (
            {"minimum": {"id": "2026-01-01"}},
            "here: minimum 2026-01-01 of column 'id' of stream 's' is for dates",
        ),
        ({"pattern": {"id": "1"}}, "here: pattern 1 of column 'id' of stream 's' is for texts"),
        ({"maximum": {"text": "2026-02-30"}}, "which is no date or date-time."),
        ({"maximum": {"id": 1}, "on_failure": "clear"}, "is not possible: it is a key."),
        ({"maximum": {"count": 1}, "on_failure": "clear"}, "is not possible: its SCHEMA allows no null."),
    ],
)
def test_an_expectation_without_a_meaning_is_refused(entry: dict[str, Any], said: str) -> None:
    schema = stream_schema(
        {"id": {"type": "integer"}, "text": {"type": "string"}, "count": {"type": "integer"}}, ["id"]
    )
    with pytest.raises(Exception, match=re.escape(said)) as caught:
        Checks(expected(**entry)).schema(schema)
    assert getattr(caught.value, "hint", None)


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "a{2000}", "["])
def test_a_pattern_that_nobody_can_look_for_is_refused(pattern: str) -> None:
    with pytest.raises(Exception, match="cannot be used") as caught:
        Checks(expected(pattern={"c": pattern}))
    assert "RE2" in getattr(caught.value, "hint", "")


def test_a_column_may_be_left_out_for_a_while() -> None:
    both = stream_schema({"id": {"type": "integer"}, "c": {"type": ["null", "integer"]}})
    less = stream_schema({"id": {"type": "integer"}})
    checks = Checks(expected(minimum={"c": 1}))
    checks.schema(both)
    checks.schema(less)
    checks.look(batches(less, [{"id": "1"}], 1)[0])
    checks.schema(both)
    (bad,) = batches(both, [{"id": "1", "c": "0"}], 1)
    with pytest.raises(DataError):
        checks.look(bad)
