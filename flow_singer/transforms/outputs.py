"""The streams that functions make: what each is called, who makes it, and its way out."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from flow_singer.errors import TransformError
from flow_singer.singer.envelope import decode_object
from flow_singer.singer.marks import MessageWriter
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.outputstream import OutputStream
from flow_singer.tabular.steadytypes import Alone
from flow_singer.transforms.functions import StreamFunction
from flow_singer.transforms.notices import Notices
from flow_singer.transforms.results import Output


class Outputs:
    """The output streams of one transform.

    Args:
        out: where messages go.
        notices: learn of streams that were dropped.

    Attributes:
        passing: streams that no function takes; none may make a stream of such a name.
    """

    def __init__(self, out: MessageWriter, notices: Notices) -> None:
        self.passing: set[str] = set()
        self._out = out
        self._notices = notices
        self._streams: dict[str, OutputStream] = {}
        self._made_by: dict[str, StreamFunction] = {}
        self._made_of: dict[str, dict[str, None]] = {}
        self._versions: dict[str, bytes] = {}
        self._opening: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[OutputStream]:
        return iter(self._streams.values())

    def let_pass(self, stream: str) -> None:
        """Note a stream that no function takes.

        Raises:
            TransformError: a function has made a stream of that name.
        """
        if stream in self._made_by:
            raise _taken_twice(stream, self._made_by[stream])
        self.passing.add(stream)

    def activate_version(self, stream: str, line: bytes) -> None:
        """Send an ACTIVATE_VERSION of an input stream for each stream that is made of it.

        One that is made only later gets it behind its SCHEMA; a stream that is dropped gets none.
        """
        self._versions[stream] = line
        for name in self._made_of.get(stream, ()):
            self._write_version(name, line)

    def _write_version(self, name: str, line: bytes) -> None:
        message = decode_object(line, 0)
        if message["stream"] != name:
            line = msgspec.json.encode({**message, "stream": name}) + b"\n"
        self._out.other(line, 1)

    def finish(self) -> None:
        """Send what was held back until every row was known."""
        for writer in self:
            self.write_blocks(writer, writer.finish(), 0)

    def write(
        self,
        function: StreamFunction,
        output: Output,
        schema: StreamSchema | None,
        batch: Batch | None,
        *,
        is_whole: bool = False,
        alone: Alone | None = None,
    ) -> None:
        """Send one output of a call, or note that it drops its stream.

        Args:
            function: made it.
            output: n rows.
            schema: SCHEMA of the stream they came from; None where they came from several.
            batch: the records they came from.
            is_whole: whether these are all rows there will be: then no two of them may share a key.
            alone: see [`OutputStream.write_frame`][flow_singer.tabular.outputstream.OutputStream.write_frame].

        Raises:
            TransformError: the rows cannot be written, or their stream is somebody else's.
        """
        if output.dropped:
            stream = output.stream or (schema.stream if schema else ", ".join(function.streams))
            self._notices.dropped(function, stream, batch.count if batch else 0)
            return
        writer = self.of(function, output.stream, schema.stream if schema else None)
        if output.properties:
            writer.declare(output.properties, output.key)
        before = writer.records
        try:
            blocks = writer.write_frame(
                output.frame, schema, batch, is_whole=is_whole, lacking=output.lacking, alone=alone
            )
        except TransformError as exc:
            raise TransformError(f"{function.where}: {exc.message}", exc.hint) from exc
        self.write_blocks(writer, blocks, writer.records - before)

    def write_blocks(self, writer: OutputStream, blocks: list[bytes | memoryview], records: int) -> None:
        """Send what an output stream made of `records` records."""
        for block in blocks:
            if isinstance(block, bytes):
                self._out.schema(block[:-1])
            if writer.name in self._opening:
                self._write_version(writer.name, self._opening.pop(writer.name))
            if not isinstance(block, bytes):
                self._out.stream_records(writer.name, block, records)

    def of(self, function: StreamFunction, name: str | None, stream: str | None) -> OutputStream:
        """The output stream `name` of a function; None for the one it makes of `stream`."""
        into = function.into
        if name is None:
            name = next(iter(into)) if into else stream
            if name is None:
                raise TransformError(
                    f"{function.where} returned one table, but takes several streams.",
                    'Say which stream it makes: @transform(..., into="name"), or return {"name": df}.',
                )
        if name in self.passing:
            raise _taken_twice(name, function)
        if name not in self._streams:
            key = function.key if into is None or into.get(name) is None else into[name]
            if key is None and name != stream and (into is None or name not in into):
                key = []  # a stream that the function made up has no key unless it says so
            self._streams[name] = OutputStream(name, key=key)
            self._made_by[name] = function
        if stream is not None and name not in self._made_of.setdefault(stream, {}):
            self._made_of[stream][name] = None
            if stream in self._versions:
                self._opening[name] = self._versions[stream]
        return self._streams[name]


def _taken_twice(stream: str, function: StreamFunction) -> TransformError:
    return TransformError(
        f"{function.where} makes a stream '{stream}', and the tap's own stream of that name passes untouched.",
        'Name another: @transform(..., into="name").',
    )
