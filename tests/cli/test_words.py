"""The words of a command: what is of another kind than its place asks for is refused before anything starts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Command, Result
from projects import script, write_project
from streams import framed, messages

from flow_singer.state.systemdb import SqliteStore

Flow = Callable[..., Result]

FIXTURES = Path(__file__).parents[1] / "fixtures"


def _errors(result: Result) -> list[str]:
    return [line.removeprefix("Error: ") for line in result.stderr.splitlines() if line.startswith("Error: ")]


@pytest.fixture
def project(tmp_path: Path, command: Command) -> Path:
    """Taps and targets in meltano.yml and on PATH; each leaves `started` behind when it starts."""
    started = tmp_path / "started"
    on_path = tmp_path / "path"
    on_path.mkdir()
    for name in ("tap-path", "target-path", "mine"):
        file = on_path / name
        file.write_text(f"#!/bin/sh\ntouch {started}\n")
        file.chmod(0o755)
    command.env["PATH"] = f"{on_path}:{command.env['PATH']}"

    def plugin(name: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "namespace": "x", "executable": str(on_path / "mine"), **more}

    (tmp_path / "meltano.yml").write_text(
        json.dumps(
            {
                "plugins": {
                    "extractors": [
                        plugin("tap-x", capabilities=["catalog", "discover", "state"]),
                        plugin("source"),
                        {"name": "odd", "namespace": "odd", "executable": "target-csv"},
                        plugin("sinks", capabilities=["about", "target-schema", "hard-delete"]),
                        plugin("both"),
                    ],
                    "loaders": [
                        plugin("target-x"),
                        plugin("warehouse"),
                        {"name": "strange", "namespace": "strange", "executable": "tap-demo"},
                        plugin("reads", capabilities=["catalog", "discover", "state"]),
                        plugin("both"),
                    ],
                    "mappers": [plugin("mapper", mappings=[{"name": "hide", "config": {}}])],
                    "utilities": [plugin("dbt")],
                },
                "jobs": [
                    {"name": "command", "tasks": ["dbt:run"]},
                    {"name": "turned", "tasks": ["tap-x target-x", "target-x tap-x"]},
                    {"name": "two-taps", "tasks": ["tap-x", "source", "target-x"]},
                    {"name": "unknown", "tasks": ["tap-x target-x", "tap-x target-y"]},
                    {"name": "empty", "tasks": []},
                ],
            }
        )
    )
    return tmp_path


TAP_WANTED = ", but it stands where a tap belongs."
TARGET_WANTED = ", but it stands where a target belongs."


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("run target-x", f"'target-x' is a target in meltano.yml (plugins.loaders){TAP_WANTED}"),
        ("run warehouse", f"'warehouse' is a target in meltano.yml (plugins.loaders){TAP_WANTED}"),
        ("run target-csv", f"'target-csv' is a target{TAP_WANTED}"),
        ("run target-path", f"'target-path' is a target{TAP_WANTED}"),
        ("run ./path/target-path", f"'./path/target-path' is a target{TAP_WANTED}"),
        ("run odd", f"'odd' is a target by its executable 'target-csv'{TAP_WANTED}"),
        (
            "run sinks",
            f"'sinks' is a target by its capabilities (about, hard-delete, target-schema){TAP_WANTED}",
        ),
        ("run target-x tap-x", f"'target-x' is a target in meltano.yml (plugins.loaders){TAP_WANTED}"),
        ("run target-x target-x", f"'target-x' is a target in meltano.yml (plugins.loaders){TAP_WANTED}"),
        ("run target-x out/", f"'target-x' is a target in meltano.yml (plugins.loaders){TAP_WANTED}"),
        ("run target-x t.py", f"'target-x' is a target in meltano.yml (plugins.loaders){TAP_WANTED}"),
        ("run tap-x tap-x", f"'tap-x' is a tap in meltano.yml (plugins.extractors){TARGET_WANTED}"),
        ("run tap-x t.py source", f"'source' is a tap in meltano.yml (plugins.extractors){TARGET_WANTED}"),
        ("run tap-x tap-demo", f"'tap-demo' is a tap{TARGET_WANTED}"),
        ("run tap-x tap-path", f"'tap-path' is a tap{TARGET_WANTED}"),
        ("run tap-x strange", f"'strange' is a tap by its executable 'tap-demo'{TARGET_WANTED}"),
        (
            "run tap-x reads",
            f"'reads' is a tap by its capabilities (catalog, discover, state){TARGET_WANTED}",
        ),
        (
            "run tap-x source target-x",
            f"'source' is a tap in meltano.yml (plugins.extractors){TARGET_WANTED}",
        ),
        (
            "run tap-x target-x target-x tap-x",
            f"'target-x' is a target in meltano.yml (plugins.loaders){TAP_WANTED}",
        ),
        ("run mine mine", "'mine' cannot be both tap and target."),
        ("run t.py", "'t.py' is a file of functions, but it stands where a tap belongs."),
        ("run out/", "There is no folder out/."),
        ("run tap-x --to source", f"'source' is a tap in meltano.yml (plugins.extractors){TARGET_WANTED}"),
        ("run tap-x --to tap-demo", f"'tap-demo' is a tap{TARGET_WANTED}"),
        ("run tap-x --to target-y", "There is no target 'target-y'."),
        ("load tap-x", f"'tap-x' is a tap in meltano.yml (plugins.extractors){TARGET_WANTED}"),
        ("load source", f"'source' is a tap in meltano.yml (plugins.extractors){TARGET_WANTED}"),
        ("load tap-demo", f"'tap-demo' is a tap{TARGET_WANTED}"),
        ("load tap-path", f"'tap-path' is a tap{TARGET_WANTED}"),
        ("load strange", f"'strange' is a tap by its executable 'tap-demo'{TARGET_WANTED}"),
        ("load reads", f"'reads' is a tap by its capabilities (catalog, discover, state){TARGET_WANTED}"),
        ("run dbt", "'dbt' is a command of a utility, which Flow does not run yet."),
        ("run dbt:run", "'dbt:run' is a command of a utility, which Flow does not run yet."),
        ("run other:run", "'other:run' is a command of a utility, which Flow does not run yet."),
        ("run tap-x:test", "'tap-x:test' is a command of the tap tap-x, which Flow does not run yet."),
        ("load dbt:run", "'dbt:run' is a command of a utility, which Flow does not run yet."),
        ("run command", "'dbt:run' is a command of a utility, which Flow does not run yet."),
        ("run tap-x target-x dbt:run", "'dbt:run' is a command of a utility, which Flow does not run yet."),
        ("run hide", "'hide' is a mapper, which flow run does not start yet."),
        ("run mapper", "'mapper' is a mapper, which flow run does not start yet."),
        ("load hide", "'hide' is a mapper, which flow run does not start yet."),
        ("run turned", f"'target-x' is a target in meltano.yml (plugins.loaders){TAP_WANTED}"),
        ("run two-taps", f"'source' is a tap in meltano.yml (plugins.extractors){TARGET_WANTED}"),
        ("run unknown", "There is no target 'target-y'."),
        ("run empty", "The job 'empty' has no tasks."),
    ],
)
def test_a_word_in_a_wrong_place_is_refused_before_anything_starts(
    project: Path, flow: Flow, words: str, told: str
) -> None:
    (project / "t.py").write_text("def s(df):\n    return df\n")
    result = flow(*words.split(), stdin=framed(messages(3)))
    assert result.code == 2, result.stderr
    assert len(_errors(result)) == 1
    assert _errors(result)[0].startswith(told)
    assert result.stdout == b""
    assert not (project / "started").exists()
    assert SqliteStore(project / ".meltano" / "meltano.db").list() == ()


def test_a_job_is_named_where_its_tasks_are_wrong(project: Path, flow: Flow) -> None:
    assert "It stands in the tasks of the job 'two-taps'." in flow("run", "two-taps").stderr
    hint = flow("run", "command").stderr
    assert "the command by itself, after it in your schedule" in hint
    assert "It stands in the tasks of the job 'command'." in hint


def test_a_command_of_a_utility_is_refused_without_a_project_too(flow: Flow) -> None:
    result = flow("run", "dbt:run")
    assert result.code == 2
    assert _errors(result) == ["'dbt:run' is a command of a utility, which Flow does not run yet."]


def test_a_name_that_meltano_yml_has_for_both_kinds_is_each_in_its_place(tmp_path: Path, flow: Flow) -> None:
    script(tmp_path / "own", "reads", FIXTURES / "taps" / "counts.py")
    script(tmp_path / "own", "writes", FIXTURES / "targets" / "durable.py")
    write_project(
        tmp_path,
        taps={"both": {"executable": "./own/reads", "config": {"count": 3}}},
        targets={"both": {"executable": "./own/writes", "config": {"rows": str(tmp_path / "rows")}}},
    )
    result = flow("run", "both", "both")
    assert result.code == 0, result.stderr
    assert len((tmp_path / "rows").read_text().splitlines()) == 3


def test_a_tap_that_says_of_itself_that_it_is_a_target_is_refused(tmp_path: Path, command: Command) -> None:
    about = json.dumps(
        {"name": "mine", "capabilities": ["about", "stream-maps", "target-schema", "hard-delete"]}
    )
    file = tmp_path / "mine"
    file.write_text(f"#!/bin/sh\ncase $* in *--about*) echo '{about}';; *) touch {tmp_path}/started;; esac\n")
    file.chmod(0o755)
    for words in (("run", "./mine"), ("run", "./mine", "out/")):
        result = command.flow(*words)
        assert result.code == 2
        assert _errors(result) == [
            "./mine is no tap: it says of itself that it can hard-delete, target-schema."
        ]
        assert not (tmp_path / "started").exists()
        assert not (tmp_path / "out").exists()
