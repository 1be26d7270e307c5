"""Calling a user's function: fresh frames, the split check, and errors that name the row.

A batch is kept as lines until its function has succeeded, so that any part of it can be shown to the function
again as if for the first time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
import pandas as pd

from flow_singer.errors import DataError, FlowError, TransformError
from flow_singer.functions import StreamFunction, error_line
from flow_singer.results import Output, outputs_of
from flow_singer.tabular.batch import Batch, slice_batch
from flow_singer.tabular.frames import to_frame
from flow_singer.tabular.lines import OutputStream
from flow_singer.tabular.rows import RowBatch
from flow_singer.tabular.table import table_of

SPLIT_CHECK_RECORDS = 4096
SPLIT_CHECK_CELLS = 100_000
"""The split check looks at the head of the first batch: enough to see a group or a sort, cheap to repeat."""

SPLIT_CHECK_STREAMS = 20
"""How many streams of one function are checked: for one that takes hundreds, the rest would tell nothing new."""


@dataclass(frozen=True)
class BatchResult:
    """What a function made of a batch, and the rows it was made from."""

    batch: Batch
    outputs: list[Output]


RejectRow = Callable[[Batch, int, FlowError], None]


def call_on_batch(
    function: StreamFunction,
    batch: Batch,
    *,
    unreadable: dict[str, int] | None = None,
    reject: RejectRow | None = None,
) -> Iterator[BatchResult]:
    """Call a batch function; where it fails, find the row.

    Args:
        function: one of mode `batch`.
        batch: n records.
        unreadable: see [`to_frame`][flow_singer.tabular.frames.to_frame].
        reject: called as `reject(batch, row, error)` for a row that makes the function fail; the other rows
            are shown to it again without that row.

    Raises:
        TransformError: the function failed, or returned something that is no table.
    """
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        try:
            yield BatchResult(part, _call(function, part, unreadable))
            continue
        except TransformError as failure:
            bad = _find_row(function, part)
            if bad is None or reject is None:
                raise _located(failure, part, bad) from failure.__cause__
            reject(part, bad, failure)
        unreadable = None  # counted already
        rest = [(bad + 1, part.count), (0, bad)]
        waiting += [slice_batch(part, start, stop) for start, stop in rest if start < stop]


def _call(function: StreamFunction, batch: Batch, unreadable: dict[str, int] | None = None) -> list[Output]:
    return call_function(function, [to_frame(batch, unreadable=unreadable)], batch.schema.stream)


def call_function(function: StreamFunction, frames: list[pd.DataFrame], stream: str) -> list[Output]:
    """Call a function on frames and read what it returned.

    Raises:
        TransformError: it failed; names file, line, function, stream and columns.
    """
    columns = list(frames[0].columns)
    try:
        result = function.call(*frames)
        return list(outputs_of(result, function, columns))
    except FlowError:
        raise
    except (Exception, SystemExit) as exc:
        raise function_error(exc, function, stream, columns) from exc


def function_error(
    exc: BaseException, function: StreamFunction, stream: str, columns: list[str]
) -> TransformError:
    """The error for an exception in a user's function."""
    where = error_line(exc, function.path)
    reason = f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__
    shown = ", ".join(columns[:30]) + (", …" if len(columns) > 30 else "")
    hint = None
    if isinstance(exc, KeyError):
        hint = f"Is the column selected, and spelt as in the SCHEMA? Its columns are: {shown}."
        if function.columns is not None:
            hint = f"It sees what its columns=[...] names, and the key: {shown}."
    return TransformError(
        f"{function.path.name}{where}, function '{function.name}', stream '{stream}': {reason}.",
        hint or f"Columns: {shown}.",
    )


def _located(failure: TransformError, batch: Batch, row: int | None) -> TransformError:
    if row is None:
        last = batch.line_of(batch.count - 1)
        where = f"input lines {batch.line_of(0)} to {last}"
    else:
        where = f"input line {batch.line_of(row)} (row {row} of the batch, from 0)"
    return TransformError(f"{failure.message} At {where}.", failure.hint)


def _find_row(function: StreamFunction, batch: Batch) -> int | None:
    """The first row that makes the function fail by itself; None where no single row does."""
    if _fails(function, slice_batch(batch, 0, 0)):
        return None  # it is no row's fault: a misspelt column, say
    start, stop = 0, batch.count
    while stop - start > 1:
        middle = (start + stop) // 2
        if _fails(function, slice_batch(batch, start, middle)):
            stop = middle
        elif _fails(function, slice_batch(batch, middle, stop)):
            start = middle
        else:
            return None
    if batch.count == 1 or _fails(function, slice_batch(batch, start, stop)):
        return start
    return None


def _fails(function: StreamFunction, batch: Batch) -> bool:
    try:
        _call(function, batch)
    except TransformError:
        return True
    return False


