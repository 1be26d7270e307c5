"""Small Meltano projects whose taps and targets are the scripts of `fixtures/`."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIXTURES = Path(__file__).parent / "fixtures"


def script(folder: Path, name: str, source: Path) -> Path:
    """Make the executable `name` in `folder` that runs the script `source`, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    # -I -S: starts in a third of the time, and proves that a plugin needs nothing of Flow's environment
    file.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-I", "-S", str(source)])} "$@"\n')
    file.chmod(0o755)
    return file


def write_project(
    root: Path,
    *,
    taps: Mapping[str, Mapping[str, Any]] | None = None,
    targets: Mapping[str, Mapping[str, Any]] | None = None,
    **entries: Any,
) -> Path:
    """Write a `meltano.yml` and the executables it names, and return its folder.

    Args:
        root: the project's folder.
        taps: entries by name; `script` names a file of `fixtures/taps`. Without `capabilities` a tap takes
            a state and no catalog.
        targets: likewise, of `fixtures/targets`.
        **entries: of meltano.yml itself.
    """
    plugins: dict[str, list[dict[str, Any]]] = {}
    for kind, folder, declared in (("extractors", "taps", taps), ("loaders", "targets", targets)):
        for name, entry in (declared or {}).items():
            own = {"name": name, "namespace": name.replace("-", "_"), "capabilities": ["state"], **entry}
            if "script" in own:
                source = FIXTURES / folder / own.pop("script")
                own["executable"] = str(script(root / "bin", name, source))
            plugins.setdefault(kind, []).append(own)
    (root / "meltano.yml").write_text(json.dumps({"version": 1, **entries, "plugins": plugins}))
    return root
