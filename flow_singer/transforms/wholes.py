"""Functions that need every row: which buffers each gets at the end, and what its outputs came from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from flow_singer.errors import TransformError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, concat_batches
from flow_singer.tabular.frames import to_frame
from flow_singer.transforms.buffers import Buffer
from flow_singer.transforms.calls import call_function
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.results import Output


class WholeOutput(NamedTuple):
    """One output, and the stream that its columns and rows are compared with; None where there is none."""

    output: Output
    schema: StreamSchema | None
    batch: Batch | None


def whole_calls(buffers: Iterable[Buffer]) -> list[tuple[StreamFunction, list[Buffer]]]:
    """Every call that is due: a function, and the buffers of its parameters in order.

    Raises:
        TransformError: a stream that a function needs never came.
    """
    by_function: dict[int, list[Buffer]] = {}
    for buffer in buffers:
        if buffer.spool is not None:
            by_function.setdefault(id(buffer.function), []).append(buffer)
    calls = []
    for group in by_function.values():
        function = group[0].function
        if function.mode == "package":
            calls.append((function, group))
        elif len(function.streams) > 1:
            calls.append((function, _in_order(function, group)))
        else:
            calls += [(function, [buffer]) for buffer in group]
    return calls


def _in_order(function: StreamFunction, buffers: list[Buffer]) -> list[Buffer]:
    by_name = {buffer.schema.stream: buffer for buffer in buffers}
    missing = [name for name in function.streams if name not in by_name]
    if missing:
        raise TransformError(
            f"{function.where} needs stream {', '.join(map(repr, missing))}, which never came.",
            "Select it in the tap, or take it out of @transform.",
        )
    return [by_name[name] for name in function.streams]


def call_whole(
    function: StreamFunction, buffers: list[Buffer], unreadable: dict[str, dict[str, int]]
) -> list[WholeOutput]:
    """Call a function on all rows of its streams.

    Args:
        function: one of mode `whole` or `package`.
        buffers: one per parameter; all of them for a package function.
        unreadable: per stream, see [`to_frame`][flow_singer.tabular.frames.to_frame].

    Raises:
        TransformError: it failed, or returned something that is no table.
    """
    names = [buffer.schema.stream for buffer in buffers]
    batches = [_all_rows(buffer) for buffer in buffers]
    frames = [
        to_frame(batch, unreadable=unreadable.setdefault(name, {}))
        for name, batch in zip(names, batches, strict=True)
    ]
    if function.mode == "package":
        from flow_singer.transforms.runpackage import call_package

        outputs = call_package(function, names, frames, [buffer.schema for buffer in buffers])
    else:
        outputs = call_function(function, frames, ", ".join(names))
    only = names[0] if len(names) == 1 else None
    found = []
    for output in outputs:
        name = output.stream or next(iter(function.into or ()), "")
        source = name if name in names else only
        batch = None if source is None else batches[names.index(source)]
        found.append(WholeOutput(output, batch.schema if batch else None, batch))
    return found


def _all_rows(buffer: Buffer) -> Batch:
    return buffer.spool.read(buffer.schema) if buffer.spool else concat_batches(buffer.schema, [])
