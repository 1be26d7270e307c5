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

import msgspec

from flow_singer.datapackage.rowkeys import MissingKeyError
from flow_singer.errors import FlowError, MessageError
from flow_singer.singer.badlines import CutLineError, RecordBeforeSchemaError, bad_line
from flow_singer.singer.batchfiles import read_batch
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.envelope import decode_object
from flow_singer.singer.linenumbers import count_lines, each_line, last_line
from flow_singer.singer.marks import Header, Trailer, check_complete, cut_short, split_mark
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.columns import RecordDecoder
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import Part, other_lines, parts_of

__all__ = [
    "LoadLimits",
    "Loaded",
    "Loader",
    "MissingKeyError",
    "RecordBeforeSchemaError",
    "Sink",
    "load_package",
]


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


@dataclass
class _Buffer:
    """Lines of one stream that wait to be decoded."""

    schema: StreamSchema
    decoder: RecordDecoder
    parts: list[Part] = field(default_factory=list)
    records: int = 0
    size_bytes: int = 0

    def forget_from(self, line: int) -> None:
        """Forget the lines from this number on; it is that of a message of another type, where parts end."""
        self.parts = [part for part in self.parts if part.lines[-1][0] < line]
        self.records = sum(count_lines(part.lines) for part in self.parts)
        self.size_bytes = sum(len(part.data) for part in self.parts)


class _AllStreams:
    def __contains__(self, stream: object) -> bool:
        return True


class _State(msgspec.Struct):
    value: msgspec.Raw


_state_decoder = msgspec.json.Decoder(_State)


class Loader:
    """Reads a message stream that is pushed in, block by block.

    Args:
        sink: takes what comes.
        limits: when buffered records are handed over.
        emit_state: called with the JSON text of a STATE's value once all that came before it is durable.
        reject: called as `reject(line_number, stream, line, error)` for what is set aside; without it the
            first bad line or record raises.
        noise: see [`MessageReader`][flow_singer.singer.messages.MessageReader].
        nan: see [`RecordDecoder`][flow_singer.tabular.columns.RecordDecoder].
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
        self.loaded = Loaded()
        self._sink = sink
        self._limits = limits or LoadLimits()
        self._emit_state = emit_state
        self._reject = reject
        self._nan: Literal["error", "null"] = nan
        self._clock = clock
        self._batch_paths = BatchPaths(os.environ) if batch_paths is None else batch_paths
        self._reader = MessageReader(
            _AllStreams(),
            reject=None if reject is None else lambda number, line, error: reject(number, None, line, error),
            noise=noise,
            decodes=True,
            find_other_lines=other_lines,
        )
        self._buffers: dict[str, _Buffer] = {}
        self._size_bytes = 0
        self._received_bytes = 0
        self._waiting_state: bytes | None = None
        self._waiting_line = 0
        self._waiting_since = 0.0
        self._newest_line = 0
        """The last line of which a record was handed over."""

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
        if self._waiting_state is not None and (
            self._clock() - self._waiting_since >= self._limits.max_state_age_s
        ):
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
        elif self._waiting_state is not None and self._newest_line < self._waiting_line:
            for buffer in self._buffers.values():
                buffer.forget_from(self._waiting_line)
            self.flush()
        return loaded

    def flush(self) -> None:
        """Hand over every buffered record, and emit the newest STATE where the sink says that it is safe."""
        for buffer in self._buffers.values():
            self._flush(buffer)
        self._parallel.drain()
        if self._waiting_state is not None:
            self._waiting_since = self._clock()
            if self._sink.checkpoint():
                self.release_state()

    def close(self) -> None:
        """End what works behind the scenes; call it at the end, however that came."""
        self._parallel.close()

    def release_state(self) -> None:
        """Emit the STATE that still waits; call it once everything is published."""
        state, self._waiting_state = self._waiting_state, None
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
                self._parallel.expect(self._received_bytes)
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
        buffer = self._buffers.get(schema.stream)
        if buffer is not None:
            if buffer.schema == schema:
                return
            self._flush(buffer)
            self._parallel.drain()
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
        self._buffers[schema.stream] = _Buffer(schema, decoder)

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
        try:
            value = bytes(_state_decoder.decode(line).value)
        except (msgspec.DecodeError, RecursionError):
            message = decode_object(line, run.first_line)
            if "value" not in message:
                self._set_aside_message(run, "the STATE message has no 'value'")
                return
            value = _value_text(line)
        self.loaded.state = value
        if self._waiting_state is None:
            self._waiting_since = self._clock()
        self._waiting_state, self._waiting_line = value, run.first_line

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
            self._flush(self._buffers[stream])
            self._parallel.drain()
        self._sink.activate_version(stream, version)

    def _set_aside_message(self, run: Run, reason: str) -> None:
        line = run.data[:-1]
        self._set_aside(run.first_line, None, line, bad_line(run.first_line, line, reason))

    def _set_aside(self, number: int, stream: str | None, line: bytes, error: MessageError) -> None:
        """Reject a line, or raise where nobody takes it."""
        if self._reject is None:
            raise error
        self._reject(number, stream, line, error)

    # -------------------------------------------------------------------------------------- records

    def _add(self, stream: str, part: Part) -> None:
        buffer = self._buffers.get(stream)
        if buffer is None:
            for number, line in zip(each_line(part.lines), part.data[:-1].split(b"\n"), strict=True):
                self._set_aside(number, stream, line, RecordBeforeSchemaError(number, stream))
            return
        count, size_bytes = count_lines(part.lines), len(part.data)
        self.loaded.records[stream] = self.loaded.records.get(stream, 0) + count
        buffer.parts.append(part)
        buffer.records += count
        buffer.size_bytes += size_bytes
        self._size_bytes += size_bytes
        self._received_bytes += size_bytes
        limits = self._limits
        if buffer.records >= limits.batch_records or buffer.size_bytes >= limits.batch_bytes:
            self._flush(buffer)
        while self._size_bytes >= limits.total_bytes:
            self._flush(max(self._buffers.values(), key=lambda one: one.size_bytes))

    def _flush(self, buffer: _Buffer) -> None:
        if not buffer.records:
            return
        parts = parts_of(buffer.parts)
        self._newest_line = max(self._newest_line, last_line(parts[-1].lines))
        self._size_bytes -= buffer.size_bytes
        buffer.parts, buffer.records, buffer.size_bytes = [], 0, 0
        self._parallel.decode(buffer.decoder, parts, self._hand_over)

    def _hand_over(self, batch: Batch) -> None:
        if batch.count:
            self._sink.batch(batch)


def _value_text(line: bytes) -> bytes:
    """The value of a STATE that is not strict JSON, as Python writes it."""
    import json

    return json.dumps(json.loads(line)["value"]).encode("ascii")


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
