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

PACKAGE = Path(__file__).parent.parent / "flow_singer"

# The floors, from the ground up: a room imports rooms of lower floors only. The ground is the modules that lie in the
# package itself.
FLOORS = [
    ["ground"],
    ["singer", "project"],
    ["process", "state"],
    ["tabular", "plugins"],
    ["transforms", "datapackage"],
    ["stages", "scaffold"],
    ["cli"],
    ["__main__"],
]

GROUND = {"errors", "files", "locks", "nearnames"}

# Libraries that take long to load, and the rooms that need them.
HEAVY = {
    "pandas": {"tabular", "transforms"},
    "numpy": {"tabular", "datapackage"},
    "pyarrow": {"tabular", "singer", "transforms", "datapackage"},
    "singer_sdk": {"datapackage"},
    "frictionless": {"datapackage"},
}


FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def _modules() -> dict[str, Path]:
    """Dotted name within the package -> its file; the templates are files for users, not modules."""
    modules = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        if "templates" not in parts and parts != ("__init__",):
            modules[".".join(parts).removesuffix(".__init__")] = file
    return modules


MODULES = _modules()


def _imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, those in functions and for types included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}:{node.lineno}: write the whole name"
            yield node.lineno, node.module or ""
            if node.module == "flow_singer":
                yield from ((node.lineno, f"flow_singer.{alias.name}") for alias in node.names)


def _is_public_name(module: str) -> bool:
    return module == "flow_singer.__version__"


def _room(module: str) -> str:
    first = module.partition(".")[0]
    return "ground" if first in GROUND else first


def _own_imports(module: str) -> Iterator[tuple[int, str]]:
    """Line and dotted name within the package of every import of ours; of the package itself, only public names."""
    for line, name in _imports(MODULES[module]):
        package, _, inner = name.partition(".")
        if package == "flow_singer" and inner and not _is_public_name(name):
            yield line, inner


def test_every_module_has_a_floor() -> None:
    assert {_room(name) for name in MODULES} == set(FLOOR)


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
        ("cli.load", "stages.load"),
        ("cli.transform", "stages.transform"),
    }


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_down(module: str) -> None:
    room = _room(module)
    upward = [
        f"{module}:{line} (floor {FLOOR[room]}) imports {inner} (floor {FLOOR[other]})"
        for line, inner in _own_imports(module)
        if (other := _room(inner)) != room and FLOOR[other] >= FLOOR[room]
    ]
    assert upward == []


@pytest.mark.parametrize("room", FLOOR)
def test_imports_within_a_room_form_no_circle(room: str) -> None:
    inside = {
        module: {
            name for _, inner in _own_imports(module) if _room(inner) == room and (name := _module(inner))
        }
        for module in MODULES
        if _room(module) == room
    }
    graphlib.TopologicalSorter(inside).prepare()


def _module(inner: str) -> str:
    """The module that is meant: of `from flow_singer.cli import _options`, the name says only `cli`."""
    return inner if inner in MODULES else inner.rpartition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_heavy_libraries_are_imported_where_they_are_needed(module: str) -> None:
    wrong = [
        f"{module}:{line} imports {name}"
        for line, name in _imports(MODULES[module])
        if (library := name.split(".")[0]) in HEAVY and _room(module) not in HEAVY[library]
    ]
    assert wrong == []


def test_connectors_stay_below_the_command_line() -> None:
    wrong = [
        f"{file}:{line} imports {name}"
        for folder in ("taps", "targets")
        for file in sorted((PACKAGE.parent / folder).rglob("*.py"))
        for line, name in _imports(file)
        if name.startswith("flow_singer.")
        and FLOOR[_room(name.removeprefix("flow_singer."))] > FLOOR["datapackage"]
    ]
    assert wrong == []


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


NOT_LIGHT = {*HEAVY, "jsonschema", "requests", "sqlalchemy"}

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
    "statement",
    ["import flow_singer", "from flow_singer import transform", "from flow_singer import FlowError"],
)
def test_the_library_is_light_until_a_frame_is_needed(statement: str) -> None:
    code = f"import sys, json; {statement}; print(json.dumps(list(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert not {name.split(".")[0] for name in json.loads(done.stdout)} & {*NOT_LIGHT, "click", "msgspec"}
