"""One stream on its way into a file: the union of its columns, its keys and versions, what its values are."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.datapackage.fitting import fallback, fits
from flow_singer.datapackage.names import column_name
from flow_singer.datapackage.rowkeys import KeyLog, VersionLog
from flow_singer.datapackage.textcells import plain_texts
from flow_singer.errors import RecordError
from flow_singer.singer.fields import field_of
from flow_singer.singer.schema import Property, StreamSchema, read_property, widen
from flow_singer.tabular.batch import Batch, Column, json_texts
from flow_singer.tabular.textarrays import TEXT


class Held(NamedTuple):
    """What a file says of a column when it has ended.

    Attributes:
        field_type: its Table Schema type, where that differs from what its property says.
        stored: the format's own type, where it has types.
        instead_of: the format's own type that its property has, where some value did not fit it.
    """

    field_type: str | None
    stored: str
    instead_of: str | None


class RowFile(Protocol):
    """A file of rows in one format; see [`TextFile`][flow_singer.datapackage.textfile.TextFile]."""

    path: Path
    decides: frozenset[str]
    """Table Schema types that `finish` decides on; for all others the values are looked at as they come."""

    def append(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]], count: int
    ) -> None:
        """Write `count` rows."""

    def finish(
        self, names: Sequence[str], properties: Sequence[Property], keep: npt.NDArray[np.bool_] | None
    ) -> dict[str, Held]:
        """End the file; return what it says of its columns, by their names."""

    @property
    def sha256(self) -> str:
        """Hex digest of the ended file."""

    def close(self) -> None:
        """Let go of the file where it is."""


@dataclass
class TableColumn:
    """One column of a stream's file.

    Attributes:
        name: the column's name in the file.
        source: what the SCHEMAs so far allow in it.
        declared: whether a SCHEMA declares it; else records just had it.
        field_type: its Table Schema type.
        stored_type: the format's own type, once the file has ended, where it has types.
        nulls: how many cells are null.
        empties: how many cells are an empty text.
        like_null: how many cells hold the very text that stands for null.
    """

    name: str
    source: Property
    declared: bool
    field_type: str
    stored_type: str | None = None
    nulls: int = 0
    empties: int = 0
    like_null: int = 0

    @property
    def is_text(self) -> bool:
        """Whether an empty text is a value of it."""
        return self.source.kind in ("string", "date", "date-time", "decimal-text")


class StreamTable:
    """Writes the batches of one stream to a file.

    Args:
        schema: the first SCHEMA of the stream.
        file: takes the rows.
        null_text: the text that stands for null; None where the format has a null of its own.
        notice: called with what a person should hear, once each.
    """

    def __init__(
        self,
        schema: StreamSchema,
        file: RowFile,
        *,
        null_text: str | None = None,
        notice: Callable[[str], None],
    ) -> None:
        self.schema = schema
        self.file = file
        self.columns: dict[str, TableColumn] = {}
        self.rows = 0
        self.dropped = 0
        self._null_text = null_text
        self._notice = notice
        self._keys: KeyLog | None = None
        self._key_changed = False
        self._versions = VersionLog()
        self.extend(schema)

    def extend(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: add its columns, widen those that it declares otherwise."""
        if schema.key_properties != self.schema.key_properties:
            self._key_changed = True
            self._notice(
                f"stream '{schema.stream}': key_properties changed from {self.schema.key_properties} to "
                f"{schema.key_properties} midway; rows under one key do not replace those under the other."
            )
        if schema.key_properties and self._keys is None:
            self._keys = KeyLog(self.file.path.with_name(self.file.path.name + ".keys"), self.rows)
        self.schema = schema
        for one in schema.properties.values():
            column = self.columns.get(one.name)
            if column is None:
                self._add(one, declared=True)
            elif column.source.json_schema != one.json_schema:
                # What no SCHEMA declared may have been anything, and stays a column of any type.
                wider = read_property(one.name, widen(column.source.json_schema, one.json_schema))
                before = _field_type(column.source)
                column.declared, column.source = True, wider
                if column.field_type == before:
                    column.field_type = _field_type(wider)
                elif column.field_type != _field_type(wider):
                    column.field_type = "any" if wider.kind == "json" else "string"

    def append(self, batch: Batch) -> None:
        """Write a batch.

        Raises:
            RecordError: a record lacks its key, or a text that the format has no place for.
        """
        for name, undeclared in batch.undeclared.items():
            if name in self.columns:
                if undeclared.values.null_count < batch.count:
                    self._allow_any(self.columns[name])
            else:
                self._notice(
                    f"stream '{self.schema.stream}': records have '{name}', which the SCHEMA does not "
                    "declare; it is written as a column of any type."
                )
                self._add(read_property(name, {}), declared=False)
        cells = []
        for name, column in self.columns.items():
            carrier = batch.columns.get(name) or batch.undeclared.get(name)
            # A carrier is read by the SCHEMA that it came under, not by what the column became.
            one = batch.schema.properties.get(name, column.source)
            if carrier is not None and column.source.kind == "json" != one.kind:
                one, carrier = column.source, Column(json_texts(carrier), as_json=True)
            self._learn(column, one, carrier, batch.count)
            cells.append((one, carrier))
        if self._keys is not None:
            self._keys.append(batch)
        self._versions.append(batch)
        self.file.append([column.name for column in self.columns.values()], cells, batch.count)
        self.rows += batch.count

    def activate_version(self, version: int) -> None:
        """Drop the rows of older versions, at the end."""
        self._versions.activated = version

    def finish(self) -> None:
        """End the file."""
        keep = np.ones(self.rows, dtype=np.bool_)
        self._versions.mark_replaced(keep)
        if self._keys is not None:
            self._keys.mark_superseded(keep)
            self._keys.close()
        kept = int(np.count_nonzero(keep))
        self.dropped = self.rows - kept
        columns = list(self.columns.values())
        ended = self.file.finish(
            [column.name for column in columns],
            [column.source for column in columns],
            keep if self.dropped else None,
        )
        self.rows = kept
        if self.dropped:
            self._notice(
                f"stream '{self.schema.stream}': {self.dropped} rows were replaced by later rows of the "
                "same key, or by another version."
            )
        for column in columns:
            self._tell_ambiguous(column)
            if (held := ended.get(column.name)) is not None:
                self._take(column, held)

    def close(self) -> None:
        """Let go of the files where they are."""
        self.file.close()
        if self._keys is not None:
            self._keys.close()

    def discard(self) -> None:
        """Remove the file, and what stands beside it while it is written."""
        self.close()
        beside = self.file.path
        for suffix in ("", ".lengths", ".columns", ".new"):
            beside.with_name(beside.name + suffix).unlink(missing_ok=True)

    @property
    def primary_key(self) -> list[str]:
        """Names of the key columns; empty where rows have no key, or not one key."""
        names = self.schema.key_properties
        if self._key_changed or not all(name in self.columns for name in names):
            return []
        return [self.columns[name].name for name in names]

    def _add(self, one: Property, *, declared: bool) -> None:
        if _SURROGATE.search(one.name):
            raise RecordError(
                f"Stream '{self.schema.stream}' has records with the key {one.name!a}, whose lone surrogate is "
                "not Unicode and cannot be the name of a column.",
                "Rename it in a transform.",
            )
        taken = {column.name for column in self.columns.values()} | self.schema.properties.keys() - {one.name}
        name = column_name(one.name, taken)
        self.columns[one.name] = TableColumn(name, one, declared, _field_type(one), nulls=self.rows)

    def _allow_any(self, column: TableColumn) -> None:
        """An earlier SCHEMA declared the column, this one does not: its values may be of any type."""
        if column.source.kind == "json":
            return
        self._notice(
            f"stream '{self.schema.stream}': records have '{column.source.name}', which the SCHEMA no longer "
            "declares; its column becomes one of any type."
        )
        column.source, column.field_type = read_property(column.source.name, {}), "any"

    def _tell_ambiguous(self, column: TableColumn) -> None:
        where = f"stream '{self.schema.stream}', column '{column.name}'"
        if self._null_text == "" and column.nulls and column.empties:
            self._notice(
                f"{where}: {column.empties} empty texts read as null, as the cells of its "
                f"{column.nulls} nulls are empty too. To tell them apart, have nulls written as a text of their own, such as \\N."
            )
        if self._null_text and column.like_null:
            self._notice(
                f"{where}: {column.like_null} values are '{self._null_text}' themselves and read as null. "
                "Have nulls written as another text."
            )

    def _take(self, column: TableColumn, held: Held) -> None:
        """What the file says of a column; told where it is not what its property promised."""
        column.stored_type = held.stored
        if held.field_type not in (None, column.field_type):
            self._notice(self._misfit(column, held.field_type))
            column.field_type = held.field_type
        elif held.instead_of is not None:
            self._notice(
                f"stream '{self.schema.stream}', column '{column.name}': some values do not fit "
                f"{held.instead_of}, which its SCHEMA says; the column becomes {held.stored}."
            )

    def _misfit(self, column: TableColumn, becomes: str) -> str:
        return (
            f"stream '{self.schema.stream}', column '{column.name}': some values are no "
            f"{column.field_type}, or not exactly; they stay as they are, and the column becomes type {becomes}."
        )

    def _learn(self, column: TableColumn, one: Property, carrier: Column | None, count: int) -> None:
        if carrier is None:
            column.nulls += count
            return
        column.nulls += carrier.values.null_count
        if column.field_type not in self.file.decides and not fits(one, column.field_type, carrier):
            self._notice(self._misfit(column, fallback(column.field_type)))
            column.field_type = fallback(column.field_type)
        if carrier.values.type == TEXT and column.is_text:
            empty = '""' if carrier.as_json else ""
            column.empties += _count(pc.equal(carrier.values, empty))
        if self._null_text and (carrier.values.type == TEXT or _LIKE_JSON.fullmatch(self._null_text)):
            column.like_null += _count(pc.equal(plain_texts(one, carrier), self._null_text))


_SURROGATE = re.compile("[\ud800-\udfff]")
_LIKE_JSON = re.compile(r"-?\d\S*|true|false")
"""What the cell of a number or a boolean may be."""


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask, min_count=0).as_py())


def _field_type(one: Property) -> str:
    kind: Any = field_of(one, required=False)["type"]
    return str(kind)
