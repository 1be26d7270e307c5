"""Functions over a message stream: which message goes where, and in what order all of them leave.

Every input line has a number. The records of a stream that a function takes wait for their batch; a STATE waits
until every record that came before it has been written. Everything else passes at once.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal

from flow_singer.errors import MessageError, TransformError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.singer.badlines import RecordBeforeSchemaError
from flow_singer.singer.batchfiles import read_batch
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.envelope import decode_object
from flow_singer.singer.linenumbers import each_line
from flow_singer.singer.marks import Header, MessageWriter, Trailer, split_mark
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.nonfinite import without_nan
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import Part, other_lines
from flow_singer.transforms.barrier import StateBarrier
from flow_singer.transforms.batchrunner import BatchRunner
from flow_singer.transforms.functions import StreamFunction, WantedStreams
from flow_singer.transforms.missed import missed_functions
from flow_singer.transforms.notices import Notices
from flow_singer.transforms.outputs import Outputs
from flow_singer.transforms.rejecters import Reject, line_rejecter
from flow_singer.transforms.rowrunner import RowRunner
from flow_singer.transforms.streamrunner import Shared, StreamRunner
from flow_singer.transforms.waitingrecords import Limits, WaitingRecords
from flow_singer.transforms.wholerunner import WholeRunner

_RUNNERS: Mapping[str, type[StreamRunner]] = {
    "batch": BatchRunner,
    "rows": RowRunner,
    "whole": WholeRunner,
    "package": WholeRunner,
}
"""What runs the functions of each mode."""


class Transformer:
    """Runs the functions of one file over a message stream that is pushed in.

    Args:
        functions: at least one.
        out: where messages go.
        limits: when buffers are handed over.
        reject: called as `reject(line_number, stream, line, error)` for what is set aside; without it, the
            first bad line, record or row raises.
        noise: see [`MessageReader`][flow_singer.singer.messages.MessageReader].
        nan: see [`RecordDecoder`][flow_singer.tabular.recorddecoder.RecordDecoder].
        clock: seconds, for tests.
        parallel: decodes; one of its own where None.
        batch_paths: which files a BATCH may name; None for those below the current and the temporary folder.

    Attributes:
        header: the mark that the input began with.
        trailer: the mark that it ended with.
        notices: what a person should hear at the end, for example a dropped stream.
        waiting: the records that wait for their functions.
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
        self._batch_paths = BatchPaths(os.environ) if batch_paths is None else batch_paths
        self._batch_records: Counter[str] = Counter()
        self._met_columns: defaultdict[str, set[str]] = defaultdict(set)
        self._wanted = WantedStreams(functions)
        self._reader = MessageReader(
            self._wanted,
            reject=line_rejecter(reject),
            noise=noise,
            decodes=True,
            find_other_lines=other_lines,
        )
        self._parallel = ParallelDecoder() if parallel is None else parallel
        self._met = Notices()
        self._outputs = Outputs(out, self._met)
        self._shared = Shared(self._parallel, self._outputs, self._met, reject, nan)
        self.waiting = WaitingRecords(self._parallel, self._limits, clock)
        self._runners = self.waiting.runners
        self._states = StateBarrier(out.state, lambda: self.waiting.oldest_line, clock)

    # ------------------------------------------------------------------------------ what came and went

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

    @property
    def records_written(self) -> dict[str, int]:
        """How many records left, per stream: those the functions made, and those that only passed."""
        passed = {name: count for name, count in self.records_read.items() if name not in self._wanted}
        return {**passed, **self._out.records}

    @property
    def streams_met(self) -> list[str]:
        """Every stream that came."""
        return sorted({*self._wanted.known, *self._outputs.passing})

    def unused_functions(self, absent: Collection[str] = ()) -> list[StreamFunction]:
        """Functions whose streams never came, see [`missed_functions`][flow_singer.transforms.missed.missed_functions]."""
        return missed_functions(self.functions, self.streams_met, absent)

    def took(self, stream: str) -> bool:
        """Whether a function takes a stream."""
        return stream in self._wanted

    # -------------------------------------------------------------------------------- the whole stream

    def push(self, block: bytes) -> None:
        """Take the next bytes of the stream.

        Raises:
            DataError: a line, a record, or a function's result cannot be used.
        """
        for run in self._reader.push(block):
            self._handle(run)
        if any(runner.decodes_in_parallel for runner in self._runners.values()):
            self._parallel.expect(self._reader.size_bytes)

    def tick(self) -> None:
        """Hand over what has waited too long; call it about twice a second while nothing arrives."""
        self.waiting.flush_aged()
        if self._states.has_waited(self._limits.max_state_age_s):
            self.waiting.flush_all()
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
        self.waiting.flush_all()
        by_mode: dict[type[StreamRunner], list[StreamRunner]] = {}
        for runner in self._runners.values():
            runner.finish()
            by_mode.setdefault(type(runner), []).append(runner)
        if complete:
            for mode, runners in by_mode.items():
                mode.finish_complete(runners, self._shared)
        self._outputs.finish()
        self._release_states()
        self.notices = self._met.finish(self._outputs)

    # ------------------------------------------------------------------------------------- one message

    def _handle(self, run: Run) -> None:
        match run.type:
            case "RECORD" if run.stream is None:
                data = run.data if self._nan == "error" else without_nan(run.data)
                self._out.other(data, run.count)
            case "RECORD":
                self._handle_records(run.stream or "", Part(run.data, run.lines))
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

    def _handle_records(self, stream: str, part: Part) -> None:
        runner = self._runners.get(stream)
        if runner is None:
            for number, line in zip(each_line(part.lines), part.data[:-1].split(b"\n"), strict=True):
                self._set_aside(number, stream, line, RecordBeforeSchemaError(number, stream))
            return
        self.waiting.add(runner, part)
        if self.waiting.has_moved:
            self._release_states()

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
        _check_columns(function, schema, self._met_columns[stream])
        runner = self._runners.get(stream)
        if runner is None:
            runner = self._runners[stream] = _RUNNERS[function.mode](function, schema, self._shared)
        elif runner.schema != schema:
            self.waiting.flush(runner)
            runner.change_schema(schema, run.first_line)
        if runner.needs_every_row:
            _refuse_increment(function, stream, self.header)

    def _handle_state(self, run: Run) -> None:
        line = self._unmark(run.data[:-1])
        if line is not None:
            self._states.take(run.first_line, line)

    def _handle_version(self, run: Run) -> None:
        runner = self._runners.get(run.stream or "")
        if runner is None:
            self._outputs.activate_version(run.stream or "", run.data)
            return
        self.waiting.flush(runner)
        self._release_states()
        runner.activate_version(run.data)

    def _handle_batch(self, run: Run) -> None:
        stream, line = run.stream or "", run.data[:-1]
        if stream not in self._runners:
            self._set_aside(run.first_line, stream, line, RecordBeforeSchemaError(run.first_line, stream))
            return
        for data, count in read_batch(line, run.first_line, paths=self._batch_paths, reject=self._reject):
            self._batch_records[stream] += count
            self._handle_records(stream, Part(data, [(run.first_line, 1)] * count))
        self.waiting.flush(self._runners[stream])  # part of a line cannot wait: a STATE goes by line numbers

    def _unmark(self, line: bytes) -> bytes | None:
        """The line without its mark, which is noted; None where the mark is all that it says."""
        line, mark = split_mark(line)
        if isinstance(mark, Trailer):
            self.trailer = mark
            return None
        if isinstance(mark, Header):
            self.header = mark
            if self._out.header is not None and self._out.lines == 0:
                self._out.header = mark
        return line

    def _release_states(self) -> None:
        self.waiting.has_moved = False
        self._states.release()

    def _set_aside(self, number: int, stream: str, line: bytes, error: MessageError) -> None:
        """Reject a line, or raise where nobody takes it."""
        if self._reject is None:
            raise error
        self._reject(number, stream, line, error)


