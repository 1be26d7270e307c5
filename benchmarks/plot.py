"""Draw the pictures of growth.py: plot.py growth.json FOLDER. Runs where matplotlib is, with nothing of Flow."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullLocator

# One picture for light and dark pages: no background, and greys and colours of middle brightness.
GREY = "#808080"
COLOURS = ("#3b82c4", "#d9772b", "#3f9b5a", "#b8559b", "#c9524f", "#9a8a2c", "#7a74c9")
mpl.rcParams.update(
    {
        "svg.fonttype": "none",  # text stays text
        "svg.hashsalt": "flow",  # the same numbers give the same file
        "font.family": "sans-serif",
        "font.size": 9,
        "text.color": GREY,
        "axes.labelcolor": GREY,
        "axes.edgecolor": GREY,
        "axes.titlesize": 10,
        "axes.prop_cycle": mpl.cycler(color=COLOURS),
        "axes.spines.top": False,
        "axes.spines.right": False,
        "xtick.color": GREY,
        "ytick.color": GREY,
        "grid.color": GREY,
        "grid.alpha": 0.3,
        "legend.frameon": False,
        "savefig.transparent": True,
    }
)

Point = dict[str, Any]


def main(measured: str, folder: str) -> None:
    """Read the measurements, draw both pictures; a series that was not measured is left out."""
    points = [point for point in json.loads(Path(measured).read_text())["points"] if "runs" in point]
    timed = [point for point in points if point["series"] != "memory"]
    weighed = [point for point in points if point["series"] == "memory"]
    if timed:
        _draw_growth(timed, Path(folder) / "growth.svg")
    if weighed:
        _draw_memory(weighed, Path(folder) / "memory.svg")


def _draw_growth(points: list[Point], path: Path) -> None:
    panels = {
        "records": ("records in one stream", lambda point: point["records"]),
        "streams": ("streams, one record each in turn", lambda point: point["streams"]),
        "columns": ("columns", lambda point: int(point["shape"].split()[0])),
    }
    figure, rows = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained", sharey=True)
    names = [name for name, _ in _by_path(points)]
    for axes, (series, (label, size_of)) in zip(rows, panels.items(), strict=True):
        for name, group in _by_path([point for point in points if point["series"] == series]):
            colour = COLOURS[names.index(name)]
            sizes = [size_of(point) for point in group]
            times = [
                median(run["wall_s"] for run in point["runs"]) / point["records"] * 1e6 for point in group
            ]
            axes.plot(sizes, times, "o-", markersize=3, label=name, color=colour)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(label)
        _plain_ticks(axes)
    rows[0].set_ylabel("µs per record, start-up included")
    lines, labels = max((axes.get_legend_handles_labels() for axes in rows), key=lambda found: len(found[1]))
    figure.legend(lines, labels, loc="outside lower center", ncols=len(labels))
    _save(figure, path)


def _draw_memory(points: list[Point], path: Path) -> None:
    figure, rows = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", sharey=True)
    for axes, (key, title) in zip(
        rows, {"rss_mb": "largest process", "total_mb": "all processes together"}.items(), strict=True
    ):
        for name, group in _by_path(points):
            found = [
                (point["records"], max(run[key] for run in point["runs"]))
                for point in group
                if all(run[key] for run in point["runs"])
            ]
            axes.plot([size for size, _ in found], [mb for _, mb in found], "o-", markersize=3, label=name)
        axes.set_xscale("log")
        axes.set_xlabel("records")
        axes.set_title(title)
        _plain_ticks(axes)
    rows[0].set_ylim(bottom=0)  # after all lines: it would keep the top as it was
    rows[0].set_ylabel("peak MB")
    lines, names = rows[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside right center")
    _save(figure, path)


def _by_path(points: list[Point]) -> Iterator[tuple[str, list[Point]]]:
    for name in dict.fromkeys(point["path"] for point in points):
        yield name, [point for point in points if point["path"] == name]


def _plain_ticks(axes: Axes) -> None:
    """10 k rather than a power of ten, and a light grid."""
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_short))
        axis.set_minor_locator(NullLocator())
    axes.grid(visible=True)


def _short(number: float, _: int | None = None) -> str:
    for size, unit in ((1e6, " M"), (1e3, " k")):
        if number >= size:
            return f"{number / size:g}{unit}"
    return f"{number:g}"


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, metadata={"Date": None, "Creator": None})
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(*sys.argv[1:])
