"""Settings that only the plugin itself declares: variables, kinds, secrets, and what sets nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import Result
from projects import FIXTURES, script, write_project

from flow_singer.plugins.programs import BUNDLED
from flow_singer.project.declared import declared_settings, schema_of, unknown_keys
from flow_singer.project.definitions import Setting


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Taps that declare their settings, and a target."""
    return write_project(
        tmp_path,
        taps={
            "tap-x": {"script": "declares.py"},
            "tap-x-eu": {"script": "declares.py"},
        },
        targets={"target-x": {"script": "tells_environment.py"}},
    )


def write_entry(root: Path, **entry: Any) -> None:
    """Write a project of the one tap that declares its settings."""
    own = {"script": "declares.py", "capabilities": ["state", "about"], **entry}
    write_project(root, taps={"tap-x": own})


def config_of(result: Result) -> dict[str, Any]:
    """The config that the tap was given."""
    assert result.code == 0, result.stderr
    (record,) = [one["record"] for one in result.messages if one["type"] == "RECORD"]
    return record["config"]


def warnings_of(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("Warning: ")]


@pytest.mark.parametrize("place", ["shell", ".env", "env: of the project", "env: of the tap"])
def test_a_variable_reaches_a_setting_that_only_the_plugin_declares(command, tmp_path, place):
    env = {"TAP_X_AUTH_TOKEN": "abc-token"}
    write_project(
        tmp_path,
        taps={"tap-x": {"script": "declares.py", **({"env": env} if place == "env: of the tap" else {})}},
        **({"env": env} if place == "env: of the project" else {}),
    )
    if place == ".env":
        (tmp_path / ".env").write_text("TAP_X_AUTH_TOKEN=abc-token\n")
    run = command.flow("run", "tap-x", env=env if place == "shell" else {})
    assert config_of(run) == {"auth_token": "abc-token"}
    assert warnings_of(run) == []


@pytest.mark.parametrize(
    ("name", "text", "config"),
    [
        ("PORT", "5432", {"port": 5432}),
        ("RATIO", "0.5", {"ratio": 0.5}),
        ("DEEP", "on", {"deep": True}),
        ("DEEP", "off", {"deep": False}),
        ("REPOSITORIES", '["a/b"]', {"repositories": ["a/b"]}),
        ("START_DATE", "2024-01-01T00:00:00Z", {"start_date": "2024-01-01T00:00:00Z"}),
        ("EITHER", "5", {"either": "5"}),
        ("MANY", "5", {"many": 5}),
        ("MANY", "[5]", {"many": [5]}),
        ("TUNNEL_HOST", "h", {"tunnel": {"host": "h"}}),
        ("TUNNEL_PORT", "22", {"tunnel": {"port": 22}}),
        ("TUNNEL", '{"host": "h", "port": 22}', {"tunnel": {"host": "h", "port": 22}}),
        ("STREAM_MAPS", '{"a": {"b": "c"}}', {"stream_maps": {"a": {"b": "c"}}}),
        ("AUTH_TOKEN", "", {"auth_token": ""}),
        ("AUTH_TOKEN", "123", {"auth_token": "123"}),
    ],
)
def test_the_plugin_s_own_kind_decides_what_a_text_becomes(command, project, name, text, config):
    assert config_of(command.flow("run", "tap-x", env={f"TAP_X_{name}": text})) == config


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("PORT", "many", "not an integer"),
        ("PORT", "", "not an integer"),
        ("DEEP", "ture", "not true or false"),
        ("REPOSITORIES", "a/b", "not an array written as JSON"),
        ("START_DATE", "3 days ago", "not an ISO 8601 date"),
        ("TUNNEL_PORT", "x", "not an integer"),
    ],
)
def test_a_text_that_does_not_fit_the_plugin_s_own_kind_is_an_error(command, project, name, text, message):
    run = command.flow("run", "tap-x", env={f"TAP_X_{name}": text})
    assert run.code == 2
    assert run.stdout == b""
    assert f"TAP_X_{name}), {message}" in run.stderr


