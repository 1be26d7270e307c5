"""Mistakes in the words of a command, which click finds: told with what would be right."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click

from flow_singer.cli._optionvars import blame_variable
from flow_singer.nearnames import did_you_mean, near_names

_RANGE = re.compile(
    r"'?(?P<seen>.*?)'? is not (?:a valid (?:integer|float) range|in the range .*)\.", re.DOTALL
)
_COMMAND = re.compile(r": flow \w+ \S+$")
_EXTRA = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


def explain(error: click.ClickException) -> tuple[str, str | None]:
    """Return what to say of an error of click, and the next step."""
    if not isinstance(error, click.UsageError):
        return error.format_message(), None
    hint = f"Try: {error.ctx.command_path} --help" if error.ctx is not None else None
    blame_variable(error)
    if isinstance(error, click.NoSuchOption):
        return _no_such_option(error), hint
    if isinstance(error, click.BadParameter):
        if isinstance(error.param, click.Argument) and error.param_hint is None:
            error.param_hint = (
                (error.param.metavar or error.param.human_readable_name).removeprefix("[").removesuffix("]")
            )
            if isinstance(error, click.MissingParameter) and error.ctx is not None:
                return f"{error.ctx.command_path} needs {error.param_hint}.", hint
        kind = error.param.type if error.param is not None else None
        if isinstance(kind, (click.IntRange, click.FloatRange)) and (
            found := _RANGE.fullmatch(error.message)
        ):
            seen = found["seen"].removesuffix(".0")
            said = f"'{seen}' is not {allowed(kind)}."
            error = click.BadParameter(said, error.ctx, error.param, error.param_hint)
    elif (extra := _EXTRA.fullmatch(error.message)) and error.ctx is not None:
        return f"{error.ctx.command_path} has no use for {extra[1]!r}.", hint
    said = error.format_message()
    return said if said.endswith((".", "?")) or _COMMAND.search(said) else f"{said}.", hint


def allowed(kind: click.IntRange | click.FloatRange) -> str:
    """`a whole number from 1`, `a number from 0.01 to 60`."""
    noun = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    low = f" from {kind.min:g}" if kind.min is not None else ""
    return f"{noun}{low}" + (f" to {kind.max:g}" if kind.max is not None else "")


def _no_such_option(error: click.NoSuchOption) -> str:
    """Say which option is near, and which other commands have one of that name."""
    said = f"No such option '{error.option_name}'."
    if error.ctx is None:
        return said
    others = [
        path
        for path, command in _commands(error.ctx.find_root().command, error.ctx.find_root())
        if any(error.option_name in one.opts for one in command.params)
    ]
    if others:
        return f"{said} It is one of {' and '.join(others)}."
    own = [name for one in error.ctx.command.params for name in one.opts]
    near = near_names(error.option_name, own, cutoff=0.7)[:1]
    return f"{said} {did_you_mean(near)}".rstrip()


def _commands(command: click.Command, ctx: click.Context) -> Iterator[tuple[str, click.Command]]:
    """Each command below one, with the words that call it."""
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            if below is not None:
                inner = click.Context(below, parent=ctx, info_name=name)
                yield inner.command_path, below
                yield from _commands(below, inner)
