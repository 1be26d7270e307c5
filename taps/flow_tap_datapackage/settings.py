"""The settings of the tap, and what they mean to the reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from singer_sdk import typing as th

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.reading.readsettings import ReadSettings

TYPES = (
    "string", "integer", "number", "boolean", "date", "datetime", "time", "duration", "year", "object", "array", "any",
)  # fmt: skip

CONFIG = th.PropertiesList(
    th.Property(
        "path",
        th.StringType,
        required=True,
        title="Path",
        description="A Data Package (folder, datapackage.json, .zip), a file, a folder of files, a glob such as "
        "logs/*.jsonl.gz, or an http(s) address.",
    ),
    th.Property(
        "stream",
        th.StringType,
        title="Stream",
        description="Name of the stream of a bare file; else the file's.",
    ),
    th.Property(
        "key",
        th.ArrayType(th.StringType),
        title="Key",
        description="Columns that identify a row, where the data do not say.",
    ),
    th.Property(
        "replication_key",
        th.StringType,
        title="Replication key",
        description="Column by which later runs read only what is new.",
    ),
    th.Property(
        "types",
        th.ObjectType(additional_properties=th.StringType),
        title="Types",
        description=f"Types of columns, by name, where what is inferred is not right: {', '.join(TYPES)}.",
    ),
    th.Property(
        "null_values",
        th.ArrayType(th.StringType),
        title="Null values",
        description="Texts that stand for null in CSV and Excel. [default: an empty cell, and what clearly does]",
    ),
    th.Property(
        "encoding",
        th.StringType,
        title="Encoding",
        description="Of text files, such as cp1252. [default: found out]",
    ),
    th.Property(
        "delimiter", th.StringType, title="Delimiter", description="Of CSV, such as ';'. [default: found out]"
    ),
    th.Property(
        "header_row",
        th.IntegerType(minimum=0),
        title="Header row",
        description="Which row of CSV or Excel names the columns, from 1; 0: none does. [default: found out]",
    ),
    th.Property(
        "date_format",
        th.StringType,
        title="Date format",
        description="Of dates in CSV, such as %d/%m/%Y, where both day and month could come first.",
    ),
    th.Property("sheet", th.StringType, title="Sheet", description="Of an Excel file. [default: all]"),
    th.Property(
        "format",
        th.StringType,
        allowed_values=["csv", "jsonl", "json", "parquet", "xlsx"],
        title="Format",
        description="Of files whose names do not tell.",
    ),
    th.Property(
        "sample_rows",
        th.IntegerType(minimum=1),
        title="Sample rows",
        description="How many rows of a file types are inferred from. [default: all]",
    ),
    th.Property(
        "on_error",
        th.StringType,
        allowed_values=["error", "skip", "null"],
        default="error",
        title="On error",
        description="What becomes of a cell that is not of its type, or of a row of another length: the run stops, "
        "the row is left out, or the cell is null.",
    ),
    th.Property(
        "trust",
        th.BooleanType,
        default=False,
        title="Trust",
        description="Go on where a descriptor does not fit its data: size, hash, rows, columns.",
    ),
    additional_properties=False,
).to_dict()


def read_settings(config: Mapping[str, Any]) -> ReadSettings:
    """The settings of the reader.

    Raises:
        ConfigError: a type is unknown.
    """
    types = dict(config.get("types") or {})
    for column, kind in types.items():
        if kind not in TYPES:
            near = did_you_mean([repr(one) for one in near_names(kind, TYPES)])
            raise ConfigError(
                f"The setting 'types' gives the column {column!r} the type {kind!r}, which there is not.",
                near or f"There are: {', '.join(TYPES)}.",
            )
    nulls = config.get("null_values")
    return ReadSettings(
        encoding=config.get("encoding"),
        delimiter=config.get("delimiter"),
        header_row=config.get("header_row"),
        types=types,
        null_values=None if nulls is None else tuple(nulls),
        date_format=config.get("date_format"),
        sheet=config.get("sheet"),
        sample_rows=config.get("sample_rows"),
        on_error=config.get("on_error") or "error",
        key=tuple(config.get("key") or ()),
        stream=config.get("stream"),
        trust=bool(config.get("trust")),
        replication_key=config.get("replication_key"),
        format=config.get("format"),
    )
