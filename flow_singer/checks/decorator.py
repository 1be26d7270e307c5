"""`@expect`: what a file of functions says of the streams that leave it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from flow_singer.checks.expectations import Expectation, read_expectations
from flow_singer.errors import ConfigError

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__flow_expect__"


def expect(
    *streams: str,
    columns: Sequence[str] | None = None,
    columns_exact: bool = False,
    min_rows: int | None = None,
    max_rows: int | None = None,
    unique: str | Sequence[str] | Sequence[Sequence[str]] | None = None,
    not_null: str | Sequence[str] | None = None,
    minimum: Mapping[str, Any] | None = None,
    maximum: Mapping[str, Any] | None = None,
    enum: Mapping[str, Sequence[Any]] | None = None,
    pattern: Mapping[str, str] | None = None,
    references: Mapping[str, str] | None = None,
    freshness: Mapping[str, str] | None = None,
    on_failure: Literal["raise", "drop", "clear", "warn"] = "raise",
) -> Callable[[F], F]:
    """Say what the rows that leave a file of functions must be; the function itself stays as it is.

    May stand several times at one function, for example once for each `on_failure`. It is looked at before anything
    goes to the next stage: with `raise` the run fails, and no STATE behind the bad rows is written.

    Args:
        *streams: the streams that it is about, as they leave the file; none: the one that the function makes.
        columns: names that must be there.
        columns_exact: whether there may be no others.
        min_rows: how many rows there must be at least.
        max_rows: how many there may be.
        unique: a column whose values must differ; a list of columns: together; a list of lists: each by itself. A
            null differs from everything.
        not_null: columns that need a value.
        minimum: the least value of columns: a number, a date, a date-time.
        maximum: the greatest.
        enum: all values that columns may have.
        pattern: what must be found in the texts of columns (RE2).
        references: columns whose values must be those of another stream's: `{"user_id": "users.id"}`.
        freshness: how old the newest value of a date-time column may be: `{"updated_at": "24h"}`.
        on_failure: `raise`; `drop` the row; `clear` the cell (null); or `warn` once, at the end.

    Raises:
        TypeError: an argument has another shape, or does not go with `on_failure`.

    Example:
        @expect(not_null=["id"], min_rows=1)
        @expect(enum={"state": ["open", "closed"]}, on_failure="drop")
        def issues(df):
            return df
    """
    given = {
        "columns": columns,
        "columns_exact": columns_exact or None,
        "min_rows": min_rows,
        "max_rows": max_rows,
        "unique": unique,
        "not_null": not_null,
        "minimum": minimum,
        "maximum": maximum,
        "enum": enum,
        "pattern": pattern,
        "references": references,
        "freshness": freshness,
    }
    entry = {word: value for word, value in given.items() if value is not None}
    if not entry:
        raise TypeError('expect: nothing is expected; for example expect("issues", not_null=["id"])')
    entry["on_failure"] = on_failure
    try:
        read_expectations("", entry, lambda _: "expect")
    except ConfigError as error:
        raise TypeError(f"{error.message} {error.hint}") from None

    def mark(function: F) -> F:
        before = list(getattr(function, _ATTRIBUTE, ()))
        setattr(function, _ATTRIBUTE, [(streams, entry), *before])
        return function

    return mark


def expected_of(function: Callable[..., Any], made: Sequence[str], where: str) -> list[Expectation]:
    """What `@expect` says at a function.

    Args:
        function: of the user's file.
        made: the streams that it makes, as far as that is known.
        where: its file and line, for messages.

    Raises:
        ConfigError: it names no stream, and nothing tells the stream that the function makes.
    """
    found: list[Expectation] = []
    for streams, entry in getattr(function, _ATTRIBUTE, ()):
        if not (streams or made):
            raise ConfigError(
                f"{where}: @expect names no stream, and nothing tells which one the function makes.",
                'Name it: @expect("issues", not_null=["id"])',
            )
        for stream in streams or made:
            found += read_expectations(stream, entry, lambda _: f"@expect at {where}")
    return found
