"""Resolve the settings of a plugin: layers, environment variables, types, expansion, secrets."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.nearnames import suggest
from flow_singer.project.casting import cast, process
from flow_singer.project.definitions import Plugin, Setting, extras_of
from flow_singer.project.filekeys import FLOW_KEYS, KINDS
from flow_singer.project.masking import find_secrets
from flow_singer.project.meltanofile import Project
from flow_singer.project.variables import (
    as_text,
    env_name,
    expand,
    expand_env,
    flatten,
    get,
    path_parts,
    put,
)

_VERBS = {"extractors": "extract", "loaders": "load", "mappers": "map", "utilities": "utilize"}

# Meltano 4.4, "Plugin extras": each is a setting whose name starts with an underscore.
_EXTRAS: dict[str, tuple[Setting, ...]] = {
    "extractors": (
        Setting("_select", "array", ["*.*"]),
        Setting("_select_filter", "array", []),
        Setting("_metadata", "object", {}),
        Setting("_schema", "object", {}),
        Setting("_load_schema", default="$MELTANO_EXTRACTOR_NAMESPACE"),
        Setting("_catalog"),
        Setting("_state"),
        Setting("_use_cached_catalog", "boolean", True),
        Setting("_log_parser"),
    ),
    "loaders": (Setting("_dialect", default="$MELTANO_LOADER_NAMESPACE"), Setting("_log_parser")),
    "mappers": (Setting("_mappings", "array"), Setting("_log_parser")),
    "utilities": (),
}


@dataclass(frozen=True)
class PluginSettings:
    """What a plugin gets, after every layer.

    Attributes:
        plugin: whose settings these are.
        config: nested, as its `--config` file holds it; no nulls.
        extras: select, metadata, schema, load_schema, catalog, ..., without underscore; no nulls.
        env: variables to add to its process, as Meltano exports them; they may hold secrets. What belongs to
            a plugin before it alone, its settings and its `env:`, is not among them.
        own_env: of these, its own `env:`; the values of plugins after it may name them where nobody else set them.
        exports: of these, its settings and its name; the values of plugins after it may name them.
        secrets: values that logs must not show.
        sources: dotted setting (extras with underscore) -> where its value came from.
        read: each variable that would set one of its settings -> the dotted setting.
    """

    plugin: Plugin
    config: dict[str, Any] = field(repr=False)
    extras: dict[str, Any] = field(repr=False)
    env: dict[str, str] = field(repr=False)
    own_env: dict[str, str] = field(repr=False)
    exports: dict[str, str] = field(repr=False)
    secrets: frozenset[str] = field(repr=False)
    sources: dict[str, str]
    read: dict[str, str] = field(repr=False)


@dataclass(frozen=True)
class _Leaf:
    """The value found for one dotted path, in the highest layer that sets it. A lower rank is a higher layer."""

    value: Any
    source: str
    rank: int
    literal: bool = False  # from a variable: never expanded (Meltano 4.4)


def resolve(
    project: Project,
    plugin: Plugin,
    *,
    declared: Sequence[Setting] = (),
    upstream: Sequence[PluginSettings] = (),
    mapping: str | None = None,
    tell: Callable[[ConfigError], object] | None = None,
) -> PluginSettings:
    """Resolve all settings of a plugin.

    Layers, highest first: variables (shell, and `env:` of meltano.yml over it), `.env`, the environment's
    config, the plugin's config, the same four of each parent, the setting's default. Nested settings resolve
    leaf by leaf; lists and scalars replace.

    Args:
        project: the project the plugin belongs to.
        plugin: an extractor, loader, mapper or utility of it.
        declared: the settings that the plugin's program itself declares; those of its definition go before.
        upstream: settings of the plugins before it in the pipeline, which its values may name.
        mapping: for a mapper, the mapping whose `config` goes on top, by top-level keys.
        tell: gets each value that does not fit, which then is left out; None raises the first.

    Raises:
        ConfigError: two variables set one setting, a value does not fit its kind, an unknown mapping.

    Source: Meltano 4.4, "Configuration layers", "Nested properties" and "Environment variable expansion".
    """
    variables, exported, own_names = _plugin_env(project, plugin, upstream)
    identity = _identity(plugin)
    definitions = _definitions(project, plugin, declared)
    leaves = _find_leaves(project, plugin, definitions, {**project.environ, **exported})
    found = _Found(plugin, definitions, leaves, project.strict_variables, tell)

    config = found.values(extras=False, variables=variables)
    exports = found.exports(config)
    extras = found.values(extras=True, variables={**variables, **exports})
    exports |= found.exports(extras)
    sources = {path: leaf.source for path, leaf in leaves.items()}
    sensitive = {name for name, setting in definitions.items() if setting.sensitive}
    if mapping is not None:
        config |= (own := _mapping_config(plugin, extras, mapping))
        sources |= dict.fromkeys(own, f"mapping '{mapping}'")
    dotenv = {name: value for name, value in project.dotenv.items() if name not in project.environ}
    own_env = {name: exported[name] for name in own_names}
    others = {name for settings in upstream for name in settings.read}
    shared = {name: value for name, value in {**dotenv, **exported}.items() if name not in others}
    return PluginSettings(
        plugin=plugin,
        config=config,
        extras={name.removeprefix("_"): value for name, value in extras.items()},
        env={**shared, **own_env, **identity, **exports},
        own_env=own_env,
        exports={**identity, **exports},
        secrets=find_secrets(config, sensitive) | find_secrets(extras, sensitive),
        sources=sources,
        read={
            variable: setting.name
            for ancestor in plugin.lineage
            for setting in definitions.values()
            for variable in _variables_of(ancestor, setting)
        },
    )


def plugin_variables(
    project: Project, plugin: Plugin, *, upstream: Sequence[PluginSettings] = ()
) -> dict[str, str]:
    """What `$NAME` may mean in a value of this plugin (its `pip_url`, a setting, the args of a command)."""
    return _plugin_env(project, plugin, upstream)[0]


def _plugin_env(
    project: Project, plugin: Plugin, upstream: Sequence[PluginSettings]
) -> tuple[dict[str, str], dict[str, str], set[str]]:
    """The variables of a plugin, each expanded with all before it: project, environment, plugin, environment's plugin.

    Where several set one name, the environment's beats the plugin's (Meltano 4.4, measured).

    Returns:
        All that a value may name; those of them that meltano.yml adds to the plugin's process; of these, the
        names of the plugin's own.
    """
    identity = _identity(plugin)
    strict = project.strict_variables
    known = {**project.dotenv, **project.environ}
    for settings in upstream:
        known = {**settings.own_env, **known, **settings.exports}
    known |= {**project.own_variables, **identity, **project.root_env, **project.environment_env}
    of_plugin: dict[str, str] = {}
    for ancestor in reversed(list(plugin.lineage)):
        of_plugin |= expand_env(ancestor.env, {**known, **of_plugin}, strict=strict)
    overlay = project.environment_overlay(plugin.kind, plugin.name).env()
    of_overlay = expand_env(overlay, {**known, **of_plugin}, strict=strict)
    exported = {**project.own_variables, **identity, **project.root_env, **of_plugin}
    exported |= {**project.environment_env, **of_overlay}
    return {**known, **exported}, exported, {*of_plugin, *of_overlay}


def _identity(plugin: Plugin) -> dict[str, str]:
    about = {"name": plugin.name, "namespace": plugin.namespace, "variant": plugin.variant}
    role = f"meltano_{KINDS[plugin.kind]}"
    return {env_name(role, key): value for key, value in about.items() if value is not None}


def _layers(project: Project, plugin: Plugin) -> list[tuple[str, dict[str, Any]]]:
    """The two layers that meltano.yml has for one plugin, highest first: dotted path -> unresolved value."""
    overlay = project.environment_overlay(plugin.kind, plugin.name)
    return [
        (
            f"environment '{project.environment}' in meltano.yml",
            flatten({**overlay.section("config"), **_underscored(extras_of(overlay))}),
        ),
        ("meltano.yml", flatten({**plugin.config, **_underscored(plugin.extras)})),
    ]


def _underscored(extras: Mapping[str, Any]) -> dict[str, Any]:
    """Extras as settings; without those that are read as they are written, as `$` means no variable there."""
    ours = frozenset().union(*FLOW_KEYS.values())
    return {f"_{name}": value for name, value in extras.items() if name not in ours}


def _definitions(project: Project, plugin: Plugin, declared: Sequence[Setting]) -> dict[str, Setting]:
    """Declared settings, extras, and a custom setting for each other path that meltano.yml mentions."""
    known = {setting.name: setting for setting in (*declared, *_EXTRAS[plugin.kind], *plugin.settings)}
    for name, value in _underscored(plugin.extra_defaults).items():
        known[name] = Setting(name, known[name].kind if name in known else _kind_of(value), value)
    aliases = _aliases(known)
    for ancestor in plugin.lineage:
        for _, leaves in reversed(_layers(project, ancestor)):
            for path, value in leaves.items():
                name = _canonical(path, aliases)
                if name not in known and value is not None:
                    known[name] = Setting(name, _kind_of(value))
    return known


def _kind_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "decimal", list: "array"}
    return "object" if isinstance(value, Mapping) else kinds.get(type(value), "string")


def _aliases(definitions: Mapping[str, Setting]) -> dict[str, str]:
    return {alias: name for name, setting in definitions.items() for alias in setting.aliases}


def _canonical(path: str, aliases: Mapping[str, str]) -> str:
    """The path with an alias at its start replaced by the setting's name."""
    for alias, name in aliases.items():
        if path == alias or path.startswith(f"{alias}."):
            return name + path[len(alias) :]
    return path


