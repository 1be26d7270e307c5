"""What looking at records costs: each expectation by itself, and `flow validate` as a whole command.

    python benchmarks/checks.py                     # 300,000 records; needs nothing but this checkout's environment
    python benchmarks/checks.py --records 10000000  # memory, too: 5 GB of disk

The first table is the time of the checks alone, on batches that are decoded already. The second is whole commands,
from a file on stdin, with the most memory that the command and its second process took together.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import data

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from flow_singer.checks.checkset import Checks  # noqa: E402
from flow_singer.checks.checksink import CheckSink  # noqa: E402
from flow_singer.checks.expectations import read_expectations  # noqa: E402
from flow_singer.singer.schema import StreamSchema  # noqa: E402
from flow_singer.tabular.batch import Batch  # noqa: E402
from flow_singer.tabular.parts import Part  # noqa: E402
from flow_singer.tabular.recorddecoder import RecordDecoder  # noqa: E402

EXPECTATIONS: dict[str, dict[str, object]] = {
    "not_null of two columns": {"not_null": ["id", "updated_at"]},
    "minimum of an integer": {"minimum": {"id": 0}},
    "maximum of a date-time": {"maximum": {"updated_at": "2999-01-01"}},
    "enum of a text": {"enum": {"state": ["open", "closed"]}},
    "pattern of a text": {"pattern": {"title": "."}},
    "unique integer": {"unique": "id"},
    "unique text": {"unique": "updated_at", "on_failure": "warn"},
    "unique pair": {"unique": ["id", "updated_at"]},
    "references to itself": {"references": {"id": f"{data.STREAM}.id"}},
    "freshness": {"freshness": {"updated_at": "1000000d"}},
}
ALL = {
    "not_null": ["id", "updated_at"],
    "minimum": {"id": 0},
    "enum": {"state": ["open", "closed"]},
    "pattern": {"title": "."},
    "unique": "id",
}


def batches(schema: StreamSchema, records: int) -> list[Batch]:
    """Decoded records, 5000 each."""
    decoder = RecordDecoder(schema)
    lines = [line for line in data.messages(records) if '"RECORD"' in line[:20]]
    parts = [lines[start : start + 5_000] for start in range(0, len(lines), 5_000)]
    return [decoder.decode([Part(("\n".join(part) + "\n").encode(), [(1, len(part))])]) for part in parts]


def rates(records: int) -> Iterator[tuple[str, float]]:
    """Per second, the records that each expectation looks at; then those of all words of the SCHEMA together."""
    schema = StreamSchema(json.loads(data.schema_message()))
    found = batches(schema, records)
    for name, entry in EXPECTATIONS.items():
        checks = Checks(read_expectations(data.STREAM, entry, lambda _: ""), judges=True)
        checks.schema(schema)
        started = time.perf_counter()
        for batch in found:
            checks.look(batch)
        checks.finish()
        yield name, records / (time.perf_counter() - started)
        checks.close()
    checks = Checks([], judges=True)
    sink = CheckSink(checks, repeated_keys="warn")
    sink.schema(schema)
    started = time.perf_counter()
    for batch in found:
        sink.batch(batch)
    yield "all that the SCHEMA and the key say", records / (time.perf_counter() - started)
    checks.close()


def commands(records: int, folder: Path) -> Iterator[tuple[str, float, int]]:
    """Name, seconds and peak memory (bytes) of whole commands."""
    stream = folder / "messages.jsonl"
    with stream.open("w") as file:
        data.write(file, records)
    (folder / "e.json").write_text(json.dumps({data.STREAM: ALL}))
    flow = [sys.executable, "-m", "flow_singer"]
    for name, words in {
        "flow validate -": ["validate", "-"],
        "flow validate - --expect (5 words)": ["validate", "-", "--expect", "e.json"],
        "flow transform --expect (5 words)": ["transform", "--expect", "e.json"],
    }.items():
        with stream.open("rb") as source:
            started = time.perf_counter()
            process = subprocess.Popen([*flow, *words], stdin=source, stdout=subprocess.DEVNULL, cwd=folder)
            peak = _watched(process)
        if process.returncode not in (0, 65):
            raise SystemExit(f"{name} ended with {process.returncode}")
        yield name, time.perf_counter() - started, peak


def _watched(process: subprocess.Popen[bytes]) -> int:
    """Wait for a process; the most that it and its children had in memory, seen ten times a second."""
    import psutil

    peak, ended = 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not ended.wait(0.1):
            try:
                one = psutil.Process(process.pid)
                peak = max(peak, sum(p.memory_info().rss for p in (one, *one.children(recursive=True))))
            except psutil.Error:
                continue

    watcher = threading.Thread(target=watch)
    watcher.start()
    process.wait()
    ended.set()
    watcher.join()
    return peak


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=300_000)
    records = parser.parse_args(argv).records
    print(f"{'checks alone':<40} records/s")
    for name, rate in rates(min(records, 300_000)):
        print(f"{name:<40} {rate:>11,.0f}")
    print(f"\n{f'whole commands, {records:,} records':<40} records/s   peak MB")
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds, peak in commands(records, Path(folder)):
            print(f"{name:<40} {records / seconds:>11,.0f}  {peak / 1e6:>8,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
