"""`flow test`, and `flow config test`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

import click

from flow_singer.cli import _options, _terminal
from flow_singer.cli._answers import confirm
from flow_singer.cli._completion import complete_plugin
from flow_singer.cli._context import Cli
from flow_singer.cli._optionvars import Verb
from flow_singer.errors import EXIT_OK, FlowError

T = TypeVar("T")


@click.command("test", cls=Verb)
@click.argument("plugin", metavar="PLUGIN", shell_complete=complete_plugin)
@_options.tap_config
@_options.yes
@click.pass_obj
def command(cli: Cli, plugin: str, config: str | None, yes: bool) -> int:
    """Find out whether a plugin works with its settings.

    A tap is configured, discovered, and run until its first record; no bookmark is read or moved. A target is
    started on an empty input, and, if that is agreed to, given one record of a stream 'flow_test', which it writes
    to where its settings say. A line on stdout for each step; the exit code is that of the step that failed.

    \b
    flow test tap-github
    flow test target-csv --yes
    """
    return run_test(cli, plugin, config=config, yes=yes)


def run_test(cli: Cli, name: str, *, config: str | None = None, yes: bool = False) -> int:
    """Test a plugin; see `command`.

    Args:
        cli: the general options.
        name: of the plugin.
        config: of the command line, over its settings.
        yes: whether a target may write its record without a question.

    Raises:
        FlowError: of the step that failed.
    """
    from flow_singer.cli._asking import asking_plugin
    from flow_singer.stages import plugintest
    from flow_singer.stages.invocation import prepare_invocation
    from flow_singer.wording import count_of

    with asking_plugin(cli, name) as show:
        found = _step("configured", lambda: prepare_invocation(cli.workspace, name, config=config))
        _say("ok", "configured", count_of(len(found.plugin.config), "setting"))
        if found.is_tap:
            streams = _step("discovered", lambda: plugintest.check_discovery(found, show))
            _say("ok" if streams else "skipped", "discovered", streams or "it takes no catalog")
            stream = _step("read a record", lambda: plugintest.read_one_record(found, show))
            _say("ok", "read a record", f"of stream '{stream}'")
            return EXIT_OK
        _step("started", lambda: plugintest.start_target(found, show))
        _say("ok", "started", "on an empty input")
    if not yes and not (sys.stdin.isatty() and sys.stderr.isatty()):
        _say("skipped", "took a record", f"it would write to where its settings say: flow test {name} --yes")
        return EXIT_OK
    confirm(
        f"{name} writes a stream '{plugintest.STREAM}' with one record to where its settings say. Go on?",
        yes=yes,
    )
    with asking_plugin(cli, name) as show:
        _step("took a record", lambda: plugintest.write_one_record(found, show))
    _say("ok", "took a record", f"of stream '{plugintest.STREAM}'; its STATE came back")
    return EXIT_OK


def _step(what: str, do: Callable[[], T]) -> T:
    try:
        return do()
    except FlowError:
        _say("failed", what, "")
        raise


def _say(how: str, what: str, seen: str) -> None:
    """A line on stdout; a live line that stands there goes first."""
    if _terminal.can_draw():
        _terminal.draw("")
    click.echo(f"{how:<8} {what}{': ' if seen else ''}{seen}")
