"""Environment variables and configuration values: names, text, expansion, dotted paths."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flow_singer.errors import ConfigError

_VARIABLE = re.compile(r"(?P<escape>\\)?\$(?:\{(?P<braced>\w+)\}|(?P<bare>[A-Z][A-Z0-9_]*))")


def expand(value: Any, variables: Mapping[str, str], *, strict: bool = False) -> Any:
    r"""Replace `$NAME` (upper case) and `${name}` in a text, or in all texts of a list or mapping.

    One pass; `\$NAME` stands for `$NAME`; a variable that is not set becomes empty, or, where `strict`,
    raises ConfigError. Other values come back as they are.

    Source: Meltano 4.4, "Expansion in setting values".
    """
    if isinstance(value, str):

        def replace(match: re.Match[str]) -> str:
            if match["escape"]:
                return match[0][1:]
            name = match["braced"] or match["bare"]
            if strict and name not in variables:
                raise ConfigError(f"Variable {name} is not set (strict_env_var_mode).", f"Set {name}.")
            return variables.get(name, "")

        return _VARIABLE.sub(replace, value)
    if isinstance(value, Mapping):
        return {key: expand(item, variables, strict=strict) for key, item in value.items()}
    if isinstance(value, list):
        return [expand(item, variables, strict=strict) for item in value]
    return value


def variables_in(text: str) -> list[str]:
    """Return the names of the variables that `expand` would replace in a text."""
    found = (match for match in _VARIABLE.finditer(text) if not match["escape"])
    return [match["braced"] or match["bare"] for match in found]


def expand_env(env: Mapping[str, str], above: Mapping[str, str], *, strict: bool = False) -> dict[str, str]:
    """Expand the variables of one `env:`, each with those above and those written before it."""
    result: dict[str, str] = {}
    for name, value in env.items():
        result[name] = expand(value, {**above, **result}, strict=strict)
    return result


def env_name(prefix: str, setting: str) -> str:
    """Name of the variable of a setting: ("tap-x", "nested.a") is TAP_X_NESTED_A."""
    return re.sub(r"[^A-Za-z0-9]", "_", f"{prefix}_{setting}").upper()


def truthy(value: Any) -> bool:
    """Whether a value means yes: true, 1, yes, on, in any case."""
    return str(value).lower() in {"true", "1", "yes", "on"}


def flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Turn nested mappings into one of dotted paths; lists and empty mappings are leaves."""
    leaves: dict[str, Any] = {}
    for key, item in value.items():
        path = f"{prefix}{key}"
        if isinstance(item, Mapping) and item:
            leaves.update(flatten(item, f"{path}."))
        else:
            leaves[path] = item
    return leaves


def as_text(value: Any) -> str:
    """Write a value as a variable holds it: text as it is, numbers in digits, the rest as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def path_parts(path: str) -> list[str]:
    r"""Split a dotted path; `a\.b` is one key with a dot."""
    return [part.replace("\\.", ".") for part in re.split(r"(?<!\\)\.", path)]


def put(nested: dict[str, Any], parts: Sequence[str], value: Any) -> None:
    """Set a value by path: a mapping merges into a mapping, all else replaces."""
    for part in parts[:-1]:
        if not isinstance(nested.get(part), dict):
            nested[part] = {}
        nested = nested[part]
    last = parts[-1]
    if isinstance(value, Mapping) and isinstance(nested.get(last), dict):
        for key, item in value.items():
            put(nested[last], [key], item)
    else:
        nested[last] = dict(value) if isinstance(value, Mapping) else value


def get(nested: Mapping[str, Any], path: str) -> Any:
    """The value at a dotted path, None where there is none."""
    value: Any = nested
    for part in path_parts(path):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def mentioned(value: Any) -> Iterator[str]:
    """The names of the variables that the texts in a value mention, as `$NAME` or `${name}`."""
    if isinstance(value, str):
        for match in _VARIABLE.finditer(value):
            if not match["escape"]:
                yield match["braced"] or match["bare"]
    elif isinstance(value, (Mapping, list)):
        for item in value.values() if isinstance(value, Mapping) else value:
            yield from mentioned(item)
