"""Batches as bytes, for a file or another process: a small header, then one Arrow record batch."""

from __future__ import annotations

from typing import IO, Any, Literal

import msgspec
import pyarrow as pa

from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, Column

_SIZE_BYTES = 8
_Meta = tuple[list[tuple[str, str, bool, bool]], int, list[tuple[int, int]]]
_meta_decoder = msgspec.json.Decoder(_Meta)


def write_batch(batch: Batch, file: IO[bytes], *, compression: Literal["lz4"] | None = None) -> None:
    """Write a batch to a file; its arrays go there without a copy where they are not compressed."""
    arrays: list[pa.Array] = []
    labels: list[tuple[str, str, bool, bool]] = []
    for group, columns in (("declared", batch.columns), ("undeclared", batch.undeclared)):
        for name, column in columns.items():
            labels.append((group, name, column.as_json, column.absent is not None))
            arrays.append(column.values)
            if column.absent is not None:
                arrays.append(column.absent)
    for key, texts in batch.envelope.items():
        labels.append(("envelope", key, True, False))
        arrays.append(texts)
    if batch.rest is not None:
        labels.append(("rest", "", True, False))
        arrays.append(batch.rest)
    table = pa.record_batch(arrays, names=[str(i) for i in range(len(arrays))])
    meta = msgspec.json.encode((labels, batch.count, batch.lines))
    meta += b" " * (-len(meta) % _SIZE_BYTES)  # Arrow's buffers are aligned
    file.write(len(meta).to_bytes(_SIZE_BYTES, "little") + meta)
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(file, table.schema, options=options) as writer:
        writer.write_batch(table)


def from_bytes(data: Any, schema: StreamSchema) -> Batch:
    """The batch again; its arrays are views of `data` where that was not compressed."""
    view = memoryview(data)
    start = _SIZE_BYTES + int.from_bytes(view[:_SIZE_BYTES], "little")
    labels, count, lines = _meta_decoder.decode(view[_SIZE_BYTES:start])
    table = pa.ipc.open_stream(pa.py_buffer(view[start:])).read_next_batch()
    arrays = iter(table.columns)
    columns: dict[str, dict[str, Column]] = {"declared": {}, "undeclared": {}}
    envelope = {}
    rest = None
    for group, name, as_json, has_absent in labels:
        values = next(arrays)
        if group == "envelope":
            envelope[name] = values
        elif group == "rest":
            rest = values
        else:
            absent = next(arrays) if has_absent else None
            columns[group][name] = Column(values, as_json, absent)
    return Batch(schema, columns["declared"], columns["undeclared"], envelope, count, lines, rest)
