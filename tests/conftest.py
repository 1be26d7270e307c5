"""What every test stands on: a clean environment, the command `flow`, and no process left behind."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from command import Command, Result
from hypothesis import HealthCheck, settings

FOREIGN_VARIABLES = ("FLOW_", "TAP_", "TARGET_", "MELTANO")
OUR_SWITCHES = ("FLOW_TEST_", "FLOW_REQUIRE_")

# The same examples every time: a test tells of the change that is tested. tests/fuzz.py looks for new ones.
settings.register_profile(
    "repeatable", derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.load_profile("repeatable")

# nohup ignores the first, a shell's `&` the second; what a test starts would, too.
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)

_PR_SET_CHILD_SUBREAPER = 36
_ENDING_S = 20.0  # the kernel needs a moment to end what was killed

if sys.platform == "linux":  # a grandchild whose parent died becomes our child, so that it can be seen
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away the variables that would change what Flow and its plugins do."""
    for name in os.environ:
        if name.startswith(FOREIGN_VARIABLES) and not name.startswith(OUR_SWITCHES):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def no_process_left_behind() -> Iterator[None]:
    """Fail the test that leaves a process running, and end that process."""
    here = psutil.Process()
    before = {process.pid for process in here.children(recursive=True)}
    yield
    new = [process for process in here.children(recursive=True) if process.pid not in before]
    running = [process for process in new if _is_running(process)]
    _, left = psutil.wait_procs(running, timeout=_ENDING_S)
    told = []
    for process in left:
        with contextlib.suppress(psutil.NoSuchProcess):
            told.append(f"{process.pid}: {' '.join(process.cmdline())[:200]}")
            process.kill()
    psutil.wait_procs(left, timeout=_ENDING_S)
    for process in new:  # orphans have nobody else who would bury them
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process.pid, os.WNOHANG)
    if told:
        pytest.fail("left behind:\n" + "\n".join(told))


def _is_running(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def command(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, clean_environment: None
) -> Iterator[Command]:
    """The command `flow`, run in `tmp_path`, with temporary files and caches of this test alone."""
    own = tmp_path_factory.mktemp("machine")
    (own / "tmp").mkdir()
    env = {**os.environ, "TMPDIR": str(own / "tmp"), "XDG_CACHE_HOME": str(own / "cache")}
    started = Command(tmp_path, env, own / "bin")
    yield started
    if still_running := started.close():
        pytest.fail(f"{still_running} started commands still ran when the test ended")


@pytest.fixture
def flow(command: Command) -> Callable[..., Result]:
    """`flow(*args, stdin=bytes, cwd=..., env=...)`: run the command to its end."""
    return command.flow


@pytest.fixture
def shell(command: Command) -> Callable[..., Result]:
    """`shell(script, cwd)`: run a script of bash, without `pipefail`, that has `flow` on PATH."""
    return command.shell
