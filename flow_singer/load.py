"""Load a message stream into a Singer target, and keep the bookmarks it confirms.

A target prints a STATE when everything before it is safe; only then it becomes the bookmark. Flow never asks
a target to stop by SIGTERM: Singer SDK targets answer by committing what they hold.
"""

from __future__ import annotations

import io
import logging
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Literal

from flow_singer.errors import EXIT_REJECTS, FlowError, IncompleteError, MessageError, TargetError
from flow_singer.interrupts import Interrupted
from flow_singer.keeper import BookmarkKeeper
from flow_singer.marks import Header, Trailer, check_complete, split_mark
from flow_singer.masking import mask
from flow_singer.messages import MessageReader, OtherLines, Run, other_lines
from flow_singer.nulls import without_nan
from flow_singer.prepare import PreparedPlugin
from flow_singer.project import Project
from flow_singer.runfolder import run_folder, write_config
from flow_singer.runner import Process, describe_end, read_blocks, running, write_all

logger = logging.getLogger(__name__)

POISON = b"\x00 Flow: the stream before this line is incomplete; nothing after it will come\n"
"""A line that no target can read: it fails without committing what it holds."""


@dataclass(frozen=True)
class LoadOptions:
    """What a person asks of one load.

    Attributes:
        on_incomplete: whether the target may commit what came of a stream that was cut short.
        require_end: whether a stream without marks is refused.
        allow_empty: whether no input at all is fine.
        forward_noise: send lines that are no messages to stderr.
        nan: null writes null for NaN and Infinity.
        reject: file for what cannot be used; None stops at the first.
        max_rejects: how many may be set aside.
    """

    on_incomplete: Literal["commit", "abort"] = "commit"
    require_end: bool = False
    allow_empty: bool = False
    forward_noise: bool = False
    nan: Literal["error", "null"] = "error"
    reject: Path | None = None
    max_rejects: int | None = None


@dataclass
class LoadResult:
    """What was loaded.

    Attributes:
        records: per stream that had a SCHEMA.
        size_bytes: of all messages.
        seconds: from the first byte to the target's end.
        states: how often the bookmark moved.
        bookmark: its name, where it moved.
        rejects: how many lines and records were set aside; None where the target alone knows.
    """

    records: dict[str, int] = field(default_factory=dict)
    size_bytes: int = 0
    seconds: float = 0.0
    states: int = 0
    bookmark: str | None = None
    rejects: int | None = 0


