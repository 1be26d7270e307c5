"""Targets that nobody here wrote, fed by `flow load`: the same files as without Flow in between."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest

from .harness import GitHubServer, Json, Project, tap_github

pytestmark = pytest.mark.connectors

STREAMS = sorted(
    (
        str(path)
        for path in files("singer_sdk.testing.target_test_streams").iterdir()
        if path.name.endswith(".singer")
    ),
)
TARGETS = {
    "target-jsonl": {"destination_path": "output", "do_timestamp_file": False},
    "target-csv-meltanolabs": {"output_path": "output"},
}


def contents(folder: Path) -> dict[str, str]:
    """Text of each file in the folder the targets write to."""
    return {path.name: path.read_text(encoding="utf-8") for path in (folder / "output").iterdir()}


@pytest.mark.parametrize("target", list(TARGETS))
@pytest.mark.parametrize("stream", STREAMS, ids=[Path(stream).stem for stream in STREAMS])
def test_a_stream_of_the_sdk_s_suite_loads_as_without_flow(
    make_project: Callable[..., Project],
    executable: Callable[[str], Path],
    tmp_path: Path,
    target: str,
    stream: str,
) -> None:
    messages = Path(stream).read_bytes()
    project = make_project({target: {"config": TARGETS[target]}})
    alone = tmp_path / "alone"
    for folder in (project.root, alone):
        (folder / "output").mkdir(parents=True)
    (alone / "config.json").write_text(json.dumps(TARGETS[target]))
    direct = subprocess.run(
        [executable(target), "--config", "config.json"],
        cwd=alone,
        input=messages,
        capture_output=True,
        check=False,
    )
    run = project.flow("load", target, stdin=messages)
    if direct.returncode == 0:
        run.check(0)
        assert contents(project.root) == contents(alone)
    else:
        assert run.code in (65, 70), run.stderr
    assert run.stdout == ""


def test_a_foreign_target_never_sees_a_mark(
    make_project: Callable[..., Project], github: GitHubServer, tmp_path: Path
) -> None:
    seen = tmp_path / "seen.singer"
    project = make_project({"tap-github": tap_github(github)})
    spy = project.write("target-spy", f'#!/bin/sh\ncat > "{seen}"\n')
    spy.chmod(0o755)
    project.shell('PATH="$PWD:$PATH"; flow run tap-github | tee marked.singer | flow load target-spy').check()
    assert '"_flow"' in (project.root / "marked.singer").read_text()
    assert '"_flow"' not in seen.read_text()
    types = {json.loads(line)["type"] for line in seen.read_text().split("\n") if line}
    assert types == {"SCHEMA", "RECORD", "STATE"}


@pytest.mark.parametrize("target", list(TARGETS))
def test_a_target_that_cannot_write_ends_the_pipe_with_70(
    make_project: Callable[..., Project], github: GitHubServer, target: str
) -> None:
    plugins: dict[str, Json] = {"tap-github": tap_github(github), target: {"config": TARGETS[target]}}
    project = make_project(plugins)
    project.write("output", "a file where the folder should be")
    for command in (f"flow run tap-github | flow load {target}", f"flow run tap-github {target}"):
        run = project.shell(command).check(70)
        assert target in run.stderr
        assert "output" in run.stderr


def test_the_csv_of_meltanolabs_has_the_transformed_columns(
    make_project: Callable[..., Project], github: GitHubServer
) -> None:
    project = make_project(
        {
            "tap-github": tap_github(github),
            "target-csv-meltanolabs": {"config": TARGETS["target-csv-meltanolabs"]},
        }
    )
    (project.root / "output").mkdir()
    project.write("t.py", "def issues(df):\n    return df[df['state'] == 'open'][['id', 'title', 'state']]\n")
    project.shell("flow run tap-github | flow transform t.py | flow load target-csv-meltanolabs").check()
    lines = contents(project.root)["issues.csv"].splitlines()
    assert lines[0] == "id,title,state"
    assert len(lines) == 1 + 168
