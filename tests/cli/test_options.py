"""Options and their variables: what help shows is what works, and what does nothing is told."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from command import Command, Result
from projects import write_project
from streams import BOOKMARK, bookmark, bookmarked_id, framed, messages

from flow_singer.cli._optionvars import variables_of
from flow_singer.cli.group import flow as flow_group

Flow = Callable[..., Result]

SCHEMA = '{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}\n'
RECORDS = "".join(f'{{"type":"RECORD","stream":"s","record":{{"id":{n}}}}}\n' for n in range(9))
ANSWERS = {"--help", "--version", "--about"}  # in place of the command


def _commands(group: click.Group, path: str = "") -> dict[str, click.Command]:
    """Every command by its path, such as `state get`."""
    found: dict[str, click.Command] = {}
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        assert command is not None
        if isinstance(command, click.Group):
            found |= _commands(command, f"{path}{name} ")
        else:
            found[f"{path}{name}"] = command
    return found


COMMANDS = {"flow": flow_group, **_commands(flow_group)}
OPTIONS = [
    (name, max(option.opts, key=len))
    for name, command in COMMANDS.items()
    for option in command.params
    if isinstance(option, click.Option) and not option.hidden and max(option.opts, key=len) not in ANSWERS
]


def _option(command: str, long: str) -> click.Option:
    return next(one for one in COMMANDS[command].params if isinstance(one, click.Option) and long in one.opts)


def _sample(option: click.Option) -> tuple[str, Any]:
    """A text that is not the option's default, and what the command must see."""
    if option.is_flag:
        return "1", True
    if isinstance(option.type, click.Choice):
        other = next(one for one in reversed(option.type.choices) if one != option.default)
        return str(other), other
    if isinstance(option.type, (click.IntRange, click.FloatRange)):
        return "7", 7
    if isinstance(option.type, click.Path):
        return "some.json", Path("some.json")
    if option.multiple:
        return "a.* !a.b", ("a.*", "!a.b")
    return "some", "some"


@pytest.mark.parametrize(("command", "long"), OPTIONS, ids=" ".join)
def test_the_variable_that_help_shows_sets_the_option(
    monkeypatch: pytest.MonkeyPatch, command: str, long: str
) -> None:
    option = _option(command, long)
    shown = " ".join(COMMANDS[command].get_help(click.Context(COMMANDS[command], info_name=command)).split())
    prefix = "FLOW" if command == "flow" else f"FLOW_{command.upper().replace(' ', '_')}"
    documented = f"{prefix}_{long.lstrip('-').replace('-', '_').upper()}"
    assert f"Each option is a variable, too: --{'environment' if command == 'flow' else ''}" in shown
    assert set(option.envvar or ()) - {documented} == {
        name for name, spelt in variables_of(COMMANDS[command]).items() if spelt == long
    } - {documented}
    for other in set(option.envvar or ()) - {documented}:
        assert f"{other} {long} " in shown
    text, seen = _sample(option)
    monkeypatch.setenv(documented, text)
    ctx = COMMANDS[command].make_context(command, [], resilient_parsing=True)
    assert ctx.params[option.name] == seen


def test_help_says_how_the_variables_of_a_verb_are_called(flow: Flow) -> None:
    shown = " ".join(flow("load", "-h").stdout.decode().split())
    assert "Each option is a variable, too: --config is FLOW_LOAD_CONFIG. FLOW_STATE_ID --state-id " in shown


@pytest.mark.parametrize("long", sorted(ANSWERS))
def test_what_answers_in_place_of_the_command_takes_no_variable(long: str) -> None:
    name = long.lstrip("-").upper()
    listened = {variable for command in COMMANDS.values() for variable in variables_of(command)}
    assert not [variable for variable in listened if variable.endswith(f"_{name}")]


@pytest.mark.parametrize(
    "variables",
    [
        {"FLOW_VERSION": "1"},
        {"FLOW_VERSION": "0.1.0"},
        {"FLOW_HELP": "1"},
        {"FLOW_RUN_HELP": "1"},
        {"FLOW_TRANSFORM_ABOUT": "1"},
    ],
    ids=lambda one: next(iter(one.items())),
)
@pytest.mark.parametrize("words", [("run", "tap-x"), ("run", "tap-x", "t.py")], ids=["tap", "pipeline"])
def test_a_variable_never_makes_a_command_answer_something_else(
    nine: Path, flow: Flow, variables: dict[str, str], words: tuple[str, ...]
) -> None:
    result = flow(*words, env=variables)
    assert result.code == 0, result.stderr
    assert sum(one["type"] == "RECORD" for one in result.messages) == 9


