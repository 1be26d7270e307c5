"""The target: a Data Package that appears, or grows, as a whole, or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flow_singer.checks.contractchoice import CONTRACTS
from flow_singer.datapackage.sdktarget import BatchTarget

if TYPE_CHECKING:
    from flow_singer.datapackage.sdktarget import FileSink


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
            "contract": {
                "anyOf": [
                    {"type": "string", "enum": [*CONTRACTS]},
                    {"type": "object", "additionalProperties": {"type": "string", "enum": [*CONTRACTS]}},
                ],
                "default": "evolve",
                "title": "Contract",
                "description": "What becomes of a SCHEMA that is other than that of an earlier package; of all streams, or "
                "by their names.",
            },
            "descriptor": {
                "type": ["string", "null"],
                "minLength": 1,
                "title": "Descriptor",
                "description": "A datapackage.json or Table Schema of your own, laid over the one of the package.",
            },
            "check": {
                "type": "boolean",
                "default": False,
                "title": "Check",
                "description": "Publish a CSV or JSON Lines package only if frictionless finds it valid.",
            },
            "csv_null": {
                "type": ["string", "null"],
                "title": "Null in CSV",
                "description": "Text that stands for null, such as \\N; without it null is an empty cell.",
            },
        },
    }

    def open_sink(self) -> FileSink:
        """Open the package.

        Raises:
            ConfigError: something else than a package that Flow wrote stands at `path`, or one of another format.
            TargetError: nothing can be written there.
        """
        from flow_target_datapackage.contracted import ContractedPackage

        return ContractedPackage(
            Path(self.config["path"]),
            format=self.config.get("format", "csv"),
            csv_null=self.config.get("csv_null"),
            mode=self.config.get("write_mode", "replace"),
            partition_by=self.config.get("partition_by"),
            contract=self.config.get("contract"),
            descriptor=self.config.get("descriptor"),
            check=self.config.get("check", False),
            notice=self.logger.warning,
            reject=self.set_aside,
        )
