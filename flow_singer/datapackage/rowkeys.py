"""Which rows stay: the last one of each key, and those of the activated version.

Singer delivers at least once, so that a key may come more than once and its last record holds. What must be
remembered of a row is 16 bytes in a file, so that memory does not grow with the stream.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal, InvalidOperation
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import RecordError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, Column, json_texts
from flow_singer.tabular.literals import INTEGER_DIGITS
from flow_singer.tabular.textarrays import TEXT, join

ROWS_PER_PASS = 250_000
"""How many keys are sorted at once, some 80 bytes each; a longer stream takes more passes over the file."""

_CHUNK_ROWS = 250_000
_INT64 = range(-(2**63), 2**63)
_SHORT_INTEGER = re.compile(r"-?\d{1,19}")


class MissingKeyError(RecordError):
    """A record without a value for one of its key properties."""


class KeyLog:
    """The keys of all rows, in the order of rows.

    Args:
        path: the file that they go to.
        first_row: number of the first row that is noted.
    """

    def __init__(self, path: Path, first_row: int = 0) -> None:
        self._path = path
        self._file = path.open("xb")
        self._first_row = first_row
        self._rows = 0

    def append(self, batch: Batch) -> None:
        """Note the keys of a batch.

        Raises:
            MissingKeyError: a record lacks a key, or it is null.
        """
        schema = batch.schema
        columns = [key_column(batch, name) for name in schema.key_properties]
        if schema.key_properties:
            lanes = _key_lanes(schema, columns)
        else:  # rows that have no key are never the same: their number stands for it
            lanes = np.empty((batch.count, 2), dtype=np.int64)
            lanes[:, 0] = np.arange(self._rows, self._rows + batch.count)
            lanes[:, 1] = -1
        self._file.write(lanes.tobytes())
        self._rows += batch.count

    def mark_superseded(self, keep: npt.NDArray[np.bool_]) -> None:
        """Clear `keep` for every row whose key comes again in a later row that is kept."""
        self._file.flush()
        keep = keep[self._first_row :]
        passes = -(-self._rows // ROWS_PER_PASS)
        for turn in range(passes):
            rows, keys = self._share(turn, passes, keep)
            order = np.lexsort((rows, keys[:, 1], keys[:, 0]))
            ordered = keys[order]
            again = np.all(ordered[:-1] == ordered[1:], axis=1)
            keep[rows[order[:-1][again]]] = False

    def close(self) -> None:
        """Forget everything."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _share(
        self, turn: int, passes: int, keep: npt.NDArray[np.bool_]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        rows, keys = [], []
        with self._path.open("rb") as file:
            for start in range(0, self._rows, _CHUNK_ROWS):
                chunk = np.fromfile(file, dtype=np.int64, count=2 * _CHUNK_ROWS).reshape(-1, 2)
                mine = keep[start : start + len(chunk)] & (chunk[:, 0] % passes == turn)
                rows.append(np.flatnonzero(mine) + start)
                keys.append(chunk[mine])
        return np.concatenate(rows), np.concatenate(keys)


def key_column(batch: Batch, name: str) -> Column:
    """The column of one key property.

    Raises:
        MissingKeyError: a record lacks it, or it is null.
    """
    column = batch.columns.get(name) or batch.undeclared.get(name)
    row = 0
    if column is not None:
        if not column.values.null_count:
            return column
        row = pc.index(column.values.is_null(), True).as_py()
    raise MissingKeyError(
        f"Line {batch.line_of(row)}: record of stream '{batch.schema.stream}' has no value for its key "
        f"property '{name}'.",
        "Correct key_properties in the tap's catalog (table-key-properties), or fill the key in a transform.",
    )


def _key_lanes(schema: StreamSchema, columns: Sequence[Column]) -> npt.NDArray[np.int64]:
    """Two numbers per row that are equal where the keys are equal.

    A single integer stands for itself; everything else is hashed to 128 bits. Numbers are equal however they
    are written: `1`, `1.0`, `1e0`.
    """
    first = columns[0]
    count = len(first.values)
    lanes = np.zeros((count, 2), dtype=np.int64)
    if len(columns) == 1 and first.values.type == pa.int64():
        lanes[:, 0] = first.values.to_numpy(zero_copy_only=False)
        return lanes
    # The names are part of what is hashed: a key that changes midway never equals an older one.
    salt = "\0".join(schema.key_properties) + "\0"
    are_numbers = [_is_number(schema, name) for name in schema.key_properties]
    texts = [_key_texts(*one) for one in zip(columns, are_numbers, strict=True)]
    joined = texts[0] if len(texts) == 1 else join(*[x for text in texts for x in (text, "\0")])
    is_number = are_numbers == [True]
    for row, text in enumerate(joined.to_pylist()):
        if is_number and _SHORT_INTEGER.fullmatch(text) and (value := int(text)) in _INT64:
            lanes[row, 0] = value
            continue
        salted = salt + text
        lanes[row] = hash(salted), hash("\1" + salted)
    return lanes


def _is_number(schema: StreamSchema, name: str) -> bool:
    one = schema.properties.get(name)
    return one is not None and one.kind in ("integer", "number", "decimal")


def _key_texts(column: Column, is_number: bool) -> pa.Array:
    texts = json_texts(column).cast(TEXT)
    if not is_number or not column.as_json:
        return texts
    return pa.array([number_text(text) for text in texts.to_pylist()], TEXT)


def number_text(text: str) -> str:
    """One text for all JSON texts of a number."""
    try:
        value = Decimal(text)
    except InvalidOperation:  # an exponent of some twenty digits
        return text
    if not value:
        return "0"
    if value.adjusted() < INTEGER_DIGITS and value == value.to_integral_value():
        return str(int(value))
    return str(_EXACT.normalize(value))


_EXACT = Context(prec=MAX_PREC, Emin=MIN_EMIN, Emax=MAX_EMAX)


class VersionLog:
    """The `version` of rows, as runs of equal ones; taps change it once in a stream."""

    def __init__(self) -> None:
        self.activated: int | None = None
        self._runs: list[tuple[int, int, int]] = []
        self._rows = 0

    def append(self, batch: Batch) -> None:
        """Note the versions of a batch."""
        texts = batch.envelope.get("version")
        if texts is not None:
            runs = pc.run_end_encode(texts)
            start = 0
            for text, stop in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
                if text is not None and text.lstrip("-").isdigit():
                    self._add(int(text), self._rows + start, self._rows + stop)
                start = stop
        self._rows += batch.count

    def mark_replaced(self, keep: npt.NDArray[np.bool_]) -> None:
        """Clear `keep` for rows of versions before the activated one; rows without a version stay."""
        if self.activated is None:
            return
        for version, start, stop in self._runs:
            if version < self.activated:
                keep[start:stop] = False

    def _add(self, version: int, start: int, stop: int) -> None:
        if self._runs and self._runs[-1][0] == version and self._runs[-1][2] == start:
            self._runs[-1] = (version, self._runs[-1][1], stop)
        else:
            self._runs.append((version, start, stop))