class InputStream:
    """The message stream on stdin: its marks taken off, its end checked.

    Args:
        descriptor: what to read.
        options: what is asked.
        wanted: see [`MessageReader`][flow_singer.messages.MessageReader]; the caller decodes their records.
        find_other_lines: likewise.
        reject: likewise; without it, and where `options` ask for rejects, lines that are no messages are passed
            on, for a target that sets them aside itself.

    Attributes:
        header: the mark it began with, known after `begin`.
        trailer: the mark it ended with.
        streams: names of those that had a SCHEMA, in order.
    """

    def __init__(
        self,
        descriptor: int,
        options: LoadOptions,
        *,
        wanted: Container[str] = (),
        find_other_lines: OtherLines = other_lines,
        reject: Callable[[int, bytes, MessageError], None] | None = None,
    ) -> None:
        self.header: Header | None = None
        self.trailer: Trailer | None = None
        self.streams: dict[str, None] = {}
        self._options = options
        noise = (
            (lambda line: logger.warning("stdin: %s", line.decode("utf-8", "replace")))
            if (options.forward_noise)
            else None
        )
        self._bad: list[Run] = []
        if reject is None and options.reject is not None:
            reject = self._pass_on
        self.reader = MessageReader(
            wanted, reject=reject, noise=noise, decodes=True, find_other_lines=find_other_lines
        )
        self._descriptor = descriptor
        self._first: Iterator[Run] = iter(())
        self._last_type = ""

    def begin(self) -> None:
        """Read until the first message, which says where the stream comes from.

        Raises:
            IncompleteError: there is no message at all.
        """
        for block in read_blocks(self._descriptor):
            if self._has_begun(self.reader.push(block)):
                return
        if not self._has_begun(self.reader.finish()) and not self._options.allow_empty:
            raise IncompleteError(
                "Nothing came on stdin: the stage before failed at its start, or had nothing to say.",
                "Look at its messages above. If an empty stream is fine: --allow-empty.",
            )

    def _has_begun(self, raw_runs: Iterator[Run]) -> bool:
        """Take the first message; those behind it wait, so that a bad one among them is met in its turn."""
        unmarked = (run for raw in raw_runs if (run := self._unmark(raw)) is not None)
        for first in unmarked:
            self._first = chain([first], unmarked)
            return True
        return self.trailer is not None

    def runs(self, *, watch: int | None = None, idle: Callable[[], bool] | None = None) -> Iterator[Run]:
        """Yield the messages without marks; call `begin` before.

        Args:
            watch, idle: see [`read_blocks`][flow_singer.runner.read_blocks].
        """
        yield from self._first
        for block in read_blocks(self._descriptor, watch=watch, idle=idle):
            for raw in self.reader.push(block):
                if (run := self._unmark(raw)) is not None:
                    yield run
            yield from self._taken_bad()
        try:
            yield from (run for raw in self.reader.finish() if (run := self._unmark(raw)) is not None)
        except MessageError:
            # The last line was cut short; a marked stream says so by its missing end.
            if self.header is None or self.trailer is not None:
                raise
        yield from self._taken_bad()

    def _pass_on(self, number: int, line: bytes, error: MessageError) -> None:
        self._bad.append(Run("", None, line + b"\n", [(number, 1)]))

    def _taken_bad(self) -> list[Run]:
        bad, self._bad = self._bad, []
        return bad

    def _unmark(self, run: Run) -> Run | None:
        before, self._last_type = self._last_type, run.type
        if run.type == "SCHEMA" and run.stream is not None:
            self.streams[run.stream] = None
        if run.type not in ("SCHEMA", "STATE") or b'"_flow"' not in run.data:
            return run
        line, mark = split_mark(run.data[:-1])
        if isinstance(mark, Header):
            self.header = mark
        if isinstance(mark, Trailer):
            self.trailer = mark
            # Some targets forget a STATE when a record follows, and print none: those are told again.
            if not mark.ok or run.type != "STATE" or before == "STATE":
                return None
        return run._replace(data=line + b"\n")

    def check_end(self) -> None:
        """Make sure that the stream came to its proper end.

        Raises:
            IncompleteError: it did not, or nobody can tell and `require_end` asks for proof.
        """
        lines = self.reader.line_number - (self.trailer is not None)
        reason = check_complete(self.header, self.trailer, lines, self.reader.records)
        if reason is not None:
            raise IncompleteError(
                f"The stream is incomplete: {reason.removesuffix('.')}.",
                "Mend the stage that failed and run again; it resumes from the last safe bookmark. (A foreign "
                "mapper between Flow's stages may have taken the end mark away: run the tap with --plain.)",
            )
        if self.header is None and self.trailer is None and self.reader.line_number:
            if self._options.require_end:
                raise IncompleteError(
                    "The stream bears no marks, so nobody can tell whether it is complete.",
                    "Make it with flow run TAP, or leave out --require-end.",
                )
            logger.warning(
                "This stream bears no marks (its producer is not Flow, or runs with --plain): its end is "
                "taken for complete. --require-end refuses such streams."
            )


def load_target(
    target: PreparedPlugin,
    project: Project | None,
    stream: InputStream,
    keeper: BookmarkKeeper,
    options: LoadOptions,
    *,
    show: Callable[[str, str], None],
    progress: Callable[[MessageReader], None],
) -> LoadResult:
    """Feed a target.

    Args:
        target: ready to start.
        project: for the folder of its config; None without meltano.yml.
        stream: begun.
        keeper: gets what the target prints.
        options: what was asked.
        show: gets (name, line) of what the target writes on stderr.
        progress: called about twice a second.

    Raises:
        TargetError: it failed, or ended before its input did.
        IncompleteError: the stream was cut short.
        MessageError: the stream holds something that is no message.
        Interrupted: a signal came; the target was made to fail, then killed.
    """
    with run_folder(project) as folder:
        config = write_config(folder, target.name, target.config)
        with running(
            target.name,
            [*target.found.command, "--config", str(config)],
            error=TargetError,
            env=target.env,
            stdin=subprocess.PIPE,
            show=lambda line: show(target.name, mask(line, target.secrets)),
        ) as process:
            return _Feed(process, target, stream, keeper, options, progress).run()


