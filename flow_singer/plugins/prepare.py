"""From a name on the command line to a plugin that can be started: found, installed, configured."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flow_singer.errors import EXIT_REJECTS, ConfigError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.plugins.about import About, ask_about, known_about
from flow_singer.plugins.builds import cache_folder
from flow_singer.plugins.datasources import READER
from flow_singer.plugins.environments import ensure_environment
from flow_singer.plugins.programs import FoundPlugin, Kind, find_plugin
from flow_singer.plugins.strayvariables import Stray, might_stray, stray_variables
from flow_singer.project.declared import declared_settings, schema_of, unknown_keys
from flow_singer.project.definitions import Plugin, Setting, unlisted_plugin
from flow_singer.project.masking import find_secrets, remember
from flow_singer.project.meltanofile import Project
from flow_singer.project.settings import PluginSettings, resolve
from flow_singer.project.variables import flatten, path_parts
from flow_singer.singer.batchpaths import BATCH_PATHS_VARIABLE, BatchPaths

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

    def __post_init__(self) -> None:
        remember(self.secrets)

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
    tell: Callable[[str], None] = logger.warning,
) -> PreparedPlugin:
    """Find a plugin, make its environment, resolve its settings.

    Args:
        name: a plugin of meltano.yml, a bundled connector, or an executable on PATH.
        kind: what it is used as.
        project: None where there is no meltano.yml: then the shell's variables are all that sets anything.
        config: a JSON object or the path of one; lies over the settings of meltano.yml.
        environ: the environment of this process.
        upstream: settings of the plugins before it, which its own may name. Unlike in Meltano 4.4 they do
            not reach its process: a target has no use for the tap's secrets.
        tell: gets a sentence on each key or variable that sets nothing.

    Raises:
        ConfigError: a key of the config that the plugin forbids; else see the functions this calls.
        TapError, TargetError: likewise.
    """
    found = find_plugin(name, kind, project, environ=environ)
    base = {key: value for key, value in environ.items() if not key.startswith("FLOW_")}
    if found.source == "bundled" and kind == "loaders":  # it reads BATCH files itself
        paths = BatchPaths(environ, None if project is None else lambda: project.batch_roots)
        base[BATCH_PATHS_VARIABLE] = paths.variable
        base[REJECTS_CODE_VARIABLE] = str(EXIT_REJECTS)
    own, file = read_config(config)
    place = Project.without_file(environ) if project is None else project
    if found.data is not None:
        if own.get("path", found.data) != found.data:
            raise ConfigError(
                f"{found.data} is to be read, but 'path' of --config is {own['path']!r}.",
                "Leave one of them out.",
            )
        own = {**own, "path": found.data}
    plugin = found.plugin
    if plugin is None and project is not None and found.data is not None:
        plugin = entry_of_every_path(project)
    plugin = plugin or unlisted_plugin(kind, found.own_name)
    settings = resolve(place, plugin, upstream=upstream)
    if project is not None:
        ensure_environment(project, found, settings=settings, progress=logger.info)
    about = None
    if _is_undecided(place, found, settings, own):
        env = found.environment({**base, **settings.env} if project is not None else base)
        about = _ask(found, project, env, environ)
    known = resolve_known(place, plugin, about, upstream)
    for said in (*idle_variables(plugin, known), *undeclared_keys(place, plugin, about, own)):
        if isinstance(said, ConfigError):
            raise said
        tell(said)
    if found.capabilities is None and kind == "extractors" and about is not None:
        found = replace(found, capabilities=about.capabilities)
    settings = known.settings
    return PreparedPlugin(
        found,
        {**settings.config, **own},
        settings.extras,
        found.environment({**base, **settings.env} if project is not None else base),
        settings.secrets | find_secrets(own, known.sensitive),
        file,
        settings,
    )


def entry_of_every_path(project: Project) -> Plugin | None:
    """The entry of the tap that reads data, where it names no path: what it says holds for each that is typed."""
    plugin = project.plugin("extractors", READER)
    return None if plugin is None or "path" in resolve(project, plugin).config else plugin


def upstream_settings(name: str, project: Project, environ: Mapping[str, str]) -> PluginSettings:
    """The settings of a tap, for the target after it, by what is known of the tap without starting it.

    Raises:
        ConfigError: see `resolve`.
    """
    plugin = project.plugin("extractors", name) or unlisted_plugin("extractors", Path(name).name)
    about = about_without_asking(name, "extractors", project, environ)
    return resolve_known(project, plugin, about, ()).settings


def about_without_asking(
    name: str, kind: Kind, project: Project | None, environ: Mapping[str, str]
) -> About | None:
    """What a plugin said of itself some time ago; None where it never was asked, or is not here."""
    try:
        found = find_plugin(name, kind, project, environ=environ)
    except ConfigError:  # it ran elsewhere
        return None
    return known_about(found, cache_folder(found, project, environ=environ))


@dataclass(frozen=True)
class KnownSettings:
    """Settings with all that the plugin declares.

    Attributes:
        settings: resolved.
        declared: all that is declared, by meltano.yml, a lock file or the plugin itself; extras are not among it.
        sensitive: names of those that are secret.
        guessed: variables that set something though nothing declares it.
        strays: variables that set nothing.
    """

    settings: PluginSettings
    declared: tuple[Setting, ...]
    sensitive: frozenset[str]
    guessed: Sequence[Stray]
    strays: Sequence[Stray]


def resolve_known(
    project: Project,
    plugin: Plugin,
    about: About | None,
    upstream: Sequence[PluginSettings] = (),
    tell: Callable[[ConfigError], object] | None = None,
) -> KnownSettings:
    """Resolve the settings; where nothing declares any, a variable that is named like one is taken for one.

    Args:
        project: the project the plugin belongs to.
        plugin: of it, or one that it does not mention.
        about: what it says of itself; None where it was not asked.
        upstream: settings of the plugins before it.
        tell: see `resolve`.

    Raises:
        ConfigError: see `resolve`.
    """
    declared = declared_settings(about.settings) if about is not None else ()
    settings = resolve(project, plugin, declared=declared, upstream=upstream, tell=tell)
    strays = list(stray_variables(project, plugin, settings))
    guessed = [] if declared or plugin.is_defined else [stray for stray in strays if stray.setting]
    if guessed:
        declared = tuple(Setting(stray.setting) for stray in guessed if stray.setting)
        settings = resolve(project, plugin, declared=declared, upstream=upstream, tell=tell)
    every = tuple({one.name: one for one in (*declared, *plugin.settings)}.values())
    sensitive = frozenset(one.name for one in (*plugin.settings, *declared) if one.sensitive)
    return KnownSettings(
        settings,
        every,
        sensitive,
        guessed,
        [one for one in strays if one not in guessed and not one.elsewhere],
    )


def _is_undecided(
    project: Project, found: FoundPlugin, settings: PluginSettings, own: Mapping[str, Any]
) -> bool:
    """Whether only the plugin itself can say what it can do, or what a key or a variable means.

    Keys reach it in any case. For them alone a script of the project (no installed package) is not asked where
    its `capabilities` are listed without `about`: it could not answer.
    """
    if found.capabilities is None and found.kind == "extractors":
        return True
    if might_stray(project, settings.plugin, settings):
        return True
    if (
        found.source == "meltano.yml"
        and found.venv is None
        and "about" not in (found.capabilities or {"about"})
    ):
        return False
    declared = {name for one in settings.plugin.settings for name in (one.name, *one.aliases)}
    keys = {*(path for path in settings.sources if not path.startswith("_")), *flatten(own)}
    return not keys <= declared


def _ask(
    found: FoundPlugin, project: Project | None, env: Mapping[str, str], environ: Mapping[str, str]
) -> About | None:
    cache = cache_folder(found, project, environ=environ)
    return known_about(found, cache) if found.source == "bundled" else ask_about(found, env=env, cache=cache)


def idle_variables(plugin: Plugin, known: KnownSettings) -> Iterator[str]:
    """Yield a sentence on each variable that sets nothing, or is only taken for a setting's."""
    for stray in known.guessed:
        yield (
            f"{plugin.name} does not say which settings it has: {stray.name} ({stray.place}) is taken for its "
            f"setting '{stray.setting}', as text. {did_you_mean(stray.near)}".rstrip()
        )
    for stray in known.strays:
        what = (
            f"{plugin.name} has no setting '{stray.setting}'" if stray.setting else "nothing reads that name"
        )
        hint = did_you_mean(stray.near) or (
            f"If it has one, list it under 'settings:' of {plugin.name} in meltano.yml."
        )
        yield f"{stray.name} ({stray.place}) sets nothing: {what}. {hint}"


