"""The input columns that columns on their way out may have come from, and what is left as it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.schema import Kind, Property, inferred
from flow_singer.tabular.batch import Column
from flow_singer.tabular.frames import plain_array, source_texts, to_array


@dataclass(frozen=True)
class Source:
    """The input column of the same name.

    Attributes:
        property: its property in the input SCHEMA.
        column: its carrier, the n cells matched to the output's; None where nothing tells which is which.
        shown: what a frame showed of these n cells, where that is known.
        pool: its carrier with the cells of the whole batch, where nothing tells which is which.
    """

    property: Property
    column: Column | None
    shown: np.ndarray | None = None
    pool: Column | None = None

    def plain(self, column: Column) -> np.ndarray:
        """What a frame shows of dates or numbers: datetime64s in UTC, or floats."""
        if self.shown is not None:
            return self.shown
        shown = plain_array(to_array(self.property.kind, column))
        if shown is None:
            raise TypeError(f"a column of kind {self.property.kind} shows neither dates nor floats")
        return shown

    def cells_of(self, *kinds: Kind) -> Column | None:
        """The carrier, where the rows are matched and the kind is one of `kinds`."""
        return self.column if self.property.kind in kinds else None


def kept_property(source: Source | None, *kinds: Kind, type: str | None = None) -> dict[str, Any] | None:
    """The input property, where its kind is one of `kinds`, or it allows several types and `type` among them."""
    if source is None:
        return None
    one = source.property
    if one.kind in kinds or (type and one.kind == "json" and fits(one, {type}, {None})):
        return dict(one.json_schema)
    return None


def restored(texts: pa.Array, kind: Kind, column: Column, same: pa.Array) -> pa.Array:
    """The texts, but where a cell is the same as it was, the text that it came with."""
    before = source_texts(kind, column)
    return texts if before is None else pc.if_else(same.fill_null(False), before, texts)


def fits(one: Property, types: set[str], formats: set[str | None]) -> bool:
    """Whether a property allows values of these JSON types, and texts of these formats."""
    match one.kind:
        case "json":
            return not one.types or types <= one.types or (types == {"integer"} and "number" in one.types)
        case "decimal" | "number" | "decimal-text":
            return types <= (OF_DECIMAL_TEXT if one.kind == "decimal-text" else {"integer", "number"})
        case "integer" | "boolean":
            return types <= {one.kind}
        case "date-time" | "date":
            return types <= {"string"} and formats <= {one.kind, None}
    return types <= {"string"}


OF_DECIMAL_TEXT = frozenset({"integer", "number", "string"})  # `n/a` stays a text beside Decimals


def property_of(types: set[str], formats: set[str | None]) -> dict[str, Any]:
    """The property of values of these JSON types, and texts of these formats."""
    names = sorted(types - {"integer"} if "number" in types else types)
    keywords: dict[str, Any] = {}
    if types == {"string"} and len(formats) == 1 and None not in formats:
        keywords["format"] = next(iter(formats))
    if "array" in types:
        keywords["items"] = {}
    return inferred(names, **keywords)


def equal_integers(values: pa.Array, column: Column) -> pa.Array:
    """Where integers are those of a carrier."""
    before = to_array("integer", column)
    if before.dtype == object:
        same = [a == b for a, b in zip(values.to_pylist(), before, strict=True)]
        return pa.array(same, pa.bool_())
    return pc.equal(values, pa.array(before, pa.int64(), from_pandas=True))
