"""Excel workbooks, for small streams: one sheet, whose rows are known to have room in it only at the end.

A column of dates, or of decimals that came as texts, has cells of Excel's types where every value is one; else all of
its cells are texts, as its field then says.
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from flow_singer.datapackage.fitting import fits
from flow_singer.datapackage.rowfile import Held, Split, rows_by_file
from flow_singer.datapackage.sheetcells import MOST_CHARACTERS, characters, sheet_values, text_cell
from flow_singer.datapackage.waitingcolumns import WaitingColumns
from flow_singer.errors import DataError
from flow_singer.files import sha256_file
from flow_singer.singer.schema import Kind, Property
from flow_singer.tabular.batch import Column
from flow_singer.wording import count_of

MOST_ROWS = 1_048_575
"""Below the names of the columns."""
MOST_COLUMNS = 16_384
MOST_BYTES = (1 << 31) - (1 << 20)
"""Of a sheet before it is packed: past 2 GiB a zip file needs an extension that not every reader knows."""
OPEN_FILES = 64
"""How many of the workbooks that rows are spread over are written at once; more take further passes."""

_TYPED: dict[Kind, str] = {"date": "date", "decimal-text": "number"}
"""The Table Schema type that all values of a column must be of for its cells to have a type of Excel's."""
_AS_TEXT = "text"


class XlsxFile:
    """Rows of one stream in a workbook.

    Args:
        path: the file to write.
        stored: how columns are stored in other files of the stream: one of texts stays one of texts.
        stream: its name.
    """

    decides = frozenset({"date", "number"})

    def __init__(self, path: Path, stored: Mapping[str, str] | None = None, *, stream: str) -> None:
        self.path = path
        self._stream = stream
        self._stored = stored or {}
        self._waiting = WaitingColumns(path)
        self._texts: set[int] = set()
        """Columns that would have a type of Excel's but for some value."""
        self._exact_texts: dict[int, int] = {}
        self._digests: list[str] = []

    def append(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]], count: int
    ) -> None:
        """Take `count` rows; `names` may only grow from call to call, at the end."""
        for i, (one, column) in enumerate(cells):
            kind = _TYPED.get(one.kind)
            if column is not None and kind is not None and not fits(one, kind, column):
                self._texts.add(i)
        self._waiting.append(cells, count)

    def finish(
        self,
        names: Sequence[str],
        properties: Sequence[Property],
        keep: npt.NDArray[np.bool_] | None,
        split: Split | None = None,
    ) -> dict[str, Held]:
        """Write the workbook, or several.

        Args:
            names: the names of all columns.
            properties: of the same columns.
            keep: which rows stay; None keeps all.
            split: the files that it is spread over; it is itself not written then.

        Returns:
            How the columns are stored whose values decide on that, by their names.

        Raises:
            DataError: a sheet has no room for them.
        """
        paths = [self.path] if split is None else split.paths
        numbers = np.zeros(self._waiting.rows, np.int32) if split is None else split.numbers
        rows = np.bincount(numbers if keep is None else numbers[keep], minlength=len(paths))
        self._check_room(names, int(rows.max()))
        typed = [
            one.kind in _TYPED and i not in self._texts and self._stored.get(name) != _AS_TEXT
            for i, (name, one) in enumerate(zip(names, properties, strict=True))
        ]
        for first in range(0, len(paths), OPEN_FILES):
            some = paths[first : first + OPEN_FILES]
            with contextlib.ExitStack() as stack:
                books = [
                    stack.enter_context(contextlib.closing(_Book(path, names, int(count))))
                    for path, count in zip(some, rows[first:], strict=False)
                ]
                self._write(books, numbers - first, names, properties, typed, keep)
                if max([book.save() for book in books]) > MOST_BYTES:
                    raise self._no_room(
                        f"more than {MOST_BYTES >> 20:,} MiB in one sheet, which not every reader can unpack"
                    )
        self._waiting.remove()
        self._digests = [sha256_file(path) for path in paths]
        return {
            name: _held(one, typed[i], self._exact_texts.get(i, 0))
            for i, (name, one) in enumerate(zip(names, properties, strict=True))
        }

    @property
    def digests(self) -> list[str]:
        """Hex SHA-256 of each file."""
        return self._digests

    def close(self) -> None:
        """Let go of the files where they are."""
        self._waiting.close()

    def _write(
        self,
        books: Sequence[_Book],
        numbers: npt.NDArray[np.int32],
        names: Sequence[str],
        properties: Sequence[Property],
        typed: Sequence[bool],
        keep: npt.NDArray[np.bool_] | None,
    ) -> None:
        row = 0
        for columns, count in self._waiting.read(len(properties)):
            kept = None if keep is None else keep[row : row + count]
            for number, rows in rows_by_file(numbers[row : row + count], len(books), kept):
                values = [[None] * len(rows)] * len(names)
                for i, column in enumerate(columns):
                    if column is not None:
                        taken = Column(column.values.take(rows), column.as_json)
                        values[i] = self._values(i, names[i], properties[i], taken, typed[i])
                books[number].append(values)
            row += count

    def _values(self, i: int, name: str, one: Property, column: Column, typed: bool) -> list[Any]:
        values, exact_texts = sheet_values(one, column, typed=typed)
        self._exact_texts[i] = self._exact_texts.get(i, 0) + exact_texts
        longest = max((characters(value) for value in values if isinstance(value, str)), default=0)
        if longest > MOST_CHARACTERS:
            raise self._no_room(
                f"a text of {longest:,} characters in column '{name}', and a cell of Excel holds {MOST_CHARACTERS:,}"
            )
        return values

    def _check_room(self, names: Sequence[str], rows: int) -> None:
        if len(names) > MOST_COLUMNS:
            raise self._no_room(
                f"{count_of(len(names), 'column')}, and a sheet of Excel holds {MOST_COLUMNS:,}"
            )
        if rows > MOST_ROWS:
            raise DataError(
                f"Stream '{self._stream}' has {rows:,} rows, and a sheet of Excel holds {MOST_ROWS:,} below the names "
                "of the columns.",
                "Nothing was published. Write it in another format (--format parquet), or spread the rows over "
                "several workbooks (--partition-by).",
            )

    def _no_room(self, what: str) -> DataError:
        return DataError(
            f"Stream '{self._stream}' has {what}.",
            "Nothing was published. Write it in another format (--format parquet), or leave out what is too large "
            "(--select).",
        )


