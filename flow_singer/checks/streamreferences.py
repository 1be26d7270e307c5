"""The part that one stream has in `references`: what it refers to, and what refers to it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import numpy.typing as npt

from flow_singer.checks.cellvalues import Mask, shown
from flow_singer.checks.findings import EXAMPLES, Finding, Ledger
from flow_singer.checks.othervalues import OtherValues
from flow_singer.checks.valuekeys import keys_of_rows
from flow_singer.errors import DataError
from flow_singer.nearnames import listed
from flow_singer.tabular.batch import Batch


class StreamReferences:
    """Gives the values of one stream to those who ask for them.

    Args:
        stream: its name.
        others: expectations of the word `references`, of all streams.
        ledger: gets what is found.
    """

    def __init__(self, stream: str, others: Sequence[OtherValues], ledger: Ledger) -> None:
        self._ledger = ledger
        self._referring = [one for one in others if one.expects.stream == stream]
        self._referred = [one for one in others if one.stream == stream]

    @property
    def columns(self) -> set[str]:
        """Columns that others refer to."""
        return {one.column for one in self._referred}

    @property
    def are_settled(self) -> bool:
        """Whether each value is known to be one of the other stream's."""
        return all(one.is_settled for one in self._referring)

    def meet(self, columns: Collection[str]) -> None:
        """Take the columns of the stream.

        Raises:
            DataError: it lacks one that others refer to.
        """
        for other in self._referred:
            if other.column not in columns:
                raise DataError(
                    f"{other.expects.place}: references of stream '{other.expects.stream}' names column "
                    f"'{other.column}', which stream '{other.stream}' lacks.",
                    f"Its columns are: {listed(columns)}.",
                )
            other.met = True

    def look(self, batch: Batch, kept: Mask, numbers: npt.NDArray[np.int64]) -> None:
        """Look at the next records.

        Args:
            batch: n records.
            kept: those that were not dropped.
            numbers: of their rows.
        """
        for other in self._referred:
            if (found := keys_of_rows(batch, (other.column,), kept)) is not None:
                other.learn(found[1])
        for other in self._referring:
            (name,) = other.expects.columns
            if (found := keys_of_rows(batch, (name,), kept)) is None:
                continue
            rows, keys = found
            unknown = other.unknown(keys)
            if len(unknown):
                values = [shown(batch.columns[name], row) for row in rows[unknown[:_FIRST]].tolist()]
                other.wait(keys.take(unknown), numbers[rows[unknown]], values)

    def finish(self) -> list[Finding]:
        """What refers to nothing; what stops the run."""
        failed = []
        for other in self._referring:
            if other.is_skipped:
                continue
            if not other.met:
                failed += self._ledger.say(other.expects, f"stream '{other.stream}' never came")
            elif (found := other.finish()).count:
                finding = self._ledger.of(other.expects)
                finding.add(found.rows, found.values, found.count)
                failed += [finding] if other.expects.on_failure == "raise" else []
        return failed


_FIRST = 4 * EXAMPLES
