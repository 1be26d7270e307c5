"""The target: a Data Package that appears, or grows, as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flow_singer.datapackage.sdktarget import BatchTarget

if TYPE_CHECKING:
    from flow_singer.datapackage.writer import PackageWriter


class TargetDataPackage(BatchTarget):
    """Writes the streams of a run as a Data Package (CSV, JSON Lines, Parquet or Excel)."""

    name = "target-datapackage"
    package_name = "flow-singer"
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["path"],
        "properties": {
            "path": {
                "type": "string",
                "minLength": 1,
                "title": "Path",
                "description": "Folder of the package, or a .zip file.",
            },
            "format": {
                "type": "string",
                "enum": ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet", "xlsx"],
                "default": "csv",
                "title": "Format",
                "description": "Format of the package's files.",
            },
            "write_mode": {
                "type": "string",
                "enum": ["replace", "append", "upsert"],
                "default": "replace",
                "title": "Write mode",
                "description": "Whether an earlier package is replaced, or grows; upsert replaces rows by their key.",
            },
            "partition_by": {
                "type": ["string", "null"],
                "minLength": 1,
                "title": "Partition by",
                "description": "Spreads the rows of a stream over files: COLUMN, COLUMN:year (month, day, hour), or run.",
            },
            "csv_null": {
                "type": ["string", "null"],
                "title": "Null in CSV",
                "description": "Text that stands for null, such as \\N; without it null is an empty cell.",
            },
        },
    }

    def open_sink(self) -> PackageWriter:
        """Open the package.

        Raises:
            ConfigError: something else than a package that Flow wrote stands at `path`, or one of another format.
            TargetError: nothing can be written there.
        """
        from flow_singer.datapackage.writer import PackageWriter

        return PackageWriter(
            Path(self.config["path"]),
            format=self.config.get("format", "csv"),
            csv_null=self.config.get("csv_null"),
            mode=self.config.get("write_mode", "replace"),
            partition_by=self.config.get("partition_by"),
            notice=self.logger.warning,
        )
