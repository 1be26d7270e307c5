"""The rows of a frame that a function returned: each column as JSON text, beside what came with its records."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import TransformError
from flow_singer.singer.schema import Property, StreamSchema
from flow_singer.tabular.batch import Batch, Column
from flow_singer.tabular.columnencoding import encode_column
from flow_singer.tabular.matching import Rows, envelope_of, match_rows, take_column, take_undeclared
from flow_singer.tabular.outputcolumns import Source
from flow_singer.tabular.outputrows import OutputRows
from flow_singer.tabular.outputschema import OutputSchema
from flow_singer.tabular.resulttable import table_of
from flow_singer.tabular.steadytypes import Alone, integers_alone, steady
from flow_singer.tabular.textarrays import TEXT
from flow_singer.tabular.unboxing import take_back
from flow_singer.tabular.unreadmembers import without_members


def rows_of_frame(
    frame: pd.DataFrame,
    schema: StreamSchema | None,
    batch: Batch | None,
    output: OutputSchema,
    notes: dict[str, None],
    *,
    lacking: Mapping[str, Sequence[bool]],
    alone: Alone | None,
) -> OutputRows:
    """Encode a frame.

    Args:
        frame: n rows; see [`table_of`][flow_singer.tabular.resulttable.table_of].
        schema: SCHEMA of the stream it came from, None for a stream that a function made up.
        batch: the records it came from; rows are matched to them by the frame's index.
        output: what is known of the output's columns so far.
        notes: gets what a person should hear.
        lacking: per column that has such rows at all, those that have no such key and no value.
        alone: shows the function one record of the batch again, where a null may have changed a dtype.

    Raises:
        TransformError: a name appears twice, a dtype has no JSON form, or rows cannot be matched that must be.
    """
    table = table_of(frame, output.name)
    arrays = table.arrays
    notes.update(dict.fromkeys(table.notes))
    returned = dict(arrays)
    emptied = {} if schema is None else take_back(arrays, schema)
    rows = None
    if batch is not None:
        rows = match_rows(table.index, arrays, batch, by_key=output.name == batch.schema.stream)
    columns: dict[str, Column] = {}
    undeclared: dict[str, Column] = {}
    if batch is not None and rows is not None:
        columns = {name: take_column(one, rows) for name, one in batch.columns.items()}
        for name, where in emptied.items():
            if name in columns:
                values = pc.if_else(pa.array(where), None, columns[name].values)
                columns[name] = columns[name]._replace(values=values)
        undeclared = {
            name: take_undeclared(one, rows)
            for name, one in batch.undeclared.items()
            if name not in arrays  # else the function has made that column
        }
    if batch is not None and batch.schema.unread:
        _check_unread(output.name, batch.schema, arrays, rows)
    cells = {}
    for name, array in arrays.items():
        source = None
        if schema is not None and name in schema.properties:
            source = _source_of(schema.properties[name], batch, rows, columns.get(name))
        known = output.known(name)
        if known is None:
            array = integers_alone(array, name, source, rows, alone)
        array, source = steady(array, returned[name], source, known)
        try:
            cells[name] = encode_column(array, source)
        except TransformError as exc:
            raise TransformError(f"stream '{output.name}', column '{name}': {exc.message}", exc.hint) from exc
        if source is not None and source.pool is not None and cells[name].texts.null_count:
            _note_lost_texts(output.name, source, notes)
    rest = None
    if batch is not None and rows is not None and batch.rest is not None:
        rest = batch.rest if isinstance(rows, slice) else batch.rest.take(rows)
        # A record may have one of these twice, or an undeclared one, where the function has left no value.
        gone = [name for name in batch.schema.properties if name not in cells]
        gone += [name for name, cell in cells.items() if cell.property is None]
        rest = without_members(rest, gone) if gone else rest
    for name, absent in lacking.items():
        if name not in output.key_properties:
            columns[name] = _with_absent(columns.get(name), pa.array(absent, pa.bool_()))
    nowhere = rows.is_null() if isinstance(rows, pa.Array) else None
    return OutputRows(
        cells, len(frame), columns, undeclared, envelope_of(batch, rows), nowhere=nowhere, rest=rest
    )


def _note_lost_texts(stream: str, source: Source, notes: dict[str, None]) -> None:
    """Tell of texts that are no date, where nothing tells which rows they belong to."""
    one, pool = source.property, source.pool
    if pool is None or pool.as_json or one.kind not in ("date", "date-time"):
        return
    if int(np.isnat(source.plain(pool)).sum()) > pool.values.null_count:
        notes[
            f"Stream '{stream}', column '{one.name}': texts that are no date became null, as nothing tells "
            "the records that rows of the result came from. Keep the index of the frame, or its key."
        ] = None


def _check_unread(stream: str, schema: StreamSchema, names: Collection[str], rows: Rows | None) -> None:
    """Make sure that each row has one record to take from what the function did not see."""
    if taken := [name for name in names if name in schema.unread]:
        raise TransformError(
            f"stream '{stream}': the function makes a column {taken[0]!r}, but the stream has one of that "
            "name, which it does not see.",
            f"Let it see that: columns=[..., {json.dumps(taken[0])}].",
        )
    if rows is None:
        raise TransformError(
            f"stream '{stream}': the result has rows of which nothing tells the record they came from, and so "
            "what stands in the columns that the function does not see.",
            "Keep the index of the frame that it gets (no reset_index, merge or ignore_index), or let it see "
            "all columns: leave columns= out.",
        )


def _source_of(one: Property, batch: Batch | None, rows: Rows | None, column: Column | None) -> Source:
    """Where the cells of a column may have come from."""
    if batch is None:
        return Source(one, None)
    if rows is None:
        return Source(one, None, pool=batch.columns.get(one.name))
    return Source(one, column, batch.shown.get(one.name) if isinstance(rows, slice) else None)


def _with_absent(column: Column | None, absent: pa.BooleanArray) -> Column:
    """The column, with more rows that lack its key."""
    if column is None:
        return Column(pa.nulls(len(absent), TEXT), as_json=True, absent=absent)
    return column._replace(absent=absent if column.absent is None else pc.or_(absent, column.absent))