def undeclared_keys(
    project: Project, plugin: Plugin, about: About | None, own: Mapping[str, Any]
) -> Iterator[str | ConfigError]:
    """Yield a sentence on each key of the config that the plugin does not declare; an error where it allows no others.

    Args:
        project: the project the plugin belongs to.
        plugin: whose config.
        about: what it says of itself; None where it was not asked.
        own: what was given with `--config`.
    """
    schema = about.settings if about is not None else None
    if schema is None and plugin.is_defined:
        schema = schema_of(plugin.settings)
    elif isinstance(schema, list):
        schema = schema_of(declared_settings(schema))
    if schema is None:
        return
    elsewhere = {name for one in plugin.settings for name in (one.name, *one.aliases)}
    configs = [own]
    for one in plugin.lineage:
        configs += [project.environment_overlay(one.kind, one.name).section("config"), one.config]
    for config in configs:
        for key in unknown_keys(config, schema, elsewhere):
            place = key.place or "--config"
            near = near_names(path_parts(key.path)[-1], key.known)
            if key.forbidden:
                hint = did_you_mean(near) or f"It has: {', '.join(key.known) or 'none'}."
                yield ConfigError(f"{plugin.name} has no setting '{key.path}' ({place}).", hint)
                continue
            hint = did_you_mean(near) or (
                f"If it has one, list it under 'settings:' of {plugin.name} in meltano.yml."
            )
            yield (
                f"{plugin.name} declares no setting '{key.path}' ({place}); it is passed on as it is. {hint}"
            )


