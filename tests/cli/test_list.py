"""`flow list`: what there is, in a project and without one."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from command import Result
from projects import write_project
from tabulate import tabulate

from flow_singer.cli._answers import answer_table
from flow_singer.plugins.environments import FINGERPRINT_FILE, fingerprint
from flow_singer.state.systemdb import SqliteStore

Flow = Callable[..., Result]

ID = "dev:tap-x-to-target-x"
BUNDLED = """\
tap-datapackage     tap     bundled with Flow  yes
tap-demo            tap     bundled with Flow  yes
target-csv          target  bundled with Flow  yes
target-datapackage  target  bundled with Flow  yes
"""
SECTIONS = ["plugins", "jobs", "environments", "bookmarks"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with plugins of every kind and origin, two jobs, two environments and a bookmark."""
    write_project(
        tmp_path,
        taps={
            "tap-x": {"pip_url": "tap-x==1.0 --extra-index-url https://joe:s3cretpass@index.test/simple"},
            "tap-y": {"script": "says.py"},
            "tap-demo": {},
            "tap-lost": {},
        },
        targets={"target-x": {"pip_url": "target-x~=$TARGET_VERSION"}},
        default_environment="dev",
        environments=[{"name": "dev"}, {"name": "prod"}],
        jobs=[
            {"name": "nightly", "tasks": ["tap-x target-x", ["tap-y", "target-x"]]},
            {"name": "one", "tasks": "tap-demo target-csv"},
        ],
        env={"TARGET_VERSION": "2.0"},
    )
    file = tmp_path / "meltano.yml"
    raw = json.loads(file.read_text())
    raw["plugins"]["mappers"] = [{"name": "map-x", "pip_url": "map-x", "mappings": [{"name": "hash"}]}]
    raw["plugins"]["utilities"] = [{"name": "dbt", "pip_url": "dbt-core"}]
    file.write_text(json.dumps(raw))
    SqliteStore(tmp_path / ".meltano" / "meltano.db").set(ID, b'{"bookmarks":{"b":1,"a":2}}')
    return tmp_path


def _install(root: Path, kind: str, name: str, *arguments: str) -> Path:
    """Lay out an environment as Flow and Meltano do, and return its folder."""
    venv = root / ".meltano" / kind / name / "venv"
    (venv / "bin").mkdir(parents=True)
    for program in ("python", name):
        (venv / "bin" / program).write_text("#!/bin/sh\nexit 9\n")
        (venv / "bin" / program).chmod(0o755)
    (venv / FINGERPRINT_FILE).write_text(fingerprint(arguments, None))
    return venv


def _listed(flow: Flow, *words: str, **how: Any) -> dict[str, Any]:
    result = flow("list", *words, "--json", **how)
    assert result.code == 0, result.stderr
    listed = json.loads(result.stdout)
    assert isinstance(listed, dict)
    return listed


def test_list_shows_all_in_short_sections(project: Path, flow: Flow) -> None:
    result = flow("list")
    assert result.code == 0, result.stderr
    text = result.stdout.decode()
    plugins, jobs, environments, bookmarks = text.split("\n\n")
    assert [line.split() for line in plugins.splitlines()] == [
        ["PLUGIN", "KIND", "FROM", "INSTALLED"],
        ["tap-x", "tap", "tap-x==1.0", "--extra-index-url", "https://***@index.test/simple", "no"],
        ["tap-y", "tap", "executable", f"{project}/bin/tap-y", "yes"],
        ["tap-demo", "tap", "bundled", "with", "Flow", "yes"],
        ["tap-lost", "tap", "nowhere", "no"],
        ["target-x", "target", "target-x~=$TARGET_VERSION", "no"],
        ["map-x", "mapper", "map-x", "no"],
        ["dbt", "utility", "dbt-core", "no"],
        ["tap-datapackage", "tap", "bundled", "with", "Flow", "yes"],
        ["target-csv", "target", "bundled", "with", "Flow", "yes"],
        ["target-datapackage", "target", "bundled", "with", "Flow", "yes"],
    ]
    assert jobs == ("JOB      TASKS\nnightly  tap-x target-x; tap-y target-x\none      tap-demo target-csv")
    assert environments == "ENVIRONMENT\ndev            active, default\nprod"
    first, second, *rest = bookmarks.splitlines()
    assert first.split() == ["BOOKMARK", "STREAMS", "SAVED"]
    assert second.startswith(f"{ID}  b, a       20")
    assert second.endswith(" UTC")
    assert rest == []
    assert result.stderr == (
        "Warning: tap-lost: tap-lost has no pip_url in meltano.yml, and there is no executable 'tap-lost'.\n"
    )


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_alone_is_the_same_as_among_all(project: Path, flow: Flow, section: str) -> None:
    alone = flow("list", section)
    assert alone.code == 0, alone.stderr
    assert alone.stdout in flow("list").stdout
    assert _listed(flow, section) == {section: _listed(flow)[section]}


