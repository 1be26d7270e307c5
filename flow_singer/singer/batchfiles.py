"""Files that a BATCH message points at, in both dialects, as RECORD lines.

A file is read in pieces. Where bad lines are not set aside, the first fault raises, and no STATE behind the
message goes out. Where they are, every file is read to its end before a record of it is used: a BATCH that
cannot be read is set aside whole, a line of JSON Lines that is no record by itself.

Sources: Meltano SDK, "Batch messages" (files of bare records, `manifest`); PipelineWise singer-python
(`filepath`, a file of messages).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from flow_singer.errors import FlowError, MessageError
from flow_singer.singer.badlines import excerpt
from flow_singer.singer.batchcontent import chunks
from flow_singer.singer.batchmessage import BatchSource, RecordFrame, announced_files, file_of, shown
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.envelope import Envelope, check_text, decode_object

Reject: TypeAlias = Callable[[int, str | None, bytes, FlowError], None]


def read_batch(
    line: bytes, number: int, *, paths: BatchPaths, reject: Reject | None = None
) -> Iterator[tuple[bytes, int]]:
    """Read what a BATCH message announces.

    Args:
        line: the message, without its newline.
        number: the number of its line.
        paths: which files it may name.
        reject: called as `reject(number, stream, line, error)`: with `line` itself where the BATCH cannot be
            read, and then nothing of it is yielded; with a line of one of its files that is no record.
            Without it, either raises.

    Yields:
        Blocks of RECORD lines of the message's stream, and how many lines each has. The files stay where
        they are: their owner cleans up.

    Raises:
        MessageError: it is no BATCH message, names what cannot or must not be read, or a file is not what it
            is said to be; names line, stream, file and reason.
    """
    message = decode_object(line, number)
    try:
        batch = _Batch(message, number, paths, reject)
        if reject is not None:
            batch.try_out()
    except MessageError as error:
        if reject is None:
            raise
        reject(number, str(message["stream"]), line, error)
        return
    yield from batch.blocks()


class _Batch:
    """One BATCH message."""

    def __init__(
        self, message: Mapping[str, Any], number: int, paths: BatchPaths, reject: Reject | None
    ) -> None:
        self._source = BatchSource(number, str(message["stream"]))
        self._paths = paths
        self._reject = reject
        self._files = announced_files(message, self._source)
        self._frame = RecordFrame(message, self._source.stream)

    def try_out(self) -> None:
        """Read every file to its end.

        Raises:
            MessageError: one of them cannot be read.
        """
        for url in self._files.urls:
            for _ in self._chunks(self._path(url)):
                pass

    def blocks(self) -> Iterator[tuple[bytes, int]]:
        """The records as RECORD lines."""
        for url in self._files.urls:
            path = self._path(url)
            first = 1
            for found in self._chunks(path):
                lines = self._record_lines(found, path, first)
                first += len(found)
                if lines:
                    yield b"\n".join(lines) + b"\n", len(lines)

    def _path(self, url: str) -> Path:
        return file_of(url, self._paths, self._source)

    def _chunks(self, path: Path) -> Iterator[list[bytes]]:
        return chunks(path, self._files, self._source)

    def _record_lines(self, found: list[bytes], path: Path, first: int) -> list[bytes]:
        """What is found in a file as RECORD lines, without newlines; `first` is the number of its first line."""
        if self._files.hold_messages:
            return self._messages(found, path, first)
        if self._files.format == "jsonl":
            found = self._records(found, path, first)
        return self._frame.lines(found)

    def _records(self, lines: list[bytes], path: Path, first: int) -> list[bytes]:
        """Those of the lines that are records; each must be one JSON object."""
        records = [*filter(None, map(bytes.strip, lines))]
        data = b"\n".join(records)
        try:
            if len(_object_decoder.decode_lines(data)) == len(records):
                check_text(data)
                return records
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        return [*self._each(lines, path, first, _wrong_record)]

    def _messages(self, lines: list[bytes], path: Path, first: int) -> list[bytes]:
        """Those of the lines that are RECORDs of the stream; SCHEMA and STATE are those of the whole stream."""
        found = [*filter(None, map(bytes.strip, lines))]
        try:
            envelopes = _envelope_decoder.decode_lines(b"\n".join(found))
            if len(envelopes) == len(found) and not any(map(self._is_odd, envelopes)):
                check_text(b"".join(found))
                return [line for line, one in zip(found, envelopes, strict=True) if one.type == "RECORD"]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        kept = self._each(lines, path, first, lambda message: _wrong_message(message, self._source.stream))
        return [line for line in kept if decode_object(line, first).get("type") == "RECORD"]

    def _is_odd(self, envelope: Envelope) -> bool:
        return not envelope.type or (envelope.type == "RECORD" and envelope.stream != self._source.stream)

    def _each(
        self, lines: list[bytes], path: Path, first: int, wrong: Callable[[object], str | None]
    ) -> Iterator[bytes]:
        for position, raw in enumerate(lines, first):
            line = raw.strip()
            if not line:
                continue
            try:
                reason = wrong(json.loads(line.decode()))  # which reads NaN, for the decoder to judge
            except (ValueError, RecursionError) as exc:
                reason = str(exc)
            if reason is None:
                yield line
                continue
            error = self._source.fault(
                f"has a bad line, {path}, line {position} ({reason}): {excerpt(line)}",
                "Mend the file, or set such lines aside with --reject FILE.",
            )
            if self._reject is None:
                raise error
            self._reject(self._source.line, self._source.stream, line, error)


class _AnyObject(msgspec.Struct):
    """Any JSON object, of which nothing is kept."""


_object_decoder = msgspec.json.Decoder(_AnyObject)
_envelope_decoder = msgspec.json.Decoder(Envelope)


def _wrong_record(record: object) -> str | None:
    return None if isinstance(record, dict) else "not a JSON object"


def _wrong_message(message: object, stream: str) -> str | None:
    if not isinstance(message, dict) or not isinstance(message.get("type"), str) or not message["type"]:
        return "not a Singer message"
    if message["type"] == "RECORD" and message.get("stream") != stream:
        return f"a record of stream {shown(message.get('stream'))}"
    return None
