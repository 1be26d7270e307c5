"""What stands where a package goes: only what Flow wrote is ever replaced, and nothing else is removed.

Links are never followed: a link in a package's folder is somebody's, even one that has a name of ours.
"""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from flow_singer.datapackage.descriptor import RUN_PROPERTY
from flow_singer.errors import ConfigError
from flow_singer.files import is_own

DESCRIPTOR = "datapackage.json"
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


def check_folder(folder: Path) -> None:
    """Refuse to replace what Flow did not write.

    Raises:
        ConfigError: `folder` is no folder, or holds anything but a package that Flow wrote.
    """
    if not os.path.lexists(folder):
        return
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise ConfigError(
            f"{folder} is a {_type_of(folder)}; a Data Package needs a folder, or a name that ends in .zip."
        )
    _, foreign = _contents(folder)
    if foreign:
        raise _refusal(folder, f"it holds {', '.join(foreign[:3])}")


def check_zip(path: Path) -> None:
    """Refuse to replace a zip file that Flow did not write.

    Raises:
        ConfigError: it is none, or holds anything but a package that Flow wrote.
    """
    if not os.path.lexists(path):
        return
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise _refusal(path, f"it is a {_type_of(path)}")
    try:
        with zipfile.ZipFile(path) as archive:
            found = {name for name in archive.namelist() if not name.endswith("/")}
            text = archive.read(DESCRIPTOR) if DESCRIPTOR in found else b""
    except zipfile.BadZipFile:
        raise _refusal(path, "it is no zip file") from None
    foreign = found - _own_files(text)
    if foreign:
        raise _refusal(path, f"it holds {', '.join(sorted(foreign)[:3])}")


def remove_package(folder: Path, notice: Callable[[str], None]) -> None:
    """Remove a package that was replaced, file by file: what has come into it at the last moment stays.

    Args:
        folder: the package; nothing happens where there is none.
        notice: told where something of it is still there.
    """
    if not is_own(folder, stat.S_ISDIR):
        return
    try:
        own, foreign = _contents(folder)
        if foreign:
            notice(
                f"{folder}, which was replaced, stays: it holds {', '.join(foreign[:3])}. Take it out and remove the rest."
            )
            return
        for path in sorted(own, reverse=True):  # a folder behind what is in it
            path.rmdir() if path.is_dir() else path.unlink()
        folder.rmdir()
    except OSError as exc:
        notice(f"{folder}, which was replaced, could not be removed: {exc.strerror or exc} ({exc.filename}).")


def _contents(folder: Path) -> tuple[list[Path], list[str]]:
    """Files and folders of a package that Flow wrote, and the names of all else."""
    modes = {path: os.lstat(path).st_mode for path in folder.rglob("*")}
    descriptor = folder / DESCRIPTOR
    is_readable = stat.S_ISREG(modes.get(descriptor, 0))
    files = _own_files(descriptor.read_bytes()) if is_readable else set()
    folders = {"data", *(parent.as_posix() for name in files for parent in Path(name).parents)}
    own, foreign = [], []
    for path, mode in modes.items():
        name = path.relative_to(folder).as_posix()
        if (stat.S_ISREG(mode) and (name in files or path.name in _LITTER)) or (
            stat.S_ISDIR(mode) and name in folders
        ):
            own.append(path)
        else:
            foreign.append(name if stat.S_ISREG(mode) else f"{name} (a {_type_of(path)})")
    return own, sorted(foreign)


def _type_of(path: Path) -> str:
    mode = os.lstat(path).st_mode
    types = {stat.S_IFLNK: "link", stat.S_IFDIR: "folder", stat.S_IFREG: "file"}
    return types.get(stat.S_IFMT(mode), "special file")


def _own_files(descriptor: bytes) -> set[str]:
    """The files of a package that Flow wrote; none where the descriptor is not Flow's."""
    try:
        package = msgspec.json.decode(descriptor)
    except msgspec.DecodeError:
        return set()
    if not isinstance(package, dict) or RUN_PROPERTY not in package:
        return set()
    found = package.get("resources")
    resources = [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return {DESCRIPTOR, *(str(one.get("path")) for one in resources)}


def _refusal(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{path} is not replaced: {reason}, which is not of a package that Flow wrote.",
        "Name another folder, or move what is there.",
    )
