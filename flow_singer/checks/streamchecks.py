"""The expectations of one stream over its batches: which rows go, which cells become null, and what was found.

In the order of a batch: rows that are to be dropped go first; cells that are to be cleared become null; what is
left is held to the expectations that raise or warn.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.checks.cellvalues import Mask, shown
from flow_singer.checks.expectations import Expectation
from flow_singer.checks.findings import EXAMPLES, Finding, Ledger
from flow_singer.checks.othervalues import OtherValues
from flow_singer.checks.rowrules import Rule, bind, check_columns_known, check_pattern
from flow_singer.checks.seenkeys import SeenKeys
from flow_singer.checks.streamreferences import StreamReferences
from flow_singer.checks.valuekeys import keys_of_rows
from flow_singer.checks.wholestream import WholeStream
from flow_singer.errors import DataError
from flow_singer.singer.linenumbers import each_line
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch


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
        self._schema_rules: list[Rule] = []
        self._skipped: list[int] = []
        self._numbers = np.zeros(0, dtype=np.int64)
        self._ledger = Ledger(stream)
        self._whole = WholeStream(self.expectations, self._ledger)
        self._references = StreamReferences(stream, others, self._ledger)
        self._rules: list[Rule] = []
        self._columns: dict[str, None] = {}
        self._seen = {id(one): SeenKeys() for one in self.expectations if one.word == "unique"}
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
        return named | self._references.columns

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
        self._references.meet(self._columns)
        for one in self.expectations:
            if one.on_failure == "clear" and one.columns[0] in schema.properties:
                _check_clearable(one, schema)
        self._rules = [bind(one, schema) for one in self.expectations if one.word in _ROW_RULES]
        return self._whole.check_names([*schema.properties, *schema.unread])

    def hold_to(self, rules: Sequence[Rule], keys: Iterable[Expectation]) -> None:
        """Look also for what the newest SCHEMA says.

        Args:
            rules: in place of those before.
            keys: columns that are unique together; what was seen of such before stays known.
        """
        self._schema_rules = list(rules)
        known = {(one.columns, one.label) for one in self.expectations}
        for one in keys:
            if (one.columns, one.label) not in known:
                self.expectations.append(one)
                self._seen[id(one)] = SeenKeys()

    # ------------------------------------------------------------------------------------- one batch

    def look(self, batch: Batch) -> Verdict:
        """Look at the next records."""
        verdict = Verdict()
        self._numbers = self._row_numbers(batch)
        gone = np.zeros(batch.count, dtype=np.bool_)
        self._drop(batch, gone, verdict)
        if gone.any():
            verdict.dropped = gone
        batch = self._clear(batch, gone, verdict)
        for rule in [*self._rules, *self._schema_rules]:
            if rule.expects.on_failure in ("raise", "warn"):
                bad = rule.bad(batch)
                self._note(rule.expects, bad, gone, batch, verdict)
        for one in self._uniques("raise", "warn"):
            self._note(one, self._repeated(one, batch, gone), gone, batch, verdict)
        self._references.look(batch, ~gone, self._numbers)
        self.rows += batch.count + len(self._skipped)
        self._skipped.clear()
        verdict.failed += self._whole.look(batch, ~gone)
        return verdict

    def skip(self, line: int) -> None:
        """Count a record that cannot be looked at: that of a line behind those of the last batch."""
        self._skipped.append(line)

    def _row_numbers(self, batch: Batch) -> npt.NDArray[np.int64]:
        """The numbers of the rows of a batch, from 1."""
        numbers = np.arange(self.rows + 1, self.rows + 1 + batch.count)
        if self._skipped:
            lines = np.fromiter(each_line(batch.lines), np.int64, batch.count)
            numbers += np.searchsorted(np.sort(self._skipped), lines)
        return numbers

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
        found = keys_of_rows(batch, one.columns, ~gone)
        if found is None:
            return None
        rows, keys = found
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
        finding.add(self._numbers[first].tolist(), values, len(rows))
        if one.on_failure == "raise" and finding not in verdict.failed:
            verdict.failed.append(finding)

    # --------------------------------------------------------------------------------------- the end

    def is_settled(self, now: float) -> bool:
        """Whether nothing that is still to come can make what came so far bad."""
        return self._references.are_settled and (self.resumed or self._whole.is_settled(now))

    def finish(self, now: float) -> list[Finding]:
        """Look at the stream as a whole; what stops the run."""
        failed = [] if self.resumed else self._whole.finish(now)
        return failed + self._references.finish() if self.met else failed

    def close(self) -> None:
        """Forget everything."""
        for seen in self._seen.values():
            seen.close()


_ROW_RULES = frozenset({"not_null", "minimum", "maximum", "enum", "pattern"})


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
