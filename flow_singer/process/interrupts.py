"""Signals that ask Flow to stop, as an exception that always arrives.

An exception that a signal handler raises does harm, or gets lost, by where the signal strikes. In the midst of
starting a process, the handle to that process would be lost: there the exception is put off (`deferred`). In a
hook of `fork`, a finaliser or a callback, Python throws it away: it is raised again until it has arrived.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Collection, Iterator
from types import FrameType
from typing import Any

from flow_singer.errors import EXIT_INTERRUPTED, EXIT_TERMINATED

_AGAIN_S = 0.1


class Interrupted(BaseException):
    """Flow itself was asked to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def exit_code(self) -> int:
        """130 for Ctrl-C, 143 for SIGTERM and a closed terminal."""
        return EXIT_INTERRUPTED if self.number == signal.SIGINT else EXIT_TERMINATED


class _Watch:
    """The signal that this process got, until it has arrived; handlers run in the main thread only."""

    def __init__(self) -> None:
        self.deferrals = 0
        self._number: int | None = None
        self._raised: weakref.ref[Interrupted] | None = None
        self._alarm_before: Any = signal.SIG_DFL
        self._timer_before = (0.0, 0.0)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Take the first signal; those that follow change nothing.

        They must not be set to SIG_IGN here: Python complains of one that is already on its way.
        """
        if self._number is not None:
            return
        self._number = number
        self._alarm_before = signal.signal(signal.SIGALRM, self._alarm)
        self._timer_before = signal.setitimer(signal.ITIMER_REAL, _AGAIN_S, _AGAIN_S)
        self.deliver()

    def _alarm(self, _number: int, _frame: FrameType | None) -> None:
        self.deliver()

    def deliver(self) -> None:
        """Raise `Interrupted` where a signal came, none is on its way, and nothing defers it."""
        if self._number is not None and not self.deferrals and not self._is_on_its_way():
            raise self._new()  # only weakly referenced: once Python has thrown it away, `_is_on_its_way` sees that

    def clear(self) -> None:
        """Forget the signal: it has arrived."""
        if self._number is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm_before)
            signal.setitimer(signal.ITIMER_REAL, *self._timer_before)
        self._number = self._raised = None

    def _is_on_its_way(self) -> bool:
        return self._raised is not None and self._raised() is not None

    def _new(self) -> Interrupted:
        interrupted = Interrupted(self._number or signal.SIGTERM)
        self._raised = weakref.ref(interrupted)
        return interrupted


_watch = _Watch()


@contextlib.contextmanager
def interruptible(*, within_s: float | None = None) -> Iterator[None]:
    """Raise `Interrupted` where SIGINT, SIGTERM or SIGHUP arrives; only the first one counts.

    Args:
        within_s: this process ends so many seconds after the signal, whatever still runs in it: for a
            command that runs code of others, which may swallow every exception.
    """
    watched = [one for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if _is_heeded(one)]
    before = {one: signal.signal(one, _watch.handle) for one in watched}
    show, sys.unraisablehook = sys.unraisablehook, lambda lost: _show_lost(lost, show)
    try:
        with contextlib.nullcontext() if within_s is None else _ending(within_s, watched):
            yield
    finally:
        _watch.clear()
        sys.unraisablehook = show
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def _ending(within_s: float, watched: Collection[int]) -> Iterator[None]:
    """Let a thread end this process, once one of the signals has come and the time is over.

    The kernel's own handler wakes it, as Python's waits for the main thread, which may not come back.
    """
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)

    def wait() -> None:
        while numbers := os.read(read, 1):
            if numbers[0] in watched:
                time.sleep(within_s)
                name = signal.Signals(numbers[0]).name
                text = f"Still running {within_s:g} s after {name}, which a function may have swallowed: ended.\n"
                os.write(2, text.encode())
                os._exit(Interrupted(numbers[0]).exit_code)
        os.close(read)

    threading.Thread(target=wait, name="ending", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(write)


def _show_lost(lost: sys.UnraisableHookArgs, show: Callable[[sys.UnraisableHookArgs], object]) -> None:
    """Tell of an exception that Python threw away, unless it is one that comes again."""
    if not issubclass(lost.exc_type, Interrupted):
        show(lost)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Put `Interrupted` off until the end of the block, which must be short; it never strikes another thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _watch.deferrals += 1
    try:
        yield
    finally:
        _watch.deferrals -= 1
    _watch.deliver()


def _is_heeded(number: signal.Signals) -> bool:
    """A process started with nohup, or in the background of a script, ignores some signals on purpose."""
    return signal.getsignal(number) is not signal.SIG_IGN
