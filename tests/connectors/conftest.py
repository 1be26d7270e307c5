"""Fixtures for running connectors from PyPI through the command `flow`, in projects of their own.

The tests marked `connectors` install packages, and so run only when asked for:

- `FLOW_TEST_CONNECTORS=1` turns them on;
- `FLOW_TEST_CONNECTORS_DIR` is where the connectors are installed, once for all tests and runs
  (default: a folder in pytest's cache);
- `FLOW_REQUIRE_SERVICES=1` makes a missing PostgreSQL a failure instead of a skip.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from .harness import GitHubServer, Json, Postgres, Project
from .requirements import CONNECTORS

FOREIGN_VARIABLES = ("FLOW_", "MELTANO", "TAP_", "TARGET_", "GITHUB_", "PG", "LOGLEVEL", "SINGER_")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what installs packages unless it is asked for."""
    if os.environ.get("FLOW_TEST_CONNECTORS") == "1":
        return
    skip = pytest.mark.skip(reason="installs connectors from PyPI; set FLOW_TEST_CONNECTORS=1 to run it")
    for item in items:
        if item.get_closest_marker("connectors"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def connectors_folder(request: pytest.FixtureRequest) -> Path:
    """Where connectors are installed, kept from run to run."""
    given = os.environ.get("FLOW_TEST_CONNECTORS_DIR")
    if not given:
        return Path(request.config.cache.mkdir("connectors"))
    folder = Path(given).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def executable(connectors_folder: Path) -> Callable[[str], Path]:
    """Return a function: a connector's name to its executable, installed without Flow.

    So that a pipe without Flow can be the oracle of the same pipe with Flow, and a foreign connector can
    stand between Flow's stages.
    """

    def install(name: str) -> Path:
        from uv import find_uv_bin

        connector = CONNECTORS[name]
        folder = connectors_folder / "direct" / name
        folder.parent.mkdir(exist_ok=True)
        installed = folder / "pip_url"
        with (folder.parent / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not installed.exists() or installed.read_text() != connector.pip_url:
                uv = find_uv_bin()
                packages = shlex.split(connector.pip_url)
                venv = [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)]
                subprocess.run(venv, check=True)
                subprocess.run([uv, "pip", "install", "--quiet", "--python", folder, *packages], check=True)
                installed.write_text(connector.pip_url)
        return folder / "bin" / connector.executable

    return install


@pytest.fixture
def make_project(
    tmp_path: Path, connectors_folder: Path
) -> Callable[[Mapping[str, Mapping[str, Any]]], Project]:
    """Return a function that makes a project of the named connectors with their config and other extras.

    The environments of plugins are shared by all projects; bookmarks and all else are the project's own.
    """

    def make(plugins: Mapping[str, Mapping[str, Any]], folder: str = "project") -> Project:
        root = tmp_path / folder
        root.mkdir()
        declared: dict[str, list[Json]] = {}
        for name, extras in plugins.items():
            declared.setdefault(CONNECTORS[name].kind, []).append(
                CONNECTORS[name].declaration(name, **extras)
            )
        with (root / "meltano.yml").open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(
                {
                    "version": 1,
                    "default_environment": "dev",
                    "environments": [{"name": "dev"}],
                    "state_backend": {"uri": f"file://{root}/state"},
                    "plugins": declared,
                },
                file,
            )
        commands = tmp_path / "bin"
        commands.mkdir(exist_ok=True)
        flow = commands / "flow"
        flow.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m flow_singer "$@"\n')
        flow.chmod(0o755)
        kept = {key: text for key, text in os.environ.items() if not key.startswith(FOREIGN_VARIABLES)}
        return Project(
            root,
            kept
            | {
                "MELTANO_SYS_DIR_ROOT": str(connectors_folder / "flow"),
                "PATH": f"{commands}{os.pathsep}{os.environ['PATH']}",
            },
        )

    return make


@pytest.fixture
def github() -> Iterator[GitHubServer]:
    """A server that answers like the GitHub REST API."""
    with GitHubServer() as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    """The PostgreSQL of this machine; the test is skipped, or fails if services are required, without one."""
    server = Postgres(
        host=os.environ.get("PGHOST", "127.0.0.1"),
        port=int(os.environ.get("PGPORT", "5432")),
        user=os.environ.get("PGUSER", "postgres"),
        password=os.environ.get("PGPASSWORD", "unused"),
        database=os.environ.get("PGDATABASE", "test"),
    )
    try:
        server.run("-c", "SELECT 1")
    except (AssertionError, OSError) as exc:
        reason = f"no PostgreSQL at {server.host}:{server.port}: {exc}"
        if os.environ.get("FLOW_REQUIRE_SERVICES") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return server


@pytest.fixture
def new_schema(postgres: Postgres) -> Iterator[Callable[[str], str]]:
    """Return a function that gives the name of a schema nobody uses, to be dropped after the test."""
    names: list[str] = []

    def name_schema(purpose: str) -> str:
        names.append(f"flow_{purpose}_{uuid.uuid4().hex[:12]}")
        return names[-1]

    yield name_schema
    for name in names:
        postgres.run("-c", f'DROP SCHEMA IF EXISTS "{name}" CASCADE')


@pytest.fixture
def source(postgres: Postgres, new_schema: Callable[[str], str]) -> str:
    """Name of a schema with the tables of hard_types.sql."""
    name = new_schema("source")
    postgres.run("-v", f"schema={name}", "-f", str(Path(__file__).with_name("hard_types.sql")))
    return name
