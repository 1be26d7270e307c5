"""Files that replace those of an earlier run, all of them at the end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flow_singer.datapackage.plaincsv import NewFiles, file_of, remove_unfinished
from flow_singer.errors import ConfigError, MessageError
from flow_singer.files import fsync_folder
from flow_singer.locks import Lock
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_target_csv.commitmark import MarkFile
from flow_target_csv.writing import check_columns, writing


class ReplacedFiles:
    """Writes beside, and renames when the stream has come to its end.

    Args:
        folder: where the files go.
        null: what stands for null.
        lock_wait_s: how long to wait for a run that owns a file, in seconds.
        notice: called with what a person should hear.
    """

    keeps_earlier_runs = False
    commits_parts = False

    def __init__(
        self, folder: Path, *, null: str, lock_wait_s: float = 0.0, notice: Callable[[str], None]
    ) -> None:
        self._folder = folder
        self._notice = notice
        self._files = NewFiles(folder, null=null, notice=notice)
        self._lock_wait_s = lock_wait_s
        self._locks: dict[str, Lock] = {}
        """Of the file that each stream replaces: owned from its SCHEMA on, so that a run that comes too late
        is told at its beginning."""
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
            if schema.stream in self._files.streams:
                self._files.extend(schema)
            else:
                self._files.add(schema, self._own(schema.stream).name)

    def batch(self, batch: Batch) -> None:
        """Write records."""
        with writing(self._folder):
            self._files.append(batch)

    def activate_version(self, stream: str, version: int) -> None:
        """Keep only rows of this version, or of none.

        Raises:
            MessageError: the stream is not known.
        """
        if stream not in self._files.streams:
            raise MessageError(f"ACTIVATE_VERSION of stream '{stream}' came before its SCHEMA.")
        self._files.activate_version(stream, version)

    def checkpoint(self) -> bool:
        """Nothing is safe before the end."""
        return False

    def publish(self) -> None:
        """Put all files in their places."""
        with writing(self._folder):
            self._files.finish()
            for stream in self._files.streams:
                final = self._locks[stream].path
                _check_place(final)
                self._files.move(stream, final)
                # What a killed run of another mode had left says nothing of the new file.
                MarkFile(final).remove()
            fsync_folder(self._folder)
        self._end()
        remove_unfinished(self._folder)

    def abandon(self) -> None:
        """Leave the files of the earlier run as they are."""
        self._files.close()
        self._end()

    def _own(self, stream: str) -> Path:
        path = file_of(stream, self._folder, self._files.streams, self._notice)
        lock = Lock(path)
        lock.acquire(wait_s=self._lock_wait_s, notice=self._notice)
        self._locks[stream] = lock
        _check_place(path)
        return path

    def _end(self) -> None:
        self._files.remove()
        for lock in self._locks.values():
            lock.release()


def _check_place(path: Path) -> None:
    """Refuse to replace what is no file of rows."""
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise ConfigError(
            f"{path} is a link or no file at all, which is not replaced.",
            "Move it away, or name another folder.",
        )
