"""Files that grow: rows are appended, and a run that fails takes back what no STATE covers."""

from __future__ import annotations

import contextlib
import csv
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from flow_singer.datapackage.csvfile import CsvLayout
from flow_singer.datapackage.keys import key_column
from flow_singer.datapackage.names import file_stem
from flow_singer.datapackage.texts import line_bytes
from flow_singer.files import fsync_folder, write_atomic
from flow_singer.schema import StreamSchema, read_property
from flow_singer.tabular.batch import Batch
from flow_target_csv.writing import check_columns, writing


class AppendedFiles:
    """Appends to the files of earlier runs, one open file per stream.

    Args:
        folder: where the files are.
        null: what stands for null.
        notice: called with what a person should hear.
    """

    keeps_earlier_runs = True

    def __init__(self, folder: Path, *, null: str, notice: Callable[[str], None]) -> None:
        self._folder = folder
        self._layout = CsvLayout(null)
        self._notice = notice
        self._files: dict[str, _GrowingFile] = {}
        self._stems: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: open the stream's file, and give it the columns that it lacks.

        Raises:
            MessageError: it has no properties.
        """
        check_columns(schema)
        with writing(self._folder):
            file = self._files.get(schema.stream)
            if file is None:
                stem = file_stem(schema.stream, self._stems)
                self._stems.add(stem.lower())
                file = _GrowingFile(self._folder / f"{stem}.csv", list(schema.properties), self._layout)
                self._files[schema.stream] = file
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
        for name in batch.schema.key_properties:
            key_column(batch, name)
        for name in batch.undeclared:
            if (stream, name) not in self._told:
                self._told.add((stream, name))
                self._notice(
                    f"stream '{stream}': records have '{name}', which the SCHEMA does not declare; "
                    "it is left out."
                )
        cells = [
            (batch.schema.properties.get(name) or read_property(name, {}), batch.columns.get(name))
            for name in file.columns
        ]
        with writing(self._folder):
            lines = self._layout.lines(file.columns, cells, batch.count)
            file.write(line_bytes(self._layout.visible(lines) if len(file.columns) == 1 else lines))

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
                file.close()

    def abandon(self) -> None:
        """Take back the rows since the last checkpoint: no STATE covers them, so they will come again."""
        for file in self._files.values():
            with contextlib.suppress(OSError):
                file.roll_back()
                file.close()


class _GrowingFile:
    """A file whose committed length is kept beside, so that a torn end is cut off by the next run."""

    def __init__(self, path: Path, columns: list[str], layout: CsvLayout) -> None:
        self.path = path
        self._layout = layout
        self._length_path = path.with_name(f".{path.name}.committed")
        is_new = not path.exists() or not path.stat().st_size
        self._file = path.open("ab")
        self._committed = path.stat().st_size
        self._recover()
        self.columns = columns
        if is_new or not self._committed:
            self._file.write(layout.header(columns))
        else:
            with path.open(newline="", encoding="utf-8") as file:
                self.columns = next(csv.reader(file))
            self._end_last_line()
        self._first_row = len(layout.header(self.columns))
        self.commit()
        fsync_folder(path.parent)

    @property
    def has_rows(self) -> bool:
        """Whether anything follows the header."""
        return self._file.tell() > self._first_row

    def widen(self, columns: list[str]) -> None:
        """Add columns at the end; rows that are there get cells of null. The file is replaced whole."""
        self._file.close()
        padding = self._layout.padding(columns, first=False).encode()
        beside = self.path.with_name(f".{self.path.name}.wider")
        committed = 0
        with self.path.open("rb") as old, beside.open("wb") as new:
            position = 0
            for row in _rows(old):
                if position == 0:
                    new.write(self._layout.header([*self.columns, *columns]))
                else:
                    new.write(row.rstrip(b"\r\n") + padding)
                position += len(row)
                if position == self._committed:
                    committed = new.tell()
            new.flush()
            os.fsync(new.fileno())
        # Without a committed length nothing is cut off, should the process end between these two.
        self._length_path.unlink(missing_ok=True)
        os.replace(beside, self.path)
        self._committed = committed
        write_atomic(self._length_path, str(committed).encode())
        self.columns = [*self.columns, *columns]
        self._first_row = len(self._layout.header(self.columns))
        self._file = self.path.open("ab")
        fsync_folder(self.path.parent)

    def write(self, data: bytes | memoryview) -> None:
        """Append."""
        self._file.write(data)

    def commit(self) -> None:
        """Make what was appended durable."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._committed = self._file.tell()
        write_atomic(self._length_path, str(self._committed).encode())

    def roll_back(self) -> None:
        """Cut off what was not committed."""
        self._file.flush()
        self._file.truncate(self._committed)

    def close(self) -> None:
        """End the file."""
        self._file.close()
        self._length_path.unlink(missing_ok=True)

    def _recover(self) -> None:
        """Cut off what a run that was killed had not committed."""
        if not self._length_path.exists():
            return
        committed = int(self._length_path.read_bytes())
        if committed < self._committed:
            self._file.truncate(committed)
            self._committed = committed

    def _end_last_line(self) -> None:
        with self.path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                self._file.write(b"\r\n")


def _rows(file: BinaryIO) -> Iterator[bytes]:
    """The rows of a CSV file as bytes; a quoted cell may hold line ends."""
    row = b""
    for line in file:
        row += line
        if row.count(b'"') % 2 == 0:
            yield row
            row = b""
    if row:
        yield row
