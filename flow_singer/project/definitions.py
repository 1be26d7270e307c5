"""Plugins and their settings, as meltano.yml and lock files define them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from flow_singer.project.filekeys import DEFINITION_KEYS
from flow_singer.project.variables import truthy
from flow_singer.project.yamlfile import Section


@dataclass(frozen=True)
class Setting:
    """One setting of a plugin, as its definition declares it."""

    name: str
    kind: str = "string"
    default: Any = None
    aliases: tuple[str, ...] = ()
    env: str | None = None
    options: tuple[Any, ...] = ()
    sensitive: bool = False
    processor: str | None = None


@dataclass(frozen=True)
class Plugin:
    """A plugin of the project: its own entry over what it inherits. `config` and `extras` are unresolved.

    `capabilities` is None where no definition names any; `extra_defaults` come from the definition, without
    underscore; `venv_name` is the folder of its environment, shared by plugins that install the same;
    `is_defined` where a lock file says which settings there are; `required` has sets of settings of which one must
    be set whole (`settings_group_validation`).
    """

    kind: str
    name: str
    namespace: str
    variant: str | None
    executable: str
    pip_url: str | None
    python: str | None
    capabilities: frozenset[str] | None
    settings: tuple[Setting, ...]
    config: Mapping[str, Any] = field(repr=False)
    extras: Mapping[str, Any] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    extra_defaults: Mapping[str, Any]
    commands: Mapping[str, Any]
    parent: Plugin | None
    venv_name: str
    is_defined: bool = False
    required: tuple[frozenset[str], ...] = ()

    @property
    def lineage(self) -> Iterator[Plugin]:
        """The plugin, its parent, and so on up."""
        plugin: Plugin | None = self
        while plugin is not None:
            yield plugin
            plugin = plugin.parent


def unlisted_plugin(kind: str, name: str) -> Plugin:
    """A plugin that meltano.yml does not mention: it has no settings but those of variables."""
    nothing = Section()
    return Plugin(
        kind=kind,
        name=name,
        namespace=name.replace("-", "_"),
        variant=None,
        executable=name,
        pip_url=None,
        python=None,
        capabilities=None,
        settings=(),
        config=nothing,
        extras=nothing,
        env={},
        extra_defaults={},
        commands={},
        parent=None,
        venv_name=name,
    )


def extras_of(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The extras of an entry: every key that is not part of a plugin's definition."""
    return {key: value for key, value in entry.items() if key not in DEFINITION_KEYS}


def read_settings(entry: Section) -> Iterator[tuple[str, Setting]]:
    """Read the settings that a plugin's entry or lock file declares, by name.

    Raises:
        ConfigError: they have a wrong shape.
    """
    for name, item in entry.named("settings").items():
        kind = item.text("kind") or "string"
        options = item.items_of("options", Section, "mappings with a value")
        yield (
            name,
            Setting(
                name=name,
                kind=kind,
                default=item.get("value"),
                aliases=tuple(item.items_of("aliases", str, "texts")),
                env=item.text("env"),
                options=tuple(option.get("value") for option in options),
                sensitive=truthy(item.get("sensitive")) or kind in {"password", "oauth"},
                processor=item.text("value_processor") or item.text("value_post_processor"),
            ),
        )
