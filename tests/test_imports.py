"""Who may import whom, and what a light command does not load."""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command
from projects import write_project
from rooms import (
    CHECKS,
    FLOOR,
    FRONT,
    GROUND,
    HEAVY,
    MODULES,
    PACKAGE,
    READING,
    heavy_libraries,
    imports,
    module_of,
    modules_in,
    own_imports,
    room_of,
    tree,
)

from flow_singer.state.systemdb import SqliteStore

MOST_LINES_OF_A_CLASS = 250
MOST_LINES_OF_A_FILE = 450


def _sources(*folders: str) -> Iterator[Path]:
    """The modules below folders of the repository; templates are files for users."""
    for folder in folders:
        files = sorted((PACKAGE.parent / folder).rglob("*.py"))
        yield from (file for file in files if "templates" not in file.parts)


def test_every_module_has_a_floor() -> None:
    assert {room_of(name) for name in MODULES} == set(FLOOR)


@pytest.mark.parametrize("room", [room for room in FLOOR if room not in ("ground", "__main__")])
def test_a_room_says_what_it_is_for_and_hands_nothing_on(room: str) -> None:
    lines = (PACKAGE / room / "__init__.py").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 1
    assert lines[0].startswith('"""')


def test_no_two_files_share_a_name_but_a_verb_and_what_carries_it_out() -> None:
    homes: dict[str, list[str]] = {}
    for module in MODULES:
        homes.setdefault(module.rpartition(".")[2].lstrip("_"), []).append(module)
    shared = {tuple(found) for name, found in homes.items() if len(found) > 1}
    assert shared == {
        ("cli._pipeline", "stages.pipeline"),
        ("cli.install", "stages.install"),
        ("cli.load", "stages.load"),
        ("cli.state", "state"),
        ("cli.transform", "stages.transform"),
        ("cli.show", "stages.show"),
        ("cli.validate", "stages.validate"),
    }


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    room = room_of(module)
    upward = [
        f"{module}:{line} (floor {FLOOR[room]}) imports {inner} (floor {FLOOR[other]})"
        for line, inner in own_imports(MODULES[module])
        if (other := room_of(inner)) != room and FLOOR[other] >= FLOOR[room]
    ]
    assert upward == []


@pytest.mark.parametrize("room", FLOOR)
def test_imports_within_a_room_form_no_circle(room: str) -> None:
    inside = {
        module: {
            name
            for _, inner in own_imports(MODULES[module])
            if room_of(inner) == room and (name := module_of(inner))
        }
        for module in modules_in(room)
    }
    graphlib.TopologicalSorter(inside).prepare()


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_are_imported_where_they_are_needed(module: str) -> None:
    wrong = [
        f"{module}:{line} imports {name}"
        for line, name in imports(MODULES[module])
        if (library := name.split(".")[0]) in HEAVY and room_of(module) not in HEAVY[library]
    ]
    assert wrong == []


def test_no_room_is_allowed_a_heavy_library_that_it_does_not_import() -> None:
    used = {library: {room for room in FLOOR if library in heavy_libraries(room)} for library in HEAVY}
    assert used == HEAVY


@pytest.mark.parametrize("user", ["taps", "targets", "flow_singer/stages", "flow_singer/cli"])
def test_the_room_of_packages_is_entered_by_its_front(user: str) -> None:
    wrong = [
        f"{file.relative_to(PACKAGE.parent)}:{line} imports {inner}"
        for file in _sources(user)
        for line, inner in own_imports(file)
        if room_of(inner) == "datapackage" and module_of(inner) not in FRONT
    ]
    assert wrong == []
    assert set(MODULES) >= FRONT


@pytest.mark.parametrize("module", sorted(FRONT))
def test_a_front_module_has_something_of_its_own(module: str) -> None:
    assert any(isinstance(node, ast.ClassDef | ast.FunctionDef) for node in tree(MODULES[module]).body)


def test_connectors_use_the_ground_the_protocol_batches_and_that_front() -> None:
    allowed = FRONT | GROUND | {"tabular.batch"} | READING | CHECKS
    wrong = [
        f"{file.relative_to(PACKAGE.parent)}:{line} imports {inner}"
        for file in _sources("taps", "targets")
        for line, inner in own_imports(file)
        if module_of(inner) not in allowed and room_of(inner) != "singer"
    ]
    assert wrong == []


