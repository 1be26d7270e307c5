"""Records of one stream as Arrow columns, and what can be done to them without looking at a value.

Each property has a *carrier*: an Arrow array that holds its values exactly. Integers, booleans and text are
carried as such; numbers, nested values and whatever does not fit its Arrow type are carried as their JSON
text. Frames, packages and output lines are all made from carriers, so a value that nobody changed is
written with the digits it came with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.linenumbers import LineNumbers, joined_lines, line_of, slice_lines, take_lines
from flow_singer.singer.schema import Kind, StreamSchema
from flow_singer.tabular.textarrays import TEXT, quoted

CARRIERS: dict[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "string": TEXT,
    "date-time": TEXT,
    "date": TEXT,
    "decimal-text": TEXT,
}
"""How kinds are carried; all others are JSON text."""


ENVELOPE_KEYS = ("time_extracted", "version", "sequence")
"""Keys that taps put beside `record`, in the order in which they are written."""


class Column(NamedTuple):
    """The carrier of one property.

    Attributes:
        values: int64, bool or text; text is JSON where `as_json` is true, else the string itself.
        as_json: whether `values` holds JSON text.
        absent: where the record lacked the key (as opposed to null), or None where none did.
    """

    values: pa.Array
    as_json: bool
    absent: pa.BooleanArray | None = None


@dataclass
class Batch:
    """Consecutive records of one stream.

    Attributes:
        schema: the SCHEMA they came under.
        columns: a carrier per declared property, in schema order.
        undeclared: carriers of keys that the SCHEMA does not declare; frames do not show them.
        envelope: JSON text of what stood beside `record`, per key; null where a line lacked it.
        count: number of records.
        lines: numbers of the lines they came from.
        rest: JSON text of the members of each record that no function reads and that have no column, a comma
            behind each member; None where there are none.
        shown: what a frame showed of dates and numbers, to tell later which of them were changed.
    """

    schema: StreamSchema
    columns: Mapping[str, Column]
    undeclared: Mapping[str, Column]
    envelope: Mapping[str, pa.Array]
    count: int
    lines: LineNumbers = ()
    rest: pa.Array | None = None
    shown: dict[str, np.ndarray] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """How much memory the cells take."""
        columns = [*self.columns.values(), *self.undeclared.values()]
        return sum(one.values.nbytes for one in columns) + sum(one.nbytes for one in self.envelope.values())

    def line_of(self, row: int) -> int:
        """The number of the line that row `row` (from 0) came from."""
        return line_of(self.lines, row)


def slice_batch(batch: Batch, start: int, stop: int) -> Batch:
    """Rows `start` to `stop` (exclusive) of a batch."""

    def cut(column: Column) -> Column:
        absent = None if column.absent is None else column.absent[start:stop]
        return Column(column.values[start:stop], column.as_json, absent)

    return Batch(
        batch.schema,
        {name: cut(column) for name, column in batch.columns.items()},
        {name: cut(column) for name, column in batch.undeclared.items()},
        {key: texts[start:stop] for key, texts in batch.envelope.items()},
        stop - start,
        slice_lines(batch.lines, start, stop),
        None if batch.rest is None else batch.rest[start:stop],
    )


def filtered(batch: Batch, kept: pa.BooleanArray) -> Batch:
    """The rows of a batch that are to stay; whether each is says `kept`."""

    def cut(column: Column) -> Column:
        absent = None if column.absent is None else column.absent.filter(kept)
        return Column(column.values.filter(kept), column.as_json, absent)

    rows = pc.indices_nonzero(kept).to_pylist()
    return Batch(
        batch.schema,
        {name: cut(column) for name, column in batch.columns.items()},
        {name: cut(column) for name, column in batch.undeclared.items()},
        {key: texts.filter(kept) for key, texts in batch.envelope.items()},
        len(rows),
        take_lines(batch.lines, rows),
        None if batch.rest is None else batch.rest.filter(kept),
    )


def split_by_version(batch: Batch) -> Iterator[Batch]:
    """Parts of a batch that share one `version`: no frame mixes versions."""
    texts = batch.envelope.get("version")
    if texts is None or pc.count_distinct(texts, mode="all").as_py() < 2:
        yield batch
        return
    versions = texts.to_pylist()
    start = 0
    for row in range(1, batch.count + 1):
        if row == batch.count or versions[row] != versions[start]:
            yield slice_batch(batch, start, row)
            start = row


def concat_batches(schema: StreamSchema, batches: Sequence[Batch]) -> Batch:
    """All rows of several batches of one stream, in order; none give an empty batch of the schema.

    A batch may lack properties of the schema: its records then lack these keys.
    """
    if not batches:
        return _empty_batch(schema)
    columns = {
        name: _concat([batch.columns.get(name) or _nowhere(batch.count, one.kind) for batch in batches])
        for name, one in schema.properties.items()
    }
    undeclared = {}
    for name in dict.fromkeys(name for batch in batches for name in batch.undeclared):
        undeclared[name] = _concat([batch.undeclared.get(name) or _nowhere(batch.count) for batch in batches])
    envelope = {}
    for key in dict.fromkeys(key for batch in batches for key in batch.envelope):
        texts = [batch.envelope.get(key) for batch in batches]
        filled = [
            pa.nulls(batch.count, TEXT) if part is None else part
            for part, batch in zip(texts, batches, strict=True)
        ]
        envelope[key] = pa.concat_arrays(filled)
    lines = joined_lines(batch.lines for batch in batches)
    rest = None
    if any(batch.rest is not None for batch in batches):
        rest = pa.concat_arrays(
            [pa.array([""] * b.count, TEXT) if b.rest is None else b.rest for b in batches]
        )
    return Batch(schema, columns, undeclared, envelope, sum(batch.count for batch in batches), lines, rest)


def _empty_batch(schema: StreamSchema) -> Batch:
    columns = {name: _nowhere(0, one.kind)._replace(absent=None) for name, one in schema.properties.items()}
    return Batch(schema, columns, {}, {}, 0)


def _nowhere(count: int, kind: Kind = "json") -> Column:
    """The carrier of a property that none of n records has."""
    absent = pa.array([True] * count, pa.bool_())
    return Column(pa.nulls(count, CARRIERS.get(kind, TEXT)), kind not in CARRIERS, absent)


def _concat(parts: list[Column]) -> Column:
    as_json = any(part.as_json for part in parts)
    values = [json_texts(part) if as_json else part.values for part in parts]
    absent = None
    if any(part.absent is not None for part in parts):
        absent = pa.concat_arrays(
            [pa.array([False] * len(p.values), pa.bool_()) if p.absent is None else p.absent for p in parts]
        )
    return Column(pa.concat_arrays(values), as_json, absent)


def json_texts(column: Column) -> pa.Array:
    """The cells as JSON text; null stays null."""
    if column.as_json:
        return column.values
    return quoted(column.values) if column.values.type == TEXT else column.values.cast(TEXT)
