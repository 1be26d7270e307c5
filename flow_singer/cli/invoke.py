"""`flow invoke`."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
from collections.abc import Callable, Iterator
from typing import IO, TYPE_CHECKING

import click

from flow_singer.cli import _options
from flow_singer.cli._completion import complete_plugin
from flow_singer.cli._context import Cli
from flow_singer.cli._optionvars import Verb
from flow_singer.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from flow_singer.stages.invocation import Invocation

logger = logging.getLogger("flow_singer")


@click.command("invoke", cls=Verb, context_settings={"ignore_unknown_options": True})
@click.argument("plugin", metavar="PLUGIN", shell_complete=complete_plugin)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGS ...]")
@_options.tap_config
@click.option("--debug", is_flag=True, help="Leave the terminal to breakpoint() in the plugin.")
@click.option("--dump", type=click.Choice(["config", "catalog"]), help="Print this, and start nothing.")
@click.pass_obj
def command(
    cli: Cli, plugin: str, arguments: tuple[str, ...], config: str | None, debug: bool, dump: str | None
) -> int:
    """Start a tap or a target by itself.

    It gets what a run gives it: its config, its environment, a tap its catalog with all rules. It has stdin,
    stdout and stderr for itself, so nothing is masked, and no bookmark is read or moved. Its exit code is that of
    the command. ARGS go behind its config; with any, a tap gets no catalog.

    With --debug, stdin and stdout are the terminal, whatever they were; a target of the Singer SDK gets its input
    as a file.

    \b
    flow invoke tap-github > messages.jsonl
    flow invoke tap-github -- --discover
    flow invoke target-csv < messages.jsonl
    """
    from flow_singer.cli._asking import asking_plugin
    from flow_singer.stages.invocation import prepare_invocation

    if dump and (debug or arguments):
        raise click.UsageError("--dump starts nothing: leave --debug and ARGS out.")
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(_terminal()) if debug else None
        with asking_plugin(cli, plugin) as show:
            invocation = prepare_invocation(cli.workspace, plugin, config=config)
            if dump:
                return _dump(invocation, dump, show)
        return invocation.run(arguments, show, terminal)


@contextlib.contextmanager
def _terminal() -> Iterator[IO[bytes]]:
    try:
        terminal = open("/dev/tty", "r+b", buffering=0)  # noqa: SIM115
    except OSError as exc:
        raise ConfigError(
            "--debug needs a terminal, and there is none.",
            "Type it in a terminal: flow invoke PLUGIN --debug",
        ) from exc
    with terminal:
        yield terminal


def _dump(invocation: Invocation, what: str, show: Callable[[str, str], None]) -> int:
    """Print what the plugin would get, exactly."""
    if what == "catalog":
        if not invocation.is_tap:
            raise ConfigError(f"{invocation.plugin.name} is a target, which takes no catalog.", "Name a tap.")
        document = invocation.catalog(show)
        if document is None:
            raise ConfigError(
                f"{invocation.plugin.name} takes no catalog.",
                "If it does take one, list its capabilities in meltano.yml: [catalog, discover, state].",
            )
    else:
        document = invocation.plugin.config
        if invocation.plugin.secrets and sys.stdout.isatty():
            logger.warning(
                "Secrets are shown, as the plugin gets them. Masked: flow config print %s",
                invocation.plugin.name,
            )
    click.echo(json.dumps(document, indent=2))
    return EXIT_OK
