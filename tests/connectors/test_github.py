"""MeltanoLabs' tap-github, against a local server, through the command of the README."""

from __future__ import annotations

import csv
import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .harness import REPOSITORIES, GitHubServer, Json, Project, tap_github

pytestmark = pytest.mark.connectors

OPEN_ISSUES = """\
import pandas as pd


def issues(df: pd.DataFrame) -> pd.DataFrame:
    return df[df["state"] == "open"].drop(columns="body")
"""
PIPE = "flow run tap-github | flow transform t.py | flow load target-csv"


@pytest.fixture
def project(make_project: Callable[..., Project], github: GitHubServer) -> Project:
    project = make_project({"tap-github": tap_github(github), "target-jsonl": jsonl_config()})
    project.write("t.py", OPEN_ISSUES)
    return project


def jsonl_config() -> Json:
    return {"config": {"destination_path": "output", "do_timestamp_file": False}}


def issues_of(github: GitHubServer) -> dict[int, Json]:
    """All issues that the server has, by id."""
    return {issue["id"]: issue for name in REPOSITORIES for issue in github.api.issues(name)}


def read_csv(project: Project, stream: str) -> list[dict[str, str]]:
    """The rows of the one CSV file of this stream."""
    (path,) = project.root.rglob(f"{stream}.csv")
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_jsonl(project: Project, stream: str) -> list[Json]:
    path = project.root / "output" / f"{stream}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


@pytest.mark.parametrize("command", [PIPE, "flow run tap-github t.py target-csv"], ids=["pipe", "supervised"])
def test_open_issues_arrive_in_a_csv_file(project: Project, github: GitHubServer, command: str) -> None:
    project.shell(command).check()
    expected = {key: issue for key, issue in issues_of(github).items() if issue["state"] == "open"}
    rows = read_csv(project, "issues")
    assert len(rows) == len(expected) == 168
    assert "body" not in rows[0]
    for row in rows:
        issue = expected[int(row["id"])]
        assert row["title"] == issue["title"]
        assert row["locked"].lower() == str(issue["locked"]).lower()
        assert row["closed_at"] == ""
        assert json.loads(row["user"]) == issue["user"]
        assert json.loads(row["labels"]) == issue["labels"]
    assert [row["full_name"] for row in read_csv(project, "repositories")] == list(REPOSITORIES)


def test_a_plain_run_gives_the_tap_s_own_bytes(
    project: Project, executable: Callable[[str], Path], github: GitHubServer, tmp_path: Path
) -> None:
    run = project.flow("run", "--plain", "tap-github").check()
    config = tmp_path / "config.json"
    config.write_text(json.dumps(tap_github(github)["config"]))
    tap: list[str | Path] = [executable("tap-github"), "--config", config]
    catalog = json.loads(subprocess.check_output([*tap, "--discover"]))
    for stream in catalog["streams"]:
        for entry in stream["metadata"]:
            entry["metadata"]["selected"] = stream["tap_stream_id"] in ("repositories", "issues")
    selected = tmp_path / "catalog.json"
    selected.write_text(json.dumps(catalog))
    direct = subprocess.check_output([*tap, "--catalog", selected]).decode()

    def without_times(lines: str) -> str:
        return re.sub(r'"(time_extracted|replication_key_signpost)":"[^"]*"', "", lines)

    assert without_times(run.stdout) == without_times(direct)
    assert len(run.records("issues")) == 252


def test_only_what_is_selected_is_fetched(make_project: Callable[..., Project], github: GitHubServer) -> None:
    entry = tap_github(github) | {"select": ["issues.*", "!issues.body", "!issues.user.*"]}
    run = make_project({"tap-github": entry}).flow("run", "tap-github").check()
    assert {m["stream"] for m in run.messages if m["type"] == "RECORD"} == {"issues"}
    assert not [r for r in run.records("issues") if "body" in r or r.get("user")]
    assert not [request for request in github.api.requests if "comments" in request]