def test_layers_keep_their_order_for_what_only_the_plugin_declares(command, tmp_path):
    write_entry(tmp_path, config={"port": "$PORT", "auth_token": "file"})
    assert config_of(command.flow("run", "tap-x", env={"PORT": "1"})) == {"port": 1, "auth_token": "file"}
    (tmp_path / ".env").write_text("TAP_X_PORT=2\nTAP_X_AUTH_TOKEN=dotenv\n")
    assert config_of(command.flow("run", "tap-x")) == {"port": 2, "auth_token": "dotenv"}
    shell = {"TAP_X_PORT": "3"}
    assert config_of(command.flow("run", "tap-x", env=shell)) == {"port": 3, "auth_token": "dotenv"}
    run = command.flow("run", "tap-x", "--config", '{"port": 4}', env=shell)
    assert config_of(run) == {"port": 4, "auth_token": "dotenv"}


def test_a_definition_in_meltano_yml_goes_before_what_the_plugin_declares(command, tmp_path):
    write_entry(tmp_path, settings=[{"name": "port", "kind": "string"}])
    run = command.flow("run", "tap-x", env={"TAP_X_PORT": "5", "TAP_X_DEEP": "yes"})
    assert config_of(run) == {"port": "5", "deep": True}


@pytest.mark.parametrize("given", ["variable", "config", "--config"])
def test_what_the_plugin_declares_secret_is_masked(command, tmp_path, given):
    write_entry(tmp_path, **({"config": {"pin": "hunter-2-hunter"}} if given == "config" else {}))
    arguments = ["--config", '{"pin": "hunter-2-hunter"}'] if given == "--config" else []
    env = {"TAP_X_PIN": "hunter-2-hunter"} if given == "variable" else {}
    run = command.flow("run", "tap-x", *arguments, env=env)
    assert config_of(run) == {"pin": "hunter-2-hunter"}
    assert "my pin is ***" in run.stderr
    assert "hunter" not in run.stderr


def test_a_plugin_is_asked_once_per_build(command, project):
    (project / "asked").touch()
    for _ in range(3):
        config_of(command.flow("run", "tap-x", env={"TAP_X_PORT": "1"}))
    assert (project / "asked").read_text() == "x"
    file = project / "bin" / "tap-x"
    file.write_text(file.read_text() + "\n")
    config_of(command.flow("run", "tap-x", env={"TAP_X_PORT": "1"}))
    assert (project / "asked").read_text() == "xx"


def test_a_plugin_is_not_asked_what_nobody_needs_to_know(command, project):
    (project / "asked").touch()
    config_of(command.flow("run", "tap-x"))
    config_of(
        command.flow("run", "tap-x", "--config", '{"port": 1}')
    )  # its capabilities do not mention about
    assert (project / "asked").read_text() == ""


@pytest.mark.parametrize("capabilities", [["state"], None], ids=["declared", "asked for"])
def test_a_plugin_without_about_takes_what_is_named_like_a_setting_and_tells(command, tmp_path, capabilities):
    entry = {"script": "says.py", "config": {}, "capabilities": capabilities}
    write_project(tmp_path, taps={"tap-old": entry})
    (tmp_path / ".env").write_text("TAP_OLD_STDERR=hello-from-env\nTAP_OLD__SELCT=x\n")
    run = command.flow("run", "tap-old", env={"TAP_OLD_LOGLEVEL": "DEBUG"})
    if capabilities:
        assert "tap-old: hello-from-env" in run.stderr
    assert warnings_of(run)[:2] == [
        "Warning: tap-old does not say which settings it has: TAP_OLD_STDERR (.env) is taken for its setting "
        "'stderr', as text.",
        "Warning: TAP_OLD__SELCT (.env) sets nothing: nothing reads that name. Did you mean TAP_OLD__SELECT?",
    ]


