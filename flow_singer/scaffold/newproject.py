"""A new project: a few files that explain themselves and run at once."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

from flow_singer.errors import ConfigError
from flow_singer.files import write_atomic

_FILES = {
    "meltano.yml": "meltano.yml",
    "transforms/issues.py": "issues.py",
    "tests/test_issues.py": "test_issues.py",
    ".gitignore": "gitignore",
    ".env": "env",
}


def make_project(folder: Path) -> list[Path]:
    """Write a project's files.

    Args:
        folder: made where missing.

    Returns:
        The files, in the order to read them.

    Raises:
        ConfigError: one of them is there already, or cannot be written; nothing is left behind then.
    """
    taken = [name for name in _FILES if os.path.lexists(folder / name)]
    if taken:
        raise ConfigError(
            f"{folder / taken[0]} is there already; nothing was written.",
            "Give another folder: flow init DIR",
        )
    templates = files("flow_singer") / "scaffold" / "templates"
    places = {folder / name: templates / template for name, template in _FILES.items()}
    missing = [one for one in _folders(places) if not os.path.lexists(one)]
    made: list[Path] = []
    try:
        for path, template in places.items():
            write_atomic(path, template.read_bytes(), mode=0o600 if path.name == ".env" else 0o666)
            made.append(path)
    except BaseException as exc:
        _take_back(made, missing)
        if not isinstance(exc, (OSError, ValueError)):  # the latter for a NUL byte
            raise
        reason = getattr(exc, "strerror", None) or str(exc)
        raise ConfigError(
            f"A project cannot be made at {str(folder)!r}: {reason}; nothing was written.",
            "Give a folder that can be written: flow init DIR",
        ) from exc
    return made


def _folders(places: Iterable[Path]) -> list[Path]:
    """The folders of these files and those above, the innermost first."""
    found = {parent for path in places for parent in path.parents}
    return sorted(found, key=lambda one: len(one.parts), reverse=True)


def _take_back(made: list[Path], folders: list[Path]) -> None:
    for path in made:
        with contextlib.suppress(OSError):
            path.unlink()
    for folder in folders:
        with contextlib.suppress(OSError, ValueError):
            folder.rmdir()
