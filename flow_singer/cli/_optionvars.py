"""Options from variables: `FLOW_OPTION` before the verb, `FLOW_VERB_OPTION` behind it."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

import click
from click.core import ParameterSource

from flow_singer.cli._general import apply_options_behind_verb, options_behind_verb
from flow_singer.errors import FlowError

logger = logging.getLogger("flow_singer")

# Not options: told to stages, read deeper down, or what images say of the version that they install.
OTHER_VARIABLES = frozenset(
    {"FLOW_STATUS_FD", "FLOW_SUPERVISOR", "FLOW_PROCESSES", "FLOW_BATCH_PATHS", "FLOW_VERSION"}
)
_OF_RUN = ("tap-", "tap_")
"""How a word begins that wants `flow run` before it."""
_AS_RUN = ("el", "elt")
"""Verbs of Meltano that `flow run` stands for."""
_SWITCHES_OF_TESTS = ("FLOW_TEST_", "FLOW_REQUIRE_")


class _Variables:
    """Gives each option its variable by its own name, and tells a mistake in one by that variable."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the words; an error knows the command that they are of."""
        try:
            return super().parse_args(ctx, args)  # type: ignore[misc, no-any-return]
        except click.UsageError as error:
            error.ctx = error.ctx or ctx
            raise

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that is about an option says which variable it came from."""
        try:
            return super().invoke(ctx)  # type: ignore[misc]
        except FlowError as error:
            _name_variables(error, ctx)
            raise


class Verb(_Variables, click.Command):
    """A verb of `flow`, or one of a group of them.

    Args:
        name: as it is typed.
        group: the verb before it: "state" of `flow state get`.
        attributes: of click.Command.
    """

    def __init__(self, name: str, *, group: str | None = None, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self.prefix = "_".join(word.upper() for word in ("flow", group, name) if word)
        _give_variables(self.params, self.prefix)
        self.params += options_behind_verb()

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command with the general options that were typed behind it."""
        apply_options_behind_verb(ctx)
        return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Say once which variables set the options."""
        super().format_epilog(ctx, formatter)
        own = [one for one in self.params if isinstance(one, click.Option) and one.envvar]
        if not own:
            return
        first = max(own[0].opts, key=len)
        others = [
            (variable, max(option.opts, key=len))
            for option in own
            for variable in tuple(option.envvar or ())[1:]
        ]
        with formatter.section("Variables"):
            formatter.write_text(
                f"Each option is a variable, too: {first} is {variable_of(own[0], self.prefix)}."
            )
            if others:
                formatter.write_dl(others)
        with formatter.section("General options"):
            formatter.write_text("Those of flow --help may stand here, too: --environment, -C, -q, -v, ...")


class VerbGroup(_Variables, click.Group):
    """Several verbs behind one word: `flow` itself, or `flow state`.

    Args:
        name: as it is typed.
        attributes: of click.Group.
    """

    def __init__(self, name: str, **attributes: Any) -> None:
        super().__init__(name, **attributes)
        _give_variables(self.params, "FLOW")

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command by its name; where there is none, say which is near and which there are."""
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-"):
            from flow_singer.nearnames import did_you_mean, near_names

            near = did_you_mean(near_names(args[0], names))
            if ctx.parent is None and args[0].startswith(_OF_RUN):
                near = did_you_mean([f"flow run {' '.join(args)}"])
            elif ctx.parent is None and args[0] in _AS_RUN:
                near = did_you_mean([" ".join(["flow run", *args[1:]])])
            said = f"No such command '{ctx.command_path} {args[0]}'."
            ctx.fail(f"{said} {near + ' ' if near else ''}Commands: {', '.join(names)}.")
        return super().resolve_command(ctx, args)


def _give_variables(params: Iterable[click.Parameter], prefix: str) -> None:
    """Name the variable of each option, in front of those that it has already.

    None for `--help`, `--version`, `--about`, which answer in place of the command, nor for what help hides.
    """
    for option in params:
        if isinstance(option, click.Option) and not option.is_eager and not option.hidden:
            known = [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
            option.envvar = [variable_of(option, prefix), *known]


def variable_of(option: click.Option, prefix: str) -> str:
    """The variable of an option: `--batch-records` is FLOW_TRANSFORM_BATCH_RECORDS."""
    long = max(option.opts, key=len).lstrip("-")
    return f"{prefix}_{long}".replace("-", "_").upper()


def variables_of(command: click.Command) -> dict[str, str]:
    """Each variable that a command listens to, and the option it sets."""
    return {
        variable: max(option.opts, key=len)
        for option in command.params
        if isinstance(option, click.Option)
        for variable in option.envvar or ()
    }


def set_variable(ctx: click.Context, name: str) -> str | None:
    """The variable that an option of the running command came from; None where it was typed or is a default.

    Args:
        ctx: of the command.
        name: of the parameter.
    """
    import os

    if ctx.get_parameter_source(name) is not ParameterSource.ENVIRONMENT:
        return None
    option = next(one for one in ctx.command.params if one.name == name)
    return next((one for one in option.envvar or () if os.environ.get(one)), None)


def is_given(ctx: click.Context, name: str) -> bool:
    """Whether an option was typed or came from a variable."""
    return ctx.get_parameter_source(name) in (ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT)


def blame_variable(error: click.ClickException) -> None:
    """Have a bad value told by the variable that it came from, else by the option that was typed."""
    if not isinstance(error, click.BadParameter) or error.ctx is None or error.param_hint is not None:
        return
    option = error.param
    if isinstance(option, click.Option) and option.name:
        variable = set_variable(error.ctx, option.name)
        error.param_hint = f"variable {variable}" if variable else f"'{max(option.opts, key=len)}'"


def _name_variables(error: FlowError, ctx: click.Context) -> None:
    import os

    from flow_singer.process.status import StatusWriter

    if StatusWriter(os.environ).supervised:
        return  # the supervisor hands by a variable what was typed
    for option in ctx.command.params:
        variable = set_variable(ctx, option.name) if option.name else None
        if variable is None or variable in str(error):
            continue
        long, value = max(option.opts, key=len), f"'{ctx.params.get(option.name or '')}'"
        if re.search(rf"{long}(?![\w-])", error.message) or value in error.message:
            error.hint = " ".join(filter(None, (error.hint, f"{long} came from the variable {variable}.")))


def warn_of_unknown(environ: Mapping[str, str], group: click.Group, ctx: click.Context) -> None:
    """Say which FLOW_... variables nothing listens to; `FLOW_LOAD_FROMAT` would pass in silence."""
    wanted = [
        name
        for name in environ
        if name.startswith("FLOW_")
        and name not in OTHER_VARIABLES
        and not name.startswith(_SWITCHES_OF_TESTS)
    ]
    if not set(wanted) - variables_of(group).keys():
        return  # the usual case: no verb is imported for it
    known = set(OTHER_VARIABLES) | _all_variables(group, ctx)
    for name in sorted(set(wanted) - known):
        from difflib import get_close_matches

        near = get_close_matches(name, known, n=2, cutoff=0.8)
        logger.warning(
            "%s is no variable of Flow, so it does nothing.%s",
            name,
            f" Did you mean {' or '.join(near)}?" if near else " flow VERB --help names those there are.",
        )


def _all_variables(command: click.Command, ctx: click.Context) -> set[str]:
    """The variables of a command and of all commands below it."""
    known = set(variables_of(command))
    if isinstance(command, click.Group):
        for name in command.list_commands(ctx):
            if (below := command.get_command(ctx, name)) is not None:
                known |= _all_variables(below, ctx)
    return known
