"""JSON Lines: every key in every row, in the order of the columns; every value as it came."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.schema import Kind, Property
from flow_singer.tabular.batch import Column, json_texts
from flow_singer.tabular.textarrays import TEXT


class JsonLayout:
    """How rows become lines."""

    end_characters = len("}\n")
    bare_kinds: frozenset[Kind] = frozenset()

    def header(self, names: Sequence[str]) -> bytes:
        """JSON Lines has no first line of its own."""
        return b""

    def lines(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]], count: int
    ) -> pa.Array:
        """One line per row; a column that is None is null in every row."""
        if not any(column is not None for _, column in cells):
            nulls = ",".join(f"{_label(name)}null" for name in names)
            return pa.array([f"{{{nulls}}}\n"] * count, TEXT)
        parts = []
        for position, (name, (_, column)) in enumerate(zip(names, cells, strict=True)):
            parts.append(pa.scalar(("," if position else "{") + _label(name), TEXT))
            parts.append(pa.scalar(None, TEXT) if column is None else json_texts(column))
        return pc.binary_join_element_wise(
            *parts,
            pa.scalar("}\n", TEXT),
            pa.scalar("", TEXT),
            null_handling="replace",
            null_replacement="null",
        )

    def padding(self, names: Sequence[str], first: bool) -> str:
        """What ends a row that was written before the columns `names` were known."""
        joined = ",".join(f"{_label(name)}null" for name in names)
        return (joined if first else "," + joined) + "}\n"

    def visible(self, lines: pa.Array) -> pa.Array:
        """No line is empty."""
        return lines

    def as_json(self, lines: pa.Array, positions: Sequence[int]) -> pa.Array:
        """Every value is JSON."""
        return lines


def _label(name: str) -> str:
    return json.dumps(name) + ":"
