"""One column of a stream's file: what the SCHEMAs allow in it, and what its values have turned out to be."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.datapackage.fitting import fallback, fits
from flow_singer.datapackage.rowfile import Held
from flow_singer.datapackage.textcells import plain_texts
from flow_singer.singer.fields import field_of
from flow_singer.singer.schema import Property, read_property, widen
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT
from flow_singer.wording import count_of


@dataclass
class TableColumn:
    """One column of a stream's file.

    Methods that return a text return what a person should hear of the column; None where there is nothing to say.

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

    @classmethod
    def of(cls, one: Property, name: str, *, declared: bool, rows: int) -> TableColumn:
        """The column of a property; the rows that the file has already are null in it."""
        return cls(name, one, declared, _field_type(one), nulls=rows)

    @classmethod
    def of_field(cls, field: Mapping[str, Any], root: Mapping[str, Any]) -> TableColumn:
        """The column that a field of Flow's descriptor tells of, before the first row of a further file.

        Args:
            field: of the Table Schema.
            root: the JSON Schema of its stream.
        """
        name, type_ = str(field["name"]), str(field["type"])
        source = read_property(str(field.get("flow:property", name)), field.get("flow:jsonSchema", {}), root)
        return cls(name, source, bool(field.get("flow:declared", True)), type_)

    @property
    def is_text(self) -> bool:
        """Whether an empty text is a value of it."""
        return self.source.kind in ("string", "date", "date-time", "decimal-text")

    def declare(self, one: Property) -> None:
        """Allow what a later SCHEMA declares, besides what was allowed before."""
        if self.source.json_schema == one.json_schema:
            return
        # What no SCHEMA declared may have been anything, and stays a column of any type.
        wider = read_property(one.name, widen(self.source.json_schema, one.json_schema))
        before = _field_type(self.source)
        self.declared, self.source = True, wider
        if self.field_type == before:
            self.field_type = _field_type(wider)
        elif self.field_type != _field_type(wider):
            self.field_type = "any" if wider.kind == "json" else "string"

    def allow_any(self) -> None:
        """Allow values of any type."""
        self.source, self.field_type = read_property(self.source.name, {}), "any"

    def learn(
        self,
        one: Property,
        carrier: Column | None,
        count: int,
        *,
        decides: frozenset[str],
        null_text: str | None,
    ) -> str | None:
        """Look at the next cells: how many are null or empty, and whether they are of the column's type.

        Args:
            one: the property that the cells came under.
            carrier: the cells; None where all are null.
            count: how many there are.
            decides: the types that the file itself decides on when it ends.
            null_text: the text that stands for null; None where the format has a null of its own.
        """
        if carrier is None:
            self.nulls += count
            return None
        told = None
        self.nulls += carrier.values.null_count
        if self.field_type not in decides and not fits(one, self.field_type, carrier):
            told = self._misfit(fallback(self.field_type))
            self.field_type = fallback(self.field_type)
        if carrier.values.type == TEXT and self.is_text:
            empty = '""' if carrier.as_json else ""
            self.empties += _count(pc.equal(carrier.values, empty))
        if null_text and (carrier.values.type == TEXT or _LIKE_JSON.fullmatch(null_text)):
            self.like_null += _count(pc.equal(plain_texts(one, carrier), null_text))
        return told

    def end(self, held: Held) -> str | None:
        """Take what the ended file says of the column; told where its property promised something else."""
        self.stored_type = held.stored
        if held.field_type not in (None, self.field_type):
            told = self._misfit(held.field_type)
            self.field_type = held.field_type
            return told
        if held.instead_of is not None:
            return (
                f"some values do not fit {held.instead_of}, which its SCHEMA says; the column becomes "
                f"{held.stored}."
            )
        return held.note

    def ambiguity(self, null_text: str | None) -> str | None:
        """Which of its values read as null though they are none."""
        if null_text == "" and self.nulls and self.empties:
            return (
                f"{count_of(self.empties, 'empty text reads', 'empty texts read')} as null, as the cells of its "
                f"{count_of(self.nulls, 'null is', 'nulls are')} empty too. To tell them apart, have nulls written as a text of their own, such as \\N."
            )
        if null_text and self.like_null:
            return (
                f"{count_of(self.like_null, 'value is', 'values are')} '{null_text}', which reads as null. "
                "Have nulls written as another text."
            )
        return None

    def _misfit(self, becomes: str) -> str:
        return (
            f"some values are no {self.field_type}, or not exactly; they stay as they are, and the column "
            f"becomes type {becomes}."
        )


_LIKE_JSON = re.compile(r"-?\d\S*|true|false")
"""What the cell of a number or a boolean may be."""


def _count(mask: pa.Array) -> int:
    return int(pc.sum(mask, min_count=0).as_py())


def _field_type(one: Property) -> str:
    kind: Any = field_of(one, required=False)["type"]
    return str(kind)