def _find_leaves(
    project: Project, plugin: Plugin, definitions: Mapping[str, Setting], environ: Mapping[str, str]
) -> dict[str, _Leaf]:
    """Look for each dotted path in the layers from high to low; null means "not set here".

    An object in a variable merges with the layers below it; of an extra (`TAP_X__METADATA`) it is all there is
    (Meltano 4.4).
    """
    leaves: dict[str, _Leaf] = {}
    whole: set[str] = set()  # extras that a variable holds as an object, with a dot behind

    def find(path: str, leaf: _Leaf) -> None:
        if not path.startswith(tuple(whole)):
            leaves.setdefault(path, leaf)

    aliases = _aliases(definitions)
    rank = 0
    # A variable of a nested setting beats the same leaf inside a variable of the whole object.
    deepest_first = sorted(definitions.values(), key=lambda setting: -setting.name.count("."))
    for depth, ancestor in enumerate(plugin.lineage):
        inherited = f"{ancestor.name}: " if depth else ""
        for variables, place in ((environ, "environment variable {}"), (project.dotenv, "{} in .env")):
            for setting in deepest_first:
                name = _set_variable(ancestor, setting, variables)
                if name is None:
                    continue
                source = inherited + place.format(name)
                value: Any = variables[name]
                if setting.kind == "object":
                    value = cast(setting, value, plugin.name, source)
                    found = flatten({setting.name: value})
                else:
                    found = {setting.name: value}
                for path, item in found.items():
                    find(path, _Leaf(item, source, rank, literal=True))
                if setting.kind == "object" and setting.name.startswith("_"):
                    whole.add(f"{setting.name}.")
            rank += 1
        for place, values in _layers(project, ancestor):
            for path, value in values.items():
                if value is not None:
                    find(_canonical(path, aliases), _Leaf(value, inherited + place, rank))
            rank += 1
    for setting in definitions.values():
        if setting.default is not None:
            for path, value in flatten({setting.name: setting.default}).items():
                find(path, _Leaf(value, "default", rank))
    return leaves


