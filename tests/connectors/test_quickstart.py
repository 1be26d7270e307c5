"""Step 6 of the quickstart as a new user takes it: the tap from PyPI, its token in `.env`, nothing declared.

A local server stands in for GitHub and demands the token. The tap asks `https://api.github.com` whether the token
is good, whatever its settings: for that the server is its proxy. All else it asks where `--config` says.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from flow_singer.plugins.environments import ensure_environment
from flow_singer.plugins.programs import find_plugin
from flow_singer.project.meltanofile import load_project
from flow_singer.project.settings import resolve

from .conftest import FOREIGN_VARIABLES
from .harness import GitHubServer, Project
from .requirements import CONNECTORS

pytestmark = pytest.mark.connectors

QUICKSTART = Path(__file__).parents[2] / "docs" / "quickstart.md"
TOKEN = "ghp_0123456789abcdefghij"


def snippet(language: str) -> str:
    """The block of this language in step 6."""
    step = QUICKSTART.read_text(encoding="utf-8").partition("## 6. ")[2]
    found = re.search(rf"```{language}\n(.*?)```", step, re.DOTALL)
    assert found
    return found[1]


def at(server: GitHubServer) -> list[str]:
    """The options that send the tap there."""
    return ["--config", json.dumps({"api_url_base": server.url})]


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a certificate of api.github.com, signed by itself."""
    file = tmp_path / "github.pem"
    request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=api.github.com", "-addext", "subjectAltName=DNS:api.github.com"]
    subprocess.run(
        [*request, *names, "-keyout", file, "-out", f"{file}.crt"], check=True, capture_output=True
    )
    file.write_text(file.read_text() + Path(f"{file}.crt").read_text())
    return file


@pytest.fixture
def server(certificate: Path) -> Iterator[GitHubServer]:
    with GitHubServer(token=TOKEN, certificate=certificate) as started:
        yield started


@pytest.fixture
def project(tmp_path: Path, connectors_folder: Path, server: GitHubServer, certificate: Path) -> Project:
    """What `flow init` makes, with the tap of step 6 written into it and installed.

    Two words differ: its release is pinned, and it asks for a repository that the server has.
    """
    kept = {key: text for key, text in os.environ.items() if not key.startswith(FOREIGN_VARIABLES)}
    kept["MELTANO_SYS_DIR_ROOT"] = str(connectors_folder / "quickstart")
    subprocess.run([sys.executable, "-m", "flow_singer", "init", "demo"], cwd=tmp_path, check=True)
    root = tmp_path / "demo"
    text = snippet("yaml").replace("MeltanoLabs/tap-github", "octo-org/atlas")
    yaml = YAML()
    file = root / "meltano.yml"
    entries = yaml.load(file.read_text())
    (entry,) = yaml.load(text)["plugins"]["extractors"]
    assert entry["pip_url"] in CONNECTORS["tap-github"].pip_url
    entry["pip_url"] = CONNECTORS["tap-github"].pip_url
    entries["plugins"]["extractors"].append(entry)
    yaml.dump(entries, file)
    installed = load_project(root, environ=kept)  # before the proxy is set: it knows one host only
    found = find_plugin("tap-github", "extractors", installed, environ=kept)
    assert found.plugin is not None
    settings = resolve(installed, found.plugin)
    ensure_environment(installed, found, settings=settings, progress=lambda line: None)
    return Project(root, kept | {"HTTPS_PROXY": server.url, "REQUESTS_CA_BUNDLE": str(certificate)})


def test_the_token_in_dotenv_reaches_the_tap(project: Project, server: GitHubServer) -> None:
    with (project.root / ".env").open("a") as file:
        file.write(snippet("dotenv").replace("...", TOKEN))
    run = project.flow("run", "tap-github", "--limit", "5", *at(server)).check()
    assert len(run.records("issues")) == 5
    assert "GET /rate_limit" in server.api.requests
    warnings = [line for line in run.stderr.splitlines() if " Warning: " in line]
    assert len(warnings) == 1
    assert "'api_url_base' (--config)" in warnings[0]
    assert TOKEN not in run.stderr
    again = project.flow("run", "tap-github", "out/", *at(server)).check()
    assert "243 records of 1 stream" in again.stderr


def test_without_the_token_the_server_refuses_the_tap(project: Project, server: GitHubServer) -> None:
    run = project.flow("run", "tap-github", "--limit", "5", *at(server)).check(2)
    assert "401" in run.stderr
    assert run.records("issues") == []
