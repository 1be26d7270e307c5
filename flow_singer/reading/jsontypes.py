"""The JSON Schema of rows that are JSON already, from all of them or a sample.

A value is never converted: a text that looks like a number is a text. Texts are date-times only where each of them is
one as RFC 3339 has it, with its offset.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import DataError
from flow_singer.reading.jsonrows import record_head
from flow_singer.singer.badlines import excerpt
from flow_singer.singer.linenumbers import count_lines
from flow_singer.singer.references import type_of
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, Column
from flow_singer.tabular.parts import Part, split_part
from flow_singer.tabular.recorddecoder import RecordDecoder

_FIRST = 500
"""How many rows show what others probably are."""
_STAMP = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:\d\d)$"
)
_DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
_ORDER = ("null", "boolean", "integer", "number", "string", "array", "object")


class JsonTypes:
    """What is known of the properties of rows.

    Args:
        stream: the name of their stream, which the lines of `take` name.

    Attributes:
        types: JSON types by name.
        formats: what all texts of a property still can be: date-time, date.
    """

    def __init__(self, stream: str) -> None:
        self._stream = stream
        self.types: dict[str, set[str]] = {}
        self.formats: dict[str, set[str]] = {}
        self._decoder: RecordDecoder | None = None

    def properties(self) -> dict[str, dict[str, Any]]:
        """The properties, each nullable, in the order in which they came."""
        return {name: self._property(name) for name in self.types}

    def _property(self, name: str) -> dict[str, Any]:
        types = self.types[name] - {"null"}
        if not types:
            return {"type": ["null", "string"]}
        if "number" in types:
            types.discard("integer")
        made: dict[str, Any] = {"type": ["null", *(one for one in _ORDER if one in types)]}
        if types == {"string"} and len(self.formats[name]) == 1:
            (made["format"],) = self.formats[name]
        if "array" in types:
            made["items"] = {}
        return made

    def take(self, part: Part, title: str) -> None:
        """Take the next rows.

        Args:
            part: RECORD lines of the stream.
            title: of their file.

        Raises:
            DataError: a row is no JSON object.
        """
        if self._decoder is None:
            count = count_lines(part.lines)
            head, part = split_part(part, min(_FIRST, count))
            self._look(head, title)
            if not part.data:
                return
        if not self._fits(part):
            self._look(part, title)

    def _fits(self, part: Part) -> bool:
        """Whether rows are what those before were; what their texts can be is narrowed down."""
        assert self._decoder is not None
        if not any(self.formats.values()):
            return self._decoder.fits(part)
        try:
            batch = self._decoder.decode([part])
        except DataError:
            return False
        if batch.undeclared:
            return False
        self._narrow(batch)
        return True

    def _narrow(self, batch: Batch) -> None:
        for name, column in batch.columns.items():
            if self.formats.get(name) and self.types[name] - {"null"} == {"string"}:
                self.formats[name] = {one for one in self.formats[name] if _are(one, column)}

    def _look(self, part: Part, title: str) -> None:
        """Look at each value, and know what to expect of those that follow."""
        numbers = [number for first, count in part.lines for number in range(first, first + count)]
        for number, line in zip(numbers, part.data.split(b"\n"), strict=False):
            try:
                record = msgspec.json.decode(line)["record"]
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                record = _exactly(line, number, title, record_head(self._stream))
            for name, value in record.items():
                self.types.setdefault(name, set()).add(type_of(value))
                if isinstance(value, str):
                    known = self.formats.setdefault(name, {"date-time", "date"})
                    if known:
                        self.formats[name] = {
                            one for one in known if _are(one, Column(pa.array([value]), False))
                        }
                else:
                    self.formats.setdefault(name, {"date-time", "date"})
        schema = {"type": "object", "properties": self.properties()}
        self._decoder = RecordDecoder(
            StreamSchema({"type": "SCHEMA", "stream": self._stream, "schema": schema})
        )


def _exactly(line: bytes, number: int, title: str, head: bytes) -> dict[str, Any]:
    """A row that the fast reader refuses.

    Args:
        line: its RECORD line.
        number: its place in the file.
        title: of the file.
        head: what was put before the row.
    """
    row = line.removeprefix(head).removesuffix(b"}")
    try:
        return dict(json.loads(row))
    except (ValueError, RecursionError) as exc:
        raise DataError(
            f"{title}, line {number} is no JSON: {exc}: {excerpt(row)}", "Correct the line, or leave it out."
        ) from exc


def _are(form: str, column: Column) -> bool:
    """Whether all texts of a column are of a format."""
    texts = column.values.drop_null()
    pattern = _STAMP if form == "date-time" else _DATE
    if not pc.all(pc.match_substring_regex(texts, pattern), min_count=0).as_py():
        return False
    try:
        pc.utf8_slice_codeunits(texts, 0, 10).cast(pa.date32())
    except pa.ArrowInvalid:
        return False
    return True


def infer(types: JsonTypes, parts: Iterable[Part], title: str, sample_rows: int | None) -> bool:
    """Find the types of rows.

    Args:
        types: what is known already, of files before; added to.
        parts: RECORD lines of the stream.
        title: of the file.
        sample_rows: how many rows to look at; None: all.

    Returns:
        Whether all rows were looked at.

    Raises:
        DataError: a row is no JSON object.
    """
    left = sample_rows
    for part in parts:
        if left is not None:
            if left <= 0:
                return False
            count = count_lines(part.lines)
            if count > left:
                types.take(split_part(part, left)[0], title)
                return False
            left -= count
        types.take(part, title)
    return True
