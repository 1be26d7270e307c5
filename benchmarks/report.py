"""Turn measured runs into the table and into JSON. Nothing here runs anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import data
from cases import Case, Goal
from measure import Sample

MEMORY_GOAL = Goal("rss_mb", 300)
MEMORY_GROWTH_LIMIT = (
    1.25  # from the short stream to the long one: "flat", with room for an allocator's noise
)

_HEADER = (
    "path",
    "wall s",
    "least",
    "CPU s",
    "rec/s by wall",
    "rec/s by CPU",
    "times the peer, wall / CPU",
    "MB largest / all",
    "goal",
    "met",
)


@dataclass
class Result:
    """The runs of one case on so many records, or why there are none. Medians, but the largest memory."""

    case: Case
    records: int
    bytes: int = 0
    samples: list[Sample] = field(default_factory=list)
    failure: str = ""

    @property
    def cpu_s(self) -> float:
        return median(sample.cpu_s for sample in self.samples)

    @property
    def wall_s(self) -> float:
        return median(sample.wall_s for sample in self.samples)

    @property
    def least_s(self) -> float:
        return min(sample.wall_s for sample in self.samples)

    @property
    def rss_mb(self) -> float:
        return max(sample.rss_mb for sample in self.samples)

    @property
    def total_mb(self) -> float | None:
        return max((sample.total_mb for sample in self.samples if sample.total_mb), default=None)


@dataclass
class Memory:
    """The runs of one case by number of records, or why there is none; judged by the largest process."""

    case: Case
    samples: dict[int, Sample] = field(default_factory=dict)
    failure: str = ""

    @property
    def growth(self) -> float:
        return self.samples[max(self.samples)].rss_mb / self.samples[min(self.samples)].rss_mb

    @property
    def is_met(self) -> bool:
        largest = max(sample.rss_mb for sample in self.samples.values())
        return self.growth <= MEMORY_GROWTH_LIMIT and MEMORY_GOAL.is_met(largest)


@dataclass(frozen=True)
class Verdict:
    """A goal beside what was measured; None where the peer was not measured."""

    goal: Goal
    value: float | None

    @property
    def is_met(self) -> bool | None:
        return None if self.value is None else self.goal.is_met(self.value)


def verdicts(result: Result, results: Mapping[str, Result]) -> list[Verdict]:
    """The goals of a case that ran, each with its value."""
    found = []
    for goal in result.case.goals:
        value: float | None
        match goal.quantity:
            case "cpu_s":
                value = result.cpu_s
            case "rss_mb":
                value = result.rss_mb
            case "gb_per_s":
                value = result.bytes / 1e9 / result.wall_s
            case "records_per_s":
                value = result.records / result.wall_s
            case "ratio":
                peer = results.get(goal.peer)
                value = peer.wall_s / result.wall_s if peer and not peer.failure else None
        found.append(Verdict(goal, value))
    return found


def as_table(about: Mapping[str, Any], results: Mapping[str, Result], memory: Mapping[str, Memory]) -> str:
    """Render the Markdown table, with a line above it on what was measured where."""
    records = about["records"]
    head = (
        f"{records:,} records of {about['bytes'] / records:.0f} bytes, {about['runs']} interleaved run(s), "
        f"{about['date']}, Flow {about['flow']}\n"
        f"{about['machine']}, Python {about['python']}, load before {about['load_before']}, "
        f"after {about['load_after']}\n"
        "Medians, the memory the largest; goals are for 1,000,000 records on 2 cores, by wall time, "
        "those in seconds by CPU."
    )
    shapes = {
        result.case.shape: f"{result.case.shape}: {result.records:,} records of "
        f"{result.bytes / result.records:,.0f} bytes"
        for result in results.values()
        if result.case.shape != data.ISSUES and result.bytes
    }
    head = "\n".join((head, *shapes.values()))
    rows = [_row(result, results) for result in results.values()]
    rows += [_memory_row(result) for result in memory.values()]
    lines = [_line(_HEADER), _line(["---", *["---:"] * 7, "---", "---"]), *map(_line, rows)]
    return head + "\n\n" + "\n".join(lines)


def as_json(
    about: Mapping[str, Any], results: Mapping[str, Result], memory: Mapping[str, Memory]
) -> dict[str, Any]:
    """Every run of every path, for machines."""
    return {
        **about,
        "paths": [
            {
                "path": result.case.name,
                "failure": result.failure or None,
                "records": result.records,
                "cpu_s": [sample.cpu_s for sample in result.samples],
                "wall_s": [sample.wall_s for sample in result.samples],
                "rss_mb": [sample.rss_mb for sample in result.samples],
                "total_mb": [sample.total_mb for sample in result.samples],
                "goals": []
                if result.failure
                else [
                    {"goal": str(verdict.goal), "value": verdict.value, "met": verdict.is_met}
                    for verdict in verdicts(result, results)
                ],
            }
            for result in results.values()
        ],
        "memory": [
            {
                "path": result.case.name,
                "failure": result.failure or None,
                "rss_mb": {records: sample.rss_mb for records, sample in result.samples.items()},
                "total_mb": {records: sample.total_mb for records, sample in result.samples.items()},
            }
            for result in memory.values()
        ],
    }


def _row(result: Result, results: Mapping[str, Result]) -> list[str]:
    goals = "; ".join(map(str, result.case.goals))
    if result.failure:
        return [result.case.name, f"failed: {result.failure}", *[""] * 6, goals, ""]
    rates = ["", ""]
    if result.case.input != "none":
        rates = [f"{result.records / seconds:,.0f}" for seconds in (result.wall_s, result.cpu_s)]
    met = {None: "-", True: "yes", False: "no"}
    return [
        result.case.name,
        f"{result.wall_s:.2f}",
        f"{result.least_s:.2f}",
        f"{result.cpu_s:.2f}",
        *rates,
        "<br>".join(_ratios(result, results)),
        _sizes(result.rss_mb, result.total_mb),
        goals,
        "; ".join(met[verdict.is_met] for verdict in verdicts(result, results)),
    ]


def _ratios(result: Result, results: Mapping[str, Result]) -> Iterator[str]:
    for name in result.case.peers:
        peer = results.get(name)
        if peer and not peer.failure:
            yield f"{peer.wall_s / result.wall_s:.1f} / {peer.cpu_s / result.cpu_s:.1f}x {name}"


def _memory_row(result: Memory) -> list[str]:
    name = f"{result.case.name}, memory"
    goal = f"{MEMORY_GOAL} and {MEMORY_GROWTH_LIMIT:g}x the shorter"
    if result.failure:
        return [name, f"failed: {result.failure}", *[""] * 6, goal, ""]
    sizes = "<br>".join(
        f"{_sizes(sample.rss_mb, sample.total_mb)} at {records:,}"
        for records, sample in result.samples.items()
    )
    return [name, *[""] * 6, sizes, goal, "yes" if result.is_met else "no"]


def _sizes(largest_mb: float, all_mb: float | None) -> str:
    return f"{largest_mb:.0f} / {'-' if all_mb is None else f'{all_mb:.0f}'}"


def _line(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
