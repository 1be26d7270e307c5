"""Functions that see every row of their streams: called once, behind the proper end of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Self

from flow_singer.errors import MessageError, TransformError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch, concat_batches
from flow_singer.tabular.frames import to_frame
from flow_singer.tabular.parts import Part
from flow_singer.transforms.calls import call_function
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.results import Output
from flow_singer.transforms.spool import BATCH_BYTES, Spool
from flow_singer.transforms.streamrunner import Shared, StreamRunner


class WholeRunner(StreamRunner):
    """Keeps all records of one stream, for a function of modes `whole` or `package`.

    Attributes:
        spool: what was decoded; None once the function was called.
    """

    needs_every_row: ClassVar[bool] = True
    most_batch_bytes: ClassVar[int] = BATCH_BYTES

    def __init__(self, function: StreamFunction, schema: StreamSchema, shared: Shared) -> None:
        super().__init__(function, schema, shared)
        self.spool: Spool | None = Spool()
        self._versions: list[bytes] = []

    @property
    def oldest_line(self) -> int | None:
        """Number of the stream's first record line, as long as the function was not called."""
        kept = self.spool.first_line if self.spool is not None else None
        return self.buffer.oldest_line if kept is None else kept

    @property
    def kept_rows(self) -> tuple[int, int]:
        """See `StreamRunner.kept_rows`."""
        return (self.spool.records, self.spool.stored_bytes) if self.spool is not None else (0, 0)

    def change_schema(self, schema: StreamSchema, line_number: int) -> None:
        """Go on under a SCHEMA that has other columns, too.

        Raises:
            MessageError: it says something else of a column that was there before.
        """
        widened = schema if self.spool is None else self.spool.widened(self.schema, schema)
        if widened is None:
            raise MessageError(
                f"Line {line_number}: the SCHEMA of stream '{self.stream}' changed while {self.function.where} "
                "waits for all of its rows.",
                "A whole-stream function needs one SCHEMA, but for columns that come and go; run the tap "
                "again from the beginning.",
            )
        if widened is not self.schema:
            super().change_schema(widened, line_number)

    def activate_version(self, line: bytes) -> None:
        """Keep the stream's ACTIVATE_VERSION until its records are written."""
        self._versions.append(line)

    def run(self, parts: Sequence[Part]) -> None:
        """Have records decoded, and keep them."""
        if self.spool is not None:
            self._shared.parallel.decode(self._decoder, parts, self.spool.add)

    @classmethod
    def finish_complete(cls, runners: Sequence[Self], shared: Shared) -> None:
        """Call every function once on all rows of its streams, and write what it made of them.

        Raises:
            TransformError: a function failed, or a stream that it needs never came.
        """
        for function, group in _calls(runners):
            _call(function, group, shared)
            for runner in group:
                runner._write_versions()

    def take_all(self) -> Batch:
        """All rows; nothing is kept here from then on."""
        return self.spool.read(self.schema) if self.spool else concat_batches(self.schema, [])

    def _write_versions(self) -> None:
        self.spool = None
        for line in self._versions:
            self._shared.outputs.activate_version(self.stream, line)
        self._versions.clear()


def _calls(runners: Sequence[WholeRunner]) -> list[tuple[StreamFunction, list[WholeRunner]]]:
    """Every call that is due: a function, and the runners of its parameters in order."""
    by_function: dict[int, list[WholeRunner]] = {}
    for runner in runners:
        by_function.setdefault(id(runner.function), []).append(runner)
    calls: list[tuple[StreamFunction, list[WholeRunner]]] = []
    for group in by_function.values():
        function = group[0].function
        if function.mode == "package":
            calls.append((function, group))
        elif len(function.streams) > 1:
            calls.append((function, _in_order(function, group)))
        else:
            calls += [(function, [runner]) for runner in group]
    return calls


def _in_order(function: StreamFunction, runners: Sequence[WholeRunner]) -> list[WholeRunner]:
    by_name = {runner.stream: runner for runner in runners}
    missing = [name for name in function.streams if name not in by_name]
    if missing:
        raise TransformError(
            f"{function.where} needs stream {', '.join(map(repr, missing))}, which never came.",
            "Select it in the tap, or take it out of @transform.",
        )
    return [by_name[name] for name in function.streams]


def _call(function: StreamFunction, runners: Sequence[WholeRunner], shared: Shared) -> None:
    """Call a function on all rows of its streams: one runner per parameter; all of them for a package function."""
    unreadable = shared.notices.unreadable
    names = [runner.stream for runner in runners]
    batches = [runner.take_all() for runner in runners]
    frames = [
        to_frame(batch, unreadable=unreadable.setdefault(name, {}))
        for name, batch in zip(names, batches, strict=True)
    ]
    if function.mode == "package":
        from flow_singer.transforms.runpackage import call_package

        outputs = call_package(function, names, frames, [runner.schema for runner in runners])
    else:
        outputs = call_function(function, frames, ", ".join(names))
    sources = dict(zip(names, batches, strict=True))
    for output in outputs:
        batch = _source_of(output, function, sources)
        shared.outputs.write(function, output, batch.schema if batch else None, batch, is_whole=True)


def _source_of(output: Output, function: StreamFunction, sources: dict[str, Batch]) -> Batch | None:
    """The rows that those of an output are compared with: of its own stream, else of the only one."""
    name = output.stream or next(iter(function.into or ()), "")
    only = next(iter(sources.values())) if len(sources) == 1 else None
    return sources.get(name, only)
