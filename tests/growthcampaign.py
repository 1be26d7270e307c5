"""Kills runs that add to a Data Package, again and again: `python tests/growthcampaign.py --kills 100 --seed N`.

A tap brings some more rows in each run (`flow run TAP out/ --write-mode append|upsert`, or the shell pipe), and is
killed: one of its processes, or all of them, at a random moment or the very moment at which the package is being
changed. While it goes on and after each run,

- a reader sees a whole package: its files are what the descriptor says;
- its rows are those up to its bookmark, each of them once.

At the end a run that nobody kills has everything, and nothing is left beside the package. A fault is told with its
seed.
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

sys.path.insert(0, str(Path(__file__).parent))

from campaignprocesses import PATIENCE_S, Fault, members_of, start_round, wait_until_gone, watched
from projects import write_project

from flow_singer.reading.source import open_source


@dataclass
class Round:
    """One package, from nothing until it has all rows."""

    seed: int
    root: Path
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.mark = uuid.uuid4().hex
        self.mode = self.chance.choice(["append", "append", "upsert"])
        self.form = self.chance.choice(["csv", "csv.gz", "jsonl", "parquet", "xlsx"])
        self.place = self.chance.choice(["out/", "out/", "out/", "out.zip"])
        self.supervised = self.chance.random() < 0.5
        self.count = 0
        (self.root / "tmp").mkdir()
        (self.root / "bin").mkdir()
        flow = self.root / "bin" / "flow"
        flow.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m flow_singer "$@"\n')
        flow.chmod(0o755)

    def __str__(self) -> str:
        how = "supervised" if self.supervised else "pipe"
        return f"seed {self.seed}: {how}, {self.mode}, {self.form}, {self.place}"

    def run(self, kills: int) -> None:
        """Kill so many runs, then let one end.

        Raises:
            Fault: a package was not whole, a row was lost or came twice, or something is left.
        """
        for _ in range(kills):
            self._more()
            self._run_once(kill=True)
        self._more()
        if code := self._run_once(kill=False):
            raise Fault(f"the run that nobody killed ended with {code}: {self._stderr()}")
        if (rows := self._ids()) != [*range(1, self.count + 1)]:
            raise Fault(f"in the end there are {len(rows)} rows instead of {self.count}")
        beside = {".meltano", "bin", "meltano.yml", "stderr", "tmp", "cache", self.place.rstrip("/")}
        if left := sorted(set(os.listdir(self.root)) - beside):
            raise Fault(f"left behind: {', '.join(left)}")
        if self.place == "out/":
            there = {
                path.relative_to(self.root / "out").as_posix() for path in (self.root / "out/data").iterdir()
            }
            if there != {path for path, _, _ in self._parts(self._descriptor())}:
                raise Fault(f"files that no descriptor names: {sorted(there)}")

    def _more(self) -> None:
        self.count += self.chance.randrange(1, 400)
        tap = {"script": "counts.py", "config": {"count": self.count, "every": 1}}
        write_project(self.root, taps={"tap-x": tap})

    @property
    def _script(self) -> str:
        options = f"--write-mode {self.mode}"
        if not (self.root / self.place).exists():
            options += f" --format {self.form}"
        if self.supervised:
            return f"exec flow run tap-x {self.place} {options}"
        return f"flow run tap-x --to {self.place} | flow load {self.place} {options}; exit $?"

    def _run_once(self, *, kill: bool) -> int:
        with (
            open(self.root / "stderr", "wb") as stderr,
            watched(self._look, every_s=0.002),
        ):
            process = start_round(self._script, self.root, self.mark, stderr.fileno())
            if kill:
                self._kill(process)
            try:
                code = process.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                raise Fault("it hangs") from None
            wait_until_gone(self.mark, _words)
        if "fault in Flow" in (said := self._stderr()) or "Internal error" in said:
            raise Fault(f"a fault in Flow:\n{said}")
        self._check()
        return code

    def _kill(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for a moment of some kind, then kill one process, or all."""
        moment = self.chance.choice(["any", "built", "changed", "changed"])
        if moment == "any":
            time.sleep(2.5 * self.chance.random())
        else:
            self._wait_for_moment(process, moment)
        if self.chance.random() < 0.5:
            time.sleep(0.05 * self.chance.random() ** 2)
        whole = self.chance.random() < 0.4
        members = sorted(members_of(self.mark), key=lambda one: one.create_time())
        loads = [one for one in members if "load" in _words(one)]
        if whole or not members:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        else:
            victim = self.chance.choice(loads if loads and moment != "any" else members)
            with contextlib.suppress(psutil.Error):
                victim.kill()
        self.done[f"{moment}, {'all' if whole else 'one'}"] += 1

    def _wait_for_moment(self, process: subprocess.Popen[bytes], moment: str) -> None:
        """Wait until a run writes beside the package, or owns its place a second time, to change it."""
        was_built = False
        while process.poll() is None:
            names = os.listdir(self.root)
            was_built = was_built or any(".partial-" in name and ".lock" not in name for name in names)
            if moment == "built" and was_built:
                return
            if was_built and (".out.growing" in names or f".{self.place.rstrip('/')}.lock" in names):
                return

    def _stderr(self) -> str:
        return (self.root / "stderr").read_text(errors="replace")

    # --------------------------------------------------------------------------------- what must hold

    def _descriptor(self) -> dict[str, Any]:
        return dict(json.loads((self.root / "out/datapackage.json").read_bytes()))

    def _parts(self, descriptor: dict[str, Any]) -> list[tuple[str, str, int]]:
        (resource,) = descriptor["resources"]
        parts = resource.get("flow:parts") or [{**resource, "rows": resource["flow:records"]}]
        return [(one["path"], one["hash"], one["rows"]) for one in parts]

    def _look(self) -> None:
        """Read the package as it is at this moment."""
        if self.place != "out/":
            if (self.root / self.place).exists():
                self._check_rows(self._ids())
            return
        while (self.root / "out").exists():
            before = self._descriptor()
            try:
                rows = 0
                for path, digest, count in self._parts(before):
                    data = (self.root / "out" / path).read_bytes()
                    if f"sha256:{hashlib.sha256(data).hexdigest()}" != digest:
                        raise Fault(f"{path} is not what the descriptor says")
                    rows += count
            except FileNotFoundError:
                if self._descriptor() == before:
                    raise
                continue  # its rows are in another file now
            if rows != _bookmarked(before):
                raise Fault(f"{rows} rows, and the bookmark is at {_bookmarked(before)}")
            return

    def _ids(self) -> list[int]:
        def refuse(text: str) -> None:
            raise Fault(text)

        with open_source(self.root / self.place, notice=refuse) as source:
            return [
                row
                for batch in source.stream("s").batches()
                for row in batch.columns["id"].values.to_pylist()
            ]

    def _check(self) -> None:
        if (self.root / self.place).exists():
            self._check_rows(self._ids())

    def _check_rows(self, rows: list[int]) -> None:
        if rows != [*range(1, len(rows) + 1)]:
            twice = [row for row, count in Counter(rows).items() if count > 1]
            missing = sorted(set(range(1, max(rows, default=0) + 1)) - set(rows))
            raise Fault(f"rows that are missing: {missing[:5]}; that are there twice: {twice[:5]}")
        if self.place == "out/" and _bookmarked(self._descriptor()) != len(rows):
            raise Fault(f"{len(rows)} rows, and the bookmark is elsewhere")


