"""Which build of a plugin is there, and where Flow keeps what it remembers of one."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from flow_singer.plugins.environments import FINGERPRINT_FILE
from flow_singer.plugins.programs import FoundPlugin

if TYPE_CHECKING:
    from flow_singer.project.meltanofile import Project


def build_key(found: FoundPlugin) -> str | None:
    """Return what tells one build of a plugin from another; None where nobody knows when it changes.

    Known is a bundled one, and one that Flow or Meltano installed (`pip_url`), unless what it installed is a
    folder that is worked on (`-e`). A program from PATH or a file of the project may be a wrapper, whose own
    time says nothing of what it starts.
    """
    if found.venv:
        if _is_editable(found):
            return None
        files = [found.venv / FINGERPRINT_FILE, *sorted(found.venv.glob(_PACKAGES))]
    elif found.source == "bundled":
        files = _module_files(found.command[-1])
    else:
        return None
    return file_key(files)


_PACKAGES = "lib/python*/site-packages"


def _is_editable(found: FoundPlugin) -> bool:
    if found.plugin and re.search(r"(^|\s)(-e|--editable)\b", found.plugin.pip_url or ""):
        return True
    # Where a variable holds the -e, what was installed says so (PEP 610).
    notes = found.venv.glob(f"{_PACKAGES}/*.dist-info/direct_url.json") if found.venv else ()
    return any('"editable":true' in re.sub(r"\s", "", note.read_text()) for note in notes)


def _module_files(module: str) -> list[Path]:
    from importlib.util import find_spec

    spec = find_spec(module)
    return sorted(Path(spec.origin).parent.glob("*.py")) if spec and spec.origin else []


def file_key(files: Sequence[Path]) -> str:
    """Return a hash of when files were written, and of their sizes."""
    stats = [(str(file), file.stat()) for file in files]
    return hashlib.sha256(repr([(n, s.st_mtime_ns, s.st_size) for n, s in stats]).encode()).hexdigest()


def cache_folder(found: FoundPlugin, project: Project | None, *, environ: Mapping[str, str]) -> Path:
    """Return the folder of what Flow remembers of a plugin: beside its environment, or the user's cache."""
    if project:
        return project.sys_dir / found.kind / Path(found.name).name / "flow"
    home = environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "flow-singer" / found.kind / Path(found.name).name
