"""One resource of a package that Flow wrote, and a further file of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flow_singer.datapackage.descriptor import STORED_TYPE
from flow_singer.datapackage.formerpackage import ABSENT_PROPERTY, PARTS_PROPERTY, paths_of
from flow_singer.datapackage.tablecolumn import TableColumn

_OF_THE_FILES = frozenset({"path", "bytes", "hash", "rows", PARTS_PROPERTY})
_AS_JSON = frozenset({"any", "object", "array"})
"""Table Schema types whose cells are JSON texts in CSV and Parquet; those of all others are not."""


def columns_of(resource: Mapping[str, Any] | None) -> dict[str, TableColumn]:
    """The columns of a resource, by property, as a further file of it begins with them."""
    if resource is None:
        return {}
    root = resource.get("flow:jsonSchema", {})
    columns = [TableColumn.of_field(one, root) for one in _fields(resource)]
    return {one.source.name: one for one in columns}


def stored_types(resource: Mapping[str, Any] | None) -> dict[str, str]:
    """The types that columns have in its files, by name, where the format has types."""
    if resource is None:
        return {}
    return {str(one["name"]): str(one[STORED_TYPE]) for one in _fields(resource) if STORED_TYPE in one}


def is_alike(
    old: Mapping[str, Any], new: Mapping[str, Any], seed: Mapping[str, Any] | None, kind: str
) -> bool:
    """Whether a file of new rows can stand beside those that are there.

    It has the same columns in the same order, and cells that are written in the same way. Whether a type promises
    less than before does not matter: what holds for all files goes into the descriptor.

    Args:
        old: the resource that is there.
        new: that of the new rows.
        seed: the resource whose columns the new rows began with: their types are no narrower.
        kind: of format, of both.
    """
    began_here = seed is not None and _fields(seed) == _fields(old)
    fields = list(zip(_fields(old), _fields(new), strict=False))
    if len(_fields(old)) != len(_fields(new)):
        return False
    for one, other in fields:
        if one["name"] != other["name"] or one.get("flow:property") != other.get("flow:property"):
            return False
        same = one["type"] == other["type"] and one.get("flow:jsonSchema") == other.get("flow:jsonSchema")
        if not (same or began_here) or one.get(STORED_TYPE) != other.get(STORED_TYPE):
            return False
        if kind != "jsonl" and (one["type"] in _AS_JSON) != (other["type"] in _AS_JSON):
            return False
    return True


def appended(old: Mapping[str, Any], new: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """The resource with further files.

    The standard has one size and one digest for all files, so each file's own stand in `flow:parts`. Nobody has
    looked whether a key comes again, so no primary key is promised any more.

    Args:
        old: the resource that is there.
        new: that of the new rows; see `is_alike`.
        paths: of its files in the package.
    """
    parts = _parts(old)
    rows = int(old["flow:records"]) + int(new["flow:records"])
    made: dict[str, Any] = {}
    for key, value in old.items():
        if key == "path":
            made["path"] = [*paths_of(old), *paths]
        elif key not in _OF_THE_FILES:
            made[key] = value
        elif key == "rows":
            made["rows"] = rows
    schema = dict(old["schema"])
    schema["fields"] = [
        _field_of_both(one, other) for one, other in zip(_fields(old), _fields(new), strict=True)
    ]
    schema.pop("primaryKey", None)
    made["schema"] = schema
    made["flow:records"] = rows
    further = [{**part, "path": path} for part, path in zip(_parts(new), paths, strict=True)]
    made.update(
        {key: value for key, value in new.items() if key.startswith("flow:") and key != "flow:records"}
    )
    made[PARTS_PROPERTY] = [*parts, *further]
    return made


def renamed(resource: Mapping[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """The resource with its files elsewhere."""
    made = {**resource, "path": paths[0] if len(paths) == 1 else list(paths)}
    if PARTS_PROPERTY in made:
        parts = zip(made[PARTS_PROPERTY], paths, strict=True)
        made[PARTS_PROPERTY] = [{**part, "path": path} for part, path in parts]
    return made


def extras_of(old: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """What somebody has written into the descriptor of a resource beside what Flow writes."""
    return {
        k: v for k, v in old.items() if k not in made and k not in _OF_THE_FILES and not k.startswith("flow:")
    }


def schema_with_extras(old: Mapping[str, Any], made: Mapping[str, Any]) -> dict[str, Any]:
    """The new Table Schema of a resource, with what somebody has written into the one before beside what Flow writes."""
    before, schema = dict(old.get("schema", {})), dict(made["schema"])
    by_name = {str(one["name"]): one for one in _fields(old)}
    schema["fields"] = [
        {
            **one,
            **{k: v for k, v in by_name.get(one["name"], {}).items() if k in _DESCRIBING and k not in one},
        }
        for one in schema["fields"]
    ]
    return {**{k: v for k, v in before.items() if k in _DESCRIBING | _OF_ROWS}, **schema}


_DESCRIBING = frozenset({"title", "description", "example", "examples", "rdfType", "unit", "categories"})
_OF_ROWS = frozenset({"foreignKeys", "uniqueKeys"})


def _field_of_both(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    made = {**old, **new}
    if ABSENT_PROPERTY not in new:
        made.pop(ABSENT_PROPERTY, None)
    if old["type"] != new["type"] or not _is_required(old) or not _is_required(new):
        made["constraints"] = {
            key: value for key, value in dict(new.get("constraints", {})).items() if key != "required"
        }
        if _is_required(old) and _is_required(new):
            made["constraints"]["required"] = True
    if not made.get("constraints"):
        made.pop("constraints", None)
    if "missingValues" in made and not ("missingValues" in old and "missingValues" in new):
        del made["missingValues"]  # in one of the files an empty cell is a null
    return made


def _is_required(field: Mapping[str, Any]) -> bool:
    return bool(dict(field.get("constraints", {})).get("required"))


def _parts(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What is known of each file of a resource."""
    return resource.get(PARTS_PROPERTY) or [
        {
            "path": paths_of(resource)[0],
            "bytes": resource.get("bytes"),
            "hash": resource.get("hash"),
            "rows": resource["flow:records"],
        }
    ]


def _fields(resource: Mapping[str, Any]) -> list[dict[str, Any]]:
    return list(resource.get("schema", {}).get("fields", []))