@pytest.mark.parametrize(
    "command",
    ["flow run tap-github | flow load target-jsonl", "flow run tap-github target-jsonl"],
    ids=["pipe", "supervised"],
)
def test_the_second_run_fetches_what_changed_since_the_first(
    project: Project, github: GitHubServer, command: str
) -> None:
    project.shell(command).check()
    (output,) = project.root.glob("output/issues.jsonl")
    assert len(read_jsonl(project, "issues")) == 252
    output.unlink()
    github.api.requests.clear()
    github.api.update_issue("octo-org/atlas", 17, title="Reopened", updated_at="2024-06-01T00:00:00Z")

    project.shell(command).check()
    issue_requests = [request for request in github.api.requests if "/issues?" in request]
    assert issue_requests
    assert all("since=" in request for request in issue_requests)
    # Singer is at least once: the issue on the bookmark's own second comes again, from each repository.
    again = {issue["number"]: issue["title"] for issue in read_jsonl(project, "issues")}
    assert again.pop(17) == "Reopened"
    assert set(again) <= {9, 243}

    github.api.requests.clear()
    project.shell(command.replace("run tap-github", "run --full-refresh tap-github")).check()
    assert not [request for request in github.api.requests if "since=" in request]


def test_a_look_at_the_first_records_moves_no_bookmark(project: Project, github: GitHubServer) -> None:
    project.flow("run", "--limit", "5", "tap-github", "target-jsonl").check()
    assert 1 <= len(read_jsonl(project, "issues")) <= 10
    github.api.requests.clear()
    project.flow("run", "tap-github", "target-jsonl").check()
    assert not [request for request in github.api.requests if "since=" in request]


def test_a_tap_that_fails_midway_is_named_with_its_last_words(make_project: Callable[..., Project]) -> None:
    with GitHubServer(fail_after=4) as broken:
        project = make_project({"tap-github": tap_github(broken), "target-jsonl": jsonl_config()})
        run = project.flow("run", "tap-github", "target-jsonl").check(69)
    assert "tap-github" in run.stderr
    assert "401 Client Error" in run.stderr


@pytest.mark.parametrize("target", ["target-csv", "package/"], ids=["target", "data-package"])
def test_a_tap_that_fails_midway_fails_the_last_stage_of_a_pipe(
    make_project: Callable[..., Project], target: str
) -> None:
    with GitHubServer(fail_after=4) as broken:
        project = make_project({"tap-github": tap_github(broken)})
        project.write("t.py", OPEN_ISSUES)
        project.shell(f"flow run tap-github | flow transform t.py | flow load {target}").check(75)
    assert not (project.root / "package").exists()


def test_a_failed_run_leaves_the_good_package_and_bookmark(
    make_project: Callable[..., Project], github: GitHubServer
) -> None:
    project = make_project({"tap-github": tap_github(github)})
    project.flow("run", "tap-github", "package/").check()
    good = contents(project.root / "package")
    with GitHubServer(fail_after=4) as broken:
        project.flow(
            "run",
            "--full-refresh",
            "tap-github",
            "package/",
            env={"TAP_GITHUB_API_URL_BASE": broken.url},
        ).check(69)
    assert contents(project.root / "package") == good


def test_a_data_package_of_the_issues_is_valid_and_complete(project: Project, github: GitHubServer) -> None:
    from frictionless import Package

    project.shell("flow run tap-github | flow transform t.py | flow load package/").check()
    package = Package(str(project.root / "package" / "datapackage.json"))
    assert package.validate().valid
    rows: list[Any] = package.get_resource("issues").read_rows()
    assert len(rows) == 168
    issues = issues_of(github)
    assert all(row["title"] == issues[row["id"]]["title"] for row in rows)
    assert all(row["labels"] == issues[row["id"]]["labels"] for row in rows)
    assert package.get_resource("issues").schema.primary_key == ["id"]
