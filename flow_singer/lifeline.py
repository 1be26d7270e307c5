"""Children that end with Flow, even where Flow is killed with SIGKILL and can tell nobody."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from typing import Any

_PR_SET_PDEATHSIG = 1


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
