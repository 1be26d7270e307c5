"""Run one case once, in an empty folder; count what it wrote; say on what machine and with what versions."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import environments
import files
import values
from cases import ROOT, SCRIPTS, WORK, Case
from measure import CommandError, Sample, measure
from peers import DLT, ENVIRONMENTS, FLOW

RUN_FOLDER = WORK / "run"
LIMIT_S = 3600.0
CORES = 2

_COUNT_PARQUET = (
    "import sys, pyarrow.parquet as p; print(sum(p.read_metadata(f).num_rows for f in sys.argv[1:]))"
)


def use_two_cores() -> None:
    """Keep this process and all that it starts on two cores: the goals are stated for so many."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])


def make_environments(names: Iterable[str]) -> dict[str, str]:
    """Make them; returns why, for each that could not be made."""
    wanted = set(names)
    problems: dict[str, str] = {}
    for environment in ENVIRONMENTS:
        if environment.name in wanted:
            note(f"environment: {environment.name}")
            try:
                environments.prepare(environment, WORK / "venvs" / environment.name)
            except environments.SetUpError as exc:
                problems[environment.name] = str(exc)
    return problems


def run(case: Case, path: Path, stdout: Path | None = None) -> Sample:
    """Run one case once on the messages in `path`, in a new empty folder that stays until the next run.

    Args:
        case: what is run.
        path: the messages.
        stdout: where its records are to be looked at; without it nothing is.

    Raises:
        CommandError: it failed.
    """
    shutil.rmtree(RUN_FOLDER, ignore_errors=True)
    RUN_FOLDER.mkdir(parents=True)
    for name, text in case.files.items():
        (RUN_FOLDER / name).write_text(text)
    files.place(case, path, RUN_FOLDER)
    folders = [WORK / "venvs" / case.environment / "bin"] if case.environment else []
    home = WORK / "home"
    home.mkdir(exist_ok=True)
    environ = environments.clean_environ(home, *folders)
    stages = list(case.stages)
    if stdout is not None:
        stages[-1] += case.shown
    try:
        return measure(
            [
                (shutil.which(executable, path=environ["PATH"]) or executable, *arguments)
                for executable, *arguments in stages
            ],
            stdin=path if case.input == "messages" else Path(os.devnull),
            stdout=stdout or Path(os.devnull),
            cwd=RUN_FOLDER,
            env=environ,
            limit_s=LIMIT_S,
            until=RUN_FOLDER / case.until if case.until else None,
            mark=RUN_FOLDER / case.mark if case.mark else None,
        )
    except CommandError as exc:  # paths of this machine stay out of the results
        text = str(exc).replace(f"file://{ROOT}", ".").replace(str(ROOT), ".").replace(str(Path.home()), "~")
        raise CommandError(text) from exc


def check(case: Case, path: Path, records: int) -> None:
    """Run a case once, untimed, and look at what it wrote: a command that does nothing must not look fast.

    Raises:
        CommandError: it failed, wrote another number of records than it should, or other values in them.
    """
    stdout = WORK / "stdout"
    run(case, path, stdout)
    if case.output is None:
        return
    wanted, written = round(records * case.kept), _count(case, stdout)
    if written != wanted:
        raise CommandError(f"wrote {written:,} records, not {wanted:,}")
    if case.added is not None and _comments(stdout) != [
        number if number is None else number + case.added for number in _comments(path)
    ]:
        raise CommandError(f"did not add {case.added} to each 'comments'")
    if case.compared:
        found = values.first_difference(stdout, path, exactly=case.compared == "exactly")
        if found:
            raise CommandError(found)


def _comments(path: Path) -> list[int | None]:
    with path.open("rb") as lines:
        found = map(json.loads, lines)
        return [message["record"]["comments"] for message in found if message["type"] == "RECORD"]


def _count(case: Case, stdout: Path) -> int:
    """Number of records that the last run wrote."""
    if case.output == "stdout":
        with stdout.open("rb") as lines:
            return sum(json.loads(line).get("type") == "RECORD" for line in lines)
    if case.output == "lines":
        with stdout.open("rb") as lines:
            return sum(1 for _ in lines)
    found = sorted(
        path for path in RUN_FOLDER.rglob(case.counted or f"*.{case.output}") if not path.is_symlink()
    )
    if case.output == "parquet":  # pyarrow is sure to be where Flow is
        return _number_from(FLOW, "-c", _COUNT_PARQUET, *found)
    if case.output == "duckdb":
        return sum(_number_from(DLT, SCRIPTS / "duckdb_count.py", path, "data.issues") for path in found)
    count = 0
    for path in found:
        with path.open(newline="", encoding="utf-8") as text:
            count += sum(1 for _ in csv.DictReader(text)) if case.output == "csv" else sum(1 for _ in text)
    return count


def _number_from(environment: str, *arguments: str | Path) -> int:
    python = WORK / "venvs" / environment / "bin" / "python"
    done = subprocess.run([python, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise CommandError(f"what it wrote cannot be counted: {done.stderr.strip().rpartition(chr(10))[2]}")
    return int(done.stdout)


def about(names: Iterable[str]) -> dict[str, Any]:
    """What was measured, where, and with which versions in the environments of these names."""
    folders = [WORK / "venvs" / name for name in sorted(names)]
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "flow": _git("describe", "--always", "--dirty") or "without git",
        "machine": f"{_processor()}, {_cores()} CPUs, {platform.system()}",
        "python": platform.python_version(),
        "load_before": f"{os.getloadavg()[0]:.1f}",
        "load_after": "",
        "versions": {folder.name: environments.versions(folder) for folder in folders if folder.exists()},
    }


def note(text: str) -> None:
    """Tell what is going on."""
    print(text, file=sys.stderr, flush=True)


def _cores() -> str:
    total = os.cpu_count() or 1
    used = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else total
    return str(total) if used == total else f"{used} of {total}"


def _processor() -> str:
    with contextlib.suppress(FileNotFoundError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _git(*arguments: str) -> str:
    with contextlib.suppress(FileNotFoundError):
        done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
        return done.stdout.strip()
    return ""