def read_config(option: str | None) -> tuple[dict[str, Any], Path | None]:
    """Read `--config`: a JSON object, or the path of a file that holds one.

    Raises:
        ConfigError: it is neither; shows nothing of it, as it may hold a secret, but the path of a file.
    """
    if option is None:
        return {}, None
    path = None if option.lstrip().startswith("{") else _config_file(option)
    try:
        config = json.loads(option if path is None else path.read_text(encoding="utf-8"))
    except OSError as exc:
        raise ConfigError(
            f"Cannot read --config {path}: {exc.strerror}.",
            "Give a JSON object or the path of a JSON file.",
        ) from exc
    except (ValueError, RecursionError) as exc:
        where = "--config" if path is None else f"--config {path}"
        raise ConfigError(
            f"{where} is not JSON: {exc}.", "For example: --config '{\"records\": 100}'"
        ) from None  # the cause has a copy of the text
    if not isinstance(config, dict):
        raise ConfigError(
            f"--config must be a JSON object, not {type(config).__name__}.",
            "For example: --config '{\"records\": 100}'",
        )
    return config, path


def _config_file(option: str) -> Path:
    """Return the path that `--config` gives; a text that is no file must not be shown as if it were one."""
    if os.path.exists(option) or re.fullmatch(r"[\w./~+-]+\.(?:json|ya?ml)", option):
        return Path(option)
    raise ConfigError(
        f"--config is neither a JSON object, which begins with {{, nor the path of a file: there is no file of"
        f" that name ({len(option)} characters, not shown as they may hold a secret).",
        "For example: --config '{\"records\": 100}', or --config tap.json",
    )
