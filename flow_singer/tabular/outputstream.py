"""Frames of one output stream to SCHEMA and RECORD lines.

The SCHEMA of an output stream is held back until its first rows are known, only ever widens, and is sent
again only when it changed: targets answer each SCHEMA with DDL or a new buffer.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import TransformError
from flow_singer.singer.schema import Property, StreamSchema
from flow_singer.tabular.batch import Batch, Column, json_texts
from flow_singer.tabular.columnencoding import encode_column
from flow_singer.tabular.matching import Rows, envelope_of, match_rows, take_column, take_undeclared
from flow_singer.tabular.objectencoding import encode_values
from flow_singer.tabular.outputcolumns import Cells, Source
from flow_singer.tabular.outputschema import OutputSchema
from flow_singer.tabular.recordlines import record_lines
from flow_singer.tabular.resulttable import table_of
from flow_singer.tabular.rows import RowBatch, RowWriter
from flow_singer.tabular.steadytypes import Alone, integers_alone, steady
from flow_singer.tabular.textarrays import TEXT
from flow_singer.tabular.unboxing import take_back
from flow_singer.tabular.unreadmembers import without_members


class OutputStream:
    """What one stream looks like after the functions.

    Args:
        name: the stream's name in the messages.
        key: key properties the user named; None keeps the input's.
        declared: properties that the user declared; they win over what is copied or inferred.
    """

    def __init__(
        self, name: str, *, key: Sequence[str] | None = None, declared: Mapping[str, Any] | None = None
    ) -> None:
        self.name = name
        self.records = 0
        self.not_finite: dict[str, int] = {}
        self.notes: dict[str, None] = {}
        """What a person should hear of it at the end, each once."""
        self._schema = OutputSchema(name, key, declared)
        self._sent: bytes | None = None
        self._row_writer: RowWriter | None = None

    def declare(self, properties: Mapping[str, Any], key: Sequence[str] | None) -> None:
        """Take a schema that a function returned beside its data."""
        self._schema.declare(properties, key)

    @property
    def key_properties(self) -> list[str]:
        """The key of the output."""
        return self._schema.key_properties

    def write_frame(
        self,
        frame: pd.DataFrame,
        schema: StreamSchema | None,
        batch: Batch | None,
        *,
        is_whole: bool = False,
        lacking: Mapping[str, Sequence[bool]] | None = None,
        alone: Alone | None = None,
    ) -> list[bytes | memoryview]:
        """Write a frame.

        Args:
            frame: n rows; see [`table_of`][flow_singer.tabular.resulttable.table_of].
            schema: SCHEMA of the stream it came from, None for a stream that a function made up.
            batch: the records it came from; rows are matched to them by the frame's index.
            is_whole: whether no two rows may share a key, but for those that did so before.
            lacking: per column that has such rows at all, those that have no such key and no value.
            alone: shows the function one record of the batch again, where a null may have changed a dtype.

        Returns:
            Blocks of message lines: SCHEMA where it is new, then n RECORDs.

        Raises:
            TransformError: keys are missing or null, a name appears twice, a dtype has no JSON form.
        """
        table = table_of(frame, self.name)
        arrays = table.arrays
        self.notes.update(dict.fromkeys(table.notes))
        returned = dict(arrays)
        emptied = {} if schema is None else take_back(arrays, schema)
        rows = None
        if batch is not None:
            rows = match_rows(table.index, arrays, batch, by_key=self.name == batch.schema.stream)
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
            self._check_unread(batch.schema, arrays, rows)
        cells = {}
        for name, array in arrays.items():
            source = None
            if schema is not None and name in schema.properties:
                source = _source_of(schema.properties[name], batch, rows, columns.get(name))
            known = self._schema.known(name)
            if known is None:
                array = integers_alone(array, name, source, rows, alone)
            array, source = steady(array, returned[name], source, known)
            try:
                cells[name] = encode_column(array, source)
            except TransformError as exc:
                raise TransformError(
                    f"stream '{self.name}', column '{name}': {exc.message}", exc.hint
                ) from exc
            if source is not None and source.pool is not None and cells[name].texts.null_count:
                self._note_lost_texts(source)
        rest = None
        if batch is not None and rows is not None and batch.rest is not None:
            rest = batch.rest if isinstance(rows, slice) else batch.rest.take(rows)
            # A record may have one of these twice, or an undeclared one, where the function has left no value.
            gone = [name for name in batch.schema.properties if name not in cells]
            gone += [name for name, cell in cells.items() if cell.property is None]
            rest = without_members(rest, gone) if gone else rest
        for name, absent in (lacking or {}).items():
            if name not in self.key_properties:
                columns[name] = _with_absent(columns.get(name), pa.array(absent, pa.bool_()))
        nowhere = rows.is_null() if isinstance(rows, pa.Array) else None
        blocks = self._write(
            cells, len(frame), schema, columns, undeclared, envelope_of(batch, rows), nowhere, rest
        )
        if is_whole and self.key_properties:
            self._check_unique({name: cell.texts for name, cell in cells.items()}, batch)
        return blocks

    def _note_lost_texts(self, source: Source) -> None:
        """Tell of texts that are no date, where nothing tells which rows they belong to."""
        one, pool = source.property, source.pool
        if pool is None or pool.as_json or one.kind not in ("date", "date-time"):
            return
        if int(np.isnat(source.plain(pool)).sum()) > pool.values.null_count:
            self.notes[
                f"Stream '{self.name}', column '{one.name}': texts that are no date became null, as nothing tells "
                "the records that rows of the result came from. Keep the index of the frame, or its key."
            ] = None

    def _check_unread(self, schema: StreamSchema, names: Collection[str], rows: Rows | None) -> None:
        """Make sure that each row has one record to take from what the function did not see."""
        if taken := [name for name in names if name in schema.unread]:
            raise TransformError(
                f"stream '{self.name}': the function makes a column {taken[0]!r}, but the stream has one of that "
                "name, which it does not see.",
                f"Let it see that: columns=[..., {json.dumps(taken[0])}].",
            )
        if rows is None:
            raise TransformError(
                f"stream '{self.name}': the result has rows of which nothing tells the record they came from, and so "
                "what stands in the columns that the function does not see.",
                "Keep the index of the frame that it gets (no reset_index, merge or ignore_index), or let it see "
                "all columns: leave columns= out.",
            )

    def _check_unique(self, texts: Mapping[str, pa.Array], batch: Batch | None) -> None:
        key = self.key_properties
        repeated = _repeated_rows([texts[name] for name in key])
        known: list[int] = []
        if repeated and batch is not None and batch.columns.keys() >= set(key):
            known = _repeated_rows([json_texts(batch.columns[name]) for name in key])
        if len(repeated) > len(known):
            named = ", ".join(f"{name} {texts[name][repeated[0]].as_py()}" for name in key)
            raise TransformError(
                f"stream '{self.name}': {len(repeated)} rows of the result repeat the key of an earlier row, "
                f"first row {repeated[0]} (from 0): {named}.",
                "A target would keep only the last of them. Name the key that tells them apart: key=[...].",
            )

    def write_rows(
        self,
        records: Sequence[dict[str, Any]],
        sources: RowBatch,
        positions: Sequence[int],
        schema: StreamSchema,
        *,
        keeps: bool = False,
    ) -> list[bytes | memoryview]:
        """Write records as row functions return them.

        Args:
            records: n records; a key that one lacks is left out of its line.
            sources: the rows they came from.
            positions: of the n records among these rows.
            schema: SCHEMA of the stream they came from.
            keeps: whether these are that stream's own records: then a property that none of them had when
                they came stays declared, as no function can have taken it out.
        """
        if (
            self._sent is not None
            and self._schema.has_input(schema)
            and not sources.beside
            and (lines := self._write_plain_rows(records, sources, positions)) is not None
        ):
            self.records += len(records)
            return [memoryview(lines)]
        rows = [{str(key): value for key, value in record.items()} for record in records]
        names: dict[str, None] = {}
        for row in rows:
            names.update(dict.fromkeys(row))
        known = schema.properties
        if keeps and not self._schema.has_input(schema) and (unmet := known.keys() - names):
            names.update(dict.fromkeys(unmet - sources.names(positions)))
        ordered = [name for name in known if name in names] + [name for name in names if name not in known]
        cells, columns = {}, {}
        for name in ordered:
            absent = [name not in row for row in rows]
            cells[name] = encode_values([row.get(name) for row in rows], known.get(name))
            if any(absent):
                before = cells[name].texts
                if name in schema.key_properties:  # whether a row came without it, or lost it
                    pairs = zip(absent, positions, strict=True)
                    before = pa.array([sources.had(row, name) if gone else None for gone, row in pairs])
                columns[name] = Column(before, as_json=True, absent=pa.array(absent, pa.bool_()))
        return self._write(cells, len(rows), schema, columns, {}, sources.envelope(positions))

    def _write_plain_rows(
        self, records: Sequence[dict[str, Any]], sources: RowBatch, positions: Sequence[int]
    ) -> bytes | None:
        """Lines of records that need no other SCHEMA than the last one; None where they may."""
        if self._row_writer is None:
            message = self._schema.message()
            self._row_writer = RowWriter(self.name, message["schema"], message["key_properties"])
        return self._row_writer.write(records, map(sources.messages.__getitem__, positions))

    def finish(self) -> list[bytes | memoryview]:
        """Send the SCHEMA once more where columns never had a value: they end as nullable text."""
        return self._schema_if_new() if self._schema.settle() else []

    # ------------------------------------------------------------------------------------------------

    def _write(
        self,
        cells: dict[str, Cells],
        count: int,
        schema: StreamSchema | None,
        columns: Mapping[str, Column],
        undeclared: Mapping[str, Column],
        envelope: Mapping[str, pa.Array | str],
        nowhere: pa.Array | None = None,
        rest: pa.Array | None = None,
    ) -> list[bytes | memoryview]:
        out = self._schema
        unread = {} if schema is None else schema.unread
        if schema is not None and not out.has_input(schema):
            out.add_input(schema)
            for name, one in unread.items():
                out.learn(name, dict(one.json_schema))
        omitted = _omitted(cells, columns)
        out.lack(omitted)
        for name, cell in cells.items():
            out.learn(name, cell.property, assumed=cell.assumed)
            if cell.texts.null_count > (pc.sum(omitted[name]).as_py() if name in omitted else 0):
                out.allow_null(name)
            if cell.not_finite:
                self.not_finite[name] = self.not_finite.get(name, 0) + cell.not_finite
        if count:  # a column that these rows have not is no null in them: a target keeps what it has there
            out.lack(out.properties.keys() - cells.keys() - unread.keys())
        self._check_keys(cells, columns, nowhere)
        blocks = self._schema_if_new()
        if count:
            blocks.append(
                record_lines(self.name, out.properties, cells, count, omitted, undeclared, envelope, rest)
            )
            self.records += count
        return blocks

    def _check_keys(
        self, cells: Mapping[str, Cells], columns: Mapping[str, Column], nowhere: pa.Array | None
    ) -> None:
        lost = [name for name in self.key_properties if name not in cells]
        if lost:
            raise TransformError(
                f"stream '{self.name}': key column {', '.join(map(repr, lost))} is missing from the result; "
                f"its columns are {', '.join(cells)}.",
                f"Let the function see it: columns=[..., {json.dumps(lost[0])}]."
                if self._schema.is_unread(lost[0])
                else f'Keep it, or name the new key: @transform("{self.name}", key=["..."]) (key=[] for none).',
            )
        for name in self.key_properties:
            texts = cells[name].texts
            if not texts.null_count:
                continue
            before = columns[name].values if name in columns else None
            fresh = texts.is_null()
            if before is not None:
                made = before.is_valid() if nowhere is None else pc.or_(before.is_valid(), nowhere)
                fresh = pc.and_(fresh, made)
            rows = [row for row, null in enumerate(fresh.to_pylist()) if null]
            if rows:
                raise TransformError(
                    f"stream '{self.name}': key column '{name}' is null in {len(rows)} rows of the result, "
                    f"first in row {rows[0]} (from 0).",
                    "Fill it or drop these rows in the function.",
                )

    def _schema_if_new(self) -> list[bytes | memoryview]:
        try:
            line = msgspec.json.encode(self._schema.message())
        except UnicodeEncodeError as exc:
            raise TransformError(
                f"stream '{self.name}': a column's name has a lone surrogate ({exc.object!a}), which is not Unicode.",
                "Rename it in the function.",
            ) from exc
        if line == self._sent:
            return []
        self._sent = line
        self._row_writer = None
        return [line + b"\n"]


def _repeated_rows(key: Sequence[pa.Array]) -> list[int]:
    """Rows whose key stands in an earlier row, too."""
    frame = pd.DataFrame({position: texts.to_pandas() for position, texts in enumerate(key)})
    return [int(row) for row in np.flatnonzero(frame.duplicated())]


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


def _omitted(cells: Mapping[str, Cells], columns: Mapping[str, Column]) -> dict[str, pa.Array]:
    """Per column where it happens at all: the rows whose key was absent and that still have no value."""
    found = {}
    for name, cell in cells.items():
        absent = columns[name].absent if name in columns else None
        if absent is not None and cell.texts.null_count:
            rows = pc.and_(absent, cell.texts.is_null())
            if pc.any(rows).as_py():
                found[name] = rows
    return found
