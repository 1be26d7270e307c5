"""The target: one CSV file per stream."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from flow_singer.datapackage.sdktarget import BatchTarget

if TYPE_CHECKING:
    from flow_target_csv.append import AppendedFiles
    from flow_target_csv.replace import ReplacedFiles


class TargetCSV(BatchTarget):
    """Writes each stream to a CSV file of its own."""

    name = "target-csv"
    package_name = "flow-singer"
    config_jsonschema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "output_path": {
                "type": "string",
                "minLength": 1,
                "default": "output",
                "title": "Output folder",
                "description": "Folder of the files; made where it is missing.",
            },
            "overwrite_behavior": {
                "type": "string",
                "enum": ["append", "replace"],
                "default": "append",
                "title": "Overwrite behaviour",
                "description": "Whether a stream is appended to its file, or replaces it at the end of the run.",
            },
            "null_value": {
                "type": ["string", "null"],
                "title": "Null",
                "description": "Text that stands for null, such as \\N; without it null is an empty cell.",
            },
            "lock_wait_s": {
                "type": "number",
                "minimum": 0,
                "default": 10,
                "title": "Lock wait",
                "description": "How long to wait for another run that writes the same file, in seconds.",
            },
        },
    }

    def open_sink(self) -> AppendedFiles | ReplacedFiles:
        """Open the output folder.

        Raises:
            TargetError: nothing can be written there.
        """
        wait_s = float(self.config.get("lock_wait_s", 10))
        folder = Path(self.config.get("output_path", "output"))
        null = self.config.get("null_value") or ""
        if self.config.get("overwrite_behavior") == "replace":
            from flow_target_csv.replace import ReplacedFiles

            return ReplacedFiles(folder, null=null, lock_wait_s=wait_s, notice=self.logger.warning)
        from flow_target_csv.append import AppendedFiles

        return AppendedFiles(folder, null=null, lock_wait_s=wait_s, notice=self.logger.warning)
