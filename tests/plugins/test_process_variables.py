"""Which variables reach the process of a target: all that is shared, and nothing that is the tap's alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from projects import write_project

SHELL = {"PGPASSWORD": "shell"}
PLACES: dict[str, dict[str, Any]] = {
    ".env": {"dotenv": "PGPASSWORD=dotenv\n"},
    "root env": {"env": {"PGPASSWORD": "root"}},
    "environment env": {"environment": {"env": {"PGPASSWORD": "environment"}}},
    "tap env": {"tap": {"env": {"PGPASSWORD": "tap"}}},
    "tap's env in the environment": {"environment": {"tap": {"env": {"PGPASSWORD": "tap-overlay"}}}},
    "tap's exported setting": {
        "tap": {"settings": [{"name": "pw", "env": "PGPASSWORD"}], "config": {"pw": "tap-setting"}}
    },
    "target env": {"target": {"env": {"PGPASSWORD": "target"}}},
    "target's env in the environment": {"environment": {"target": {"env": {"PGPASSWORD": "target-overlay"}}}},
}
OWN = {
    ".env": "dotenv",
    "root env": "root",
    "environment env": "environment",
    "target env": "target",
    "target's env in the environment": "target-overlay",
}


def write(root: Path, *places: str) -> None:
    """Write a project that sets PGPASSWORD in each of these places."""
    merged: dict[str, Any] = {"env": {}, "tap": {}, "target": {}, "dotenv": "", "environment": {}}
    for place in places:
        for key, value in PLACES[place].items():
            merged[key] = value if isinstance(value, str) else {**merged[key], **value}
    overlays = [
        {"extractors": [{"name": "tap-x", **merged["environment"].get("tap", {})}]},
        {"loaders": [{"name": "target-x", **merged["environment"].get("target", {})}]},
    ]
    environment = {
        "name": "dev",
        "env": merged["environment"].get("env", {}),
        "config": {"plugins": overlays[0] | overlays[1]},
    }
    write_project(
        root,
        taps={"tap-x": {"script": "declares.py", **merged["tap"]}},
        targets={"target-x": {"script": "tells_environment.py", **merged["target"]}},
        default_environment="dev",
        environments=[environment],
        env=merged["env"],
    )
    (root / ".env").write_text(merged["dotenv"])


def environ_of_target(command, script: str, **env: str) -> dict[str, str]:
    run = command.shell(script, env=env)
    assert run.code == 0, run.stderr
    return json.loads((command.cwd / "told.json").read_text())["environ"]


PIPE = "flow run tap-x | flow load target-x"
SUPERVISED = "flow run tap-x target-x"


@pytest.mark.parametrize("in_shell", [False, True], ids=["", "and in the shell"])
@pytest.mark.parametrize("place", PLACES)
def test_the_target_gets_what_is_shared_and_nothing_of_the_tap_alone(command, tmp_path, place, in_shell):
    write(tmp_path, place)
    environ = environ_of_target(command, PIPE, **(SHELL if in_shell else {}))
    expected = OWN.get(place, "shell" if in_shell else None)
    if in_shell and place == ".env":
        expected = "shell"
    assert environ.get("PGPASSWORD") == expected


@pytest.mark.parametrize("place", [place for place in OWN if place != ".env"])
@pytest.mark.parametrize("of_tap", ["tap env", "tap's exported setting"])
def test_the_tap_s_own_value_takes_nothing_away_from_the_target(command, tmp_path, place, of_tap):
    write(tmp_path, ".env", place, of_tap)
    assert environ_of_target(command, PIPE, **SHELL)["PGPASSWORD"] == OWN[place]


def test_a_value_that_tap_and_target_share_by_chance_stays(command, tmp_path):
    write(tmp_path, ".env", "tap env")
    (tmp_path / ".env").write_text("PGPASSWORD=tap\nAWS_REGION=eu\n")
    environ = environ_of_target(command, SUPERVISED)
    assert (environ["PGPASSWORD"], environ["AWS_REGION"]) == ("tap", "eu")
    assert environ["MELTANO_ENVIRONMENT"] == "dev"
    assert environ["MELTANO_PROJECT_ROOT"] == str(tmp_path)


@pytest.mark.parametrize("script", [PIPE, SUPERVISED], ids=["pipe", "supervised"])
def test_the_settings_of_the_tap_do_not_reach_the_target(command, tmp_path, script):
    write(tmp_path, "root env")
    (tmp_path / ".env").write_text("TAP_X_AUTH_TOKEN=tap-token\nTARGET_X_PATH=out\n")
    environ = environ_of_target(command, script)
    assert not [name for name, value in environ.items() if "tap-token" in value]
    assert not [name for name in environ if name.startswith(("TAP_X", "MELTANO_EXTRACT"))]
    assert environ["TARGET_X_PATH"] == "out"


def test_a_target_may_ask_for_what_is_the_tap_s(command, tmp_path):
    write(tmp_path)
    entries = json.loads((tmp_path / "meltano.yml").read_text())
    entries["plugins"]["extractors"][0]["env"] = {"MINE": "tap-env", "PGPASSWORD": "tap-env"}
    entries["plugins"]["loaders"][0]["env"] = {
        "SAME": "$TAP_X_AUTH_TOKEN",
        "ITS": "$MINE",
        "PG": "$PGPASSWORD",
    }
    (tmp_path / "meltano.yml").write_text(json.dumps(entries))
    environ = environ_of_target(command, PIPE, TAP_X_AUTH_TOKEN="tap-token", **SHELL)
    assert (environ["SAME"], environ["ITS"], environ["PG"]) == ("tap-token", "tap-env", "shell")


def test_a_plugin_that_meltano_yml_does_not_mention_gets_the_shared_variables(command, tmp_path):
    write(tmp_path, "root env")
    entries = json.loads((tmp_path / "meltano.yml").read_text())
    entries["plugins"]["loaders"] = []
    (tmp_path / "meltano.yml").write_text(json.dumps(entries))
    (tmp_path / ".env").write_text("AWS_REGION=eu\n")
    path = f"{tmp_path / 'bin'}:{command.env['PATH']}"
    environ = environ_of_target(command, PIPE, PATH=path)
    assert (environ["PGPASSWORD"], environ["AWS_REGION"]) == ("root", "eu")
