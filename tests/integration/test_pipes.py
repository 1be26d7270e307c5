"""Pipes of a shell without `pipefail`, each of whose processes is killed with SIGKILL at several moments.

Moments are met by FIFOs: the tap halts at one before a record, the target tells of each STATE on another.
"""

from __future__ import annotations

import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import fifos
import psutil
import pytest
from command import Command
from projects import write_project
from streams import BOOKMARK, bookmark, bookmarked_id, ids

from flow_singer.state.systemdb import SqliteStore

MARK = "PIPE_TEST"
PIPE = "flow run tap-x | flow transform --batch-records 2 --max-age 0.05 t.py | flow load target-x"
RECORDS = 1_000
TRANSFORM = "def s(df):\n    return df\n"

WHO = {
    "tap": "counts.py",
    "flow run": "flow_singer run",
    "flow transform": "flow_singer transform",
    "flow load": "flow_singer load",
    "target": "durable.py",
}
CODES = {"tap": 75, "flow run": 75, "flow transform": 75, "flow load": 137, "target": 70}


class Pipe:
    """The three stages between a tap that halts and a target that tells."""

    def __init__(self, command: Command, root: Path, *, halt: int | None) -> None:
        self.command, self.root = command, root
        self.mark = uuid.uuid4().hex
        self.rows = root / "rows"
        self.gate, self.tell = root / "gate", root / "tell"
        fifos.make(self.gate)
        fifos.make(self.tell)
        self.write(halt=halt, tell=True)
        (root / "t.py").write_text(TRANSFORM)

    def write(self, *, halt: int | None, tell: bool) -> None:
        # more than all pipes hold: in full flow the tap is still at work when the target tells of its first STATE
        tap = {
            "count": RECORDS,
            "width": 10_000,
            "every": 2,
            "gate": str(self.gate),
            **({} if halt is None else {"halt": halt}),
        }
        target = {"rows": str(self.rows), **({"tell": str(self.tell)} if tell else {})}
        write_project(
            self.root,
            taps={"tap-x": {"script": "counts.py", "config": tap}},
            targets={"target-x": {"script": "durable.py", "config": target}},
        )

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "--noprofile", "--norc", "-c", PIPE + "; exit $?"],
            cwd=self.root,
            env={**self.command.env, MARK: self.mark},
            stderr=subprocess.PIPE,
        )

    def members(self) -> Iterator[psutil.Process]:
        """Every process that this pipe started and that still runs."""
        for process in psutil.process_iter():
            try:
                running = process.status() != psutil.STATUS_ZOMBIE
                if running and process.environ().get(MARK) == self.mark:
                    yield process
            except psutil.Error:
                continue

    def find(self, who: str) -> psutil.Process:
        """Wait until this process of the pipe is there."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for process in self.members():
                try:
                    words = " ".join(process.cmdline())
                except psutil.Error:
                    continue
                if WHO[who] in words and not words.startswith(("bash", "/bin/sh")):
                    return process
        raise TimeoutError(who)

    def check(self, done: subprocess.Popen[bytes], victim: str) -> None:
        """What holds after every death."""
        _, stderr = done.communicate(timeout=90)
        assert done.returncode == CODES[victim], stderr.decode()
        assert b"Traceback" not in stderr, stderr.decode()
        _, alive = psutil.wait_procs(list(self.members()), timeout=30)
        assert alive == []
        held = ids(self.rows)
        assert bookmarked_id(self.root) <= len(held)
        assert held == list(range(1, len(held) + 1))
        assert not list(self.root.rglob("*.tmp"))

    def resume(self) -> None:
        """The next run loads the rest: nothing is missing, and no more than the last interval comes twice."""
        bookmarked, held = bookmarked_id(self.root), len(ids(self.rows))
        self.write(halt=None, tell=False)
        again = self.command.shell(PIPE.replace("--batch-records 2", ""), self.root)
        assert again.code == 0, again.stderr
        assert ids(self.rows) == [*range(1, held + 1), *range(bookmarked + 1, RECORDS + 1)]
        assert bookmarked_id(self.root) == RECORDS


@pytest.mark.parametrize("victim", ["tap", "flow run", "flow transform", "flow load"])
def test_a_stage_killed_before_its_first_message(tmp_path: Path, command: Command, victim: str) -> None:
    pipe = Pipe(command, tmp_path, halt=0)
    done = pipe.start()
    pipe.find("tap")
    pipe.find(victim).kill()
    if victim in ("flow transform", "flow load"):
        # a tap that says nothing does not learn of it; flow run does where its first line is still to come
        fifos.release(pipe.gate, done)
    pipe.check(done, victim)
    assert bookmark(tmp_path) is None
    assert ids(pipe.rows) == []


@pytest.mark.parametrize("victim", list(WHO))
def test_a_stage_killed_while_the_tap_waits_for_its_source(
    tmp_path: Path, command: Command, victim: str
) -> None:
    pipe = Pipe(command, tmp_path, halt=101)
    done = pipe.start()
    with fifos.listen(pipe.tell, done) as told:
        assert any('"id": 100' in line for line in iter(told.readline, ""))
        pipe.find(victim).kill()
        pipe.check(done, victim)
    assert len(ids(pipe.rows)) == 100
    if victim == "flow transform":
        pipe.resume()


@pytest.mark.parametrize("victim", list(WHO))
def test_a_stage_killed_in_full_flow(tmp_path: Path, command: Command, victim: str) -> None:
    pipe = Pipe(command, tmp_path, halt=None)
    done = pipe.start()
    with fifos.listen(pipe.tell, done) as told:
        process = pipe.find(victim)
        for _ in range(20):
            told.readline()
        drain = threading.Thread(target=told.read, daemon=True)  # else the target would wait for us
        drain.start()
        process.kill()
        pipe.check(done, victim)
        drain.join()
    if victim in ("target", "flow load"):
        pipe.resume()


def test_a_pipe_that_dies_leaves_the_bookmark_of_the_run_before(tmp_path: Path, command: Command) -> None:
    pipe = Pipe(command, tmp_path, halt=0)
    SqliteStore(tmp_path / ".meltano" / "meltano.db").set(BOOKMARK, b'{"bookmarks":{"s":{"id":7}}}')
    done = pipe.start()
    pipe.find("tap").kill()
    pipe.rows.write_text("".join(f'{{"id": {number}}}\n' for number in range(1, 8)))
    pipe.check(done, "tap")
    assert bookmarked_id(tmp_path) == 7


def test_a_reader_behind_the_pipe_that_leaves_stops_every_stage(tmp_path: Path, command: Command) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "endless.py"}})
    (tmp_path / "t.py").write_text(TRANSFORM)
    script = "flow run tap-x | flow transform t.py | head -c 1000 >&2; echo ${PIPESTATUS[@]}"
    result = command.shell(script)
    assert result.stdout == b"141 141 0\n"
    assert "Traceback" not in result.stderr
