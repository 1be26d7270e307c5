"""Parquet: a column has the first of its property's possible types that holds every value exactly.

Which these are: [`parquettypes`][flow_singer.datapackage.parquettypes]. A column has one type in a whole file, so
that it is known only at the end: until then the columns wait as Arrow data in a file beside.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from flow_singer.datapackage.behind import Behind
from flow_singer.datapackage.fitting import casts
from flow_singer.datapackage.parquettypes import DECIMAL_DIGITS, ParquetType, for_pandas, parquet_types
from flow_singer.datapackage.rowfile import Held, Split, rows_by_file
from flow_singer.datapackage.textcells import plain_texts
from flow_singer.datapackage.waitingcolumns import WaitingColumns
from flow_singer.files import sha256_file
from flow_singer.singer.digits import Digits
from flow_singer.singer.schema import Kind, Property
from flow_singer.tabular.batch import Column, json_texts
from flow_singer.tabular.textarrays import TEXT

_DOUBLE_DIGITS = 15
"""Two numbers of so many digits that differ are two doubles that differ."""
ROW_GROUP_ROWS = 100_000
WAITING_BYTES = 64 << 20
"""How much waits at most for the row groups of several files."""
OPEN_FILES = 64
"""How many of the files that rows are spread over are written at once; more take further passes."""


class ParquetFile:
    """Rows of one stream in Parquet.

    Args:
        path: the file to write.
        stored: types that columns have in other files of the stream: here they are no narrower.
    """

    decides = frozenset({"integer", "number", "boolean", "datetime", "date"})

    def __init__(self, path: Path, stored: Mapping[str, str] | None = None) -> None:
        self.path = path
        self._stored = stored or {}
        self._columns = WaitingColumns(path)
        self._digests: list[str] = []
        self._says: list[tuple[Kind, Digits]] = []
        self._chosen: list[_Choice] = []
        self._failed: set[int] = set()
        """Columns whose first choice some value has refused."""
        self._mixed: set[int] = set()
        """Columns whose SCHEMAs have said more than one thing."""

    def append(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]], count: int
    ) -> None:
        """Take `count` rows; `names` may only grow from call to call, at the end."""
        self._try_first_choices(names, cells)
        self._columns.append(cells, count)

    def finish(
        self,
        names: Sequence[str],
        properties: Sequence[Property],
        keep: npt.NDArray[np.bool_] | None,
        split: Split | None = None,
    ) -> dict[str, Held]:
        """Choose the types and write the file, or several of the same types.

        Args:
            names: the names of all columns.
            properties: of the same columns.
            keep: which rows stay; None keeps all.
            split: the files that it is spread over; it is itself not written then.

        Returns:
            The type of each column, by its name.
        """
        chosen = self._choose(names, properties)
        schema = for_pandas(pa.schema([pa.field(n, c.type) for n, c in zip(names, chosen, strict=True)]))
        paths = [self.path] if split is None else split.paths
        for first in range(0, len(paths), OPEN_FILES):
            self._write(paths[first : first + OPEN_FILES], first, split, schema, properties, chosen, keep)
        self._columns.remove()
        for path in paths:
            with path.open("rb") as file:
                os.fsync(file.fileno())
        self._digests = [sha256_file(path) for path in paths]
        return {
            name: _held(one, choice, self._types(name, one)[0].type)
            for name, choice, one in zip(names, chosen, properties, strict=True)
        }

    @property
    def digests(self) -> list[str]:
        """Hex SHA-256 of each file."""
        return self._digests

    def close(self) -> None:
        """Let go of the files where they are."""
        self._columns.close()

    def _write(
        self,
        paths: Sequence[Path],
        first: int,
        split: Split | None,
        schema: pa.Schema,
        properties: Sequence[Property],
        chosen: Sequence[_Choice],
        keep: npt.NDArray[np.bool_] | None,
    ) -> None:
        """Write some of the files, the first of which has this number."""
        with contextlib.ExitStack() as stack:
            writers = [
                stack.enter_context(pq.ParquetWriter(path, schema, compression="zstd")) for path in paths
            ]
            # One thread compresses a row group while this one makes the next; it ends before its file is closed.
            groups = _RowGroups(writers, stack.enter_context(Behind()))
            row = 0
            for columns, count in self._columns.read(len(properties)):
                kept = None if keep is None else keep[row : row + count]
                numbers = np.zeros(count, np.int32) if split is None else split.numbers[row : row + count]
                row += count
                for number, rows in rows_by_file(numbers - first, len(paths), kept):
                    whole = len(rows) == count
                    arrays = [
                        choice.convert(
                            one, column if whole else Column(column.values.take(rows), column.as_json)
                        )
                        if column
                        else pa.nulls(len(rows), choice.type)
                        for one, choice, column in zip(properties, chosen, columns, strict=True)
                    ]
                    groups.add(number, pa.record_batch(arrays, schema=schema))
            groups.end()

    def _types(self, name: str, one: Property) -> list[ParquetType]:
        types = parquet_types(one)
        at = [str(possible.type) for possible in types]
        return types[at.index(self._stored[name]) :] if self._stored.get(name) in at else types

    def _try_first_choices(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]]
    ) -> None:
        """Most columns are what their SCHEMA says, which is known when their last row has come."""
        for i, (one, column) in enumerate(cells):
            if i == len(self._chosen):
                self._says.append((one.kind, one.digits))
                self._chosen.append(_Choice(self._types(names[i], one)))
            if (one.kind, one.digits) != self._says[i]:
                self._mixed.add(i)
            if column is None or i in self._failed | self._mixed or len(self._chosen[i].types) == 1:
                continue
            if not self._chosen[i].fits(one, column):
                self._failed.add(i)

    def _choose(self, names: Sequence[str], properties: Sequence[Property]) -> list[_Choice]:
        chosen = self._chosen
        undecided: set[int] = set()
        for i, one in enumerate(properties):
            choices = _Choice(self._types(names[i], one))
            if i == len(chosen):
                chosen.append(choices)  # of a column that no row had
            elif (one.kind, one.digits) != self._says[i] or i in self._mixed:
                chosen[i] = choices
            elif i in self._failed:
                chosen[i] = choices
                choices.types.pop(0)
            else:
                continue
            if len(choices.types) > 1:
                undecided.add(i)
        while undecided:
            failed: set[int] = set()
            for columns, _ in self._columns.read(len(properties)):
                for i in undecided - failed:
                    column = columns[i]
                    if column is not None and not chosen[i].fits(properties[i], column):
                        failed.add(i)
            for i in failed:
                chosen[i].types.pop(0)
            undecided = {i for i in failed if len(chosen[i].types) > 1}
        return chosen


class _RowGroups:
    """Gathers the rows of several files into row groups."""

    def __init__(self, writers: Sequence[pq.ParquetWriter], behind: Behind) -> None:
        self._writers, self._behind = writers, behind
        self._waiting: list[list[pa.RecordBatch]] = [[] for _ in writers]
        self._rows = [0] * len(writers)
        self._sizes = [0] * len(writers)

    def add(self, number: int, batch: pa.RecordBatch) -> None:
        """Take the next rows of a file."""
        self._waiting[number].append(batch)
        self._rows[number] += batch.num_rows
        self._sizes[number] += batch.nbytes
        if self._rows[number] >= ROW_GROUP_ROWS:
            self._write(number)
        elif len(self._writers) > 1 and sum(self._sizes) >= WAITING_BYTES:
            self._write(self._sizes.index(max(self._sizes)))

    def end(self) -> None:
        """Write what waits."""
        for number, rows in enumerate(self._rows):
            if rows:
                self._write(number)

    def _write(self, number: int) -> None:
        table = pa.Table.from_batches(self._waiting[number])
        self._behind.do(self._writers[number].write_table, table)
        self._waiting[number], self._rows[number], self._sizes[number] = [], 0, 0


@dataclass
class _Choice:
    """The types that one column may still get; the first one is tried."""

    types: list[ParquetType]

    @property
    def name(self) -> str:
        return self.types[0].name

    @property
    def type(self) -> pa.DataType:
        return self.types[0].type

    def fits(self, one: Property, column: Column) -> bool:
        values = column.values
        match self.name:
            case "int64":
                return bool(values.type == pa.int64() or values.null_count == len(values))
            case "bool":
                return bool(values.type == pa.bool_() or values.null_count == len(values))
            case "double":
                return _doubles_hold(json_texts(column))
            case "decimal":
                return self._decimals(plain_texts(one, column)) is not None
            case "instant" | "local" | "date":
                return values.null_count == len(values) or (
                    not column.as_json
                    and not pc.any(pc.starts_with(values, "0000-"), min_count=0).as_py()
                    and casts(values, self.type)
                )
        return True

    def convert(self, one: Property, column: Column) -> pa.Array:
        if self.name == "json":
            return json_texts(column)
        if column.values.type == self.type and not column.as_json:
            return column.values
        texts = plain_texts(one, column)
        if self.name == "decimal":
            return self._decimals(texts)
        return texts.cast(self.type)

    def _decimals(self, texts: pa.Array) -> pa.Array | None:
        """The numbers, or None where one is none or does not fit exactly.

        Digits are counted first: Arrow does not notice where it has too many of them to bring to the scale.
        """
        plain = _without_exponents(texts)
        if plain is None:
            return None
        fraction = _longest(pc.replace_substring_regex(plain, r"^[^.]*\.?", ""))
        if fraction > self.type.scale:
            plain = pc.replace_substring_regex(plain, r"(\.[0-9]*?)0+$", r"\1")
            fraction = _longest(pc.replace_substring_regex(plain, r"^[^.]*\.?", ""))
        integer = _longest(pc.replace_substring_regex(plain, r"^[+-]?0*|\..*$", ""))
        if fraction > self.type.scale or integer + self.type.scale > self.type.precision:
            return None
        try:
            return plain.cast(self.type)
        except pa.ArrowInvalid:
            return None


def _longest(texts: pa.Array) -> int:
    return pc.max(pc.binary_length(texts)).as_py() or 0


def _held(one: Property, choice: _Choice, first: pa.DataType) -> Held:
    return Held(
        "string" if choice.name == "string" and one.kind != "string" else None,
        str(choice.type),
        None if choice.type == first else str(first),
    )


def _doubles_hold(texts: pa.Array) -> bool:
    """Whether each number comes back from a double with the digits that it had."""
    doubtful = pc.or_(
        pc.greater(pc.binary_length(texts), _DOUBLE_DIGITS), pc.match_substring(texts, "e", ignore_case=True)
    )
    texts = texts.filter(doubtful)
    written = texts.cast(pa.float64()).cast(TEXT)  # the shortest text, as Python's but for exponents
    doubted = texts.filter(pc.not_equal(texts, written)).to_pylist()
    try:
        return all(Decimal(text) == Decimal(repr(float(text))) for text in doubted)
    except InvalidOperation:  # an exponent of some twenty digits
        return False


def _without_exponents(texts: pa.Array) -> pa.Array | None:
    """The same numbers in plain digits; None where a text is no number or has hundreds of digits."""
    if not pc.any(pc.match_substring_regex(texts, "[^0-9.-]"), min_count=0).as_py():
        return texts
    plain: list[Any] = []
    for text in texts.to_pylist():
        if text is None or re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
            plain.append(text)
            continue
        try:
            if not re.fullmatch("[-+.0-9eE]+", text):  # Python also reads 1_000, blanks and foreign digits
                return None
            number = Decimal(text)
        except InvalidOperation:
            return None
        if not number.is_finite() or abs(number.adjusted()) > DECIMAL_DIGITS:
            return None
        plain.append(f"{number:f}")
    return pa.array(plain, TEXT)
