"""Which files of this machine a BATCH message may name.

A manifest is data, and may come from anywhere: it must not make Flow read what the user has elsewhere. Allowed
is what lies below the project (without one: the current folder), the folder of a tap's run, the temporary
folder, and what `batch_paths:` in meltano.yml and the variable `FLOW_BATCH_PATHS` add.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BATCH_PATHS_VARIABLE = "FLOW_BATCH_PATHS"
"""Further folders, separated like those of PATH. By it Flow also tells a bundled target what is allowed."""


class BatchPaths:
    """The folders below which BATCH files are read.

    Args:
        environ: the environment of this process.
        project: gives the folders of the project, asked at the first BATCH; None for the current folder.
    """

    def __init__(
        self, environ: Mapping[str, str], project: Callable[[], Iterable[Path]] | None = None
    ) -> None:
        self._environ = environ
        self._project = project

    @cached_property
    def roots(self) -> list[Path]:
        """The folders, with symlinks resolved."""
        own = [Path.cwd()] if self._project is None else self._project()
        named = [Path(one) for one in self._environ.get(BATCH_PATHS_VARIABLE, "").split(os.pathsep) if one]
        found = (os.path.realpath(one) for one in [*own, Path(tempfile.gettempdir()), *named])
        return [Path(one) for one in dict.fromkeys(found)]

    def resolve(self, path: Path) -> Path | None:
        """Where a file really lies; None where it must not be read.

        Raises:
            ValueError, OSError: no file can have this path.
        """
        real = Path(os.path.realpath(path))
        return real if any(real.is_relative_to(root) for root in self.roots) else None

    @property
    def variable(self) -> str:
        """The roots, as `FLOW_BATCH_PATHS` has them."""
        return os.pathsep.join(map(str, self.roots))
