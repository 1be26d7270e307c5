"""How a plugin comes by its definition: its entry in meltano.yml, over its parent or its lock file.

Source: Meltano 4.4, plugin definitions and `inherit_from`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from flow_singer.errors import ConfigError
from flow_singer.project.definitions import Plugin, Setting, extras_of, read_settings
from flow_singer.project.yamlfile import Section, read_json


def define_plugin(
    kind: str, name: str, entries: Mapping[str, Section], *, locks: Path, heirs: tuple[str, ...] = ()
) -> Plugin:
    """Put a plugin's entry over its parent or, where it has none, its lock file.

    Args:
        kind: "extractors", "loaders", "mappers" or "utilities".
        name: one of `entries`.
        entries: those of all plugins of the kind.
        locks: the folder of the lock files of the kind.
        heirs: the plugins that inherit from this one, the first one first.

    Raises:
        ConfigError: an entry or lock file has a wrong shape, or the inheritance goes in a circle.
    """
    entry = entries[name]
    if name in heirs:
        raise ConfigError(
            f"{entry.at('inherit_from')}: {' -> '.join((*heirs, name))} inherits from itself.",
            "Break the circle: one of them needs a definition of its own.",
        )
    base_name, variant = entry.text("inherit_from"), entry.text("variant")
    parent: Plugin | None = None
    definition = Section(entry.place)
    if base_name and not variant and base_name != name and base_name in entries:
        parent = define_plugin(kind, base_name, entries, locks=locks, heirs=(*heirs, name))
    elif base_name or not entry.text("namespace"):
        definition = _read_lock(locks, base_name or name, variant)

    def inherited(key: str) -> str | None:
        value = entry.text(key)
        return value if value is not None else (getattr(parent, key) if parent else definition.text(key))

    pip_url = inherited("pip_url")
    venv_name = name
    if base_name and pip_url == (parent.pip_url if parent else definition.text("pip_url")):
        venv_name = parent.venv_name if parent else definition.text("name") or base_name
    namespace = entry.text("namespace") or (None if base_name else definition.text("namespace"))
    return Plugin(
        kind=kind,
        name=name,
        namespace=namespace or name.replace("-", "_"),
        variant=inherited("variant"),
        executable=inherited("executable") or definition.text("name") or base_name or name,
        pip_url=pip_url,
        python=inherited("python"),
        capabilities=_capabilities(entry, parent, definition),
        settings=_settings(entry, parent, definition),
        config=entry.section("config"),
        extras=extras_of(entry),
        env={**definition.env(), **entry.env()},
        extra_defaults=parent.extra_defaults if parent else extras_of(definition),
        commands={
            **(parent.commands if parent else definition.section("commands")),
            **entry.section("commands"),
        },
        parent=parent,
        venv_name=venv_name,
        required=_required(entry) or (parent.required if parent else _required(definition)),
        is_defined=bool(definition.get("settings")) or (parent is not None and parent.is_defined),
    )


def _capabilities(entry: Section, parent: Plugin | None, definition: Section) -> frozenset[str] | None:
    if entry.get("capabilities") is not None:
        return frozenset(entry.items_of("capabilities", str, "texts"))
    if parent:
        return parent.capabilities
    # An empty list in a lock file only says that its author knew of none.
    return frozenset(definition.items_of("capabilities", str, "texts")) or None


def _required(entry: Section) -> tuple[frozenset[str], ...]:
    groups = entry.items_of("settings_group_validation", list, "lists of settings")
    return tuple(frozenset(map(str, group)) for group in groups)


def _settings(entry: Section, parent: Plugin | None, definition: Section) -> tuple[Setting, ...]:
    settings = {setting.name: setting for setting in parent.settings} if parent else {}
    settings.update(read_settings(definition))
    settings.update(read_settings(entry))
    return tuple(settings.values())


def _read_lock(folder: Path, name: str, variant: str | None) -> Section:
    """Read the lockfile of a definition, or nothing where there is none: then any setting is a custom one."""
    path = folder / f"{name}--{variant or 'default'}.lock"
    if not path.is_file():
        found = sorted(lock for lock in folder.glob("*.lock") if lock.stem.rpartition("--")[0] == name)
        if variant or not found:
            return Section(path.name)
        if len(found) > 1:
            raise ConfigError(
                f"'{name}' has several lockfiles: {', '.join(lock.name for lock in found)}.",
                f"Set variant: for '{name}' in meltano.yml.",
            )
        path = found[0]
    return read_json(path, f"plugins/{folder.name}/{path.name}")
