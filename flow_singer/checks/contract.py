"""A SCHEMA that changed between two runs: what is other in it, and what a contract makes of that.

Nothing here reads or writes data.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from flow_singer.checks.cellvalues import Mask
from flow_singer.checks.contractchoice import Contract
from flow_singer.errors import DataError
from flow_singer.singer.references import resolve
from flow_singer.singer.schema import Property, StreamSchema
from flow_singer.tabular.batch import Batch, Column, json_texts
from flow_singer.wording import count_of

ChangeKind = Literal["added", "removed", "widened", "narrowed", "changed"]

_WORDS_OF_NO_RULE = frozenset(
    "title description examples default $comment readOnly writeOnly deprecated inclusion selected".split()  # noqa: SIM905
)


@dataclass(frozen=True)
class ColumnChange:
    """One column that is other than before.

    Attributes:
        column: its name.
        kind: `widened` allows more than before, `narrowed` less, `changed` some other values.
        before: its property; None where it is new.
        after: its property; None where it is gone.
    """

    column: str
    kind: ChangeKind
    before: Property | None
    after: Property | None

    @property
    def breaks(self) -> bool:
        """Whether values may come that were not allowed before."""
        return self.kind in ("added", "widened", "changed")

    def sentence(self) -> str:
        """`column 'id' widened: integer → number, null`."""
        if self.before is None or self.after is None:
            one = self.after or self.before
            return f"column '{self.column}' {self.kind} ({described(one)})"
        before, after = described(self.before), described(self.after)
        if before == after:
            return f"column '{self.column}' {self.kind} ({after}; its limits are others)"
        return f"column '{self.column}' {self.kind}: {before} → {after}"


def described(one: Property | None) -> str:
    """`integer, null`: what a property allows, in short."""
    if one is None:
        return ""
    form = f" ({one.json_schema['format']})" if isinstance(one.json_schema.get("format"), str) else ""
    return ", ".join([*(sorted(one.types) or ["any"]), *(["null"] if one.nullable else [])]) + form


def compare_schemas(before: StreamSchema, after: StreamSchema) -> list[ColumnChange]:
    """The columns that are other in the newer of two SCHEMAs, in the order of the newer one, then those that are gone."""
    old = {**before.properties, **before.unread}
    new = {**after.properties, **after.unread}
    changes = []
    for name, one in new.items():
        if name not in old:
            changes.append(ColumnChange(name, "added", None, one))
        elif (kind := _compared(old[name], before, one, after)) is not None:
            changes.append(ColumnChange(name, kind, old[name], one))
    changes += [ColumnChange(name, "removed", one, None) for name, one in old.items() if name not in new]
    return changes


def _compared(old: Property, before: StreamSchema, new: Property, after: StreamSchema) -> ChangeKind | None:
    more = _covers(new, after.json_schema, old, before.json_schema)
    less = _covers(old, before.json_schema, new, after.json_schema)
    if more and less:
        return None
    return "widened" if more else "narrowed" if less else "changed"


def hold_to(contract: Contract, stream: str, changes: Sequence[ColumnChange]) -> None:
    """Refuse changes that a contract does not allow.

    Raises:
        DataError: it is `freeze`, and a column is gone, or values may come that were not allowed before; names the
            columns.
    """
    breaking = [one for one in changes if one.breaks or one.kind == "removed"]
    if contract == "freeze" and breaking:
        raise DataError(
            f"The SCHEMA of stream '{stream}' is other than that of what is there: {sentences(breaking)}.",
            FROZEN,
        )


FROZEN = (
    "Its contract is freeze. Let it evolve, leave such rows or values out, or select what was there before."
)
"""What to do about a SCHEMA that may not change."""


def sentences(changes: Sequence[ColumnChange]) -> str:
    """The first changes in words, and how many there are beside."""
    said = "; ".join(one.sentence() for one in changes[:_SHOWN])
    more = f"; and {count_of(len(changes) - _SHOWN, 'column')} more" if len(changes) > _SHOWN else ""
    return said + more


_SHOWN = 5


def misfits(batch: Batch, before: StreamSchema, names: Collection[str] | None = None) -> dict[str, Mask]:
    """Per column, the cells that a former SCHEMA does not allow; columns without such are left out.

    A column that it does not have allows nothing but null. Whether a key may be missing is not looked at.

    Args:
        batch: n records under a newer SCHEMA.
        before: the former one.
        names: the columns to look at; None for all.
    """
    from flow_singer.checks.schemarules import value_finds  # what is left out is the exception

    found = {}
    for name, column in {**batch.columns, **batch.undeclared}.items():
        if column.values.null_count == batch.count or (names is not None and name not in names):
            continue
        texts = Column(json_texts(column), as_json=True)
        valid = ~np.asarray(texts.values.is_null().to_numpy(zero_copy_only=False), dtype=np.bool_)
        one = before.properties.get(name)
        bad = valid
        if one is not None:
            as_any = replace(one, kind="json")
            bad = np.zeros(batch.count, dtype=np.bool_)
            for find in value_finds(one, before):
                bad |= find(as_any, texts)
            bad &= valid
        if bad.any():
            found[name] = bad
    return found


# ------------------------------------------------------------------------------------- what covers what


def _covers(wide: Property, wide_root: Mapping[str, Any], narrow: Property, root: Mapping[str, Any]) -> bool:
    """Whether each value that `narrow` allows is allowed by `wide`, as far as that can be told."""
    first = _rules_of(resolve(wide.json_schema, wide_root))
    second = _rules_of(resolve(narrow.json_schema, root))
    if _same(first, second) and _same_root(wide_root, root):
        return True
    if narrow.nullable and not wide.nullable:
        return False
    if wide.types and not narrow.types:
        return False
    if not all(_has_type(wide.types, name) for name in narrow.types):
        return False
    return all(
        _word_covers(word, value, second)
        for word, value in first.items()
        if word not in ("type", "exclusiveMinimum", "exclusiveMaximum") or isinstance(value, int | float)
    )


def _same_root(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    return all(
        _same(_rules_of_each(first, word), _rules_of_each(second, word)) for word in ("definitions", "$defs")
    )


def _rules_of(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A schema without the words that allow and forbid nothing, at any depth."""
    made: dict[str, Any] = {}
    for word, value in schema.items():
        if word in _WORDS_OF_NO_RULE:
            continue
        if word in _OF_NAMES and isinstance(value, Mapping):
            made[word] = _rules_of_each(schema, word)
        elif word in _OF_SCHEMAS and isinstance(value, Mapping):
            made[word] = _rules_of(value)
        elif word in _OF_SCHEMAS and isinstance(value, list):
            made[word] = [_rules_of(one) if isinstance(one, Mapping) else one for one in value]
        else:
            made[word] = value
    return made


