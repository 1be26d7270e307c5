"""Calling a user's function: fresh frames, and errors that name the row.

A batch is kept as lines until its function has succeeded, so that any part of it can be shown to the function
again as if for the first time.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from flow_singer.errors import FlowError, TransformError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.process.interrupts import Interrupted
from flow_singer.tabular.batch import Batch, slice_batch
from flow_singer.tabular.frames import to_frame
from flow_singer.tabular.resulttable import table_of
from flow_singer.tabular.rows import RowBatch
from flow_singer.transforms.drops import DROP, Drop, ForgottenReturnError, forgotten_return, never_returns
from flow_singer.transforms.forks import end_child, process
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.raised import (
    chain_of,
    deliver,
    describe_exception,
    error_line,
    has_left_debugger,
    interruption_behind,
    readable,
)
from flow_singer.transforms.results import Output, outputs_of


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
        ForgottenReturnError: it returned None, which no row is to blame for.
    """
    waiting = [batch]
    while waiting:
        part = waiting.pop()
        try:
            yield BatchResult(part, call_on_frame(function, part, unreadable))
            continue
        except ForgottenReturnError as failure:
            raise _located(failure, part, None) from None
        except TransformError as failure:
            bad = None if function.once or has_left_debugger(failure) else _find_row(function, part)
            if bad is None or reject is None:
                raise _located(failure, part, bad) from failure.__cause__
            reject(part, bad, failure)
        unreadable = None  # counted already
        rest = [(bad + 1, part.count), (0, bad)]
        waiting += [slice_batch(part, start, stop) for start, stop in rest if start < stop]


def call_on_frame(
    function: StreamFunction, batch: Batch, unreadable: dict[str, int] | None = None
) -> list[Output]:
    """Call a batch function once, on all records of a batch."""
    return call_function(function, [to_frame(batch, unreadable=unreadable)], batch.schema.stream)


def call_function(function: StreamFunction, frames: list[pd.DataFrame], stream: str) -> list[Output]:
    """Call a function on frames and read what it returned.

    Raises:
        TransformError: it failed; names file, line, function, stream and columns.
    """
    columns = list(frames[0].columns)
    with calling(function, stream, columns):
        return list(outputs_of(function.call(*frames), function, columns, stream))


@contextlib.contextmanager
def calling(function: StreamFunction, stream: str, columns: list[str]) -> Iterator[None]:
    """Run a user's code: whatever it raises is an error of its function, and a process it forked ends here.

    Raises:
        TransformError: it failed, or what it returned cannot be used.
        Interrupted: a signal came meanwhile, whatever the code made of that.
    """
    try:
        yield
    except BaseException as exc:
        if interruption := interruption_behind(exc):
            raise interruption from None
        if function.once and has_left_debugger(exc):
            raise Interrupted(signal.SIGINT) from None
        raise function_error(exc, function, stream, columns) from exc
    finally:
        end_child(function.where)
    deliver()


def function_error(
    exc: BaseException, function: StreamFunction, stream: str, columns: list[str]
) -> TransformError:
    """The error for an exception in a user's function; one that is Flow's own is that already."""
    if isinstance(exc, TransformError) and not error_line(exc, function.path):
        return naming(function, exc)
    where = next(filter(None, (error_line(one, function.path) for one in chain_of(exc))), "")
    reason = describe_exception(exc).removesuffix(".")
    shown = readable(", ".join(map(str, columns[:30])) + (", …" if len(columns) > 30 else ""))
    hint = None
    if isinstance(exc, KeyError):
        near = near_names(
            str(exc.args[0]) if exc.args else "", [one for one in columns if isinstance(one, str)]
        )
        meant = (
            did_you_mean([repr(one) for one in near[:2]])
            or "Is the column selected, and spelt as in the SCHEMA?"
        )
        hint = readable(f"{meant} Its columns are: {shown}.")
        if function.columns is not None:
            hint = f"It sees what its columns=[...] names, and the key: {shown}."
    elif (
        isinstance(exc, TypeError) and not where and len(function.streams) == 1 and function.mode != "package"
    ):
        hint = f"It is called with one argument: def {function.name}({'record' if function.mode == 'rows' else 'df'})"
    elif has_left_debugger(exc):
        reason = "breakpoint() has no terminal here"
        hint = f"Write the messages to a file, then: flow transform --debug {function.path.name} < messages.jsonl"
    return TransformError(
        f"{function.path.name}{where}, function '{function.name}', stream '{stream}': {reason}.",
        hint or f"Columns: {shown}.",
    )


