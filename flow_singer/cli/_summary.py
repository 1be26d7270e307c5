"""What a run has moved: the summary at its end, and the lines of a table per stream."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flow_singer.cli import _terminal
from flow_singer.cli._logging import tell
from flow_singer.wording import count_of


def summary(records: Mapping[str, int], size_bytes: int, seconds: float) -> str:
    """`3,100 records of 4 streams, 1.5 MB in 0.8 s (3,875 records/s)`."""
    total = sum(records.values())
    streams = count_of(len(records), "stream")
    rate = round(total / seconds) if seconds > 0 else 0
    return (
        f"{count_of(total, 'record')} of {streams}, {size_of(size_bytes)} in {seconds:.1f} s"
        f" ({count_of(rate, 'record')}/s)"
    )


def tell_summary(
    title: str, records: Mapping[str, int], size_bytes: int, seconds: float, *, each: bool = False
) -> None:
    """Say what was moved, where `each` is true with a line per stream."""
    text = f"{title}: {summary(records, size_bytes, seconds)}"
    if each and records:
        width = _terminal.columns() if _terminal.is_terminal() else None
        text += "\n" + table(records, seconds, width)
    tell(text, pipeline=title, records=dict(records), bytes=size_bytes, seconds=round(seconds, 3))


def tell_rejects(count: int | None, file: Path | None) -> None:
    """Say how much was set aside; None where a target has said so itself."""
    if count is not None:
        tell(f"{count_of(count, 'record')} set aside in {file}.", rejects=count, file=str(file))


def tell_bookmark(name: str) -> None:
    """Say that a bookmark moved."""
    tell(f"Bookmark {name} saved.", bookmark=name)


def table(records: Mapping[str, int], seconds: float, width: int | None = None) -> str:
    """A line per stream: its records and its rate over the whole run.

    Args:
        records: per stream.
        seconds: of the run.
        width: columns to fit into: the rate is left out where it does not; None for any.
    """
    name = max(map(len, records), default=0)
    counts = {stream: count_of(number, "record") for stream, number in records.items()}
    rates = {stream: f"{number / max(seconds, 1e-6):,.0f}/s" for stream, number in records.items()}
    wide, far = (max((len(one) for one in found.values()), default=0) for found in (counts, rates))
    if width is not None and 2 + name + 2 + wide + 2 + far > width:
        return "\n".join(f"  {stream:<{name}}  {counts[stream]:>{wide}}" for stream in records)
    return "\n".join(
        f"  {stream:<{name}}  {counts[stream]:>{wide}}  {rates[stream]:>{far}}" for stream in records
    )


def size_of(size_bytes: int) -> str:
    """`12 B`, `1.5 MB`."""
    size = float(size_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000 or unit == "GB":
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return ""
