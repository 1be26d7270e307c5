"""What a supervisor tells its stages: which run they are part of, and what its screen wants of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from flow_singer.process.status import StatusWriter

VARIABLE = "FLOW_SUPERVISOR"


@dataclass(frozen=True)
class RunContext:
    """One run of a pipeline.

    Attributes:
        run: its id.
        job: the job of meltano.yml that it belongs to.
        task: number of the pipeline within the command, from 1.
        log: the file that keeps what taps and targets say; None where nothing is kept.
        chatter: whether everything that they say is shown, and not only their warnings and errors.
        draws: whether the supervisor shows what a stage is doing; else the stage says it in a line.
        terminal: whether the supervisor prints on a terminal.
        colours: whether that shows colours.
    """

    run: str
    job: str | None = None
    task: int | None = None
    log: str | None = None
    chatter: bool = True
    draws: bool = False
    terminal: bool = False
    colours: bool = False

    def variable(self) -> dict[str, str]:
        """The variable by which a stage learns it."""
        return {VARIABLE: json.dumps(asdict(self))}


def context_of(environ: Mapping[str, str]) -> RunContext | None:
    """Read what the supervisor of this process told; None where it has none."""
    if not StatusWriter(environ).supervised or VARIABLE not in environ:
        return None
    return RunContext(**json.loads(environ[VARIABLE]))
