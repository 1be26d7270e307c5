"""The rows of records that a function of one record returned: each column as JSON text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from flow_singer.singer.schema import Property, StreamSchema
from flow_singer.tabular.batch import Column
from flow_singer.tabular.objectencoding import encode_values
from flow_singer.tabular.outputrows import OutputRows
from flow_singer.tabular.rows import RowBatch


def rows_of_records(
    records: Sequence[dict[str, Any]],
    sources: RowBatch,
    positions: Sequence[int],
    schema: StreamSchema,
    kept: Mapping[str, Property],
) -> OutputRows:
    """Encode records, column by column.

    Args:
        records: n records.
        sources: the rows they came from.
        positions: of the n records among these rows.
        schema: SCHEMA of the stream they came from.
        kept: properties that become columns even where no record has them, if none had them when it came.
    """
    rows = [{str(key): value for key, value in record.items()} for record in records]
    names: dict[str, None] = {}
    for row in rows:
        names.update(dict.fromkeys(row))
    known = schema.properties
    if unmet := kept.keys() - names:
        names.update(dict.fromkeys(unmet - sources.names(positions)))
    ordered = [name for name in known if name in names] + [name for name in names if name not in known]
    cells, columns = {}, {}
    for name in ordered:
        absent = [name not in row for row in rows]
        cells[name] = encode_values([row.get(name) for row in rows], known.get(name))
        if any(absent):
            before = cells[name].texts
            if name in schema.key_properties:  # whether a row came without it, or lost it
                pairs = zip(absent, positions, strict=True)
                before = pa.array([sources.had(row, name) if gone else None for gone, row in pairs])
            columns[name] = Column(before, as_json=True, absent=pa.array(absent, pa.bool_()))
    return OutputRows(cells, len(rows), columns, {}, sources.envelope(positions))
