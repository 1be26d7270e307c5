"""The generated data on disk, in the forms that the commands take, made before any clock starts."""

from __future__ import annotations

import csv
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import data
from cases import WORK, Case, Input

_NAMES: dict[Input, str] = {
    "file": "messages.jsonl",
    "records": "records.jsonl",
    "snapshot": "sync-output/issues.csv",
}


def messages(records: int, shape: str = data.ISSUES, streams: int = 1) -> Path:
    """The stream of messages, written unless this very generator has done so before."""
    return _made(
        f"{shape.replace(' ', '-')}-{streams}-{records}",
        "jsonl",
        lambda file: data.write(file, records, shape=shape, streams=streams),
    )


def form(path: Path, wanted: Input) -> Path:
    """The same data for a command that cannot read messages: records without their envelope, or a CSV file."""
    name = path.stem.rpartition("-")[0]
    if wanted == "records":
        return _made(f"{name}-records", "jsonl", lambda file: _write_records(file, path))
    if wanted == "snapshot":
        return _made(f"{name}-snapshot", "csv", lambda file: _write_snapshot(file, path))
    return path


def place(case: Case, path: Path, folder: Path) -> None:
    """Put the data where the case looks for it, as a link."""
    if case.input in _NAMES:
        link = folder / _NAMES[case.input]
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(form(path, case.input))


def read_into_cache(path: Path) -> None:
    """Read a file, so that a run does not wait for the disk."""
    with path.open("rb") as file:
        while file.read(1 << 20):
            pass


def _made(name: str, suffix: str, write: Callable[[IO[str]], None]) -> Path:
    generator = Path(data.__file__).read_bytes() + Path(__file__).read_bytes()
    path = WORK / "data" / f"{name}-{hashlib.sha256(generator).hexdigest()[:8]}.{suffix}"
    if not path.exists():
        print(f"data: {name}", file=sys.stderr, flush=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        for outdated in path.parent.glob(f"{name}-{'?' * 8}.{suffix}"):
            outdated.unlink()
        beside = path.with_suffix(".part")
        with beside.open("w", encoding="utf-8", newline="") as file:
            write(file)
        beside.rename(path)
    return path


def _records(path: Path) -> Iterator[dict[str, object]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            message = json.loads(line)
            if message["type"] == "RECORD":
                yield message["record"]


def _write_records(file: IO[str], path: Path) -> None:
    file.writelines(f"{json.dumps(record)}\n" for record in _records(path))


def _write_snapshot(file: IO[str], path: Path) -> None:
    """CSV as a target writes it: objects and lists as JSON."""
    writer: csv.DictWriter[str] | None = None
    for record in _records(path):
        if writer is None:
            writer = csv.DictWriter(file, list(record))
            writer.writeheader()
        writer.writerow(
            {
                name: json.dumps(value) if isinstance(value, dict | list) else value
                for name, value in record.items()
            }
        )
