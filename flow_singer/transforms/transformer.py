"""Functions over a message stream; the one home of the rule that a STATE never overtakes a record it covers.

Every input line has a number. A stream that a function takes is buffered; a STATE waits until every buffered
record that came before it has been written. Everything else passes at once.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal

from flow_singer.errors import MessageError, TransformError
from flow_singer.singer.badlines import RecordBeforeSchemaError
from flow_singer.singer.batchfiles import read_batch
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.envelope import decode_object
from flow_singer.singer.linenumbers import each_line
from flow_singer.singer.marks import Header, MessageWriter, Trailer, split_mark
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.nonfinite import without_nan
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, concat_batches, split_by_version
from flow_singer.tabular.columns import RecordDecoder
from flow_singer.tabular.frames import to_frame
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import Part, other_lines
from flow_singer.tabular.rows import decode_rows
from flow_singer.transforms.barrier import WaitingStates
from flow_singer.transforms.buffers import Buffer, Limits
from flow_singer.transforms.calls import (
    BatchResult,
    RowError,
    call_function,
    call_on_batch,
    call_on_rows,
    check_returns,
    dtypes_alone,
)
from flow_singer.transforms.drops import Drop, ForgottenReturnError
from flow_singer.transforms.functions import StreamFunction, WantedStreams
from flow_singer.transforms.missed import missed_functions
from flow_singer.transforms.notices import Notices
from flow_singer.transforms.outputs import Outputs
from flow_singer.transforms.rejecters import Reject, line_rejecter, record_rejecter, row_rejecter
from flow_singer.transforms.results import Output
from flow_singer.transforms.splitcheck import SPLIT_CHECK_STREAMS, check_split
from flow_singer.transforms.spool import BATCH_BYTES, Spool
from flow_singer.transforms.wholes import call_whole, whole_calls


class Transformer:
    """Runs the functions of one file over a message stream that is pushed in.

    Args:
        functions: at least one.
        out: where messages go.
        limits: when buffers are handed over.
        reject: called as `reject(line_number, stream, line, error)` for what is set aside; without it, the
            first bad line, record or row raises.
        noise: see [`MessageReader`][flow_singer.singer.messages.MessageReader].
        nan: see [`RecordDecoder`][flow_singer.tabular.columns.RecordDecoder].
        clock: seconds, for tests.
        parallel: decodes; one of its own where None.
        batch_paths: which files a BATCH may name; None for those below the current and the temporary folder.

    Attributes:
        header: the mark that the input began with.
        trailer: the mark that it ended with.
        notices: what a person should hear at the end, for example a dropped stream.
    """

    def __init__(
        self,
        functions: Sequence[StreamFunction],
        out: MessageWriter,
        *,
        limits: Limits | None = None,
        reject: Reject | None = None,
        noise: Callable[[bytes], None] | None = None,
        nan: Literal["error", "null"] = "error",
        clock: Callable[[], float] = time.monotonic,
        parallel: ParallelDecoder | None = None,
        batch_paths: BatchPaths | None = None,
    ) -> None:
        self.functions = functions
        self.header: Header | None = None
        self.trailer: Trailer | None = None
        self.notices: list[str] = []
        self._out = out
        self._limits = limits or Limits()
        self._reject = reject
        self._nan: Literal["error", "null"] = nan
        self._clock = clock
        self._batch_records: Counter[str] = Counter()
        self._batch_paths = BatchPaths(os.environ) if batch_paths is None else batch_paths
        self._wanted = WantedStreams(functions)
        self._reader = MessageReader(
            self._wanted,
            reject=line_rejecter(reject),
            noise=noise,
            decodes=True,
            find_other_lines=other_lines,
        )
        self._parallel = ParallelDecoder() if parallel is None else parallel
        self._buffers: dict[str, Buffer] = {}
        self._outputs = Outputs(out)
        self._waiting_bytes = 0
        self._states = WaitingStates()
        self._held: dict[str, list[bytes]] = {}
        self._checked: set[str] = set()
        self._answered: set[str] = set()
        """Streams whose row function gave a record, or dropped one by name."""
        self._checks: Counter[str] = Counter()
        self._has_moved = False
        """Whether records were written since STATEs were last looked at: only then may one of them go."""
        self._met = Notices()

    @property
    def lines_read(self) -> int:
        """How many lines came in, the trailer not included."""
        return self._reader.line_number - (self.trailer is not None)

    @property
    def records_read(self) -> dict[str, int]:
        """How many records came in, per stream, those of BATCH files with them."""
        return dict(Counter(self._reader.records) + self._batch_records)

    @property
    def record_lines(self) -> dict[str, int]:
        """How many RECORD lines came in, per stream: what the producer counts, too."""
        return self._reader.records

    def push(self, block: bytes) -> None:
        """Take the next bytes of the stream.

        Raises:
            DataError: a line, a record, or a function's result cannot be used.
        """
        for run in self._reader.push(block):
            self._handle(run)
        if any(buffer.function.mode != "rows" for buffer in self._buffers.values()):
            self._parallel.expect(self._reader.size_bytes)

    def tick(self) -> None:
        """Hand over what has waited too long; call it about twice a second while nothing arrives."""
        now = self._clock()
        limits = self._limits
        for buffer in self._buffers.values():
            if buffer.parts and buffer.spool is None and now - buffer.since >= limits.max_age_s:
                self._flush(buffer)
        self._parallel.finish_ready()
        if self._states and now - self._states.oldest_s >= limits.max_state_age_s:
            self._flush_all()
        self._release_states()

    def close(self) -> None:
        """End what works behind the scenes; call it at the end, however that came."""
        self._parallel.close()

    def read_rest(self) -> None:
        """Take the last line where it lacked its newline; call it at the end of the stream.

        Raises:
            MessageError: the stream was cut in the middle of a line.
        """
        for run in self._reader.finish():
            self._handle(run)

    def finish(self, *, complete: bool) -> None:
        """Write everything that waits.

        Args:
            complete: whether the stream is known to have come to its proper end. If not, whole-stream
                functions are not called, and no STATE behind their records is written.
        """
        self._flush_all()
        for buffer in self._buffers.values():
            if buffer.function.mode == "rows":
                self._finish_rows(buffer)
            elif buffer.function.mode == "batch" and not buffer.seen:
                self._write_empty(buffer)
        if complete:
            self._call_whole_functions()
        self._outputs.finish()
        self._release_states()
        self.notices = self._met.finish(self._outputs)

    # ----------------------------------------------------------------------------------- one message

    def _handle(self, run: Run) -> None:
        match run.type:
            case "RECORD" if run.stream is None:
                data = run.data if self._nan == "error" else without_nan(run.data)
                self._out.other(data, run.count)
            case "RECORD":
                self._buffer_records(run.stream or "", Part(run.data, run.lines))
            case "SCHEMA":
                self._handle_schema(run)
            case "STATE":
                self._handle_state(run)
            case "ACTIVATE_VERSION" if run.stream in self._wanted:
                self._handle_version(run)
            case "BATCH" if run.stream in self._wanted:
                self._handle_batch(run)
            case _:
                self._out.other(run.data, run.count)

    def _handle_schema(self, run: Run) -> None:
        line = self._unmark(run.data[:-1])
        stream = run.stream or ""
        if line is None:
            return
        function = self._wanted.get(stream)
        if function is None:
            self._outputs.let_pass(stream)
            self._out.schema(line)
            return
        schema = StreamSchema(decode_object(line, run.first_line), read=function.columns)
        buffer = self._buffers.get(stream)
        met = buffer.met if buffer else set()  # a column may leave the SCHEMA for a while
        met.update(schema.properties)
        if unknown := [name for name in function.columns or () if name not in met]:
            names = [*schema.properties, *schema.unread]
            raise TransformError(
                f"{function.where} wants to see {', '.join(map(repr, unknown))}, which stream '{stream}' lacks.",
                f"Is it selected, and spelt as in the SCHEMA? Its columns are: {', '.join(names[:30])}{', …' if len(names) > 30 else ''}.",
            )
        if buffer is not None:
            if buffer.schema == schema:
                return
            self._flush(buffer)
            if buffer.spool is not None:
                widened = buffer.spool.widened(buffer.schema, schema)
                if widened is None:
                    raise MessageError(
                        f"Line {run.first_line}: the SCHEMA of stream '{stream}' changed while {function.where} "
                        "waits for all of its rows.",
                        "A whole-stream function needs one SCHEMA, but for columns that come and go; run the tap "
                        "again from the beginning.",
                    )
                if widened is buffer.schema:
                    return
                schema = widened
        decoder = RecordDecoder(schema, nan=self._nan, reject=record_rejecter(self._reject, stream))
        check_returns(function, stream)
        fresh = Buffer(schema, decoder, function, seen=buffer.seen if buffer else False, met=met)
        if function.mode in ("whole", "package"):
            fresh.spool = buffer.spool if buffer else Spool()
            self._refuse_increment(function, stream)
        self._buffers[stream] = fresh

    def _unmark(self, line: bytes) -> bytes | None:
        line, mark = split_mark(line)
        if isinstance(mark, Trailer):
            self.trailer = mark
            return None
        if isinstance(mark, Header):
            self.header = mark
            if self._out.header is not None and self._out.lines == 0:
                self._out.header = mark
        return line

    def _refuse_increment(self, function: StreamFunction, stream: str) -> None:
        if self.header is not None and stream in self.header.resumed and not function.incremental:
            raise TransformError(
                f"{function.where} needs every row of stream '{stream}', but this run resumed from a bookmark "
                "and brings only what is new.",
                "Run the tap with --full-refresh, or declare @transform(..., incremental=True) if that is meant.",
            )

    def _handle_state(self, run: Run) -> None:
        line = self._unmark(run.data[:-1])
        if line is None:
            return
        if not self._states and self._oldest_line is None:
            self._out.state(line)
        else:
            self._states.add(run.first_line, self._clock(), line)

    @property
    def _oldest_line(self) -> int | None:
        """Number of the first line whose record is not written yet."""
        lines = [self._parallel.oldest_line, *(buffer.oldest_line for buffer in self._buffers.values())]
        return min((line for line in lines if line is not None), default=None)

    def _release_states(self) -> None:
        """Write the newest STATE that no buffered record precedes."""
        self._has_moved = False
        newest = self._states.release(self._oldest_line) if self._states else None
        if newest is not None:
            self._out.state(newest)

    def _handle_version(self, run: Run) -> None:
        stream = run.stream or ""
        buffer = self._buffers.get(stream)
        if buffer is not None and buffer.spool is not None:
            self._held.setdefault(stream, []).append(run.data)
            return
        if buffer is not None:
            self._flush(buffer)
            self._release_states()
        self._outputs.activate_version(stream, run.data)

    def _handle_batch(self, run: Run) -> None:
        stream, line = run.stream or "", run.data[:-1]
        if stream not in self._buffers:
            self._set_aside(run.first_line, stream, line, RecordBeforeSchemaError(run.first_line, stream))
            return
        for data, count in read_batch(line, run.first_line, paths=self._batch_paths, reject=self._reject):
            self._batch_records[stream] += count
            self._buffer_records(stream, Part(data, [(run.first_line, 1)] * count))
        self._flush(self._buffers[stream])  # part of a line cannot wait: a STATE goes by line numbers

    def _buffer_records(self, stream: str, part: Part) -> None:
        buffer = self._buffers.get(stream)
        if buffer is None:
            for number, line in zip(each_line(part.lines), part.data[:-1].split(b"\n"), strict=True):
                self._set_aside(number, stream, line, RecordBeforeSchemaError(number, stream))
            return
        if not buffer.parts:
            buffer.since = self._clock()
        buffer.add(part)
        self._waiting_bytes += len(part.data)
        limits = self._limits
        batch_bytes = limits.batch_bytes if buffer.spool is None else min(limits.batch_bytes, BATCH_BYTES)
        while buffer.records >= limits.batch_records or buffer.size_bytes >= batch_bytes:
            self._process(buffer, min(buffer.records, limits.batch_records))
        while self._waiting_bytes >= limits.total_bytes:
            self._process_all(max(self._buffers.values(), key=lambda one: one.size_bytes))
        if self._has_moved:
            self._release_states()

    def _set_aside(self, number: int, stream: str, line: bytes, error: MessageError) -> None:
        """Reject a line, or raise where nobody takes it."""
        if self._reject is None:
            raise error
        self._reject(number, stream, line, error)

    # ---------------------------------------------------------------------------------- one function

    def _flush_all(self) -> None:
        for buffer in self._buffers.values():
            self._process_all(buffer)
        self._parallel.drain()

    def _flush(self, buffer: Buffer) -> None:
        self._process_all(buffer)
        self._parallel.drain()

    def _process_all(self, buffer: Buffer) -> None:
        while buffer.records:
            self._process(buffer, min(buffer.records, self._limits.batch_records))

    def _process(self, buffer: Buffer, records: int) -> None:
        parts = buffer.take(records)
        self._waiting_bytes -= sum(len(part.data) for part in parts)
        self._has_moved = True
        buffer.since = self._clock()
        if buffer.spool is not None:
            self._parallel.decode(buffer.decoder, parts, buffer.spool.add)
        elif buffer.function.mode == "rows":
            for part in parts:
                self._process_rows(buffer, part)
        else:
            self._parallel.decode(buffer.decoder, parts, partial(self._process_batches, buffer))

    def _process_batches(self, buffer: Buffer, batch: Batch) -> None:
        for one in split_by_version(batch):
            if one.count:
                self._process_batch(buffer, one)

    def _process_batch(self, buffer: Buffer, batch: Batch) -> None:
        function = buffer.function
        stream = buffer.schema.stream
        unreadable = self._met.unreadable.setdefault(stream, {})
        results = list(
            call_on_batch(function, batch, unreadable=unreadable, reject=row_rejecter(self._reject, stream))
        )
        if function.check_split and stream not in self._checked and batch.count > 1 and len(results) == 1:
            self._checked.add(stream)
            self._checks[function.where] = turn = self._checks[function.where] + 1
            if turn <= SPLIT_CHECK_STREAMS:
                check_split(function, batch, turn)
        for result in results:
            self._write_result(buffer, result)

    def _write_result(self, buffer: Buffer, result: BatchResult) -> None:
        if buffer.schema.unread and len(result.outputs) > 1:
            raise TransformError(
                f"{buffer.function.where} returned {len(result.outputs)} tables, of which one can take the columns "
                "along that it does not see.",
                "Return one table, or let it see all columns: leave columns= out.",
            )
        function = buffer.function
        for output in result.outputs:
            alone = (
                partial(dtypes_alone, function, result.batch, output.stream) if function.check_split else None
            )
            self._write(function, output, buffer.schema, result.batch, alone=alone)

    def _write(
        self,
        function: StreamFunction,
        output: Output,
        schema: StreamSchema | None,
        batch: Batch | None,
        *,
        is_whole: bool = False,
        alone: Callable[[int], Mapping[str, Any]] | None = None,
    ) -> None:
        if output.dropped:
            stream = output.stream or (schema.stream if schema else ", ".join(function.streams))
            self._met.dropped(function, stream, batch.count if batch else 0)
        else:
            self._outputs.write(function, output, schema, batch, is_whole=is_whole, alone=alone)

    def _write_empty(self, buffer: Buffer) -> None:
        """A stream without records still has a SCHEMA, so that its table exists."""
        schema, function = buffer.schema, buffer.function
        empty = concat_batches(schema, [])
        try:
            outputs = call_function(function, [to_frame(empty)], schema.stream)
        except ForgottenReturnError:
            raise
        except TransformError as exc:
            self._met.fails_on_empty(function, schema.stream, exc.message)
            outputs = [Output(None, to_frame(empty))]
        for output in outputs:
            self._write(function, output, schema, empty)

    def _finish_rows(self, buffer: Buffer) -> None:
        """A stream of which no record is left has a SCHEMA too, unless the function says that it is dropped."""
        schema, function = buffer.schema, buffer.function
        stream = schema.stream
        if stream in self._answered:
            return
        count = self.records_read.get(stream, 0)
        if count:
            self._met.dropped(function, stream, count)
        if function.drop:
            return
        empty = concat_batches(schema, [])
        try:
            self._outputs.write(function, Output(None, to_frame(empty)), schema, empty)
        except TransformError as exc:
            self._met.no_schema(function, stream, exc.message)

    def _process_rows(self, buffer: Buffer, part: Part) -> None:
        function, stream = buffer.function, buffer.schema.stream
        rows = decode_rows(part, self._nan, record_rejecter(self._reject, stream))
        found: dict[str | Drop | None, tuple[list[int], list[dict[str, Any]]]] = {}
        start: int | None = 0
        while start is not None:
            try:
                for position, name, record in call_on_rows(function, rows, start):
                    if name not in found:
                        found[name] = [], []
                    positions, records = found[name]
                    positions.append(position)
                    records.append(record)
                start = None
            except RowError as error:
                if self._reject is None:
                    raise
                self._reject(rows.line_of(error.row), stream, rows.text_of(error.row), error)
                start = error.row + 1
        if found:
            self._answered.add(stream)
        for name, (positions, records) in found.items():
            if isinstance(name, Drop):
                self._met.dropped(function, stream, len(positions))
                continue
            writer = self._outputs.of(function, name, stream)
            own = name in (None, stream)
            blocks = writer.write_rows(records, rows, positions, buffer.schema, keeps=own)
            self._outputs.write_blocks(writer, blocks, len(records))

    # ------------------------------------------------------------------------------- whole functions

    def _call_whole_functions(self) -> None:
        for function, buffers in whole_calls(self._buffers.values()):
            outputs = call_whole(function, buffers, self._met.unreadable)
            for output, schema, batch in outputs:
                self._write(function, output, schema, batch, is_whole=True)
            for buffer in buffers:
                stream = buffer.schema.stream
                buffer.spool = None
                for line in self._held.pop(stream, []):
                    self._outputs.activate_version(stream, line)

    def unused_functions(self, absent: Collection[str] = ()) -> list[StreamFunction]:
        """Functions whose streams never came, see [`missed_functions`][flow_singer.transforms.missed.missed_functions]."""
        return missed_functions(self.functions, self.streams_met, absent)

    def took(self, stream: str) -> bool:
        """Whether a function takes a stream."""
        return stream in self._wanted

    @property
    def streams_met(self) -> list[str]:
        """Every stream that came."""
        return sorted({*self._wanted.known, *self._outputs.passing})


def records_written(transformer: Transformer, out: MessageWriter) -> Mapping[str, int]:
    """Records that left, per stream: those the functions made, and those that only passed."""
    passed = {s: n for s, n in transformer.records_read.items() if s not in transformer._wanted}
    return {**passed, **out.records}
