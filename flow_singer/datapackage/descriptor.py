"""What stands in `datapackage.json`; pure.

Valid under the published 2.0 profile, and under frictionless 5, which in places ask for less than the prose:
no empty arrays, no `fieldsMatch`, no `constraints.jsonSchema`. What JSON Schema knows and Table Schema does
not is kept in `flow:` properties, so that a package gives back the SCHEMA it was made of.

Source: Data Package v2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

import flow_singer
from flow_singer.datapackage.formats import Format
from flow_singer.datapackage.formerpackage import (
    ABSENT_PROPERTY,
    PARTS_PROPERTY,
    RUN_PROPERTY,
    STATE_PROPERTY,
)
from flow_singer.datapackage.partitionby import PARTITION_PROPERTY
from flow_singer.datapackage.streamtable import StreamTable
from flow_singer.datapackage.tablecolumn import TableColumn
from flow_singer.dataplaces import is_url
from flow_singer.singer.fields import field_of
from flow_singer.singer.schema import StreamSchema

PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
STORED_TYPE = "flow:storedType"
"""The Parquet type of a field, or how its cells are stored in a workbook: what later rows have to fit, or widen."""


def package_descriptor(
    *,
    name: str,
    created: str,
    run: Mapping[str, str],
    resources: Sequence[Mapping[str, Any]],
    states: Mapping[str, bytes],
) -> dict[str, Any]:
    """The descriptor of a package.

    Args:
        name: its name, a slug.
        created: RFC 3339, UTC.
        run: what is known of the run: `id`, `tap`, `environment`.
        resources: at least one.
        states: the last STATE of each tap, as JSON text, by the name of its bookmark.
    """
    made: dict[str, Any] = {"$schema": PROFILE, "name": name, "created": created}
    if "tap" in run:
        made["sources"] = [_source(run["tap"])]
    made[RUN_PROPERTY] = _provenance(run)
    if states:
        made[STATE_PROPERTY] = {id_: msgspec.Raw(value) for id_, value in states.items()}
    made["resources"] = list(resources)
    return made


def grown_descriptor(
    former: Mapping[str, Any],
    run: Mapping[str, str],
    resources: Sequence[Mapping[str, Any]],
    states: Mapping[str, bytes],
) -> dict[str, Any]:
    """The descriptor of a package that has grown; what somebody has written into it beside stays.

    Args:
        former: the descriptor before.
        run: what is known of the run that it grew by.
        resources: all that it has now.
        states: the last STATE of each tap, as JSON text, by the name of its bookmark.
    """
    made = dict(former)
    if "tap" in run:
        sources = [one for one in former.get("sources") or [] if isinstance(one, Mapping)]
        if run["tap"] not in {one.get("title") for one in sources}:
            made["sources"] = [*sources, _source(run["tap"])]
    made[RUN_PROPERTY] = _provenance(run)
    made.pop(STATE_PROPERTY, None)
    made.pop("resources", None)
    if states:
        made[STATE_PROPERTY] = {id_: msgspec.Raw(value) for id_, value in states.items()}
    made["resources"] = list(resources)
    return made


def _source(tap: str) -> dict[str, str]:
    return {"title": tap, "path": tap} if is_url(tap) else {"title": tap}


def _provenance(run: Mapping[str, str]) -> dict[str, str]:
    return {**run, "flow": flow_singer.__version__}


def resource_descriptor(
    table: StreamTable,
    *,
    name: str,
    paths: Sequence[str],
    sizes: Sequence[int],
    form: Format,
    csv_null: str | None,
) -> dict[str, Any]:
    """The descriptor of one stream's files.

    Args:
        table: the finished stream.
        name: the resource's name, a slug.
        paths: the path of each of its files from the descriptor.
        sizes: of the same files, in bytes.
        form: their format.
        csv_null: what stands for null in CSV, None for an empty cell.
    """
    made: dict[str, Any] = {
        "name": name,
        "type": "table",
        "path": paths[0] if len(paths) == 1 else list(paths),
        "format": form.kind,
        "mediatype": form.mediatype,
    }
    if form.is_packed:
        made["compression"] = "gz"  # not in the standard; frictionless goes by it
    if form.is_text:
        made["encoding"] = "utf-8"
    if len(paths) == 1:
        made["bytes"] = sizes[0]
        made["hash"] = f"sha256:{table.parts[0].sha256}"
    if form.kind == "csv":
        made["dialect"] = {"delimiter": ",", "lineTerminator": "\r\n", "quoteChar": '"', "doubleQuote": True}
    if form.is_text:
        made["rows"] = table.rows  # not in the standard; frictionless checks it
    made["schema"] = _table_schema(table, form, csv_null)
    schema = table.schema
    made["flow:stream"] = schema.stream
    made["flow:records"] = table.rows
    made["flow:keyProperties"] = schema.key_properties
    if "bookmark_properties" in schema.message:
        made["flow:bookmarkProperties"] = schema.bookmark_properties
    made["flow:jsonSchema"] = _json_schema(table)
    if table.partitions is not None:
        made[PARTITION_PROPERTY] = str(table.partitions.by)
        made[PARTS_PROPERTY] = [
            {
                "path": path,
                "bytes": size,
                "hash": f"sha256:{part.sha256}",
                "rows": part.rows,
                **({} if part.partition is None else {"partition": part.partition}),
            }
            for path, size, part in zip(paths, sizes, table.parts, strict=True)
        ]
    return made


def _table_schema(table: StreamTable, form: Format, csv_null: str | None) -> dict[str, Any]:
    keys = set(table.key_columns)
    made: dict[str, Any] = {
        "fields": [_field(c, table.schema, c.name in keys, form, csv_null) for c in table.columns.values()]
    }
    if table.primary_key:
        made["primaryKey"] = table.primary_key
    if form.kind == "csv":
        made["missingValues"] = [csv_null or ""]
    else:
        made["missingValues"] = []  # else readers take an empty text for null
    return made


def _field(
    column: TableColumn, schema: StreamSchema, is_key: bool, form: Format, csv_null: str | None
) -> dict[str, Any]:
    one = column.source
    is_required = one.name in schema.required and not one.nullable
    # A column that came later is null in the rows before, whatever its SCHEMA requires.
    made = field_of(one, required=is_key or (is_required and not column.nulls))
    if made["type"] != column.field_type:
        made["type"] = column.field_type
        kept = {k: v for k, v in made.get("constraints", {}).items() if k == "required"}
        made.pop("constraints", None)
        if kept:
            made["constraints"] = kept
    if made["name"] != column.name:
        made["name"] = column.name
        made["flow:property"] = one.name
    if column.stored_type is not None:
        made[STORED_TYPE] = column.stored_type
    if not column.declared:
        made["flow:declared"] = False
    elif one.name not in schema.properties:
        made[ABSENT_PROPERTY] = True
    if form.kind == "csv" and csv_null is None and column.is_text and not column.nulls:
        made["missingValues"] = []  # every empty cell is an empty text
    return made


def _json_schema(table: StreamTable) -> dict[str, Any]:
    """The stream's JSON Schema as it came, with the properties that earlier SCHEMAs had beside."""
    schema = table.schema
    declared = {n: dict(c.source.json_schema) for n, c in table.columns.items() if c.declared}
    if declared == {name: dict(one.json_schema) for name, one in schema.properties.items()}:
        return dict(schema.json_schema)
    return {**schema.json_schema, "properties": declared}
