"""A file of lines that is written as rows come, and corrected at the end where columns or rows changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.datapackage.hashedfile import new_file, opened_file
from flow_singer.datapackage.rowfile import Held, Split, rows_by_file
from flow_singer.datapackage.textcells import lines_of, offsets_of
from flow_singer.singer.schema import Kind, Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT, text_bytes

CHUNK_ROWS = 20_000
OPEN_FILES = 64
"""How many of the files that rows are spread over are written at once; more take further passes."""


class Layout(Protocol):
    """What a format of lines has to say."""

    end_characters: int
    """How many characters end each line; all of them one byte."""

    bare_kinds: frozenset[Kind]
    """The kinds whose texts stand without the quotes of JSON."""

    def header(self, names: Sequence[str]) -> bytes:
        """What stands before the rows."""

    def lines(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]], count: int
    ) -> pa.Array:
        """One line per row."""

    def padding(self, names: Sequence[str], first: bool) -> str:
        """What ends a row that lacks the columns `names`; `first` where it has no column at all."""

    def visible(self, lines: pa.Array) -> pa.Array:
        """The lines of a file of one column, none of them empty but for its end."""

    def as_json(self, lines: pa.Array, positions: Sequence[int]) -> pa.Array:
        """The lines with the bare texts of some columns as JSON, for a column that came to hold other types."""


@dataclass
class _Part:
    """Rows with the same columns, written in the same way."""

    names: list[str]
    bare: frozenset[int]
    """Numbers of the columns whose texts stand without quotes of JSON."""
    rows: int = 0


class TextFile:
    """Rows of one stream in a format of lines.

    The lengths of lines go to a second file, 8 bytes a row, so that rows can be found again whatever
    line ends their cells hold.

    Args:
        path: the file to write.
        layout: the format.
        packed: whether it is packed by gzip.
    """

    decides: frozenset[str] = frozenset()

    def __init__(self, path: Path, layout: Layout, *, packed: bool = False) -> None:
        self.path = path
        self._layout = layout
        self._packed = packed
        self._lengths_path = path.with_name(path.name + ".lengths")
        self._file = new_file(path, packed=packed)
        self._digests: list[str] = []
        self._lengths = self._lengths_path.open("xb")
        self._parts: list[_Part] = []
        self._has_empty = False
        """Whether a line is empty but for its end: only at the end is it known whether columns follow."""

    def append(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]], count: int
    ) -> None:
        """Write `count` rows; `names` may only grow from call to call, at the end."""
        bare = frozenset(i for i, (one, _) in enumerate(cells) if one.kind in self._layout.bare_kinds)
        if not self._parts or self._parts[-1].names != names or self._parts[-1].bare != bare:
            if not self._parts:
                self._file.write(self._layout.header(names))
            self._parts.append(_Part(list(names), bare))
        lines = self._layout.lines(names, cells, count)
        self._file.write(text_bytes(lines))
        lengths = np.diff(offsets_of(lines))
        self._has_empty |= bool((lengths == self._layout.end_characters).any())
        self._lengths.write(lengths.tobytes())
        self._parts[-1].rows += count

    def finish(
        self,
        names: Sequence[str],
        properties: Sequence[Property],
        keep: npt.NDArray[np.bool_] | None,
        split: Split | None = None,
    ) -> dict[str, Held]:
        """End the file, or spread it over several.

        Args:
            names: the names of all columns.
            properties: of the same columns: what they have come to hold.
            keep: which rows stay; None keeps all.
            split: the files that it is spread over; it is itself no more then.

        Returns:
            Nothing: text has no types of its own.
        """
        if not self._parts:
            self._file.write(self._layout.header(names))
        self._file.end()
        self._digests = [self._file.sha256]
        self.close()
        is_short = bool(self._parts) and self._parts[0].names != names
        mixed = frozenset(i for i, one in enumerate(properties) if one.kind == "json")
        is_bare = any(part.bare & mixed for part in self._parts)
        if split is not None:
            self._spread(names, mixed, keep, split)
        elif keep is not None or is_short or is_bare or (self._has_empty and len(names) == 1):
            self._rewrite(names, mixed, keep)
        self._lengths_path.unlink()
        return {}

    @property
    def digests(self) -> list[str]:
        """Hex SHA-256 of what was written; taken on the way, so that nothing is read again at the end."""
        return self._digests

    def close(self) -> None:
        """Let go of the files where they are."""
        self._file.close()
        self._lengths.close()

    def _rewrite(
        self, names: Sequence[str], mixed: frozenset[int], keep: npt.NDArray[np.bool_] | None
    ) -> None:
        beside = self.path.with_name(self.path.name + ".new")
        with new_file(beside, packed=self._packed) as file:
            file.write(self._layout.header(names))
            row = 0
            for part, lines in self._read():
                kept = lines if keep is None else lines.filter(pa.array(keep[row : row + len(lines)]))
                row += len(lines)
                file.write(text_bytes(self._ended(part, kept, names, mixed)))
            file.end()
        self._digests = [file.sha256]
        os.replace(beside, self.path)

    def _spread(
        self, names: Sequence[str], mixed: frozenset[int], keep: npt.NDArray[np.bool_] | None, split: Split
    ) -> None:
        self._digests = []
        for first in range(0, len(split.paths), OPEN_FILES):
            with contextlib.ExitStack() as stack:
                paths = split.paths[first : first + OPEN_FILES]
                files = [stack.enter_context(new_file(path, packed=self._packed)) for path in paths]
                for file in files:
                    file.write(self._layout.header(names))
                row = 0
                for part, lines in self._read():
                    kept = None if keep is None else keep[row : row + len(lines)]
                    mine = split.numbers[row : row + len(lines)] - first
                    row += len(lines)
                    for number, rows in rows_by_file(mine, len(files), kept):
                        ended = self._ended(part, lines.take(pa.array(rows)), names, mixed)
                        files[number].write(text_bytes(ended))
                for file in files:
                    file.end()
                    self._digests.append(file.sha256)
        self.path.unlink()

    def _ended(self, part: _Part, lines: pa.Array, names: Sequence[str], mixed: frozenset[int]) -> pa.Array:
        """Lines of one part as they are in the ended file."""
        if part.bare & mixed:
            lines = self._layout.as_json(lines, sorted(part.bare & mixed))
        missing = names[len(part.names) :]
        if missing:
            padding = self._layout.padding(missing, not part.names)
            cut = pc.utf8_slice_codeunits(lines, 0, -self._layout.end_characters)
            lines = pc.binary_join_element_wise(cut, pa.scalar(padding, TEXT), pa.scalar("", TEXT))
        return self._layout.visible(lines) if len(names) == 1 else lines

    def _read(self) -> Iterator[tuple[_Part, pa.Array]]:
        with (
            opened_file(self.path, packed=self._packed) as file,
            self._lengths_path.open("rb") as lengths_file,
        ):
            file.seek(len(self._layout.header(self._parts[0].names)))
            for part in self._parts:
                for start in range(0, part.rows, CHUNK_ROWS):
                    lengths = np.fromfile(
                        lengths_file, dtype=np.int64, count=min(CHUNK_ROWS, part.rows - start)
                    )
                    yield part, lines_of(file.read(int(lengths.sum())), lengths)
