"""Measure Flow beside its peers and print one table. benchmarks/README.md says how to read it."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import data
import files
import report
import running
from cases import HERE, Case
from measure import CommandError
from peers import CASES, CAT, FLOW_CASES, ORJSON, SHAPE_CASES
from running import note

RESULTS = HERE / "results"
CHECKED_RECORDS = 10_000
MEMORY_RECORDS = (100_000, 5_000_000)  # the second: unless --memory says otherwise


def main(argv: Sequence[str] | None = None) -> int:
    """Run the benchmark; 0 when every command did its work, however long it took, else 1."""
    options = _options(argv)
    cases = _chosen(options)
    running.use_two_cores()
    needed = set[str]().union(*(case.environments for case in cases))
    problems = running.make_environments(needed)
    results = {case.name: report.Result(case, _records(options, case)) for case in cases}
    for result in results.values():
        with _failure_kept(result):
            _check(result, problems)
    stream = files.messages(options.records)
    about = running.about(needed) | {
        "records": options.records,
        "bytes": stream.stat().st_size,
        "runs": options.runs,
    }
    for number in range(options.runs):
        for name, result in results.items():  # A B C, A B C: a machine that slows down slows all alike
            if not result.failure and (number == 0 or not result.case.is_slow):
                note(f"run {number + 1} of {options.runs}: {name}")
                with _failure_kept(result):
                    path = files.messages(result.records, result.case.shape)
                    files.read_into_cache(files.form(path, result.case.input))
                    result.bytes = path.stat().st_size
                    result.samples.append(running.run(result.case, path))
    memory = _measure_memory(results, options.memory) if options.memory else {}
    about["load_after"] = f"{os.getloadavg()[0]:.1f}"

    table = report.as_table(about, results, memory)
    text = json.dumps(report.as_json(about, results, memory), indent=2, ensure_ascii=False) + "\n"
    print(table)
    if options.json:
        options.json.write_text(text)
    if not options.only and not options.quick:  # a part of the table must not replace the whole one
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "latest.json").write_text(text)
        (RESULTS / "latest.md").write_text(table + "\n")
    failures = [result.failure for result in results.values()] + [peak.failure for peak in memory.values()]
    return 1 if any(failures) else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/run.py", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="records in the stream (default 100000)")
    parser.add_argument("--runs", type=int, default=3, help="measured runs of each path (default 3)")
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="NAME",
        help="paths of these names, or with one of these words in their name",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there, too")
    parser.add_argument(
        "--shapes",
        action="store_true",
        help="also one column computed in records of 3 and of 200 columns, in long texts and in nested objects",
    )
    parser.add_argument(
        "--memory",
        type=int,
        nargs="?",
        const=MEMORY_RECORDS[1],
        metavar="RECORDS",
        help="also peak memory at 100 k and at 5 M records, or at so many (slow)",
    )
    parser.add_argument(
        "--quick", action="store_true", help="10000 records, one run, Flow, cat and orjson: does it all work?"
    )
    options = parser.parse_args(argv)
    if options.quick:
        options.records, options.runs = CHECKED_RECORDS, 1
    if options.records < 1 or options.runs < 1:
        parser.error("--records and --runs must be at least 1")
    if not _chosen(options):
        names = "\n  ".join(case.name for case in (*CASES, *SHAPE_CASES))
        parser.error(f"no path has such a name (or it needs --shapes); there are:\n  {names}")
    return options


def _chosen(options: argparse.Namespace) -> list[Case]:
    alone = [case.name for case in FLOW_CASES if not case.needs] + [CAT, ORJSON]
    return [
        case
        for case in (*CASES, *(SHAPE_CASES if options.shapes else ()))
        if not options.quick or case.name in alone
        if not options.only or any(_is_named(case, word) for word in options.only)
    ]


def _is_named(case: Case, word: str) -> bool:
    """A whole name means that case alone, any other word all that have it in their name."""
    names = {one.name for one in (*CASES, *SHAPE_CASES)}
    return case.name == word if word in names else word in case.name


def _records(options: argparse.Namespace, case: Case) -> int:
    """How many records a case is measured with: fewer where they are large."""
    return max(1, round(options.records * data.SHAPES.get(case.shape, 1.0)))


def _check(result: report.Result, problems: dict[str, str]) -> None:
    case = result.case
    note(f"check: {case.name}")
    for name in sorted(case.environments & problems.keys()):
        raise CommandError(f"{name}: {problems[name]}")
    records = min(result.records, CHECKED_RECORDS)
    running.check(case, files.messages(records, case.shape), records)


@contextlib.contextmanager
def _failure_kept(result: report.Result | report.Memory) -> Iterator[None]:
    """Turn a failed command into a row that says so."""
    try:
        yield
    except CommandError as exc:
        result.failure = str(exc)


def _measure_memory(results: dict[str, report.Result], most: int) -> dict[str, report.Memory]:
    """Run the cases in question once on 100 k and once on `most` records."""
    memory = {
        name: report.Memory(result.case, failure=result.failure)
        for name, result in results.items()
        if result.case.in_memory_test
    }
    for records in (MEMORY_RECORDS[0], most):
        stream = files.messages(records)
        for name, peak in memory.items():
            if not peak.failure:
                note(f"memory at {records:,} records: {name}")
                with _failure_kept(peak):
                    files.read_into_cache(files.form(stream, peak.case.input))
                    peak.samples[records] = running.run(peak.case, stream)
    return memory


if __name__ == "__main__":
    sys.exit(main())