@pytest.fixture
def nine(tmp_path: Path) -> Path:
    """A project whose tap-x writes nine records and whose target-x keeps them."""
    (tmp_path / "t.py").write_text("def s(df):\n    return df\n")
    return write_project(
        tmp_path,
        taps={"tap-x": {"script": "says.py", "config": {"stdout": SCHEMA + RECORDS}}},
        targets={"target-x": {"script": "durable.py", "config": {"rows": str(tmp_path / "rows")}}},
    )


# ----------------------------------------------------------------------------- variables of a whole run


@pytest.mark.parametrize(
    ("variables", "options", "written"),
    [
        ({"FLOW_RUN_FORMAT": "parquet"}, [], "s.parquet"),
        ({"FLOW_LOAD_FORMAT": "parquet"}, [], "s.parquet"),
        ({"FLOW_LOAD_FORMAT": "parquet"}, ["--format", "jsonl"], "s.jsonl"),
        ({"FLOW_RUN_FORMAT": "parquet"}, ["--format", "csv"], "s.csv"),
        ({"FLOW_RUN_FORMAT": "jsonl", "FLOW_LOAD_FORMAT": "parquet"}, [], "s.jsonl"),
    ],
    ids=["run", "load", "argument over load", "argument over run", "run over load"],
)
def test_the_format_of_a_supervised_run_comes_from_variables_too(
    nine: Path, flow: Flow, variables: dict[str, str], options: list[str], written: str
) -> None:
    result = flow("run", "tap-x", "out/", *options, env=variables)
    assert result.code == 0, result.stderr
    assert [file.name for file in (nine / "out" / "data").iterdir()] == [written]
    assert "does nothing" not in result.stderr


def test_the_format_of_a_package_in_a_pipe_comes_from_its_variable(nine: Path, shell: Flow) -> None:
    result = shell("flow run tap-x | flow load out/", env={"FLOW_LOAD_FORMAT": "parquet"})
    assert result.code == 0, result.stderr
    assert (nine / "out" / "data" / "s.parquet").exists()


def test_noise_of_one_stage_is_what_its_variable_says_unless_the_run_says_so(nine: Path, flow: Flow) -> None:
    config = json.dumps({"stdout": SCHEMA + "noise\n" + RECORDS})
    run = ["run", "tap-x", "target-x", "--config", config]
    assert flow(*run, env={"FLOW_LOAD_NOISE": "stderr"}).code == 65
    assert flow(*run, "--noise", "fail", env={"FLOW_RUN_NOISE": "stderr"}).code == 65
    assert flow(*run, env={"FLOW_RUN_NOISE": "stderr"}).code == 0


def test_a_bookmark_named_for_the_last_stage_is_that_of_the_whole_run(nine: Path, flow: Flow) -> None:
    write_project(
        nine,
        taps={"tap-x": {"script": "counts.py", "config": {"count": 5}}},
        targets={"target-x": {"script": "durable.py", "config": {"rows": str(nine / "rows")}}},
    )
    result = flow("run", "tap-x", "target-x", env={"FLOW_LOAD_STATE_ID": "mine"})
    assert result.code == 0, result.stderr
    assert bookmarked_id(nine, "mine") == 5
    assert bookmark(nine, BOOKMARK) is None
    two = flow("run", "tap-x", "target-x", env={"FLOW_LOAD_STATE_ID": "a", "FLOW_STATE_ID": "b"})
    assert two.code == 2
    assert "FLOW_STATE_ID and FLOW_LOAD_STATE_ID name two bookmarks for one pipeline: b, a." in two.stderr


