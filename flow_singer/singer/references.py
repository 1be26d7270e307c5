"""What a JSON Schema allows, its local references and unions followed; nothing here decides a type.

Source: JSON Schema (drafts 4 to 2020-12) as taps write it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 12
"""How deep unions are followed."""


def gather(
    schema: Mapping[str, Any], root: Mapping[str, Any], depth: int = 0, followed: frozenset[str] = frozenset()
) -> tuple[set[str], set[str | None], list[Any]]:
    """Collect the JSON types, the formats of its string branches, and `multipleOf`s a schema allows.

    A branch that refers back to a schema it is part of (in `followed`) allows nothing new.
    """
    if isinstance(reference := schema.get("$ref"), str):
        followed |= {reference}
    schema = resolve(schema, root)
    types: set[str] = set()
    formats: set[str | None] = set()
    multiples: list[Any] = []
    declared = schema.get("type")
    if isinstance(declared, str):
        types.add(declared)
    elif isinstance(declared, list):
        for one in declared:
            if isinstance(one, str):
                types.add(one)
            elif isinstance(one, Mapping) and depth < MAX_DEPTH and not leads_back(one, followed):
                types |= gather(one, root, depth + 1, followed)[0]  # draft 3 allowed schemas in the list
    if "string" in types:
        named = schema.get("format")
        formats.add(named if isinstance(named, str) else None)
    if "multipleOf" in schema:
        multiples.append(schema["multipleOf"])
    if depth < MAX_DEPTH:
        for union in ("anyOf", "oneOf"):
            branches = schema.get(union)
            for branch in branches if isinstance(branches, list) else ():
                if not isinstance(branch, Mapping) or leads_back(branch, followed):
                    continue
                sub_types, sub_formats, sub_multiples = gather(branch, root, depth + 1, followed)
                types |= sub_types or {"object", "array", "string", "number", "boolean", "null"}
                formats |= sub_formats
                multiples += sub_multiples
    if not types:
        types = _implied_types(schema)
    return types, formats, multiples


def leads_back(branch: Mapping[str, Any], followed: frozenset[str]) -> bool:
    """Whether a branch refers to a schema that it is part of."""
    reference = branch.get("$ref")
    return isinstance(reference, str) and reference in followed


def _implied_types(schema: Mapping[str, Any]) -> set[str]:
    if "properties" in schema:
        return {"object"}
    if "items" in schema:
        return {"array"}
    values = schema.get("enum", [schema["const"]] if "const" in schema else [])
    return {type_of(value) for value in values} if isinstance(values, list) else set()


def type_of(value: object) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case int():
            return "integer"
        case float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
    return "object"


def resolve(
    schema: Mapping[str, Any], root: Mapping[str, Any], followed: frozenset[str] = frozenset()
) -> Mapping[str, Any]:
    """Follow local references and merge `allOf`, one level deep; the result is only read, never sent.

    Args:
        schema: what to resolve.
        root: the schema that references point into.
        followed: references that led here; one of them is not followed again.
    """
    while isinstance(reference := schema.get("$ref"), str) and reference.startswith("#"):
        if reference in followed:
            return {k: v for k, v in schema.items() if k != "$ref"}
        followed |= {reference}
        target: Any = root
        for part in reference.lstrip("#/").split("/"):
            key = part.replace("~1", "/").replace("~0", "~")
            target = target.get(key) if isinstance(target, Mapping) and part else target
        if not isinstance(target, Mapping):
            return {k: v for k, v in schema.items() if k != "$ref"}
        schema = {**target, **{k: v for k, v in schema.items() if k != "$ref"}}
    branches = schema.get("allOf")
    if not isinstance(branches, list):
        return schema
    merged: dict[str, Any] = {}
    for branch in [*branches, {k: v for k, v in schema.items() if k != "allOf"}]:
        if not isinstance(branch, Mapping):
            continue
        resolved = resolve(branch, root, followed)
        properties = {**mapping_under(merged, "properties"), **mapping_under(resolved, "properties")}
        merged = {**merged, **resolved}
        if properties:
            merged["properties"] = properties
    return merged


def mapping_under(schema: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    """The mapping under a word; an empty one where it is missing or none."""
    found = schema.get(word)
    return found if isinstance(found, Mapping) else {}
