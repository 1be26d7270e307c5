"""A plugin by itself, as a run would start it: with its config, its environment, a tap with its catalog."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from flow_singer.errors import ConfigError
from flow_singer.plugins.about import capabilities
from flow_singer.plugins.builds import cache_folder
from flow_singer.plugins.notfound import NOUNS
from flow_singer.plugins.prepare import PreparedPlugin, prepare
from flow_singer.plugins.programs import Kind
from flow_singer.plugins.runfolder import run_folder, write_config
from flow_singer.process.foreground import run_in_foreground
from flow_singer.singer.selection import legacy_properties
from flow_singer.stages.extract import keep_config
from flow_singer.stages.pluginsettings import kind_of
from flow_singer.stages.tapcatalog import make_catalog
from flow_singer.stages.tapoptions import TapOptions
from flow_singer.stages.workspace import Workspace

Show = Callable[[str, str], None]
"""Gets (name, line) of what a plugin writes on stderr while it is asked for something."""


@dataclass(frozen=True)
class Invocation:
    """A plugin that can be started by itself.

    Attributes:
        workspace: of the command.
        plugin: found, installed, with its settings.
    """

    workspace: Workspace
    plugin: PreparedPlugin

    @property
    def is_tap(self) -> bool:
        """Whether it reads a catalog, and no messages."""
        return self.plugin.found.kind == "extractors"

    def run(self, arguments: Sequence[str], show: Show, terminal: IO[bytes] | None = None) -> int:
        """Run it to its end, and return its exit code.

        Args:
            arguments: of a person, behind its config; with any, a tap gets no catalog.
            show: see `Show`.
            terminal: becomes its stdin and stdout; a target then gets what came on ours as a file, by the option
                `--input` of the Singer SDK. See [`run_in_foreground`][flow_singer.process.foreground.run_in_foreground].

        Raises:
            ConfigError, TapError: there is no catalog, or it cannot be started.
        """
        with self._configured() as (folder, config):
            command = [*self.plugin.found.command, "--config", str(config)]
            if not arguments and self.is_tap:
                command += self.catalog_options(folder, config, show)
            if terminal is not None and not self.is_tap and not sys.stdin.isatty():
                command += ["--input", str(_keep_input(folder))]
            try:
                return run_in_foreground([*command, *arguments], env=self.plugin.env, terminal=terminal)
            except OSError as exc:
                raise self.plugin.found.unstartable(exc) from exc
            finally:
                if self.is_tap:
                    keep_config(self.plugin, config)

    def catalog(self, show: Show) -> dict[str, Any] | None:
        """The catalog that a run would give it; None where it takes none."""
        with self._configured() as (_, config):
            return self._catalog(config, show)

    @contextlib.contextmanager
    def _configured(self) -> Iterator[tuple[Path, Path]]:
        with run_folder(self.workspace.project) as folder:
            yield folder, write_config(folder, self.plugin.name, self.plugin.config)

    def catalog_options(self, folder: Path, config: Path, show: Show) -> list[str]:
        """What gives a tap its catalog, which is written into a folder."""
        catalog = self._catalog(config, show)
        if catalog is None:
            return []
        is_legacy = "properties" in self._able() and "catalog" not in self._able()
        file = folder / "catalog.json"
        document = legacy_properties(catalog) if is_legacy else catalog
        file.write_text(json.dumps(document), encoding="utf-8")
        return ["--properties" if is_legacy else "--catalog", str(file)]

    def _catalog(self, config: Path, show: Show) -> dict[str, Any] | None:
        tap, project = self.plugin, self.workspace.project
        cache = cache_folder(tap.found, project, environ=self.workspace.environ)
        return make_catalog(
            tap,
            self._able(),
            config,
            cache,
            TapOptions(),
            lambda line: show(tap.name, line),
            root=project.root if project else None,
        )

    def _able(self) -> frozenset[str]:
        cache = cache_folder(self.plugin.found, self.workspace.project, environ=self.workspace.environ)
        return capabilities(self.plugin.found, env=self.plugin.env, cache=cache)


def _keep_input(folder: Path) -> Path:
    """The messages on stdin as a file."""
    file = folder / "input.jsonl"
    with file.open("wb") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
    return file


def find_kind(workspace: Workspace, name: str) -> Kind:
    """What a name is used as when it stands alone: by meltano.yml, by what comes with Flow, else by how it begins.

    Raises:
        ConfigError: it is a mapper or a utility, which Flow does not start, or of several kinds.
    """
    last = Path(name).name
    try:
        kind = kind_of(workspace, name)
    except ConfigError:
        if not last.startswith(("tap-", "tap_", "target-", "target_")):
            raise
        kind = "extractors" if last.startswith("tap") else "loaders"
    if kind in ("mappers", "utilities"):
        raise ConfigError(
            f"{name!r} is a {NOUNS[kind]}, which Flow does not start yet.",
            f"Start its program by itself, or with meltano invoke {name}.",
        )
    return cast("Kind", kind)


def prepare_invocation(workspace: Workspace, name: str, *, config: str | None = None) -> Invocation:
    """Find a plugin as a run does: installed, with its settings.

    Args:
        workspace: of the command.
        name: a plugin of meltano.yml, a bundled connector, or an executable on PATH.
        config: of the command line, over its settings.

    Raises:
        ConfigError, TapError, TargetError: see `find_kind` and `prepare`.
    """
    kind = find_kind(workspace, name)
    plugin = prepare(name, kind, workspace.project, config=config, environ=workspace.environ)
    return Invocation(workspace, plugin)