# -------------------------------------------------------------------------------------- bad and unknown


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"FLOW_RUN_LIMIT": "x"}, "Invalid value for variable FLOW_RUN_LIMIT: 'x' is not a whole number"),
        ({"FLOW_RUN_FORMAT": "excel"}, "Invalid value for variable FLOW_RUN_FORMAT: 'excel' is not one of"),
        ({"FLOW_RUN_FORCE": "perhaps"}, "Invalid value for variable FLOW_RUN_FORCE: 'perhaps'"),
        ({"FLOW_LOG_LEVEL": "loud"}, "Invalid value for variable FLOW_LOG_LEVEL: 'loud' is not one of"),
        ({"MELTANO_RUN_FULL_REFRESH": "x"}, "Invalid value for variable MELTANO_RUN_FULL_REFRESH: 'x'"),
        ({"FLOW_RUN_CONFIG": "{bad"}, "--config came from the variable FLOW_RUN_CONFIG."),
        ({"FLOW_RUN_STATE": "none.json"}, "--state came from the variable FLOW_RUN_STATE."),
        ({"FLOW_ENVIRONMENT": "prd"}, "--environment came from the variable FLOW_ENVIRONMENT."),
        ({"FLOW_PROJECT": "nowhere"}, "--project came from the variable FLOW_PROJECT."),
        ({"FLOW_STATE_ID": "a/b"}, "--state-id came from the variable FLOW_STATE_ID."),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_bad_value_is_told_by_its_variable(
    nine: Path, flow: Flow, variables: dict[str, str], said: str
) -> None:
    result = flow("run", "tap-x", env=variables)
    assert (result.code, result.stdout) == (2, b"")
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_a_bad_value_of_another_stage_is_told_by_its_variable(nine: Path, flow: Flow) -> None:
    result = flow("run", "tap-x", "t.py", "out/", env={"FLOW_TRANSFORM_BATCH_RECORDS": "0"})
    assert result.code == 2
    assert (
        "Invalid value for variable FLOW_TRANSFORM_BATCH_RECORDS: '0' is not a whole number from 1."
        in result.stderr
    )


def test_a_typed_value_is_not_blamed_on_a_variable(nine: Path, flow: Flow) -> None:
    result = flow("run", "tap-x", "--limit", "0", env={"FLOW_RUN_LIMIT": "3"})
    assert "Error: Invalid value for '--limit': '0' is not a whole number from 1." in result.stderr
    assert "FLOW_RUN_LIMIT" not in result.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [("--target-config", "{bad"), ("--target-config", "none.json"), ("--config", "{bad")],
)
def test_a_broken_config_of_a_pipeline_is_told_by_the_option_that_was_typed(
    nine: Path, flow: Flow, option: str, value: str
) -> None:
    result = flow("run", "tap-x", "target-x", option, value)
    assert result.code == 2
    assert re.search(rf"Error: (Cannot read )?{option} ", result.stderr)
    assert not (nine / "rows").exists()


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("FLOW_LOAD_FROMAT", "Did you mean FLOW_LOAD_FORMAT"),
        ("FLOW_STATEID", "Did you mean FLOW_STATE_ID"),
        ("FLOW_ENVIROMENT", "Did you mean FLOW_ENVIRONMENT"),
        ("FLOW_TRANSFORM_REJECTS", "Did you mean FLOW_TRANSFORM_REJECT"),
        ("FLOW_XYZZY", "flow VERB --help names those there are"),
    ],
)
def test_an_unknown_variable_is_told_once_with_a_near_name(
    nine: Path, flow: Flow, name: str, near: str
) -> None:
    for words in (("run", "tap-x"), ("run", "tap-x", "out/")):
        result = flow(*words, env={name: "1"})
        assert result.code == 0, result.stderr
        told = [line for line in result.stderr.splitlines() if name in line]
        assert len(told) == 1
        assert told[0].startswith(f"Warning: {name} is no variable of Flow, so it does nothing. {near}")


def test_known_variables_are_not_warned_of(nine: Path, command: Command) -> None:
    variables = {variable: "" for one in COMMANDS.values() for variable in variables_of(one)}
    others = dict.fromkeys(["FLOW_TEST_X", "FLOW_REQUIRE_X", "FLOW_BATCH_PATHS", "FLOW_PROCESSES"], "")
    result = command.flow("run", "tap-x", env={**variables, **others})
    assert result.code == 0, result.stderr
    assert "no variable of Flow" not in result.stderr


