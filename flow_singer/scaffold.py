"""A new project: a few files that explain themselves and run at once."""

from __future__ import annotations

import os
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
        ConfigError: one of them is there already; nothing is written then.
    """
    taken = [name for name in _FILES if (folder / name).exists()]
    if taken:
        raise ConfigError(
            f"{folder / taken[0]} is there already; nothing was written.",
            "Give another folder: flow init DIR",
        )
    if folder.exists() and not os.access(folder, os.W_OK):
        raise ConfigError(f"{folder} cannot be written.")
    templates = files("flow_singer") / "templates"
    made = []
    for name, template in _FILES.items():
        content = (templates / template).read_bytes()
        write_atomic(folder / name, content, mode=0o600 if name == ".env" else 0o666)
        made.append(folder / name)
    return made
