"""The message stream: whole lines out of blocks, and lines grouped by stream.

A Singer message is one JSON object on one line. Flow never re-encodes a line that it only passes on: it
decodes `type` and `stream`, and hands the bytes on.

Source: Singer spec 0.3.0, "Output".
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from flow_singer.errors import MessageError
from flow_singer.singer.linenumbers import LineNumbers, count_lines, runs_of

BLOCK_BYTES = 1 << 20
"""How much is read from a pipe at once; also the size Flow asks the kernel to give its pipes."""

EXCERPT_CHARACTERS = 200

UTF8_BOM = b"\xef\xbb\xbf"


class Envelope(msgspec.Struct, gc=False):
    """What every message says of itself."""

    type: str = ""
    stream: str | None = None


class Run(NamedTuple):
    """Lines that are handled alike.

    Attributes:
        type: the message type; `RECORD` for a run of records, else a run of one line.
        stream: the stream, or None for records of streams that only pass.
        data: the lines, each ended by a newline.
        lines: their numbers, from 1.
    """

    type: str
    stream: str | None
    data: bytes
    lines: LineNumbers

    @property
    def first_line(self) -> int:
        """The number of the first line."""
        return self.lines[0][0]

    @property
    def count(self) -> int:  # type: ignore[override] # tuples have a method of that name; nobody calls it here
        """How many lines."""
        return count_lines(self.lines)

    @property
    def texts(self) -> list[bytes]:
        """The lines without their newlines."""
        return self.data[:-1].split(b"\n")


_decoder = msgspec.json.Decoder(Envelope)
_RECORD_BEGIN = re.compile(rb'\{"type": ?"RECORD", ?"stream": ?"([^"\\]+)", ?"record": ?\{')
"""How most taps begin a RECORD line; the group is the stream's name."""

MOST_BREAKS = 32
"""A block with more lines that begin otherwise (interleaved streams) is taken line by line."""

OtherLines = Callable[[bytes, bytes, int], tuple[int, Sequence[tuple[int, int]]]]


def other_lines(data: bytes, begin: bytes, most: int) -> tuple[int, list[tuple[int, int]]]:
    """Which lines begin otherwise than the first one.

    Args:
        data: whole lines.
        begin: how the first one begins.
        most: no more than so many are looked for.

    Returns:
        How many lines there are, and of each that begins otherwise its number (from 0) and its position.
    """
    count = data.count(b"\n")
    if data.count(b"\n" + begin) == count - 1:
        return count, []
    found: list[tuple[int, int]] = []
    line = start = 0
    for one in islice(re.finditer(rb"\n(?!" + re.escape(begin) + rb"|\Z)", data), most):
        position = one.end()
        line += data.count(b"\n", start, position)
        found.append((line, position))
        start = position
    return count, found


_kind_of = attrgetter("type", "stream")


