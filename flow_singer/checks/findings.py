"""What was found: how often each expectation was broken, and the first rows that did."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from flow_singer.checks.expectations import Action, Expectation
from flow_singer.wording import count_of

EXAMPLES = 3
"""How many rows are shown of each finding."""

_DONE = {"drop": "dropped", "clear": "set to null"}


@dataclass
class Finding:
    """One expectation that was broken.

    Attributes:
        stream: its stream.
        column: what it is about; None for the rows of the stream.
        expectation: what it says.
        action: what becomes of such rows.
        place: where it is written; empty for what the SCHEMA says.
        count: how many rows broke it; 0 where it is not about rows.
        examples: the first of them: number of the row, from 1, and the JSON text of the value.
        said: what was seen, where it is not about rows.
        unit: what the numbers of the examples count.
    """

    stream: str
    column: str | None
    expectation: str
    action: Action
    place: str = ""
    count: int = 0
    examples: list[tuple[int, str]] = field(default_factory=list)
    said: str = ""
    unit: Literal["row", "line"] = "row"

    @property
    def is_error(self) -> bool:
        """Whether data that were checked count as bad for it."""
        return self.action != "warn"

    @property
    def errors(self) -> int:
        """How many errors it is."""
        return max(1, self.count)

    def add(self, rows: Iterable[int], values: Iterable[str], count: int) -> None:
        """Take more rows that broke it; the first rows and their values are enough."""
        self.count += count
        for row, value in zip(rows, values, strict=False):
            if len(self.examples) >= EXAMPLES:
                break
            self.examples.append((row, value))

    def sentence(self) -> str:
        """`Stream 'issues', column 'id': 3 rows break not_null; first row 2 (null), row 5 (null).`"""
        column = f", column '{self.column}'" if self.column else ""
        if self.said:
            return f"Stream '{self.stream}'{column}: {self.expectation}: {self.said}."
        verb = "breaks" if self.count == 1 else "break"
        done = (
            f" and {'was' if self.count == 1 else 'were'} {_DONE[self.action]}"
            if self.action in _DONE
            else ""
        )
        return (
            f"Stream '{self.stream}'{column}: {count_of(self.count, self.unit)} {verb} {self.expectation}{done}"
            f": {self.first}."
        )

    @property
    def first(self) -> str:
        """`row 2 (null), row 5 (null), …`"""
        more = ["…"] if self.count > len(self.examples) else []
        return ", ".join([*(f"{self.unit} {row:,} ({value})" for row, value in self.examples), *more])

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        made: dict[str, Any] = {
            "stream": self.stream,
            "column": self.column,
            "expectation": self.expectation,
            "level": "error" if self.is_error else "warning",
            "count": self.count,
            "examples": [{self.unit: row, "value": value} for row, value in self.examples],
        }
        if self.said:
            made["message"] = self.said
        if self.place:
            made["place"] = self.place
        return made


class Ledger:
    """The findings of one stream, one for each expectation that was broken."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self._findings: dict[object, Finding] = {}

    def all(self) -> list[Finding]:
        """What was found so far."""
        return list(self._findings.values())

    def of(self, one: Expectation) -> Finding:
        """The finding of an expectation that is broken."""
        key = (one.word, one.columns, one.title, one.on_failure, one.place)
        if key not in self._findings:
            self._findings[key] = Finding(self.stream, one.column, one.title, one.on_failure, one.place)
        return self._findings[key]

    def say(self, one: Expectation, said: str) -> list[Finding]:
        """Find something that is not about single rows; what stops the run."""
        finding = self.of(one)
        finding.said = said
        return [finding] if one.on_failure == "raise" else []


def sentences(findings: Sequence[Finding]) -> str:
    """All of them, a line each."""
    return "\n".join(one.sentence() for one in findings)
