"""The private folder of one run: config files that may hold secrets, gone when the run ends."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flow_singer.errors import ConfigError
from flow_singer.files import write_private

if TYPE_CHECKING:
    from flow_singer.project import Project

logger = logging.getLogger(__name__)

_PREFIX = "flow-run-"
_NEW_S = 60.0  # a folder this young may not have its lock yet


@contextlib.contextmanager
def run_folder(project: Project | None) -> Iterator[Path]:
    """Make a folder that only its owner can enter (0700), and remove it when the block ends, however it does.

    Folders of runs that were killed are removed on the way: the kernel has dropped their locks.

    Args:
        project: the folder is made in its `.meltano/run`; without one among the temporary files.
    """
    parent = project.sys_dir / "run" if project else Path(tempfile.gettempdir())
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_orphans(parent)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    except OSError as exc:
        raise ConfigError(
            f"The folder of this run cannot be made in {parent}: {exc.strerror}.",
            "Look at what is there, its rights and the free space; MELTANO_SYS_DIR_ROOT names another place.",
        ) from exc
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)
        if folder.exists():  # a process of the run still writes into it
            logger.warning("%s could not be removed; it may hold secrets", folder)


def _remove_orphans(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(
            FileNotFoundError, PermissionError, BlockingIOError
        ):  # gone, not ours, in use
            if time.time() - folder.stat().st_mtime < _NEW_S:
                continue
            lock = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)


def write_config(folder: Path, name: str, config: Mapping[str, Any]) -> Path:
    """Write a plugin's config into a file that only its owner can read (0600), and return its path.

    Raises:
        ConfigError: a value has no JSON form; names its key, not the value.
    """
    for key, value in config.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as exc:
            raise ConfigError(
                f"Setting {key!r} of {name} has no JSON form.",
                "Write it as text, a number, a list or a mapping.",
            ) from exc
    path = folder / f"{name}.config.json"
    write_private(path, json.dumps(config, indent=2).encode("ascii"))  # a lone surrogate has no UTF-8
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