class LineSplitter:
    """Turns blocks of any size into blocks of whole lines, in linear time for lines of any length."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def push(self, block: bytes) -> bytes:
        """Return the whole lines known so far, each with its newline; keep the rest."""
        end = block.rfind(b"\n") + 1
        if not end:
            self._parts.append(block)
            return b""
        if not self._parts:
            whole = block if end == len(block) else block[:end]
        else:
            whole = b"".join([*self._parts, memoryview(block)[:end]])
            self._parts.clear()
        if end < len(block):
            self._parts.append(block[end:])
        return whole

    def rest(self) -> bytes:
        """Return what follows the last newline, and forget it."""
        rest = b"".join(self._parts)
        self._parts.clear()
        return rest


class MessageReader:
    """Groups the lines of a message stream into runs, and numbers them.

    Runs come in the order of their first lines. The lines of a run follow one another, but for `decodes`.

    Args:
        wanted: the streams whose records come as runs of their own; records of all others are only checked
            to be messages and come in runs without a stream.
        reject: called as `reject(line_number, line, error)` for a line that is no message; without it, such
            a line raises.
        noise: called with each line that does not begin like a JSON object (a library that prints to
            stdout); without it, such a line is treated as any bad line.
        decodes: whether the caller decodes the records of wanted streams anyway, with a
            [`RecordDecoder`][flow_singer.tabular.recorddecoder.RecordDecoder], which finds what is no message: then
            a look at their first bytes is enough here. And as such a caller treats each stream by itself,
            records that stand between the same two other messages come together where streams are
            interleaved: all those of one wanted stream in one run.
        find_other_lines: does what `other_lines` does; for callers that have something faster.
        hide: takes secrets out of a text before it is shown in an error.
    """

    def __init__(
        self,
        wanted: Container[str] = (),
        *,
        reject: Callable[[int, bytes, MessageError], None] | None = None,
        noise: Callable[[bytes], None] | None = None,
        decodes: bool = False,
        find_other_lines: OtherLines = other_lines,
        hide: Callable[[str], str] | None = None,
    ) -> None:
        self._find_other_lines = find_other_lines
        self.wanted = wanted
        self._decodes = decodes
        self.size_bytes = 0
        self.line_number = 0
        self.records: dict[str, int] = {}
        self._reject = reject
        self._noise = noise
        self._hide = hide
        self._splitter = LineSplitter()

    def push(self, block: bytes) -> Iterator[Run]:
        """Yield the runs of the lines that `block` completes."""
        self.size_bytes += len(block)
        data = self._splitter.push(block)
        if data:
            yield from self._runs(data)

    def finish(self) -> Iterator[Run]:
        """Yield the run of a last line that lacks its newline.

        Raises:
            CutLineError: it was cut short; it is never set aside, as what follows it is missing too.
        """
        rest = self._splitter.rest()
        if not rest.strip():
            return
        if rest.lstrip().startswith(b"{"):
            try:
                self._decode_line(rest)
            except MessageError as error:
                raise CutLineError(self.line_number + 1, error) from error
        yield from self._runs(rest + b"\n")

    def _runs(self, data: bytes) -> Iterator[Run]:
        if self.line_number == 0 and data.startswith(UTF8_BOM):
            data = data[len(UTF8_BOM) :]
        if self._decodes and (begin := self._plain_begin(data)) is not None:
            count, others = self._find_other_lines(data, begin[0], MOST_BREAKS)
            if len(others) < MOST_BREAKS:
                yield from self._plain_runs(data, count, others)
                return
        yield from self._decoded_runs(data)

    def _plain_begin(self, data: bytes) -> re.Match[bytes] | None:
        """How a block's first line begins, where it is a record of a wanted stream, written as most taps do."""
        begin = _RECORD_BEGIN.match(data)
        if begin is None or begin[1].decode("utf-8", "replace") not in self.wanted:
            return None
        return begin

    def _plain_runs(self, data: bytes, count: int, others: Sequence[tuple[int, int]]) -> Iterator[Run]:
        """Runs of records that begin alike, and the `others` that stand between them."""
        start = done = 0
        for line, position in others:
            if position > start:
                yield self._plain_run(data[start:position], line - done)
            start, done = data.index(b"\n", position) + 1, line + 1
            yield from self._decoded_runs(data[position:start])
        if start < len(data):
            yield self._plain_run(data[start:] if start else data, count - done)

    def _plain_run(self, data: bytes, count: int) -> Run:
        begin = _RECORD_BEGIN.match(data)
        return self._record_run(begin[1].decode("utf-8", "replace") if begin else "", data, count)

    def _decoded_runs(self, data: bytes) -> Iterator[Run]:
        try:
            envelopes = _decoder.decode_lines(data)
            check_text(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            yield from self._careful_runs(data)
            return
        count = data.count(b"\n")
        if len(envelopes) != count:  # blank lines, or two messages on one line
            yield from self._careful_runs(data)
            return
        first = envelopes[0]
        if first.type == "RECORD" and first.stream is not None:
            kinds = set(map(_kind_of, envelopes))
            if len(kinds) == 1:
                yield self._record_run(first.stream, data, count)
                return
        lines = data[:-1].split(b"\n")
        if b"" in lines or any(map(bytes.isspace, lines)):  # and two messages on one line made up for it
            yield from self._careful_runs(data)
            return
        yield from self._group(envelopes, lines)

    def _group(self, envelopes: list[Envelope], lines: list[bytes]) -> Iterator[Run]:
        start = 0
        for position, envelope in enumerate(envelopes):
            if envelope.type == "RECORD" and envelope.stream is not None:
                continue
            yield from self._record_runs(envelopes[start:position], lines[start:position])
            yield from self._control_runs(envelope, lines[position])
            start = position + 1
        yield from self._record_runs(envelopes[start:], lines[start:])

    def _record_runs(self, envelopes: Sequence[Envelope], lines: Sequence[bytes]) -> Iterator[Run]:
        """Runs of lines that are all records."""
        first = self.line_number + 1
        self.line_number += len(lines)
        streams = [envelope.stream or "" for envelope in envelopes]
        keys: dict[str, str | None] = {}
        for stream, count in Counter(streams).items():
            self.records[stream] = self.records.get(stream, 0) + count
            keys[stream] = stream if stream in self.wanted else None
        for key, positions in self._groups([keys[stream] for stream in streams]):
            numbers = [(first + positions[0], len(positions))]
            if positions[-1] - positions[0] >= len(positions):  # others stand between them
                numbers = runs_of(first + position for position in positions)
            data = b"\n".join([lines[position] for position in positions]) + b"\n"
            yield Run("RECORD", key, data, numbers)

    def _groups(self, keys: list[str | None]) -> Iterable[tuple[str | None, Sequence[int]]]:
        """Positions of records that come in one run, of records with these keys."""
        if not self._decodes:
            return ((key, list(group)) for key, group in groupby(range(len(keys)), keys.__getitem__))
        groups: dict[str | None, list[int]] = {key: [] for key in dict.fromkeys(keys)}
        for position, key in enumerate(keys):
            groups[key].append(position)
        return groups.items()

    def _careful_runs(self, data: bytes) -> Iterator[Run]:
        """One line at a time: skips blank lines, and finds the line that is wrong."""
        for line in data[:-1].split(b"\n"):
            if not line.strip():
                self.line_number += 1
                continue
            try:
                envelope = self._decode_line(line)
            except MessageError as error:
                if self._noise is not None and not line.lstrip().startswith(b"{"):
                    self._noise(line)
                elif self._reject is not None:
                    self._reject(self.line_number + 1, line, error)
                else:
                    raise
                self.line_number += 1
                continue
            if envelope.type == "RECORD" and envelope.stream is not None:
                yield self._record_run(envelope.stream, line + b"\n", 1)
            else:
                yield from self._control_runs(envelope, line)

    def _decode_line(self, line: bytes) -> Envelope:
        try:
            envelope = _decoder.decode(line)
            if not (self._decodes and envelope.type == "RECORD" and envelope.stream in self.wanted):
                check_text(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            pass
        else:
            return envelope
        # The strict reader refuses NaN and lone surrogates, which Python taps do write: a line that only
        # passes may hold them.
        try:
            message = json.loads(line.decode())  # of bytes it would guess the encoding
        except (ValueError, RecursionError) as exc:
            raise self._bad_line(line, str(exc)) from exc
        if not isinstance(message, dict):
            raise self._bad_line(line, "not a JSON object")
        kind, stream = message.get("type"), message.get("stream")
        if not isinstance(kind, str) or not isinstance(stream, str | None):
            raise self._bad_line(line, "'type' and 'stream' must be text")
        return Envelope(kind, stream)

    def _bad_line(self, line: bytes, reason: str) -> MessageError:
        return bad_line(self.line_number + 1, line, reason, hide=self._hide)

    def _record_run(self, stream: str, data: bytes, count: int) -> Run:
        self.records[stream] = self.records.get(stream, 0) + count
        run = Run("RECORD", stream if stream in self.wanted else None, data, [(self.line_number + 1, count)])
        self.line_number += count
        return run

    def _control_runs(self, envelope: Envelope, line: bytes) -> Iterator[Run]:
        lacks = None
        if not envelope.type:
            lacks = "the message has no 'type'"
        elif envelope.type in _NEEDS_STREAM and envelope.stream is None:
            lacks = f"the {envelope.type} message has no 'stream'"
        if lacks is None:
            self.line_number += 1
            yield Run(envelope.type, envelope.stream, line + b"\n", [(self.line_number, 1)])
            return
        error = self._bad_line(line, lacks)
        if self._reject is None:
            raise error
        self._reject(self.line_number + 1, line, error)
        self.line_number += 1


def check_text(data: bytes) -> None:
    """Raise `UnicodeDecodeError` where it is not UTF-8: the JSON reader looks at no text that it skips."""
    if not data.isascii():
        data.decode()


_NEEDS_STREAM = frozenset({"RECORD", "SCHEMA", "ACTIVATE_VERSION", "BATCH"})


class CutLineError(MessageError):
    """The last line of a stream lacks its end: whoever wrote it was stopped in the middle; `line` is its number."""

    def __init__(self, line: int, error: MessageError) -> None:
        super().__init__(error.message, error.hint)
        self.line = line


class RecordBeforeSchemaError(MessageError):
    """A record of a stream whose SCHEMA has not come."""

    def __init__(self, number: int, stream: str) -> None:
        super().__init__(
            f"Line {number}: a record of stream '{stream}' came before its SCHEMA.",
            "Singer taps write SCHEMA first; ask the tap's maintainer.",
        )


def bad_line(
    number: int, line: bytes, reason: str, *, hide: Callable[[str], str] | None = None
) -> MessageError:
    """The error for a line that is no Singer message, with its first 200 characters."""
    return MessageError(
        f"Line {number} is not a Singer message ({reason}): {excerpt(line, hide=hide)}",
        "Taps must print only messages on stdout. If this is log output, run with --noise stderr; "
        "flow transform sets bad lines aside with --reject FILE.",
    )


_HIDE_BYTES = 1 << 16
"""Secrets are taken out of so much before it is cut: a cut must not leave half of one."""


def excerpt(line: bytes, *, hide: Callable[[str], str] | None = None) -> str:
    """The beginning of a line, safe to show on a terminal; `hide` takes secrets out of it."""
    size = EXCERPT_CHARACTERS * 4 if hide is None else _HIDE_BYTES
    text = line[:size].decode("utf-8", "backslashreplace")
    if hide is not None:
        text = hide(text)
    shown = text[:EXCERPT_CHARACTERS]
    printable = "".join(c if c.isprintable() else repr(c)[1:-1] for c in shown)
    return printable + ("…" if len(text) > EXCERPT_CHARACTERS or len(line) > EXCERPT_CHARACTERS * 4 else "")


def decode_object(line: bytes, number: int) -> dict[str, Any]:
    """Decode a whole message; integers exact, floats as Python floats.

    Raises:
        MessageError: the line is not a JSON object.
    """
    try:
        message = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        try:
            message = json.loads(line.decode())
        except (ValueError, RecursionError) as exc:
            raise bad_line(number, line, str(exc)) from exc
    if not isinstance(message, dict):
        raise bad_line(number, line, "not a JSON object")
    return message
