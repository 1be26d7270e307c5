"""The private folder of one run: config files that may hold secrets, gone when the run ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_singer.errors import ConfigError
from flow_singer.files import write_private

if TYPE_CHECKING:
    from flow_singer.project.meltanofile import Project

logger = logging.getLogger(__name__)

_PREFIX = "flow-run-"
_NOT_PLAIN = re.compile(r"[^\w.-]+")
_MOST_OF_NAME = 60
_NEW_S = 60.0  # a folder this young may not have its lock yet
_REMOVING_S = 2.0  # how long a run may clear up after others before it begins


@contextlib.contextmanager
def run_folder(project: Project | None) -> Iterator[Path]:
    """Make a folder that only its owner can enter (0700), and remove it when the block ends, however it does.

    Folders of runs that were killed are removed on the way: the kernel has dropped their locks.

    Args:
        project: the folder is made in its `.meltano/run`; without one among the temporary files.

    Raises:
        ConfigError: it cannot be made.
    """
    folder, lock = _make(project)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if os.path.lexists(folder):  # a process of the run still writes into it
            logger.warning("%s could not be removed; it may hold secrets. Remove it.", folder)


def _make(project: Project | None) -> tuple[Path, int]:
    """Make the folder; return it with the descriptor that holds its lock.

    Raises:
        ConfigError: there is no place for it.
    """
    try:
        parent = project.sys_dir / "run" if project else Path(tempfile.gettempdir())
        parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        lock = os.open(folder, os.O_RDONLY)
    except OSError as exc:
        place = f"{exc.filename}: " if exc.filename else ""
        raise ConfigError(
            f"There is no place for the config files of this run: {place}{exc.strerror or exc}.",
            "Make room, or make the folder writable."
            if project
            else "Make room in the folder for temporary files, or set TMPDIR to one that is writable.",
        ) from exc
    with contextlib.suppress(OSError):  # a file system without locks: the age of the folder protects it
        fcntl.flock(lock, fcntl.LOCK_EX)
    return folder, lock


def _remove_orphans(parent: Path) -> None:
    """Remove the folders of runs that were killed, and nothing else that has such a name.

    Anybody may put anything into a folder for temporary files: only folders of this user count, no link is
    followed, and what cannot be removed is left.
    """
    deadline = time.monotonic() + _REMOVING_S
    with contextlib.suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(_PREFIX):
                with contextlib.suppress(OSError):  # gone, not ours, in use
                    _remove_orphan(parent / entry.name)
                if time.monotonic() > deadline:  # the next run goes on with it
                    return


def _remove_orphan(folder: Path) -> None:
    # These flags open nothing but a folder, even where a FIFO or a link takes its place meanwhile.
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        opened = os.fstat(lock)
        if opened.st_uid != os.getuid() or time.time() - opened.st_mtime < _NEW_S:
            return
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # By descriptors: rmtree then follows no link, even one that somebody puts there meanwhile.
        parent = os.open(folder.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            shutil.rmtree(folder.name, dir_fd=parent)
        finally:
            os.close(parent)
    finally:
        os.close(lock)


def write_config(folder: Path, name: str, config: Mapping[str, Any]) -> Path:
    """Write a plugin's config into a file that only its owner can read (0600), and return its path.

    Where data stand for a tap, its name is their path: of that, only what is a plain file name is taken.

    Raises:
        ConfigError: a value has no JSON form; names its key, not the value. Or there is no room.
    """
    for key, value in config.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise ConfigError(
                f"Setting {key!r} of {name} has no JSON form.",
                "Write it as text, a number, a list or a mapping.",
            ) from exc
    path = folder / f"{_NOT_PLAIN.sub('-', name)[-_MOST_OF_NAME:]}.config.json"
    try:
        write_private(path, json.dumps(config, indent=2).encode("ascii"))  # a lone surrogate has no UTF-8
    except OSError as exc:
        raise ConfigError(
            f"The config of {name} cannot be written: {exc.strerror}: {path}.",
            "Make room there and run again.",
        ) from exc
    return path


def config_changed(path: Path, original: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a tap has made of its config file (rotated tokens); None where it says the same as before.

    Source: Singer spec, "Config": a tap may write its config file.
    """
    try:
        config = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        logger.warning("%s is no longer the config that was written; nothing of it is kept", path.name)
        return None
    return None if config == original else config