def naming(function: StreamFunction, error: TransformError) -> TransformError:
    """The error with the function in front, unless it names that already."""
    if type(error) is not TransformError or function.path.name in error.message:
        return error
    return TransformError(f"{function.where}: {error.message}", error.hint)


def _located(failure: TransformError, batch: Batch, row: int | None) -> TransformError:
    if row is None:
        first, last = batch.line_of(0), batch.line_of(batch.count - 1)
        where = f"input lines {first} to {last}" if first < last else f"input line {first}"
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
        call_on_frame(function, batch)
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
        outputs = call_on_frame(function, slice_batch(batch, row, row + 1))
    except TransformError:
        return {}
    return {
        name: cells.dtype
        for output in outputs
        if output.stream == stream
        for name, cells in table_of(output.frame, function.name).arrays.items()
    }


def call_on_rows(
    function: StreamFunction, rows: RowBatch, start: int = 0
) -> Iterator[tuple[int, str | Drop | None, dict[str, Any]]]:
    """Call a row function on records, from row `start` on.

    Yields:
        For every record it returned: the row it came from, its output stream (None: the input's), the record.
        Where it returned DROP, that stands for the stream, and the record is empty.

    Raises:
        RowError: it failed, or returned something that is no record; names the input line.
        ForgottenReturnError: nothing that it could return is a record.
    """
    call, single = function.call, not function.into
    for position in range(start, len(rows.messages)):
        message = rows.messages[position]
        try:
            result = call(message.record)
            is_one = single and type(result) is dict
            found = () if is_one else list(_row_results(result, function))
        except BaseException as exc:
            if interruption := interruption_behind(exc):
                raise interruption from None
            error = function_error(exc, function, message.stream, list(message.record))
            raise RowError(position, error, rows.line_of(position)) from exc
        finally:
            if process.is_child:
                end_child(function.where)
        if is_one:
            yield position, None, dict(result)  # a copy: the function may use its dict again
            continue
        for name, record in found:
            yield position, name, record
    deliver()


class RowError(TransformError):
    """A row function failed; `row` says where."""

    def __init__(self, row: int, failure: TransformError, line: int) -> None:
        super().__init__(f"{failure.message} At input line {line}.", failure.hint)
        self.row = row


def check_returns(function: StreamFunction, stream: str) -> None:
    """Refuse a row function without any `return` of a value: None drops a record, but not each of them by mistake.

    Raises:
        ForgottenReturnError: it has none.
    """
    if function.mode == "rows" and not function.drop and never_returns(function.call):
        raise forgotten_return(function.where, stream)


def _row_results(
    result: object, function: StreamFunction
) -> Iterator[tuple[str | Drop | None, dict[str, Any]]]:
    if result is None:
        return
    if result is DROP:
        yield DROP, {}
        return
    if isinstance(result, Mapping):
        if function.into and result and set(result) <= set(function.into):
            for name, part in result.items():
                for inner, record in _row_results(part, function):
                    if inner is not DROP:  # of one of its streams: no record there, as with None
                        yield str(name), record
            return
        yield None, dict(result)
        return
    if isinstance(result, str | bytes) or not hasattr(result, "__iter__"):
        raise TransformError(
            f"{function.where} returned {type(result).__qualname__}, which is no record.",
            "A row function returns a dict, several dicts, or None to drop the record.",
        )
    for one in result:
        yield from _row_results(one, function)
