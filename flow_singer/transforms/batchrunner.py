"""Functions that see one batch of a stream at a time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from flow_singer.errors import TransformError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, concat_batches, split_by_version
from flow_singer.tabular.frames import to_frame
from flow_singer.tabular.parts import Part
from flow_singer.transforms.calls import BatchResult, call_function, call_on_batch, dtypes_alone
from flow_singer.transforms.drops import ForgottenReturnError
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.rejecters import row_rejecter
from flow_singer.transforms.results import Output
from flow_singer.transforms.splitcheck import SPLIT_CHECK_STREAMS, check_split
from flow_singer.transforms.streamrunner import Shared, StreamRunner


class BatchRunner(StreamRunner):
    """Calls its function once per batch, as soon as the batch is decoded."""

    def __init__(self, function: StreamFunction, schema: StreamSchema, shared: Shared) -> None:
        super().__init__(function, schema, shared)
        self._needs_split_check = function.check_split

    def run(self, parts: Sequence[Part]) -> None:
        """Have records decoded, and then call the function."""
        self._shared.parallel.decode(self._decoder, parts, self._call)

    def finish(self) -> None:
        """Write a SCHEMA where no record ever came."""
        if not self.buffer.total:
            self._write_empty()

    def _call(self, decoded: Batch) -> None:
        for batch in split_by_version(decoded):
            if batch.count:
                self._call_on(batch)

    def _call_on(self, batch: Batch) -> None:
        shared, stream = self._shared, self.stream
        unreadable = shared.notices.unreadable.setdefault(stream, {})
        reject = row_rejecter(shared.reject, stream)
        results = list(call_on_batch(self.function, batch, unreadable=unreadable, reject=reject))
        if self._needs_split_check and batch.count > 1 and len(results) == 1:
            self._check_split(batch)
        for result in results:
            self._write(result)

    def _check_split(self, batch: Batch) -> None:
        self._needs_split_check = False
        where = self.function.where
        self._shared.split_checks[where] = turn = self._shared.split_checks[where] + 1
        if turn <= SPLIT_CHECK_STREAMS:
            check_split(self.function, batch, turn)

    def _write(self, result: BatchResult) -> None:
        function = self.function
        if self.schema.unread and len(result.outputs) > 1:
            raise TransformError(
                f"{function.where} returned {len(result.outputs)} tables, of which one can take the columns "
                "along that it does not see.",
                "Return one table, or let it see all columns: leave columns= out.",
            )
        for output in result.outputs:
            alone = (
                partial(dtypes_alone, function, result.batch, output.stream) if function.check_split else None
            )
            self._shared.outputs.write(function, output, self.schema, result.batch, alone=alone)

    def _write_empty(self) -> None:
        """A stream without records still has a SCHEMA, so that its table exists."""
        empty = concat_batches(self.schema, [])
        try:
            outputs = call_function(self.function, [to_frame(empty)], self.stream)
        except ForgottenReturnError:
            raise
        except TransformError as exc:
            self._shared.notices.fails_on_empty(self.function, self.stream, exc.message)
            outputs = [Output(None, to_frame(empty))]
        for output in outputs:
            self._shared.outputs.write(self.function, output, self.schema, empty)
