"""Make the virtual environment of each peer with uv, its bytecode compiled before any clock starts."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cases import ROOT, Environment
from peers import FLOW


class SetUpError(Exception):
    """An environment could not be made; the message is the last line of the tool that failed."""


def prepare(environment: Environment, folder: Path) -> None:
    """Make `environment` in `folder`, or leave it when it is there with these requirements and this Python.

    Flow is installed anew each time, as a copy: an editable install would start differently, and uv would
    take an old wheel of the same version from its cache.
    """
    stamp = folder / "requirements.json"
    wanted = json.dumps([sys.version, *environment.requirements, *environment.last])
    is_made = stamp.exists() and stamp.read_text() == wanted
    if is_made and environment.name != FLOW:
        return
    if not is_made:
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
    again = ("--reinstall-package", "flow-singer") if environment.name == FLOW else ()
    install = ("pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python"))
    _uv(*install, *again, *environment.requirements)
    if environment.last:
        _uv(*install, "--no-deps", "--reinstall", *environment.last)
    stamp.write_text(wanted)


def versions(folder: Path) -> dict[str, str]:
    """Every package in the environment with its version."""
    listed = _uv("pip", "list", "--format", "json", "--python", str(folder / "bin" / "python"))
    return {package["name"]: package["version"] for package in json.loads(listed)}


def clean_environ(home: Path, *folders: Path) -> dict[str, str]:
    """Environment variables for measured commands: the same whoever runs them."""
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "PATH": os.pathsep.join([*map(str, folders), os.defpath]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TZ": "UTC",
    }


def _uv(*arguments: str) -> str:
    beside = Path(sys.executable).with_name("uv")
    uv = shutil.which("uv") or (str(beside) if beside.exists() else None)
    if uv is None:
        raise SetUpError("uv was not found: pip install uv")
    done = subprocess.run([uv, *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise SetUpError(lines[-1] if lines else f"uv {arguments[0]} ended with {done.returncode}")
    return done.stdout