def test_a_guessed_secret_is_never_shown(command, tmp_path):
    write_project(tmp_path, taps={"tap-old": {"script": "says.py", "config": {"stderr": "it is hunter-22"}}})
    run = command.flow("run", "tap-old", env={"TAP_OLD_PASSWORD": "hunter-22"})
    assert "TAP_OLD_PASSWORD" in run.stderr
    assert "it is ***" in run.stderr
    assert "hunter" not in run.stderr


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("TAP_X_AUTH_TOKN", "tap-x has no setting 'auth_tokn'. Did you mean TAP_X_AUTH_TOKEN?"),
        ("TAP_X_AUTH__TOKEN", "tap-x has no setting 'auth__token'. Did you mean TAP_X_AUTH_TOKEN?"),
        ("tap_x_auth_token", "nothing reads that name. Did you mean TAP_X_AUTH_TOKEN?"),
        ("Tap_X_Auth_Token", "nothing reads that name. Did you mean TAP_X_AUTH_TOKEN?"),
        ("TAP_Y_AUTH_TOKEN", "nothing reads that name. Did you mean TAP_X_AUTH_TOKEN?"),
        ("MELTANO_EXTRACT_AUTH_TOKEN", "nothing reads that name. Did you mean TAP_X_AUTH_TOKEN?"),
        (
            "TAP_X_ZZZ",
            "tap-x has no setting 'zzz'. If it has one, list it under 'settings:' of tap-x in meltano.yml.",
        ),
    ],
)
@pytest.mark.parametrize("place", ["the environment", ".env"])
def test_a_variable_that_sets_nothing_is_told_with_near_names(command, project, name, told, place):
    if place == ".env":
        (project / ".env").write_text(f"{name}=abc-token\n")
    run = command.flow("run", "tap-x", env={name: "abc-token"} if place != ".env" else {})
    assert config_of(run) == {}
    assert warnings_of(run) == [f"Warning: {name} ({place}) sets nothing: {told}"]
    assert "abc-token" not in run.stderr


@pytest.mark.parametrize(
    "name",
    ["TAP_X_EU_AUTH_TOKEN", "TAP_X_LOGLEVEL", "TARGET_X_PORT", "TAP_ZENDESK_SUBDOMAIN", "TAPE", "TAP_X"],
)
def test_variables_of_others_are_left_alone(command, project, name):
    run = command.flow("run", "tap-x", env={name: "1"})
    assert config_of(run) == {}
    assert warnings_of(run) == []


def test_a_variable_that_another_plugin_mentions_still_sets_its_own(command, tmp_path):
    targets = {"target-x": {"script": "tells_environment.py", "config": {"greeting": "$TAP_OLD_STDERR"}}}
    write_project(tmp_path, taps={"tap-old": {"script": "says.py"}}, targets=targets)
    run = command.flow("run", "tap-old", env={"TAP_OLD_STDERR": "hello"})
    assert "tap-old: hello" in run.stderr
    assert "is taken for its setting 'stderr'" in run.stderr


def test_a_variable_that_meltano_yml_mentions_sets_what_is_written_there(command, tmp_path):
    entry = {"script": "says.py", "config": {"stderr": "$TAP_OLD_GREETING"}}
    write_project(tmp_path, taps={"tap-old": entry})
    run = command.flow("run", "tap-old", env={"TAP_OLD_GREETING": "hello"})
    assert "tap-old: hello" in run.stderr
    assert [line for line in warnings_of(run) if "GREETING" in line] == []


def test_a_supervised_run_tells_each_thing_once(command, project):
    env = {"TAP_X_AUTH_TOKN": "1", "TARGET_X_PATHH": "2"}
    run = command.flow("run", "tap-x", "target-x", env=env)
    assert run.code == 0, run.stderr
    assert sorted(line.partition(" (")[0] for line in warnings_of(run)) == [
        "Warning: TAP_X_AUTH_TOKN",
        "Warning: target-x does not say which settings it has: TARGET_X_PATHH",
    ]
    assert json.loads((project / "told.json").read_text())["config"] == {"pathh": "2"}


