"""A target that is being fed: it must not commit what it should not, and Flow must learn how it ended.

An end of its input makes a target commit what it holds. So where it must not commit, it gets a line that it
cannot read before its input is closed. Flow never asks a target to stop by SIGTERM: Singer SDK targets answer by
committing too.
"""

from __future__ import annotations

import io
import logging
import os
import select
import sys
import threading

from flow_singer.errors import EXIT_INCOMPLETE, EXIT_REJECTS, EXIT_USAGE, BusyError, TargetError
from flow_singer.plugins.complaints import is_mistake_in_settings
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.process.pipes import write_all
from flow_singer.process.processes import Process, describe_end
from flow_singer.project.masking import mask
from flow_singer.stages.bookmarkwriter import BookmarkWriter

logger = logging.getLogger(__name__)

UNREADABLE_LINE = b"\x00 Flow: the stream before this line is incomplete; nothing after it will come\n"
"""A line that no target can read: it fails without committing what it holds."""

_ABORT_GRACE_S = 5.0


class RunningTarget:
    """A target's process, with the thread that makes what it prints its bookmark.

    Args:
        process: it, just started.
        plugin: what was started.
        bookmarks: gets what it prints.

    Attributes:
        stdin: file descriptor that writes to it.
    """

    def __init__(self, process: Process, plugin: PreparedPlugin, bookmarks: BookmarkWriter) -> None:
        self.stdin = process.stdin
        self._process = process
        self._plugin = plugin
        self._bookmarks = bookmarks
        self._stdin_open = True
        self._reading = threading.Thread(target=bookmarks.read, args=(process,), name="states", daemon=True)

    def start_reading(self) -> None:
        """Begin to take what it prints."""
        self._reading.start()

    def write(self, data: bytes | memoryview) -> None:
        """Write to it.

        Raises:
            BrokenPipeError: it has closed its stdin; `ended_early` tells why.
        """
        write_all(self.stdin, data)

    def check(self) -> bool:
        """Make sure, while nothing comes to be written, that all is well; always False.

        Raises:
            TargetError: a bookmark could not be kept.
            BrokenPipeError: it has ended; `ended_early` tells why.
        """
        self._bookmarks.check()
        if self._process.poll() is not None:
            raise BrokenPipeError
        return False

    def end(self, *, expected: int = 0) -> int:
        """Tell it that the stream is over, and wait until it is done.

        Args:
            expected: the exit code by which it says that it has understood how the stream ended.

        Returns:
            Its exit code: 0, `expected`, or EXIT_REJECTS of a target that is Flow's own.

        Raises:
            TargetError: it failed, or had ended before.
        """
        if self._process.poll() is not None:
            raise self.ended_early()
        with _look_into_pipe(self.stdin) as pipe:
            self._close_stdin()
            code = self._process.wait() or 0
            self._join()
            set_aside = code == EXIT_REJECTS and self.is_ours
            if code not in (0, expected) and not set_aside:
                raise self._failure(code)
            if pipe.read(1):
                raise self.ended_early()
        return code

    def abort(self) -> None:
        """Make it fail without committing what it holds; what it prints from now on does not count.

        A target that has been sent everything is only left less time: what it still confirms is true.
        """
        if self._stdin_open:
            self._bookmarks.frozen = True
            self._process.mute()  # it only complains of the line that makes it fail
            if self._process.poll() is None and not self._write_unreadable_line():
                self._process.kill()
            self._close_stdin()
        self._process.stop(grace_s=_ABORT_GRACE_S, ask=False)
        self._reading.join()

    def kill(self) -> None:
        """End it at once; what it has printed meanwhile does not count."""
        self._bookmarks.frozen = True
        self._process.stop(ask=False, grace_s=0)

    def ended_early(self) -> TargetError | BusyError:
        """The error for a target that has closed its stdin, or ended, before its input did."""
        self._close_stdin()
        code = self._process.wait(_ABORT_GRACE_S)
        if code is None:
            self._process.kill()
        self._join()
        if code is None:
            return TargetError(
                f"{self._plugin.name} closed its stdin but still ran; it was killed.",
                "Look at what it wrote above; the next run resumes from the last bookmark it confirmed.",
            )
        if code:
            return self._failure(code)
        return TargetError(
            f"{self._plugin.name} ended with code 0 before its input did: what came after was not loaded.",
            "Its own bookmarks are kept; look at what it wrote above.",
        )

    @property
    def is_ours(self) -> bool:
        """Whether it is one of Flow's own, which read marks and say by exit codes how a load ended."""
        return self._plugin.found.source == "bundled"

    def _close_stdin(self) -> None:
        self._stdin_open = False
        self._process.close_stdin()

    def _join(self) -> None:
        """Wait until the last STATE that it printed is the bookmark."""
        self._reading.join()
        self._bookmarks.check()

    def _write_unreadable_line(self) -> bool:
        """Write it as soon as the target reads on; False where it does not."""
        poll = select.poll()
        poll.register(self.stdin, select.POLLOUT)
        if not poll.poll(_ABORT_GRACE_S * 1000):
            return False
        try:
            os.set_blocking(self.stdin, False)
            os.write(self.stdin, b"\n" + UNREADABLE_LINE)
        except OSError:
            logger.debug("%s takes no more input.", self._plugin.name)
        return True

    def _failure(self, code: int) -> TargetError | BusyError:
        said = [line for line in self._process.last_lines if line.strip()]
        words = f' Its last line was: "{mask(said[-1], self._plugin.secrets)[:300]}"' if said else ""
        if code == EXIT_INCOMPLETE and self.is_ours:  # it saw nothing incomplete
            return BusyError(
                f"{self._plugin.name} did not load: another run has what it would write.",
                "Its message above names that run; run again when it has ended.",
            )
        error = TargetError(
            f"{self._plugin.name} {describe_end(code)}.{words}",
            "The next run resumes from the last bookmark it confirmed.",
        )
        if is_mistake_in_settings(code, said):
            error.exit_code = EXIT_USAGE
        return error


def _look_into_pipe(descriptor: int) -> io.FileIO:
    """Open the reading side of a pipe that we write to, which shows afterwards what its reader left unread.

    Without it, a target that ends in the moment before its input does would pass for one that read it all.
    """
    path = f"/proc/self/fd/{descriptor}" if sys.platform == "linux" else os.devnull
    return io.FileIO(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
