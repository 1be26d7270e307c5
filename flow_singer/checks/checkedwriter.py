"""Messages on their way out, held to what is expected of them before the next stage sees them.

A record goes on byte for byte, unless it is dropped or a cell of it is cleared. Records are looked at many at a time,
so they wait for a moment, and what comes behind them waits with them. A STATE waits longer where what came before it
may still turn out to be bad: until there are enough rows, or each reference is known.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from flow_singer.checks.checkset import Checks
from flow_singer.checks.recordlook import RecordLook, Reject
from flow_singer.singer.batchfiles import read_batch
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.envelope import decode_object
from flow_singer.singer.linenumbers import LineNumbers, count_lines
from flow_singer.singer.marks import Header, MessageWriter
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.parts import PART_BYTES, Part, other_lines, parts_of


class _Waiting(NamedTuple):
    """A message that waits, or records of one stream that do.

    Attributes:
        kind: of which kind it is.
        data: STATE without its newline; else whole lines.
        line_count: how many there are.
        stream: of records that are looked at.
        lines: their numbers.
    """

    kind: Literal["records", "state", "other"]
    data: bytes
    line_count: int = 1
    stream: str = ""
    lines: LineNumbers = ()


class CheckedWriter(MessageWriter):
    """A [`MessageWriter`][flow_singer.singer.marks.MessageWriter] that lets pass what is as expected.

    Args:
        write: see there.
        header: see there.
        make: gives what is expected; called at the first message, when the header of the input is known.
        reject: called as `reject(line_number, stream, line, error)` for each row that is dropped; the number is
            that of the message among those that are written here.
        nan: what to do with NaN and Infinity.
        before_state: see there.
        batch_paths: which files a BATCH may name.
        most_rows: how many records wait at most.
    """

    def __init__(
        self,
        write: Callable[[bytes | memoryview], object],
        header: Header | None,
        make: Callable[[], Checks],
        *,
        reject: Reject | None = None,
        nan: Literal["error", "null"] = "error",
        before_state: Callable[[], None] | None = None,
        batch_paths: BatchPaths | None = None,
        most_rows: int = 10_000,
    ) -> None:
        super().__init__(write, header, before_state=before_state)
        self._make = make
        self._made: Checks | None = None
        self._reject = reject
        self._nan: Literal["error", "null"] = nan
        self._batch_paths = BatchPaths(os.environ) if batch_paths is None else batch_paths
        self._most_rows = most_rows
        self._looks: dict[str, RecordLook] = {}
        self._waiting: list[_Waiting] = []
        self._waiting_rows = self._waiting_bytes = 0
        self._held: bytes | None = None
        self._came = 0
        self._reader = MessageReader(_Wanted(self._looks), decodes=True, find_other_lines=other_lines)

    @property
    def checks(self) -> Checks:
        """What is expected."""
        if self._made is None:
            self._made = self._make()
        return self._made

    def schema(self, line: bytes) -> None:
        """Take a SCHEMA line (without newline).

        Raises:
            DataError: it is not as expected, or a record before it.
        """
        self._came += 1
        message = decode_object(line, self._came)
        stream = str(message.get("stream"))
        self.checks.meet(stream)
        self.flush()
        if stream in self.checks.streams:
            schema = StreamSchema(message, read=self.checks.of(stream).read)
            before = self._looks.get(stream)
            if before is None or before.schema != schema:
                self.checks.schema(schema)
                self._looks[stream] = RecordLook(schema, reject=self._reject, nan=self._nan)
            self.records.setdefault(stream, 0)
        super().schema(line)

    def state(self, line: bytes) -> None:
        """Take a STATE line (without newline)."""
        self._came += 1
        self._take(_Waiting("state", line))

    def other(self, data: bytes, count: int) -> None:
        """Take whole lines, among them records of streams that no function took.

        Raises:
            DataError: a record is not as expected.
        """
        if not self.checks:
            super().other(data, count)
            return
        for run in self._reader.push(bytes(data)):
            if run.stream in self._looks and run.type == "BATCH":
                self._read_batch(run)
            elif run.stream in self._looks and run.type == "RECORD":
                self.stream_records(run.stream or "", run.data, run.count)
            else:
                self._came += run.count
                self._take(_Waiting("other", run.data, run.count))

    def stream_records(self, stream: str, data: bytes | memoryview, count: int) -> None:
        """Take `count` RECORD lines of a stream.

        Raises:
            DataError: one is not as expected.
        """
        first = self._came + 1
        self._came += count
        if stream in self._looks:
            self._take_records(stream, Part(bytes(data), [(first, count)]))
            return
        self.flush()
        super().stream_records(stream, data, count)

    def flush(self) -> None:
        """Look at what waits, and let it go.

        Raises:
            DataError: a record is not as expected; then nothing of it goes.
        """
        waiting, self._waiting = self._waiting, []
        self._waiting_rows = self._waiting_bytes = 0
        looked_at = {
            stream: self._looks[stream].look(
                self.checks, [Part(one.data, one.lines) for one in waiting if one.stream == stream]
            )
            for stream in dict.fromkeys(one.stream for one in waiting if one.kind == "records")
        }
        for one in waiting:
            if one.kind == "records":
                lines = looked_at[one.stream]
                self._write_records(one, None if lines is None else list(islice(lines, one.line_count)))
            else:
                self._let_go(one)

    def settle(self, *, complete: bool) -> list[str]:
        """Look at the streams as a whole, and let the STATE go that waits; call it before `finish`.

        Args:
            complete: whether the input came to its proper end; else nothing is said of the whole.

        Returns:
            What a person should hear.

        Raises:
            DataError: a stream is not as expected.
        """
        self.flush()
        if complete:
            self.checks.finish()
            if self._held is not None:
                super().state(self._held)
        return self.checks.notices()

    def finish(self, *, ok: bool, code: int = 0, reason: str | None = None) -> None:
        """Write the trailer."""
        self.records = {stream: count for stream, count in self.records.items() if count}
        super().finish(ok=ok, code=code, reason=reason)

    def close(self) -> None:
        """Forget everything."""
        if self._made is not None:
            self._made.close()

    # ------------------------------------------------------------------------------------------ records

    def _read_batch(self, run: Run) -> None:
        """The records of a BATCH in its place, as somebody wants to see them."""
        self._came += 1
        for data, count in read_batch(
            run.data[:-1], self._came, paths=self._batch_paths, reject=self._reject
        ):
            self._take_records(run.stream or "", Part(data, [(self._came, 1)] * count))

    def _take_records(self, stream: str, part: Part) -> None:
        for one in parts_of([part]):
            count = count_lines(one.lines)
            self._waiting.append(_Waiting("records", one.data, count, stream, one.lines))
            self._waiting_rows += count
            self._waiting_bytes += len(one.data)
            if self._waiting_rows >= self._most_rows or self._waiting_bytes >= PART_BYTES:
                self.flush()

    def _take(self, one: _Waiting) -> None:
        if self._waiting:
            self._waiting.append(one)
        else:
            self._let_go(one)

    def _let_go(self, one: _Waiting) -> None:
        if one.kind == "other":
            super().other(one.data, one.line_count)
        elif self.checks.is_settled:
            self._held = None
            super().state(one.data)
        else:
            self._held = one.data

    def _write_records(self, one: _Waiting, lines: Sequence[bytes | None] | None) -> None:
        """Write records: as they came, or what was made of each line, None where it is gone."""
        if lines is None:
            super().stream_records(one.stream, one.data, one.line_count)
        elif left := [line for line in lines if line is not None]:
            super().stream_records(one.stream, b"\n".join(left) + b"\n", len(left))


class _Wanted:
    """The streams whose records are looked at: those that had a SCHEMA."""

    def __init__(self, looks: Mapping[str, RecordLook]) -> None:
        self._looks = looks

    def __contains__(self, stream: object) -> bool:
        return stream in self._looks
