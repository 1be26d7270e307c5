"""Read YAML, JSON lockfiles and `.env` into mappings that know the file and line of each key."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.project.variables import as_text


class Section(dict[str, Any]):
    """A mapping that was read from a file and knows where each key stands, for error messages."""

    def __init__(self, place: str = "meltano.yml", items: Mapping[str, Any] | None = None) -> None:
        super().__init__(items or {})
        self.place = place
        self.places: dict[str, str] = {}

    def at(self, key: str) -> str:
        """Where `key` is written: "meltano.yml, line 12"."""
        return self.places.get(key, self.place)

    def merged(self, other: Section) -> Section:
        """This mapping with `other` over it: mappings merge, lists concatenate, the rest is replaced."""
        result = Section(self.place, self)
        result.places = {**self.places, **other.places}
        for key, value in other.items():
            mine = self.get(key)
            if isinstance(mine, Section) and isinstance(value, Section):
                result[key] = mine.merged(value)
            elif isinstance(mine, list) and isinstance(value, list):
                result[key] = [*mine, *value]
            else:
                result[key] = value
        return result

    def section(self, key: str) -> Section:
        """The mapping under `key`; an empty one where the key is missing or null."""
        value = self.get(key)
        if value is None:
            return Section(self.at(key))
        if not isinstance(value, Section):
            raise self.unfit(key, "a mapping")
        return value

    def text(self, key: str) -> str | None:
        """The text under `key`, or None."""
        value = self.get(key)
        if value is not None and not isinstance(value, str):
            raise self.unfit(key, "text (numbers in quotes)")
        return value

    def items_of(self, key: str, kind: type, expected: str) -> list[Any]:
        """The list under `key`, each item of type `kind`; an empty one where the key is missing or null."""
        value = [] if self.get(key) is None else self[key]
        if not isinstance(value, list) or not all(isinstance(item, kind) for item in value):
            raise self.unfit(key, f"a list of {expected}")
        return value

    def named(self, key: str) -> dict[str, Section]:
        """The mappings in the list under `key`, by their `name`, which must be unique."""
        result: dict[str, Section] = {}
        for item in self.items_of(key, Section, "mappings with a name, each behind a dash (- name: ...)"):
            name = item.text("name")
            if not name:
                raise ConfigError(f"{item.place}: an entry of '{key}' has no name.", "Give it a name: key.")
            if name in result:
                raise ConfigError(
                    f"{item.place}: '{name}' is already defined under '{key}' ({result[name].place}).",
                    "Remove or rename one of the two.",
                )
            result[name] = item
        return result

    def env(self) -> dict[str, str]:
        """The variables under `env`, as text, not yet expanded; null means not set."""
        variables = self.section("env")
        for name, value in variables.items():
            if isinstance(value, (dict, list)):
                raise variables.unfit(name, "text, a number or a boolean")
        return {name: as_text(value) for name, value in variables.items() if value is not None}

    def unfit(self, key: str, expected: str) -> ConfigError:
        """The error for a value of the wrong shape. The value itself is not shown: it may be a secret."""
        seen = {str: "text", list: "a list", bool: "a boolean", int: "a number", float: "a number"}
        value = self.get(key)
        kind = "a mapping" if isinstance(value, dict) else seen.get(type(value), "null")
        return ConfigError(f"{self.at(key)}: '{key}' is {kind}.", f"Expected {expected}.")


def read_yaml(path: Path, name: str) -> Section:
    """Read one YAML 1.2 file whose top level is a mapping; `name` is what errors call it.

    Unquoted timestamps stay the text that was written: Meltano turns them into datetimes and loses the zone.

    Raises:
        ConfigError: the file cannot be read, is no YAML, or repeats a key (with the line; never the value).
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import SafeConstructor
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    class Constructor(SafeConstructor):
        def construct_yaml_map(self, node: Any) -> Any:
            section = Section(f"{name}, line {node.start_mark.line + 1}")
            yield section
            section.update({str(key): value for key, value in self.construct_mapping(node).items()})
            section.places = {
                str(key.value): f"{name}, line {key.start_mark.line + 1}" for key, _ in node.value
            }

        def check_mapping_key(self, node: Any, key_node: Any, mapping: Any, key: Any, value: Any) -> bool:
            if key in mapping:  # ruamel's own message shows both values, which may be secrets
                place = f"{name}, line {key_node.start_mark.line + 1}"
                raise ConfigError(f"{place}: the key '{key}' is written twice.", "Remove or rename one.")
            return True

    Constructor.add_constructor("tag:yaml.org,2002:map", Constructor.construct_yaml_map)
    Constructor.add_constructor("tag:yaml.org,2002:timestamp", SafeConstructor.construct_yaml_str)
    yaml = YAML(typ="safe", pure=True)  # pure: the C parser knows YAML 1.1 only
    yaml.Constructor = Constructor
    try:
        document = yaml.load(_read_text(path, name))
    except MarkedYAMLError as exc:
        mark = exc.problem_mark or exc.context_mark
        place = f"{name}, line {mark.line + 1}" if mark else name
        if mark is not None and "'\\t'" in str(exc.problem):
            raise ConfigError(f"{place}: a tab, where YAML has blanks.", "Indent with blanks.") from None
        if exc.context_mark is not None and exc.context == "while scanning a quoted scalar":
            place = f"{name}, line {exc.context_mark.line + 1}"
            raise ConfigError(f"{place}: a quote is not closed.", "Close it.") from None
        # Not chained: its text quotes the lines around, which may hold secrets.
        raise ConfigError(f"{place}: {exc.problem or exc.context}.", "Correct the YAML there.") from None
    except (YAMLError, ValueError, RecursionError) as exc:
        raise ConfigError(f"{name} is not valid YAML: {type(exc).__name__}.", "Correct the file.") from exc
    if document is None:
        return Section(name)
    if not isinstance(document, Section):
        raise ConfigError(
            f"{name} does not hold a mapping.", "Expected keys such as plugins: and environments:."
        )
    return document


def read_json(path: Path, name: str) -> Section:
    """Read one JSON file whose top level is an object.

    Raises:
        ConfigError: the file cannot be read or is no JSON object.
    """
    try:
        document = json.loads(_read_text(path, name), object_hook=lambda items: Section(name, items))
    except (ValueError, RecursionError) as exc:
        line = f", line {exc.lineno}" if isinstance(exc, json.JSONDecodeError) else ""
        raise ConfigError(f"{name}{line}: not valid JSON.", "Write the file anew.") from exc
    if not isinstance(document, Section):
        raise ConfigError(f"{name} does not hold a JSON object.", "Write the file anew.")
    return document


def read_dotenv(path: Path) -> dict[str, str]:
    """Read a `.env` file, keys without a value left out; empty where there is no file.

    Raises:
        ConfigError: the file is not UTF-8 or cannot be read.
    """
    if path.is_dir():
        raise ConfigError(f"{path.name} is a folder.", f"Look at {path}: variables are read from a file.")
    if not path.is_file():
        return {}
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"{path.name} cannot be read: {type(exc).__name__}.", "It must be UTF-8 text."
        ) from exc
    return {name: value for name, value in values.items() if value is not None}


def _read_text(path: Path, name: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigError(f"{name} cannot be read: {exc.strerror}.", f"Look at {path}.") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{name} is not UTF-8 (byte {exc.start}).", "Save it as UTF-8.") from exc
