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

    Returns:
        Exit code, negative for a signal, and the last 20 lines of stderr.

    Raises:
        OSError: it cannot be started.
    """
    tail: deque[str] = deque(maxlen=20)
    process: subprocess.Popen[bytes] | None = None
    timer: threading.Timer | None = None

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            if process is not None:
                os.killpg(process.pid, signal.SIGKILL)

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
