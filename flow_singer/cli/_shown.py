"""What `flow show` prints: streams, their fields and their first rows, as tables that fit the terminal."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from flow_singer.cli._answers import answer_table
from flow_singer.nearnames import listed
from flow_singer.wording import count_of

_WIDEST = 32
"""Characters of a cell of the head."""
_GAP = 2
_BARS = "▁▂▃▄▅▆▇█"
_PLAIN_BARS = ".:-=+*#@"


def print_streams(streams: Sequence[Mapping[str, Any]], *, rows: int) -> None:
    """Print what there is in streams; see `StreamLook.to_json`."""
    for number, stream in enumerate(streams):
        if number:
            click.echo()
        click.echo(_title(stream))
        click.echo()
        _print_fields(stream)
        if rows and stream["head"]["rows"]:
            click.echo()
            _print_head(stream)


def _title(stream: Mapping[str, Any]) -> str:
    parts = [count_of(stream["records"], "record") + ("" if stream["is_whole"] else " looked at")]
    if stream["key"]:
        parts.append(f"key {', '.join(stream['key'])}")
    if stream["replication_key"]:
        parts.append(f"newer by {stream['replication_key']}")
    return click.style(stream["name"], bold=True) + f": {', '.join(parts)}"


def _print_fields(stream: Mapping[str, Any]) -> None:
    fields = stream["fields"]
    if not any(field["profile"] for field in fields):
        answer_table(
            ("FIELD", "TYPE", "NULL"),
            [(one["name"], one["type"], "yes" if one["nullable"] else "no") for one in fields],
        )
        return
    answer_table(
        ("FIELD", "TYPE", "NULLS", "DISTINCT", "FROM", "TO", "SPREAD", "MOST COMMON"),
        [(one["name"], one["type"], *_facts(one["profile"])) for one in fields],
    )


def _facts(profile: Mapping[str, Any]) -> tuple[object, ...]:
    total = profile["values"] + profile["nulls"]
    nulls = f"{profile['nulls']:,}" if not total else f"{profile['nulls']:,} ({profile['nulls'] / total:.0%})"
    distinct = f"{'' if profile['distinct']['exact'] else _about()}{profile['distinct']['count']:,}"
    low, high = profile["min"], profile["max"]
    if profile["lengths"] is not None:
        low, high = (f"{profile['lengths'][name]:,} chars" for name in ("min", "max"))
    common = [f"{_clipped(one['value'], 20)} ({one['count']:,})" for one in profile["common"][:3]]
    return (
        nulls if profile["nulls"] else None,
        distinct,
        low,
        high,
        _bars(profile["histogram"]),
        ", ".join(common),
    )


def _about() -> str:
    return "≈" if _is_unicode() else "~"


def _is_unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _bars(histogram: Mapping[str, Any] | None) -> str | None:
    if histogram is None:
        return None
    counts = histogram["counts"]
    pairs = [sum(counts[at : at + 2]) for at in range(0, len(counts), 2)]
    bars = _BARS if _is_unicode() else _PLAIN_BARS
    most = max(pairs)
    return "".join(
        " " if not one else bars[min(one * len(bars) // (most + 1), len(bars) - 1)] for one in pairs
    )


def _print_head(stream: Mapping[str, Any]) -> None:
    names = [field["name"] for field in stream["fields"]]
    rows = [[_cell(cell) for cell in row] for row in stream["head"]["rows"]]
    fits = list(_fitting(names, rows))
    headers = [_clipped(names[place], _WIDEST) for place in fits]
    answer_table(headers, [[row[place] for place in fits] for row in rows])
    if left := [name for place, name in enumerate(names) if place not in fits]:
        click.echo(f"Not shown: {listed(left)}.")
    more = stream["records"] - len(rows)
    if more > 0:
        click.echo(
            f"… and {count_of(more, 'more record')}."
            if _is_unicode()
            else f"... and {count_of(more, 'more record')}."
        )


def _cell(cell: str | None) -> str:
    return "" if cell is None else _clipped(cell, _WIDEST)


def _clipped(text: str, width: int) -> str:
    """One line of at most so many characters, with nothing in it that moves the cursor."""
    shown = "".join(one if one.isprintable() else " " for one in text)
    if len(shown) <= width:
        return shown
    return shown[: width - 1] + ("…" if _is_unicode() else "~")


def _fitting(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[int]:
    """The places of the columns that fit the terminal, from the left, at least one; all where there is none."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else 1 << 30
    used = 0
    for place, name in enumerate(names):
        width = max(len(_clipped(name, _WIDEST)), *(len(row[place]) for row in rows))
        used += width + (_GAP if place else 0)
        if place and used > room:
            continue
        yield place
