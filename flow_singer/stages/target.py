"""Load a message stream into a Singer target, and keep the bookmarks it confirms.

A target prints a STATE when everything before it is safe; only then it becomes the bookmark.
"""

from __future__ import annotations

import logging
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from flow_singer.errors import EXIT_INCOMPLETE, EXIT_REJECTS, BusyError, FlowError, TargetError
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.plugins.runfolder import run_folder, write_config
from flow_singer.process.interrupts import Interrupted
from flow_singer.process.processes import running
from flow_singer.project.masking import mask
from flow_singer.project.meltanofile import Project
from flow_singer.singer.marks import Header, MessageWriter
from flow_singer.singer.messages import MessageReader, Run
from flow_singer.singer.nonfinite import without_nan
from flow_singer.stages.bookmarkwriter import BookmarkWriter
from flow_singer.stages.incomplete import may_commit
from flow_singer.stages.inputstream import InputStream, LoadOptions
from flow_singer.stages.runningtarget import RunningTarget

logger = logging.getLogger(__name__)


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
    bookmarks: BookmarkWriter,
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
        bookmarks: gets what the target prints.
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
            fed = RunningTarget(process, target, bookmarks)
            return _Feed(target, fed, stream, bookmarks, options, progress).run()


class _Feed:
    """Writes a stream into a target, and ends the target as the stream has ended."""

    def __init__(
        self,
        plugin: PreparedPlugin,
        target: RunningTarget,
        stream: InputStream,
        bookmarks: BookmarkWriter,
        options: LoadOptions,
        progress: Callable[[MessageReader], None],
    ) -> None:
        self._plugin = plugin
        self._target = target
        self._stream = stream
        self._bookmarks = bookmarks
        self._options = options
        self._progress = progress
        # For Flow's own targets, an end of input without the mark is no end.
        header = (stream.header or Header(uuid.uuid4().hex)) if target.is_ours else None
        self._writer = MessageWriter(target.write, header)

    def run(self) -> LoadResult:
        started = time.monotonic()
        self._target.start_reading()
        try:
            incomplete = self._feed()
            logger.info("%s has everything and ends", self._plugin.name, extra={"activity": "live"})
            code = self._target.end(expected=EXIT_INCOMPLETE if self._target.is_ours and incomplete else 0)
            if incomplete is not None:
                raise incomplete
        except Interrupted:
            self._target.abort()
            raise
        except BaseException:
            self._target.kill()
            raise
        reader = self._stream.reader
        return LoadResult(
            {**dict.fromkeys(self._stream.streams, 0), **reader.records},
            reader.size_bytes,
            time.monotonic() - started,
            self._bookmarks.count,
            rejects=None if code == EXIT_REJECTS else 0,
        )

    def _feed(self) -> FlowError | None:
        """Write the stream and its end; return what is wrong with it, where the target may commit all the same."""
        try:
            incomplete = self._write_stream()
            self._write_end(incomplete)
        except BrokenPipeError:
            raise self._target.ended_early() from None
        return incomplete

    def _write_stream(self) -> FlowError | None:
        try:
            self._write_runs()
            self._stream.check_end()
        except (TargetError, BusyError):
            raise
        except FlowError as error:
            if may_commit(self._plugin, self._options):
                return error
            self._target.abort()
            raise
        return None

    def _write_runs(self) -> None:
        last_shown = 0.0
        for run in self._stream.runs(watch=self._target.stdin, idle=self._rest):
            if run.type == "STATE":
                self._bookmarks.expect(run.data)
            self._write(run)
            self._bookmarks.check()
            if (now := time.monotonic()) - last_shown > 0.5:
                last_shown = now
                self._progress(self._stream.reader)

    def _rest(self) -> bool:
        """While nothing comes: show all that came, and look whether the target lives."""
        self._progress(self._stream.reader)
        return self._target.check()

    def _write(self, run: Run) -> None:
        match run.type:
            case "SCHEMA":
                self._writer.schema(run.data[:-1])
            case "STATE":
                self._writer.state(run.data[:-1])
            case "RECORD" if self._options.nan == "null":
                self._writer.other(without_nan(run.data), run.count)
            case _:
                self._writer.other(run.data, run.count)

    def _write_end(self, incomplete: FlowError | None) -> None:
        """Write the mark at the end, for a target that reads it."""
        self._writer.records = dict(self._stream.reader.records)
        self._writer.counts_records = self._options.reject is None  # a bad line may count for one of us only
        code, reason = (incomplete.exit_code, incomplete.message) if incomplete else (0, None)
        self._writer.finish(ok=incomplete is None, code=code, reason=reason)
