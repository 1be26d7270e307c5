"""Functions that see one record of a stream at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from flow_singer.errors import TransformError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import concat_batches
from flow_singer.tabular.frames import to_frame
from flow_singer.tabular.parts import Part
from flow_singer.tabular.rows import RowBatch, decode_rows
from flow_singer.transforms.calls import RowError, call_on_rows, check_returns
from flow_singer.transforms.drops import Drop
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.rejecters import record_rejecter
from flow_singer.transforms.results import Output
from flow_singer.transforms.streamrunner import Shared, StreamRunner

_Found = dict[str | Drop | None, tuple[list[int], list[dict[str, Any]]]]
"""Per output stream (None: the input's), the rows that its records came from, and the records."""


class RowRunner(StreamRunner):
    """Calls its function once per record, as a dict; no frame is made."""

    decodes_in_parallel: ClassVar[bool] = False

    def __init__(self, function: StreamFunction, schema: StreamSchema, shared: Shared) -> None:
        check_returns(function, schema.stream)
        super().__init__(function, schema, shared)
        self._has_answered = False
        """Whether the function gave a record, or dropped one by name."""

    def run(self, parts: Sequence[Part]) -> None:
        """Call the function on each record."""
        reject = record_rejecter(self._shared.reject, self.stream)
        for part in parts:
            rows = decode_rows(part, self._shared.nan, reject)
            if found := self._call(rows):
                self._has_answered = True
                self._write(found, rows)

    def _call(self, rows: RowBatch) -> _Found:
        found: _Found = {}
        start: int | None = 0
        while start is not None:
            try:
                for position, name, record in call_on_rows(self.function, rows, start):
                    if name not in found:
                        found[name] = [], []
                    positions, records = found[name]
                    positions.append(position)
                    records.append(record)
                start = None
            except RowError as error:
                if self._shared.reject is None:
                    raise
                self._shared.reject(rows.line_of(error.row), self.stream, rows.text_of(error.row), error)
                start = error.row + 1
        return found

    def _write(self, found: _Found, rows: RowBatch) -> None:
        outputs = self._shared.outputs
        for name, (positions, records) in found.items():
            if isinstance(name, Drop):
                self._shared.notices.dropped(self.function, self.stream, len(positions))
                continue
            writer = outputs.of(self.function, name, self.stream)
            keeps = name in (None, self.stream)
            blocks = writer.write_rows(records, rows, positions, self.schema, keeps=keeps)
            outputs.write_blocks(writer, blocks, len(records))

    def finish(self) -> None:
        """Write a SCHEMA where no record is left, unless the function says that the stream is dropped."""
        if self._has_answered:
            return
        if self.buffer.total:
            self._shared.notices.dropped(self.function, self.stream, self.buffer.total)
        if self.function.drop:
            return
        empty = concat_batches(self.schema, [])
        try:
            self._shared.outputs.write(self.function, Output(None, to_frame(empty)), self.schema, empty)
        except TransformError as exc:
            self._shared.notices.no_schema(self.function, self.stream, exc.message)
