"""Variables that are named like a plugin's settings, but set none: misspelt, most likely."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

from flow_singer.nearnames import near_names
from flow_singer.project.definitions import Plugin
from flow_singer.project.meltanofile import Project
from flow_singer.project.settings import PluginSettings
from flow_singer.project.variables import env_name, mentioned

_COMMON = {"extractors": "TAP_", "loaders": "TARGET_"}
_EXPORTED = {"extractors": "MELTANO_EXTRACT_", "loaders": "MELTANO_LOAD_"}


class Stray(NamedTuple):
    """A variable that sets nothing.

    Attributes:
        name: of the variable.
        place: where it is set.
        setting: the setting that it would be for, were there one; None where its name is odd in itself.
        near: variables of the plugin that are named almost so.
        elsewhere: whether another plugin's entry in meltano.yml mentions it as `$NAME`.
    """

    name: str
    place: str
    setting: str | None
    near: tuple[str, ...]
    elsewhere: bool


def stray_variables(project: Project, plugin: Plugin, settings: PluginSettings) -> Iterator[Stray]:
    """Find the variables that look as if they were meant for a plugin, and that nothing reads.

    A variable looks so where it begins with the plugin's name or namespace, in upper or lower case, unless
    another plugin of the project has a longer name that fits. It also looks so where it differs little from a
    variable of the plugin and begins with TAP_ or TARGET_ but no plugin's name, or with MELTANO_EXTRACT_ or
    MELTANO_LOAD_, which Meltano 4.4 writes for plugins and does not read. What the plugin's entry or an `env:`
    mentions as `$NAME` is read, and so is what the plugin's own process reads (`TAP_X_LOGLEVEL`).

    Args:
        project: where variables are set.
        plugin: one of it, or one that it does not mention.
        settings: its own; they say which variables are read.
    """
    here, anywhere = _mentioned_here(project, plugin), {*mentioned(project.raw)}
    for name, place, prefix in _unread_variables(project, plugin, settings):
        if name in here:
            continue
        elsewhere = name in anywhere
        upper = name.upper()
        if prefix is None:
            exported = env_name(plugin.name, upper.removeprefix(_EXPORTED.get(plugin.kind, "")))
            near = [exported] if exported in settings.read else near_names(upper, settings.read, cutoff=0.9)
            if near:
                yield Stray(name, place, None, tuple(near[:1]), elsewhere)
            continue
        rest = upper.removeprefix(prefix)
        proper = name == upper and re.fullmatch(r"[A-Z][A-Z0-9_]*", rest)
        names = {one.removeprefix(prefix): one for one in settings.read if one.startswith(prefix)}
        near = [names[one] for one in near_names(rest, names, cutoff=0.75)]
        yield Stray(name, place, rest.lower() if proper else None, tuple(near[:2]), elsewhere)


def might_stray(project: Project, plugin: Plugin, settings: PluginSettings) -> bool:
    """Whether there are variables that only the plugin's own declaration can tell to be settings or strays."""
    return any(True for _ in _unread_variables(project, plugin, settings))


def _unread_variables(
    project: Project, plugin: Plugin, settings: PluginSettings
) -> Iterator[tuple[str, str, str | None]]:
    """Variables that may be meant for the plugin: name, place, and the plugin's prefix where the name has it."""
    own = _prefixes({name for one in plugin.lineage for name in (one.name, one.namespace)})
    others = _prefixes(project.plugin_names) - own
    general = (_COMMON.get(plugin.kind, "\0"), _EXPORTED.get(plugin.kind, "\0"))
    for name, place in sorted(_set_by_people(project, plugin).items()):
        if name in settings.read:
            continue
        upper = name.upper()
        prefix = max((one for one in {*own, *others} if upper.startswith(one)), key=len, default=None)
        if prefix in own:
            if upper.removeprefix(prefix) not in ("", "LOGLEVEL"):
                yield name, place, prefix
        elif prefix is None and upper.startswith(general):
            yield name, place, None


def _prefixes(names: Collection[str]) -> set[str]:
    """How the variables of plugins begin; a name of one word (`github`) would claim those of other tools."""
    return {env_name(name, "") for name in names if re.search(r"[^A-Za-z0-9]", name)}


def _mentioned_here(project: Project, plugin: Plugin) -> set[str]:
    parts: list[Any] = [plugin.pip_url, project.raw.get("env")]
    parts += [environment.get("env") for environment in project.raw.named("environments").values()]
    for one in plugin.lineage:
        parts += [project.environment_overlay(one.kind, one.name), one.config, one.extras, one.env]
    return {*mentioned(parts)}


def _set_by_people(project: Project, plugin: Plugin) -> dict[str, str]:
    overlay = project.environment_overlay(plugin.kind, plugin.name).env()
    places = dict.fromkeys(project.dotenv, ".env") | dict.fromkeys(project.environ, "the environment")
    for env in (project.root_env, project.environment_env, *(one.env for one in plugin.lineage), overlay):
        places |= dict.fromkeys(env, "meltano.yml")
    return places
