"""One resource of a descriptor, checked, with the Singer SCHEMA of its rows.

What Flow wrote says itself which SCHEMA it was made of; of all others it is made from the Table Schema.

Source: Data Package v1 and v2: "Data Resource", "Table Dialect", "Table Schema"; the two differ in names, not in what
they mean.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from flow_singer.dataplaces import FORMATS, FileFormat, format_of
from flow_singer.errors import ConfigError, TransformError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.reading.places import Stamp
from flow_singer.singer.fields import properties_from_table_schema
from flow_singer.singer.foreignkeys import FOREIGN_KEYS, foreign_keys_as_json, foreign_keys_in
from flow_singer.singer.schema import StreamSchema

WHOLE = "flow:readWhole"
"""Stands in the description of a bare file all of whose rows it was made from."""
_MISSING = ("",)


@dataclass(frozen=True)
class Field:
    """One column of a resource's files.

    Attributes:
        column: its name in the files.
        name: of the property.
        descriptor: its Table Schema field.
        missing: texts that stand for null in its cells.
    """

    column: str
    name: str
    descriptor: Mapping[str, Any]
    missing: Sequence[str] = _MISSING


@dataclass(frozen=True)
class Part:
    """One file of a resource, and what the descriptor promises of it; None where it says nothing.

    Attributes:
        path: of the file.
        size_bytes: of it.
        hash: of its content, behind the name of its algorithm.
        rows: in it.
        stamp: of a bare file, from before its columns were looked at.
    """

    path: str
    size_bytes: int | None = None
    hash: str | None = None
    rows: int | None = None
    stamp: Stamp | None = None


@dataclass(frozen=True)
class ResourceDescription:
    """A resource.

    Attributes:
        name: of the resource.
        schema: the SCHEMA of its stream.
        fields: the columns of its files, in order; empty where the files say which there are.
        parts: its files.
        format: of the files.
        is_gzip: whether they are packed.
        encoding: of text.
        dialect: Table Dialect, v2, with `flow:skipRows`: lines above the header.
        inline: rows that stand in the descriptor itself; None where there are files.
        rows: how many rows there are in all; None where the descriptor does not say.
        is_flows: whether Flow wrote it: then its cells are read the way Flow writes them.
        descriptor: as it came.
        was_read_whole: whether the description was made from all rows of its files.
    """

    name: str
    schema: StreamSchema
    fields: Sequence[Field]
    parts: Sequence[Part]
    format: FileFormat
    is_gzip: bool = False
    encoding: str = "utf-8"
    dialect: Mapping[str, Any] = field(default_factory=dict)
    inline: list[Any] | None = None
    rows: int | None = None
    is_flows: bool = False
    descriptor: Mapping[str, Any] = field(default_factory=dict)
    was_read_whole: bool = False


def describe_resource(
    descriptor: Mapping[str, Any],
    *,
    title: str,
    load: Callable[[str], Any],
    replication_key: str | None = None,
    types: Mapping[str, str] | None = None,
) -> ResourceDescription:
    """Read one resource of a package.

    Args:
        descriptor: the resource; its `schema` and `dialect` may be paths of files.
        title: the package, for errors.
        load: gives the JSON of such a file.
        replication_key: of its stream.
        types: what a person says of columns by name, against the descriptor.

    Raises:
        ConfigError: the descriptor cannot be used; says where.
    """
    name = descriptor.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigError(f"{title} has a resource without a name.", "Give each resource a 'name'.")
    where = f"resource {name!r} of {title}"
    raw_schema = _inner(descriptor, "schema", load, where)
    if types and raw_schema is not None and "flow:stream" not in descriptor:
        raw_schema = _with_types(raw_schema, types)
    dialect = _inner(descriptor, "dialect", load, where) or {}
    inline, parts = _files(descriptor, where)
    form, packed = _format(descriptor, parts, where)
    is_flows = isinstance(descriptor.get("flow:stream"), str) and isinstance(
        descriptor.get("flow:jsonSchema"), Mapping
    )
    fields = _fields(raw_schema, where) if raw_schema is not None else []
    message = _message(descriptor, raw_schema, fields, where, is_flows)
    if replication_key is not None and message is not None:
        _check_column(replication_key, message["schema"]["properties"], where)
        message["bookmark_properties"] = [replication_key]
    if message is None:
        raise ConfigError(
            f"The {where} has no schema, and its columns cannot be inferred.",
            "Add a 'schema' with 'fields' to it, or name its file alone.",
        )
    rows = descriptor.get("rows")
    return ResourceDescription(
        name,
        StreamSchema(message),
        fields,
        parts,
        form,
        is_gzip=packed,
        encoding=str(descriptor.get("encoding") or "utf-8"),
        dialect=dialect,
        inline=inline,
        rows=rows if isinstance(rows, int) else None,
        is_flows=is_flows,
        descriptor=descriptor,
        was_read_whole=descriptor.get(WHOLE) is True,
    )


def _with_types(schema: Mapping[str, Any], types: Mapping[str, str]) -> Mapping[str, Any]:
    """A Table Schema with other types for some of its fields."""
    fields = schema.get("fields")
    if not isinstance(fields, list):
        return schema
    kept = ("name", "title", "description", "missingValues")
    changed = [
        {**{key: one[key] for key in kept if key in one}, "type": types[one["name"]]}
        if isinstance(one, Mapping) and one.get("name") in types
        else one
        for one in fields
    ]
    return {**schema, "fields": changed}


def _check_column(name: str, properties: Mapping[str, Any], where: str) -> None:
    if name not in properties:
        raise ConfigError(
            f"The {where} has no column {name!r}, which 'replication_key' names.",
            did_you_mean([repr(one) for one in near_names(name, properties)])
            or f"It has {', '.join(properties)}.",
        )


def _inner(
    descriptor: Mapping[str, Any], key: str, load: Callable[[str], Any], where: str
) -> Mapping[str, Any] | None:
    """A part of a descriptor that may stand in a file of its own."""
    found = descriptor.get(key)
    if isinstance(found, str):
        found = load(found)
    if found is not None and not isinstance(found, Mapping):
        raise ConfigError(f"The {where} has a '{key}' that is no object.", "Correct it in the descriptor.")
    return found


def _files(descriptor: Mapping[str, Any], where: str) -> tuple[list[Any] | None, list[Part]]:
    data, path = descriptor.get("data"), descriptor.get("path")
    if path is None and isinstance(data, list):
        return data, []
    paths = [path] if isinstance(path, str) else path
    if not isinstance(paths, list) or not paths or not all(isinstance(one, str) for one in paths):
        raise ConfigError(
            f"The {where} has neither a 'path' nor rows in 'data'.",
            "Add the path of its file to the descriptor.",
        )
    told = {one.get("path"): one for one in _objects(descriptor.get("flow:parts"))}
    if len(paths) == 1 and paths[0] not in told:
        told = {paths[0]: descriptor}
    return None, [_part(one, told.get(one, {})) for one in paths]


def _part(path: str, told: Mapping[str, Any]) -> Part:
    size, rows, digest = told.get("bytes"), told.get("rows"), told.get("hash")
    return Part(
        path,
        size if isinstance(size, int) else None,
        digest if isinstance(digest, str) else None,
        rows if isinstance(rows, int) else None,
    )


def format_said(descriptor: Mapping[str, Any]) -> tuple[FileFormat | None, bool]:
    """The format of a resource, None where it is none that Flow reads, and whether its files are packed."""
    path, said = descriptor.get("path"), descriptor.get("format")
    first = path[0] if isinstance(path, list) and path else path
    by_name, packed = (
        format_of(first) if isinstance(first, str) else ("json" if "data" in descriptor else None, False)
    )
    form = by_name if said is None else FORMATS.get(str(said).lower().lstrip("."))
    compression = descriptor.get("compression")
    if compression not in (None, "no", "gz", "gzip"):
        return None, True
    return form, packed or compression in ("gz", "gzip")


def _format(descriptor: Mapping[str, Any], parts: Sequence[Part], where: str) -> tuple[FileFormat, bool]:
    form, packed = format_said(descriptor)
    if form is None:
        what = descriptor.get("compression") or descriptor.get("format") or parts[0].path
        raise ConfigError(
            f"The {where} is of a kind that Flow cannot read: {what!r}.",
            f"It reads {', '.join(dict.fromkeys(FORMATS.values()))}, each also as .gz.",
        )
    return form, packed


def _objects(found: Any) -> list[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def missing_values(found: Any, default: Sequence[str]) -> Sequence[str]:
    """`missingValues`: texts, or in v2 also objects with a `value`."""
    if not isinstance(found, list):
        return default
    return tuple(str(one.get("value", "")) if isinstance(one, Mapping) else str(one) for one in found)


def _fields(schema: Mapping[str, Any], where: str) -> list[Field]:
    found = schema.get("fields")
    if not isinstance(found, list) or not all(isinstance(one, Mapping) and one.get("name") for one in found):
        raise ConfigError(
            f"The {where} has a schema without 'fields', or a field without a 'name'.",
            "Correct it in the descriptor.",
        )
    default = missing_values(schema.get("missingValues"), _MISSING)
    made = [
        Field(
            str(one["name"]),
            str(one.get("flow:property", one["name"])),
            one,
            missing_values(one.get("missingValues"), default),
        )
        for one in found
    ]
    names = [one.name for one in made]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"The {where} has the field {twice[0]!r} twice.",
            "Each field needs a name of its own: correct the descriptor, or name the file alone.",
        )
    return made


def _message(
    descriptor: Mapping[str, Any],
    schema: Mapping[str, Any] | None,
    fields: Sequence[Field],
    where: str,
    is_flows: bool,
) -> dict[str, Any] | None:
    """The SCHEMA message of the stream; None where nothing tells."""
    stream = str(descriptor.get("flow:stream") or descriptor["name"])
    if is_flows:
        made = {
            "type": "SCHEMA",
            "stream": stream,
            "schema": dict(descriptor["flow:jsonSchema"]),
            "key_properties": list(descriptor.get("flow:keyProperties") or []),
        }
        if "flow:bookmarkProperties" in descriptor:
            made["bookmark_properties"] = list(descriptor["flow:bookmarkProperties"])
        _add_undeclared(made, fields)
        return made
    if schema is None:
        return None
    try:
        properties, keys = properties_from_table_schema(schema)
    except TransformError as exc:
        raise ConfigError(f"The {where}: {exc.message}", exc.hint) from exc
    unknown = [key for key in keys or () if key not in properties]
    if unknown:
        raise ConfigError(
            f"The {where} has the primary key {unknown[0]!r}, which is no field of it.",
            did_you_mean([repr(one) for one in near_names(unknown[0], properties)])
            or "Correct 'primaryKey'.",
        )
    named = {one.column: one.name for one in fields}
    json_schema: dict[str, Any] = {
        "type": "object",
        "properties": {named[one]: sub for one, sub in properties.items()},
    }
    if foreign := foreign_keys_in(schema):
        json_schema[FOREIGN_KEYS] = foreign_keys_as_json(foreign)
    return {
        "type": "SCHEMA",
        "stream": stream,
        "schema": json_schema,
        "key_properties": [named[one] for one in keys or ()],
    }


def _add_undeclared(message: dict[str, Any], fields: Sequence[Field]) -> None:
    """Declare the columns of keys that no SCHEMA had: as a source of their own they are columns like others."""
    schema = message["schema"]
    properties = dict(cast("Mapping[str, Any]", schema.get("properties") or {}))
    for one in fields:
        if one.name not in properties:
            properties[one.name] = dict(one.descriptor.get("flow:jsonSchema") or {})
    message["schema"] = {**schema, "properties": properties}