def _check_columns(function: StreamFunction, schema: StreamSchema, met: set[str]) -> None:
    """Refuse columns that a function wants to see, and that no SCHEMA of its stream has had.

    Args:
        function: takes the stream.
        schema: the newest SCHEMA.
        met: columns of all SCHEMAs so far, as one may leave a column out for a while; those of this one are added.
    """
    met.update(schema.properties)
    if unknown := [name for name in function.columns or () if name not in met]:
        names = [*schema.properties, *schema.unread]
        near = did_you_mean([repr(one) for one in near_names(unknown[0], names)[:2]])
        raise TransformError(
            f"{function.where} wants to see {', '.join(map(repr, unknown))}, which stream '{schema.stream}' lacks.",
            f"{near or 'Is it selected, and spelt as in the SCHEMA?'} Its columns are: {', '.join(names[:30])}{', …' if len(names) > 30 else ''}.",
        )


def _refuse_increment(function: StreamFunction, stream: str, header: Header | None) -> None:
    """Refuse a stream of which only what is new comes, for a function that needs every row."""
    if header is not None and stream in header.resumed and not function.incremental:
        raise TransformError(
            f"{function.where} needs every row of stream '{stream}', but this run resumed from a bookmark "
            "and brings only what is new.",
            "Run the tap with --full-refresh, or declare @transform(..., incremental=True) if that is meant.",
        )
