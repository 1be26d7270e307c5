"""From a name on the command line to a plugin that can be started: found, installed, configured."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_singer.batchpaths import BATCH_PATHS_VARIABLE, BatchPaths
from flow_singer.errors import EXIT_REJECTS, ConfigError
from flow_singer.masking import find_secrets
from flow_singer.plugins import FoundPlugin, Kind, ensure_environment, find_plugin
from flow_singer.project import Project
from flow_singer.settings import PluginSettings, resolve

REJECTS_CODE_VARIABLE = "FLOW_REJECTS_CODE"
"""Tells a bundled target with which code to end where it set something aside."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class PreparedPlugin:
    """A plugin that can be started.

    Attributes:
        found: where it is.
        config: what its `--config` file will hold.
        extras: select, metadata, catalog and so on; empty without an entry in meltano.yml.
        env: its whole environment.
        secrets: values that must not show.
        config_file: the user's own config file, where one was given: a tap may rewrite it.
        settings: the resolved settings, for plugins after it in a pipeline.
    """

    found: FoundPlugin
    config: dict[str, Any]
    extras: Mapping[str, Any]
    env: dict[str, str]
    secrets: frozenset[str]
    config_file: Path | None = None
    settings: PluginSettings | None = None

    @property
    def name(self) -> str:
        """As the user wrote it."""
        return self.found.name


def prepare(
    name: str,
    kind: Kind,
    project: Project | None,
    *,
    config: str | None,
    environ: Mapping[str, str],
    upstream: Sequence[PluginSettings] = (),
) -> PreparedPlugin:
    """Find a plugin, make its environment, resolve its settings.

    Args:
        name: a plugin of meltano.yml, a bundled connector, or an executable on PATH.
        kind: what it is used as.
        project: None where there is no meltano.yml.
        config: a JSON object or the path of one; lies over the settings of meltano.yml.
        environ: the environment of this process.
        upstream: settings of the plugins before it, which its own may name. Unlike in Meltano 4.4 they do
            not reach its process: a target has no use for the tap's secrets.

    Raises:
        ConfigError, TapError, TargetError: see the functions this calls.
    """
    found = find_plugin(name, kind, project, environ=environ)
    base = {key: value for key, value in environ.items() if not key.startswith("FLOW_")}
    if found.source == "bundled" and kind == "loaders":  # it reads BATCH files itself
        paths = BatchPaths(environ, None if project is None else lambda: project.batch_roots)
        base[BATCH_PATHS_VARIABLE] = paths.variable
        base[REJECTS_CODE_VARIABLE] = str(EXIT_REJECTS)
    own, file = read_config(config)
    if project is None or found.plugin is None:
        return PreparedPlugin(found, own, {}, found.environment(base), find_secrets(own), file)
    settings = resolve(project, found.plugin, upstream=upstream)
    ensure_environment(project, found, settings=settings, progress=logger.info)
    foreign = {name: value for one in upstream for name, value in one.env.items() if name not in base}
    env = {name: value for name, value in settings.env.items() if foreign.get(name) != value}
    return PreparedPlugin(
        found,
        {**settings.config, **own},
        settings.extras,
        found.environment({**base, **env}),
        settings.secrets | find_secrets(own),
        file,
        settings,
    )


def read_config(option: str | None) -> tuple[dict[str, Any], Path | None]:
    """Read `--config`: a JSON object, or the path of a file that holds one.

    Raises:
        ConfigError: it is neither.
    """
    if option is None:
        return {}, None
    path = None if option.lstrip().startswith("{") else Path(option)
    try:
        text = option if path is None else path.read_text(encoding="utf-8")
        config = json.loads(text)
    except OSError as exc:
        raise ConfigError(
            f"Cannot read --config {option}: {exc.strerror}.",
            "Give a JSON object or the path of a JSON file.",
        ) from exc
    except (ValueError, RecursionError) as exc:
        where = "--config" if path is None else f"--config {path}"
        raise ConfigError(
            f"{where} is not JSON: {exc}.", "For example: --config '{\"records\": 100}'"
        ) from exc
    if not isinstance(config, dict):
        raise ConfigError(f"--config must be a JSON object, not {type(config).__name__}.")
    return config, path
