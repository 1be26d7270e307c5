"""Files that grow: rows are appended, and a run that fails takes back what no STATE covers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flow_singer.datapackage.plaincsv import CsvRows, check_keys, file_of, remove_unfinished
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_target_csv.growing import GrowingFile
from flow_target_csv.writing import check_columns, writing


class AppendedFiles:
    """Appends to the files of earlier runs, one open file per stream.

    Args:
        folder: where the files are.
        null: what stands for null.
        lock_wait_s: how long to wait for a run that owns a file, in seconds.
        notice: called with what a person should hear.
    """

    keeps_earlier_runs = True
    commits_parts = True

    def __init__(
        self, folder: Path, *, null: str, lock_wait_s: float = 0.0, notice: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._rows = CsvRows(null)
        self._notice = notice
        self._lock_wait_s = lock_wait_s
        self._files: dict[str, GrowingFile] = {}
        self._told: set[tuple[str, str]] = set()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: open the stream's file, and give it the columns that it lacks.

        Raises:
            MessageError: it has no properties.
            BusyError: another run appends to the file.
            TargetError: the file cannot be appended to.
        """
        check_columns(schema)
        with writing(self._folder):
            file = self._files.get(schema.stream)
            if file is None:
                file = self._files[schema.stream] = GrowingFile(
                    file_of(schema.stream, self._folder, self._files, self._notice),
                    list(schema.properties),
                    self._rows,
                    lock_wait_s=self._lock_wait_s,
                    notice=self._notice,
                )
            missing = [name for name in schema.properties if name not in file.columns]
            if missing:
                if file.has_rows:
                    self._notice(
                        f"stream '{schema.stream}': new columns {', '.join(missing)}; they are empty in the rows "
                        f"that {file.path.name} already had."
                    )
                file.widen(missing)

    def batch(self, batch: Batch) -> None:
        """Append records.

        Raises:
            MissingKeyError: a record has no value for its key.
        """
        stream = batch.schema.stream
        file = self._files[stream]
        check_keys(batch)
        for name in batch.undeclared:
            if (stream, name) not in self._told:
                self._told.add((stream, name))
                self._notice(
                    f"stream '{stream}': records have '{name}', which the SCHEMA does not declare; "
                    "it is left out."
                )
        with writing(self._folder):
            file.write(self._rows.rows(file.columns, batch))

    def activate_version(self, stream: str, version: int) -> None:
        """Rows of older versions stay: nothing in the file tells them apart."""
        if (stream, "") not in self._told:
            self._told.add((stream, ""))
            self._notice(
                f"stream '{stream}': a new version does not remove rows from a file that is appended to."
            )

    def checkpoint(self) -> bool:
        """Make all rows durable."""
        with writing(self._folder):
            for file in self._files.values():
                file.commit()
        return True

    def publish(self) -> None:
        """End all files."""
        with writing(self._folder):
            for file in self._files.values():
                file.commit()
            for file in self._files.values():
                file.close()
            remove_unfinished(self._folder)

    def abandon(self) -> None:
        """Take back the rows since the last checkpoint: no STATE covers them, so they will come again."""
        for file in self._files.values():
            try:
                file.roll_back()
                file.close()
            except OSError as exc:
                self._notice(
                    f"{file.path} could not be cut back ({exc.strerror or exc}); the next run does it."
                )
                file.let_go()