def test_json_says_all_of_a_plugin(project: Path, flow: Flow) -> None:
    plugins = {one["name"]: one for one in _listed(flow)["plugins"]}
    assert plugins["tap-x"] == {
        "name": "tap-x",
        "kind": "tap",
        "origin": "pip_url",
        "source": "tap-x==1.0 --extra-index-url https://***@index.test/simple",
        "installed": False,
        "in_project": True,
        "problem": None,
    }
    assert plugins["tap-lost"]["origin"] is None
    assert "there is no executable 'tap-lost'" in plugins["tap-lost"]["problem"]
    assert (plugins["tap-demo"]["in_project"], plugins["target-csv"]["in_project"]) == (True, False)


def test_json_says_all_of_jobs_environments_and_bookmarks(project: Path, flow: Flow) -> None:
    listed = _listed(flow, env={"MELTANO_ENVIRONMENT": "prod"})
    assert list(listed) == SECTIONS
    assert listed["jobs"] == [
        {"name": "nightly", "tasks": ["tap-x target-x", "tap-y target-x"]},
        {"name": "one", "tasks": ["tap-demo target-csv"]},
    ]
    assert listed["environments"] == [
        {"name": "dev", "active": False, "default": True},
        {"name": "prod", "active": True, "default": False},
    ]
    (bookmark,) = listed["bookmarks"]
    assert bookmark.pop("saved_at").endswith("+00:00")
    assert bookmark == {"id": ID, "streams": ["b", "a"], "problem": None}


def test_installed_is_what_a_run_would_start_as_it_is(project: Path, flow: Flow) -> None:
    index = ("--extra-index-url", "https://joe:s3cretpass@index.test/simple")
    _install(project, "extractors", "tap-x", "tap-x==1.0", *index)
    _install(project, "loaders", "target-x", "target-x~=1.9")
    _install(project, "mappers", "map-x", "map-x")
    installed = {one["name"]: one["installed"] for one in _listed(flow)["plugins"]}
    assert (installed["tap-x"], installed["target-x"], installed["map-x"]) == (True, False, True)
    file = project / ".meltano" / "loaders" / "target-x" / "venv" / FINGERPRINT_FILE
    file.write_text(fingerprint(["target-x~=2.0"], None))
    installed = {one["name"]: one["installed"] for one in _listed(flow)["plugins"]}
    assert installed["target-x"]


def test_nothing_is_made_for_a_list(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"pip_url": "tap-x"}})
    before = sorted(tmp_path.rglob("*"))
    assert flow("list").code == 0
    assert sorted(tmp_path.rglob("*")) == before


# ---------------------------------------------------------------------------------- without a project


def test_without_a_project_the_bundled_connectors_are_listed(tmp_path: Path, flow: Flow) -> None:
    result = flow("list")
    header = "PLUGIN              KIND    FROM               INSTALLED\n"
    assert (result.code, result.stdout.decode()) == (0, header + BUNDLED)
    assert result.stderr == (
        f"There is no meltano.yml in {tmp_path} or above: of plugins, only the bundled connectors are listed."
        " flow init makes a project.\n"
    )


@pytest.mark.parametrize("section", ["jobs", "environments"])
def test_a_section_that_needs_a_project_says_so(tmp_path: Path, flow: Flow, section: str) -> None:
    result = flow("list", section)
    assert (result.code, result.stdout) == (0, b"")
    assert result.stderr == (
        f"There is no meltano.yml in {tmp_path} or above, so there are no {section}."
        " flow init makes a project.\n"
    )
    assert _listed(flow, section) == {section: []}


