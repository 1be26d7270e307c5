"""A message stream into a sink: lines to batches, batches in the order of their streams, STATE behind them.

The one way in which `flow load DIR/` and the bundled targets read. Nothing here knows files or packages.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from flow_singer.datapackage.recordbuffers import RecordBuffers
from flow_singer.datapackage.waitingstate import WaitingState, state_value
from flow_singer.errors import FlowError, MessageError
from flow_singer.singer.badlines import CutLineError, RecordBeforeSchemaError, bad_line
from flow_singer.singer.batchfiles import read_batch
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.envelope import decode_object
from flow_singer.singer.linenumbers import each_line
from flow_singer.singer.marks import Header, Trailer, check_complete, cut_short, split_mark
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import Part, other_lines
from flow_singer.tabular.recorddecoder import RecordDecoder


class Sink(Protocol):
    """What takes the records."""

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA that is new or changed."""

    def batch(self, batch: Batch) -> None:
        """Take the next records of a stream."""

    def activate_version(self, stream: str, version: int) -> None:
        """Take an ACTIVATE_VERSION."""

    def checkpoint(self) -> bool:
        """Make all that came so far durable; False where that is only possible at the end."""


@dataclass(frozen=True)
class LoadLimits:
    """When buffered records are handed over.

    Attributes:
        batch_records: those of one stream, at this many; 5000 fit the processor's caches, and are a third
            faster than 20 000.
        batch_bytes: those of one stream, at this many bytes of lines.
        total_bytes: at this many bytes of lines in all streams, those of the fullest one.
        max_state_age_s: those of all streams, this long after a STATE began to wait.
    """

    batch_records: int = 5_000
    batch_bytes: int = 8 << 20
    total_bytes: int = 64 << 20
    max_state_age_s: float = 10.0


@dataclass
class Loaded:
    """What came.

    Attributes:
        state: the JSON text of the last STATE's value, byte for byte; None where none came.
        header: the mark that the stream began with.
        trailer: the mark that it ended with.
        lines: how many lines came, the trailer not included.
        records: how many records came, per stream.
        incomplete: why the stream is not complete; None where it is, or where it bore no marks.
    """

    state: bytes | None = None
    header: Header | None = None
    trailer: Trailer | None = None
    lines: int = 0
    records: dict[str, int] = field(default_factory=dict)
    incomplete: str | None = None


class _AllStreams:
    def __contains__(self, stream: object) -> bool:
        return True


