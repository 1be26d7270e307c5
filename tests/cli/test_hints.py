"""Hints name what exists: each option that a message speaks of belongs to the command it can be given to."""

from __future__ import annotations

import ast
import importlib
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
VERBS = ("init", "run", "transform", "load")
OF_PLUGINS = {"--about", "--help", "--discover", "--properties", "--state", "--config", "--editable"}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
WORDS = {"Error", "warning", "info", "error"}
"""How the names of calls end that say something to a person."""


def options_of(verb: str) -> set[str]:
    command: click.Command = importlib.import_module(f"flow_singer.cli.{verb}").command
    return {name for option in command.params for name in [*option.opts, *option.secondary_opts]}


ALL = {name for option in flow.params for name in option.opts} | {
    name for verb in VERBS for name in options_of(verb)
}


def said() -> Iterator[tuple[str, str]]:
    """Where something is said to a person, and the text, with gaps for values."""
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                if any(called.endswith(word) for word in WORDS) or called.startswith("_"):
                    for one in ast.walk(node):
                        if isinstance(one, ast.Constant) and isinstance(one.value, str):
                            yield f"{file.name}:{one.lineno}", one.value


def test_every_option_that_is_spoken_of_exists() -> None:
    found = {(where, name) for where, text in said() for name in OPTION.findall(text)}
    assert len(found) > 20
    assert {(where, name) for where, name in found if name not in ALL | OF_PLUGINS} == set()


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
        ("or set such records aside with --reject FILE.", "load", "with FLOW_LOAD_REJECT=FILE."),
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
