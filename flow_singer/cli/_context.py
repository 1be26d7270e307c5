"""What every verb gets from the options before it."""

from __future__ import annotations

from dataclasses import dataclass

from flow_singer.stages.workspace import Workspace


@dataclass
class Cli:
    """The global options.

    Attributes:
        workspace: where the command works.
        debug: whether tracebacks are shown.
        progress: whether live counts are wanted.
    """

    workspace: Workspace
    debug: bool = False
    progress: bool = True
