"""The settings of a plugin as a person looks at them: each value, and the layer it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names, suggest
from flow_singer.plugins.prepare import KnownSettings, about_without_asking, resolve_known
from flow_singer.plugins.programs import BUNDLED, Kind
from flow_singer.project.definitions import Plugin, Setting, unlisted_plugin
from flow_singer.project.filekeys import EXTRAS, KINDS
from flow_singer.project.masking import looks_secret, mask
from flow_singer.project.meltanofile import Project
from flow_singer.project.variables import env_name, get, path_parts
from flow_singer.stages.workspace import Workspace

_HIDDEN = "***"


@dataclass(frozen=True)
class SettingValue:
    """One setting of a plugin.

    Attributes:
        name: dotted; extras begin with an underscore, as in Meltano.
        value: what the plugin gets; None where nothing sets it. Secrets are `***`.
        source: the layer it comes from; None where nothing sets it.
        kind: of its declaration.
        is_secret: whether its value is not shown.
        variable: the variable that sets it.
    """

    name: str
    value: Any
    source: str | None
    kind: str
    is_secret: bool
    variable: str


@dataclass(frozen=True)
class PluginConfig:
    """A plugin with the settings that are known without starting it.

    Attributes:
        project: with its active environment; an empty one where there is no meltano.yml.
        plugin: one of it, or bundled with Flow.
        known: its settings.
        is_listed: whether meltano.yml has it.
    """

    project: Project = field(repr=False)
    plugin: Plugin
    known: KnownSettings = field(repr=False)
    is_listed: bool

    def values(self, *, extras: bool = False, unsafe: bool = False) -> list[SettingValue]:
        """Every setting that is declared or has a value, the declared ones first.

        Args:
            extras: those of Flow and Meltano for the plugin (`_select`, ...) in place of its own.
            unsafe: show secrets.
        """
        settings = self.known.settings
        found = {path: source for path, source in settings.sources.items() if path.startswith("_") is extras}
        kinds = {one.name: one for one in self.known.declared if not extras}
        names = [*kinds, *(f"_{name}" for name in sorted(EXTRAS.get(self.plugin.kind, ())) if extras)]
        unset = [name for name in names if not any(is_within(path, name) for path in found)]
        paths = sorted(
            {*found, *unset}, key=lambda path: (names.index(path) if path in names else len(names), path)
        )
        return [self._value(path, found.get(path), kinds.get(path), unsafe) for path in paths]

    def _value(self, path: str, source: str | None, setting: Setting | None, unsafe: bool) -> SettingValue:
        settings = self.known.settings
        value = get(settings.extras, path[1:]) if path.startswith("_") else get(settings.config, path)
        secret = self.is_secret(path)
        if value is not None and not unsafe:
            value = _HIDDEN if secret else masked(value, path, self.known)
        kind = setting.kind if setting else "string"
        variable = env_name(self.plugin.name, path)
        return SettingValue(path, value, source if value is not None else None, kind, secret, variable)

    def is_secret(self, path: str) -> bool:
        """Whether a setting is declared secret, or named like one."""
        return looks_secret(path) or any(is_within(path, one) for one in self.known.sensitive)

    def config(self, *, extras: bool = False, unsafe: bool = False) -> dict[str, Any]:
        """What its config file will hold, nested, or its extras; secrets are `***` unless `unsafe`."""
        settings = self.known.settings
        values: Mapping[str, Any] = settings.extras if extras else settings.config
        return dict(values) if unsafe else dict(masked(values, "", self.known))

    def setting(self, name: str) -> Setting:
        """The declaration of a setting, by its name or an alias; one that nothing declares may be of any kind.

        Raises:
            ConfigError: a declared one is named almost so, or it is an extra that there is not.
        """
        if name.startswith("_"):
            extras = EXTRAS.get(self.plugin.kind, frozenset())
            if path_parts(name)[0][1:] not in extras:
                raise ConfigError(
                    f"{self.plugin.name} has no extra '{name}'.", suggest(name, (f"_{one}" for one in extras))
                )
            return Setting(name, "json")
        for one in self.known.declared:
            if name in (one.name, *one.aliases):
                return one
        declared = [one.name for one in self.known.declared]
        if any(is_within(name, one.name) for one in self.known.declared if one.kind in ("object", "json")):
            return Setting(name, "")
        if near := near_names(name, declared, cutoff=0.8):
            raise ConfigError(
                f"{self.plugin.name} declares no setting '{name}'.",
                f"{did_you_mean(near)} If it has it all the same, write it into meltano.yml by hand.",
            )
        return Setting(name, "")


def masked(value: Any, path: str, known: KnownSettings) -> Any:
    """A value with `***` in the place of each secret in it.

    Args:
        value: a setting's, or a whole config.
        path: dotted, of the value within the config; empty for all of it.
        known: says which settings are secret.
    """
    if path and (looks_secret(path) or path in known.sensitive):
        return _HIDDEN
    if isinstance(value, Mapping):
        escaped = {key: str(key).replace(".", "\\.") for key in value}
        return {
            key: masked(item, f"{path}.{escaped[key]}" if path else escaped[key], known)
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [masked(item, path, known) for item in value]
    return mask(value, known.settings.secrets) if isinstance(value, str) else value


def is_within(path: str, name: str) -> bool:
    """Whether a dotted path is that of a setting, or of something in it."""
    return path == name or path.startswith(f"{name}.")


def plugin_config(workspace: Workspace, name: str) -> PluginConfig:
    """Look at a plugin's settings, without starting or installing it.

    Raises:
        ConfigError: there is no such plugin, it is of several kinds, or a value does not fit.
    """
    kind = kind_of(workspace, name)
    project = workspace.project
    place = Project.without_file(workspace.environ) if project is None else project
    plugin = project.plugin(kind, name) if project else None
    about = None
    if kind != "utilities":
        about = about_without_asking(name, cast("Kind", kind), project, workspace.environ)
    known = resolve_known(place, plugin or unlisted_plugin(kind, name), about)
    return PluginConfig(place, known.settings.plugin, known, plugin is not None)


def kind_of(workspace: Workspace, name: str) -> str:
    """The kind of a plugin: "extractors", "loaders", "mappers", "utilities".

    Raises:
        ConfigError: neither meltano.yml nor Flow has it, or meltano.yml has it as several kinds.
    """
    project = workspace.project
    declared = [kind for kind in KINDS if project and project.plugin(kind, name) is not None]
    if len(declared) > 1:
        raise ConfigError(
            f"meltano.yml has '{name}' under {' and '.join(declared)}.", "Give one of them another name."
        )
    kinds = declared or [kind for kind in BUNDLED if name in BUNDLED[cast("Kind", kind)]]
    if not kinds:
        names = {one.name for kind in KINDS for one in project.plugins(kind)} if project else set()
        bundled = {one for kind in BUNDLED.values() for one in kind}
        raise ConfigError(f"There is no plugin '{name}'.", suggest(name, names | bundled))
    return kinds[0]
