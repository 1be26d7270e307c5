"""Expectations of a stream as a whole: its columns, how many rows, how new."""

from __future__ import annotations

from collections.abc import Sequence

from flow_singer.checks.cellvalues import Mask, instants
from flow_singer.checks.expectations import Expectation
from flow_singer.checks.findings import Finding, Ledger
from flow_singer.tabular.batch import Batch

_US = 1_000_000
_HOUR_S = 3_600


class WholeStream:
    """Holds one stream to `columns`, `columns_exact`, `min_rows`, `max_rows`, `freshness`.

    Args:
        expectations: of the stream, of any word.
        ledger: gets what is found.

    Attributes:
        rows: how many it has, but for those that were dropped.
        limits: expectations that only its end settles.
    """

    def __init__(self, expectations: Sequence[Expectation], ledger: Ledger) -> None:
        self.rows = 0
        self.limits = [one for one in expectations if one.word in ("min_rows", "freshness")]
        self._expectations = expectations
        self._ledger = ledger
        self._newest: dict[int, int] = {}

    def check_names(self, names: Sequence[str]) -> list[Finding]:
        """Look at the columns of a SCHEMA; what stops the run."""
        failed = []
        for one in self._expectations:
            if one.word == "columns":
                if missing := [name for name in one.columns if name not in names]:
                    failed += self._ledger.say(one, f"there is no {', '.join(map(repr, missing))}")
            elif one.word == "columns_exact" and (
                more := [name for name in names if name not in one.columns]
            ):
                failed += self._ledger.say(one, f"there is {', '.join(map(repr, more))}, too")
        return failed

    def look(self, batch: Batch, kept: Mask) -> list[Finding]:
        """Look at the next records; what stops the run.

        Args:
            batch: n records.
            kept: those that were not dropped.
        """
        self.rows += int(kept.sum())
        failed = []
        for one in self._expectations:
            if one.word == "max_rows" and self.rows > one.value:
                failed += self._ledger.say(one, f"there are {self.rows:,}")
            elif one.word == "columns_exact" and batch.undeclared:
                names = ", ".join(map(repr, batch.undeclared))
                failed += self._ledger.say(one, f"records have {names}, too")
            elif one.word == "freshness" and (column := batch.columns.get(one.columns[0])) is not None:
                read = instants(column)
                known = read.known & kept
                if known.any():
                    newest = int(read.microseconds[known].max())
                    self._newest[id(one)] = max(newest, self._newest.get(id(one), newest))
        return failed

    def is_settled(self, now: float) -> bool:
        """Whether the end can bring nothing that stops the run."""
        return not any(one.on_failure == "raise" and self._lack(one, now) for one in self.limits)

    def finish(self, now: float) -> list[Finding]:
        """Look at the stream behind its last record; what stops the run."""
        failed = []
        for one in self.limits:
            if said := self._lack(one, now):
                failed += self._ledger.say(one, said)
        return failed

    def _lack(self, one: Expectation, now: float) -> str | None:
        if one.word == "min_rows":
            return f"there are {self.rows:,}" if self.rows < one.value else None
        newest = self._newest.get(id(one))
        if newest is None:
            return "there is no value"
        age = now - newest / _US
        if age <= one.value:
            return None
        return (
            f"the newest value is {age / _HOUR_S:,.1f} hours old"
            if age >= _HOUR_S
            else f"the newest value is {age:,.0f} seconds old"
        )
