"""What a SCHEMA says of the records, as rules over their columns.

Looked at are the words of each top-level property, local references and `allOf` followed: `type`, `required`, `enum`,
`const`, `minimum`, `maximum` (also exclusive), `multipleOf`, `minLength`, `maxLength`, `pattern`, `format`; and
`additionalProperties`. What lies within objects and arrays, and the branches of `anyOf` and `oneOf`, is looked at by
type only.

Source: JSON Schema (drafts 4 to 2020-12) as taps write it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.checks.cellvalues import Mask, as_mask, beyond, instants, nulls, numbers, strings
from flow_singer.checks.expectations import Expectation, Word, limit_of
from flow_singer.checks.rowrules import (
    CellRule,
    Find,
    Rule,
    ValueRule,
    enum_rule,
    length_rule,
    number_rule,
    pattern_fault,
    pattern_rule,
)
from flow_singer.datapackage.rowkeys import number_text
from flow_singer.singer.references import resolve
from flow_singer.singer.schema import Property, StreamSchema
from flow_singer.tabular.batch import Batch, Column
from flow_singer.tabular.literals import INTEGER_DIGITS
from flow_singer.tabular.textarrays import TEXT


def schema_rules(schema: StreamSchema) -> list[Rule]:
    """The rules of all properties of a SCHEMA, its key not null."""
    rules: list[Rule] = []
    for name in schema.required:
        rules.append(ValueRule(_expects(schema, name, "not_null", "required"), name, null=False))
    for name in schema.key_properties:
        rules.append(ValueRule(_expects(schema, name, "not_null", "key not null"), name))
    for one in schema.properties.values():
        rules += _rules_of(one, schema)
    root = resolve(schema.json_schema, schema.json_schema)
    if root.get("additionalProperties") is False:
        rules.append(
            _UndeclaredRule(Expectation(schema.stream, "columns_exact", label="additionalProperties"))
        )
    return rules


def _expects(schema: StreamSchema, name: str, word: Word, label: str) -> Expectation:
    return Expectation(schema.stream, word, (name,), label=label)


def _rules_of(one: Property, schema: StreamSchema) -> Iterator[Rule]:
    said = resolve(one.json_schema, schema.json_schema)
    name = one.name
    allowed = said.get("enum", [said["const"]] if "const" in said else None)
    may_be_null = one.nullable and not (isinstance(allowed, list) and None not in allowed)
    if not may_be_null and name not in schema.key_properties:
        yield ValueRule(_expects(schema, name, "not_null", "not null"), name, absent=False)
    for label, word, find in _finds(one, said, allowed):
        yield CellRule(_expects(schema, name, word, label), name, find)


def value_finds(one: Property, schema: StreamSchema) -> list[Find]:
    """What finds values that a property does not allow, whatever their type: given as JSON text, and null left out."""
    said = resolve(one.json_schema, schema.json_schema)
    allowed = said.get("enum", [said["const"]] if "const" in said else None)
    types = [] if not one.types or one.kind == "json" else [_type_rule(one.types)]
    return [*types, *(find for _, _, find in _finds(one, said, allowed))]


def _finds(one: Property, said: Mapping[str, Any], allowed: object) -> Iterator[tuple[str, Word, Find]]:
    if one.kind == "json" and one.types:
        yield f"type {' or '.join(sorted(one.types))}", "pattern", _type_rule(one.types)
    if isinstance(allowed, list) and allowed:
        label = Expectation("", "enum", value=tuple(allowed)).title
        yield label, "enum", enum_rule(allowed)
    if one.kind in _NUMBER_KINDS:
        yield from _bounds(said)
    if one.kind in _TEXT_KINDS:
        yield from _of_texts(said)
        if (form := said.get("format")) in _FORMATS or one.kind in ("date", "date-time"):
            form = one.kind if one.kind in ("date", "date-time") else str(form)
            yield f"format {form}", "pattern", _format_rule(form)


_NUMBER_KINDS = frozenset({"integer", "number", "decimal", "decimal-text", "json"})
_TEXT_KINDS = frozenset({"string", "date", "date-time", "decimal-text"})


def _bounds(said: Mapping[str, Any]) -> Iterator[tuple[str, Word, Find]]:
    for word, above in (("minimum", False), ("maximum", True)):
        kept: Word = "maximum" if above else "minimum"
        exclusive = said.get(f"exclusive{word.capitalize()}")
        limit = _number(said.get(word))
        if exclusive is True and limit is not None:  # draft 4
            yield f"exclusive {word} {limit}", kept, _exclusive_rule(limit, above=above)
        elif limit is not None:
            yield f"{word} {limit}", kept, number_rule(limit, above=above, lenient=True)
        if (edge := _number(exclusive)) is not None:
            yield f"exclusive {word} {edge}", kept, _exclusive_rule(edge, above=above)
    multiple = _number(said.get("multipleOf"))
    if multiple is not None and multiple > 0:
        yield f"multipleOf {multiple}", "minimum", _multiple_rule(multiple)


def _number(value: object) -> Decimal | None:
    limit = limit_of(value) if not isinstance(value, str) else None
    return limit if isinstance(limit, Decimal) else None


def _of_texts(said: Mapping[str, Any]) -> Iterator[tuple[str, Word, Find]]:
    for word, above in (("minLength", False), ("maxLength", True)):
        limit = said.get(word)
        if isinstance(limit, int) and not isinstance(limit, bool):
            yield f"{word} {limit}", "pattern", length_rule(limit, above=above)
    pattern = said.get("pattern")
    if isinstance(pattern, str) and pattern_fault(pattern) is None:
        yield f"pattern {pattern}", "pattern", pattern_rule(pattern, lenient=True)


def unread_patterns(schema: StreamSchema) -> Iterator[tuple[str, str, str]]:
    """Columns whose SCHEMA has a pattern that cannot be looked for: column, pattern, reason."""
    for one in schema.properties.values():
        pattern = resolve(one.json_schema, schema.json_schema).get("pattern")
        if isinstance(pattern, str) and (fault := pattern_fault(pattern)) is not None:
            yield one.name, pattern, fault


def _exclusive_rule(limit: Decimal, *, above: bool) -> Find:
    def find(one: Property, column: Column) -> Mask:
        if column.values.type == pa.int64() and not column.as_json:
            is_number = ~nulls(column)
        else:
            is_number = as_mask(numbers(one, column).is_valid())
        return is_number & ~beyond(one, column, limit, above=not above)

    return find


def _multiple_rule(multiple: Decimal) -> Find:
    step = Fraction(multiple)

    def breaks(text: str) -> bool:
        value = Decimal(text)
        if abs(value.adjusted()) >= INTEGER_DIGITS:
            return False  # nobody can tell in a reasonable time
        return Fraction(value) % step != 0

    def find(one: Property, column: Column) -> Mask:
        if column.values.type == pa.int64() and not column.as_json and step == 1:
            return np.zeros(len(column.values), dtype=np.bool_)
        texts = numbers(one, column)
        wrong = [text for text in pc.unique(texts).to_pylist() if text is not None and breaks(text)]
        return as_mask(pc.is_in(texts, value_set=pa.array(wrong, TEXT))) & as_mask(texts.is_valid())

    return find


_BEGINS = {"object": "{", "array": "[", "string": '"', "boolean": "tf", "number": "-0123456789"}


def _type_rule(types: frozenset[str]) -> Find:
    """JSON texts of other types."""
    whole_only = "integer" in types and "number" not in types
    wanted = {"number" if name == "integer" else name for name in types}
    begins = "".join(_BEGINS.get(name, "") for name in wanted)
    pattern = f"^[{re.escape(begins)}]"

    def find(_: Property, column: Column) -> Mask:
        texts = column.values
        mask = as_mask(pc.and_(texts.is_valid(), pc.invert(pc.match_substring_regex(texts, pattern))))
        if whole_only:
            doubtful = as_mask(pc.match_substring_regex(texts, r"^-?[0-9]+[.eE]"))
            for row in np.flatnonzero(doubtful).tolist():
                mask[row] |= not number_text(texts[row].as_py()).removeprefix("-").isdigit()
        return mask

    return find


_FORMATS = {
    "time": r"^([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?(Z|z|[+-]([01]\d|2[0-3]):?[0-5]\d)?$",
    "duration": r"^P(\d+W|\d+Y(\d+M(\d+D)?)?|\d+M(\d+D)?|\d+D)?(T(\d+H(\d+M(\d+(\.\d+)?S)?)?|\d+M(\d+(\.\d+)?S)?|\d+(\.\d+)?S))?$",
    "uuid": r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$",
    "email": r"^[^@\s]+@[^@\s]+$",
    "ipv4": r"^((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)$",
    "uri": r"^[A-Za-z][A-Za-z0-9+.-]*:[^\s]*$",
    "singer.decimal": r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$",
}


def _format_rule(form: str) -> Find:
    """Texts that are not of a format."""

    def dates(_: Property, column: Column) -> Mask:
        texts = strings(column)
        long_enough = pc.greater(pc.utf8_length(texts), _DATE_LENGTH)
        shape = as_mask(long_enough if form == "date-time" else pc.invert(long_enough))
        return ~nulls(column) & ~(instants(column).known & shape)

    def texts(one: Property, column: Column) -> Mask:
        mask = pattern_rule(_FORMATS[form])(one, column)
        if form == "duration":
            mask |= as_mask(pc.equal(strings(column), "P"))
        return mask

    return dates if form in ("date", "date-time") else texts


_DATE_LENGTH = 10


@dataclass(frozen=True)
class _UndeclaredRule:
    """No record has a key that the SCHEMA does not declare."""

    expects: Expectation

    def bad(self, batch: Batch) -> Mask | None:
        mask = np.zeros(batch.count, dtype=np.bool_)
        for column in batch.undeclared.values():
            mask |= True if column.absent is None else ~as_mask(column.absent)
        return mask if mask.any() else None
