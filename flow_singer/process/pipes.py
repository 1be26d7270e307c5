"""Pipes between processes: their size, reading them to their end, writing all that there is."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import stat
from collections.abc import Callable, Iterator

BLOCK_BYTES = 1 << 20
"""How much is read from a pipe at once; also the size Flow asks the kernel to give its pipes."""


def widen_pipe(descriptor: int) -> None:
    """Ask the kernel for a pipe of 1 MiB, where it is one and the kernel allows."""
    set_size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if set_size is not None:
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, set_size, BLOCK_BYTES)


def read_blocks(
    descriptor: int,
    *,
    watch: int | None = None,
    idle: Callable[[], bool | None] | None = None,
    idle_s: float = 0.5,
) -> Iterator[bytes]:
    """Read a pipe to its end.

    Args:
        descriptor: what to read.
        watch: the pipe that the blocks are written to; its reader's end ends the reading too.
        idle: called every `idle_s` seconds in which nothing came; the reading ends where it returns True.
        idle_s: seconds.

    Yields:
        Blocks of up to 1 MiB, as soon as anything is there.

    Raises:
        BrokenPipeError: the reader of `watch` is gone.
    """
    widen_pipe(descriptor)
    poll = select.poll()
    poll.register(descriptor, select.POLLIN | select.POLLHUP)
    if watch is not None and _is_pipe(watch):
        poll.register(watch, 0)  # only errors and hang-ups: the reader closed its end
    while True:
        events = poll.poll(idle_s * 1000 if idle is not None else None)
        if not events:
            if idle is not None and idle():
                return
            continue
        for ready, _ in events:
            if ready == watch:
                raise BrokenPipeError(errno.EPIPE, "the reader of this stream is gone")
        block = os.read(descriptor, BLOCK_BYTES)
        if not block:
            return
        yield block


def _is_pipe(descriptor: int) -> bool:
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)


def write_all(descriptor: int, data: bytes | memoryview) -> None:
    """Write every byte, however long the reader takes.

    Raises:
        BrokenPipeError: the reader is gone.
        OSError: the disk is full, for example.
    """
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
