"""Who uses the room of packages from outside, uses its front; the files behind it may change."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ROOM = "flow_singer.datapackage"

FRONT = {
    "sink",  # a message stream into whatever takes batches
    "writer",  # batches into a package
    "plaincsv",  # batches into CSV files without a package
    "sdktarget",  # a target's command line and settings
}

USERS = ["taps", "targets", "flow_singer/stages", "flow_singer/cli"]


def _imports_of_the_room(file: Path) -> Iterator[tuple[int, str]]:
    """Line and module of every import from the room, those in functions and for types included."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            at_whole = node.module in (ROOM, ROOM.partition(".")[0])
            names = [f"{node.module}.{alias.name}" for alias in node.names] if at_whole else [node.module]
        for name in names:
            if name == ROOM or name.startswith(f"{ROOM}."):
                yield node.lineno, name.removeprefix(ROOM).lstrip(".")


@pytest.mark.parametrize("user", USERS)
def test_the_room_is_entered_by_its_front(user: str) -> None:
    inner = [
        f"{file.relative_to(ROOT)}:{line} imports {module or 'the room itself'}"
        for file in sorted((ROOT / user).rglob("*.py"))
        for line, module in _imports_of_the_room(file)
        if module not in FRONT
    ]
    assert inner == []


@pytest.mark.parametrize("module", sorted(FRONT))
def test_a_front_module_does_something_itself(module: str) -> None:
    """It has functions or classes of its own, and hands no other module's on."""
    tree = ast.parse((ROOT / "flow_singer" / "datapackage" / f"{module}.py").read_text(encoding="utf-8"))
    assert any(isinstance(node, ast.ClassDef | ast.FunctionDef) for node in tree.body)
    assigned = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    assert "__all__" not in assigned
