"""Which files a run is about to move into a package, or out of it: noted beside, so that a killed run leaves none.

A file that no descriptor names could be anybody's. One that stands in the note, and not in the descriptor, is of a run
that was killed before its descriptor came, or before it had removed what it replaced.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from stat import S_ISDIR

import msgspec

from flow_singer.errors import ConfigError
from flow_singer.files import fsync_folder, is_own


class GrowthNote:
    """The note of one package: `.NAME.growing` beside it. Whoever reads or writes it owns the package's place.

    Args:
        package: the package's folder.
    """

    def __init__(self, package: Path) -> None:
        self._package = package
        self.path = package.with_name(f".{package.name}.growing")

    @property
    def is_there(self) -> bool:
        """Whether a run has left one."""
        return os.path.lexists(self.path)

    def write(self, paths: Sequence[str], built: Path) -> None:
        """Note files, by their paths in the package; `built` is a folder on the same file system."""
        beside = built / "growing"
        with beside.open("wb") as file:
            file.write(msgspec.json.encode(list(paths)))
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, self.path)
        fsync_folder(self.path.parent)

    def forget(self) -> None:
        """Remove the note alone: the package that it is of is gone."""
        if is_own(self.path):
            self.path.unlink()

    def settle(self, named: Collection[str]) -> None:
        """Remove the noted files that no descriptor names, and then the note.

        Args:
            named: the files that the package's descriptor names.

        Raises:
            ConfigError: what stands in the note's place is none.
            OSError: a file cannot be removed.
        """
        for path in self._read():
            folder = self._package / PurePosixPath(path).parent
            if path not in named and is_own(folder, S_ISDIR) and is_own(self._package / path):
                os.unlink(self._package / path)
        if is_own(self._package / "data", S_ISDIR):
            fsync_folder(self._package / "data")
        self.path.unlink(missing_ok=True)

    def _read(self) -> list[str]:
        try:
            paths = msgspec.json.decode(self.path.read_bytes(), type=list[str]) if is_own(self.path) else None
        except msgspec.DecodeError:
            paths = None
        if paths is None and not self.is_there:
            return []
        if paths is None or any(PurePosixPath(one).parts[:-1] != ("data",) for one in paths):
            raise ConfigError(
                f"{self.path} stands where Flow notes what it adds to {self._package}, and is no such note.",
                "Move it away.",
            )
        return paths