def _bookmarked(descriptor: dict[str, Any]) -> int:
    (value,) = descriptor.get("flow:state", {"": {"bookmarks": {"s": {"id": 0}}}}).values()
    return int(value["bookmarks"]["s"]["id"])


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def campaign(*, kills: int, first_seed: int, tell: Callable[[str], None], per_round: int = 8) -> int:
    """Run rounds until enough was killed, and return how many had a fault."""
    done: Counter[str] = Counter()
    faults, seed = 0, first_seed
    while done.total() < kills:
        with tempfile.TemporaryDirectory(prefix="flow-growth-", ignore_cleanup_errors=True) as folder:
            one = Round(seed, Path(folder))
            try:
                one.run(min(per_round, kills - done.total()))
            except Fault as fault:
                faults += 1
                tell(f"FAULT {one}\n      {fault}")
            done += one.done
            tell(f"{one}: {one.count} rows, {one.done.total()} kills")
        seed += 1
    for what, count in sorted(done.items()):
        tell(f"  {count:5} {what}")
    tell(
        f"{done.total()} kills in {seed - first_seed} rounds (seeds {first_seed} to {seed - 1}), {faults} faults"
    )
    return faults


def main() -> int:
    """Read the options, and run."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return campaign(kills=options.kills, first_seed=options.seed, tell=lambda text: print(text, flush=True))


if __name__ == "__main__":
    sys.exit(1 if main() else 0)
