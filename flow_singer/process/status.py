"""What a stage tells the supervisor that started it: counts while it runs, and how it ended.

One JSON object a line, on a pipe whose number stands in an environment variable, behind the id of the
process that listens. Where that is not the parent, the stage was started by somebody else (by a person, or by
a user's function that inherited the variable), and nothing is written.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

VARIABLE = "FLOW_STATUS_FD"


def variable_for(descriptor: int) -> dict[str, str]:
    """The variable by which this process tells a stage where to write."""
    return {VARIABLE: f"{os.getpid()}:{descriptor}"}


class StatusWriter:
    """Writes to the supervisor, where there is one.

    Args:
        environ: this process's environment.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        listener, _, number = environ.get(VARIABLE, "").partition(":")
        self._descriptor = int(number) if listener == str(os.getppid()) else None

    @property
    def supervised(self) -> bool:
        """Whether somebody listens; then the stage leaves the last word on stderr to them."""
        return self._descriptor is not None

    def send(self, **fields: Any) -> None:
        """Send one object; a supervisor that is gone does not matter."""
        if self._descriptor is None:
            return
        with contextlib.suppress(OSError):
            os.write(self._descriptor, json.dumps(fields).encode() + b"\n")
