"""A thread that does one thing behind the caller's back: work that lets the interpreter go, such as packing."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Behind:
    """Does one thing at a time; leaving the block waits for the last, and raises what it raised."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1)
        self._last: Future[object] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()
        if error is None:
            self.wait()

    def do(self, call: Callable[..., object], *what: object) -> None:
        """Wait for what was begun before, raise what it raised, and begin this."""
        self.wait()
        self._last = self._pool.submit(call, *what)

    def wait(self) -> None:
        """Wait for what was begun, and raise what it raised."""
        last, self._last = self._last, None
        if last is not None:
            last.result()

    def close(self) -> None:
        """Let the thread go when it has ended what it does."""
        self._pool.shutdown()
