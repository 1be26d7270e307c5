"""Options that would do nothing where they stand: refused where they were typed, told where a variable set them."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

import click

from flow_singer.cli._optionvars import is_given, set_variable
from flow_singer.errors import ConfigError

logger = logging.getLogger("flow_singer")


@dataclass(frozen=True)
class Idle:
    """An option that would do nothing here.

    Attributes:
        name: of its parameter.
        reason: the rest of a sentence that begins with the option.
        way_out: what to do.
        label: how to name it where its own name does not do.
        typed_too: whether it is only told where it was typed, too.
    """

    name: str
    reason: str
    way_out: str = "Leave it out."
    label: str | None = None
    typed_too: bool = False


def _spelt(option: click.Parameter, value: object) -> str | None:
    """How an option is spelt for its value; None for a flag that a variable switched off (FLOW_RUN_FORCE=0)."""
    if value is not False:
        return max(option.opts, key=len)
    return max(option.secondary_opts, key=len, default=None)


def refuse_idle(idle: Iterable[Idle]) -> None:
    """Refuse the options of the running command that were typed though they would do nothing.

    A variable may hold for many commands, so one that does nothing for this one is told, no more.

    Raises:
        ConfigError: one was typed.
    """
    ctx = click.get_current_context()
    options = {one.name: _spelt(one, ctx.params.get(one.name or "")) for one in ctx.command.params}
    for one in idle:
        if not is_given(ctx, one.name):
            continue
        if options[one.name] is None:
            continue
        if variable := set_variable(ctx, one.name):
            logger.warning("The variable %s %s", variable, one.reason)
            continue
        option = one.label or options[one.name]
        if not one.typed_too:
            raise ConfigError(f"{option} {one.reason}", one.way_out)
        logger.warning("%s %s", option, one.reason)
