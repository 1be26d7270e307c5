"""Set and remove settings of a plugin: in meltano.yml, in one of its environments, or in `.env`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flow_singer.errors import ConfigError
from flow_singer.project.casting import cast
from flow_singer.project.definitions import Setting
from flow_singer.project.dotenvfile import remove_variables, write_variable
from flow_singer.project.meltanofile import PROJECT_FILE, project_files
from flow_singer.project.variables import as_text, env_name, path_parts
from flow_singer.project.yamlediting import Step, config_steps, entry_steps, has_key, remove_key, write_key
from flow_singer.stages.pluginsettings import PluginConfig, is_within, plugin_config
from flow_singer.stages.workspace import Workspace

Place = Literal["dotenv", "meltano_environment", "meltano_yml"]
"""Where a setting can be written, in Meltano's names, the highest layer first."""
PLACES: tuple[Place, ...] = ("dotenv", "meltano_environment", "meltano_yml")


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        place: "meltano.yml, line 12", or ".env".
        value: as it will be read.
        covered_by: the layer that goes before that place, so that the plugin gets another value; else None.
    """

    place: str
    value: Any
    covered_by: str | None


def set_setting(
    workspace: Workspace,
    config: PluginConfig,
    name: str,
    text: str,
    *,
    place: Place | None = None,
    environment: str | None = None,
) -> Written:
    """Write a setting.

    Args:
        workspace: of the command.
        config: the plugin as it is.
        name: of the setting, dotted.
        text: its value; the kind that the setting declares says how to read it. One that nothing declares is
            read as JSON where it is an object, a list, true, false, or a number that JSON would write so too.
        place: where; None is `.env` for what is secret, else the environment that a person named, else the
            plugin's entry.
        environment: the one that a person named; None where they named none.

    Raises:
        ConfigError: the value does not fit, the plugin is not in meltano.yml, or a file cannot be changed.
    """
    setting = config.setting(name)
    value = _read_value(setting, text, config.plugin.name)
    if place is None:
        is_secret = config.is_secret(setting.name) and not setting.name.startswith("_")
        place = "dotenv" if is_secret else "meltano_environment" if environment else "meltano_yml"
    where, layer = _write(config, setting.name, value, place, environment)
    again = plugin_config(
        Workspace(workspace.folder, workspace.environ, workspace.environment), config.plugin.name
    )
    sources = again.known.settings.sources
    others = [source for path, source in sources.items() if is_within(path, setting.name) and source != layer]
    return Written(where, value, others[0] if others else None)


def _read_value(setting: Setting, text: str, plugin: str) -> Any:
    if setting.kind not in ("", "json"):
        return cast(setting, text, plugin, "as typed")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    is_plain = isinstance(value, (dict, list, bool)) or (
        isinstance(value, (int, float)) and json.dumps(value) == text
    )
    return value if is_plain else text


def _write(
    config: PluginConfig, name: str, value: Any, place: Place, environment: str | None
) -> tuple[str, str]:
    """Write it; where it stands now, and what `resolve` calls that layer."""
    plugin, root = config.plugin, config.project.root
    _require_project(root)
    if place == "dotenv":
        variable = env_name(plugin.name, name)
        write_variable(root / ".env", variable, as_text(value))
        return f".env ({variable})", f"{variable} in .env"
    if place == "meltano_environment" and not environment:
        raise ConfigError("No environment was named to write into.", "Name one: --environment NAME")
    overlay = environment if place == "meltano_environment" else None
    path, file = writable_file(config, overlay)
    line = write_key(path, file, _steps(config, overlay, name), value)
    return f"{file}, line {line}", f"environment '{overlay}' in meltano.yml" if overlay else PROJECT_FILE


def _require_project(root: Path) -> None:
    if not root.joinpath(PROJECT_FILE).is_file():
        raise ConfigError("There is no meltano.yml here to write into.", "Make a project with: flow init")


def writable_file(config: PluginConfig, environment: str | None) -> tuple[Path, str]:
    """The file into which something of a plugin is written, and the name by which errors call it.

    Args:
        config: the plugin as it is.
        environment: the one to write into; None for the plugin's entry.

    Raises:
        ConfigError: there is no project, or it does not have the plugin.
    """
    plugin, root = config.plugin, config.project.root
    _require_project(root)
    if environment is None and not config.is_listed:
        raise ConfigError(
            f"{plugin.name} is not in meltano.yml.",
            f"Add it first: plugins: {{{plugin.kind}: [{{name: {plugin.name}}}]}}",
        )
    return entry_file(root, plugin.kind, plugin.name, environment)


def unset_setting(
    config: PluginConfig, name: str, *, place: Place | None = None, environment: str | None = None
) -> list[str]:
    """Remove a setting from where it is written.

    Args:
        config: the plugin as it is.
        name: of the setting, dotted.
        place: where; None is each of `.env`, the environment that a person named, and the plugin's entry.
        environment: the one that a person named; None where they named none.

    Returns:
        The places it was removed from.

    Raises:
        ConfigError: it is written in none of them, or a file cannot be changed.
    """
    setting = config.setting(name)
    removed = list(_removed(config, setting.name, place, environment))
    if not removed:
        found = config.known.settings.sources
        source = next((found[path] for path in found if is_within(path, setting.name)), None)
        raise ConfigError(
            f"'{name}' of {config.plugin.name} is not set {_called(place, environment)}.",
            f"It comes from: {source}." if source else "Nothing sets it.",
        )
    return removed


def reset_settings(config: PluginConfig, *, place: Place | None, environment: str | None) -> list[str]:
    """Remove all settings of a plugin, as `unset_setting` does each.

    Returns:
        "name: place" for each that was removed.
    """
    paths = [path for path in config.known.settings.sources if not path.startswith("_")]
    return [f"{path}: {where}" for path in paths for where in _removed(config, path, place, environment)]


def _called(place: Place | None, environment: str | None) -> str:
    names = {"dotenv": "in .env", "meltano_environment": f"in environment '{environment}'"}
    if place is not None:
        return names.get(place, "in meltano.yml")
    return (
        "in meltano.yml or .env"
        if environment is None
        else f"in environment '{environment}', meltano.yml or .env"
    )


def _removed(config: PluginConfig, name: str, place: Place | None, environment: str | None) -> Iterator[str]:
    for one in PLACES if place is None else (place,):
        if one == "dotenv":
            names = {env_name(prefix, name) for prefix in (config.plugin.name, config.plugin.namespace)}
            if found := sorted(names & config.project.dotenv.keys()):
                remove_variables(config.project.root / ".env", found)
                yield f".env ({', '.join(found)})"
        elif one == "meltano_yml" or environment:
            overlay = environment if one == "meltano_environment" else None
            path, file = entry_file(config.project.root, config.plugin.kind, config.plugin.name, overlay)
            steps = _steps(config, overlay, name)
            if has_key(path.read_text(encoding="utf-8-sig"), steps):
                remove_key(path, file, steps)
                yield f"{file}, environment '{overlay}'" if overlay else file


def entry_file(root: Path, kind: str, name: str, environment: str | None) -> tuple[Path, str]:
    """The file that has a plugin's entry, or that of the environment; meltano.yml where none has.

    Args:
        root: the project's folder.
        kind: of the plugin.
        name: of the plugin.
        environment: None for the plugin's entry.
    """
    steps: Sequence[Step] = entry_steps(kind, name, None)
    if environment:
        steps = entry_steps("", "", environment)[:2]
    files = list(project_files(root))
    return next((one for one in files if has_key(one[0].read_text(encoding="utf-8-sig"), steps)), files[0])


def _steps(config: PluginConfig, environment: str | None, name: str) -> list[Step]:
    entry = entry_steps(config.plugin.kind, config.plugin.name, environment)
    if name.startswith("_"):
        first, *rest = path_parts(name)
        return [*entry, first[1:], *rest]
    overlay = config.project.environment_overlay(config.plugin.kind, config.plugin.name)
    here = overlay.section("config") if environment else config.plugin.config
    return [*entry, *config_steps(here, path_parts(name))]
