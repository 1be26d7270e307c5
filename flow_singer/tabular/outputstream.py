"""Frames of one output stream to SCHEMA and RECORD lines.

The SCHEMA of an output stream is held back until its first rows are known, only ever widens, and is sent
again only when it changed: targets answer each SCHEMA with DDL or a new buffer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import pandas as pd
import pyarrow.compute as pc

from flow_singer.errors import TransformError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.keychecks import check_keys, check_unique
from flow_singer.tabular.outputframes import rows_of_frame
from flow_singer.tabular.outputrecords import rows_of_records
from flow_singer.tabular.outputrows import OutputRows
from flow_singer.tabular.outputschema import OutputSchema
from flow_singer.tabular.recordlines import record_lines
from flow_singer.tabular.rows import RowBatch, RowWriter
from flow_singer.tabular.steadytypes import Alone


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
        rows = rows_of_frame(
            frame, schema, batch, self._schema, self.notes, lacking=lacking or {}, alone=alone
        )
        blocks = self._write(rows, schema)
        if is_whole and self.key_properties:
            check_unique(self.name, self.key_properties, rows.cells, batch)
        return blocks

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
        kept = schema.properties if keeps and not self._schema.has_input(schema) else {}
        return self._write(rows_of_records(records, sources, positions, schema, kept), schema)

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

    def _write(self, rows: OutputRows, schema: StreamSchema | None) -> list[bytes | memoryview]:
        """Take the rows into the SCHEMA, and give both out: the SCHEMA where it is new, then the lines."""
        out, cells, count = self._schema, rows.cells, rows.count
        unread = {} if schema is None else schema.unread
        if schema is not None and not out.has_input(schema):
            out.add_input(schema)
            for name, one in unread.items():
                out.learn(name, dict(one.json_schema))
        omitted = rows.omitted()
        out.lack(omitted)
        for name, cell in cells.items():
            out.learn(name, cell.property, assumed=cell.assumed)
            if cell.texts.null_count > (pc.sum(omitted[name]).as_py() if name in omitted else 0):
                out.allow_null(name)
            if cell.not_finite:
                self.not_finite[name] = self.not_finite.get(name, 0) + cell.not_finite
        if count:  # a column that these rows have not is no null in them: a target keeps what it has there
            out.lack(out.properties.keys() - cells.keys() - unread.keys())
        check_keys(rows, out)
        blocks = self._schema_if_new()
        if count:
            blocks.append(record_lines(self.name, out.properties, rows, omitted))
            self.records += count
        return blocks

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
