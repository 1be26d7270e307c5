"""Expectations of single rows, bound to the columns of a SCHEMA: each tells which rows of a batch break it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.checks.cellvalues import (
    Mask,
    as_mask,
    beyond,
    beyond_instant,
    instant_of,
    instants,
    is_decimal,
    nulls,
    numbers,
    strings,
)
from flow_singer.checks.expectations import Expectation
from flow_singer.checks.valuekeys import json_value_text
from flow_singer.datapackage.rowkeys import number_text
from flow_singer.errors import ConfigError, DataError
from flow_singer.nearnames import did_you_mean, listed, near_names
from flow_singer.singer.schema import Property, StreamSchema
from flow_singer.tabular.batch import Batch, Column, json_texts
from flow_singer.tabular.textarrays import TEXT

Find = Callable[[Property, Column], Mask]
"""Which cells break a rule; null is never one."""


class Rule(Protocol):
    """Finds the rows of a batch that break an expectation."""

    @property
    def expects(self) -> Expectation:
        """What they break."""

    def bad(self, batch: Batch) -> Mask | None:
        """One flag per row; None where no row breaks it."""


@dataclass(frozen=True)
class CellRule:
    """An expectation of each cell of a column that has a value.

    Attributes:
        expects: what it says.
        column: its name.
        find: see `Find`.
    """

    expects: Expectation
    column: str
    find: Find

    def bad(self, batch: Batch) -> Mask | None:
        """See `Rule`."""
        column = batch.columns.get(self.column)
        if column is None or column.values.null_count == len(column.values):
            return None
        mask = self.find(batch.schema.properties[self.column], column)
        return mask if mask.any() else None


@dataclass(frozen=True)
class ValueRule:
    """An expectation that there is a value.

    Attributes:
        expects: what it says.
        column: its name.
        null: whether a null breaks it.
        absent: whether a record without the key does.
    """

    expects: Expectation
    column: str
    null: bool = True
    absent: bool = True

    def bad(self, batch: Batch) -> Mask | None:
        """See `Rule`."""
        column = batch.columns.get(self.column)
        if column is None:
            return np.ones(batch.count, dtype=np.bool_) if batch.count and self.absent else None
        if not column.values.null_count:
            return None
        mask = nulls(column)
        missing = np.zeros(batch.count, dtype=np.bool_) if column.absent is None else as_mask(column.absent)
        mask = (mask & ~missing if self.null else np.zeros_like(mask)) | (missing if self.absent else False)
        return mask if mask.any() else None


_NUMBERS = frozenset({"integer", "number", "decimal", "decimal-text", "json"})
_STAMPS = frozenset({"date", "date-time", "string"})
_TEXTS = frozenset({"string", "date", "date-time", "decimal-text", "json"})


def bind(expects: Expectation, schema: StreamSchema) -> Rule:
    """Bind an expectation of rows to a SCHEMA.

    Args:
        expects: of words `not_null`, `minimum`, `maximum`, `enum`, `pattern`.
        schema: of its stream; it may lack the column for a while.

    Raises:
        DataError: the column is of a type that the expectation has no meaning for.
    """
    (name,) = expects.columns
    one = schema.properties.get(name)
    match expects.word:
        case "minimum" | "maximum":
            above = expects.word == "maximum"
            if isinstance(expects.value, Decimal):
                _check_kind(expects, one, _NUMBERS, "numbers")
                return CellRule(expects, name, number_rule(expects.value, above=above))
            _check_kind(expects, one, _STAMPS, "dates")
            return CellRule(expects, name, instant_rule(limit_us(expects), above=above))
        case "enum":
            return CellRule(expects, name, enum_rule(expects.value))
        case "pattern":
            _check_kind(expects, one, _TEXTS, "texts")
            return CellRule(expects, name, pattern_rule(expects.value))
    return ValueRule(expects, name)


def _check_kind(expects: Expectation, one: Property | None, kinds: frozenset[str], what: str) -> None:
    if one is not None and one.kind not in kinds:
        raise DataError(
            f"{expects.place}: {expects.title} of column '{one.name}' of stream '{expects.stream}' is for {what}, "
            f"and its SCHEMA says {one.kind}.",
            "Correct the expectation, or the type (meltano.yml: schema).",
        )


def limit_us(expects: Expectation) -> int:
    """A date or date-time as microseconds.

    Raises:
        ConfigError: it is none.
    """
    found = instant_of(expects.value)
    if found is None or found[1]:
        raise ConfigError(
            f"{expects.place}: {expects.word} of column '{expects.column}' of stream '{expects.stream}' is "
            f"{expects.value!r}, which is no date or date-time.",
            "Write 2026-01-31 or 2026-01-31T12:00:00Z; UTC where there is no zone.",
        )
    return found[0]


def check_columns_known(expectations: Sequence[Expectation], schema: StreamSchema, met: set[str]) -> None:
    """Refuse columns that no SCHEMA of the stream has had; of `columns` that is a finding.

    Args:
        expectations: of the stream.
        schema: the newest SCHEMA.
        met: columns of those before, as one may leave a column out for a while.

    Raises:
        DataError: names the column, and those like it.
    """
    for one in expectations:
        if one.word in ("columns", "columns_exact"):
            continue
        for name in one.columns:
            if name not in met:
                near = did_you_mean([repr(found) for found in near_names(name, met)[:1]])
                raise DataError(
                    f"{one.place}: {one.word} names column '{name}', which stream '{schema.stream}' lacks.",
                    near or f"Is it selected? Its columns are: {listed(sorted(met))}.",
                )


def number_rule(limit: Decimal, *, above: bool, lenient: bool = False) -> Find:
    """Cells beyond a limit, and, unless `lenient`, cells that are no number."""

    def find(one: Property, column: Column) -> Mask:
        mask = beyond(one, column, limit, above=above)
        if one.kind in ("decimal-text", "json") and not lenient:
            mask |= as_mask(pc.and_(column.values.is_valid(), numbers(one, column).is_null()))
        return mask

    return find


def instant_rule(limit: int, *, above: bool) -> Find:
    """Cells beyond a limit in microseconds, and cells that are no date."""

    def find(one: Property, column: Column) -> Mask:
        read = instants(column)
        return beyond_instant(read, limit, above=above) | (~read.known & ~nulls(column))

    return find


def pattern_rule(pattern: str, *, lenient: bool = False) -> Find:
    """Texts in which a pattern is not found, and, unless `lenient`, cells that are no text."""

    def find(one: Property, column: Column) -> Mask:
        texts = strings(column)
        mask = as_mask(pc.invert(pc.match_substring_regex(texts, pattern)))
        if column.as_json and not lenient:
            mask |= as_mask(pc.and_(column.values.is_valid(), texts.is_null()))
        return mask

    return find


def check_pattern(expects: Expectation) -> None:
    """Refuse a pattern that RE2 does not read.

    Raises:
        ConfigError: says what is wrong with it.
    """
    if (fault := pattern_fault(expects.value)) is not None:
        raise ConfigError(
            f"{expects.place}: the pattern {expects.value!r} of column '{expects.column}' of stream "
            f"'{expects.stream}' cannot be used: {fault}.",
            "Patterns are those of RE2 (github.com/google/re2/wiki/Syntax): no look-around, no back references, "
            "at most 1000 repetitions.",
        )


def pattern_fault(pattern: str) -> str | None:
    """Why RE2 does not read a pattern; None where it does."""
    try:
        pc.match_substring_regex(pa.array([""], TEXT), pattern)
    except (pa.ArrowInvalid, UnicodeEncodeError) as exc:
        return str(exc).removeprefix("Invalid regular expression: ")
    return None


def length_rule(limit: int, *, above: bool) -> Find:
    """Texts longer than a limit, or shorter."""

    def find(one: Property, column: Column) -> Mask:
        lengths = pc.utf8_length(strings(column))
        return as_mask(pc.greater(lengths, limit) if above else pc.less(lengths, limit))

    return find


def enum_rule(allowed: Sequence[Any]) -> Find:
    """Cells that are none of some values: numbers equal by value, texts letter by letter."""
    values = {_value_text(value) for value in allowed if value is not None}
    texts_allowed = pa.array([value for value in allowed if isinstance(value, str)], TEXT)
    has_numbers = any(isinstance(value, int | float | Decimal) for value in allowed)

    def allows(text: str) -> bool:
        return '"' + text in values or (is_decimal(text) and number_text(text) in values)

    def find(one: Property, column: Column) -> Mask:
        plain = not column.as_json and column.values.type == TEXT
        texts = column.values if plain else json_texts(column)
        if plain and not (one.kind == "decimal-text" and has_numbers):
            known = texts_allowed
        else:
            test = allows if plain else (lambda text: json_value_text(text) in values)
            found = pc.unique(texts).to_pylist()
            known = pa.array([text for text in found if text is not None and test(text)], TEXT)
        return as_mask(pc.and_(texts.is_valid(), pc.invert(pc.is_in(texts, value_set=known))))

    return find


def _value_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return number_text(str(value))
    if isinstance(value, str):
        return '"' + value
    return json_value_text(json.dumps(value, default=str))