def dtypes_alone(function: StreamFunction, batch: Batch, stream: str | None, row: int) -> dict[str, Any]:
    """The dtypes of the columns that a function makes of one record of a batch.

    Args:
        function: one of mode `batch` that does not look across rows.
        batch: the records.
        stream: the name of the output, None for the input's.
        row: of the record among them.
    """
    try:
        outputs = _call(function, slice_batch(batch, row, row + 1))
    except TransformError:
        return {}
    return {
        name: cells.dtype
        for output in outputs
        if output.stream == stream
        for name, cells in table_of(output.frame, function.name).arrays.items()
    }


def check_split(function: StreamFunction, batch: Batch, turn: int = 1) -> None:
    """Refuse a batch function whose result depends on where the batch ends.

    Args:
        function: one of mode `batch`.
        batch: the first batch; its head is looked at.
        turn: the how manyth stream of the function this is: the later, the less of it is looked at.

    Raises:
        TransformError: the results of two halves are not the result of the whole, twice in a row.
    """
    enough = min(SPLIT_CHECK_RECORDS, SPLIT_CHECK_CELLS // max(1, len(batch.columns)) // turn)
    head = slice_batch(batch, 0, min(batch.count, max(2, enough)))
    if head.count < 2:
        return
    middle = head.count // 2
    whole = _records(function, head)
    try:
        first = _records(function, slice_batch(head, 0, middle))
        second = _records(function, slice_batch(head, middle, head.count))
        joined = {name: first.get(name, []) + second.get(name, []) for name in [*first, *second]}
    except DataError:
        joined = {}
    if joined == whole or _records(function, head) != whole:  # the latter: random, a clock, a counter
        return
    raise TransformError(
        f"{function.where} gives another result for a batch of stream '{batch.schema.stream}' than for its "
        "two halves: it looks across rows, but sees one batch at a time.",
        "If it needs every row, declare it @transform(whole=True); if a batch is all it means to see, "
        "@transform(batch=True).",
    )


def _records(function: StreamFunction, batch: Batch) -> dict[str, list[dict[str, Any]]]:
    """The records that the function's results would become, without nulls, per output stream."""
    found: dict[str, list[dict[str, Any]]] = {}
    for output in _call(function, batch):
        name = output.stream or batch.schema.stream
        writer = OutputStream(name, key=[])
        for block in writer.write_frame(
            output.frame, batch.schema, None
        ):  # values alone, not how they were written
            for message in _decode_lines(bytes(block)):
                if message["type"] == "RECORD":
                    record = {k: v for k, v in message["record"].items() if v is not None}
                    found.setdefault(name, []).append(record)
    return found


def _decode_lines(block: bytes) -> list[dict[str, Any]]:
    try:
        return _any_decoder.decode_lines(block)
    except msgspec.DecodeError:  # lone surrogates
        return [json.loads(line) for line in block.splitlines()]


_any_decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def call_on_rows(
    function: StreamFunction, rows: RowBatch, start: int = 0
) -> Iterator[tuple[int, str | None, dict[str, Any]]]:
    """Call a row function on records, from row `start` on.

    Yields:
        For every record it returned: the row it came from, its output stream (None: the input's), the record.

    Raises:
        RowError: it failed, or returned something that is no record; names the input line.
    """
    call, single = function.call, not function.into
    for position in range(start, len(rows.messages)):
        message = rows.messages[position]
        try:
            result = call(message.record)
            if single and type(result) is dict:
                yield position, None, dict(result)  # a copy: the function may use its dict again
                continue
            found = list(_row_results(result, function))
        except TransformError as exc:
            raise RowError(position, exc, rows.line_of(position)) from exc
        except (Exception, SystemExit) as exc:
            columns = list(message.record)
            error = function_error(exc, function, message.stream, columns)
            raise RowError(position, error, rows.line_of(position)) from exc
        for name, record in found:
            yield position, name, record


class RowError(TransformError):
    """A row function failed; `row` says where."""

    def __init__(self, row: int, failure: TransformError, line: int) -> None:
        super().__init__(f"{failure.message} At input line {line}.", failure.hint)
        self.row = row


def _row_results(result: object, function: StreamFunction) -> Iterator[tuple[str | None, dict[str, Any]]]:
    if result is None:
        return
    if isinstance(result, Mapping):
        if function.into and result and set(result) <= set(function.into):
            for name, part in result.items():
                for _, record in _row_results(part, function):
                    yield str(name), record
            return
        yield None, dict(result)
        return
    if isinstance(result, str | bytes) or not hasattr(result, "__iter__"):
        raise TransformError(
            f"{function.where} returned {type(result).__qualname__}, which is no record.",
            "A row function returns a dict, None, or several dicts.",
        )
    for one in result:
        yield from _row_results(one, function)
