"""The command `flow` and its verbs, each imported when it is called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING

import click

import flow_singer
from flow_singer.cli._ending import report
from flow_singer.cli._general import apply_general, general_options
from flow_singer.cli._optionvars import VerbGroup, warn_of_unknown
from flow_singer.process.status import StatusWriter

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_VERBS = {
    "Move data": {
        "run": "Run a tap, or a whole pipeline.",
        "transform": "Change messages with the functions of a file.",
        "load": "Load messages into a target or a Data Package.",
    },
    "Look": {
        "discover": "Show the streams that a tap has.",
        "select": "Choose streams and fields, and see why each is in or out.",
        "list": "List plugins, jobs, environments and bookmarks.",
        "show": "Look at data: streams, fields, the first rows.",
        "validate": "Look whether data are what they should be.",
        "check": "Find what is wrong with a project, without running it.",
        "state": "Look at bookmarks, and change them.",
    },
    "Set up": {
        "init": "Make a small project that runs at once.",
        "install": "Install plugins before a run needs them.",
        "config": "Show and change the settings of a plugin.",
        "test": "Find out whether a plugin works with its settings.",
        "invoke": "Start a tap or a target by itself.",
    },
}
"""Per section of the help, each verb and its first line."""


class _Verbs(VerbGroup):
    """Lists the verbs without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for verbs in _VERBS.values() for name in verbs]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"flow_singer.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for section, verbs in _VERBS.items():
            with formatter.section(section):
                formatter.write_dl(list(verbs.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Offer the verbs without importing them, and the options."""
        from click.shell_completion import CompletionItem

        verbs = {name: said for section in _VERBS.values() for name, said in section.items()}
        offered = [
            CompletionItem(name, help=said) for name, said in verbs.items() if name.startswith(incomplete)
        ]
        return offered + click.Command.shell_complete(self, ctx, incomplete)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Variables"):
            formatter.write_text("Each option is a variable, too: --environment is FLOW_ENVIRONMENT.")


@click.command(
    "flow",
    cls=_Verbs,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    params=general_options(),
)
@click.version_option(flow_singer.__version__, prog_name="flow")
@click.pass_context
def flow(ctx: click.Context, /, **_: object) -> None:
    """Singer taps and targets with pandas in the middle.

    \b
    flow init demo && cd demo              a project that runs at once
    flow run tap-demo | flow transform transforms/issues.py | flow load target-csv
    flow run tap-demo transforms/issues.py out/      the same, supervised
    """
    apply_general(ctx)
    if not StatusWriter(os.environ).supervised:  # its supervisor has said so
        environ = {name: value for name, value in os.environ.items() if name != "FLOW_PROJECT"}
        warn_of_unknown(environ, flow, ctx)


def main() -> None:
    """Run the command line; every way it can end has its exit code."""
    _open_standard_streams()
    if instruction := os.environ.get("_FLOW_COMPLETE"):
        from flow_singer.cli._completion import answer_shell

        sys.exit(answer_shell(flow, "flow", "_FLOW_COMPLETE", instruction))
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
