"""Live counts on a terminal, and the summary at the end of a run."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from flow_singer.cli._logging import tell


class Progress:
    """One line on stderr that is written over; nothing where stderr is no terminal.

    Args:
        wanted: False switches it off.
    """

    def __init__(self, *, wanted: bool) -> None:
        self._shows = wanted and sys.stderr.isatty()
        self._started = time.monotonic()
        self._drawn = False

    def update(self, records: Mapping[str, int], size_bytes: int) -> None:
        """Draw the counts anew."""
        if not self._shows:
            return
        total = sum(records.values())
        seconds = max(time.monotonic() - self._started, 1e-6)
        newest = list(records)[-1] if records else ""
        text = f"{total:,} records  {total / seconds:,.0f}/s  {_size(size_bytes)}  {newest}"
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        sys.stderr.write(f"\r\x1b[2K{text[: width - 1]}")
        sys.stderr.flush()
        self._drawn = True

    def clear(self) -> None:
        """Take the line away, before anything else is printed."""
        if self._drawn:
            sys.stderr.write("\r\x1b[2K")
            sys.stderr.flush()
            self._drawn = False

    def show_line(self, name: str, line: str) -> None:
        """Print a line that a plugin wrote, with its name in front."""
        self.clear()
        tell(f"{name}: {line}", plugin=name, line=line)


def summary(records: Mapping[str, int], size_bytes: int, seconds: float) -> str:
    """`3,100 records of 4 streams, 1.5 MB in 0.8 s (3,875 records/s)`."""
    total = sum(records.values())
    streams = _count(len(records), "stream")
    rate = total / seconds if seconds > 0 else 0
    return f"{_count(total, 'record')} of {streams}, {_size(size_bytes)} in {seconds:.1f} s ({rate:,.0f} records/s)"


def tell_summary(
    title: str, records: Mapping[str, int], size_bytes: int, seconds: float, *, each: bool = False
) -> None:
    """Say what was moved, where `each` is true with a line per stream."""
    text = f"{title}: {summary(records, size_bytes, seconds)}"
    if each and records:
        text += "\n" + table(records, seconds)
    tell(text, pipeline=title, records=dict(records), bytes=size_bytes, seconds=round(seconds, 3))


def tell_rejects(count: int | None, file: Path | None) -> None:
    """Say how much was set aside; None where a target has said so itself."""
    if count is not None:
        tell(f"{_count(count, 'record')} set aside in {file}.", rejects=count, file=str(file))


def tell_bookmark(name: str) -> None:
    """Say that a bookmark moved."""
    tell(f"Bookmark {name} saved.", bookmark=name)


def table(records: Mapping[str, int], seconds: float) -> str:
    """A line per stream: its records and its rate over the whole run."""
    width = max((len(stream) for stream in records), default=0)
    lines = [
        f"  {stream:<{width}}  {count:>12,} records  {count / max(seconds, 1e-6):>11,.0f}/s"
        for stream, count in records.items()
    ]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _size(size_bytes: int) -> str:
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return ""
