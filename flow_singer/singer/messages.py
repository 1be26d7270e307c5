"""The message stream: whole lines out of blocks, grouped by stream.

A Singer message is one JSON object on one line. Flow never re-encodes a line that it only passes on: it
decodes `type` and `stream`, and hands the bytes on.

Lines are looked at in three ways, the fastest first; each leaves to the next what it cannot tell:

1. by their first bytes, where most are records of one wanted stream (`linebegins.py`);
2. all at once, where each is a proper message;
3. one by one, which skips blank lines and finds the one that is wrong.

Source: Singer spec 0.3.0, "Output".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple

from flow_singer.errors import MessageError
from flow_singer.singer.badlines import CutLineError, bad_line
from flow_singer.singer.envelope import Envelope, decode_envelope, decode_envelopes, lack_of
from flow_singer.singer.linebegins import OtherLines, other_lines, record_stretches
from flow_singer.singer.linenumbers import LineNumbers, count_lines, runs_of
from flow_singer.singer.wholelines import LineSplitter

UTF8_BOM = b"\xef\xbb\xbf"


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
            [`RecordDecoder`][flow_singer.tabular.columns.RecordDecoder], which finds what is no message: then
            a look at their first bytes is enough here. Such a caller treats each stream by itself, so where
            streams are interleaved, all records of one wanted stream that stand between the same two other
            messages may come in one run.
        find_other_lines: does what `other_lines` does; for callers that have something faster.
        hide: takes secrets out of a text before it is shown in an error.

    Attributes:
        size_bytes: of all that was pushed.
        line_number: of the last line that was looked at.
        records: how many came of each stream.
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
        self.size_bytes = 0
        self.line_number = 0
        self.records: dict[str, int] = {}
        self._wanted = wanted
        self._reject = reject
        self._noise = noise
        self._decodes = decodes
        self._find_other_lines = find_other_lines
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
        if self.line_number == 0:
            data = data.removeprefix(UTF8_BOM)
        stretches = record_stretches(data, self._wanted, self._find_other_lines) if self._decodes else None
        if stretches is None:
            yield from self._decoded_runs(data)
            return
        for stretch in stretches:
            if stretch.stream is not None:
                yield self._record_run(stretch.stream, stretch.data, stretch.line_count)
            else:
                yield from self._decoded_runs(stretch.data)

    # ---------------------------------------------------------------------------------- all at once

    def _decoded_runs(self, data: bytes) -> Iterator[Run]:
        envelopes = decode_envelopes(data)
        if envelopes is None:
            yield from self._careful_runs(data)
            return
        if (stream := _only_stream(envelopes)) is not None:
            yield self._record_run(stream, data, len(envelopes))
            return
        lines = data[:-1].split(b"\n")
        if b"" in lines or any(map(bytes.isspace, lines)):  # and two messages on one line made up for it
            yield from self._careful_runs(data)
            return
        start = 0
        for position, envelope in enumerate(envelopes):
            if envelope.type == "RECORD" and envelope.stream is not None:
                continue
            yield from self._record_runs(envelopes[start:position], lines[start:position])
            yield from self._message_runs(envelope, lines[position])
            start = position + 1
        yield from self._record_runs(envelopes[start:], lines[start:])

    def _record_runs(self, envelopes: Sequence[Envelope], lines: Sequence[bytes]) -> Iterator[Run]:
        """Runs of lines that are all records, of several streams."""
        first = self.line_number + 1
        self.line_number += len(lines)
        streams = [envelope.stream or "" for envelope in envelopes]
        keys: dict[str, str | None] = {}
        for stream, count in Counter(streams).items():
            self.records[stream] = self.records.get(stream, 0) + count
            keys[stream] = stream if stream in self._wanted else None
        groups = _all_alike if self._decodes else _neighbours_alike
        for key, positions in groups([keys[stream] for stream in streams]):
            numbers = [(first + positions[0], len(positions))]
            if positions[-1] - positions[0] >= len(positions):  # others stand between them
                numbers = runs_of(first + position for position in positions)
            data = b"\n".join([lines[position] for position in positions]) + b"\n"
            yield Run("RECORD", key, data, numbers)

    # ----------------------------------------------------------------------------------- one by one

    def _careful_runs(self, data: bytes) -> Iterator[Run]:
        for line in data[:-1].split(b"\n"):
            if not line.strip():
                self.line_number += 1
                continue
            try:
                envelope = self._decode_line(line)
            except MessageError as error:
                self._set_aside(line, error)
                continue
            yield from self._message_runs(envelope, line)

    def _decode_line(self, line: bytes) -> Envelope:
        later = self._wanted if self._decodes else ()
        return decode_envelope(line, self.line_number + 1, checked_later=later, hide=self._hide)

    def _set_aside(self, line: bytes, error: MessageError) -> None:
        """Give a bad line to whoever takes it; raise its error where nobody does."""
        if self._noise is not None and not line.lstrip().startswith(b"{"):
            self._noise(line)
        elif self._reject is not None:
            self._reject(self.line_number + 1, line, error)
        else:
            raise error
        self.line_number += 1

    def _message_runs(self, envelope: Envelope, line: bytes) -> Iterator[Run]:
        """The run of one line; none where its message lacks something."""
        if envelope.type == "RECORD" and envelope.stream is not None:
            yield self._record_run(envelope.stream, line + b"\n", 1)
        elif (lack := lack_of(envelope)) is not None:
            self._set_aside(line, bad_line(self.line_number + 1, line, lack, hide=self._hide))
        else:
            self.line_number += 1
            yield Run(envelope.type, envelope.stream, line + b"\n", [(self.line_number, 1)])

    def _record_run(self, stream: str, data: bytes, count: int) -> Run:
        """The run of lines that follow one another, all records of one stream."""
        self.records[stream] = self.records.get(stream, 0) + count
        run = Run("RECORD", stream if stream in self._wanted else None, data, [(self.line_number + 1, count)])
        self.line_number += count
        return run


_kind_of = attrgetter("type", "stream")


def _only_stream(envelopes: Sequence[Envelope]) -> str | None:
    """The stream that all are records of; None where they are not."""
    first = envelopes[0]
    if first.type != "RECORD" or first.stream is None or len(set(map(_kind_of, envelopes))) > 1:
        return None
    return first.stream


def _neighbours_alike(keys: list[str | None]) -> Iterable[tuple[str | None, Sequence[int]]]:
    """The positions of records with the same key that follow one another, for each key as often as it comes."""
    return ((key, list(group)) for key, group in groupby(range(len(keys)), keys.__getitem__))


def _all_alike(keys: list[str | None]) -> Iterable[tuple[str | None, Sequence[int]]]:
    """The positions of all records with the same key, once for each key."""
    groups: dict[str | None, list[int]] = {key: [] for key in dict.fromkeys(keys)}
    for position, key in enumerate(keys):
        groups[key].append(position)
    return groups.items()
