"""The line at the bottom of a terminal that shows that a run lives: what, for how long, how much so far."""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from flow_singer.cli import _terminal
from flow_singer.cli._context import Cli
from flow_singer.cli._logging import set_context, show_activity
from flow_singer.cli._summary import size_of
from flow_singer.process.runcontext import context_of
from flow_singer.process.status import StatusWriter

_TICK_S = 0.25
_SPINNER = "|/-\\"
_NAME_SHARE = 0.4
"""How much of the line a long name may take."""
_ROOM_FOR_RECORDS = 28
"""Columns of the spinner, the time and the number of records, which matter more than the end of a name."""


class LiveLine:
    """One line on stderr that is written over; nothing where stderr is no terminal.

    Args:
        name: of what runs.
        wanted: False switches it off.
        ticks: whether it moves by itself while nothing comes, which takes a thread.
    """

    def __init__(self, name: str, *, wanted: bool, ticks: bool = True) -> None:
        self._name = name
        self._shows = wanted and _terminal.can_draw()
        self._started = time.monotonic()
        self._records: Mapping[str, int] = {}
        self._size_bytes = 0
        self._activity = ""
        self._drawn = 0.0
        self._ended = threading.Event()
        self._ticking = threading.Thread(target=self._tick, daemon=True) if ticks and self._shows else None

    def __enter__(self) -> Self:
        if self._shows:
            show_activity(self.activity)
        if self._ticking is not None:
            self._ticking.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._ticking is not None:
            self._ticking.join()
        if self._shows:
            show_activity(None)
            _terminal.draw("")

    def update(self, records: Mapping[str, int], size_bytes: int) -> None:
        """Show other counts, and that what was done before them is over."""
        self._records, self._size_bytes, self._activity = records, size_bytes, ""
        if (now := time.monotonic()) - self._drawn > _TICK_S / 2:
            self._drawn = now
            self._draw()

    def activity(self, text: str) -> None:
        """Show what is being done while no records come."""
        self._activity = text
        self._draw()

    def _tick(self) -> None:
        while not self._ended.wait(_TICK_S):
            self._draw()

    def _draw(self) -> None:
        if self._shows and not self._ended.is_set():
            seconds = time.monotonic() - self._started
            _terminal.draw(
                live_text(
                    self._name,
                    seconds,
                    self._records,
                    self._size_bytes,
                    self._activity,
                    width=_terminal.columns() - 1,
                )
            )


def stage_line(cli: Cli, name: str, *, draws: bool, ticks: bool = True) -> LiveLine:
    """Make the live line of one stage, and set up how it tells what it does.

    Args:
        cli: the general options.
        name: of the stage.
        draws: whether it is its turn: only the last stage of a shell pipe draws. One that has a supervisor
            leaves it to that.
        ticks: see `LiveLine`.
    """
    environ = cli.workspace.environ
    context = context_of(environ)
    set_context(stage=name)
    if context is None:
        return LiveLine(name, wanted=cli.progress and draws, ticks=ticks)
    set_context(run=context.run, job=context.job, task=context.task)
    if context.draws:
        status = StatusWriter(environ)
        show_activity(lambda text: status.send(activity=text))
    return LiveLine(name, wanted=False)


def is_last_stage() -> bool:
    """Whether no other stage of a shell pipe, or person, reads stdout: then this one draws."""
    try:
        mode = os.fstat(1).st_mode
    except OSError:
        return False
    return not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(1))


def live_text(
    name: str, seconds: float, records: Mapping[str, int], size_bytes: int, activity: str, *, width: int
) -> str:
    """Lay the line out: numbers have room to grow, so that nothing jumps; what does not fit is left out whole.

    Args:
        name: of what runs; cut where it is long.
        seconds: since it began.
        records: per stream, the newest stream last.
        size_bytes: of all messages; 0 where nobody counts them.
        activity: what is done while no records come.
        width: columns.
    """
    longest = max(8, min(int(width * _NAME_SHARE), width - _ROOM_FOR_RECORDS))
    if len(name) > longest:
        name = f"{name[: longest - 2]}.."
    spinner = _SPINNER[int(seconds / _TICK_S) % len(_SPINNER)]
    parts = [f"{spinner} {name}", f"{elapsed(seconds):>5}"]
    total = sum(records.values())
    if total or not activity:
        rate = total / max(seconds, 1e-6)
        parts += [
            f"{total:>9,} record{'s' if total != 1 else ' '}",
            f"{rate:>9,.0f}/s",
            f"{size_of(size_bytes):>8}" if size_bytes else "",
        ]
        parts += [activity or "".join(list(records)[-1:])]
    else:
        parts += [activity]
    text = ""
    for part in filter(None, parts):
        longer = f"{text}  {part}" if text else part
        if len(longer) > width:
            if part == activity and (room := width - len(text) - 2) > 8:
                text += f"  {part[: room - 2]}.."
            break
        text = longer
    return text[:width]


def elapsed(seconds: float) -> str:
    """`0:07`, `12:05`, `1:02:03`."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
