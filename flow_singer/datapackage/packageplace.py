"""What stands where a package goes: only what Flow wrote is ever replaced, and nothing else is removed.

Links are never followed: a link in a package's folder is somebody's, even one that has a name of ours.
"""

from __future__ import annotations

import contextlib
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from flow_singer.datapackage.descriptor import RUN_PROPERTY
from flow_singer.errors import ConfigError
from flow_singer.files import fsync_folder, is_own, publish_folder, recover_folder, replaced_folder
from flow_singer.locks import Lock

DESCRIPTOR = "datapackage.json"
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


_LOCK_WAIT_S = 60.0
"""The place of a package is owned for the moments of putting one there, not while it is written."""


class PackagePlace:
    """Where a package is put: a folder, or a file that ends in `.zip`.

    Args:
        target: the place, as the user names it.
        notice: called with what a person should hear.

    Attributes:
        path: the place, links followed.

    Raises:
        ConfigError: there can be no package.
    """

    def __init__(self, target: Path, notice: Callable[[str], None]) -> None:
        self.path = Path(os.path.realpath(target))  # unlike resolve(), gives symlinks in a circle back
        if not self.path.name or os.path.islink(self.path):
            raise ConfigError(f"There can be no Data Package at {target}.", "Name a folder of its own.")
        self._notice = notice
        self._lock = Lock(self.path)

    @property
    def is_zip(self) -> bool:
        """Whether the package is one file."""
        return self.path.suffix.lower() == ".zip"

    def prepare(self) -> None:
        """Make the folder around the place, and finish what a run that was killed had begun there.

        Raises:
            ConfigError: something else than a package of Flow's stands there.
            BusyError: another process has been publishing there for a minute.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._owned():
            self._recover()

    def put(self, built: Path) -> None:
        """Put a package here; an earlier one is replaced.

        Args:
            built: the folder that it was built in, on the same file system.

        Raises:
            ConfigError: meanwhile something else has come here.
            BusyError: another process has been publishing here for a minute.
        """
        if not self.is_zip:
            with self._owned():
                self._recover()
                remove_package(publish_folder(built, self.path), self._notice)
            return
        packed = built / "package.zip"
        with zipfile.ZipFile(packed, "x", zipfile.ZIP_DEFLATED) as archive:
            for path in [built / DESCRIPTOR, *sorted((built / "data").iterdir())]:
                archive.write(path, path.relative_to(built).as_posix())
        with packed.open("rb") as file:
            os.fsync(file.fileno())
        with self._owned():
            self._recover()
            os.replace(packed, self.path)
        fsync_folder(self.path.parent)

    def _recover(self) -> None:
        """Make sure that nothing is here but an earlier package, whole."""
        if self.is_zip:
            check_zip(self.path)
            return
        old = replaced_folder(self.path)
        check_folder(old)
        recover_folder(self.path)
        check_folder(self.path)
        remove_package(old, self._notice)

    def _owned(self) -> contextlib.AbstractContextManager[Lock]:
        return self._lock.held(wait_s=_LOCK_WAIT_S, notice=self._notice)


def check_folder(folder: Path) -> None:
    """Refuse to replace what Flow did not write.

    Raises:
        ConfigError: `folder` is no folder, or holds anything but a package that Flow wrote.
    """
    if not os.path.lexists(folder):
        return
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise ConfigError(
            f"{folder} is a {_type_of(folder)}; a Data Package needs a folder, or a name that ends in .zip.",
            "Name another folder, or move what is there.",
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
