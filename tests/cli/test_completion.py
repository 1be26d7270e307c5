"""What a shell offers at TAB: names of the project, at once, and never an error."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest
from command import Command, Result
from projects import write_project

from flow_singer.state.systemdb import SqliteStore

Flow = Callable[..., Result]

ID = "dev:tap-x-to-target-x"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with plugins, a job, environments, a bookmark and a catalog of tap-x that was kept."""
    write_project(
        tmp_path,
        taps={"tap-x": {"script": "says.py"}, "tap-not-installed": {"pip_url": "tap-none==0"}},
        targets={"target-x": {"script": "durable.py"}},
        default_environment="dev",
        environments=[{"name": "dev"}, {"name": "prod"}],
        jobs=[{"name": "nightly", "tasks": ["tap-x target-x"]}],
    )
    store = SqliteStore(tmp_path / ".meltano" / "meltano.db")
    store.set(ID, b'{"bookmarks":{"users":1,"issues":2}}')
    store.set("prod:tap-x-to-target-x", b'{"bookmarks":{"users":1}}')
    cache = tmp_path / ".meltano" / "extractors" / "tap-x" / "flow"
    cache.mkdir(parents=True)
    streams = [
        {"tap_stream_id": "users", "schema": {"properties": {"id": {}, "mail": {}}}},
        {"tap_stream_id": "db.orders", "schema": {"properties": {"id": {}}}},
    ]
    for name, age_s, content in (("a", 100, {"streams": []}), ("b", 0, {"streams": streams})):
        file = cache / f"catalog-{name}.json"
        file.write_text(json.dumps(content))
        os.utime(file, (time.time() - age_s,) * 2)
    return tmp_path


@pytest.fixture
def offered(command: Command) -> Callable[..., list[str]]:
    """`offered(line)`: what bash is offered behind a line, as it would be replaced at the cursor."""

    def ask(line: str, *, breaks: str = " \t\n", cwd: Path | None = None) -> list[str]:
        asked = {"_FLOW_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_WORDBREAKS": breaks}
        path = f"{Path(command.env['PATH'].partition(':')[0])}"
        result = command.flow(cwd=cwd, env={**asked, "PATH": path})
        assert (result.code, result.stderr) == (0, "")
        pairs = [item.partition(",") for item in result.stdout.decode().splitlines() if item]
        return [value if kind == "plain" else f"<{kind}>" for kind, _, value in pairs]

    return ask


Offered = Callable[..., list[str]]

BUNDLED_TARGETS = ["target-csv", "target-datapackage"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("flow run ", ["tap-x", "tap-not-installed", "tap-datapackage", "tap-demo", "nightly", "<file>"]),
        ("flow run n", ["nightly", "<file>"]),
        ("flow run tap-x ", ["target-x", *BUNDLED_TARGETS, "<file>"]),
        ("flow run tap-x t.py target-c", ["target-csv", "<file>"]),
        ("flow run tap-x --to ", ["target-x", *BUNDLED_TARGETS]),
        ("flow run tap-x --state-id d", [ID]),
        ("flow run tap-x --select ", ["users", r"db\.orders"]),
        ("flow run tap-x --select u", ["users"]),
        ("flow run tap-x --select users.", ["users.id", "users.mail"]),
        ("flow run tap-x --select !u", ["!users"]),
        ("flow run tap-x --select '!users.m", ["!users.mail"]),
        ("flow run tap-demo --select ", []),
        ("flow discover tap-d", ["tap-datapackage", "tap-demo"]),
        ("flow install tap-x tar", ["target-x", "target-csv", "target-datapackage"]),
        ("flow select tap-x ", ["users", r"db\.orders"]),
        ("flow select tap-x users.", ["users.id", "users.mail"]),
        ("flow select tap-x '!users.m", ["!users.mail"]),
        ("flow run --select ", []),
        ("flow load ", ["target-x", *BUNDLED_TARGETS, "<file>"]),
        ("flow load target-x --state-id p", ["prod:tap-x-to-target-x"]),
        ("flow transform t", ["<file>"]),
        ("flow run tap-x --config ", ["<file>"]),
        ("flow load target-x --config ", ["<file>"]),
        ("flow state get ", [ID, "prod:tap-x-to-target-x"]),
        ("flow state clear p", ["prod:tap-x-to-target-x"]),
        (f"flow state clear {ID} --stream ", ["users", "issues"]),
        (f"flow state clear {ID} --stream users --stream ", ["issues"]),
        (f"flow state copy {ID} p", ["prod:tap-x-to-target-x"]),
        ("flow state move d", [ID]),
        ("flow state merge x --from-state-id d", [ID]),
        ("flow state c", ["clear", "copy"]),
        ("flow list ", ["plugins", "jobs", "environments", "bookmarks"]),
        ("flow --environment ", ["dev", "prod"]),
        ("flow list --environment p", ["prod"]),
        ("flow --environment wrong run n", ["<file>"]),
        ("flow l", ["load", "list"]),
        ("flow list --js", ["--json"]),
        ("flow state get 'unfinished", []),
    ],
)
def test_a_line_is_offered_what_may_stand_next(
    project: Path, offered: Offered, line: str, expected: list[str]
) -> None:
    assert offered(line) == expected