class _Feed:
    """Writes a stream into a target, while a thread reads what it prints."""

    def __init__(
        self,
        process: Process,
        target: PreparedPlugin,
        stream: InputStream,
        keeper: BookmarkKeeper,
        options: LoadOptions,
        progress: Callable[[MessageReader], None],
    ) -> None:
        self._process = process
        self._target = target
        self._stream = stream
        self._keeper = keeper
        self._options = options
        self._progress = progress
        self._stdin_open = True
        self._rejects: int | None = 0
        self._reading = threading.Thread(target=keeper.read, args=(process,), name="states", daemon=True)

    def run(self) -> LoadResult:
        started = time.monotonic()
        self._reading.start()
        try:
            incomplete = self._write()
            self._end()
            if incomplete is not None:
                raise incomplete
        except Interrupted:
            self._abort()
            raise
        except BaseException:
            self._keeper.frozen = True
            self._process.stop(ask=False, grace_s=0)
            raise
        reader = self._stream.reader
        return LoadResult(
            {**dict.fromkeys(self._stream.streams, 0), **reader.records},
            reader.size_bytes,
            time.monotonic() - started,
            self._keeper.count,
            rejects=self._rejects,
        )

    def _write(self) -> FlowError | None:
        """Pass the stream on, and return what is wrong with it, where the target may keep what it got."""
        try:
            self._pass_on()
            self._stream.check_end()
        except BrokenPipeError:
            raise self._ended_early() from None
        except TargetError:
            raise
        except FlowError as error:
            if self._options.on_incomplete == "abort":
                self._abort()
                raise
            return error
        return None

    def _pass_on(self) -> None:
        last_shown = 0.0

        def target_ended() -> bool:
            self._keeper.check()
            if self._process.poll() is not None:
                raise BrokenPipeError
            return False

        for run in self._stream.runs(watch=self._process.stdin, idle=target_ended):
            nulled = run.type == "RECORD" and self._options.nan == "null"
            write_all(self._process.stdin, without_nan(run.data) if nulled else run.data)
            self._keeper.check()
            if (now := time.monotonic()) - last_shown > 0.5:
                last_shown = now
                self._progress(self._stream.reader)

    def _end(self) -> None:
        """Tell the target that the stream is over, and wait until it is done.

        Raises:
            TargetError: it failed, or had ended before.
        """
        if self._process.poll() is not None:
            raise self._ended_early()
        with _look_into_pipe(self._process.stdin) as pipe:
            self._close_stdin()
            code = self._process.wait()
            self._join()
            if code == EXIT_REJECTS and self._target.found.source == "bundled":
                self._rejects = None
            elif code:
                raise self._failure(code)
            if pipe.read(1):
                raise self._ended_early()

    def _close_stdin(self) -> None:
        self._stdin_open = False
        self._process.close_stdin()

    def _join(self) -> None:
        """Wait until the last STATE that the target printed is the bookmark."""
        self._reading.join()
        self._keeper.check()

    def _abort(self) -> None:
        """Make the target fail without committing what it holds; what it prints from now on does not count.

        Its stdin is closed only behind the poison: a mere end of input would make it commit. A target that
        has been sent everything is only left less time: what it still confirms is true.
        """
        if self._stdin_open:
            self._keeper.frozen = True
            if self._process.poll() is None and not self._poison():
                self._process.kill()
            self._close_stdin()
        self._process.stop(grace_s=_ABORT_GRACE_S, ask=False)
        self._reading.join()

    def _poison(self) -> bool:
        """Write the poison as soon as the target reads on; False where it does not."""
        poll = select.poll()
        poll.register(self._process.stdin, select.POLLOUT)
        if not poll.poll(_ABORT_GRACE_S * 1000):
            return False
        try:
            os.set_blocking(self._process.stdin, False)
            os.write(self._process.stdin, b"\n" + POISON)
        except OSError:
            logger.debug("%s takes no more input.", self._target.name)
        return True

    def _ended_early(self) -> TargetError:
        self._close_stdin()
        code = self._process.wait(_ABORT_GRACE_S)
        if code is None:
            self._process.kill()
        self._join()
        if code is None:
            return TargetError(f"{self._target.name} closed its stdin but still ran; it was killed.")
        if code:
            return self._failure(code)
        return TargetError(
            f"{self._target.name} ended with code 0 before its input did: what came after was not loaded.",
            "Its own bookmarks are kept; look at what it wrote above.",
        )

    def _failure(self, code: int) -> TargetError:
        said = [line for line in self._process.last_lines if line.strip()]
        words = f' Its last line was: "{mask(said[-1], self._target.secrets)[:300]}"' if said else ""
        return TargetError(
            f"{self._target.name} {describe_end(code)}.{words}",
            "The next run resumes from the last bookmark it confirmed.",
        )


def _look_into_pipe(descriptor: int) -> io.FileIO:
    """Open the reading side of a pipe that we write to, which shows afterwards what its reader left unread.

    Without it, a target that ends in the moment before its input does would pass for one that read it all.
    """
    path = f"/proc/self/fd/{descriptor}" if sys.platform == "linux" else os.devnull
    return io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


_ABORT_GRACE_S = 5.0
