"""The rows of a Parquet file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from flow_singer.errors import DataError
from flow_singer.reading.arrowcells import arrow_cells
from flow_singer.reading.csvrows import check_header
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.resourcedescription import ResourceDescription
from flow_singer.reading.textrows import Misfits, batch_of
from flow_singer.tabular.batch import Batch

_ROWS = 5_000


def parquet_batches(
    file: Path,
    title: str,
    found: ResourceDescription,
    settings: ReadSettings,
    misfits: Misfits,
    notice: Callable[[str], None],
) -> Iterator[Batch]:
    """The rows, some at once.

    Args:
        file: of the resource.
        title: of the file.
        found: the resource.
        settings: what a person said.
        misfits: takes cells that are not of their type.
        notice: called with what a person should hear.

    Raises:
        DataError: the file cannot be read, or has not the columns of its schema.
    """
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            names = opened.schema_arrow.names
            columns = [field.column for field in found.fields]
            places = check_header(names, columns, title=title, trust=settings.trust, notice=notice)
            first = 1
            for table in opened.iter_batches(_ROWS):
                cells = {}
                for field, place in zip(found.fields, places, strict=True):
                    values = pa.nulls(table.num_rows) if place is None else table.column(place)
                    of = found.schema.properties[field.name]
                    cells[field.name] = arrow_cells(of, values, own=found.is_flows)
                texts = {
                    field.name: table.column(place)
                    for field, place in zip(found.fields, places, strict=True)
                    if place is not None
                }
                kept = misfits.settle(cells, first, title, texts, found.fields)
                yield batch_of(found, {name: one.column for name, one in cells.items()}, first, kept)
                first += table.num_rows
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as exc:
        raise DataError(f"{title} cannot be read as Parquet: {exc}.", "Get the file again.") from exc
