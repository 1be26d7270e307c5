"""The one way to publish a file or a folder: write beside, fsync, rename; a reader never sees half of one."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path


def write_atomic(path: Path, data: bytes, *, mode: int = 0o666, tidy: bool = True) -> None:
    """Replace the file at `path` by `data`, durably: after a crash it holds the old or the new bytes.

    Args:
        path: the file; its folder is made where missing.
        data: the whole new content.
        mode: permission bits of the new file, less the process's umask.
        tidy: remove what killed writers of `path` have left, which takes a look at the whole folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if tidy:
        remove_temporaries(path)
    handle, beside = _new_temporary(path)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            umask = os.umask(0)
            os.umask(umask)
            os.fchmod(file.fileno(), mode & ~umask)
            os.replace(beside, path)  # before the file is closed, and its lock with it
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    fsync_folder(path.parent)


def remove_temporaries(path: Path) -> None:
    """Remove what killed writers of `path` have left beside it.

    A living writer holds a lock on its file. What is a link, or of somebody else, stays; nothing here fails.
    """
    hidden = re.escape(path.name.removeprefix("."))
    pattern = re.compile(rf"\.\.?{hidden}\.[a-z0-9_]{{8}}\.tmp")  # version 0.1 put a dot before a dot
    with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
        for entry in entries:
            if pattern.fullmatch(entry.name):
                _remove_unlocked(entry.path)


def is_own(path: Path, is_type: Callable[[int], bool] = stat.S_ISREG) -> bool:
    """Whether a file (or what `is_type` tells) stands at `path`, not a link to one, and belongs to this user."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return is_type(found.st_mode) and found.st_uid == os.geteuid()


def _new_temporary(path: Path) -> tuple[int, str]:
    while True:
        prefix = f".{path.name.removeprefix('.')}."
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=".tmp")
        with contextlib.suppress(OSError):  # not every file system has locks; without them nobody tidies up
            fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(handle), os.lstat(beside)):
                return handle, beside
        os.close(handle)  # another process removed it before it was locked, as one that a killed writer left


def _remove_unlocked(path: str) -> None:
    with contextlib.suppress(OSError):
        if not is_own(Path(path)):
            return
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
        finally:
            os.close(handle)


def write_private(path: Path, data: bytes) -> None:
    """Write a new file that only its owner can read (0600), for configuration that may hold secrets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def fsync_folder(folder: Path) -> None:
    """Make renames inside `folder` durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:  # some network file systems refuse to sync a folder; the rename itself still holds
        pass
    finally:
        os.close(handle)


def publish_folder(built: Path, final: Path) -> Path:
    """Put the folder `built` in the place of `final`; both must be on one file system.

    A crash between the two renames leaves the old content beside, and `recover_folder` puts it back. Two
    processes must not do this at once.

    Returns:
        Where the old content went, for the caller to remove: `.NAME.old`. Nothing may stand there before.
    """
    old = replaced_folder(final)
    if final.exists():
        os.rename(final, old)
    os.rename(built, final)
    fsync_folder(final.parent)
    return old


def recover_folder(final: Path) -> None:
    """Undo a publication that was killed between its two renames."""
    old = replaced_folder(final)
    if old.exists() and not final.exists():
        os.rename(old, final)


def replaced_folder(final: Path) -> Path:
    """Where the old content of `final` is while it is replaced."""
    return final.with_name(f".{final.name}.old")


def sha256_file(path: Path) -> str:
    """Hex digest of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
