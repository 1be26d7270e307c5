"""Processes that a user's code forks: only the one that owns a stream reads and writes it.

A child that comes back out of a function would go on as if it were Flow: read the same input, and write every
record once more. It ends instead, where it comes back, without any clean-up of what belongs to its parent.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
from collections.abc import Iterator

from flow_singer.errors import EXIT_DATA

logger = logging.getLogger(__name__)


class _Ownership:
    """Who owns the stream, as this process knows it.

    Attributes:
        descriptors: those of the stream, while one is read; empty where there is none.
        is_child: whether this process was forked since.
    """

    def __init__(self) -> None:
        self.descriptors: tuple[int, ...] = ()
        self.is_child = False
        self._is_registered = False

    def register(self) -> None:
        """Hear of each fork from now on."""
        if not self._is_registered:
            self._is_registered = True
            os.register_at_fork(before=self._before, after_in_child=self._after_in_child)

    def _before(self) -> None:
        if self.descriptors:  # what is still to be printed is the parent's, and is printed once
            _flush()

    def _after_in_child(self) -> None:
        if not self.descriptors:
            return
        self.is_child = True
        null = os.open(os.devnull, os.O_RDWR)
        for one in self.descriptors:  # a child that lives on must not keep the next stage waiting for the end
            os.dup2(null, one, inheritable=False)
        os.close(null)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            if getattr(signal.getsignal(number), "__module__", None) == "flow_singer.process.interrupts":
                signal.signal(number, signal.SIG_DFL)  # a pool ends its workers so


process = _Ownership()
"""What this process is."""


@contextlib.contextmanager
def owning(*descriptors: int) -> Iterator[None]:
    """Own a stream: a child that is forked meanwhile has no part in it.

    Args:
        descriptors: of its input and its output; a child has nothing behind them.
    """
    process.register()
    process.descriptors, process.is_child = descriptors, False
    try:
        yield
    finally:
        process.descriptors = ()


def end_child(where: str) -> None:
    """End this process where it was forked by the user's code and has come back from there.

    Args:
        where: where it came back from.
    """
    if not process.is_child:
        return
    try:
        logger.warning(
            "%s: process %d, which was forked there, came back into Flow. It ends here, and its parent goes on; "
            "end a child with os._exit().",
            where,
            os.getpid(),
        )
        _flush()
    finally:
        os._exit(EXIT_DATA)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