def test_no_class_is_longer_than_a_person_can_hold() -> None:
    long = {
        node.name
        for file in _sources("flow_singer", "taps", "targets")
        for node in ast.walk(tree(file))
        if isinstance(node, ast.ClassDef) and (node.end_lineno or 0) - node.lineno + 1 > MOST_LINES_OF_A_CLASS
    }
    assert long == set()


def test_no_file_is_longer_than_a_person_reads_at_once() -> None:
    long = {
        file.relative_to(PACKAGE.parent).as_posix()
        for file in _sources("flow_singer", "taps", "targets")
        if file.read_text(encoding="utf-8").count("\n") > MOST_LINES_OF_A_FILE
    }
    assert long == set()


# ------------------------------------------------------------------------------------------ light start

RECORDER = """
import atexit, sys
atexit.register(lambda: open({file!r}, "w").write("\\n".join(sys.modules)))
from flow_singer.__main__ import main
main()
"""


def _loaded(command: Command, *args: str, stdin: bytes | None = None) -> set[str]:
    """Top-level names of all that a command had imported when it ended."""
    file = command.cwd / "modules.txt"
    result = command.flow(*args, stdin=stdin, program=(sys.executable, "-c", RECORDER.format(file=str(file))))
    assert result.code == 0, result.stderr
    return {name.split(".")[0] for name in file.read_text().splitlines()}


NOT_LIGHT = set(HEAVY)

SCHEMA = (
    b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":[]}\n'
)


@pytest.mark.parametrize(
    "args",
    [["--help"], ["--version"], ["run", "--help"], ["load", "--help"], ["transform", "--help"]],
    ids=" ".join,
)
def test_help_loads_nothing_heavy(command: Command, args: list[str]) -> None:
    loaded = _loaded(command, *args)
    assert not loaded & NOT_LIGHT
    assert not loaded & {"msgspec", "ruamel"}


def test_run_tap_loads_nothing_heavy(command: Command) -> None:
    tap = {"script": "selectable.py", "capabilities": ["catalog", "discover"]}
    write_project(command.cwd, taps={"tap-x": tap}, default_environment="dev", environments=[{"name": "dev"}])
    assert not _loaded(command, "run", "tap-x") & NOT_LIGHT


def test_load_target_loads_nothing_heavy(command: Command) -> None:
    target = command.cwd / "target-x"
    target.write_text("#!/bin/sh\ncat > /dev/null\necho '{}'\n")
    target.chmod(0o755)
    write_project(command.cwd, targets={"target-x": {"executable": "./target-x"}})
    loaded = _loaded(command, "load", "target-x", stdin=SCHEMA)
    assert not loaded & NOT_LIGHT


def test_the_supervisor_loads_nothing_heavy(command: Command) -> None:
    write_project(command.cwd, taps={"tap-x": {"script": "says.py", "config": {"stdout": SCHEMA.decode()}}})
    assert not _loaded(command, "run", "tap-x", "out/") & NOT_LIGHT


@pytest.mark.parametrize(
    "args",
    [["list"], ["state", "list"], ["state", "get", "dev:a-to-b"], ["state", "list", "--json"]],
    ids=" ".join,
)
def test_looking_around_loads_nothing_heavy(command: Command, args: list[str]) -> None:
    taps = {"tap-x": {"script": "says.py"}, "tap-y": {"pip_url": "tap-y"}}
    write_project(command.cwd, taps=taps, default_environment="dev", environments=[{"name": "dev"}])
    SqliteStore(command.cwd / ".meltano" / "meltano.db").set("dev:a-to-b", b'{"bookmarks":{"s":1}}')
    assert not _loaded(command, *args) & (NOT_LIGHT | {"tabulate"})


@pytest.mark.parametrize(
    "args",
    [["discover", "tap-demo"], ["select", "tap-demo", "--list"], ["select", "tap-demo", "users"], ["check"]],
    ids=" ".join,
)
def test_a_catalog_that_is_kept_is_read_without_anything_heavy(command: Command, args: list[str]) -> None:
    write_project(command.cwd, taps={"tap-demo": {"capabilities": ["catalog", "discover"]}})
    assert command.flow("discover", "tap-demo").code == 0
    assert not _loaded(command, *args) & NOT_LIGHT


@pytest.mark.parametrize(
    "statement",
    ["import flow_singer", "from flow_singer import transform", "from flow_singer import FlowError"],
)
def test_the_library_is_light_until_a_frame_is_needed(statement: str) -> None:
    code = f"import sys, json; {statement}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert not {name.split(".")[0] for name in json.loads(done.stdout)} & {*NOT_LIGHT, "click", "msgspec"}
