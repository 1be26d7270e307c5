"""The general options of `flow`, which may stand before the verb or behind it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from flow_singer.cli._completion import complete_environment
from flow_singer.cli._context import Cli
from flow_singer.cli._logging import set_up_logging
from flow_singer.cli._terminal import print_for
from flow_singer.errors import ConfigError
from flow_singer.process.runcontext import context_of
from flow_singer.stages.workspace import Workspace

_TIMED_VERBS = frozenset({"run", "transform", "load"})
"""Verbs whose lines on stderr are the log of a run, and bear the time."""


def general_options() -> list[click.Option]:
    """Make the options anew: what stands before the verb has its own objects."""
    levels = click.Choice(["debug", "info", "warning", "error"], case_sensitive=False)
    return [
        click.Option(
            ["-C", "--project"],
            type=click.Path(path_type=Path),
            metavar="DIR",
            help="Folder to run in (as cd would).",
        ),
        click.Option(
            ["--environment"],
            shell_complete=complete_environment,
            metavar="NAME",
            help="Environment of meltano.yml; 'null' for none.",
        ),
        click.Option(["-q", "--quiet"], is_flag=True, help="Only warnings and errors."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Also all that taps and targets say."),
        click.Option(
            ["--log-level"],
            type=levels,
            default="info",
            show_default=True,
            help="What to tell on stderr; debug adds tracebacks.",
        ),
        click.Option(
            ["--log-format"],
            type=click.Choice(["text", "json"]),
            default="text",
            show_default=True,
            help="How to tell it.",
        ),
        click.Option(["--no-progress"], is_flag=True, help="No live counts on the terminal."),
    ]


def options_behind_verb() -> list[click.Option]:
    """Make the same options for a verb: not in its help, and nothing where they are not typed."""
    options = general_options()
    for option in options:
        option.hidden = True
        option.expose_value = False
        option.callback = _take
        option.default = None
    return options


def _take(ctx: click.Context, option: click.Parameter, value: Any) -> None:
    if ctx.get_parameter_source(option.name or "") is ParameterSource.COMMANDLINE:
        ctx.meta.setdefault("flow_singer.general", {})[option.name] = value


def apply_options_behind_verb(ctx: click.Context) -> None:
    """Let what was typed behind the verb go before what stands before it."""
    typed = ctx.meta.pop("flow_singer.general", None)
    if not typed:
        return
    root = ctx.find_root()
    root.params |= typed
    if "project" not in typed:  # we are there already
        root.params["project"] = None
    apply_general(root)


def apply_general(root: click.Context) -> None:
    """Go to the folder, set up what is told, and make `Cli` out of the options in `root.params`.

    Raises:
        ConfigError: the folder is none.
    """
    options = root.params
    if (context := context_of(os.environ)) is not None:
        print_for(terminal=context.terminal, colours=context.colours)
    project: Path | None = options["project"]
    if project is not None:
        if not project.is_dir():
            raise ConfigError(f"--project: '{project}' is no folder.", "Make it, or name another.")
        os.chdir(project)
    if options["quiet"] and options["verbose"]:
        raise ConfigError("--quiet and --verbose exclude each other.", "Leave one of them out.")
    set_up_logging(
        options["log_level"],
        options["log_format"],
        quiet=options["quiet"],
        timed=root.invoked_subcommand in _TIMED_VERBS,
    )
    environ = {name: value for name, value in os.environ.items() if name != "FLOW_PROJECT"}
    cli = Cli(
        Workspace(Path.cwd(), environ, options["environment"]),
        debug=options["log_level"] == "debug",
        progress=not options["no_progress"] and not options["quiet"],
        verbose=options["verbose"],
        quiet=options["quiet"],
    )
    if isinstance(root.obj, Cli):  # the contexts below have it already
        vars(root.obj).update(vars(cli))
    else:
        root.obj = cli
