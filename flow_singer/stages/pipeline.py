"""A whole pipeline under one supervisor: the stages of the shell pipe, with real exit codes.

Every stage is the same `flow` command that a person would type, in a process of its own, joined by the same
pipes; the supervisor moves no data. What it adds: it learns how each stage ended, stops the others, and says
once which of them was the cause.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flow_singer.errors import (
    EXIT_INCOMPLETE,
    EXIT_INTERNAL,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_PIPE,
    EXIT_REJECTS,
    EXIT_TERMINATED,
)
from flow_singer.process.interrupts import Interrupted, deferred
from flow_singer.process.lifeline import adopt_orphans, descendants, end_descendants
from flow_singer.process.processes import Process, describe_end
from flow_singer.process.status import variable_for


@dataclass(frozen=True)
class Stage:
    """One stage.

    Attributes:
        name: for messages.
        arguments: of its `flow` command; every user of the machine can read them.
        variables: for its environment, where secrets may go.
    """

    name: str
    arguments: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def command(self) -> str:
        """What it is called as a command, for messages: `flow load target-csv`."""
        verb = next((word for word in self.arguments if word in ("run", "transform", "load", "validate")), "")
        return f"flow {verb} {self.name}"


@dataclass
class StageReport:
    """What a stage said, and how it ended.

    Attributes:
        name: of the stage.
        command: what it is called as a command.
        code: its exit code; negative for a signal.
        fields: everything it told its supervisor, the newest of each.
    """

    name: str
    command: str = ""
    code: int = 0
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        """Its exit code as a shell would show it."""
        return 128 - self.code if self.code < 0 else self.code

    @property
    def ending(self) -> str:
        """How it ended, where it could not say why: the stage itself, not the tap or target that it ran."""
        stopped_by = {EXIT_INTERRUPTED: "SIGINT", EXIT_TERMINATED: "SIGTERM"}.get(self.code)
        return f"{self.command} {f'was stopped by {stopped_by}' if stopped_by else describe_end(self.code)}."


@dataclass
class Verdict:
    """How a pipeline ended.

    Attributes:
        stages: in the order of the pipe.
        seconds: from the first start to the last end.
    """

    stages: list[StageReport]
    seconds: float

    @property
    def cause(self) -> StageReport | None:
        """The stage that failed first; None where none did.

        A stage that only saw its neighbour go (75, 141) is the cause only where no other is.
        """
        failed = [one for one in self.stages if one.code not in (EXIT_OK, EXIT_REJECTS)]
        for echoes in ((EXIT_INCOMPLETE, EXIT_PIPE), (EXIT_PIPE,), ()):
            for one in failed:
                if one.code not in echoes:
                    return one
        return None

    @property
    def exit_code(self) -> int:
        """The exit code of the pipeline."""
        if self.cause is not None:
            code = self.cause.exit_code
            return EXIT_INTERNAL if code == EXIT_OK else code
        return EXIT_REJECTS if any(one.code == EXIT_REJECTS for one in self.stages) else EXIT_OK


def run_stages(
    stages: Sequence[Stage],
    *,
    environ: Mapping[str, str],
    show: Callable[[str], None],
    progress: Callable[[list[StageReport]], None],
) -> Verdict:
    """Run stages joined by pipes, to the end of the last one.

    Args:
        stages: at least two; the first reads nothing, the last writes to the supervisor's stdout.
        environ: this process's environment.
        show: gets each line that a stage writes on stderr.
        progress: called about twice a second.

    Raises:
        Interrupted: a signal came; every stage was told, and has ended.
    """
    started = time.monotonic()
    reports = [StageReport(stage.name, stage.command) for stage in stages]
    adopt_orphans()
    others = descendants(os.getpid())
    processes: list[Process] = []
    listeners: list[threading.Thread] = []
    try:
        upstream: int | None = None
        for position, (stage, report) in enumerate(zip(stages, reports, strict=True)):
            heard, said = os.pipe()
            last = position == len(stages) - 1
            with deferred():
                process = Process(
                    stage.name,
                    [sys.executable, "-P", "-m", "flow_singer", *stage.arguments],
                    env={**environ, **stage.variables, **variable_for(said)},
                    stdin=subprocess.DEVNULL if upstream is None else upstream,
                    stdout=1 if last else subprocess.PIPE,
                    show=show,
                    own_session=False,
                    pass_fds=(said,),
                )
                processes.append(process)
            os.close(said)
            listener = threading.Thread(target=_listen, args=(heard, report), daemon=True)
            listener.start()
            listeners.append(listener)
            if upstream is not None:
                # Our copy must go: a stage sees the end of the next one only when nobody else holds the pipe.
                processes[position - 1].close_stdout()
            upstream = None if last else process.stdout
        _wait(processes, reports, progress)
    except Interrupted as interrupted:
        for process in processes:
            process.tell(interrupted.number)
        for process in processes:
            process.stop(grace_s=_STOP_S, ask=False)
        raise
    except BaseException:
        for process in processes:
            process.stop()
        raise
    finally:
        end_descendants(without=others)  # what a stage that was killed could not end
    for listener in listeners:
        listener.join(1.0)
    return Verdict(reports, time.monotonic() - started)


_STOP_S = 30.0
"""Longer than a stage may take to end its tap or target."""


def _wait(
    processes: Sequence[Process],
    reports: Sequence[StageReport],
    progress: Callable[[list[StageReport]], None],
) -> None:
    waiting = dict(enumerate(processes))
    while waiting:
        for position, process in list(waiting.items()):
            code = process.wait(0.1)
            if code is not None:
                reports[position].code = code
                del waiting[position]
        progress(list(reports))


def _listen(descriptor: int, report: StageReport) -> None:
    with os.fdopen(descriptor, "rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):  # else the stage was killed in the middle of it
                said = json.loads(line)
                if "records" in said:  # what it was doing before is over
                    report.fields.pop("activity", None)
                report.fields.update(said)
