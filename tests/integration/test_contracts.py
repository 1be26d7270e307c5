"""Contracts as a person gives them: `--contract`, `contract:` of a tap in meltano.yml, the setting of the target."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Result
from projects import write_project
from pushed import record, schema

Flow = Callable[..., Result]
NULLABLE = {"type": ["null", "integer"]}
OLD = schema("s", {"id": NULLABLE}) + record("s", {"id": 1})
NEW = (
    schema("s", {"id": NULLABLE, "b": {"type": "string"}})
    + record("s", {"id": 2})
    + record("s", {"id": 3, "b": "x"})
)
CHANGED = "stream 's': its SCHEMA is other than before: column 'b' added (string)."
REFUSED = (
    "Error: The SCHEMA of stream 's' is other than that of what is there: column 'b' added (string).\n"
    "Its contract is freeze. Let it evolve, leave such rows or values out, or select what was there before.\n"
)


def project(root: Path, messages: bytes, **more: Any) -> None:
    config = {"stdout": messages.decode()}
    targets = {"target-x": {"script": "durable.py", "config": {"rows": "rows"}}}
    environments = [
        {"name": "prod", "config": {"plugins": {"extractors": [{"name": "tap-x", "contract": "freeze"}]}}}
    ]
    write_project(
        root,
        taps={"tap-x": {"script": "says.py", "config": config, **more}},
        targets=targets,
        environments=environments,
    )


def rows(folder: Path) -> list[dict[str, Any]]:
    paths = sorted((folder / "data").iterdir())
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


@pytest.fixture
def package(tmp_path: Path, flow: Flow) -> Path:
    project(tmp_path, OLD)
    result = flow("run", "tap-x", "out/", "--format", "jsonl")
    assert (result.code, "other than before" in result.stderr) == (0, False)
    return tmp_path / "out"


def test_a_changed_schema_is_told_and_evolves(package: Path, flow: Flow) -> None:
    project(package.parent, NEW)
    result = flow("run", "tap-x", "out/", "--write-mode", "append")
    assert result.code == 0
    assert f"out: {CHANGED}\n" in result.stderr
    assert {"id": 3, "b": "x"} in rows(package)


def test_an_option_is_for_all_streams(package: Path, flow: Flow) -> None:
    project(package.parent, NEW)
    result = flow("run", "tap-x", "out/", "--contract", "freeze")
    assert (result.code, result.stderr.endswith(REFUSED)) == (65, True)
    assert rows(package) == [{"id": 1}]


def test_a_shell_pipe_has_it_too(package: Path, shell: Flow) -> None:
    project(package.parent, NEW)
    piped = "flow run tap-x --full-refresh | flow load out/ --format jsonl"
    result = shell(f"{piped} --contract discard-value")
    assert result.code == 0, result.stderr
    assert "1 value was left out" in result.stderr
    assert rows(package) == [{"id": 2}, {"id": 3}]


def test_what_is_left_out_goes_into_the_reject_file(package: Path, flow: Flow) -> None:
    project(package.parent, NEW)
    result = flow(
        "run", "tap-x", "out/", "--format", "jsonl", "--contract", "discard-row", "--reject", "bad.jsonl"
    )
    assert (result.code, rows(package)) == (66, [{"id": 2}])
    assert json.loads((package.parent / "bad.jsonl").read_text())["record"] == {"id": 3, "b": "x"}


@pytest.mark.parametrize("contract", ["freeze", {"s": "freeze"}, {"*": "evolve", "s": "freeze"}])
def test_a_tap_has_contracts_in_meltano_yml(package: Path, flow: Flow, contract: Any) -> None:
    project(package.parent, NEW, contract=contract)
    result = flow("run", "tap-x", "out/")
    assert (result.code, result.stderr.endswith(REFUSED)) == (65, True)
    assert flow("run", "tap-x", "out/", "--format", "jsonl", "--contract", "evolve").code == 0
    assert rows(package) == [{"id": 2, "b": None}, {"id": 3, "b": "x"}]


def test_an_environment_goes_before_the_tap(package: Path, flow: Flow) -> None:
    project(package.parent, NEW, contract="discard-row")
    assert flow("--environment", "prod", "run", "tap-x", "out/").code == 65
    assert flow("run", "tap-x", "out/", "--format", "jsonl").code == 0
    assert rows(package) == [{"id": 2}]


def test_an_entry_of_every_path_holds_for_data_that_are_typed(tmp_path: Path, flow: Flow) -> None:
    (tmp_path / "d.csv").write_text("id\n1\n")
    more = {"contract": "freeze", "expect": {"d": {"maximum": {"id": 5}}}}
    write_project(tmp_path, taps={"tap-datapackage": more})
    assert flow("run", "d.csv", "out/").code == 0
    (tmp_path / "d.csv").write_text("id,b\n1,x\n")
    result = flow("run", "d.csv", "out/")
    assert (result.code, "column 'b' added" in result.stderr) == (65, True)
    (tmp_path / "d.csv").write_text("id\n6\n")
    result = flow("run", "d.csv", "out/")
    assert (result.code, "maximum" in result.stderr) == (65, True)
    write_project(tmp_path, taps={"tap-datapackage": {**more, "config": {"path": "other.csv"}}})
    assert flow("run", "d.csv", "out/").code == 0


def test_a_name_that_is_no_stream_is_told(package: Path, flow: Flow) -> None:
    project(package.parent, NEW, contract={"S": "freeze"})
    result = flow("run", "tap-x", "out/")
    assert result.code == 0
    assert "contract names stream 'S', which did not come." in result.stderr


@pytest.mark.parametrize("args", [["run", "tap-x", "out/"], ["check"]])
def test_a_word_that_is_no_contract_is_told_with_its_line(package: Path, flow: Flow, args: list[str]) -> None:
    project(package.parent, NEW, contract={"s": "freez"})
    result = flow(*args)
    assert result.code == 2
    place = "meltano.yml:1: error" if args == ["check"] else "meltano.yml, line 1"
    said = result.stdout.decode() + result.stderr
    assert f"{place}: 'freez' is no contract. Did you mean freeze?" in said


def test_a_target_of_somebody_else_is_told_to_go_by_its_own(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, OLD, contract="freeze")
    result = flow("run", "tap-x", "target-x")
    assert result.code == 0
    assert (
        "contract of tap-x in meltano.yml is for Data Packages: target-x makes of a changed SCHEMA"
        in result.stderr
    )
    refused = flow("run", "tap-x", "target-x", "--contract", "freeze")
    assert refused.code == 2
    assert "--contract has no use here: there is no Data Package" in refused.stderr


@pytest.mark.parametrize("setting", [None, "discard-row", {"s": "discard-row"}])
def test_the_bundled_target_has_a_setting_and_takes_those_of_the_tap(
    package: Path, flow: Flow, setting: Any
) -> None:
    config = {"path": "out", "format": "jsonl", **({} if setting is None else {"contract": setting})}
    project(package.parent, NEW, contract="discard-row" if setting is None else "freeze")
    result = flow("run", "tap-x", "target-datapackage", "--target-config", json.dumps(config))
    assert result.code == 0, result.stderr
    assert rows(package) == [{"id": 2}]
    assert "1 row was left out" in result.log


def test_the_bundled_target_speaks_of_settings(package: Path, flow: Flow) -> None:
    project(package.parent, NEW)
    config = {"path": "out", "format": "jsonl", "contract": "freeze"}
    result = flow("run", "tap-x", "target-datapackage", "--target-config", json.dumps(config))
    assert result.code != 0
    assert "is other than that of what is there: column 'b' added (string)." in result.stderr
    assert rows(package) == [{"id": 1}]
