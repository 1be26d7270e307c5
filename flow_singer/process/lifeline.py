"""Child processes that end with Flow, even where Flow is killed with SIGKILL; and their own children.

Source: Linux, prctl(2): PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER; proc(5): /proc/PID/task/TID/children.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def _die_with_parent() -> None:
    """Runs in the child, between fork and exec."""
    _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


if sys.platform == "linux":
    _libc()  # loaded before any fork: a forked child must not import

die_with_parent: Callable[[], None] | None = _die_with_parent if sys.platform == "linux" else None
"""For `subprocess.Popen(preexec_fn=...)`: the kernel ends the child when Flow ends. None where there is no
such kernel."""


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent ends, so that `descendants` finds it."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants(pid: int, *, without: Collection[int] = ()) -> set[int]:
    """The children of a process, theirs, and so on; empty where the kernel does not tell.

    Args:
        pid: of the process.
        without: children that are left out, with all of theirs.
    """
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in _children(waiting.pop()):
            if child not in found and child not in without:
                found.add(child)
                waiting.append(child)
    return found


def _children(pid: int) -> list[int]:
    children: list[int] = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # ended meanwhile
            children += map(int, file.read_text().split())
    return children


def end_descendants(*, without: Collection[int]) -> None:
    """End every descendant of this process with SIGKILL, and wait for those that became its children.

    Args:
        without: children that stay, with all of theirs.
    """
    deadline = time.monotonic() + _MOST_S
    while (found := descendants(os.getpid(), without=without)) and time.monotonic() < deadline:
        for pid in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in found:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.005)  # the kernel needs a moment, and one that is ending may just have started another


_MOST_S = 5.0
