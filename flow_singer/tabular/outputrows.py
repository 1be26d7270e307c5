"""Rows on their way out: each column as JSON text, beside what came with the records they are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import join


@dataclass(frozen=True)
class Cells:
    """One column, ready to be written.

    Attributes:
        texts: n JSON texts; null is null.
        property: what describes them; None where no cell has a value and the dtype tells nothing.
        not_finite: how many cells were infinite and are written as null, as JSON has no such number.
        assumed: whether all cells are null, so that no value confirms the property.
        strings: whether all are strings, in `texts` without the quotes around them: those are cheaper to
            add when lines are joined.
    """

    texts: pa.Array
    property: dict[str, Any] | None
    not_finite: int = 0
    strings: bool = False
    assumed: bool = False

    def to_json(self) -> pa.Array:
        """n JSON texts; null is null."""
        return join('"', self.texts, '"') if self.strings else self.texts


@dataclass(frozen=True)
class OutputRows:
    """n rows of an output stream, ready to be written.

    Attributes:
        cells: the columns of the result, n cells each.
        count: n.
        columns: what the records had that the rows came from: per property n cells, with the rows that lack it.
        undeclared: keys of these records that no SCHEMA declares, n cells each.
        envelope: what stands beside `record`, for each row or for all.
        nowhere: which rows came from no record; None where that is not known, or all came from one.
        rest: n texts of members that the function did not see, a comma behind each; None where there are none.
    """

    cells: dict[str, Cells]
    count: int
    columns: Mapping[str, Column]
    undeclared: Mapping[str, Column]
    envelope: Mapping[str, pa.Array | str]
    nowhere: pa.Array | None = None
    rest: pa.Array | None = None

    def omitted(self) -> dict[str, pa.Array]:
        """Per column where it happens at all: the rows whose key was absent and that still have no value."""
        found = {}
        for name, cell in self.cells.items():
            absent = self.columns[name].absent if name in self.columns else None
            if absent is not None and cell.texts.null_count:
                rows = pc.and_(absent, cell.texts.is_null())
                if pc.any(rows).as_py():
                    found[name] = rows
        return found
