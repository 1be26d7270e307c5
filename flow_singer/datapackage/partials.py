"""What a killed run leaves beside: named after its process, removed once a later run has published."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path


def partial_name(prefix: str) -> str:
    """The name of this process's unfinished files."""
    return f"{prefix}.partial-{os.getpid()}"


def remove_leftovers(parent: Path, prefix: str) -> None:
    """Remove the unfinished files of processes that are gone."""
    pattern = re.compile(rf"{re.escape(prefix)}\.partial-(\d+)(\.zip)?")
    for path in parent.iterdir():
        match = pattern.fullmatch(path.name)
        if match and not _is_running(int(match[1])):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _is_running(pid: int) -> bool:
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
