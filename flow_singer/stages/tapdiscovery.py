"""Ask a tap for its catalog without running it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from flow_singer.errors import ConfigError
from flow_singer.plugins.about import capabilities
from flow_singer.plugins.builds import cache_folder
from flow_singer.plugins.prepare import PreparedPlugin, prepare
from flow_singer.plugins.runfolder import run_folder, write_config
from flow_singer.project.meltanofile import Project
from flow_singer.stages.extract import keep_config
from flow_singer.stages.keptcatalog import discovered_catalog, kept_catalog, tell_age
from flow_singer.stages.workspace import Workspace


@dataclass(frozen=True)
class AskedTap:
    """A tap that can be asked.

    Attributes:
        tap: ready to start.
        able: what it can do.
        project: whose tap it is; None without meltano.yml.
        cache: folder of what is remembered of it.
    """

    tap: PreparedPlugin
    able: frozenset[str]
    project: Project | None = field(repr=False)
    cache: Path

    def catalog(self, show: Callable[[str, str], None], *, refresh: bool = False) -> bytes:
        """Its catalog, as its discovery wrote it: the one that is kept, else discovered now.

        Args:
            show: gets (name, line) of what the tap writes on stderr.
            refresh: discover anew.

        Raises:
            ConfigError: it cannot discover.
            TapError: discovery failed.
        """
        tap = self.tap
        if "discover" not in self.able:
            raise ConfigError(
                f"{tap.name} cannot discover its catalog: it has no --discover.",
                "If it has, list its capabilities in meltano.yml: [catalog, discover, state]. If not, write the "
                f"catalog by hand: flow run {tap.name} --catalog FILE",
            )
        if not refresh and (kept := kept_catalog(tap.found, tap.config, tap.extras, self.cache)) is not None:
            tell_age(tap.name, kept)  # no config is written for it
            return kept.content
        with run_folder(self.project) as folder:
            config = write_config(folder, tap.name, tap.config)
            try:
                return discovered_catalog(
                    tap, config, self.cache, lambda line: show(tap.name, line), refresh=True
                )
            finally:
                keep_config(tap, config)


def ask_tap(workspace: Workspace, name: str, *, config: str | None, refresh: bool = False) -> AskedTap:
    """Find a tap as a run does: installed, with its settings, and asked what it can do.

    Args:
        workspace: of the command.
        name: a plugin of meltano.yml, a bundled connector, or an executable on PATH.
        config: of the command line, over the tap's settings.
        refresh: ask anew what it can do.

    Raises:
        ConfigError, TapError: see `prepare`.
    """
    project = workspace.project
    tap = prepare(name, "extractors", project, config=config, environ=workspace.environ)
    cache = cache_folder(tap.found, project, environ=workspace.environ)
    able = capabilities(tap.found, env=tap.env, cache=cache, refresh=refresh)
    return AskedTap(tap, able, project, cache)
