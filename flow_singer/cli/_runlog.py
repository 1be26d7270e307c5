"""The log file of a run: all that taps and targets say, whether or not it is shown."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from flow_singer.stages.workspace import Workspace

_KEPT = 100
"""How many log files stay; the oldest go when a new one is made."""


def new_log(workspace: Workspace, title: str) -> Path:
    """Name the log file of a run that begins now; it is made at its first line.

    Args:
        workspace: the file is in `logs/flow` of its project's `.meltano`, else in the user's own folder for
            such files (XDG_STATE_HOME, or `~/.local/state`).
        title: what runs.
    """
    project = workspace.project
    if project is not None:
        folder = project.sys_dir / "logs" / "flow"
    else:
        home = workspace.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
        folder = Path(home) / "flow-singer" / "logs"
    words = re.sub(r"[^\w.-]+", "_", title).strip("_")[:80]
    return folder / f"{datetime.now():%Y%m%dT%H%M%S}-{words}-{os.getpid()}.log"


class RunLog:
    """Appends lines to a file that the stages of a run share; what cannot be written is no reason to fail.

    Attributes:
        path: of the file; None until there is anything in it.

    Args:
        name: gives its path, which is asked for at the first line. The file is readable for its owner only, as a
            program may say what it should not.
    """

    def __init__(self, name: Callable[[], Path]) -> None:
        self._name = name
        self.path: Path | None = None
        self._descriptor: int | None = None
        self._failed = False

    def add(self, text: str) -> None:
        """Append one line, with the time."""
        line = f"{time.strftime('%Y-%m-%dT%H:%M:%S%z')} {text}\n".encode("utf-8", "backslashreplace")
        try:
            if self._descriptor is None and not self._failed:
                self._open()
            if self._descriptor is not None:
                os.write(self._descriptor, line)
        except OSError:
            self._failed = True

    def _open(self) -> None:
        path = self._name()
        path.parent.mkdir(parents=True, exist_ok=True)
        logs = sorted(path.parent.glob("*.log"), key=lambda file: file.name, reverse=True)
        for old in logs[_KEPT - 1 :]:
            with contextlib.suppress(OSError):
                old.unlink()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.path = path
