"""Stops processes of pipelines at random, again and again: `python tests/campaign.py --kills 1000 --seed N`.

A round is a pipeline (a shell pipe or a supervised run; with or without a transform; into a package, target-csv,
target-jsonl or target-postgres) that is disturbed a few times, each time at a random moment: SIGKILL, SIGTERM,
SIGINT, SIGHUP or SIGSTOP for one of its processes or for its whole group. Then it runs until it is done. After
each run, and while it goes on:

- what is published is whole: a reader looks all the while;
- a run that ends with 0 has loaded everything, and every other exit code is a documented one;
- the bookmark is at no record that is not safe in the target;
- no process is left, and at the end no file.

A fault is told with its seed; `--seed N --rounds 1` tries it again. target-jsonl and target-postgres take part
where `--connectors DIR` has them (as `tests/connectors` installs them), the latter with PostgreSQL on this machine.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from campaignprocesses import PATIENCE_S, Fault, members_of, start_round, wait_until_gone, watched
from projects import write_project
from streams import bookmarked_id

SIGNALS = ("SIGKILL", "SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGSTOP")
DOCUMENTED = {0, 69, 70, 75, 130, 141, 143}
BY_SIGNAL = {128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)}
TRANSFORMS = {
    "": "",
    "frame": "def s(df):\n    return df.assign(size=df['text'].str.len())\n",
    "rows": "def s(row):\n    return {**row, 'size': len(row['text'])}\n",
}


# ------------------------------------------------------------------------------------------- targets


class Sink:
    """Where a pipeline loads to.

    Attributes:
        word: as on the command line.
        resumes: whether the next run brings only what is new.
    """

    word = ""
    resumes = True

    def __init__(self, root: Path, count: int) -> None:
        self.root = root
        self.count = count

    def targets(self) -> dict[str, dict[str, Any]]:
        """Its entry in meltano.yml."""
        return {}

    def look(self) -> None:
        """Check what is published, at any moment."""

    def safe_ids(self) -> list[int]:
        """The ids of every record that is safe, in their order; no pipeline runs."""
        raise NotImplementedError

    def check_complete(self) -> None:
        """Everything must be there."""
        found = self.safe_ids()
        if set(found) != set(range(1, self.count + 1)):
            missing = sorted(set(range(1, self.count + 1)) - set(found))
            raise Fault(f"{len(missing)} of {self.count} records are missing, the first is {missing[:1]}")

    def close(self) -> None:
        """Remove what lies outside the folder."""


class Package(Sink):
    """A Data Package by `flow load out/`."""

    word = "out/"
    resumes = False

    def look(self) -> None:
        try:
            folder = os.open(self.root / "out", os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            return
        try:
            descriptor = json.loads(_read_at(folder, "datapackage.json"))
            (resource,) = descriptor["resources"]
            data = _read_at(folder, resource["path"])
        except FileNotFoundError:
            return  # replaced, and removed while we read
        finally:
            os.close(folder)
        if resource["hash"].removeprefix("sha256:") != hashlib.sha256(data).hexdigest():
            raise Fault("a package's file is not the one that its descriptor tells of")
        if (rows := data.count(b"\n") - 1) != self.count:
            raise Fault(f"a package with {rows} of {self.count} rows was published")

    def safe_ids(self) -> list[int]:
        self.look()
        file = self.root / "out" / "data" / "s.csv"
        return _csv_ids(file.read_bytes()) if file.exists() else []


class TargetPackage(Package):
    """A Data Package by the bundled target."""

    word = "target-datapackage"

    def targets(self) -> dict[str, dict[str, Any]]:
        return {"target-datapackage": {"config": {"path": "out"}}}


class CsvReplace(Sink):
    """target-csv, whose file is replaced."""

    word = "target-csv"
    resumes = False

    def targets(self) -> dict[str, dict[str, Any]]:
        return {"target-csv": {"config": {"output_path": "out", "overwrite_behavior": "replace"}}}

    def look(self) -> None:
        found = self.safe_ids()
        if found and found != list(range(1, self.count + 1)):
            raise Fault(f"a CSV file with {len(found)} of {self.count} rows was published")

    def safe_ids(self) -> list[int]:
        file = self.root / "out" / "s.csv"
        try:
            return _csv_ids(file.read_bytes())
        except FileNotFoundError:
            return []


class CsvAppend(Sink):
    """target-csv, whose file is appended to: committed is what its length beside says, or all of it."""

    word = "target-csv"

    def targets(self) -> dict[str, dict[str, Any]]:
        return {"target-csv": {"config": {"output_path": "out"}}}

    def look(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            text = (self.root / "out" / ".s.csv.committed").read_text().split()
            if text:
                data = (self.root / "out" / "s.csv").read_bytes()[: int(text[0])]
                _csv_ids(data)

    def safe_ids(self) -> list[int]:
        file = self.root / "out" / "s.csv"
        if not file.exists():
            return []
        data = file.read_bytes()
        with contextlib.suppress(FileNotFoundError):
            text = (self.root / "out" / ".s.csv.committed").read_text().split()
            data = data[: int(text[0])] if text else data
        return _csv_ids(data)


class Jsonl(Sink):
    """target-jsonl, which may itself be killed in the middle of a line: that line comes again."""

    word = "target-jsonl"
    program: Path

    def targets(self) -> dict[str, dict[str, Any]]:
        config = {"destination_path": "out", "do_timestamp_file": False}
        (self.root / "out").mkdir(exist_ok=True)
        return {"target-jsonl": {"executable": str(self.program), "config": config}}

    def safe_ids(self) -> list[int]:
        file = self.root / "out" / "s.jsonl"
        if not file.exists():
            return []
        found = []
        for line in file.read_bytes().split(b"\n"):
            with contextlib.suppress(ValueError):
                found.append(json.loads(line)["id"])
        return found


class Postgres(Sink):
    """target-postgres, which merges by key."""

    word = "target-postgres"
    program: Path

    def __init__(self, root: Path, count: int) -> None:
        super().__init__(root, count)
        self._schema = f"campaign_{uuid.uuid4().hex[:12]}"

    def targets(self) -> dict[str, dict[str, Any]]:
        config = {
            "host": "127.0.0.1",
            "port": 5432,
            "user": "postgres",
            "password": "postgres",
            "database": "test",
            "default_target_schema": self._schema,
        }
        return {"target-postgres": {"executable": str(self.program), "config": config}}

    def safe_ids(self) -> list[int]:
        text = _psql(f"SELECT id FROM {self._schema}.s ORDER BY id", missing="")
        return [int(word) for word in text.split()]

    def close(self) -> None:
        _psql(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE")


def _psql(query: str, *, missing: str | None = None) -> str:
    command = ["psql", "-h", "127.0.0.1", "-U", "postgres", "-qAtc", query, "test"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and missing is not None and "does not exist" in done.stderr:
        return missing
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def _read_at(folder: int, path: str) -> bytes:
    with os.fdopen(os.open(path, os.O_RDONLY, dir_fd=folder), "rb") as file:
        return file.read()


def _csv_ids(data: bytes) -> list[int]:
    """The ids of a CSV file, all of whose rows must be whole."""
    if not data:
        return []
    header, *rows, rest = data.split(b"\r\n")
    if rest or (rows and not header.startswith(b"id,text")):
        raise Fault(f"a torn row: {rest[:80]!r}")
    found = []
    for row in rows:
        if not row[:1].isdigit() or row.count(b",") != header.count(b","):
            raise Fault(f"a torn row: {row[:80]!r}")
        found.append(int(row.split(b",")[0]))
    return found


# ------------------------------------------------------------------------------------------- one run


@dataclass
class Plan:
    """What one round does; all of it follows from its seed."""

    seed: int
    sink: type[Sink]
    supervised: bool
    transform: str
    count: int
    width: int
    every: int
    disturbances: int

    @classmethod
    def of(cls, seed: int, sinks: list[type[Sink]]) -> Plan:
        chance = random.Random(seed)
        wide = chance.random() < 0.15  # more than makes a stage start its second decoder
        return cls(
            seed,
            chance.choice(sinks),
            chance.random() < 0.5,
            chance.choice(list(TRANSFORMS)),
            count=2_000 if wide else chance.choice([200, 2_000]),
            width=20_000 if wide else 20,
            every=chance.choice([7, 100]),
            disturbances=chance.choice([3, 5, 7]),
        )

    def __str__(self) -> str:
        words = [
            "supervised" if self.supervised else "pipe",
            self.sink.__name__,
            self.transform or "no transform",
        ]
        return f"seed {self.seed}: {', '.join(words)}, {self.count} records of {self.width} characters"


@dataclass
class Round:
    """One pipeline, from its first disturbance until it is done."""

    plan: Plan
    root: Path
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.sink = self.plan.sink(self.root, self.plan.count)
        self.mark = uuid.uuid4().hex
        (self.root / "t.py").write_text(TRANSFORMS[self.plan.transform])
        (self.root / "bin").mkdir()
        (self.root / "tmp").mkdir()
        flow = self.root / "bin" / "flow"
        flow.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m flow_singer "$@"\n')
        flow.chmod(0o755)
        pace_s = self.plan.every / self.plan.count  # a second in all, so that a signal finds it at work
        tap = {"count": self.plan.count, "width": self.plan.width, "every": self.plan.every, "pace_s": pace_s}
        write_project(
            self.root, taps={"tap-x": {"script": "counts.py", "config": tap}}, targets=self.sink.targets()
        )

    @property
    def script(self) -> str:
        """The command line."""
        file = ["t.py"] if self.plan.transform else []
        if self.plan.supervised:
            return shlex.join(["exec", "flow", "run", "tap-x", *file, self.sink.word])
        middle = f"flow transform {file[0]} | " if file else ""
        to = "--full-refresh" if not self.sink.resumes else f"--to {self.sink.word}"
        return f"flow run tap-x {to} | {middle}flow load {self.sink.word}; exit $?"

    def run(self) -> None:
        """Disturb it a few times, then let it run until it is done.

        Raises:
            Fault: something was lost, torn, left behind or told wrongly.
        """
        try:
            for _ in range(self.plan.disturbances):
                self._run_once(disturbed=True)
            code = self._run_once(disturbed=False)
            if code:
                raise Fault(f"the undisturbed run at the end ended with {code}")
            self._check_leftovers()
        finally:
            self.sink.close()

    def _run_once(self, *, disturbed: bool) -> int:
        with open(self.root / "stderr", "wb") as stderr, watched(self.sink.look, every_s=0.005):
            process = start_round(self.script, self.root, self.mark, stderr.fileno())
            told = self._disturb(process) if disturbed else "undisturbed"
            try:
                code = process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                raise Fault(f"{told}: it hangs") from None
            self._check_processes(told)
        self._check(told, 128 - code if code < 0 else code)
        return code

    def _disturb(self, process: subprocess.Popen[bytes]) -> str:
        """Wait a random time, then send a random signal to a random process, or to all of them as Ctrl-C does."""
        if self.chance.random() < 0.7:  # else it may strike while the first process still starts
            role = "target" if self.sink.targets() and self.chance.random() < 0.5 else "tap"
            self._wait_for(role, process)
        time.sleep(self.chance.choice([0.1, 1.0]) * self.chance.random())
        name = self.chance.choice(SIGNALS)
        number = signal.Signals[name]
        if name != "SIGSTOP" and self.chance.random() < 0.2:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            self.done[f"{name} group"] += 1
            return f"{name} to the group"
        members = sorted(members_of(self.mark), key=lambda one: one.create_time())
        if not members:
            return "over before it was disturbed"
        victim = self.chance.choice(members)
        with contextlib.suppress(psutil.Error):
            role = _role(victim)
            victim.send_signal(number)
            self.done[f"{name} {role}"] += 1
            if name != "SIGSTOP":
                return f"{name} to {role}"
            time.sleep(self.chance.random())
            then = self.chance.choice(["SIGCONT", "SIGKILL"])
            victim.send_signal(signal.Signals[then])
            return f"SIGSTOP, {then} to {role}"
        return "its victim had ended"

    def _wait_for(self, role: str, process: subprocess.Popen[bytes]) -> None:
        """Wait until there is such a process, a few seconds at most: a package has no target."""
        deadline = time.monotonic() + 5
        while process.poll() is None and time.monotonic() < deadline:
            if any(_role(one) == role for one in members_of(self.mark)):
                return
            time.sleep(0.02)

    # --------------------------------------------------------------------------------- what must hold

    def _check(self, told: str, code: int) -> None:
        stderr = (self.root / "stderr").read_text(errors="replace")
        if "fault in Flow" in stderr or "Internal error" in stderr:
            raise Fault(f"{told}: a fault in Flow:\n{stderr}")
        if code == 1 and "Fatal Python error: init_import_site" in stderr:
            code = 128 + signal.SIGINT  # the interpreter was interrupted before the first line of Flow
        if code not in DOCUMENTED | BY_SIGNAL:
            raise Fault(f"{told}: exit code {code}:\n{stderr}")
        self.sink.look()
        found = self.sink.safe_ids()
        if self.sink.resumes:
            bookmarked = bookmarked_id(self.root, f"tap-x-to-{self.sink.word}")
            if missing := set(range(1, bookmarked + 1)) - set(found):
                raise Fault(
                    f"{told}: the bookmark is at {bookmarked}, but {len(missing)} records are missing"
                )
        if code == 0:
            try:
                self.sink.check_complete()
            except Fault as fault:
                raise Fault(f"{told}: exit code 0, but {fault}") from None

    def _check_processes(self, told: str) -> None:
        try:
            wait_until_gone(self.mark, _role)
        except Fault as fault:
            raise Fault(f"{told}: {fault}") from None

    def _check_leftovers(self) -> None:
        """What killed runs left goes with a later run, once nobody can be at work on it any more."""
        for path in [*self._leftovers()]:
            os.utime(path, (1, 1), follow_symlinks=False)
        if self._run_once(disturbed=False):
            raise Fault("the run after the last one failed")
        if left := [*self._leftovers()]:
            raise Fault(f"left behind: {', '.join(str(path.relative_to(self.root)) for path in left)}")

    def _leftovers(self) -> Iterator[Path]:
        for path in self.root.rglob("*"):
            name = path.name
            if ".tmp" in name or ".partial-" in name or name.startswith("flow-") or path.parent.name == "tmp":
                yield path


def _role(process: psutil.Process) -> str:
    """What a process is in its pipeline."""
    try:
        words = process.cmdline()
    except psutil.Error:
        return "a process"
    if "flow_singer" in words and {"run", "transform", "load"} & set(words):
        verbs = [word for word in words if word in ("run", "transform", "load")]
        files = sum(word.startswith(("tap-", "target-", "t.py", "out/")) for word in words)
        return (
            "supervisor"
            if verbs[:1] == ["run"] and files > 1 and "--to" not in words
            else f"flow {verbs[:1]}"
        )
    for part, role in (("counts.py", "tap"), ("target", "target"), ("worker", "decoder"), ("bash", "shell")):
        if part in " ".join(words):
            return role
    return " ".join(words)[-40:] or "a process"


# ----------------------------------------------------------------------------------------- campaign


def sinks_with(connectors: Path | None) -> list[type[Sink]]:
    """The targets that can take part."""
    sinks: list[type[Sink]] = [Package, TargetPackage, CsvReplace, CsvAppend]
    for sink in (Jsonl, Postgres):
        program = connectors / sink.word / "bin" / sink.word if connectors else None
        if program is not None and program.exists():
            sink.program = program
            sinks.append(sink)
    return sinks


def campaign(
    *, kills: int, first_seed: int, rounds: int | None, connectors: Path | None, tell: Callable[[str], None]
) -> int:
    """Run rounds until enough was disturbed, and return how many had a fault."""
    sinks = sinks_with(connectors)
    tell(f"targets: {', '.join(sink.__name__ for sink in sinks)}")
    done: Counter[str] = Counter()
    faults, seed = 0, first_seed
    while (rounds is None and done.total() < kills) or (rounds is not None and seed < first_seed + rounds):
        plan = Plan.of(seed, sinks)
        with tempfile.TemporaryDirectory(prefix="flow-campaign-", ignore_cleanup_errors=True) as folder:
            one = Round(plan, Path(folder), random.Random(seed + 1))
            try:
                one.run()
            except Fault as fault:
                faults += 1
                tell(f"FAULT {plan}\n      {one.script}\n      {fault}")
            done += one.done
        seed += 1
        if (seed - first_seed) % 25 == 0:
            tell(f"{done.total()} disturbances in {seed - first_seed} rounds, {faults} faults")
    for what, count in sorted(done.items()):
        tell(f"  {count:5} {what}")
    tell(
        f"{done.total()} disturbances in {seed - first_seed} rounds (seeds {first_seed} to {seed - 1}), {faults} faults"
    )
    return faults


def main() -> int:
    """Read the options, and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000, help="how much is disturbed in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, help="run so many rounds instead")
    parser.add_argument("--connectors", type=Path, help="folder with target-jsonl and target-postgres")
    options = parser.parse_args()
    return campaign(
        kills=options.kills,
        first_seed=options.seed,
        rounds=options.rounds,
        connectors=options.connectors,
        tell=lambda text: print(text, flush=True),
    )


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
