"""Columns that wait as Arrow data in a file, for a format in which something is known only at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT


class WaitingColumns:
    """The rows of one stream until they are written.

    Args:
        path: of the file that they are for; they wait beside it.

    Attributes:
        rows: how many there are.
    """

    def __init__(self, path: Path) -> None:
        self.rows = 0
        self._path = path.with_name(path.name + ".columns")
        self._file = self._path.open("xb")
        self._sizes: list[int] = []

    def append(self, cells: Sequence[tuple[Property, Column | None]], count: int) -> None:
        """Take `count` rows; columns may only be added from call to call, at the end."""
        arrays = [pa.nulls(count, TEXT) if column is None else column.values for _, column in cells]
        as_json = bytes(column is None or column.as_json for _, column in cells)
        batch = pa.record_batch(
            [*arrays, pa.nulls(count)],  # the last one holds the number of rows where there is no column
            schema=pa.schema(
                [*(pa.field(str(i), a.type) for i, a in enumerate(arrays)), pa.field("", pa.null())],
                {b"as_json": as_json.hex().encode()},
            ),
        )
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(
            sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression="lz4")
        ) as writer:
            writer.write_batch(batch)
        data = sink.getvalue()
        self._file.write(data)
        self._sizes.append(data.size)
        self.rows += count

    def read(self, width: int) -> Iterator[tuple[list[Column | None], int]]:
        """All rows, and how many at once.

        Args:
            width: how many columns there are at the end; one that some rows do not have is None there.
        """
        self._file.flush()
        with self._path.open("rb") as file:
            for size in self._sizes:
                batch = pa.ipc.open_stream(file.read(size)).read_next_batch()
                as_json = bytes.fromhex(batch.schema.metadata[b"as_json"].decode())
                columns: list[Column | None] = [
                    Column(values, bool(flag)) for values, flag in zip(batch.columns, as_json, strict=False)
                ]
                columns += [None] * (width - len(columns))
                yield columns, batch.num_rows

    def remove(self) -> None:
        """Forget them."""
        self.close()
        self._path.unlink()

    def close(self) -> None:
        """Let go of the file where it is."""
        self._file.close()
