"""A Singer mapper that knows nothing of Flow, between two of its stages: meltano-map-transform."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .harness import GitHubServer, Project, tap_github

pytestmark = pytest.mark.connectors

MAPS = {
    "stream_maps": {
        "issues": {
            "id": "id",
            "title": "title",
            "shout": "title.upper()",
            "__else__": None,
        }
    }
}
ADD_LENGTH = "def issues(df):\n    return df.assign(length=df['shout'].str.len())\n"
OPEN_ISSUES = "def issues(df):\n    return df[df['state'] == 'open']\n"


@pytest.fixture
def pipe_project(make_project: Callable[..., Project]) -> Callable[[GitHubServer], Project]:
    def make(server: GitHubServer) -> Project:
        project = make_project(
            {
                "tap-github": tap_github(server),
                "target-jsonl": {"config": {"destination_path": "output", "do_timestamp_file": False}},
            }
        )
        project.write("map.json", json.dumps(MAPS))
        project.write("open.py", OPEN_ISSUES)
        project.write("length.py", ADD_LENGTH)
        return project

    return make


def test_a_mapper_works_between_two_transforms(
    pipe_project: Callable[[GitHubServer], Project],
    github: GitHubServer,
    executable: Callable[[str], Path],
) -> None:
    project = pipe_project(github)
    mapper = f"{executable('meltano-map-transform')} --config map.json"
    run = project.shell(
        f"flow run tap-github | flow transform open.py | {mapper} | flow transform length.py"
        " | flow load target-jsonl"
    ).check()
    lines = (project.root / "output" / "issues.jsonl").read_text(encoding="utf-8").split("\n")
    issues = [json.loads(line) for line in lines if line]
    assert len(issues) == 168
    for issue in issues:
        assert set(issue) == {"id", "title", "shout", "length"}
        assert issue["shout"] == issue["title"].upper()
        assert issue["length"] == len(issue["shout"])
    # The mapper writes every message anew and so drops the marks: the end is taken on trust, and said so.
    assert "complete" in run.stderr


def test_behind_a_mapper_an_incomplete_stream_is_refused_where_the_end_is_required(
    pipe_project: Callable[[GitHubServer], Project], executable: Callable[[str], Path]
) -> None:
    with GitHubServer(fail_after=4) as broken:
        project = pipe_project(broken)
        mapper = f"{executable('meltano-map-transform')} --config map.json"
        run = project.shell(f"flow run tap-github | {mapper} | flow load --require-end target-jsonl").check(
            75
        )
    assert "complete" in run.stderr


def test_a_mapper_that_fails_does_not_make_a_package(
    pipe_project: Callable[[GitHubServer], Project],
    github: GitHubServer,
    executable: Callable[[str], Path],
) -> None:
    project = pipe_project(github)
    project.write("map.json", '{"stream_maps": {"issues": {"shout": "no_such_name + 1"}}}')
    mapper = f"{executable('meltano-map-transform')} --config map.json"
    project.shell(f"flow run tap-github | {mapper} | flow load --require-end package/").check(75)
    assert not (project.root / "package").exists()
