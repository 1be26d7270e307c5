"""The command `flow`, its general options and its verbs, each imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

import flow_singer
from flow_singer.cli._context import Cli
from flow_singer.cli._ending import report
from flow_singer.cli._logging import set_up_logging
from flow_singer.cli._optionvars import VerbGroup, warn_of_unknown
from flow_singer.errors import ConfigError
from flow_singer.process.status import StatusWriter
from flow_singer.stages.workspace import Workspace

_VERBS = {
    "init": "Make a small project that runs at once.",
    "load": "Load messages into a target or a Data Package.",
    "run": "Run a tap, or a whole pipeline.",
    "transform": "Change messages with the functions of a file.",
}


class _Verbs(VerbGroup):
    """Lists the verbs without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return ["init", "run", "transform", "load"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _VERBS:
            return None
        module = importlib.import_module(f"flow_singer.cli.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _VERBS and not args[0].startswith("-"):
            from difflib import get_close_matches

            near = get_close_matches(args[0], _VERBS, 1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"No such command '{args[0]}'.{hint} Commands: {', '.join(self.list_commands(ctx))}.")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, _VERBS[name]) for name in self.list_commands(ctx)])


@click.group(
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
)
@click.version_option(flow_singer.__version__, prog_name="flow")
@click.option(
    "-C", "--project", type=click.Path(path_type=Path), metavar="DIR", help="Folder to run in (as cd would)."
)
@click.option("--environment", metavar="NAME", help="Environment of meltano.yml; 'null' for none.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="What to tell on stderr; debug adds tracebacks.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="How to tell it.",
)
@click.option("--no-progress", is_flag=True, help="No live counts on the terminal.")
@click.pass_context
def flow(
    ctx: click.Context,
    project: Path | None,
    environment: str | None,
    log_level: str,
    log_format: str,
    no_progress: bool,
) -> None:
    """Singer taps and targets with pandas in the middle.

    \b
    flow init demo && cd demo              a project that runs at once
    flow run tap-demo | flow transform transforms/issues.py | flow load target-csv
    flow run tap-demo transforms/issues.py out/      the same, supervised
    """
    if project is not None:
        if not project.is_dir():
            raise ConfigError(f"--project: '{project}' is no folder.", "Make it, or name another.")
        os.chdir(project)
    set_up_logging(log_level, log_format)
    environ = {
        name: value for name, value in os.environ.items() if name != "FLOW_PROJECT"
    }  # we are there now
    if not StatusWriter(os.environ).supervised:  # its supervisor has said so
        warn_of_unknown(environ, flow, ctx)
    workspace = Workspace(Path.cwd(), environ, environment)
    ctx.obj = Cli(workspace, debug=log_level == "debug", progress=not no_progress)


def main() -> None:
    """Run the command line; every way it can end has its exit code."""
    _open_standard_streams()
    if instruction := os.environ.get("_FLOW_COMPLETE"):
        from click.shell_completion import shell_complete

        sys.exit(shell_complete(flow, {}, "flow", "_FLOW_COMPLETE", instruction))
    sys.exit(report(_run))


def _run() -> object:
    """As `click.Group.main`, which would end with code 1 where the reader of stdout is gone."""
    with flow.make_context("flow", sys.argv[1:]) as ctx:
        return ctx.command.invoke(ctx)


def _open_standard_streams() -> None:
    """Open what the caller closed, lest a file of ours takes its number; stdout so that writing to it fails."""
    if sys.stdin is None:
        sys.stdin = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    if sys.stdout is None:
        sys.stdout = open(os.devnull, encoding="utf-8")  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
