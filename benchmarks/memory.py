"""The memory of several processes together, looked at from outside while they run."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

INTERVAL_S = 0.05
_PROC = Path("/proc")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class TotalMemory:
    """Looks at the processes and their descendants twenty times a second; Linux only.

    The sum is of resident pages, so that what two processes share (libraries, pages from before a fork) counts
    twice. Files in memory without a name (memfd) count once: no process's own size contains them, and Flow's two
    processes exchange their data in such. A peak between two looks is not seen.

    Args:
        mark: a file that one of them makes; what they took until then is kept apart.
    """

    def __init__(self, mark: Path | None = None) -> None:
        self._peak_bytes = 0
        self._marked_bytes = 0
        self._marked_largest_bytes = 0
        self._mark = mark
        self._pids: list[int] = []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def add(self, pid: int) -> None:
        """Look at this process, too."""
        self._pids.append(pid)

    @property
    def peak_mb(self) -> float | None:
        """The largest sum; None where the system does not tell, or all was over before the first look."""
        return self._peak_bytes / 1e6 or None

    @property
    def marked_mb(self) -> float | None:
        """The largest sum until the mark was made."""
        return self._marked_bytes / 1e6 or None

    @property
    def marked_largest_mb(self) -> float | None:
        """The peak of the largest single process until the mark was made."""
        return self._marked_largest_bytes / 1e6 or None

    def __enter__(self) -> TotalMemory:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._is_over.wait(INTERVAL_S):
            if self._mark is not None and self._mark.exists():  # before the look: later memory does not count
                self._mark = None
            size = size_bytes(self._pids)
            self._peak_bytes = max(self._peak_bytes, size)
            if self._mark is not None:
                self._marked_bytes = max(self._marked_bytes, size)
                peaks = map(_own_peak_bytes, _with_descendants(self._pids))
                self._marked_largest_bytes = max(self._marked_largest_bytes, *peaks, 0)


def size_bytes(pids: list[int]) -> int:
    """Resident bytes of the processes and of their descendants, and of their files in memory."""
    files: dict[int, int] = {}
    total = 0
    for pid in _with_descendants(pids):
        with contextlib.suppress(OSError, IndexError):  # it may end at any moment
            total += int((_PROC / str(pid) / "statm").read_text().split()[1]) * _PAGE_BYTES
            files.update(_files_in_memory(pid))
    return total + sum(files.values())


def _own_peak_bytes(pid: int) -> int:
    """The most resident bytes that a process has had since its program started; 0 where it is over."""
    with contextlib.suppress(OSError):
        for line in (_PROC / str(pid) / "status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return 0


def _with_descendants(pids: list[int]) -> Iterator[int]:
    waiting = list(pids)
    while waiting:
        pid = waiting.pop()
        yield pid
        with contextlib.suppress(OSError):
            for thread in (_PROC / str(pid) / "task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())


def _files_in_memory(pid: int) -> Iterator[tuple[int, int]]:
    """Inode and bytes of each."""
    for descriptor in (_PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(descriptor).startswith("/memfd:"):
                found = descriptor.stat()
                yield found.st_ino, found.st_blocks * 512
