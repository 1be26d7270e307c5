"""The formats of a package's files, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from flow_singer.datapackage.rowfile import RowFile


@dataclass(frozen=True)
class Format:
    """What a descriptor says of a file's format.

    Attributes:
        name: what a person calls it, which is also how its files' names end.
        kind: of the rows in it, whether they are packed or not.
        mediatype: of the same.
        is_packed: whether the file is packed by gzip.
        is_text: whether rows are lines of text.
    """

    name: str
    kind: Literal["csv", "jsonl", "parquet", "xlsx"]
    mediatype: str
    is_packed: bool = False
    is_text: bool = True

    @property
    def extension(self) -> str:
        """How the names of its files end, without the dot."""
        return self.name

    def stem(self, path: Path) -> str:
        """The name of one of its files without its ending."""
        return path.name.removesuffix(f".{self.extension}")


_CSV, _JSONL = "text/csv", "application/jsonl"
FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        Format("csv", "csv", _CSV),
        Format("csv.gz", "csv", _CSV, is_packed=True),
        Format("jsonl", "jsonl", _JSONL),
        Format("jsonl.gz", "jsonl", _JSONL, is_packed=True),
        Format("parquet", "parquet", "application/vnd.apache.parquet", is_text=False),
        Format(
            "xlsx", "xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", is_text=False
        ),
    )
}


def format_said(resource: Mapping[str, Any]) -> str:
    """The name of the format that a resource says its files have."""
    return f"{resource['format']}.gz" if resource.get("compression") == "gz" else str(resource["format"])


def open_file(
    form: Format,
    path: Path,
    stream: str,
    *,
    csv_null: str | None = None,
    stored: Mapping[str, str] | None = None,
) -> RowFile:
    """Make a new file of rows.

    Args:
        form: its format.
        path: the file.
        stream: whose rows they are.
        csv_null: the text of null in CSV; None for an empty cell.
        stored: types that columns have in other files of the stream, where the format has types: here they are no
            narrower.
    """
    if form.kind == "parquet":
        from flow_singer.datapackage.parquetfile import ParquetFile

        return ParquetFile(path, stored)
    if form.kind == "xlsx":
        from flow_singer.datapackage.xlsxfile import XlsxFile

        return XlsxFile(path, stored, stream=stream)
    from flow_singer.datapackage.textfile import Layout, TextFile

    layout: Layout
    if form.kind == "csv":
        from flow_singer.datapackage.csvlayout import CsvLayout

        layout = CsvLayout(csv_null or "")
    else:
        from flow_singer.datapackage.jsonlayout import JsonLayout

        layout = JsonLayout()
    return TextFile(path, layout, packed=form.is_packed)
