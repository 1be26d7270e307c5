"""How time and memory grow with records, streams and columns; writes results/growth.json and two pictures."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import data
import files
import running
from cases import HERE, ROOT, WORK, Case
from measure import CommandError
from peers import FLOW, FLOW_CASES, PLOT
from running import note

RESULT = HERE / "results" / "growth.json"
IMAGES = ROOT / "docs" / "images"
MILLION = 1_000_000
RECORDS = (10_000, 30_000, 100_000, 300_000, MILLION, 3 * MILLION, 10 * MILLION)
STREAMS = (1, 3, 10, 30, 100, 200)
COLUMNS = (3, 10, 30, 100, 300, 1000)
MEMORY = (0.1, 0.3, 1, 3, 5)  # of --records

_BY_NAME = {case.name: case for case in FLOW_CASES}
_NAMED = "one column computed, columns=[it]"
_TIMED = {
    "one column computed": Case(
        "one column computed",
        FLOW,
        (("flow", "transform", str(HERE / "transforms" / "every.py")),),
        {"meltano.yml": "version: 1\n"},
    ),
    _NAMED: Case(
        _NAMED,
        FLOW,
        (("flow", "transform", str(HERE / "transforms" / "columns.py")),),
        {"meltano.yml": "version: 1\n"},
    ),
    "CSV package": _BY_NAME["flow load out/ --format csv"],
}
_WEIGHED = [case for case in FLOW_CASES if case.in_memory_test]


@dataclass(frozen=True)
class Point:
    """One command on one stream of messages.

    Attributes:
        series: `records`, `streams`, `columns` or `memory`: what grows.
        path: the command, as the pictures name it.
        records: of all streams together.
        streams: how many, one record each in turn.
        shape: of the records, as `data.py` says.
    """

    series: str
    path: str
    records: int
    streams: int = 1
    shape: str = data.ISSUES

    @property
    def case(self) -> Case:
        """The command."""
        return _TIMED[self.path] if self.series != "memory" else _BY_NAME[self.path]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 0 when every command did its work, else 1."""
    options = _options(argv)
    running.use_two_cores()
    problems = running.make_environments({FLOW, PLOT})
    if problems:
        sys.exit("; ".join(problems.values()))
    about = running.about([FLOW, PLOT])
    measured: list[dict[str, Any]] = []
    failures = 0
    for point in points(options.records, options.large):
        if point.series not in options.only:
            continue
        note(
            f"{point.series}: {point.path}, {point.records:,} records, {point.streams} streams, {point.shape}"
        )
        path = files.messages(point.records, point.shape, point.streams)
        files.read_into_cache(path)
        try:
            samples = [running.run(point.case, path) for _ in range(options.runs)]
        except CommandError as exc:
            failures += 1
            note(f"failed: {exc}")
            measured.append({**asdict(point), "failure": str(exc)})
        else:
            found = {"bytes": path.stat().st_size, "runs": [asdict(sample) for sample in samples]}
            measured.append({**asdict(point), **found})
    about["load_after"] = f"{os.getloadavg()[0]:.1f}"
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({**about, "points": measured}, indent=1) + "\n")
    _draw(options.json, options.images)
    return 1 if failures else 0


def points(records: int, large: bool) -> Iterator[Point]:
    """Every measurement, those on the same data one after the other.

    Args:
        records: the longest stream of those that are timed; five times as many for memory.
        large: whether the stream may be ten times as long.
    """
    longest = records * 10 if large else records
    for count in [count for count in RECORDS if count <= longest] or [longest]:
        yield from (Point("records", path, count) for path in _TIMED if path != _NAMED)
    for streams in STREAMS:  # a fifth: each batch is small, and none of this depends on the length
        count = max(streams, records // 5)
        yield from (Point("streams", path, count, streams) for path in _TIMED if path != _NAMED)
    for columns in COLUMNS:  # as many cells each time, so that start-up weighs the same
        count = min(records, 20 * records // columns)
        yield from (Point("columns", path, count, shape=data.columns(columns)) for path in _TIMED)
    for share in MEMORY:
        yield from (Point("memory", case.name, round(records * share)) for case in _WEIGHED)


def _draw(measured: Path, images: Path) -> None:
    """Draw the pictures, in the environment that has matplotlib."""
    images.mkdir(parents=True, exist_ok=True)
    python = WORK / "venvs" / PLOT / "bin" / "python"
    subprocess.run([python, HERE / "plot.py", measured, images], check=True)


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/growth.py", description=__doc__)
    parser.add_argument(
        "--records",
        type=int,
        default=MILLION,
        help="the longest stream (default 1000000); for memory five times as many",
    )
    parser.add_argument("--large", action="store_true", help="also a stream ten times as long")
    parser.add_argument("--runs", type=int, default=1, help="measured runs of each point (default 1)")
    series = ["records", "streams", "columns", "memory"]
    parser.add_argument("--only", nargs="+", choices=series, default=series, help="what grows")
    parser.add_argument("--json", type=Path, metavar="FILE", default=RESULT, help="write the results there")
    parser.add_argument("--images", type=Path, metavar="DIR", default=IMAGES, help="and the pictures there")
    options = parser.parse_args(argv)
    if options.records < 1000 or options.runs < 1:
        parser.error("--records must be at least 1000, --runs at least 1")
    is_part = set(options.only) != set(series)
    if is_part and (options.json == RESULT or options.images == IMAGES):
        parser.error("--only needs --json FILE and --images DIR: a part must not replace the whole")
    return options


if __name__ == "__main__":
    sys.exit(main())
