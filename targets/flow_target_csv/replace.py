"""Files that replace those of an earlier run, all of them at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from flow_singer.datapackage.csvfile import CsvLayout
from flow_singer.datapackage.names import file_stem
from flow_singer.datapackage.partials import partial_name, remove_leftovers
from flow_singer.datapackage.table import StreamTable
from flow_singer.datapackage.textfile import TextFile
from flow_singer.errors import MessageError
from flow_singer.files import fsync_folder
from flow_singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_target_csv.writing import check_columns, writing


class ReplacedFiles:
    """Writes beside, and renames when the stream has come to its end.

    Args:
        folder: where the files go.
        null: what stands for null.
        notice: called with what a person should hear.
    """

    keeps_earlier_runs = False

    def __init__(self, folder: Path, *, null: str, notice: Callable[[str], None]) -> None:
        self._folder = folder
        self._null = null
        self._notice = notice
        self._tables: dict[str, StreamTable] = {}
        self._stems: set[str] = set()
        self._partial = folder / partial_name("")
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            if self._partial.exists():  # of an earlier process with our number
                shutil.rmtree(self._partial)

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: a new file, or new columns of one.

        Raises:
            MessageError: it has no properties, so that there is nothing to write.
        """
        check_columns(schema)
        with writing(self._folder):
            table = self._tables.get(schema.stream)
            if table is not None:
                table.extend(schema)
                return
            self._partial.mkdir(exist_ok=True)
            stem = file_stem(schema.stream, self._stems)
            self._stems.add(stem.lower())
            file = TextFile(self._partial / f"{stem}.csv", CsvLayout(self._null))
            self._tables[schema.stream] = StreamTable(schema, file, null_text=self._null, notice=self._notice)

    def batch(self, batch: Batch) -> None:
        """Write records."""
        with writing(self._folder):
            self._tables[batch.schema.stream].append(batch)

    def activate_version(self, stream: str, version: int) -> None:
        """Keep only rows of this version, or of none.

        Raises:
            MessageError: the stream is not known.
        """
        if stream not in self._tables:
            raise MessageError(f"ACTIVATE_VERSION of stream '{stream}' came before its SCHEMA.")
        self._tables[stream].activate_version(version)

    def checkpoint(self) -> bool:
        """Nothing is safe before the end."""
        return False

    def publish(self) -> None:
        """Put all files in their places."""
        with writing(self._folder):
            for table in self._tables.values():
                table.finish()
            for table in self._tables.values():
                os.replace(table.file.path, self._folder / table.file.path.name)
            fsync_folder(self._folder)
            remove_leftovers(self._folder, "")

    def abandon(self) -> None:
        """Leave the files of the earlier run as they are."""
        for table in self._tables.values():
            with contextlib.suppress(OSError):
                table.close()
        shutil.rmtree(self._partial, ignore_errors=True)
