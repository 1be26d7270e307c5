"""The rooms (folders) of the package: the floor each stands on, and what its modules import.

`test_imports.py` checks the tables here; `docs/drawing.py` draws them.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "flow_singer"

# From the ground up: a room imports rooms of lower floors only.
FLOORS = [
    ["ground"],
    ["singer", "project"],
    ["process", "state"],
    ["tabular", "plugins"],
    ["reading"],
    ["transforms", "datapackage"],
    ["checks", "looking"],
    ["stages", "scaffold"],
    ["cli"],
    ["__main__"],
]

# The modules that lie in the package itself; together they are the room "ground".
GROUND = {"dataplaces", "errors", "files", "locks", "nearnames", "wording"}

# The modules by which others enter the room of packages; those behind them may change.
FRONT = {
    "datapackage.formerpackage",  # what a package that is there keeps of the runs before
    "datapackage.owndescriptor",  # what a person says of a package
    "datapackage.partitionby",  # what a person writes of the files that rows are spread over
    "datapackage.plaincsv",  # batches into CSV files without a package
    "datapackage.sdktap",  # a bundled tap's command line and settings
    "datapackage.sdktarget",  # a bundled target's command line and settings
    "datapackage.sink",  # a message stream into whatever takes batches
    "datapackage.validation",  # a package by its own schema
    "datapackage.writer",  # batches into a package
}

# The modules by which connectors enter the room of reading.
READING = {"reading.newerthan", "reading.newfiles", "reading.readsettings", "reading.source"}

# The modules by which connectors enter the room of checks.
CHECKS = {"checks.contractchoice", "checks.contractsink"}

# Libraries that take long to load, and the rooms that may import them. Those without a room come with others, or would
# be at hand; each is a second or a hundred megabytes that Flow has no need of.
HEAVY: dict[str, set[str]] = {
    "dask": set(),
    "duckdb": set(),
    "frictionless": {"datapackage"},
    "fsspec": {"reading"},
    "jinja2": {"looking"},
    "jsonschema": set(),
    "numpy": {"tabular", "datapackage", "checks", "looking"},
    "openpyxl": {"reading", "datapackage"},
    "pandas": {"tabular", "transforms"},
    "pyarrow": {"singer", "tabular", "reading", "datapackage", "checks", "looking"},
    "requests": {"reading"},
    "singer_sdk": {"datapackage"},
    "sqlalchemy": set(),
}

FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}


def _modules() -> dict[str, Path]:
    modules = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = file.relative_to(PACKAGE).with_suffix("").parts
        if "templates" not in parts and parts != ("__init__",):  # templates are files for users
            modules[".".join(parts).removesuffix(".__init__")] = file
    return modules


MODULES = _modules()
"""Dotted name within the package -> its file."""


@cache
def tree(file: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(file.read_text(encoding="utf-8"))


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of every import, those in functions and for types included."""
    for node in ast.walk(tree(file)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name}:{node.lineno}: write the whole name"
            yield node.lineno, node.module or ""
            if node.module == "flow_singer":
                yield from ((node.lineno, f"flow_singer.{alias.name}") for alias in node.names)


def own_imports(file: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name within the package of every import of ours; of the package itself, only its version is public."""
    for line, name in imports(file):
        package, _, inner = name.partition(".")
        if package == "flow_singer" and inner and inner != "__version__":
            yield line, inner


def module_of(inner: str) -> str:
    """The module that an import means: of `from flow_singer.cli import _options`, the name says only `cli`."""
    return inner if inner in MODULES else inner.rpartition(".")[0]


def room_of(module: str) -> str:
    """The room of a module, or of a name in one."""
    first = module.partition(".")[0]
    return "ground" if first in GROUND else first


def modules_in(room: str) -> list[str]:
    """The modules of a room."""
    return [module for module in MODULES if room_of(module) == room]


def rooms_below(room: str) -> set[str]:
    """The rooms that a room imports."""
    found = {room_of(inner) for module in modules_in(room) for _, inner in own_imports(MODULES[module])}
    return found - {room}


def heavy_libraries(room: str) -> set[str]:
    """The libraries of `HEAVY` that a room imports."""
    found = {name.partition(".")[0] for module in modules_in(room) for _, name in imports(MODULES[module])}
    return found & set(HEAVY)
