"""Rows that are newer than a bookmark.

Source: the Singer convention: a run begins with the rows whose replication key is that of the bookmark, as others of
the same key may have come since.
"""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import ConfigError
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Batch, Column

_ORDERED = frozenset({"integer", "number", "decimal", "decimal-text", "date-time", "date", "string"})


class ReplicationKey:
    """The column that an incremental run goes by.

    Args:
        one: its property.
        start: the value of the bookmark; None: all rows are new.

    Attributes:
        name: of the column.
        newest: the greatest value so far, as it stands in the data.

    Raises:
        ConfigError: values of its type have no order, or the bookmark is not of that type.
    """

    def __init__(self, one: Property, start: Any) -> None:
        if one.kind not in _ORDERED:
            raise ConfigError(
                f"The replication key '{one.name}' has values without an order.",
                "Take a column of numbers, dates or texts.",
            )
        self.name = one.name
        self.newest: Any = start
        self._kind = one.kind
        self._start = None if start is None else self._bookmark(start)
        self._greatest: Any = self._start

    def _bookmark(self, start: Any) -> Any:
        text = str(start)
        value = self._ordered(pa.array([text], pa.large_string())) if self._kind != "integer" else None
        if self._kind == "integer":
            try:
                return int(Decimal(text))
            except InvalidOperation:
                value = pa.nulls(1)
        assert value is not None
        if not value[0].is_valid:
            raise ConfigError(
                f"The bookmark {start!r} of '{self.name}' is not of the column's type.",
                "Correct it with flow state set, or start anew with --full-refresh.",
            )
        return value[0].as_py()

    def newer(self, batch: Batch) -> pa.Array | None:
        """Which rows are not older than the bookmark; None: all. A row without a value is new each time."""
        column = batch.columns.get(self.name)
        if column is None:
            return None
        values = self._of(column)
        self._notice(values, column)
        if self._start is None:
            return None
        start = pa.scalar(self._start, values.type)
        return pc.fill_null(pc.greater_equal(values, start), True)

    def _notice(self, values: pa.Array, column: Column) -> None:
        greatest = pc.max(values).as_py() if len(values) else None
        if greatest is None or (self._greatest is not None and greatest <= self._greatest):
            return
        row = pc.index(values, pa.scalar(greatest, values.type)).as_py()
        found = column.values[row].as_py()
        self.newest = _plain_number(found) if column.as_json else found
        self._greatest = greatest

    def _of(self, column: Column) -> pa.Array:
        if self._kind == "integer" and not column.as_json:
            return column.values.cast(pa.decimal128(38, 0))
        return self._ordered(column.values)

    def _ordered(self, texts: pa.Array) -> pa.Array:
        """Texts as values that can be compared; null where one is none."""
        match self._kind:
            case "integer" | "number" | "decimal" | "decimal-text":
                return _cast(texts, pa.decimal128(38, 9 if self._kind != "integer" else 0))
            case "date-time":
                return _instants(texts)
            case "date":
                return _cast(texts, pa.date32())
        return texts


def _cast(texts: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        return pa.array([_one(text, kind) for text in texts.to_pylist()], kind)


def _one(text: str | None, kind: pa.DataType) -> Any:
    if text is None:
        return None
    try:
        if pa.types.is_decimal(kind):
            return round(Decimal(text), kind.scale)
        return pa.scalar(text).cast(kind).as_py()
    except (pa.ArrowInvalid, InvalidOperation):
        return None


def _instants(texts: pa.Array) -> pa.Array:
    try:
        return texts.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        return pa.array([_instant(text) for text in texts.to_pylist()], pa.timestamp("us", "UTC"))


def _instant(text: str | None) -> Any:
    from datetime import UTC, datetime

    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _plain_number(text: str) -> Any:
    """A number of JSON, whole where it is whole; a text where a float would lose digits."""
    value = Decimal(text)
    if value == value.to_integral_value():
        return int(value)
    return float(text) if Decimal(repr(float(text))) == value else text
