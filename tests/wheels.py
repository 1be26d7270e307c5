"""Packages that uv installs without a network."""

from __future__ import annotations

import zipfile
from pathlib import Path

_BACKEND = """\
import os, pathlib, sys, time
sys.path.insert(0, {here!r})
import wheels

def build_wheel(folder, config_settings=None, metadata_directory=None):
    pathlib.Path({begun!r}).touch()
    ends = time.monotonic() + 60
    while not os.path.exists({waits_for!r}) and time.monotonic() < ends:
        time.sleep(0.02)
    print({says!r}, file=sys.stderr)
    if {fails!r}:
        sys.exit(1)
    return wheels.make_wheel(pathlib.Path(folder), {name!r}).name
"""


def make_wheel(
    folder: Path, name: str = "tap-tiny", program: str | None = None, says: str | None = None
) -> Path:
    """A wheel without dependencies; its program, named as itself, says where it is from, or what it is to say."""
    module = name.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    files = {
        f"{module}.py": f"def main():\n    print({says or f'hello from {module}'!r})\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[console_scripts]\n{program or name} = {module}:main\n",
    }
    record = "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"])
    wheel = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(file, text)
    return wheel


def make_source(
    folder: Path, name: str, *, begun: Path, waits_for: Path, says: str = "", fails: bool = False
) -> Path:
    """A package whose wheel is being built until a file is there.

    Args:
        folder: gets a folder of its name.
        name: of the package.
        begun: file that it makes when it begins.
        waits_for: the file that it waits for.
        says: what it writes then.
        fails: whether it fails then.
    """
    source = folder / name
    source.mkdir(parents=True)
    (source / "pyproject.toml").write_text(
        f'[project]\nname = "{name}"\nversion = "1.0"\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    (source / "backend.py").write_text(
        _BACKEND.format(
            here=str(Path(__file__).parent),
            name=name,
            begun=str(begun),
            waits_for=str(waits_for),
            says=says,
            fails=fails,
        )
    )
    return source
