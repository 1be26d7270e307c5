"""CSV files of streams that are in no package: how they are named, filled and published.

What the bundled `target-csv` needs. Rows are written as in the CSV files of a package.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from flow_singer.datapackage.buildfolders import PartialFolder, remove_leftovers
from flow_singer.datapackage.csvlayout import LINE_END, CsvLayout
from flow_singer.datapackage.names import earlier_file_stem, file_stem, folds_case, has_digest
from flow_singer.datapackage.rowkeys import key_column
from flow_singer.datapackage.streamtable import StreamTable
from flow_singer.datapackage.textfile import TextFile
from flow_singer.singer.schema import StreamSchema, read_property
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.textarrays import text_bytes


def file_of(stream: str, folder: Path, streams: Collection[str], notice: Callable[[str], None]) -> Path:
    """The file of a stream, which no other stream ever gets.

    Args:
        stream: its name.
        folder: where the files are.
        streams: the streams of this run that have a file.
        notice: told where version 0.1 may have written the stream to another file.
    """
    path = folder / f"{file_stem(stream, folds_case=folds_case(folder))}.csv"
    earlier = earlier_file_stem(stream)
    if earlier == path.stem or path.exists() or f"{earlier}.csv" not in os.listdir(folder):
        return path
    if earlier == stream and not has_digest(stream):  # no other stream had this name in version 0.1
        return folder / f"{stream}.csv"
    if earlier not in streams:
        notice(
            f"stream '{stream}' is written to {path.name}. Its earlier rows may be in {earlier}.csv, which "
            "streams of other names may share; it stays as it is."
        )
    return path


def check_keys(batch: Batch) -> None:
    """Refuse records that have no value for their key.

    Raises:
        MissingKeyError: a record lacks a key property, or it is null.
    """
    for name in batch.schema.key_properties:
        key_column(batch, name)


def remove_unfinished(folder: Path) -> None:
    """Remove the files that a run which was killed was still building with [`NewFiles`][]."""
    remove_leftovers(folder, "")


class CsvRows:
    r"""Header and rows as bytes; every line ends with `\r\n`.

    Args:
        null: the text that stands for null.
    """

    line_end = LINE_END.encode()

    def __init__(self, null: str) -> None:
        self._layout = CsvLayout(null)

    def header(self, names: Sequence[str]) -> bytes:
        """The first line of a file with these columns."""
        return self._layout.header(names)

    def rows(self, names: Sequence[str], batch: Batch) -> memoryview:
        """One line per record, with the cells of these columns; null where a record has no such property."""
        cells = [
            (batch.schema.properties.get(name) or read_property(name, {}), batch.columns.get(name))
            for name in names
        ]
        lines = self._layout.lines(names, cells, batch.count)
        return text_bytes(self._layout.visible(lines) if len(names) == 1 else lines)

    def nulls(self, count: int) -> bytes:
        """What follows the cells of a row, in place of its line end, where it gets `count` more cells of null."""
        return self._layout.padding([""] * count, first=False).encode()


class NewFiles:
    """New CSV files, one per stream, that are built in a hidden folder and then moved to their places.

    Where a run fails, the files that stand in these places stay as they are.

    Args:
        folder: where the hidden folder is made, with the first file; on the file system of the places.
        null: the text that stands for null.
        notice: called with what a person should hear, for example that rows were replaced by later ones.
    """

    def __init__(self, folder: Path, *, null: str, notice: Callable[[str], None]) -> None:
        self._folder = folder
        self._null = null
        self._notice = notice
        self._tables: dict[str, StreamTable] = {}
        self._building: PartialFolder | None = None

    @property
    def streams(self) -> Collection[str]:
        """The streams that have a file."""
        return self._tables.keys()

    def add(self, schema: StreamSchema, file_name: str) -> None:
        """Begin the file of a stream."""
        if self._building is None:
            self._building = PartialFolder(self._folder, "")
        file = TextFile(self._building.path / file_name, CsvLayout(self._null))
        self._tables[schema.stream] = StreamTable(schema, file, null_text=self._null, notice=self._notice)

    def extend(self, schema: StreamSchema) -> None:
        """Take a later SCHEMA of a stream: new columns come behind the others."""
        self._tables[schema.stream].extend(schema)

    def append(self, batch: Batch) -> None:
        """Write records.

        Raises:
            MissingKeyError: a record has no value for its key.
        """
        self._tables[batch.schema.stream].append(batch)

    def activate_version(self, stream: str, version: int) -> None:
        """Keep only rows of this version, or of none."""
        self._tables[stream].activate_version(version)

    def finish(self) -> None:
        """End all files: each then has all columns in every row, and of each key only the last row."""
        for table in self._tables.values():
            table.finish()

    def move(self, stream: str, place: Path) -> None:
        """Put a finished file in its place; the one that was there is replaced."""
        os.replace(self._tables[stream].file.path, place)

    def remove(self) -> None:
        """Remove the hidden folder with the files that are still in it."""
        if self._building is not None:
            self._building.remove()

    def close(self) -> None:
        """Let go of unfinished files."""
        for table in self._tables.values():
            with contextlib.suppress(OSError):
                table.close()
