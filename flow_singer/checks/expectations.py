"""What a person expects of a stream, as written in `expect:`, in a file of its own, or in `@expect`.

Nothing here looks at a record. An entry is a mapping of words; each becomes one expectation per column:

    not_null: [id, state]                  each column
    unique: id                             or [a, b]: both together; [[a], [b]]: each by itself
    minimum: {id: 1, created_at: 2020-01-01}
    maximum: {price: 99.90}
    enum: {state: [open, closed]}
    pattern: {email: '^[^@]+@[^@]+$'}
    references: {user_id: users.id}
    freshness: {updated_at: 24h}
    columns: [id, state]                   must be there; with columns_exact: true no others
    min_rows: 1
    max_rows: 1000000
    on_failure: raise                      or drop, clear, warn: for all words of the entry
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal, cast

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.wording import type_name

Word = Literal[
    "columns",
    "columns_exact",
    "min_rows",
    "max_rows",
    "unique",
    "not_null",
    "minimum",
    "maximum",
    "enum",
    "pattern",
    "references",
    "freshness",
]
Action = Literal["raise", "drop", "clear", "warn"]

ACTIONS = ("raise", "drop", "clear", "warn")
ROW_WORDS = frozenset({"unique", "not_null", "minimum", "maximum", "enum", "pattern"})
"""What is known of each row as it passes: such a row can be dropped."""
CLEARABLE = frozenset({"unique", "minimum", "maximum", "enum", "pattern"})
"""What a null would keep."""


@dataclass(frozen=True)
class Expectation:
    """One thing that is expected of a stream.

    Attributes:
        stream: its name.
        word: what kind of thing.
        columns: those that it is about, in order; none for counts of rows.
        value: what the word says: a limit (Decimal, or the text of a date), allowed values, a pattern, a number,
            seconds, or (stream, column).
        on_failure: what becomes of a row that breaks it.
        place: where it is written, for messages.
        label: what to call it, where its own title does not do.
    """

    stream: str
    word: Word
    columns: tuple[str, ...] = ()
    value: Any = None
    on_failure: Action = "raise"
    place: str = field(default="", compare=False)
    label: str = field(default="", compare=False)

    @property
    def title(self) -> str:
        """What is expected, in a few words: `minimum 1`."""
        if self.label:
            return self.label
        match self.word:
            case "not_null":
                return "not_null"
            case "unique":
                return "unique" if len(self.columns) < 2 else f"unique ({', '.join(self.columns)})"
            case "references":
                return f"references {'.'.join(self.value)}"
            case "freshness":
                return f"freshness {_shown_duration(self.value)}"
            case "enum":
                shown = ", ".join(map(str, self.value[:_SHOWN]))
                return f"enum [{shown}{', …' if len(self.value) > _SHOWN else ''}]"
            case "columns" | "columns_exact":
                return self.word
        return f"{self.word} {self.value}"

    @property
    def column(self) -> str | None:
        """The columns in one text; None where it is about rows."""
        return ", ".join(self.columns) or None


_SHOWN = 6


def read_expectations(
    stream: str,
    entry: object,
    at: Callable[[str], str],
) -> list[Expectation]:
    """Read what is expected of one stream.

    Args:
        stream: its name.
        entry: a mapping of words, or several in a list, each with an `on_failure` of its own.
        at: where a key of `entry` is written; of a list, the mappings know it themselves where they can.

    Raises:
        ConfigError: a word is unknown, or what it says has another shape.
    """
    entries = entry if isinstance(entry, list | tuple) else [entry]
    found: list[Expectation] = []
    for one in entries:
        if not isinstance(one, Mapping):
            raise ConfigError(
                f"{at('')}: what is expected of stream '{stream}' is {type_name(one)}.",
                "Expected a mapping such as not_null: [id], or a list of such.",
            )
        found += _Reader(stream, one, getattr(one, "at", at)).read()
    return found


class _Reader:
    """Reads one mapping."""

    def __init__(self, stream: str, entry: Mapping[str, Any], at: Callable[[str], str]) -> None:
        self._stream, self._entry, self._at = stream, entry, at
        action = entry.get("on_failure", "raise")
        if action not in ACTIONS:
            raise ConfigError(
                f"{at('on_failure')}: on_failure of stream '{stream}' is {action!r}.",
                did_you_mean(near_names(str(action), ACTIONS)[:1]) or f"It is one of {', '.join(ACTIONS)}.",
            )
        self._action = cast("Action", action)

    def read(self) -> list[Expectation]:
        found: list[Expectation] = []
        for word, value in self._entry.items():
            if word == "on_failure":
                continue
            if word not in _READERS:
                near = near_names(str(word), [*_READERS, "on_failure"])
                raise ConfigError(
                    f"{self._at(word)}: unknown expectation '{word}' of stream '{self._stream}'.",
                    did_you_mean(near[:1]) or f"There are: {', '.join(_READERS)}.",
                )
            self._check_action(word)
            found += [self._made(word, *one) for one in _READERS[word](self, word, value)]
        exact = next((one for one in found if one.word == "columns_exact"), None)
        if exact is not None:
            named = next((one.columns for one in found if one.word == "columns"), None)
            if named is None:
                raise self._unfit(
                    "columns_exact", "goes with columns: [...], which it holds to be all there are"
                )
            found = [self._made("columns_exact", named, None) if one is exact else one for one in found]
        return [one for one in found if one.value is not False]

    def _made(self, word: str, columns: tuple[str, ...], value: Any) -> Expectation:
        return Expectation(self._stream, cast("Word", word), columns, value, self._action, self._at(word))

    def _check_action(self, word: str) -> None:
        if self._action == "drop" and word not in ROW_WORDS:
            why = "is not about single rows, so there is none to drop"
        elif self._action == "clear" and word not in CLEARABLE:
            why = (
                "does not hold of an empty cell either" if word == "not_null" else "is not about single cells"
            )
        else:
            return
        raise ConfigError(
            f"{self._at(word)}: on_failure: {self._action} of stream '{self._stream}' is not for '{word}', which {why}.",
            f"Give it an entry of its own, with raise or warn: - {word}: ...",
        )

    def _unfit(self, word: str, expected: str) -> ConfigError:
        return ConfigError(f"{self._at(word)}: '{word}' of stream '{self._stream}' {expected}.", _SEE)

    def _names(self, word: str, value: object) -> tuple[str, ...]:
        names = [value] if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not names or not all(isinstance(one, str) for one in names):
            raise self._unfit(word, "is not a list of columns")
        return tuple(names)

    def each_column(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name in self._names(word, value):
            yield (name,), None

    def all_columns(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        yield self._names(word, value), None

    def keys(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        several = isinstance(value, list | tuple) and bool(value) and not isinstance(value[0], str)
        for one in value if several and isinstance(value, Sequence) else [value]:
            names = self._names(word, one)
            if self._action == "clear" and len(names) > 1:
                raise self._unfit(
                    word, "is about several columns together, and none of them can be cleared for it"
                )
            yield names, None

    def flag(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        if not isinstance(value, bool):
            raise self._unfit(word, "is not true or false")
        yield (), value

    def count(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._unfit(word, "is not a whole number from 0 on")
        yield (), value

    def limits(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, limit in self._mapping(word, value):
            if (read := limit_of(limit)) is None:
                raise self._unfit(
                    word, f"has {limit!r} for column '{name}', which is no number, date or date-time"
                )
            yield (name,), read

    def enums(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, allowed in self._mapping(word, value):
            if not isinstance(allowed, list | tuple) or not allowed:
                raise self._unfit(word, f"has no list of values for column '{name}'")
            yield (name,), tuple(one.isoformat() if isinstance(one, date) else one for one in allowed)

    def patterns(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, pattern in self._mapping(word, value):
            if not isinstance(pattern, str) or not pattern:
                raise self._unfit(word, f"has no text for column '{name}'")
            yield (name,), pattern

    def others(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, other in self._mapping(word, value):
            parts = other.rpartition(".")[::2] if isinstance(other, str) else other
            if (
                not isinstance(parts, list | tuple)
                or len(parts) != 2
                or not all(isinstance(one, str) and one for one in parts)
            ):
                raise self._unfit(word, f"has {other!r} for column '{name}', which is not STREAM.COLUMN")
            yield (name,), tuple(parts)

    def ages(self, word: str, value: object) -> Iterator[tuple[tuple[str, ...], Any]]:
        for name, age in self._mapping(word, value):
            if (seconds := duration_of(age)) is None:
                raise self._unfit(
                    word, f"has {age!r} for column '{name}', which is no time such as 90m, 24h or 7d"
                )
            yield (name,), seconds

    def _mapping(self, word: str, value: object) -> list[tuple[str, Any]]:
        if not isinstance(value, Mapping) or not value or not all(isinstance(one, str) for one in value):
            raise self._unfit(word, "does not say it by column, as in {column: …}")
        return list(value.items())


_SEE = "The guide shows each: docs/guides/validate.md."

_READERS: dict[str, Callable[[_Reader, str, Any], Iterator[tuple[tuple[str, ...], Any]]]] = {
    "columns": _Reader.all_columns,
    "columns_exact": _Reader.flag,
    "min_rows": _Reader.count,
    "max_rows": _Reader.count,
    "unique": _Reader.keys,
    "not_null": _Reader.each_column,
    "minimum": _Reader.limits,
    "maximum": _Reader.limits,
    "enum": _Reader.enums,
    "pattern": _Reader.patterns,
    "references": _Reader.others,
    "freshness": _Reader.ages,
}
WORDS = tuple(_READERS)


def limit_of(value: object) -> Decimal | str | None:
    """A limit: a number as Decimal, a date or date-time as its text; None where it is neither.

    A float stands for the digits that it is written with.
    """
    if isinstance(value, bool):
        return None
    if isinstance(value, Decimal):
        return value if value.is_finite() else None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, float):
        return Decimal(repr(value)) if math.isfinite(value) else None
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    if isinstance(value, str):
        if re.fullmatch(r"[+-]?\d+(\.\d+)?([eE][+-]?\d{1,4})?", value, re.ASCII):
            return Decimal(value)
        if re.match(r"\d{4}-\d\d-\d\d", value, re.ASCII):
            return value
    return None


_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def duration_of(value: object) -> float | None:
    """Seconds of `90m`, `24h`, `7d`; None where it is no such text."""
    found = (
        re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([smhdw])\s*", value, re.ASCII)
        if isinstance(value, str)
        else None
    )
    return float(found[1]) * _UNITS[found[2]] if found else None


def _shown_duration(seconds: float) -> str:
    for unit, size in reversed(_UNITS.items()):
        if seconds % size == 0 and (seconds or unit == "s"):
            return f"{seconds / size:.0f}{unit}"
    return f"{seconds:g}s"
