"""Whole-stream functions on large streams: the memory until every line was read, and the cost of all of it."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import data
import files
import running
from cases import HERE, WORK, Case, Goal
from measure import CommandError, Sample
from peers import FLOW
from running import note

RESULTS = HERE / "results"
MILLION = 1_000_000
READING_GOAL = Goal("rss_mb", 300)
_QUICK = 50  # so much less: still more than a stream keeps in memory

Record = dict[str, Any]


@dataclass(frozen=True)
class Whole:
    """One function on one stream of messages.

    Attributes:
        name: as the table says it.
        file: in `transforms/`.
        records: of all streams together.
        streams: how many, one record each in turn.
        shape: of the records, as `data.py` says.
        expected: the records it must write, in order, made from those it was given.
    """

    name: str
    file: str
    records: int
    streams: int
    shape: str
    expected: Callable[[Iterator[Record]], Iterator[Record]]

    @property
    def case(self) -> Case:
        """The command; `cat` tells when it has handed over the last byte."""
        return Case(
            self.name,
            FLOW,
            (
                ("sh", "-c", "cat && : >all-read"),
                ("flow", "transform", str(HERE / "transforms" / self.file)),
            ),
            {"meltano.yml": "version: 1\n"},
            mark="all-read",
        )


def _states(issues: Iterator[Record]) -> Iterator[Record]:
    counts = Counter(issue["state"] for issue in issues)
    yield from ({"state": state, "issues": counts[state]} for state in sorted(counts))


def _pairs(issues: Iterator[Record]) -> Iterator[Record]:
    for issue, following in zip(issues, issues, strict=True):
        yield {**issue, "next_comments": following["comments"]}


WHOLES = (
    Whole("every row of one stream", "count.py", MILLION, 1, data.ISSUES, _states),
    Whole("every row of one stream", "count.py", 10 * MILLION, 1, data.ISSUES, _states),
    Whole("join of two streams", "join.py", 10 * MILLION, 2, data.columns(3), _pairs),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure; 0 when every function wrote what it should, else 1."""
    options = _options(argv)
    running.use_two_cores()
    problems = running.make_environments({FLOW})
    if problems:
        sys.exit("; ".join(problems.values()))
    about = running.about([FLOW])
    measured = [(whole, *_measure(whole, whole.records // options.divisor)) for whole in WHOLES]
    about["load_after"] = f"{os.getloadavg()[0]:.1f}"
    table = "\n".join(_table(about, measured)) + "\n"
    print(table)
    if options.divisor == 1:
        (RESULTS / "whole.md").write_text(table)
    return 1 if any(failure for *_, failure in measured) else 0


def _measure(whole: Whole, records: int) -> tuple[int, Sample | None, str]:
    """Run it once, and compare every record that it wrote."""
    path = files.messages(records, whole.shape, whole.streams)
    files.read_into_cache(path)
    stdout = WORK / "stdout"
    note(f"{whole.name}: {records:,} records")
    try:
        sample = running.run(whole.case, path, stdout)
        _check(whole.expected(_records(path)), _records(stdout))
    except CommandError as exc:
        note(f"failed: {exc}")
        return records, None, str(exc)
    finally:
        stdout.unlink(missing_ok=True)
    return records, sample, ""


def _check(expected: Iterator[Record], written: Iterator[Record]) -> None:
    for number, (wanted, found) in enumerate(zip_longest(expected, written)):
        if str(wanted) != str(found):  # 1 and 1.0 are equal as numbers, and not the same
            raise CommandError(f"record {number} is {found}, not {wanted}")


def _records(path: Path) -> Iterator[Record]:
    with path.open("rb") as lines:
        for line in lines:
            message = json.loads(line)
            if message["type"] == "RECORD":
                yield message["record"]


def _table(about: dict[str, Any], measured: Sequence[tuple[Whole, int, Sample | None, str]]) -> Iterator[str]:
    yield (
        f"Whole-stream functions, one run each, {about['date']}, Flow {about['flow']}\n"
        f"{about['machine']}, Python {about['python']}, load before {about['load_before']}, "
        f"after {about['load_after']}\n"
    )
    yield "| function | records | streams | wall s | CPU s | MB until all was read, largest / all | goal | met | MB in the end |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | --- | --- | ---: |"
    for whole, records, sample, failure in measured:
        start = f"| {whole.name} | {records:,} | {whole.streams} |"
        if sample is None:
            yield f"{start} failed: {failure} | | | | | |"
            continue
        reading = sample.marked_rss_mb
        is_met = "-" if reading is None else "yes" if READING_GOAL.is_met(reading) else "**no**"
        yield (
            f"{start} {sample.wall_s:.1f} | {sample.cpu_s:.1f} | {_mb(reading)} / {_mb(sample.marked_total_mb)} | "
            f"{READING_GOAL} | {is_met} | {_mb(sample.rss_mb)} |"
        )


def _mb(size: float | None) -> str:
    return "-" if size is None else f"{size:,.0f}"


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/whole.py", description=__doc__)
    parser.add_argument(
        "--quick",
        dest="divisor",
        action="store_const",
        const=_QUICK,
        default=1,
        help=f"a {_QUICK}th of the records, and no file of results: does it all work?",
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
