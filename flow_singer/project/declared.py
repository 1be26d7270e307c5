"""The settings that a plugin declares: from the JSON Schema of its `--about` to settings, and back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from flow_singer.errors import ConfigError
from flow_singer.project.definitions import Setting, read_settings
from flow_singer.project.variables import path_parts
from flow_singer.project.yamlfile import Section

_KINDS = {
    "integer": "integer",
    "number": "decimal",
    "boolean": "boolean",
    "array": "array",
    "object": "object",
}
_CHOICES = ("anyOf", "oneOf", "allOf", "$ref", "patternProperties", "if")


class UnknownKey(NamedTuple):
    """A key of a config that the plugin does not declare.

    Attributes:
        path: dotted.
        place: where it is written, such as "meltano.yml, line 12"; None for `--config`.
        known: the declared names at that place.
        forbidden: whether the plugin's schema allows no others.
    """

    path: str
    place: str | None
    known: tuple[str, ...]
    forbidden: bool


def declared_settings(about: Any) -> tuple[Setting, ...]:
    """The settings that a plugin declares.

    Args:
        about: `settings` of its `--about`: a JSON Schema (Singer SDK), or a list as in a lock file.

    Returns:
        The nested ones too, by dotted names. Without defaults: the plugin itself knows them.
    """
    if isinstance(about, list):
        try:
            read = [setting for _, setting in read_settings(_sections({"settings": about}))]
        except ConfigError:  # a list of something else
            return ()
        return tuple(replace(setting, default=None) for setting in read)
    return tuple(_settings_of(about, "")) if isinstance(about, Mapping) else ()


def _sections(value: Any) -> Any:
    if isinstance(value, Mapping):
        return Section("--about", {key: _sections(item) for key, item in value.items()})
    return [_sections(item) for item in value] if isinstance(value, list) else value


def _settings_of(schema: Mapping[str, Any], prefix: str) -> Iterator[Setting]:
    for name, one in _properties(schema).items():
        path = prefix + str(name).replace(".", "\\.")
        yield Setting(path, _kind_of(one), sensitive=_is_secret(one))
        yield from _settings_of(one, f"{path}.")


def _properties(schema: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping):
        return {}
    return {name: one for name, one in properties.items() if isinstance(one, Mapping)}


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types that a schema allows, null aside; empty where it does not say."""
    named = schema.get("type")
    types = {named} if isinstance(named, str) else set(named) if isinstance(named, list) else set()
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        types |= _types(choice) if isinstance(choice, Mapping) else set()
    return {one for one in types if one != "null"}


def _kind_of(schema: Mapping[str, Any]) -> str:
    """The kind that casts a text: of several types it is JSON, unless a text is one of them."""
    types = _types(schema)
    if types == {"integer", "number"}:
        return "decimal"
    if not types or "string" in types:
        is_date = types == {"string"} and schema.get("format") in ("date", "date-time")
        return "date_iso8601" if is_date else "string"
    return _KINDS.get(types.pop(), "string") if len(types) == 1 else "json"


def _is_secret(schema: Mapping[str, Any]) -> bool:
    return bool(schema.get("secret") or schema.get("writeOnly") or schema.get("format") == "password")


def schema_of(settings: Sequence[Setting]) -> dict[str, Any]:
    """A JSON Schema with the names of settings, dotted ones nested; it allows any values and any other names."""
    schema: dict[str, Any] = {}
    for setting in settings:
        for name in (setting.name, *setting.aliases):
            inner = schema
            for part in path_parts(name):
                inner = inner.setdefault("properties", {}).setdefault(part, {})
    return schema


def unknown_keys(
    config: Mapping[str, Any], schema: Mapping[str, Any], known: Collection[str] = (), path: str = ""
) -> Iterator[UnknownKey]:
    """Find the keys of a config that a plugin does not declare.

    Args:
        config: nested; keys may be dotted paths. What is a `Section` says where its keys are written.
        schema: JSON Schema of the config. An object of which it lists no properties, or that follows other
            rules than a list, may have any.
        known: dotted names that are declared elsewhere.
        path: of `config` within the whole, with a dot at its end.
    """
    for key, value in config.items():
        if value is None:  # not set
            continue
        inner: Mapping[str, Any] = schema
        name = path
        for part in path_parts(str(key)):
            name += part.replace(".", "\\.")
            if _is_free(inner) or name in known or any(one.startswith(f"{name}.") for one in known):
                break
            properties = _properties(inner)
            if part not in properties:
                place = config.at(key) if isinstance(config, Section) else None
                forbidden = inner.get("additionalProperties") is False
                yield UnknownKey(name, place, tuple(properties), forbidden)
                break
            inner = properties[part]
            name += "."
        else:
            if isinstance(value, Mapping):
                yield from unknown_keys(value, inner, known, name)


def _is_free(schema: Mapping[str, Any]) -> bool:
    more = schema.get("additionalProperties")
    if any(choice in schema for choice in _CHOICES) or isinstance(more, Mapping):
        return True
    return not _properties(schema) and more is not False
