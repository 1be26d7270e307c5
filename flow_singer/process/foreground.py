"""Run a program in the foreground of the terminal, with our own stdin, stdout and stderr, to its end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import IO

from flow_singer.process.interrupts import deferred
from flow_singer.process.lifeline import die_with_parent


def run_in_foreground(
    command: Sequence[str], *, env: Mapping[str, str], terminal: IO[bytes] | None = None
) -> int:
    """Run a program; Ctrl-C is its own business, and what else asks us to end is passed on to it.

    Args:
        command: the argv.
        env: its environment variables.
        terminal: what becomes its stdin and its stdout; None leaves it ours.

    Returns:
        Its exit code; 128 and the number of the signal that killed it.

    Raises:
        OSError: it cannot be started.
    """
    with deferred():
        process = subprocess.Popen(
            command,
            env=dict(env),
            stdin=terminal,
            stdout=terminal,
            preexec_fn=die_with_parent,  # noqa: PLW1509
        )
    with process, _passed_on(process):
        code = process.wait()
    return 128 - code if code < 0 else code


@contextmanager
def _passed_on(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Have signals go to the program. It is in our process group: Ctrl-C reaches it by itself."""

    def tell(number: int, _frame: FrameType | None) -> None:
        if number != signal.SIGINT:
            process.send_signal(number)

    heeded = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, tell) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
