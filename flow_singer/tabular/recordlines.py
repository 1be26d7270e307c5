"""Columns of JSON text, or carriers, joined to RECORD lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.tabular.batch import Batch, Column, json_texts
from flow_singer.tabular.outputrows import Cells, OutputRows
from flow_singer.tabular.textarrays import TEXT, escaped, join, text_bytes
from flow_singer.tabular.unreadmembers import BLANKS


def record_lines(
    stream: str, names: Iterable[str], rows: OutputRows, omitted: Mapping[str, pa.Array]
) -> memoryview:
    """RECORD lines of n rows.

    Args:
        stream: its name.
        names: the columns, in the order in which they are written.
        rows: n rows.
        omitted: per column that has such rows at all: where its key is left out.
    """
    cells, rest = rows.cells, rows.rest
    always: list[tuple[str, Cells]] = []
    sometimes: list[pa.Array] = []
    for name in names:
        label = json.dumps(name) + ":"
        if name not in cells:
            continue
        if name in omitted:
            part = join("," + label, cells[name].to_json().fill_null("null"))
            sometimes.append(pc.if_else(omitted[name], "", part))
            continue
        always.append((label, cells[name]))
    for name, column in rows.undeclared.items():
        part = join("," + json.dumps(name) + ":", column.values.fill_null("null"))
        sometimes.append(part if column.absent is None else pc.if_else(column.absent, "", part))
    parts: list[Any] = [pa.scalar(f'{{"type":"RECORD","stream":{json.dumps(stream)},"record":{{', TEXT)]
    if rest is not None:
        # Of two members of one name the last counts: what the function made beats what came.
        if always:
            parts.append(rest)
        else:
            first = pc.utf8_rtrim(rest, BLANKS)
            sometimes.insert(0, pc.if_else(pc.equal(first, ""), "", join(",", first)))
    if always:
        quote = ""  # the closing quote of the value before
        for position, (label, cell) in enumerate(always):
            is_bare = cell.strings and not cell.texts.null_count
            before = quote + ("," if position else "") + label
            quote = '"' if is_bare else ""
            parts += [pa.scalar(before + quote, TEXT), cell.texts if is_bare else cell.to_json()]
        parts += [pa.scalar(quote, TEXT), *sometimes]
    elif sometimes:
        # Every column lacks its key somewhere: no column can go without a leading comma.
        parts.append(pc.binary_replace_slice(join(*sometimes), 0, 1, ""))
    parts.append(pa.scalar("}", TEXT))
    for key, texts in rows.envelope.items():
        label = "," + json.dumps(key) + ":"
        if isinstance(texts, str):
            parts.append(pa.scalar(label + texts, TEXT))
        else:
            parts.append(pc.if_else(texts.is_null(), "", join(label, texts.fill_null(""))))
    parts += [pa.scalar("}\n", TEXT)]
    if not any(isinstance(part, pa.Array) for part in parts):
        parts.append(pa.array([""] * rows.count, TEXT))
    lines = pc.binary_join_element_wise(
        *parts, pa.scalar("", TEXT), null_handling="replace", null_replacement="null"
    )
    return text_bytes(lines)


def batch_lines(batch: Batch) -> memoryview:
    """RECORD lines of the records of a batch; a null stands where a property that may be null lacks its value.

    A null of a property that may not be null cannot be one: there the key is left out.
    """
    properties = batch.schema.properties
    cells = {name: _cells_of(column) for name, column in batch.columns.items()}
    omitted = {}
    for name, column in batch.columns.items():
        if column.absent is not None:
            omitted[name] = column.absent
        elif column.values.null_count and not properties[name].nullable and name not in batch.schema.required:
            omitted[name] = column.values.is_null()
    rows = OutputRows(cells, batch.count, batch.columns, batch.undeclared, batch.envelope)
    return record_lines(batch.schema.stream, cells, rows, omitted)


def _cells_of(column: Column) -> Cells:
    if not column.as_json and column.values.type == TEXT:
        return Cells(escaped(column.values), None, strings=True)
    return Cells(json_texts(column), None)
