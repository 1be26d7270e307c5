"""What a user's function returned, as frames or rows per output stream.

A function may return a DataFrame; DROP; {stream: any of these}; rows (dicts, or lists in column order); or a
pair (data, Table Schema).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from flow_singer.errors import TransformError
from flow_singer.singer.fields import properties_from_table_schema
from flow_singer.tabular.resulttable import NO_TABLE, table_of, unknown_rows
from flow_singer.transforms.drops import DROP, Drop, forgotten_return
from flow_singer.transforms.functions import StreamFunction
from flow_singer.wording import count_of, type_name


@dataclass
class Output:
    """One output of one call.

    Attributes:
        stream: its name; None for "the stream that came in".
        frame: n rows.
        properties: properties that the function declared beside its data.
        key: key that it declared beside its data.
        dropped: whether the stream is dropped; the frame is empty then.
        lacking: of rows given as dicts, per column the rows that lack its key: so do their records.
    """

    stream: str | None
    frame: pd.DataFrame
    properties: Mapping[str, Any] = field(default_factory=dict)
    key: list[str] | None = None
    dropped: bool = False
    lacking: Mapping[str, list[bool]] = field(default_factory=dict)


def outputs_of(
    result: object, function: StreamFunction, columns: Iterable[str], stream: str
) -> Iterator[Output]:
    """Yield what a function returned.

    Args:
        result: the value it returned.
        function: for messages.
        columns: the columns of its first input, which rows given as lists follow.
        stream: what it was called for, for messages.

    Raises:
        TransformError: a value that is none of the accepted ones.
    """
    if isinstance(result, Mapping) and not _looks_like_row(result):
        for name, part in result.items():
            for output in _single(part, function, list(columns), str(name)):
                output.stream = str(name)
                yield output
        return
    yield from _single(result, function, list(columns), stream)


def _looks_like_row(result: Mapping[Any, Any]) -> bool:
    # a Series is told of by its stream
    accepted = (pd.DataFrame, pd.Series, list, tuple, type(None), Drop)
    return bool(result) and not all(isinstance(part, accepted) or _is_rows(part) for part in result.values())


def _is_rows(value: object) -> bool:
    return isinstance(value, Iterator)


def _single(result: object, function: StreamFunction, columns: list[str], stream: str) -> Iterator[Output]:
    if result is None and not function.drop:
        raise forgotten_return(function.where, stream)
    if result is None or result is DROP:
        yield Output(None, pd.DataFrame(), dropped=True)
        return
    if isinstance(result, pd.DataFrame):
        # Of no rows, pandas knows no columns.
        yield Output(None, result) if any(result.shape) else _output_of_rows([], function, columns)
        return
    if (
        isinstance(result, tuple)
        and len(result) == 2
        and isinstance(result[1], Mapping)
        and "fields" in result[1]
    ):
        properties, key = properties_from_table_schema(result[1])
        for output in _single(result[0], function, list(properties) or columns, stream):
            output.properties, output.key = properties, key
            yield output
        return
    if isinstance(result, (str, bytes, Mapping, *NO_TABLE)) or not isinstance(result, Iterable):
        raise unusable(result, function)
    yield _output_of_rows(result, function, columns)


def _output_of_rows(rows: Iterable[Any], function: StreamFunction, columns: list[str]) -> Output:
    rows = list(rows)
    if rows and all(isinstance(row, pd.DataFrame) for row in rows):
        return Output(None, pd.concat(rows))
    records: list[dict[Any, Any]] = []
    for row in rows:
        if isinstance(row, Mapping):
            records.append({str(name): value for name, value in row.items()})
        elif isinstance(row, list | tuple):
            if len(row) != len(columns):
                raise TransformError(
                    f"{function.where} returned a row of {count_of(len(row), 'value')} for {count_of(len(columns), 'column')}.",
                    "Return dicts, or a pair (rows, Table Schema).",
                )
            records.append(dict(zip(columns, row, strict=True)))
        elif isinstance(row, pd.DataFrame):
            arrays = {name: pd.Series(cells) for name, cells in table_of(row, function.name).arrays.items()}
            records.extend(pd.DataFrame(arrays).to_dict("records"))
        else:
            raise unusable(row, function)
    names: dict[str, None] = {}
    for record in records:
        names.update(dict.fromkeys(record))
    data = {
        name: pd.Series(
            [record.get(name) for record in records], dtype=object, index=pd.RangeIndex(len(records))
        )
        for name in names or columns
    }
    frame = pd.DataFrame(data)
    # Labels beyond any batch, so that these rows are not taken for the batch's own.
    frame.index = unknown_rows(len(records))
    lacking = {name: [name not in record for record in records] for name in names}
    return Output(None, frame, lacking={name: rows for name, rows in lacking.items() if any(rows)})


def unusable(value: object, function: StreamFunction) -> TransformError:
    """The error for a value that cannot become records."""
    return TransformError(
        f"{function.where} returned {type_name(value)}, which is no table.",
        next(
            (hint for kind, hint in NO_TABLE.items() if isinstance(value, kind)),
            "Return a DataFrame, flow_singer.DROP, {stream: DataFrame}, rows (dicts), or (data, Table Schema).",
        ),
    )
