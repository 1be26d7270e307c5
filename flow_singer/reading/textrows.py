"""Rows of text cells to batches of a stream: each cell of its field's type, or dealt with as the settings say."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import DataError
from flow_singer.reading.csvrows import TextRows
from flow_singer.reading.fieldcells import Cells, describes_not_finite, field_cells, nulled, own_cells
from flow_singer.reading.readsettings import OnError
from flow_singer.reading.resourcedescription import Field, ResourceDescription
from flow_singer.tabular.batch import Batch, Column, filtered
from flow_singer.tabular.textarrays import TEXT
from flow_singer.wording import count_of


@dataclass
class Misfits:
    """Cells that are not what their field says, and what became of them.

    Attributes:
        on_error: what becomes of them.
        nulled: how many cells of a column are null therefore, by name.
        skipped: how many rows were left out.
        not_finite: how many numbers were NaN or infinite, which JSON has none for; by name.
    """

    on_error: OnError = "error"
    nulled: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    not_finite: dict[str, int] = field(default_factory=dict)

    def notices(self, title: str) -> Iterator[str]:
        """What a person should hear of them."""
        for name, count in self.nulled.items():
            yield f"{title}: null instead of {count_of(count, 'cell')} of '{name}' that did not fit its type."
        if self.skipped:
            yield f"{title}: {count_of(self.skipped, 'row')} left out, as a cell is not of its type, or there are more or fewer."
        for name, count in self.not_finite.items():
            yield f"{title}: null instead of {count_of(count, 'number')} of '{name}' that JSON does not have: NaN or infinite."

    def settle(
        self,
        cells: dict[str, Cells],
        first: int,
        title: str,
        texts: dict[str, pa.Array],
        fields: Sequence[Field],
    ) -> pa.Array | None:
        """Deal with bad cells.

        Args:
            cells: of n rows, by property.
            first: the number of the first row.
            title: of the file.
            texts: the cells as they came.
            fields: say of which types they should be.

        Returns:
            Which rows stay; None: all.

        Raises:
            DataError: a cell is bad, and nothing else was asked for.
        """
        drop = None
        for name, (_, bad) in cells.items():
            if bad is None:
                continue
            bad = self._without_not_finite(name, bad, texts[name])
            count = pc.sum(bad).as_py() or 0
            if not count:
                continue
            if self.on_error == "error":
                row = pc.index(bad, pa.scalar(True)).as_py()
                kind = next(one.descriptor.get("type", "any") for one in fields if one.name == name)
                raise DataError(
                    f"{title}, row {first + row}, column '{name}': {texts[name][row].as_py()!r} is not of its type, {kind}.",
                    "Correct it, or the schema; say the column's type with 'types'; or say what becomes of such "
                    "cells: 'on_error': 'null' or 'skip'.",
                )
            if self.on_error == "null":
                self.nulled[name] = self.nulled.get(name, 0) + count
            else:
                drop = bad if drop is None else pc.or_(drop, bad)
        if drop is None:
            return None
        self.skipped += pc.sum(drop).as_py()
        return pc.invert(drop)

    def _without_not_finite(self, name: str, bad: pa.Array, texts: pa.Array) -> pa.Array:
        """Count those that are no misfits, but numbers that JSON does not have."""
        rows = [row for row, is_bad in enumerate(bad.to_pylist()) if is_bad]
        gone = [row for row in rows if describes_not_finite(str(texts[row].as_py()))]
        if not gone:
            return bad
        self.not_finite[name] = self.not_finite.get(name, 0) + len(gone)
        left = set(rows) - set(gone)
        return pa.array([row in left for row in range(len(bad))])


def text_batch(
    rows: TextRows,
    description: ResourceDescription,
    places: Sequence[int | None],
    misfits: Misfits,
    title: str,
    *,
    sure: bool,
) -> Batch:
    """A batch of rows of text.

    Args:
        rows: n rows.
        description: says what the columns are.
        places: of each field its column among those of `rows`; None where the file lacks it.
        misfits: deals with cells that are not of their type.
        title: of the file.
        sure: whether the file is known to be what its description says.
    """
    texts: dict[str, pa.Array] = {}
    cells: dict[str, Cells] = {}
    for one, place in zip(description.fields, places, strict=True):
        source = pa.nulls(rows.size, TEXT) if place is None else rows.columns[place]
        texts[one.name] = source
        of = description.schema.properties[one.name]
        if description.is_flows:
            if len(description.fields) == 1 and one.missing == ("",):
                source = nulled(source, one.missing)  # quoted, as an empty line would be no row
            cells[one.name] = own_cells(of, source, sure=sure)
        else:
            cells[one.name] = field_cells(of, one, nulled(source, one.missing), sure=sure)
    kept = misfits.settle(cells, rows.first, title, texts, description.fields)
    return batch_of(description, {name: one.column for name, one in cells.items()}, rows.first, kept)


def batch_of(
    description: ResourceDescription, columns: dict[str, Column], first: int, kept: pa.Array | None
) -> Batch:
    """A batch of columns, less the rows that do not stay.

    Args:
        description: of the resource.
        columns: n cells each, by property, at least one.
        first: the number of the first row.
        kept: which rows stay; None: all.
    """
    count = len(next(iter(columns.values())).values)
    ordered = {name: columns[name] for name in description.schema.properties if name in columns}
    batch = Batch(description.schema, ordered, {}, {}, count, [(first, count)])
    return batch if kept is None else filtered(batch, kept)
