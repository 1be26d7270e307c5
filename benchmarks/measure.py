"""Measure a command, or a pipe of them, from outside: CPU, wall, peak memory, start-up included."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from memory import TotalMemory

_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, KiB on Linux


@dataclass(frozen=True)
class Sample:
    """What one run cost.

    Attributes:
        cpu_s: user + system seconds of all processes.
        wall_s: seconds from the start until the last stage ended, or until a file was made.
        rss_mb: peak of the largest single process.
        total_mb: peak of the sum of all processes, see `memory.py`; None where the system does not tell.
        marked_rss_mb, marked_total_mb: the same two until a file was made, by looks from outside; None without
            such a file.
    """

    cpu_s: float
    wall_s: float
    rss_mb: float
    total_mb: float | None
    marked_rss_mb: float | None = None
    marked_total_mb: float | None = None


class CommandError(Exception):
    """A stage did not end with 0; the message is the last line it wrote to stderr."""


def measure(
    stages: Sequence[Sequence[str]],
    *,
    stdin: Path,
    stdout: Path,
    cwd: Path,
    env: Mapping[str, str],
    limit_s: float,
    until: Path | None = None,
    mark: Path | None = None,
) -> Sample:
    """Run `stages`, each reading what the one before wrote, and wait for all of them.

    CPU is user + system time of every stage and of the descendants it has waited for, from wait4(2). The peak
    memory from there has a floor, the size of the process that calls this function (a child starts its count
    with its parent's pages), so the caller should be small: about 20 MB.

    Args:
        stages: one argument list per process; the first item is a full path.
        stdin: what the first stage reads.
        stdout: where the last stage writes.
        cwd: folder in which all stages run.
        env: their whole environment.
        limit_s: seconds after which they are killed.
        until: a file that one of them makes; the wall time ends with its time stamp, which a system may
            set up to 4 ms too early.
        mark: a file that one of them makes; the memory until then is told apart.

    Raises:
        CommandError: a stage is not there, ended with another code than 0, did not make the file, or the
            time was over.
    """
    for argv in stages:
        if not os.access(argv[0], os.X_OK):
            raise CommandError(f"{Path(argv[0]).name} is not installed")
    processes: list[subprocess.Popen[bytes]] = []
    failures: list[str] = []
    cpu_s = rss_mb = 0.0
    late = threading.Event()

    def stop() -> None:
        late.set()
        _kill(processes)

    with contextlib.ExitStack() as stack:
        errors = [stack.enter_context(tempfile.TemporaryFile()) for _ in stages]
        source: IO[bytes] = stack.enter_context(stdin.open("rb"))
        sink = stack.enter_context(stdout.open("wb"))
        timer = threading.Timer(limit_s, stop)
        stack.callback(timer.cancel)
        total = stack.enter_context(TotalMemory(mark))
        start, start_ns = time.perf_counter(), time.time_ns()
        timer.start()
        try:
            for argv, stderr in zip(stages, errors, strict=True):
                last = len(processes) == len(stages) - 1
                process = subprocess.Popen(
                    argv,
                    stdin=source,
                    stdout=sink if last else subprocess.PIPE,
                    stderr=stderr,
                    cwd=cwd,
                    env=env,
                    start_new_session=True,
                )
                source.close()  # else a stage whose reader died would never see its pipe break
                processes.append(process)
                total.add(process.pid)
                if process.stdout is not None:
                    source = process.stdout
            for process in processes:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
                cpu_s += usage.ru_utime + usage.ru_stime
                rss_mb = max(rss_mb, usage.ru_maxrss * _MAXRSS_BYTES / 1e6)
        except BaseException:
            _kill(processes)
            for process in processes:
                process.wait()
            raise
        wall_s = time.perf_counter() - start
        for argv, process, stderr in zip(stages, processes, errors, strict=True):
            if process.returncode != 0:
                failures.append(_failure(argv, process.returncode, stderr))
    if late.is_set():
        raise CommandError(f"not done after {limit_s:.0f} s")
    if failures:
        raise CommandError("; ".join(failures))
    if until is not None:
        if not until.exists():
            raise CommandError(f"{until.name} was not made")
        wall_s = (until.stat().st_mtime_ns - start_ns) / 1e9
    return Sample(cpu_s, wall_s, rss_mb, total.peak_mb, total.marked_largest_mb, total.marked_mb)


def _kill(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Kill the stages that have not been waited for, each with the processes of its session."""
    for process in processes:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _failure(argv: Sequence[str], code: int, stderr: IO[bytes]) -> str:
    size = stderr.seek(0, os.SEEK_END)
    stderr.seek(max(0, size - 4096))
    lines = [line for line in stderr.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else f"{Path(argv[0]).name} ended with {code}, nothing on stderr"
