"""Hints name what exists: each option that a message speaks of belongs to the command it can be given to."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from flow_target_csv.target import TargetCSV

from flow_singer.cli._hints import in_words_of_run
from flow_singer.cli.group import flow
from flow_singer.datapackage.sdktarget import as_settings

PACKAGE = Path(__file__).parents[2] / "flow_singer"
OF_PLUGINS = {"--about", "--help", "--discover", "--properties", "--state", "--config", "--editable"}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
WORDS = ("Error", "warning", "info", "error", "fail", "failure", "fault", "Idle")
"""How the names of calls end that say something to a person."""
KEPT = {"hint", "said", "message", "why", "advice", "way_out", "near"}
"""Names to which a text is given before it is said."""


def options_of(*path: str) -> set[str]:
    """The options of a command, with those that may stand behind each of them."""
    command: click.Command = flow
    for name in path:
        assert isinstance(command, click.Group)
        below = command.get_command(click.Context(command), name)
        assert below is not None
        command = below
    return {name for option in command.params for name in [*option.opts, *option.secondary_opts]}


def all_options(command: click.Command) -> set[str]:
    own = {name for option in command.params for name in [*option.opts, *option.secondary_opts]}
    if isinstance(command, click.Group):
        ctx = click.Context(command)
        for name in command.list_commands(ctx):
            below = command.get_command(ctx, name)
            assert below is not None
            own |= all_options(below)
    return own


ALL = all_options(flow)


VERB = re.compile(r"(?<![\w/-])flow ([a-z][a-z-]*)\b(?!-)")
NO_VERBS = {"does", "may", "itself", "cannot"}
"""What stands behind `flow` in a sentence."""


def said() -> Iterator[tuple[str, str]]:
    """Where something is said to a person, and the text, with gaps for values."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            says = False
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                says = called.endswith(WORDS) or called.startswith("_")
            elif isinstance(node, ast.Assign):
                says = any(getattr(target, "id", "") in KEPT for target in node.targets)
            if says:
                for one in ast.walk(node):
                    if isinstance(one, ast.Constant) and isinstance(one.value, str):
                        yield f"{file.name}:{one.lineno}", one.value


def test_every_option_that_is_spoken_of_exists() -> None:
    found = {(where, name) for where, text in said() for name in OPTION.findall(text)}
    assert len(found) > 20
    assert {(where, name) for where, name in found if name not in ALL | OF_PLUGINS} == set()


def test_every_verb_that_is_spoken_of_exists() -> None:
    assert isinstance(flow, click.Group)
    verbs = {*flow.list_commands(click.Context(flow))}
    found = {(where, name) for where, text in said() for name in VERB.findall(text)}
    assert {name for _, name in found} >= {"run", "load", "transform"}
    assert {(where, name) for where, name in found if name not in verbs | NO_VERBS} == set()


def test_an_option_stands_behind_a_verb_that_has_it() -> None:
    """`flow transform FILE.py --reject FILE`: the command as a message writes it can be typed."""
    wrong = set()
    for where, text in said():
        for verb, rest in re.findall(r"\bflow (run|transform|load|init)\b([^|;.,]*)", text):
            wrong |= {(where, verb, name) for name in OPTION.findall(rest) if name not in options_of(verb)}
    assert wrong == set()


@pytest.mark.parametrize("room", ["tabular", "singer"])
def test_what_is_said_of_data_can_be_done_in_each_command_that_reads_it(room: str) -> None:
    texts = [
        text
        for file in [*(PACKAGE / room).rglob("*.py"), PACKAGE / room]
        if file.is_file()
        for text in re.findall(r'"([^"\n]*--[a-z][^"\n]*)"', file.read_text(encoding="utf-8"))
    ]
    names = {name for text in texts for name in OPTION.findall(text)}
    assert names
    for verb in ("transform", "load"):
        assert names <= options_of(verb)
    TargetCSV.append_builtin_config(TargetCSV.config_jsonschema)
    assert {"nan", "reject_file", "max_rejects"} <= TargetCSV.config_jsonschema["properties"].keys()
    hints = [text for text in texts if not text.startswith("flow transform sets")]
    assert not [
        name for text in hints for name in OPTION.findall(as_settings(f"{text}")) if name != "--noise"
    ]


@pytest.mark.parametrize(
    ("hint", "verb", "expected"),
    [
        ("To read such values as null: --nan null.", "transform", "FLOW_TRANSFORM_NAN=null."),
        ("or set such records aside with --reject FILE.", "load", "aside with --reject FILE."),
        ("If an empty stream is fine: --allow-empty.", "load", "fine: FLOW_LOAD_ALLOW_EMPTY=1."),
        (
            "run with --noise stderr; flow transform sets",
            "load",
            "run with --noise stderr; flow transform sets",
        ),
        ("flow transform sets bad lines aside with --reject FILE.", "load", "aside with --reject FILE."),
        ("Run: flow run x --full-refresh", "load", "flow run x --full-refresh"),
    ],
)
def test_a_stage_s_hint_is_put_into_the_words_of_flow_run(hint: str, verb: str, expected: str) -> None:
    assert in_words_of_run(hint, verb).endswith(expected)
