"""The formats of a package's files, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from flow_singer.datapackage.rowfile import RowFile


@dataclass(frozen=True)
class Format:
    """What a descriptor says of a file's format."""

    name: str
    extension: str
    mediatype: str


FORMATS: dict[str, Format] = {
    "csv": Format("csv", "csv", "text/csv"),
    "jsonl": Format("jsonl", "jsonl", "application/jsonl"),
    "parquet": Format("parquet", "parquet", "application/vnd.apache.parquet"),
}


def open_file(
    format_name: str,
    path: Path,
    *,
    csv_null: str | None = None,
    stored: Mapping[str, str] | None = None,
) -> RowFile:
    """Make a new file of rows.

    Args:
        format_name: one of `FORMATS`.
        path: the file.
        csv_null: the text of null in CSV; None for an empty cell.
        stored: types that columns have in other files of the stream, where the format has types: here they are no
            narrower.
    """
    if format_name == "parquet":
        from flow_singer.datapackage.parquetfile import ParquetFile

        return ParquetFile(path, stored)
    from flow_singer.datapackage.textfile import Layout, TextFile

    layout: Layout
    if format_name == "csv":
        from flow_singer.datapackage.csvlayout import CsvLayout

        layout = CsvLayout(csv_null or "")
    else:
        from flow_singer.datapackage.jsonlayout import JsonLayout

        layout = JsonLayout()
    return TextFile(path, layout)
