"""Files that replace those of an earlier run, all of them at the end."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from flow_singer.datapackage.buildfolders import PartialFolder, remove_leftovers
from flow_singer.datapackage.csvlayout import CsvLayout
from flow_singer.datapackage.streamtable import StreamTable
from flow_singer.datapackage.textfile import TextFile
from flow_singer.errors import ConfigError, MessageError
from flow_singer.files import fsync_folder
from flow_singer.locks import Lock
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_target_csv.writing import check_columns, file_of, writing


class ReplacedFiles:
    """Writes beside, and renames when the stream has come to its end.

    Args:
        folder: where the files go.
        null: what stands for null.
        lock_wait_s: how long to wait for a run that owns a file, in seconds.
        notice: called with what a person should hear.
    """

    keeps_earlier_runs = False

    def __init__(
        self, folder: Path, *, null: str, lock_wait_s: float = 0.0, notice: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._null = null
        self._notice = notice
        self._tables: dict[str, StreamTable] = {}
        self._lock_wait_s = lock_wait_s
        self._locks: dict[str, Lock] = {}
        """Of the file that each stream replaces: owned from its SCHEMA on, so that a run that comes too late
        is told at its beginning."""
        self._partial: PartialFolder | None = None
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: a new file, or new columns of one.

        Raises:
            MessageError: it has no properties, so that there is nothing to write.
            BusyError: another run writes the file.
            ConfigError: a link or a folder stands in its place.
        """
        check_columns(schema)
        with writing(self._folder):
            table = self._tables.get(schema.stream)
            if table is not None:
                table.extend(schema)
                return
            path = self._own(schema.stream)
            if self._partial is None:
                self._partial = PartialFolder(self._folder, "")
            file = TextFile(self._partial.path / path.name, CsvLayout(self._null))
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
            for stream, table in self._tables.items():
                final = self._locks[stream].path
                _check_place(final)
                os.replace(table.file.path, final)
                # What a killed run of another mode had left says nothing of the new file.
                final.with_name(f".{final.name}.committed").unlink(missing_ok=True)
            fsync_folder(self._folder)
        self._end()
        remove_leftovers(self._folder, "")

    def abandon(self) -> None:
        """Leave the files of the earlier run as they are."""
        for table in self._tables.values():
            with contextlib.suppress(OSError):
                table.close()
        self._end()

    def _own(self, stream: str) -> Path:
        path = file_of(stream, self._folder, self._tables, self._notice)
        lock = Lock(path)
        lock.acquire(wait_s=self._lock_wait_s, notice=self._notice)
        self._locks[stream] = lock
        _check_place(path)
        return path

    def _end(self) -> None:
        if self._partial is not None:
            self._partial.remove()
        for lock in self._locks.values():
            lock.release()


def _check_place(path: Path) -> None:
    """Refuse to replace what is no file of rows."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigError(
            f"{path} is a link or no file at all, which is not replaced.",
            "Move it away, or name another folder.",
        )