def test_behind_an_unknown_verb_nothing_is_said(flow: Flow) -> None:
    result = flow(env={"_FLOW_COMPLETE": "bash_complete", "COMP_LINE": "flow unknown "})
    assert (result.stdout, result.stderr) == (b"", "")


def test_a_folder_that_was_named_is_looked_at(project: Path, offered: Offered) -> None:
    elsewhere = project.parent
    assert offered(f"flow -C {project} state get d", cwd=elsewhere) == [ID]
    assert offered(f"flow state get -C {project} d", cwd=elsewhere) == [ID]


def test_programs_on_path_are_offered(project: Path, command: Command) -> None:
    tap = Path(command.env["PATH"].partition(":")[0]) / "tap-on-path"
    tap.write_text("#!/bin/sh\n")
    tap.chmod(0o755)
    asked = {"_FLOW_COMPLETE": "bash_complete", "COMP_LINE": "flow run tap-o"}
    assert command.flow(env=asked).stdout == b"plain,tap-on-path\nfile,tap-o\n"


def test_without_a_project_bundled_connectors_are_offered(tmp_path: Path, offered: Offered) -> None:
    assert offered("flow run ") == ["tap-datapackage", "tap-demo", "<file>"]
    assert offered("flow state get ") == []
    assert offered("flow --environment ") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "break_it",
    [
        lambda root: (root / "meltano.yml").write_text("plugins: ["),
        lambda root: (root / "meltano.yml").write_text("plugin: {}\nunknown: 1"),
        lambda root: (root / ".meltano" / "meltano.db").write_bytes(b"no database" * 1000),
        lambda root: (root / ".meltano" / "extractors" / "tap-x" / "flow" / "catalog-b.json").write_text("{"),
    ],
    ids=["no YAML", "misspelt", "no database", "torn catalog"],
)
def test_nothing_is_told_where_something_is_wrong(
    project: Path, offered: Offered, break_it: Callable[[Path], object]
) -> None:
    for file in project.glob(".meltano/meltano.db-*"):
        file.unlink()
    break_it(project)
    for line in ("flow run ", "flow run tap-x --select ", "flow state get ", "flow state clear a --stream "):
        offered(line)


def test_a_database_that_is_being_written_is_not_waited_for(project: Path, offered: Offered) -> None:

    with contextlib.closing(
        sqlite3.connect(project / ".meltano" / "meltano.db", isolation_level=None)
    ) as writer:
        writer.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        assert offered("flow state get ") == []
        assert time.monotonic() - begin < 20  # a run waits for 30 s


def test_nothing_is_installed_or_started_for_it(project: Path, offered: Offered) -> None:
    before = sorted(project.rglob("*"))
    offered("flow run tap-not-installed --select ")
    offered("flow run tap-x target-")
    assert [file for file in sorted(project.rglob("*")) if file not in before] == []


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_are_answered_too(project: Path, command: Command, shell: str) -> None:
    source = command.flow(env={"_FLOW_COMPLETE": f"{shell}_source"})
    assert (source.code, source.stderr) == (0, "")
    assert f"_FLOW_COMPLETE={shell}_complete" in source.stdout.decode()
    place = {"zsh": ("flow state get d", "3"), "fish": ("flow state get ", "d")}[shell]
    asked = {"_FLOW_COMPLETE": f"{shell}_complete", "COMP_WORDS": place[0], "COMP_CWORD": place[1]}
    answer = command.flow(env=asked)
    assert (answer.code, answer.stderr) == (0, "")
    assert ID in answer.stdout.decode()


def test_an_unknown_shell_is_a_failure_without_a_word(flow: Flow) -> None:
    result = flow(env={"_FLOW_COMPLETE": "tcsh_source"})
    assert (result.code, result.stdout, result.stderr) == (1, b"", "")


def test_a_real_bash_writes_what_is_offered(project: Path, command: Command) -> None:
    """In a real bash, where a colon ends a word: TAB writes each id once and whole."""
    rc = project / "rc"
    rc.write_text(
        'PS1="$ "\nbind "set enable-bracketed-paste off"\neval "$(_FLOW_COMPLETE=bash_source flow)"\n'
    )
    env = {**command.env, "TERM": "dumb", "HOME": str(project)}
    bash = pexpect.spawn(
        "bash",
        ["--noprofile", "--rcfile", str(rc), "-i"],
        env=env,
        cwd=str(project),
        timeout=30,
        encoding="utf-8",
        dimensions=(24, 200),
    )
    try:
        bash.expect_exact("$ ")
        for typed, whole in (
            ("flow state get d\t", f"flow state get {ID} "),
            ("flow state get prod:tap\t", "flow state get prod:tap-x-to-target-x "),
            ("flow sta\t", "flow state "),
            ("flow run --state-id=d\t", f"flow run --state-id={ID} "),
            ("flow run nig\t", "flow run nightly "),
            ("flow load rc\t", "flow load rc "),
        ):
            bash.send(typed)
            bash.expect_exact(whole)
            bash.send("\x15")
            bash.send("echo " + shlex.quote("next" + "-line") + "\n")
            bash.expect_exact("next-line\r\n")
            bash.expect_exact("$ ")
    finally:
        bash.close(force=True)
