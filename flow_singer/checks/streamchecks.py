"""The expectations of one stream over its batches: which rows go, which cells become null, and what was found.

In the order of a batch: rows that are to be dropped go first; cells that are to be cleared become null; what is
left is held to the expectations that raise or warn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.checks.cellvalues import Mask, nulls, shown
from flow_singer.checks.expectations import Expectation
from flow_singer.checks.findings import EXAMPLES, Finding, Ledger
from flow_singer.checks.othervalues import OtherValues
from flow_singer.checks.rowrules import Rule, bind, check_columns_known, check_pattern
from flow_singer.checks.seenkeys import SeenKeys
from flow_singer.checks.valuekeys import keys_of_values
from flow_singer.checks.wholestream import WholeStream
from flow_singer.errors import DataError
from flow_singer.singer.schema import Property, StreamSchema
from flow_singer.tabular.batch import Batch, Column


@dataclass
class Verdict:
    """What becomes of a batch of n records.

    Attributes:
        dropped: which rows go, and why; None where none does.
        reasons: per row that goes, the expectation that it broke.
        cleared: per column, the cells that become null.
        failed: what stops the run.
    """

    dropped: Mask | None = None
    reasons: dict[int, Finding] = field(default_factory=dict)
    cleared: dict[str, Mask] = field(default_factory=dict)
    failed: list[Finding] = field(default_factory=list)


class StreamChecks:
    """Holds one stream to what is expected of it.

    Args:
        stream: its name.
        expectations: of this stream.
        others: expectations of the word `references`, of this stream and those that refer to it.

    Attributes:
        rows: how many were looked at.
        extra_rules: what is to be held besides, for example what the SCHEMA says.
    """

    def __init__(
        self, stream: str, expectations: Sequence[Expectation], others: Sequence[OtherValues] = ()
    ) -> None:
        self.stream = stream
        self.expectations = list(expectations)
        self.rows = 0
        self.met = False
        """Whether its SCHEMA came."""
        self.resumed = False
        """Whether only what is new comes: then nothing is said of how much that is."""
        self.extra_rules: list[Rule] = []
        self._ledger = Ledger(stream)
        self._whole = WholeStream(self.expectations, self._ledger)
        self._rules: list[Rule] = []
        self._columns: dict[str, None] = {}
        self._seen = {id(one): SeenKeys() for one in self.expectations if one.word == "unique"}
        self._referring = [one for one in others if one.expects.stream == stream]
        self._referred = [one for one in others if one.stream == stream]
        for one in self.expectations:
            if one.word == "pattern":
                check_pattern(one)

    @property
    def findings(self) -> list[Finding]:
        """What was found so far."""
        return self._ledger.all()

    def rename(self, stream: str) -> None:
        """Go by another name."""
        self.stream = self._ledger.stream = stream

    @property
    def read(self) -> set[str] | None:
        """The columns that must be read; None: all, and keys that the SCHEMA does not declare."""
        if any(one.word == "columns_exact" for one in self.expectations):
            return None
        named = {name for one in self.expectations if one.word != "columns" for name in one.columns}
        return named | {one.column for one in self._referred}

    @property
    def totals(self) -> list[str]:
        """Words that say something of the stream as a whole."""
        return sorted({one.word for one in self._whole.limits})

    def schema(self, schema: StreamSchema) -> list[Finding]:
        """Take a SCHEMA; what it lacks is found.

        Raises:
            DataError, ConfigError: an expectation has no meaning for it.
        """
        self.met = True
        self._columns.update(dict.fromkeys([*schema.properties, *schema.unread]))
        check_columns_known(self.expectations, schema, set(self._columns))
        for other in self._referred:
            self._check_referred(other, schema)
            other.met = True
        for one in self.expectations:
            if one.on_failure == "clear" and one.columns[0] in schema.properties:
                _check_clearable(one, schema)
        self._rules = [bind(one, schema) for one in self.expectations if one.word in _ROW_RULES]
        return self._whole.check_names([*schema.properties, *schema.unread])

    def _check_referred(self, other: OtherValues, schema: StreamSchema) -> None:
        if other.column not in self._columns:
            raise DataError(
                f"{other.expects.place}: references of stream '{other.expects.stream}' names column "
                f"'{other.column}', which stream '{schema.stream}' lacks.",
                f"Its columns are: {', '.join(self._columns)}.",
            )

    # ------------------------------------------------------------------------------------- one batch

    def look(self, batch: Batch) -> Verdict:
        """Look at the next records."""
        verdict = Verdict()
        gone = np.zeros(batch.count, dtype=np.bool_)
        self._drop(batch, gone, verdict)
        if gone.any():
            verdict.dropped = gone
        batch = self._clear(batch, gone, verdict)
        for rule in [*self._rules, *self.extra_rules]:
            if rule.expects.on_failure in ("raise", "warn"):
                bad = rule.bad(batch)
                self._note(rule.expects, bad, gone, batch, verdict)
        for one in self._uniques("raise", "warn"):
            self._note(one, self._repeated(one, batch, gone), gone, batch, verdict)
        self._refer(batch, gone)
        self.rows += batch.count
        verdict.failed += self._whole.look(batch, ~gone)
        return verdict

    def _drop(self, batch: Batch, gone: Mask, verdict: Verdict) -> None:
        for rule in self._rules:
            if rule.expects.on_failure == "drop":
                self._take_away(rule.expects, rule.bad(batch), batch, gone, verdict)
        for one in self._uniques("drop"):
            self._take_away(one, self._repeated(one, batch, gone), batch, gone, verdict)

    def _take_away(
        self, one: Expectation, bad: Mask | None, batch: Batch, gone: Mask, verdict: Verdict
    ) -> None:
        if bad is None or not (bad := bad & ~gone).any():
            return
        self._note(one, bad, gone, batch, verdict)
        finding = self._ledger.of(one)
        verdict.reasons.update(dict.fromkeys(np.flatnonzero(bad).tolist(), finding))
        gone |= bad

    def _clear(self, batch: Batch, gone: Mask, verdict: Verdict) -> Batch:
        for rule in self._rules:
            if rule.expects.on_failure == "clear":
                batch = self._empty(rule.expects, rule.bad(batch), batch, gone, verdict)
        for one in self._uniques("clear"):
            batch = self._empty(one, self._repeated(one, batch, gone), batch, gone, verdict)
        return batch

    def _empty(self, one: Expectation, bad: Mask | None, batch: Batch, gone: Mask, verdict: Verdict) -> Batch:
        """The batch with null in the cells that break an expectation."""
        if bad is None or not (bad := bad & ~gone).any():
            return batch
        (name,) = one.columns
        self._note(one, bad, gone, batch, verdict)
        verdict.cleared[name] = verdict.cleared[name] | bad if name in verdict.cleared else bad
        column = batch.columns[name]
        emptied = column._replace(values=pc.if_else(pa.array(bad), None, column.values))
        return replace(batch, columns={**batch.columns, name: emptied})

    def _uniques(self, *actions: str) -> Iterable[Expectation]:
        return (one for one in self.expectations if one.word == "unique" and one.on_failure in actions)

    def _repeated(self, one: Expectation, batch: Batch, gone: Mask) -> Mask | None:
        """Rows whose values came before; a row with a null among them is never one."""
        columns = _columns_of(batch, one.columns)
        if columns is None:
            return None
        rows = np.flatnonzero(~gone & _all_valid(columns))
        if not len(rows):
            return None
        keys = keys_of_values(_taken(columns, rows, batch.count))
        repeated = self._seen[id(one)].add(keys)
        if not repeated.any():
            return None
        mask = np.zeros(batch.count, dtype=np.bool_)
        mask[rows[repeated]] = True
        return mask

    def _note(self, one: Expectation, bad: Mask | None, gone: Mask, batch: Batch, verdict: Verdict) -> None:
        """Count rows that break an expectation, but those that were dropped for another."""
        if bad is None or not (bad := bad & ~gone).any():
            return
        rows = np.flatnonzero(bad)
        finding = self._ledger.of(one)
        first = rows[:EXAMPLES].tolist()
        values = [", ".join(shown(batch.columns.get(name), row) for name in one.columns) for row in first]
        finding.add([self.rows + row + 1 for row in first], values, len(rows))
        if one.on_failure == "raise" and finding not in verdict.failed:
            verdict.failed.append(finding)

    def _refer(self, batch: Batch, gone: Mask) -> None:
        for other in self._referred:
            columns = _columns_of(batch, (other.column,))
            if columns is not None and len(rows := np.flatnonzero(~gone & _all_valid(columns))):
                other.learn(keys_of_values(_taken(columns, rows, batch.count)))
        for other in self._referring:
            (name,) = other.expects.columns
            columns = _columns_of(batch, (name,))
            if columns is None or not len(rows := np.flatnonzero(~gone & _all_valid(columns))):
                continue
            keys = keys_of_values(_taken(columns, rows, batch.count))
            unknown = other.unknown(keys)
            if len(unknown):
                where = rows[unknown]
                values = [shown(batch.columns[name], row) for row in where[:_FIRST].tolist()]
                other.wait(keys.take(unknown), (where + self.rows + 1).astype(np.int64), values)

    # --------------------------------------------------------------------------------------- the end

    def is_settled(self, now: float) -> bool:
        """Whether nothing that is still to come can make what came so far bad."""
        if not all(one.is_settled for one in self._referring):
            return False
        return self.resumed or self._whole.is_settled(now)

    def finish(self, now: float) -> list[Finding]:
        """Look at the stream as a whole; what stops the run."""
        failed = [] if self.resumed else self._whole.finish(now)
        for other in self._referring:
            if other.is_skipped or not self.met:
                continue
            if not other.met:
                failed += self._ledger.say(other.expects, f"stream '{other.stream}' never came")
            elif (found := other.finish()).count:
                finding = self._ledger.of(other.expects)
                finding.add(found.rows, found.values, found.count)
                failed += [finding] if other.expects.on_failure == "raise" else []
        return failed

    def close(self) -> None:
        """Forget everything."""
        for seen in self._seen.values():
            seen.close()


_ROW_RULES = frozenset({"not_null", "minimum", "maximum", "enum", "pattern"})
_FIRST = 10


def _columns_of(batch: Batch, names: Sequence[str]) -> list[tuple[Property, Column]] | None:
    """Some columns; None where the batch lacks one of them."""
    if any(name not in batch.columns for name in names):
        return None
    return [(batch.schema.properties[name], batch.columns[name]) for name in names]


def _all_valid(columns: Sequence[tuple[Property, Column]]) -> Mask:
    mask = ~nulls(columns[0][1])
    for _, column in columns[1:]:
        mask &= ~nulls(column)
    return mask


def _taken(
    columns: Sequence[tuple[Property, Column]], rows: np.ndarray, count: int
) -> list[tuple[Property, Column]]:
    if len(rows) == count:
        return list(columns)
    return [
        (one, column._replace(values=column.values.take(pa.array(rows)), absent=None))
        for one, column in columns
    ]


def _check_clearable(one: Expectation, schema: StreamSchema) -> None:
    (name,) = one.columns
    required = name in schema.key_properties
    if required or not schema.properties[name].nullable:
        why = "it is a key" if required else "its SCHEMA allows no null"
        raise DataError(
            f"{one.place}: on_failure: clear of column '{name}' of stream '{schema.stream}' is not possible: {why}.",
            "Drop such rows, or let the SCHEMA allow null (meltano.yml: schema).",
        )


def by_stream(expectations: Iterable[Expectation]) -> Mapping[str, list[Expectation]]:
    """The expectations of each stream."""
    found: dict[str, list[Expectation]] = {}
    for one in expectations:
        found.setdefault(one.stream, []).append(one)
    return found
