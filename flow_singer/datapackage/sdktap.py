"""Base of the bundled taps: command line, config, catalog and state by the Singer SDK, records by the block.

The SDK writes and flushes message by message, some 30 000 records a second. Here blocks of finished lines go straight
to stdout; only stream maps, flattening and BATCH files take the SDK's own path.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click
from singer_sdk import Stream, Tap
from singer_sdk.mapper import SameRecordTransform

from flow_singer.errors import EXIT_INTERNAL, EXIT_USAGE, FlowError


class BlockTap(Tap):
    """A tap that is never stopped in the middle of a line."""

    def __init__(self, **kwargs: Any) -> None:
        self._is_writing = False
        self._deferred_signal: int | None = None
        super().__init__(**kwargs)

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Hold back termination until messages are written whole and the state covers the records."""
        self._is_writing = True
        try:
            yield
        finally:
            self._is_writing = False
        if self._deferred_signal is not None:
            super()._handle_termination(self._deferred_signal, None)

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Write the last STATE and exit with 0, as the SDK does, but never in the middle of a line."""
        if not self._is_writing:
            super()._handle_termination(signum, frame)
        elif self._deferred_signal is None:
            self._deferred_signal = signum
        else:
            # Asked twice, and the reader does not take our lines: a cut line must not end with 0.
            os._exit(128 + signum)


def is_unmapped(stream: Stream) -> bool:
    """Whether the records of a stream leave as they are: no stream map and no flattening changes them."""
    maps = stream.stream_maps
    return [type(map_) for map_ in maps] == [SameRecordTransform] and not maps[0].flattening_enabled


def write_whole(block: bytes | memoryview) -> None:
    """Write every byte to stdout: with PYTHONUNBUFFERED, a write that a signal interrupts takes only a part of them."""
    rest = memoryview(block)
    while rest:
        rest = rest[sys.stdout.buffer.write(rest) :]


def run_tap(name: str, tap: Callable[[], type[Tap]], *, has_columns: bool = False) -> None:
    """Run a tap's command line; an unusable setting, file or output ends it with one message.

    Args:
        name: the command's name.
        tap: imports the tap's class.
        has_columns: whether it makes columns of Arrow, which would bring pandas with the first of them.
    """
    # Python ignores SIGPIPE and shows a traceback at the next write; as in any Unix filter, a reader that
    # has gone simply ends us.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    if sys.stdout is None:
        sys.exit(f"{name}: standard output is closed, there is nowhere to write messages to.")
    if has_columns:
        from flow_singer.tabular.startup import arrow_without_pandas

        arrow_without_pandas()
    try:
        tap().cli()
    except FlowError as exc:
        click.echo(f"{name}: {exc}", err=True)
        sys.exit(exc.exit_code)
    except OSError as exc:
        # A file that was named and is not there, or an output that takes no more, such as a full disk.
        click.echo(f"{name}: {exc}", err=True)
        sys.exit(EXIT_USAGE if isinstance(exc, FileNotFoundError) else EXIT_INTERNAL)