def test_an_empty_section_that_was_asked_for_says_so(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path)
    for section, said in (
        ("jobs", "meltano.yml has no jobs.\n"),
        ("environments", "meltano.yml has no environments.\n"),
        ("bookmarks", "No bookmark is kept here yet: flow run TAP TARGET makes one.\n"),
    ):
        result = flow("list", section)
        assert (result.code, result.stdout, result.stderr) == (0, b"", said)
    assert flow("list").stderr == ""


# ------------------------------------------------------------------------------------------- mistakes


def test_an_unknown_section_names_those_there_are(flow: Flow) -> None:
    result = flow("list", "job")
    assert (result.code, result.stdout) == (2, b"")
    assert "'job' is not one of 'plugins', 'jobs', 'environments', 'bookmarks'." in result.stderr


def test_bookmarks_that_are_kept_elsewhere_leave_the_rest(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, state_backend={"uri": "s3://bucket/x"}, environments=[{"name": "dev"}])
    result = flow("list")
    assert result.code == 0
    assert b"\n\nENVIRONMENT\ndev\n" in result.stdout
    assert result.stderr.startswith(
        "Warning: The state backend 's3' is not supported yet.\nSet state_backend.uri"
    )
    alone = flow("list", "bookmarks")
    assert (alone.code, alone.stdout) == (2, b"")
    assert alone.stderr.startswith("Error: The state backend 's3' is not supported yet.\n")


def test_a_bookmark_that_cannot_be_read_is_listed_and_told(project: Path, flow: Flow) -> None:
    store = SqliteStore(project / ".meltano" / "meltano.db")
    store.set("z", b'{"a":1}')
    with contextlib.closing(sqlite3.connect(store.path)) as database, database:
        database.execute("UPDATE state SET completed_state = '{torn' WHERE state_id = 'z'")
    result = flow("list", "bookmarks")
    assert result.code == 0
    assert b"\nz                      cannot be read" in result.stdout
    assert f"Warning: The bookmark z in {store.path} is not JSON: " in result.stderr


def test_a_secret_of_a_pip_url_is_not_shown(tmp_path: Path, flow: Flow) -> None:
    urls = {
        "tap-a": "git+https://ghp_0123456789abcdefghijk@host.test/x.git",
        "tap-b": "tap-b --extra-index-url 'https://joe:s3cretpass@host.test/simple'",
        "tap-c": "https://host.test/x.whl?token=s3cretpass",
    }
    write_project(tmp_path, taps={name: {"pip_url": url} for name, url in urls.items()})
    for words in (["list"], ["list", "--json"]):
        text = flow(*words).stdout.decode()
        assert "host.test" in text
        assert "s3cretpass" not in text
        assert "ghp_" not in text


# ---------------------------------------------------------------------------------------------- tables


@pytest.mark.parametrize(
    "rows",
    [
        [["a", "b"], ["long cell", None]],
        [["é", "x"], ["漢字", "y"]],
        [["1.10", "007"], ["", "x"]],
        [[" leading", "x"], ["trailing ", ""]],
        [["two\nlines", "x"]],
        [],
    ],
    ids=["plain", "wide", "numbers", "blanks", "lines", "empty"],
)
@pytest.mark.parametrize("columns", [None, 100, 9], ids=["file", "wide terminal", "narrow terminal"])
def test_a_table_is_the_same_with_and_without_tabulate(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rows: Sequence[Sequence[object]],
    columns: int | None,
) -> None:
    headers = ("FIRST", "SECOND")
    if columns:
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
        monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns, 24)))
    answer_table(headers, rows)
    printed = capsys.readouterr().out
    cells = [["" if cell is None else str(cell) for cell in row] for row in rows]
    monkeypatch.setattr("flow_singer.cli._answers._plain", lambda *_: None)
    answer_table(headers, rows)
    assert printed == capsys.readouterr().out
    if columns is None:
        assert printed == tabulate(cells, headers, tablefmt="plain", disable_numparse=True) + "\n"


@pytest.mark.parametrize("columns", [30, 40, 60, 100])
def test_a_table_is_not_wider_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], columns: int
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("shutil.get_terminal_size", lambda: os.terminal_size((columns, 24)))
    rows = [["dev:tap-demo-to-target-csv", "events, issues, repositories, users", "x"], ["a", "b", "y"]]
    answer_table(("BOOKMARK", "STREAMS", "NOW"), rows)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= columns
    assert len(lines) == 3 or columns < 80
    answer_table(("ENVIRONMENT", "A"), [["dev", "active, default"]])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= columns
