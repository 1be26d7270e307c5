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
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flow_singer.errors import EXIT_INCOMPLETE, EXIT_REJECTS, BusyError, FlowError, TargetError
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.plugins.runfolder import run_folder, write_config
from flow_singer.process.interrupts import Interrupted
from flow_singer.process.pipes import write_all
from flow_singer.process.processes import Process, describe_end, running
from flow_singer.project.masking import mask
from flow_singer.project.meltanofile import Project
from flow_singer.singer.marks import Header, MessageWriter
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.nonfinite import without_nan
from flow_singer.stages.bookmarkwriter import BookmarkKeeper
from flow_singer.stages.inputstream import InputStream, LoadOptions

logger = logging.getLogger(__name__)

POISON = b"\x00 Flow: the stream before this line is incomplete; nothing after it will come\n"
"""A line that no target can read: it fails without committing what it holds."""


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
        self._writer = self._marking_writer() if _reads_marks(target) else None
        self._stdin_open = True
        self._rejects: int | None = 0
        self._reading = threading.Thread(target=keeper.read, args=(process,), name="states", daemon=True)

    def run(self) -> LoadResult:
        started = time.monotonic()
        self._reading.start()
        try:
            incomplete = self._write()
            self._tell_end(incomplete)
            self._end(expected=EXIT_INCOMPLETE if self._writer and incomplete else 0)
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
        """Pass the stream on, and return what is wrong with it, where the target may still be told of an end."""
        try:
            self._pass_on()
            self._stream.check_end()
        except BrokenPipeError:
            raise self._ended_early() from None
        except (TargetError, BusyError):
            raise
        except FlowError as error:
            if self._may_commit():
                return error
            self._abort()
            raise
        return None

    def _may_commit(self) -> bool:
        """Whether a target may be shown the end of its input though the stream has not come to its end."""
        chosen = self._options.on_incomplete
        if chosen is not None:
            return chosen == "commit"
        setting = None if self._writer else replacing_setting(self._target.config)
        if setting is not None:
            logger.warning(
                "%s replaces what was there (%s), so it is stopped without an end of its input. "
                "--on-incomplete commit lets it finish.",
                self._target.name,
                setting,
            )
        return setting is None

    def _pass_on(self) -> None:
        last_shown = 0.0

        def target_ended() -> bool:
            self._keeper.check()
            if self._process.poll() is not None:
                raise BrokenPipeError
            return False

        for run in self._stream.runs(watch=self._process.stdin, idle=target_ended):
            if run.type == "STATE":
                self._keeper.expect(run.data)
            self._send(run)
            self._keeper.check()
            if (now := time.monotonic()) - last_shown > 0.5:
                last_shown = now
                self._progress(self._stream.reader)

    def _send(self, run: Run) -> None:
        data = run.data
        if run.type == "RECORD" and self._options.nan == "null":
            data = without_nan(data)
        if self._writer is None:
            write_all(self._process.stdin, data)
        elif run.type == "SCHEMA":
            self._writer.schema(run.data[:-1])
        elif run.type == "STATE":
            self._writer.state(run.data[:-1])
        else:
            self._writer.other(data, run.count)

    def _marking_writer(self) -> MessageWriter:
        """Frames what Flow's own targets get: for them, an end of input without the mark is no end."""
        header = self._stream.header or Header(uuid.uuid4().hex)
        return MessageWriter(lambda data: write_all(self._process.stdin, data), header)

    def _tell_end(self, incomplete: FlowError | None) -> None:
        """Write the mark at the end, for a target that reads it."""
        if self._writer is None:
            return
        self._writer.records = dict(self._stream.reader.records)
        self._writer.counts_records = self._options.reject is None  # a bad line may count for one of us only
        code, reason = (incomplete.exit_code, incomplete.message) if incomplete else (0, None)
        try:
            self._writer.finish(ok=incomplete is None, code=code, reason=reason)
        except BrokenPipeError:
            raise self._ended_early() from None

    def _end(self, *, expected: int = 0) -> None:
        """Tell the target that the stream is over, and wait until it is done.

        Args:
            expected: the exit code by which it says that it has understood how the stream ended.

        Raises:
            TargetError: it failed, or had ended before.
        """
        if self._process.poll() is not None:
            raise self._ended_early()
        with _look_into_pipe(self._process.stdin) as pipe:
            self._close_stdin()
            code = self._process.wait()
            self._join()
            if code == EXIT_REJECTS and self._writer is not None:
                self._rejects = None
            elif code not in (0, expected):
                raise self._failure(code or 0)
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
            self._process.mute()  # it only complains of the line that makes it fail
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

    def _ended_early(self) -> TargetError | BusyError:
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

    def _failure(self, code: int) -> TargetError | BusyError:
        said = [line for line in self._process.last_lines if line.strip()]
        words = f' Its last line was: "{mask(said[-1], self._target.secrets)[:300]}"' if said else ""
        if code == EXIT_INCOMPLETE and self._writer is not None:  # one of ours, which saw nothing incomplete
            return BusyError(
                f"{self._target.name} did not load: another run has what it would write.",
                "Its message above names that run; run again when it has ended.",
            )
        return TargetError(
            f"{self._target.name} {describe_end(code)}.{words}",
            "The next run resumes from the last bookmark it confirmed.",
        )


def _reads_marks(target: PreparedPlugin) -> bool:
    """Whether a target is Flow's own, which publishes only behind the mark at the end of a stream."""
    return target.found.source == "bundled"


_REPLACING_SETTINGS = frozenset(
    {"overwrite_behavior", "load_method", "load_mode", "write_mode", "write_disposition", "if_exists", "mode"}
)
_REPLACING_VALUES = ("overwrite", "replace", "truncate", "recreate")


def replacing_setting(config: Mapping[str, Any]) -> str | None:
    """The setting by which a target says that it replaces what was there; None where none does.

    Args:
        config: of the target. By these names the Singer SDK (`load_method`) and targets made with it say it.
    """
    for name, value in config.items():
        if name in _REPLACING_SETTINGS and str(value).lower().startswith(_REPLACING_VALUES):
            return f"{name}: {value}"
        if name in ("overwrite", "replace", "truncate") and value is True:
            return f"{name}: true"
    return None


def _look_into_pipe(descriptor: int) -> io.FileIO:
    """Open the reading side of a pipe that we write to, which shows afterwards what its reader left unread.

    Without it, a target that ends in the moment before its input does would pass for one that read it all.
    """
    path = f"/proc/self/fd/{descriptor}" if sys.platform == "linux" else os.devnull
    return io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK))


_ABORT_GRACE_S = 5.0
