"""Hints of a stage, in the words of the command that a person typed.

A stage of `flow run TAP T.py TARGET` names its own options, of which `flow run` has some only; the others reach
it as variables.
"""

from __future__ import annotations

import importlib
import re

import click

_OPTION = re.compile(r"(flow [a-z]+ [^.;]*?)?(--[a-z][a-z-]*)(?: (null|stderr|[A-Z]+\b))?")


def in_words_of_run(hint: str, verb: str) -> str:
    """The hint with variables in place of options that only the stage has.

    Args:
        hint: what a stage said.
        verb: its command.
    """
    own, ours = _options(verb), _options("run")

    def spelt(found: re.Match[str]) -> str:
        command, name, value = found.groups()
        if name in ours or name not in own or (command and not command.startswith(f"flow {verb} ")):
            return found[0]
        given = "1" if own[name].is_flag else value or own[name].metavar or "VALUE"
        return f"{command or ''}FLOW_{verb.upper()}_{name[2:].replace('-', '_').upper()}={given}"

    return _OPTION.sub(spelt, hint)


def _options(verb: str) -> dict[str, click.Option]:
    command: click.Command = importlib.import_module(f"flow_singer.cli.{verb}").command
    return {
        name: option for option in command.params if isinstance(option, click.Option) for name in option.opts
    }
