"""Whether the rows of a function's result still have the key of their stream."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import TransformError
from flow_singer.tabular.batch import Batch, json_texts
from flow_singer.tabular.outputrows import Cells, OutputRows
from flow_singer.tabular.outputschema import OutputSchema
from flow_singer.wording import count_of


def check_keys(rows: OutputRows, output: OutputSchema) -> None:
    """Refuse rows of an output stream without a key; a key that was null when its record came is let pass.

    Raises:
        TransformError: a key column is missing, or null in a row.
    """
    stream, key, cells = output.name, output.key_properties, rows.cells
    lost = [name for name in key if name not in cells]
    if lost:
        raise TransformError(
            f"stream '{stream}': key column {', '.join(map(repr, lost))} is missing from the result; "
            f"its columns are {', '.join(cells)}.",
            f"Let the function see it: columns=[..., {json.dumps(lost[0])}]."
            if output.is_unread(lost[0])
            else f'Keep it, or name the new key: @transform("{stream}", key=["..."]) (key=[] for none).',
        )
    for name in key:
        texts = cells[name].texts
        if not texts.null_count:
            continue
        before = rows.columns[name].values if name in rows.columns else None
        fresh = texts.is_null()
        if before is not None:
            made = before.is_valid()
            if rows.nowhere is not None:
                made = pc.or_(made, rows.nowhere)
            fresh = pc.and_(fresh, made)
        nulls = [row for row, null in enumerate(fresh.to_pylist()) if null]
        if nulls:
            raise TransformError(
                f"stream '{stream}': key column '{name}' is null in {count_of(len(nulls), 'row')} of the result, "
                f"first in row {nulls[0]} (from 0).",
                "Fill it or drop these rows in the function.",
            )


def check_unique(stream: str, key: Sequence[str], cells: Mapping[str, Cells], batch: Batch | None) -> None:
    """Refuse rows that share a key, but for as many as did so in the batch that they came from.

    Raises:
        TransformError: rows of the result repeat the key of an earlier one.
    """
    texts = {name: cells[name].texts for name in key}
    repeated = _repeated_rows(list(texts.values()))
    known: list[int] = []
    if repeated and batch is not None and batch.columns.keys() >= set(key):
        known = _repeated_rows([json_texts(batch.columns[name]) for name in key])
    if len(repeated) > len(known):
        named = ", ".join(f"{name} {texts[name][repeated[0]].as_py()}" for name in key)
        raise TransformError(
            f"stream '{stream}': the key of an earlier row comes again in {count_of(len(repeated), 'row')}"
            f" of the result, first in row {repeated[0]} (from 0): {named}.",
            "A target would keep only the last of them. Name the key that tells them apart: key=[...].",
        )


def _repeated_rows(key: Sequence[pa.Array]) -> list[int]:
    """Rows whose key stands in an earlier row, too."""
    frame = pd.DataFrame({position: texts.to_pandas() for position, texts in enumerate(key)})
    return [int(row) for row in np.flatnonzero(frame.duplicated())]