def test_a_lock_file_says_which_settings_there_are(command, tmp_path):
    entry = {"script": "says.py", "namespace": None}
    write_project(tmp_path, taps={"tap-old": entry})
    (tmp_path / "plugins" / "extractors").mkdir(parents=True)
    lock = {"name": "tap-old", "namespace": "tap_old", "settings": [{"name": "stderr"}]}
    (tmp_path / "plugins" / "extractors" / "tap-old--x.lock").write_text(json.dumps(lock))
    run = command.flow("run", "tap-old", env={"TAP_OLD_STDERR": "hello", "TAP_OLD_STDER": "no"})
    assert "tap-old: hello" in run.stderr
    assert (
        "Warning: TAP_OLD_STDER (the environment) sets nothing: tap-old has no setting 'stder'." in run.stderr
    )


def test_without_a_project_variables_set_what_the_plugin_declares(command, tmp_path):
    folder = tmp_path / "bin"
    script(folder, "tap-x", FIXTURES / "taps" / "declares.py")
    path = f"{folder}:{command.env['PATH']}"
    run = command.flow("run", "tap-x", env={"PATH": path, "TAP_X_PORT": "5", "TAP_X_PROT": "6"})
    assert config_of(run) == {"port": 5}
    assert "TAP_X_PROT (the environment) sets nothing" in run.stderr
    (tmp_path / ".env").write_text("TAP_X_PORT=7\n")  # of some other tool: there is no project
    assert config_of(command.flow("run", "tap-x", env={"PATH": path})) == {}


def test_variables_set_bundled_connectors_with_and_without_a_project(command, tmp_path):
    for _ in range(2):
        run = command.flow("run", "tap-demo", "--select", "issues.id", env={"TAP_DEMO_RECORDS": "3"})
        assert run.code == 0, run.stderr
        assert sum(one["type"] == "RECORD" for one in run.messages) == 3
        (tmp_path / "meltano.yml").write_text("version: 1\n")


def test_a_target_may_name_a_setting_that_only_its_tap_declares(command, project):
    entries = json.loads((project / "meltano.yml").read_text())
    entries["plugins"]["loaders"][0]["config"] = {"port": "$TAP_X_PORT", "of": "$MELTANO_EXTRACT_PORT"}
    (project / "meltano.yml").write_text(json.dumps(entries))
    (project / ".env").write_text("TAP_X_PORT=5\n")
    run = command.shell("flow run tap-x | flow load target-x", project)
    assert run.code == 0, run.stderr
    assert json.loads((project / "told.json").read_text())["config"] == {"port": "5", "of": "5"}


def test_an_undeclared_key_is_told_where_the_plugin_allows_more(command, tmp_path):
    write_entry(tmp_path, config={"prot": 1, "tunnel": {"hots": "h"}, "stream_maps": {"a": 1}})
    run = command.flow("run", "tap-x", "--config", '{"dep": true}')
    assert config_of(run) == {"prot": 1, "tunnel": {"hots": "h"}, "stream_maps": {"a": 1}, "dep": True}
    told = "declares no setting"
    assert [line.removeprefix("Warning: ") for line in warnings_of(run)] == [
        f"tap-x {told} 'dep' (--config); it is passed on as it is. Did you mean deep?",
        f"tap-x {told} 'prot' (meltano.yml, line 1); it is passed on as it is. Did you mean port?",
        f"tap-x {told} 'tunnel.hots' (meltano.yml, line 1); it is passed on as it is. Did you mean host?",
    ]


@pytest.mark.parametrize("given", ["config", "--config"])
def test_an_undeclared_key_is_an_error_where_the_plugin_forbids_more(command, tmp_path, given):
    entry: dict[str, Any] = {"executable": "./bin/tap-closed", "capabilities": ["about"]}
    script(tmp_path / "bin", "tap-closed", FIXTURES / "taps" / "declares.py")
    closed = tmp_path / "bin" / "declares_closed.py"
    closed.write_text((FIXTURES / "taps" / "declares.py").read_text())
    script(tmp_path / "bin", "tap-closed", closed)
    write_project(
        tmp_path, taps={"tap-x": {**entry, **({"config": {"prot": 1}} if given == "config" else {})}}
    )
    run = command.flow("run", "tap-x", *(["--config", '{"prot": 1}'] if given == "--config" else []))
    place = "--config" if given == "--config" else "meltano.yml, line 1"
    assert run.code == 2
    assert run.stdout == b""
    assert run.stderr == f"Error: tap-x has no setting 'prot' ({place}).\nDid you mean port?\n"