class _Book:
    """A new workbook of one sheet, whose rows wait in a temporary file of openpyxl's."""

    def __init__(self, path: Path, names: Sequence[str], rows: int) -> None:
        from openpyxl import Workbook
        from openpyxl.utils import get_column_letter

        self._path = path
        self._book = Workbook(write_only=True)
        self._sheet = self._book.create_sheet("data")
        self._sheet.freeze_panes = "A2"
        size = f"A1:{get_column_letter(len(names))}{rows + 1}"
        self._sheet.calculate_dimension = lambda: size  # without it, readers cut rows behind their last cell
        self.append([[name] for name in names])

    def append(self, columns: Sequence[Sequence[Any]]) -> None:
        """Write rows: n values of each column."""
        for row in zip(*columns, strict=True):
            self._sheet.append(
                [text_cell(self._sheet, value) if isinstance(value, str) else value for value in row]
            )

    def save(self) -> int:
        """Make the file; how many bytes the sheet has before it is packed."""
        self._book.save(self._path)
        with self._path.open("rb") as file:
            os.fsync(file.fileno())
            with zipfile.ZipFile(file) as archive:
                return max(one.file_size for one in archive.infolist())

    def close(self) -> None:
        """Let go of the temporary file, which openpyxl removes when the process ends, if not before."""
        if not self._sheet.closed:
            self._sheet.close()


def _held(one: Property, typed: bool, exact_texts: int) -> Held:
    note = None
    if exact_texts:
        note = (
            f"{count_of(exact_texts, 'number')} would change in a workbook, and "
            f"{'is a text in its cell' if exact_texts == 1 else 'are texts in their cells'}."
        )
    kind = _TYPED.get(one.kind)
    if kind is None:
        return Held(None, None, note=note)
    return Held(None if typed else "string", kind if typed else _AS_TEXT, note=note)