# -------------------------------------------------------------------------------------- what does nothing


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["tap-x", "--target-config", "{}"], "--target-config has no use here"),
        (["tap-x", "--format", "csv"], "--format has no use here"),
        (["tap-x", "--force"], "--force has no use here"),
        (["tap-x", "t.py", "--force"], "--force has no use here"),
        (["tap-x", "t.py", "--format", "csv"], "--format has no use here"),
        (["tap-x", "target-x", "--format", "parquet"], "--format has no use here"),
        (["tap-x", "target-x", "--plain"], "--plain is for stdout, but the messages go to target-x."),
        (["tap-x", "out/", "--plain"], "--plain is for stdout"),
        (["tap-x", "out/", "--force"], "--force has no use for out/"),
        (["tap-x", "out/", "--state", "s.json"], "--state has no use for out/"),
        (["tap-x", "out/", "--to", "target-x"], "--to target-x goes with a shell pipe"),
        (["tap-x", "--limit", "1", "--state", "s.json"], "--state does nothing beside --limit"),
        (["tap-x", "--limit", "1", "--state-id", "x"], "--state-id does nothing beside --limit"),
        (["tap-x", "--limit", "1", "--to", "target-x"], "--to does nothing beside --limit"),
        (["tap-x", "target-x", "--limit", "1", "--state-id", "x"], "--state-id does nothing beside --limit"),
        (["tap-x", "--catalog", "c.json", "--select", "s"], "--select does nothing beside --catalog"),
        (["tap-x", "--catalog", "c.json", "--refresh-catalog"], "--refresh-catalog does nothing beside"),
        (["both", "--state", "s.json"], "--state is for one pipeline, but there are 2."),
        (["both", "--catalog", "c.json"], "--catalog is for one pipeline, but there are 2."),
        (["both", "--to", "target-x"], "--to target-x goes with a shell pipe"),
        (["both", "--format", "csv"], "--format has no use here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_of_run_that_would_do_nothing_is_refused(
    nine: Path, flow: Flow, words: list[str], told: str
) -> None:
    (nine / "s.json").write_text('{"bookmarks":{"s":{"id":1}}}')
    (nine / "c.json").write_text('{"streams":[]}')
    document = json.loads((nine / "meltano.yml").read_text())
    document["jobs"] = [{"name": "both", "tasks": ["tap-x target-x", "tap-x target-x"]}]
    (nine / "meltano.yml").write_text(json.dumps(document))
    result = flow("run", *words)
    assert result.code == 2, result.stderr
    assert f"Error: {told}" in result.stderr
    assert result.stdout == b""
    assert not (nine / "rows").exists()
    assert not (nine / "out").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["out/", "--state-id", "x"], "--state-id has no use for out/"),
        (["out/", "--force"], "--force has no use for out/"),
        (["out/", "--config", "{}"], "--config is for a target, and out/ is a Data Package."),
        (
            ["out/", "--format", "parquet", "--csv-null", "x"],
            "--csv-null is for CSV, and the format is parquet.",
        ),
        (["out/", "--format", "jsonl", "--csv-null", "x"], "--csv-null is for CSV, and the format is jsonl."),
        (["target-x", "--format", "parquet"], "--format is for a Data Package"),
        (["target-x", "--csv-null", "x"], "--csv-null is for a Data Package"),
        (["target-x", "--check"], "--check is for a Data Package"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_option_of_load_that_would_do_nothing_is_refused(
    nine: Path, flow: Flow, words: list[str], told: str
) -> None:
    result = flow("load", *words, stdin=framed(messages(3)))
    assert result.code == 2, result.stderr
    assert f"Error: {told}" in result.stderr
    assert not (nine / "rows").exists()
    assert not (nine / "out").exists()


def test_format_of_transform_is_for_about_alone(nine: Path, flow: Flow) -> None:
    result = flow("transform", "t.py", "--format", "json", stdin=framed(messages(1)))
    assert result.code == 2
    assert "Error: --format goes with --about." in result.stderr


def test_a_variable_that_does_nothing_for_one_command_is_told_and_no_more(nine: Path, flow: Flow) -> None:
    result = flow("load", "target-x", stdin=framed(messages(3)), env={"FLOW_LOAD_FORMAT": "parquet"})
    assert result.code == 0, result.stderr
    assert "Warning: The variable FLOW_LOAD_FORMAT is for a Data Package" in result.stderr
    result = flow("run", "tap-x", "out/", env={"FLOW_STATE_ID": "mine"})
    assert result.code == 0, result.stderr
    assert "Warning: The variable FLOW_STATE_ID has no use for out/" in result.stderr


def test_a_state_beside_a_full_refresh_is_left_aside_and_told(nine: Path, flow: Flow) -> None:
    (nine / "s.json").write_text('{"bookmarks":{"s":{"id":1}}}')
    for words in (("run", "tap-x"), ("run", "tap-x", "target-x")):
        result = flow(*words, "--full-refresh", "--state", "s.json")
        assert result.code == 0, result.stderr
        assert result.stderr.count("--state is left aside: --full-refresh begins at the beginning.") == 1, (
            result.stderr
        )
