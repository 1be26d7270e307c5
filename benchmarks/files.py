"""The generated data on disk, in the forms that the commands take, made before any clock starts."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import data
from cases import ROOT, WORK, Case, Input

_NAMES: dict[Input, str] = {
    "file": "messages.jsonl",
    "records": "records.jsonl",
    "snapshot": "sync-output/issues.csv",
    "csv file": "issues.csv",
    "jsonl file": "issues.jsonl",
    "parquet file": "issues.parquet",
    "csv package": "package",
    "jsonl package": "package",
    "parquet package": "package",
}


def messages(records: int, shape: str = data.ISSUES, streams: int = 1) -> Path:
    """The stream of messages, written unless this very generator has done so before."""
    return _made(
        f"{shape.replace(' ', '-')}-{streams}-{records}",
        "jsonl",
        lambda file: data.write(file, records, shape=shape, streams=streams),
    )


def form(path: Path, wanted: Input) -> Path:
    """The same data for a command that cannot read messages.

    Records without their envelope, a CSV file, a Data Package that Flow wrote (a folder), or its Parquet file.
    """
    name = path.stem.rpartition("-")[0]
    match wanted:
        case "records" | "jsonl file":
            return _made(f"{name}-records", "jsonl", lambda file: _write_records(file, path))
        case "snapshot" | "csv file":
            return _made(f"{name}-snapshot", "csv", lambda file: _write_snapshot(file, path))
        case "parquet file":
            return _package(path, "parquet") / "data" / "issues.parquet"
        case "csv package" | "jsonl package" | "parquet package":
            return _package(path, wanted.partition(" ")[0])
        case _:
            return path


def place(case: Case, path: Path, folder: Path) -> None:
    """Put the data where the case looks for it, as a link."""
    if case.input in _NAMES:
        link = folder / _NAMES[case.input]
        link.parent.mkdir(exist_ok=True)
        link.symlink_to(form(path, case.input))


def read_into_cache(path: Path) -> None:
    """Read a file, or all that is in a folder, so that a run does not wait for the disk."""
    for one in path.rglob("*") if path.is_dir() else [path]:
        if one.is_file():
            with one.open("rb") as file:
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


def _package(path: Path, kind: str) -> Path:
    """A Data Package of one format, written by the Flow that is measured, anew when its code has changed."""
    digest = hashlib.sha256(path.name.encode())
    for file in sorted((ROOT / "flow_singer").rglob("*.py")):
        digest.update(file.read_bytes())
    name = f"{path.stem.rpartition('-')[0]}-package-{kind}"
    folder = path.parent / f"{name}-{digest.hexdigest()[:8]}"
    if not folder.exists():
        print(f"data: {name}", file=sys.stderr, flush=True)
        for outdated in path.parent.glob(f"{name}-{'?' * 8}"):
            shutil.rmtree(outdated)
        with path.open("rb") as messages:
            subprocess.run(
                [WORK / "venvs" / "flow" / "bin" / "flow", "load", f"{folder}/", "--format", kind],
                stdin=messages,
                stderr=subprocess.DEVNULL,
                check=True,
            )
    return folder


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
