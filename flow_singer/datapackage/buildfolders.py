"""Folders in which a run builds what it will publish: named after its process, owned while it lives.

One that is owned by nobody is what a killed or failed run has left; it is removed once a later run has
published.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
from itertools import count
from pathlib import Path

from flow_singer.errors import BusyError, ConfigError
from flow_singer.files import is_own
from flow_singer.locks import Lock


class PartialFolder:
    """A new, empty folder `PREFIX.partial-PID` of this process.

    A number is given anew, and two machines that share a folder have the same ones: where the name is
    taken by somebody else, `-2` and so on follows.

    Args:
        parent: the folder that it is made in.
        prefix: what its name begins with.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, parent: Path, prefix: str) -> None:
        name = f"{prefix}.partial-{os.getpid()}"
        for number in count(1):
            self.path = parent / (name if number == 1 else f"{name}-{number}")
            self._lock = Lock(self.path)
            with contextlib.suppress(BusyError, ConfigError):
                self._lock.acquire()
                if self._make():
                    return
                self._lock.release()

    def release(self) -> None:
        """Own it no longer: it was moved, or a later run may remove it."""
        self._lock.release()

    def remove(self) -> None:
        """Remove it with all that is in it."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.release()

    def _make(self) -> bool:
        try:
            if self._lock.is_kept and is_own(
                self.path, stat.S_ISDIR
            ):  # of an earlier process with our number
                shutil.rmtree(self.path)
            self.path.mkdir()
        except FileExistsError:  # a stranger's
            return False
        except BaseException:
            self._lock.release()
            raise
        return True


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the unfinished folders that no living process owns; what cannot be removed stays.

    Links and what belongs to other users are left alone.
    """
    pattern = re.compile(rf"({re.escape(prefix)}\.partial-\d+(?:-\d+)?)(?:\.zip)?")
    locks = re.compile(rf"\.?({re.escape(prefix)}\.partial-\d+(?:-\d+)?)\.lock")
    with contextlib.suppress(OSError):
        names = os.listdir(parent)
        found = {match[1] for name in names if (match := pattern.fullmatch(name) or locks.fullmatch(name))}
        for name in sorted(found):
            with contextlib.suppress(OSError, BusyError, ConfigError), Lock(parent / name).held() as lock:
                if not lock.is_kept:
                    return
                folder, packed = parent / name, parent / f"{name}.zip"
                if is_own(folder, stat.S_ISDIR):
                    shutil.rmtree(folder, ignore_errors=True)
                if is_own(packed):  # as earlier versions left it
                    packed.unlink()