def _rules_of_each(schema: Mapping[str, Any], word: str) -> Any:
    """The same of each schema that stands by a name under a word."""
    value = schema.get(word)
    if not isinstance(value, Mapping):
        return value
    return {name: _rules_of(one) if isinstance(one, Mapping) else one for name, one in value.items()}


_OF_NAMES = frozenset({"properties", "patternProperties", "definitions", "$defs", "dependentSchemas"})
_OF_SCHEMAS = frozenset(
    "items prefixItems additionalItems additionalProperties contains not if then else anyOf oneOf allOf".split()  # noqa: SIM905
)


def _has_type(types: frozenset[str], name: str) -> bool:
    return not types or name in types or (name == "integer" and "number" in types)


_LOWER = frozenset({"minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"})
_UPPER = frozenset({"maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"})


def _word_covers(word: str, value: Any, narrow: Mapping[str, Any]) -> bool:
    """Whether a word of the wider schema leaves in what the narrower one allows."""
    other = narrow.get(word)
    if word in ("enum", "const"):
        allowed = value if word == "enum" else [value]
        given = narrow.get("enum", [narrow["const"]] if "const" in narrow else None)
        return isinstance(given, list) and all(any(_same(one, a) for a in allowed) for one in given)
    if word in _LOWER or word in _UPPER:
        return _bound_covers(word, value, narrow)
    if word == "format" and value == "date-time":
        return other in ("date-time", "date")
    if word == "required":
        return isinstance(other, list) and set(value) <= set(other)
    if word in ("definitions", "$defs", "$schema", "$id"):
        return True
    return _same(other, value)


def _bound_covers(word: str, value: Any, narrow: Mapping[str, Any]) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return bool(narrow.get(word) == value)
    lower = word in _LOWER
    plain = word.replace("exclusiveM", "m")
    exclusive = f"exclusive{plain.capitalize()}" if plain in ("minimum", "maximum") else None
    names = [plain, *([exclusive] if exclusive else [])]
    bounds = [(narrow[name], name != plain) for name in names if _is_number(narrow.get(name))]
    for bound, is_open in bounds:
        inside = bound > value if lower else bound < value
        if inside or (bound == value and (is_open or word == plain)):
            return True
    return False


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(one: Any, other: Any) -> bool:
    """Whether two JSON values are the same; in Python, True is 1."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
