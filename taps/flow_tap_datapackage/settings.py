"""The settings of the tap: those of the reader, as the Singer SDK wants them declared."""

from __future__ import annotations

from singer_sdk import typing as th

from flow_singer.reading.readsettings import TYPES

CONFIG = th.PropertiesList(
    th.Property(
        "path",
        th.StringType,
        required=True,
        title="Path",
        description="A Data Package (folder, datapackage.json, .zip), a file, a folder of files, a glob such as "
        "logs/*.jsonl.gz, an http(s) address, or one in a store, such as s3://bucket/logs/*.jsonl.gz.",
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
        "new_files",
        th.StringType,
        allowed_values=["time", "size", "hash"],
        title="New files",
        description="Read only files that no run has read, and those that have changed since: by size and time of "
        "change, by size alone, or by content. [default: all files, each time]",
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
    th.Property(
        "storage_options",
        th.ObjectType(additional_properties=True),
        secret=True,
        title="Storage options",
        description="Of a store, as its file system in fsspec has them, such as endpoint_url, anon, key, secret.",
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
