"""The command `flow` as a person and a shell see it: arguments in; bytes, text and an exit code out."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", re.MULTILINE)
MODULE = (sys.executable, "-m", "flow_singer")


@dataclass(frozen=True)
class Result:
    """How a command ended.

    Attributes:
        code: its exit code; negative for a signal.
        stdout: all of it.
        stderr: all of it, without the times that lines of a run begin with.
        log: the same with them.
    """

    code: int
    stdout: bytes
    stderr: str
    log: str = ""

    @property
    def lines(self) -> list[bytes]:
        """The lines of stdout, without their newlines."""
        return [line for line in self.stdout.split(b"\n") if line]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The lines of stdout, decoded."""
        return [json.loads(line) for line in self.lines]


class Command:
    """Starts `flow`, or a shell that has it on PATH.

    Args:
        cwd: where commands run unless told otherwise.
        env: their whole environment; what a call adds lies over it.
        bin_folder: gets the executable `flow` of this interpreter.
    """

    def __init__(self, cwd: Path, env: Mapping[str, str], bin_folder: Path) -> None:
        self.cwd = cwd
        self._started: list[subprocess.Popen[bytes]] = []
        bin_folder.mkdir(parents=True, exist_ok=True)
        flow = bin_folder / "flow"
        flow.write_text(f'#!/bin/sh\nexec {shlex.join(MODULE)} "$@"\n')
        flow.chmod(0o755)
        self.env = {**env, "PATH": f"{bin_folder}:{env['PATH']}"}

    def flow(
        self,
        *args: str | Path,
        stdin: bytes | None = None,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
        program: Sequence[str] = MODULE,
    ) -> Result:
        """Run `flow` to its end; without `stdin` it reads nothing."""
        return self._run([*program, *map(str, args)], stdin, cwd, env, timeout_s)

    def shell(
        self,
        script: str,
        cwd: Path | None = None,
        *,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> Result:
        """Run a script of bash, without `pipefail`, to its end."""
        return self._run(["bash", "--noprofile", "--norc", "-c", script], stdin, cwd, env, timeout_s)

    def start(
        self,
        *args: str | Path,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        program: Sequence[str] = MODULE,
    ) -> subprocess.Popen[bytes]:
        """Start `flow` and return at once; what outlives the test fails it."""
        process = subprocess.Popen(
            [*program, *map(str, args)],
            cwd=cwd or self.cwd,
            env={**self.env, **(env or {})},
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
        )
        self._started.append(process)
        return process

    def close(self) -> int:
        """End what `start` started, and return how much of it still ran."""
        running = [process for process in self._started if process.poll() is None]
        for process in running:
            process.kill()
        for process in self._started:
            with process:
                pass
        return len(running)

    def _run(
        self,
        argv: list[str],
        stdin: bytes | None,
        cwd: Path | None,
        env: Mapping[str, str] | None,
        timeout_s: float,
    ) -> Result:
        done = subprocess.run(
            argv,
            check=False,
            cwd=cwd or self.cwd,
            env={**self.env, **(env or {})},
            capture_output=True,
            timeout=timeout_s,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
        )
        log = done.stderr.decode()
        return Result(done.returncode, done.stdout, TIME.sub("", log), log)