@pytest.mark.parametrize("name", ["tap-demo", "target-csv", "target-datapackage"])
def test_a_misspelt_setting_of_a_bundled_connector_is_found(command, tmp_path, name):
    text = {"tap-demo": "recrods", "target-csv": "output_pth", "target-datapackage": "pathh"}[name]
    option = json.dumps({text: 1})
    arguments = (
        ["run", "tap-demo", "--config", option] if name == "tap-demo" else ["load", name, "--config", option]
    )
    run = command.flow(*arguments, stdin=b"")
    assert f"setting '{text}' (--config)" in run.stderr
    assert "Did you mean" in run.stderr
    if name != "tap-demo":
        assert run.code == 2


BUNDLED_MODULES = [bundled.module for kind in BUNDLED.values() for bundled in kind.values()]


@pytest.mark.parametrize("module", BUNDLED_MODULES)
def test_what_a_bundled_connector_brings_along_is_what_it_says(module):
    said = json.loads(subprocess.check_output([sys.executable, "-m", module, "--about", "--format=json"]))
    folder = Path(sys.modules.get(module, __import__(module)).__file__).parent
    kept = json.loads((folder / "about.json").read_text())

    def names(schema: Any) -> Any:
        return {name: (one.get("type"), names(one)) for name, one in schema.get("properties", {}).items()}

    assert set(kept["capabilities"]) == set(said["capabilities"]), "run python docs/generate.py"
    assert names(kept["settings"]) == names(said["settings"])
    assert kept["settings"].get("additionalProperties") == said["settings"].get("additionalProperties")


def test_a_plugin_that_answers_about_with_its_data_is_stopped(command, tmp_path):
    tap = tmp_path / "tap-endless"
    tap.write_text('#!/bin/sh\ncase "$*" in *about*) exec yes;; esac\nexit 3\n')
    tap.chmod(0o755)
    write_project(
        tmp_path,
        taps={"tap-endless": {"executable": "./tap-endless", "config": {"a": 1}, "capabilities": ["about"]}},
    )
    run = command.flow("run", "tap-endless", timeout_s=30)
    assert run.code == 69
    assert not [name for name in os.listdir(command.env["TMPDIR"]) if "about" in name]


def test_settings_are_read_from_a_list_as_well():
    listed = [{"name": "port", "kind": "integer", "value": 5}, {"name": "pin", "sensitive": True}]
    assert declared_settings(listed) == (Setting("port", "integer"), Setting("pin", sensitive=True))
    assert declared_settings([{"kind": "integer"}]) == ()
    assert declared_settings("text") == ()
    assert declared_settings(None) == ()


def test_a_schema_of_settings_knows_nested_and_other_names():
    schema = schema_of([Setting("a.b"), Setting("port", aliases=("prt",))])
    config = {"a": {"b": 1, "c": 2}, "prt": 1, "a.b": 1, "x": None, "a.d": 1}
    assert [key.path for key in unknown_keys(config, schema)] == ["a.c", "a.d"]


@pytest.mark.parametrize(
    "schema",
    [
        {"properties": {"a": {}}, "additionalProperties": {"type": "string"}},
        {"properties": {"a": {}}, "patternProperties": {"x": {}}},
        {"properties": {"a": {}}, "oneOf": [{"properties": {"x": {}}}]},
        {"$ref": "#/$defs/config"},
        {},
    ],
)
def test_a_schema_with_rules_of_another_kind_finds_no_key_unknown(schema):
    assert list(unknown_keys({"x": 1}, schema)) == []
