"""Drawings of the package for `design.md`, made from its imports: the rooms on their floors, the way of one record."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

from rooms import (
    FLOORS,
    GROUND,
    MODULES,
    PACKAGE,
    heavy_libraries,
    modules_in,
    own_imports,
    rooms_below,
    tree,
)

WIDTH = 77  # with a floor's number before it, a terminal of 80 columns

# The way of one record: what takes it, the room that calls that, and what becomes of the record.
WAY = [
    ("read_blocks", "stages", "the bytes of stdin, in blocks"),
    ("Transformer", "stages", "gets each block; one of these per file of functions"),
    ("MessageReader", "transforms", "whole lines; of each only `type` and `stream` are decoded"),
    ("RecordDecoder", "transforms", "the lines of a stream that a function takes, as typed columns"),
    ("to_frame", "transforms", "the columns as a DataFrame, which reads their cells"),
    ("call_function", "transforms", "the user's function: a DataFrame goes in, another comes out"),
    ("OutputStream", "transforms", "the rows as lines; a cell that was not changed keeps its text"),
    ("MessageWriter", "stages", "counts the lines, and puts marks at the beginning and the end"),
    ("write_all", "stages", "the bytes of stdout, to the last one"),
]


def rooms() -> str:
    """A box per room on its floor, the highest first: what it is for, the rooms and heavy libraries it imports."""
    lines = ["```text"]
    for number, floor in reversed([*enumerate(FLOORS)]):
        width = (WIDTH - len(floor) + 1) // len(floor)
        inner = [_inside(room, width - 4) for room in floor]
        height = max(map(len, inner))
        boxes = [
            _box(room, [*text, *[""] * (height - len(text))], width)
            for room, text in zip(floor, inner, strict=True)
        ]
        for row, parts in enumerate(zip(*boxes, strict=True)):
            lines.append(f"{number if row == 1 else ' '} {' '.join(parts)}")
    return "\n".join([*lines, "```"])


def _inside(room: str, width: int) -> list[str]:
    said = [] if room == "ground" else textwrap.wrap(_said(MODULES[room]), width)
    listed = [f"{name}: {_said(MODULES[name])}" for name in sorted(GROUND)] if room == "ground" else []
    below = [other for floor in reversed(FLOORS) for other in floor if other in rooms_below(room)]
    libraries = sorted(heavy_libraries(room))
    listed += [f"→ {', '.join(below)}"] if below else []
    listed += [f"+ {', '.join(libraries)}"] if libraries else []
    return said + [line for text in listed for line in textwrap.wrap(text, width, subsequent_indent="  ")]


def _said(file: Path) -> str:
    """The first line of a module's docstring."""
    return (ast.get_docstring(tree(file)) or "").partition("\n")[0].replace("`", "")


def _box(title: str, lines: list[str], width: int) -> list[str]:
    inside = [f"│ {line:{width - 4}} │" for line in lines]
    return [f"┌ {title} ".ljust(width - 1, "─") + "┐", *inside, "└" + "─" * (width - 2) + "┘"]


def way() -> str:
    """The steps of `WAY`, each with the file that has it and the room that calls it.

    Raises:
        LookupError: a step is defined nowhere or twice, or the room that is said to call it does not.
    """
    lines = ["```text", "stdin"]
    for name, caller, becomes in WAY:
        home, definition = _home(name)
        verb = "made" if isinstance(definition, ast.ClassDef) else "called"
        if not any(_calls(module, name, home) for module in modules_in(caller)):
            raise LookupError(f"The way of one record: no module of {caller} calls {name}.")
        path = MODULES[home].relative_to(PACKAGE).as_posix()
        lines += ["  │", f"{name:15} {path:25} {verb} in {caller}", f"  │{'':13} {becomes}"]
    return "\n".join([*lines, "  ↓", "stdout", "```"])


def _home(name: str) -> tuple[str, ast.ClassDef | ast.FunctionDef]:
    """The module that defines a name, and the definition."""
    found = [
        (module, node)
        for module, file in MODULES.items()
        for node in tree(file).body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name
    ]
    if len(found) != 1:
        raise LookupError(
            f"The way of one record: {name} is defined in {[one for one, _ in found] or 'no module'}."
        )
    return found[0]


def _calls(module: str, name: str, home: str) -> bool:
    """Whether a module calls what `home` defines under this name."""
    if module != home and home not in {inner for _, inner in own_imports(MODULES[module])}:
        return False
    called = (node.func for node in ast.walk(tree(MODULES[module])) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id == name for function in called)