class Loader:
    """Reads a message stream that is pushed in, block by block.

    Args:
        sink: takes what comes.
        limits: when buffered records are handed over.
        emit_state: called with the JSON text of a STATE's value once all that came before it is durable.
        reject: called as `reject(line_number, stream, line, error)` for what is set aside; without it the
            first bad line or record raises.
        noise: see [`MessageReader`][flow_singer.singer.messages.MessageReader].
        nan: see [`RecordDecoder`][flow_singer.tabular.recorddecoder.RecordDecoder].
        clock: seconds, for tests.
        parallel: decodes the records.
        batch_paths: which files a BATCH may name; None for those below the current and the temporary folder.
    """

    def __init__(
        self,
        sink: Sink,
        *,
        limits: LoadLimits | None = None,
        emit_state: Callable[[bytes], None] | None = None,
        reject: Callable[[int, str | None, bytes, FlowError], None] | None = None,
        noise: Callable[[bytes], None] | None = None,
        nan: Literal["error", "null"] = "error",
        clock: Callable[[], float] = time.monotonic,
        parallel: ParallelDecoder | None = None,
        batch_paths: BatchPaths | None = None,
    ) -> None:
        self._parallel = ParallelDecoder() if parallel is None else parallel
        self._sink = sink
        limits = limits or LoadLimits()
        self._max_state_age_s = limits.max_state_age_s
        self._buffers = RecordBuffers(
            sink.batch,
            self._parallel,
            batch_records=limits.batch_records,
            batch_bytes=limits.batch_bytes,
            total_bytes=limits.total_bytes,
        )
        self._waiting = WaitingState(clock)
        self.loaded = Loaded(records=self._buffers.records)
        self._emit_state = emit_state
        self._reject = reject
        self._nan: Literal["error", "null"] = nan
        self._batch_paths = BatchPaths(os.environ) if batch_paths is None else batch_paths
        self._reader = MessageReader(
            _AllStreams(),
            reject=None if reject is None else lambda number, line, error: reject(number, None, line, error),
            noise=noise,
            decodes=True,
            find_other_lines=other_lines,
        )

    def push(self, block: bytes) -> None:
        """Take the next bytes of the stream.

        Raises:
            DataError: a line or a record cannot be used.
        """
        for run in self._reader.push(block):
            self.handle(run)
        self.tick()

    def tick(self) -> None:
        """Hand over what has waited too long for the sake of a STATE; call it while nothing arrives."""
        self._parallel.finish_ready()
        if self._waiting.is_older_than(self._max_state_age_s):
            self.flush()

    def finish(self) -> Loaded:
        """Hand over the rest at the end of the stream.

        Where it is not complete, only what the newest STATE covers is handed over, if that can still be told
        from what came behind it.

        Raises:
            DataError: a record cannot be used.
        """
        loaded = self.loaded
        cut = None
        try:
            for run in self._reader.finish():
                self.handle(run)
        except CutLineError as error:
            if loaded.trailer is not None:
                raise
            cut = cut_short(error.line)
        loaded.lines = self._reader.line_number - (loaded.trailer is not None)
        loaded.incomplete = (
            check_complete(loaded.header, loaded.trailer, loaded.lines, self._reader.records) or cut
        )
        if not loaded.incomplete:
            self.flush()
        elif self._waiting and self._buffers.newest_line < self._waiting.line:
            self._buffers.forget_from(self._waiting.line)
            self.flush()
        return loaded

    def flush(self) -> None:
        """Hand over every buffered record, and emit the newest STATE where the sink says that it is safe."""
        self._buffers.flush_all()
        if self._waiting:
            self._waiting.restart()
            if self._sink.checkpoint():
                self.release_state()

    def close(self) -> None:
        """End what works behind the scenes; call it at the end, however that came."""
        self._parallel.close()

    def release_state(self) -> None:
        """Emit the STATE that still waits; call it once everything is published."""
        state = self._waiting.take()
        if state is not None and self._emit_state is not None:
            self._emit_state(state)

    # ----------------------------------------------------------------------------------- one message

    def handle(self, run: Run) -> None:
        """Take one run of lines, where the caller reads the stream itself.

        Raises:
            DataError: a line or a record cannot be used.
        """
        match run.type:
            case "RECORD":
                self._parallel.expect(self._buffers.received_bytes)
                self._add(run.stream or "", Part(run.data, run.lines))
            case "SCHEMA":
                self._handle_schema(run)
            case "STATE":
                self._handle_state(run)
            case "ACTIVATE_VERSION":
                self._handle_version(run)
            case "BATCH":
                self._handle_batch(run)
            case _:
                self._set_aside_message(run, f"unknown message type '{run.type}'")

    def _handle_schema(self, run: Run) -> None:
        line = self._unmark(run.data[:-1])
        if line is None:
            return
        schema = StreamSchema(decode_object(line, run.first_line))
        before = self._buffers.schema_of(schema.stream)
        if before is not None:
            if before == schema:
                return
            self._buffers.flush(schema.stream)
        reject = self._reject
        decoder = RecordDecoder(
            schema,
            nan=self._nan,
            reject=None
            if reject is None
            else lambda n, text, error: reject(
                n, None if isinstance(error, MessageError) else schema.stream, text, error
            ),
        )
        self._sink.schema(schema)
        self._buffers.open(schema, decoder)

    def _handle_batch(self, run: Run) -> None:
        stream, line, number = run.stream or "", run.data[:-1], run.first_line
        if stream not in self._buffers:
            self._set_aside(number, stream, line, RecordBeforeSchemaError(number, stream))
            return
        for data, count in read_batch(line, number, paths=self._batch_paths, reject=self._reject):
            self._add(stream, Part(data, [(number, 1)] * count))

    def _handle_state(self, run: Run) -> None:
        line = self._unmark(run.data[:-1])
        if line is None:
            return
        value = state_value(line, run.first_line)
        if value is None:
            self._set_aside_message(run, "the STATE message has no 'value'")
            return
        self.loaded.state = value
        self._waiting.put(value, run.first_line)

    def _unmark(self, line: bytes) -> bytes | None:
        line, mark = split_mark(line)
        if isinstance(mark, Trailer):
            self.loaded.trailer = mark
            return None
        if isinstance(mark, Header):
            self.loaded.header = mark
        return line

    def _handle_version(self, run: Run) -> None:
        stream = run.stream or ""
        version = decode_object(run.data[:-1], run.first_line).get("version")
        if not isinstance(version, int):
            self._set_aside_message(run, "the ACTIVATE_VERSION message has no 'version'")
            return
        if stream in self._buffers:
            self._buffers.flush(stream)
        self._sink.activate_version(stream, version)

    def _set_aside_message(self, run: Run, reason: str) -> None:
        line = run.data[:-1]
        self._set_aside(run.first_line, None, line, bad_line(run.first_line, line, reason))

    def _set_aside(self, number: int, stream: str | None, line: bytes, error: MessageError) -> None:
        """Reject a line, or raise where nobody takes it."""
        if self._reject is None:
            raise error
        self._reject(number, stream, line, error)

    def _add(self, stream: str, part: Part) -> None:
        if not self._buffers.add(stream, part):
            for number, line in zip(each_line(part.lines), part.data[:-1].split(b"\n"), strict=True):
                self._set_aside(number, stream, line, RecordBeforeSchemaError(number, stream))


def load_package(
    blocks: Iterable[bytes],
    sink: Sink,
    *,
    limits: LoadLimits | None = None,
    reject: Callable[[int, str | None, bytes, FlowError], None] | None = None,
    noise: Callable[[bytes], None] | None = None,
    nan: Literal["error", "null"] = "error",
) -> Loaded:
    """Hand a whole message stream to a package writer.

    The caller decides what becomes of it: where `incomplete` is None, publish, and only then let the state
    be known; else abandon.

    Args:
        blocks: the stream, in blocks of any size.
        sink: takes what comes.
        limits: when buffered records are handed over.
        reject: see [`Loader`][].
        noise: see [`Loader`][].
        nan: see [`Loader`][].

    Raises:
        DataError: a line or a record cannot be used.
        TargetError: the sink cannot write.
    """
    with contextlib.closing(Loader(sink, limits=limits, reject=reject, noise=noise, nan=nan)) as loader:
        for block in blocks:
            loader.push(block)
        return loader.finish()
