"""RECORD lines decoded ahead, in a second process, while this one works on what was decoded before.

Decoding is the larger half of most work here, and one Python process uses one core. The second process is
started only for a stream that is worth it. It knows nothing but SCHEMAs and lines, and whatever it cannot
decode at once is left to this process, which alone rejects records and reports errors. Where it dies, this
process goes on by itself.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import stat
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from flow_singer.errors import DataError
from flow_singer.process.interrupts import deferred
from flow_singer.process.lifeline import die_with_parent
from flow_singer.process.pipes import write_all
from flow_singer.singer.linenumbers import count_lines, joined_lines
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.tabular.wire import from_bytes

logger = logging.getLogger(__name__)

WORTH_IT_BYTES = 32 << 20
"""How much must have come before the second process is started: it takes as long to start as this one takes to
decode so much, and a stream that has brought so much will likely bring more."""

LARGE_BYTES = 64 << 20
"""For a file of this size the second process is started before anything is read: enough of it will be records."""

DEPTH = 3
"""How many batches may be under way in the second process: one being decoded, the others waiting for their turn, so
that it always has work while this process works on several batches that came back at once."""

MOST_TASKS = 6
"""How many batches may be under way in both processes: each needs memory."""


@dataclass
class Task:
    """Lines to decode, and what to do with the batch.

    Attributes:
        decoder: reads them.
        parts: the lines.
        then: takes the batch.
        sent: whether the second process has it.
        batch: the batch, where it was decoded here as the second process was busy.
    """

    decoder: RecordDecoder
    parts: Sequence[Part]
    then: Callable[[Batch], None]
    sent: bool = False
    batch: Batch | None = None

    @property
    def first_line(self) -> int:
        """The number of the first line."""
        return self.parts[0].lines[0][0]


SIZE_BYTES = 8
"""An answer is the size of a batch, in so many bytes, little-endian."""


class Request(msgspec.Struct):
    """Which decoder is to read lines, bytes and lines of each part, and at the first time the SCHEMA and what is read."""

    decoder: int
    parts: list[tuple[int, int]]
    schema: dict[str, Any] | None = None
    read: list[str] | None = None


class ParallelDecoder:
    """Decodes record lines; batches come back in the order in which their lines were given.

    Args:
        processes: 1 decodes everything here; 2 uses a second process for what is large; None takes the
            environment variable FLOW_PROCESSES, else the number of cores.
    """

    def __init__(self, processes: int | None = None) -> None:
        self._wanted = (processes or _configured() or _cores()) > 1
        self._tasks: deque[Task] = deque()
        self._sent = 0
        self._worker: _Worker | None = None

    def expect_input(self, descriptor: int) -> None:
        """Say what will be read: for a large file the second process is started at once, of a pipe nobody knows.

        Call it before what takes long to import.
        """
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode) and status.st_size >= LARGE_BYTES:
            self.expect(status.st_size)

    def expect(self, size_bytes: int) -> None:
        """Say how much has come so far; the second process is started in time."""
        if self._wanted and size_bytes >= WORTH_IT_BYTES:
            self._worker = _Worker.start()
            self._wanted = False

    @property
    def oldest_line(self) -> int | None:
        """The smallest line number among the records that are under way; None where none are."""
        return min((task.first_line for task in self._tasks), default=None)

    def decode(self, decoder: RecordDecoder, parts: Sequence[Part], then: Callable[[Batch], None]) -> None:
        """Decode lines, and call `then(batch)`: at once, or in a later call of a method of this object.

        Args:
            decoder: reads them.
            parts: at least one line.
            then: takes the batch.

        Raises:
            RecordError: of these or of earlier lines.
            Exception: whatever `then` raises, of these or of earlier lines.
        """
        worker = self._worker
        if worker is None or not worker.is_up:
            self.drain()
            then(decoder.decode(parts))
            return
        # Take only as many batches as make room: the second process gets its next work before more are taken.
        while self._tasks and self._sent >= DEPTH and self._is_first_ready():
            self._finish_first()
        task = Task(decoder, parts, then)
        if self._sent >= DEPTH and decoder.raises:  # decode here rather than wait
            with contextlib.suppress(DataError):  # raised when it is this task's turn and it is decoded again
                task.batch = decoder.decode(parts)
        else:
            while self._sent >= DEPTH:
                self._finish_first()
            worker.send(task)
            self._sent += 1
            task.sent = True
        self._tasks.append(task)
        while len(self._tasks) > MOST_TASKS:
            self._finish_first()

    def _is_first_ready(self) -> bool:
        return not self._tasks[0].sent or self._worker is None or self._worker.is_ready

    def finish_ready(self) -> None:
        """Take the batches that are there; call it now and then while nothing else happens."""
        while self._tasks and self._is_first_ready():
            self._finish_first()

    def drain(self) -> None:
        """Take every batch that is under way."""
        while self._tasks:
            self._finish_first()

    def close(self) -> None:
        """End the second process; what is under way is forgotten."""
        self._tasks.clear()
        if self._worker is not None:
            self._worker.stop()
            self._worker = None

    def _finish_first(self) -> None:
        task = self._tasks[0]
        batch = task.batch
        if task.sent and self._worker is not None:
            answer = self._worker.receive()
            self._sent -= 1
            if answer:
                batch = from_bytes(answer, task.decoder.schema)
                batch.lines = joined_lines(part.lines for part in task.parts)
        self._tasks.popleft()
        if batch is None:  # it could not, or is gone: decode here, and reject or raise what is wrong
            batch = task.decoder.decode(task.parts)
        task.then(batch)


class _Worker:
    """The second process.

    Lines and batches lie in files in memory, a pair for each task that can be under way; the pipes carry only
    a line for each. So neither process ever waits for the other to read.
    """

    def __init__(self, process: subprocess.Popen[bytes], slots: list[tuple[int, int]]) -> None:
        self._process = process
        self._slots = slots
        self._decoders: dict[RecordDecoder, int] = {}
        self._sent = 0
        self._received = 0
        self._gone = False
        self._up = False

    @classmethod
    def start(cls) -> _Worker | None:
        """Start it; None where the system does not allow another process."""
        slots: list[tuple[int, int]] = []
        try:
            slots += [(_file_in_memory(), _file_in_memory()) for _ in range(DEPTH + 1)]
            descriptors = [one for pair in slots for one in pair]
            with deferred():
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "flow_singer.tabular.worker", *map(str, descriptors)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    bufsize=0,  # select would not see what a buffer has read ahead
                    stderr=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    start_new_session=True,  # Ctrl-C is for the first process
                    preexec_fn=die_with_parent,  # noqa: PLW1509
                )
        except OSError as exc:
            logger.debug("No second process for decoding: %s", exc)
            _close(slots)
            return None
        return cls(process, slots)

    def send(self, task: Task) -> None:
        """Have lines decoded."""
        schema = read = None
        number = self._decoders.get(task.decoder)
        if number is None:
            number = self._decoders[task.decoder] = len(self._decoders)
            schema = dict(task.decoder.schema.message)
            read = None if task.decoder.schema.read is None else list(task.decoder.schema.read)
        slot, _ = self._slots[self._sent % len(self._slots)]
        self._sent += 1
        try:
            write_at_start(slot, [part.data for part in task.parts])
            if self._process.stdin is not None:
                request = Request(number, [_extent(part) for part in task.parts], schema, read)
                write_all(self._process.stdin.fileno(), msgspec.json.encode(request) + b"\n")
        except OSError:
            self._gone = True

    @property
    def is_up(self) -> bool:
        """Whether it has begun to listen; that takes it about as long as decoding 100,000 records."""
        if not self._up and self.is_ready:
            self._up = True
            self._next_size()
        return self._up and not self._gone

    @property
    def is_ready(self) -> bool:
        """Whether something is there to `receive`."""
        return (
            self._gone
            or self._process.stdout is None
            or bool(select.select([self._process.stdout], [], [], 0)[0])
        )

    def receive(self) -> bytes:
        """The answer to the oldest request: a batch as bytes; empty where it could not."""
        _, slot = self._slots[self._received % len(self._slots)]
        self._received += 1
        size = self._next_size()
        return read_at(slot, 0, size) if size else b""

    def _next_size(self) -> int:
        if self._gone or self._process.stdout is None:
            return 0
        answer = self._process.stdout.read(SIZE_BYTES)
        if not answer or len(answer) < SIZE_BYTES:
            logger.debug("The second process for decoding is gone.")
            self._gone = True
            return 0
        return int.from_bytes(answer, "little")

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        with contextlib.suppress(OSError), self._process:  # closes its pipes
            pass
        _close(self._slots)


def _extent(part: Part) -> tuple[int, int]:
    return len(part.data), count_lines(part.lines)


def _file_in_memory() -> int:
    """A file without a name, in memory where the system has such."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("flow")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _close(slots: list[tuple[int, int]]) -> None:
    for pair in slots:
        for descriptor in pair:
            os.close(descriptor)


def write_at_start(descriptor: int, parts: Sequence[Any]) -> int:
    """Write buffers one after the other at the start of a file; return how many bytes."""
    position = 0
    for part in parts:
        view = memoryview(part)
        while view:
            count = os.pwrite(descriptor, view, position)
            position += count
            view = view[count:]
    return position


def read_at(descriptor: int, start: int, size: int) -> bytes:
    """Read `size` bytes of a file from position `start` on."""
    data = os.pread(descriptor, size, start)
    while len(data) < size:  # one call reads no more than 2 GiB
        more = os.pread(descriptor, size - len(data), start + len(data))
        if not more:
            break
        data += more
    return data


def _configured() -> int | None:
    text = os.environ.get("FLOW_PROCESSES", "")
    return int(text) if text.isdecimal() else None


def _cores() -> int:
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
