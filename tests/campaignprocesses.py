"""The processes of one round of a campaign: started in a group of their own, told by a mark, and gone at the end."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

MARK = "FLOW_TEST_CAMPAIGN"
PATIENCE_S = 90.0


class Fault(Exception):
    """Something that must never be."""


def start_round(script: str, root: Path, mark: str, stderr: int) -> subprocess.Popen[bytes]:
    """Start a line of shell in the folder of a round, with its own `bin`, `tmp` and `cache`.

    Args:
        script: the line.
        root: the folder.
        mark: what all processes of the round have in their environment.
        stderr: file descriptor that gets what they say.
    """
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("FLOW_", "MELTANO"))}
    environ |= {
        "PATH": f"{root / 'bin'}:{environ['PATH']}",
        "TMPDIR": str(root / "tmp"),
        "XDG_CACHE_HOME": str(root / "cache"),
        MARK: mark,
    }
    return subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-c", script],
        cwd=root,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=stderr,
        start_new_session=True,
    )


def members_of(mark: str) -> Iterator[psutil.Process]:
    """Every process with that mark that runs."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            running = process.status() != psutil.STATUS_ZOMBIE
            if running and process.environ().get(MARK) == mark:
                yield process


def wait_until_gone(mark: str, name: Callable[[psutil.Process], object]) -> None:
    """Wait until no process with that mark runs.

    Args:
        mark: of the round.
        name: says what a process is.

    Raises:
        Fault: one is left; it is killed.
    """
    deadline = time.monotonic() + 30
    while left := list(members_of(mark)):
        if time.monotonic() > deadline:
            names = [str(name(one)) for one in left]
            for one in left:
                one.kill()
            raise Fault(f"left behind: {', '.join(names)}")
        time.sleep(0.02)


@contextlib.contextmanager
def watched(look: Callable[[], None], every_s: float) -> Iterator[None]:
    """Look at what is published while the block lasts.

    Raises:
        Fault: it was not whole at some moment.
    """
    faults: list[BaseException] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every_s) and not faults:
            try:
                look()
            except BaseException as fault:  # told by the thread that can end the round
                faults.append(fault)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
    if faults:
        raise faults[0] if isinstance(faults[0], Fault) else Fault(f"a reader saw: {faults[0]!r}")
