"""Who owns a file or a folder while it recovers, extends or replaces it: one process, until it ends.

The lock is a file beside, `.NAME.lock`, held with `flock`: the kernel releases it however its process ends. (A
process id in a file would not do: the system gives the ids of ended processes to new ones.) The owner removes
the file when it is done; one that a killed process left behind is taken over by the next.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import sys
import time
import weakref
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from flow_singer.errors import BusyError, ConfigError

_POLL_S = 0.05
_FIRST_WORD = "process "
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
"""What file systems without locks answer."""

_held: weakref.WeakSet[Lock] = weakref.WeakSet()


class Lock:
    """Ownership of what stands, or will stand, at one path.

    Args:
        path: what is owned; its folder must exist.

    Attributes:
        is_kept: False on a file system without locks, where nothing keeps other processes away.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_kept = True
        self.file = path.with_name(f".{path.name.removeprefix('.')}.lock")
        self._handle: int | None = None

    def acquire(self, *, wait_s: float = 0.0, notice: Callable[[str], None] | None = None) -> None:
        """Own the path until `release`, or until the process ends.

        Args:
            wait_s: how long to wait for another owner, in seconds.
            notice: told once of whom is waited for, and of a file system without locks.

        Raises:
            BusyError: another process owns it, named by its number and command.
            ConfigError: something else than a lock stands in its place.
            OSError: the lock's file cannot be made.
        """
        ends = time.monotonic() + wait_s
        told = False
        while not self._try(notice):
            if time.monotonic() >= ends:
                raise BusyError(
                    f"{self.path} is in use by {self._owner()}.",
                    "Wait until that run has ended and run again, or stop it.",
                )
            if notice is not None and not told:
                told = True
                notice(f"{self.path} is in use by {self._owner()}; waiting for it, {wait_s:g} s at most.")
            time.sleep(_POLL_S)

    def release(self) -> None:
        """Let go; without effect where nothing is owned."""
        if self._handle is not None:
            _held.discard(self)
            with contextlib.suppress(
                OSError
            ):  # before the lock is released: nobody must take over a file that vanishes
                os.unlink(self.file)
            self.let_go()

    def let_go(self) -> None:
        """Close the lock's file where it is: a forked child must not own what its parent owns."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    @contextlib.contextmanager
    def held(self, *, wait_s: float = 0.0, notice: Callable[[str], None] | None = None) -> Iterator[Self]:
        """Own the path until the block ends; see `acquire`."""
        self.acquire(wait_s=wait_s, notice=notice)
        try:
            yield self
        finally:
            self.release()

    def _try(self, notice: Callable[[str], None] | None) -> bool:
        handle = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
        try:
            if not _is_lock(handle):
                raise ConfigError(
                    f"{self.file} stands where Flow keeps the lock of {self.path}, and is not one.",
                    "Move it away.",
                )
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            except OSError as exc:
                if exc.errno not in _NO_LOCKS:
                    raise
                self.is_kept = False
                if notice is not None:
                    notice(
                        f"The file system of {self.path} has no locks; see to it that no second run writes there."
                    )
            if not _is_at(handle, self.file):  # its last owner has removed it meanwhile
                return False
            os.ftruncate(handle, 0)
            os.pwrite(handle, _words().encode(errors="replace"), 0)
            self._handle, handle = handle, -1
            _held.add(self)
            return True
        finally:
            if handle >= 0:
                os.close(handle)

    def _owner(self) -> str:
        try:
            words = self.file.read_text(errors="replace").strip()
        except OSError:
            words = ""
        return words or "another process, which has just begun"


def _is_lock(handle: int) -> bool:
    found = os.fstat(handle)
    first = os.pread(handle, len(_FIRST_WORD), 0) if stat.S_ISREG(found.st_mode) else b"?"
    return _FIRST_WORD.encode().startswith(first)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except FileNotFoundError:
        return False


def _words() -> str:
    program = Path(sys.argv[0] if sys.argv else "")
    name = program.parent.name if program.name == "__main__.py" else program.name
    return (
        f"{_FIRST_WORD}{os.getpid()} ({name or 'python'}) on {os.uname().nodename}, "
        f"since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    )


def _let_go_in_child() -> None:
    for lock in list(_held):
        lock.let_go()
    _held.clear()


os.register_at_fork(after_in_child=_let_go_in_child)
