"""What a person sees while a tap is asked for something: that it lives, and what it says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from flow_singer.cli._context import Cli
from flow_singer.cli._liveline import stage_line
from flow_singer.cli._pluginlines import PluginLines


@contextlib.contextmanager
def asking(cli: Cli, tap: str) -> Iterator[Callable[[str, str], None]]:
    """Show that a tap is being asked, until the block ends; Ctrl-C then ends the tap, too.

    Args:
        cli: the general options.
        tap: its name.

    Yields:
        What gets (name, line) of all it writes on stderr.

    Raises:
        ConfigError: it is no tap.
    """
    from flow_singer.cli._words import refuse_other_kind

    refuse_other_kind(cli.workspace, tap, "extractors")
    with asking_plugin(cli, tap) as show:
        yield show


@contextlib.contextmanager
def asking_plugin(cli: Cli, name: str) -> Iterator[Callable[[str, str], None]]:
    """The same for a tap or a target."""
    from flow_singer.process.interrupts import interruptible

    said = PluginLines(cli, name)
    with interruptible(), stage_line(cli, name, draws=True), said.told_on_failure():
        yield said.show
