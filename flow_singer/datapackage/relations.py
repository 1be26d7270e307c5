"""What streams refer to, as foreign keys of their resources."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flow_singer.singer.foreignkeys import (
    FOREIGN_KEYS,
    ForeignKey,
    foreign_keys_as_json,
    foreign_keys_in,
)


def related(
    resources: Sequence[Mapping[str, Any]], known: Mapping[str, Sequence[ForeignKey]]
) -> list[dict[str, Any]]:
    """The resources of a package with the foreign keys that are known of their streams.

    Args:
        resources: all of the package. What somebody has written into one stays.
        known: foreign keys by stream, beside those in the SCHEMAs. A key that the package has not both ends of is
            left out.
    """
    by_stream = {str(one.get("flow:stream")): one for one in resources}
    made = []
    for one in resources:
        stream = str(one.get("flow:stream"))
        keys = [*foreign_keys_in(one.get("flow:jsonSchema", {})), *known.get(stream, ())]
        found = [_in_package(one, key, by_stream) for key in keys]
        schema = dict(one.get("schema", {}))
        there = foreign_keys_in(schema)
        more = [key for key in dict.fromkeys(found) if key is not None and key not in there]
        if more:
            schema[FOREIGN_KEYS] = [*schema.get(FOREIGN_KEYS, []), *foreign_keys_as_json(more)]
        made.append({**one, "schema": schema} if more else dict(one))
    return made


def _in_package(
    resource: Mapping[str, Any], key: ForeignKey, by_stream: Mapping[str, Mapping[str, Any]]
) -> ForeignKey | None:
    """A key in the names of fields and resources; None where one is not there."""
    is_own = key.stream in (None, resource.get("flow:stream"))
    other = resource if is_own else by_stream.get(str(key.stream))
    if other is None:
        return None
    columns, referred = _fields(resource, key.columns), _fields(other, key.referred)
    if columns is None or referred is None:
        return None
    return ForeignKey(columns, None if is_own else str(other["name"]), referred)


def _fields(resource: Mapping[str, Any], properties: Sequence[str]) -> tuple[str, ...] | None:
    names = {
        str(one.get("flow:property", one["name"])): str(one["name"]) for one in resource["schema"]["fields"]
    }
    return tuple(names[one] for one in properties) if names.keys() >= set(properties) else None
