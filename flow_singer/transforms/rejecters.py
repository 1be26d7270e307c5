"""How each part of a transform sets aside what it cannot use: a line, a record, or a row.

Each function here gives None where nothing is set aside: then the first bad one raises.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from flow_singer.errors import FlowError, MessageError
from flow_singer.tabular.batch import Batch, slice_batch
from flow_singer.tabular.frames import to_frame
from flow_singer.tabular.outputstream import OutputStream
from flow_singer.transforms.calls import RejectRow

Reject: TypeAlias = Callable[[int, str | None, bytes, FlowError], None]
"""Called as `reject(line_number, stream, line, error)`."""


def line_rejecter(reject: Reject | None) -> Callable[[int, bytes, MessageError], None] | None:
    """For lines that are no message."""
    if reject is None:
        return None
    return lambda number, line, error: reject(number, None, line, error)


def record_rejecter(reject: Reject | None, stream: str) -> Callable[[int, bytes, FlowError], None] | None:
    """For records of a stream that do not fit its SCHEMA, and for lines that prove to be no message."""
    if reject is None:
        return None
    return lambda number, line, error: reject(
        number, None if isinstance(error, MessageError) else stream, line, error
    )


def row_rejecter(reject: Reject | None, stream: str) -> RejectRow | None:
    """For rows that make a function fail."""
    if reject is None:
        return None

    def reject_row(batch: Batch, row: int, error: FlowError) -> None:
        one = slice_batch(batch, row, row + 1)
        lines = OutputStream(stream, key=[]).write_frame(to_frame(one), one.schema, one)
        reject(batch.line_of(row), stream, bytes(lines[-1]).rstrip(b"\n"), error)

    return reject_row
