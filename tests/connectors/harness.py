"""Running commands in a project, and looking at what they did: what the fixtures hand to the tests."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[1] / "fixtures"))
from github_server import REPOSITORIES, GitHubServer

__all__ = ["REPOSITORIES", "GitHubServer", "Json", "Postgres", "Project", "Result", "tap_github"]

TIMEOUT_S = 180

Json = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it wrote."""

    command: str
    code: int
    stdout: str
    stderr: str

    def check(self, code: int = 0) -> Result:
        """Return itself once the exit code is the expected one."""
        assert self.code == code, f"{self.command}\nended with {self.code}, not {code}:\n{self.stderr}"
        return self

    @property
    def messages(self) -> list[Json]:
        """The Singer messages on stdout."""
        return [json.loads(line) for line in self.stdout.split("\n") if line]

    def records(self, stream: str) -> list[Json]:
        """The records of one stream on stdout."""
        return [
            message["record"]
            for message in self.messages
            if message["type"] == "RECORD" and message["stream"] == stream
        ]


@dataclass(frozen=True)
class Project:
    """A Meltano project in a temporary folder, and the environment of commands run in it."""

    root: Path
    environment: Mapping[str, str]

    def write(self, name: str, text: str) -> Path:
        """Write a file of the project."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def flow(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        """Run `flow` with these arguments."""
        return self._run([sys.executable, "-m", "flow_singer", *arguments], stdin, env)

    def shell(self, script: str, *, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Result:
        """Run a line of bash, without pipefail: the exit code is that of the last stage alone."""
        return self._run(["bash", "-c", script], stdin, env)

    def _run(self, command: list[str], stdin: bytes, env: Mapping[str, str] | None) -> Result:
        done = subprocess.run(
            command,
            cwd=self.root,
            env={**self.environment, **(env or {})},
            input=stdin,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Result(shlex.join(command), done.returncode, done.stdout.decode(), done.stderr.decode())


@dataclass(frozen=True)
class Postgres:
    """A database, reached through `psql`; libpq's own variables say where."""

    host: str
    port: int
    user: str
    password: str
    database: str

    @property
    def connection(self) -> Json:
        """The settings that taps and targets have in common."""
        return {"host": self.host, "port": self.port, "user": self.user, "password": self.password}

    def run(self, *arguments: str) -> str:
        """Run `psql` quietly with these arguments and return what it prints, unaligned, without headers."""
        done = subprocess.run(
            ["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", *arguments],
            env=os.environ
            | {
                "PGHOST": self.host,
                "PGPORT": str(self.port),
                "PGUSER": self.user,
                "PGPASSWORD": self.password,
                "PGDATABASE": self.database,
                "PGCONNECT_TIMEOUT": "5",
                "PGOPTIONS": "--client-min-messages=warning",
            },
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def query(self, sql: str) -> list[str]:
        """Return the rows of a query with one column, as text without line feeds."""
        return [line for line in self.run("-c", sql).split("\n") if line]


def tap_github(server: GitHubServer) -> Json:
    """Entry of tap-github in meltano.yml, for this server.

    There is no token: with one the tap asks the real GitHub about it first.
    """
    return {
        "config": {"api_url_base": server.url, "repositories": list(REPOSITORIES)},
        "select": ["repositories.*", "issues.*"],
    }
