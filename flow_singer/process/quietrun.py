"""Run a program to its end and show what it says, without a stream of messages through it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO

from flow_singer.process.interrupts import deferred
from flow_singer.process.lifeline import die_with_parent


class StoppedError(Exception):
    """A program was not started: all of them are to end."""


class Stop:
    """Ends the programs that several threads run, and those that they would start after that."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_set = threading.Event()

    def now(self) -> None:
        """Kill their groups."""
        with self._lock:
            self._is_set.set()
            for process in self._running:
                if process.poll() is None:
                    _kill_group(process)

    def add(self, process: subprocess.Popen[bytes]) -> None:
        """Take one that was just started.

        Raises:
            StoppedError: it comes too late.
        """
        with self._lock:
            if self._is_set.is_set():
                raise StoppedError
            self._running.add(process)

    def pause(self, seconds: float) -> None:
        """Wait a moment.

        Raises:
            StoppedError: there is nothing to wait for any more.
        """
        if self._is_set.wait(seconds):
            raise StoppedError

    def remove(self, process: subprocess.Popen[bytes]) -> None:
        """Forget one that has ended."""
        with self._lock:
            self._running.discard(process)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def run_quietly(
    command: Sequence[str],
    *,
    env: Mapping[str, str],
    relay: Callable[[str], None],
    cwd: Path | None = None,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    timeout_s: float | None = None,
    keep_open: Sequence[int] = (),
    outlives: bool = False,
    stop: Stop | None = None,
) -> tuple[int, list[str]]:
    """Run a program to its end, in a process group of its own; whatever ends the wait kills the whole group.

    Args:
        command: the argv.
        env: its environment variables.
        relay: gets each line of its stderr.
        cwd: its working folder.
        stdin: file for its standard input, which else is empty.
        stdout: file for its standard output, which else joins stderr.
        timeout_s: the group is killed after that.
        keep_open: descriptors that it inherits.
        outlives: whether it works on where Flow is killed with SIGKILL.
        stop: ends it from another thread.

    Returns:
        Exit code, negative for a signal, and the last 20 lines of stderr.

    Raises:
        OSError: it cannot be started.
        StoppedError: `stop` came before it.
    """
    tail: deque[str] = deque(maxlen=20)
    process: subprocess.Popen[bytes] | None = None
    timer: threading.Timer | None = None

    def kill() -> None:
        if process is not None:
            _kill_group(process)

    try:
        with deferred():
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if stdin is None else stdin,
                stdout=subprocess.PIPE if stdout is None else stdout,
                stderr=subprocess.STDOUT if stdout is None else subprocess.PIPE,
                env=env,
                cwd=cwd,
                start_new_session=True,
                pass_fds=keep_open,
                preexec_fn=None if outlives else die_with_parent,  # noqa: PLW1509
            )
        if stop is not None:
            stop.add(process)
        if timeout_s is not None:
            timer = threading.Timer(timeout_s, kill)
            timer.start()
        for raw in (process.stdout if stdout is None else process.stderr) or ():
            line = raw.decode(errors="replace").rstrip()
            tail.append(line)
            relay(line)
        return process.wait(), list(tail)
    except BaseException:
        kill()
        raise
    finally:
        if timer is not None:
            timer.cancel()
        if process is not None:
            with process:  # closes its pipes
                pass
            if stop is not None:
                stop.remove(process)
