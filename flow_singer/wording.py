"""Words that messages of all rooms share: numbers with their nouns, names of types."""

from __future__ import annotations


def count_of(number: int, noun: str, plural: str | None = None) -> str:
    """`1 record`, `3,100 records`; `plural` where no `s` makes it: `1 row was`, `2 rows were`."""
    return f"{number:,} {noun if number == 1 else plural or f'{noun}s'}"


def type_name(value: object) -> str:
    """`str`, `pandas.Series`."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
