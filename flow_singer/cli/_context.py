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
        verbose: whether all that taps and targets say is shown on a terminal, too.
        quiet: whether only warnings and errors are wanted.
    """

    workspace: Workspace
    debug: bool = False
    progress: bool = True
    verbose: bool = False
    quiet: bool = False


def named_environment(cli: Cli) -> str | None:
    """The environment that a person named; the default one is for looking only, as in Meltano."""
    workspace = cli.workspace
    named = workspace.environment or workspace.environ.get("MELTANO_ENVIRONMENT")
    return None if named in (None, "", "null") else named
