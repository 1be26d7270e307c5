"""What stands where a package goes: only what Flow wrote is ever replaced, and nothing else is removed.

Links are never followed: a link in a package's folder is somebody's, even one that has a name of ours.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from flow_singer.datapackage.formerpackage import RUN_PROPERTY, FormerPackage, paths_of, read_former
from flow_singer.datapackage.growthnote import GrowthNote
from flow_singer.dataplaces import DESCRIPTOR
from flow_singer.errors import ConfigError
from flow_singer.files import fsync_folder, is_own, publish_folder, recover_folder, replaced_folder
from flow_singer.locks import Lock

_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


_LOCK_WAIT_S = 60.0
"""The place of a package is owned for the moments of putting one there, not while it is written."""

_GROWTH_WAIT_S = 600.0
"""Rows that replace others by their key are put there by reading all others back, which may take minutes."""


class Change(NamedTuple):
    """What makes a grown package of the one that is there.

    Attributes:
        descriptor: text of the grown package's descriptor.
        added: files that come in: where each was built, and its path in the package.
        gone: paths of files that the descriptor names no more.
    """

    descriptor: bytes
    added: Sequence[tuple[Path, str]]
    gone: Sequence[str]


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
        self._note = GrowthNote(self.path)

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
        packed = _packed(built, _files_of(built)) if self.is_zip else built
        with self._owned():
            self._recover()
            self._put(packed)

    def grow(self, built: Path, change: Callable[[FormerPackage | None], Change]) -> None:
        """Add to the package that is here, or put the first one here.

        A reader sees the former package until its descriptor is replaced by one rename, and the grown one from
        then on. The place is owned meanwhile, so that of two runs at once the second adds to what the first made.

        Args:
            built: the folder of what is added, on the same file system; its own descriptor is complete for the
                case that there is no package yet.
            change: makes what is to be done of the package that is here; nothing is done where it raises. Of no
                package it makes the descriptor only.

        Raises:
            ConfigError: something else has come here.
            BusyError: another process has been publishing here for ten minutes.
        """
        with self._owned(_GROWTH_WAIT_S):
            self._recover()
            former = read_former(self.path)
            descriptor, added, gone = change(former)
            write_durably(built / DESCRIPTOR, descriptor)
            if former is None:
                fsync_folder(built)
                self._put(_packed(built, _files_of(built)) if self.is_zip else built)
            elif self.is_zip:
                self._put(self._grown_zip(built, added, gone))
            else:
                self._add(built, added, gone)

    def _put(self, packed: Path) -> None:
        if self.is_zip:
            os.replace(packed, self.path)
            fsync_folder(self.path.parent)
        else:
            remove_package(publish_folder(packed, self.path), self._notice)

    def _add(self, built: Path, added: Sequence[tuple[Path, str]], gone: Sequence[str]) -> None:
        """Move files in, then the descriptor that names them, then remove what it does not name any more.

        Whatever ends this at any moment: files that no descriptor names are noted down, and the next run removes
        them.
        """
        if added or gone:
            self._note.write([*(path for _, path in added), *gone], built)
        try:
            (self.path / "data").mkdir(exist_ok=True)
            for source, path in added:
                os.rename(source, self.path / path)
            fsync_folder(self.path / "data")
            os.replace(built / DESCRIPTOR, self.path / DESCRIPTOR)
        except BaseException:
            with contextlib.suppress(OSError):
                self._note.settle(self._own_files())
            raise
        fsync_folder(self.path)
        with contextlib.suppress(OSError):  # it is published; what is left, the next run removes
            self._note.settle(self._own_files())

    def _grown_zip(self, built: Path, added: Sequence[tuple[Path, str]], gone: Sequence[str]) -> Path:
        """The whole zip file anew: nothing of one can be replaced without a moment at which it is torn."""
        files = [(built / DESCRIPTOR, DESCRIPTOR), *added]
        with zipfile.ZipFile(self.path) as former:
            kept = [n for n in former.namelist() if n != DESCRIPTOR and n not in gone and n[-1:] != "/"]
            return _packed(built, files, former, kept)

    def _own_files(self) -> set[str]:
        return _own_files((self.path / DESCRIPTOR).read_bytes())

    def _recover(self) -> None:
        """Make sure that nothing is here but an earlier package, whole."""
        if self.is_zip:
            check_zip(self.path)
            return
        old = replaced_folder(self.path)
        check_folder(old)
        recover_folder(self.path)
        if is_own(self.path / DESCRIPTOR) and self._note.is_there:
            self._note.settle(self._own_files())
        elif not os.path.lexists(self.path):
            self._note.forget()
        check_folder(self.path)
        remove_package(old, self._notice)

    def _owned(self, wait_s: float = _LOCK_WAIT_S) -> contextlib.AbstractContextManager[Lock]:
        return self._lock.held(wait_s=wait_s, notice=self._notice)


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that nobody reads yet, to the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _files_of(built: Path) -> list[tuple[Path, str]]:
    data = sorted((built / "data").iterdir())
    return [(path, path.relative_to(built).as_posix()) for path in (built / DESCRIPTOR, *data)]


def _packed(
    built: Path,
    files: Sequence[tuple[Path, str]],
    former: zipfile.ZipFile | None = None,
    kept: Sequence[str] = (),
) -> Path:
    """A zip file in a folder, of files and of members of another one, on the disk."""
    packed = built / "package.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, name in files:
            archive.write(path, name)
        for name in kept:
            if former is not None:
                with former.open(name) as source, archive.open(name, "w", force_zip64=True) as target:
                    shutil.copyfileobj(source, target, 1 << 20)
    with packed.open("rb") as file:
        os.fsync(file.fileno())
    return packed


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
    return {DESCRIPTOR, *(path for one in resources for path in paths_of(one))}


def _refusal(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{path} is not replaced: {reason}, which is not of a package that Flow wrote.",
        "Name another folder, or move what is there.",
    )