def _set_variable(plugin: Plugin, setting: Setting, variables: Mapping[str, str]) -> str | None:
    """The one variable that sets this setting, of <NAME>_<SETTING> and <NAMESPACE>_<SETTING>, or None."""
    found = sorted(_variables_of(plugin, setting) & variables.keys())
    if len(found) > 1:
        raise ConfigError(
            f"Setting '{setting.name}' of {plugin.name} is set by {' and '.join(found)}.",
            "Keep one of these variables.",
        )
    return found[0] if found else None


def _variables_of(plugin: Plugin, setting: Setting) -> set[str]:
    prefixes = (plugin.name, plugin.namespace)
    return {env_name(prefix, name) for name in (setting.name, *setting.aliases) for prefix in prefixes}


@dataclass(frozen=True)
class _Found:
    """The found leaves of a plugin with the definitions that type them."""

    plugin: Plugin
    definitions: Mapping[str, Setting]
    leaves: Mapping[str, _Leaf]
    strict: bool
    tell: Callable[[ConfigError], object] | None = None

    def values(self, *, extras: bool, variables: Mapping[str, str]) -> dict[str, Any]:
        """Expand, cast and nest the leaves of the config, or of the extras."""
        nested: dict[str, Any] = {}
        # Low layers first, so that a scalar in a high layer replaces a mapping in a low one.
        for path, leaf in sorted(self.leaves.items(), key=lambda item: -item[1].rank):
            if path.startswith("_") is not extras:
                continue
            try:
                value = self._value(path, leaf, variables)
            except ConfigError as error:
                if self.tell is None:
                    raise
                self.tell(error)
                continue
            if value is not None:
                put(nested, path_parts(path), value)
        for name, setting in self.definitions.items():
            if setting.processor and name.startswith("_") is extras:
                value = get(nested, name)
                if value is not None:
                    put(nested, path_parts(name), process(setting.processor, value))
        return nested

    def _value(self, path: str, leaf: _Leaf, variables: Mapping[str, str]) -> Any:
        value = leaf.value
        if not leaf.literal:
            value = expand(value, variables, strict=self.strict)
            if leaf.value and value == "":  # all its variables are unset: as if it were null
                return None
        if path in self.definitions:
            value = cast(self.definitions[path], value, self.plugin.name, leaf.source)
        return value

    def exports(self, values: Mapping[str, Any]) -> dict[str, str]:
        """The variables that carry these values to the plugin and to those after it (Meltano 4.4)."""
        prefixes = [f"meltano_{_VERBS[self.plugin.kind]}"]
        for ancestor in self.plugin.lineage:
            prefixes += [ancestor.name, ancestor.namespace]
        result: dict[str, str] = {}
        for name, setting in self.definitions.items():
            value = get(values, name)
            if value is not None:
                names = [env_name(prefix, name) for prefix in prefixes]
                result |= dict.fromkeys([*names, *([setting.env] if setting.env else [])], as_text(value))
        return result


def _mapping_config(plugin: Plugin, extras: Mapping[str, Any], name: str) -> dict[str, Any]:
    mappings = {item.get("name"): item for item in extras.get("_mappings") or ()}
    if name not in mappings:
        raise ConfigError(f"{plugin.name} has no mapping '{name}'.", suggest(name, map(str, mappings)))
    config = mappings[name].get("config") or {}
    if not isinstance(config, Mapping):
        raise ConfigError(
            f"config of mapping '{name}' is no mapping.", f"Look at {plugin.name} in meltano.yml."
        )
    return {key: value for key, value in config.items() if value is not None}
