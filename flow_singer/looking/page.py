"""What there is in streams as one HTML page that needs nothing else: no address outside it, styles and script within.

It reads without JavaScript; with it, tables sort by a click on a header, and rows are searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

_BAR = 12
"""Width of a bar of a histogram, with its gap."""
_HEIGHT = 48


def page_html(report: Mapping[str, Any]) -> str:
    """The page of a report.

    Args:
        report: see the guide `show`: title, notes, streams.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"count": _count, "short": _short, "share": _share}
    text = files("flow_singer.looking").joinpath("page.html.jinja").read_text(encoding="utf-8")
    streams = [{**one, "id": f"stream-{number}"} for number, one in enumerate(report["streams"], 1)]
    return environment.from_string(text).render(
        report=report, streams=streams, bars=histogram_bars, height=_HEIGHT, width=_BAR
    )


def histogram_bars(histogram: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The bars of a histogram: place and size in pixels, and how many values each stands for."""
    counts = histogram["counts"]
    most = max(counts) or 1
    bars = []
    for place, count in enumerate(counts):
        height = round(count / most * (_HEIGHT - 2), 1)
        if count:
            height = max(height, 1)
        bars.append({"x": place * _BAR, "y": _HEIGHT - height, "height": height, "count": count})
    return bars


def _count(number: int) -> str:
    return f"{number:,}"


def _short(number: float) -> str:
    return f"{number:,.2f}" if abs(number) >= 1 else f"{number:.4g}"


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
