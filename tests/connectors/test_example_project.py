"""The meltano.yml of this repository: what its comments promise, run."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from .harness import REPOSITORIES, GitHubServer, Postgres, Project
from .requirements import CONNECTORS

ROOT = Path(__file__).parents[2]
TRANSFORM = "examples/quickstart/issues.py"


@pytest.fixture
def example(make_project: Callable[..., Project]) -> Project:
    """A copy of the example, in which plugins from PyPI are of the versions that all tests here use."""
    project = make_project({})
    text = (ROOT / "meltano.yml").read_text(encoding="utf-8")
    for name in re.findall(r"pip_url: meltanolabs-(\S+)", text):
        text = text.replace(f"pip_url: meltanolabs-{name}\n", f"pip_url: {CONNECTORS[name].pip_url}\n")
    project.write("meltano.yml", text)
    project.write(TRANSFORM, (ROOT / TRANSFORM).read_text(encoding="utf-8"))
    backend = {"MELTANO_STATE_BACKEND_URI": f"file://{project.root}/state"}
    return replace(project, environment={**project.environment, **backend})


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def commands_in_the_head() -> list[str]:
    text = (ROOT / "meltano.yml").read_text(encoding="utf-8")
    return re.findall(r"^#   (flow .*?)(?:  .*)?$", text, re.MULTILINE)


def test_the_head_of_the_file_names_what_is_tested_here() -> None:
    assert commands_in_the_head() == [
        "flow run demo",
        f"flow run tap-demo {TRANSFORM} target-csv",
        f"flow run tap-github | flow transform {TRANSFORM} | flow load target-csv",
        "flow --environment prod run tap-demo target-postgres",
    ]


def test_every_setting_of_the_example_resolves_in_every_environment(example: Project) -> None:
    from flow_singer.project.meltanofile import load_project
    from flow_singer.project.settings import resolve

    for environment in ("dev", "prod"):
        project = load_project(example.root, environ={}, environment=environment)
        configs = {
            plugin.name: resolve(project, plugin).config
            for kind in ("extractors", "loaders")
            for plugin in project.plugins(kind)
        }
        assert list(configs) == [
            "tap-demo",
            "tap-github",
            "target-csv",
            "target-datapackage",
            "target-postgres",
        ]
        assert configs["tap-demo"]["records"] == {"dev": 1000, "prod": 100000}[environment]
        assert configs["target-postgres"]["default_target_schema"] == f"flow_{environment}"


def test_the_job_needs_no_network_and_loses_nothing_when_run_again(example: Project) -> None:
    output = example.root / "output"
    found = []
    for _ in range(2):
        example.flow("run", "demo").check()
        issues = rows(output / "issues.csv")
        assert list(issues[0]) == ["id", "title", "author", "age_days", "labels", "updated_at"]
        found.append({issue["id"] for issue in issues})
        assert len(rows(output / "package" / "data" / "issues.csv")) == 1000
    assert 0 < len(found[0]) < 1000
    assert found[1] == found[0]


@pytest.mark.connectors
def test_the_pipe_takes_the_open_issues_of_github(example: Project, github: GitHubServer) -> None:
    variables = {
        "TAP_GITHUB_API_URL_BASE": github.url,
        "TAP_GITHUB_REPOSITORIES": json.dumps(list(REPOSITORIES)),
    }
    example.shell(
        f"flow run tap-github | flow transform {TRANSFORM} | flow load target-csv", env=variables
    ).check()
    wanted = {
        issue["id"]: issue["user"]["login"]
        for name in REPOSITORIES
        for issue in github.api.issues(name)
        if issue["state"] == "open"
    }
    assert {int(row["id"]): row["author"] for row in rows(example.root / "output" / "issues.csv")} == wanted
    assert all("since=2024-01-01" in request for request in github.api.requests if "/issues?" in request)


@pytest.mark.connectors
@pytest.mark.postgres
def test_the_database_comes_from_variables(
    example: Project, postgres: Postgres, new_schema: Callable[[str], str]
) -> None:
    schema = new_schema("example")
    variables = {f"TARGET_POSTGRES_{key.upper()}": str(value) for key, value in postgres.connection.items()}
    variables |= {
        "TARGET_POSTGRES_DATABASE": postgres.database,
        "TARGET_POSTGRES_DEFAULT_TARGET_SCHEMA": schema,
        "TAP_DEMO_RECORDS": "200",
    }
    run = example.flow("--environment", "prod", "run", "tap-demo", "target-postgres", env=variables).check()
    assert postgres.query(f'SELECT count(*) FROM "{schema}".issues') == ["200"]
    assert "prod:tap-demo-to-target-postgres" in run.stderr
