"""Where a command works: the project around a folder, its environment and its bookmarks."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from flow_singer.dataplaces import is_place
from flow_singer.errors import ConfigError
from flow_singer.process.status import StatusWriter
from flow_singer.singer.batchpaths import BatchPaths

if TYPE_CHECKING:
    from flow_singer.project.meltanofile import Project
    from flow_singer.state.documents import StateStore

logger = logging.getLogger(__name__)


@dataclass
class Workspace:
    """A folder, and what follows from it when it is first needed.

    Args:
        folder: where the command runs.
        environ: the environment of this process.
        environment: name of the environment of meltano.yml; None for the default one.
    """

    folder: Path
    environ: Mapping[str, str] = field(repr=False)
    environment: str | None = None

    @cached_property
    def project(self) -> Project | None:
        """The Meltano project around the folder; None where there is none.

        Raises:
            ConfigError: it cannot be read, or an environment was named and there is no project.
        """
        from flow_singer.project.meltanofile import find_project, load_project

        root = find_project(self.folder, self.environ)
        if root is not None:
            # Of unknown keys a supervisor has warned for all of its stages.
            warn = logger.debug if StatusWriter(self.environ).supervised else logger.warning
            return load_project(root, environment=self.environment, environ=self.environ, warn=warn)
        if self.environment not in (None, "null"):
            raise ConfigError(
                f"--environment {self.environment}: there is no meltano.yml in {self.folder} or above.",
                "Make a project with: flow init",
            )
        return None

    @property
    def batch_paths(self) -> BatchPaths:
        """Which files a BATCH message may name; the project is read at the first such message."""
        return BatchPaths(self.environ, lambda: self.project.batch_roots if self.project else [self.folder])

    @cached_property
    def store(self) -> StateStore:
        """Where bookmarks lie."""
        from flow_singer.state.bookmarks import open_store

        return open_store(self.project, environ=self.environ, cwd=self.folder)

    def bookmark_id(self, tap: str, target: str) -> str:
        """The name of the bookmark that a tap has in a target, as Meltano names it."""
        from flow_singer.state.documents import state_id

        project = self.project
        return state_id(
            project.environment if project else None,
            Path(tap).name,
            Path(target).name,
            self.state_id_suffix,
        )

    def package_bookmark_id(self, tap: str) -> str:
        """The name of the bookmark that a Data Package keeps of a tap: the package may be moved and renamed."""
        project = self.project
        name = tap if is_place(tap) else Path(tap).name
        words = (project.environment if project else None, name, self.state_id_suffix)
        return ":".join(word for word in words if word)

    @property
    def state_id_suffix(self) -> str | None:
        """What ends the name of a bookmark: MELTANO_RUN_STATE_ID_SUFFIX, else the environment's."""
        project = self.project
        own = self.environ.get("MELTANO_RUN_STATE_ID_SUFFIX")
        return own or (project.state_id_suffix if project else None)
