"""RECORD lines of which only some properties are read: the members of all others are taken out as one text.

What nobody reads need not become a value, nor a column: in a record of 200 properties that would be most of the
work. The JSON reader tells where each value lies that is read; what lies between them is the rest.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa

from flow_singer.linenumbers import count_lines
from flow_singer.messages import RECORD_BEGIN
from flow_singer.tabular.batch import ENVELOPE_KEYS
from flow_singer.tabular.parts import Part
from flow_singer.tabular.text import texts_of

_ABSENT = msgspec.Raw(b"")
_COMMA, _COLON, _SPACE, _QUOTE, _OPEN, _CLOSE, _NEWLINE = b',: "{}\n'

Spans = tuple[np.ndarray, np.ndarray]
"""Where texts start and where they end (exclusive), in bytes; two arrays of one shape."""


def is_worth_it(read: int, unread: int) -> bool:
    """Whether taking the others out costs less than reading them: it costs something for each that is read."""
    return unread > 16 + 3 * read


class Separator:
    """Takes apart what is read of RECORD lines, and what is not.

    Args:
        names: the properties that are read.
    """

    def __init__(self, names: Collection[str]) -> None:
        record = msgspec.defstruct("Record", _raw_fields(names), gc=False)
        message = msgspec.defstruct(
            "Message",
            [("type", str), ("stream", str), ("record", record), *_raw_fields(ENVELOPE_KEYS)],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(message)
        self._names = list(names)

    def separate(self, part: Part) -> tuple[Part, pa.Array | None]:
        """Take the members that nobody reads out of the records of n lines.

        Returns:
            The lines with what is read, and n texts of the other members, each with a comma behind it. A line
            that is written in an unusual way stays whole, and its text is empty; None: all lines are whole.
        """
        data, lines = part
        begin = RECORD_BEGIN.match(data)
        if begin is None:
            return part, None
        try:
            messages: list[Any] = self._decoder.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return part, None
        if len(messages) != count_lines(lines):
            return part, None
        text = _Text(data)
        beside = [text.find(name, messages, i) for i, name in enumerate(ENVELOPE_KEYS)]
        records = [message.record for message in messages]
        members = [text.find(name, records, i) for i, name in enumerate(self._names)]
        layout = _Layout.of(text, begin[0], beside, members)
        rest, sizes = text.join(layout.rest())
        if not rest.isascii():
            try:
                rest.decode()  # the JSON reader looks at no text that it skips
            except UnicodeDecodeError:
                return part, None
        read, _ = text.join(layout.read())
        return Part(read, lines), texts_of(rest, np.concatenate(([0], np.cumsum(sizes))))


def _raw_fields(names: Collection[str]) -> list[tuple[str, Any, Any]]:
    return [(f"f{i}", msgspec.Raw, msgspec.field(name=name, default=_ABSENT)) for i, name in enumerate(names)]


class _Member(NamedTuple):
    """One property in n lines.

    Attributes:
        starts: where its name starts.
        ends: where its value ends.
        found: whether the line has it.
        plain: whether it is written as most writers do, or not there.
    """

    starts: np.ndarray
    ends: np.ndarray
    found: np.ndarray
    plain: np.ndarray


class _Text:
    """The bytes of lines, and what lies where in them."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes = np.frombuffer(data, dtype="uint8")
        self.ends = np.flatnonzero(self.bytes == _NEWLINE) + 1
        self.starts = np.concatenate(([0], self.ends[:-1]))

    def has(self, what: bytes, places: np.ndarray) -> np.ndarray:
        """Whether these bytes stand at each of the places."""
        most = len(self.data) - len(what)
        if most < 0:
            return np.zeros(len(places), dtype=bool)
        windows: np.ndarray = np.ndarray(
            (most + 1,), f"S{len(what)}", self.data, strides=(1,)
        )  # at every byte
        found: np.ndarray = (windows[np.clip(places, 0, most)] == what) & (places >= 0) & (places <= most)
        return found

    def find(self, name: str, objects: Sequence[Any], position: int) -> _Member:
        """The members with a name, of objects whose field `position` is the value as the JSON reader left it."""
        values: list[msgspec.Raw] = [*map(attrgetter(f"f{position}"), objects)]
        sizes = np.fromiter(map(len, values), "int64", len(values))
        found = sizes > 0
        if not found.any():
            nowhere = np.zeros_like(sizes)
            return _Member(nowhere, nowhere, found, ~found)
        origin = pa.py_buffer(self.data).address
        addresses = np.fromiter((pa.py_buffer(value).address for value in values), "int64", len(values))
        starts = np.where(found, addresses - origin, 0)
        if (starts < 0).any() or (starts + sizes >= len(self.data)).any():
            raise RuntimeError("msgspec.Raw is not a view of what was decoded")
        label = json.dumps(name, ensure_ascii=False).encode()
        names = starts - len(label) - np.where(self.bytes[starts - 1] == _SPACE, 2, 1)
        plain = self.has(label + b":", names)
        return _Member(names, starts + sizes, found, plain | ~found)

    def join(self, spans: Spans) -> tuple[bytes, np.ndarray]:
        """The texts that spans of shape (n, k) make, one behind the other, and the n sizes of them."""
        starts, ends = spans
        data = self.data
        pairs = zip(starts.ravel().tolist(), ends.ravel().tolist(), strict=True)
        return b"".join([data[start:end] for start, end in pairs]), (ends - starts).sum(axis=1)


@dataclass
class _Layout:
    """Where the records of n lines lie, and in them the members that are read.

    Attributes:
        lines: where each line lies, with its newline.
        starts: where each record starts, with its brace.
        ends: where it ends.
        members: what is read.
        plain: whether a line can be taken apart.
        comma: where in the text there is some comma.
    """

    lines: Spans
    starts: np.ndarray
    ends: np.ndarray
    members: list[_Member]
    plain: np.ndarray
    comma: int
    _next: list[np.ndarray]

    @classmethod
    def of(cls, text: _Text, begin: bytes, beside: Sequence[_Member], members: list[_Member]) -> _Layout:
        """Look where everything is.

        Args:
            text: n lines.
            begin: how most lines begin, up to the brace of their record.
            beside: what may stand behind the record.
            members: what is read of the record.
        """
        at = text.bytes
        starts = text.starts + len(begin) - 1
        plain = text.has(begin, text.starts) & np.isin(at[starts + 1], (_QUOTE, _CLOSE))
        ends = text.ends - 2
        for one in beside:
            plain &= one.plain
            before = one.starts - np.where(
                at[one.starts - 1] == _SPACE, 2, 1
            )  # a comma: the record is valid JSON
            ends = np.where(one.found, np.minimum(ends, before), ends)
        plain &= (at[ends - 1] == _CLOSE) & np.isin(at[ends], (_CLOSE, _COMMA))
        following = []
        for one in members:
            has_comma = at[one.ends] == _COMMA
            plain &= one.plain & (~one.found | has_comma | (one.ends == ends - 1))
            after = one.ends + has_comma
            following.append(after + (has_comma & (at[after] == _SPACE)))
        return cls((text.starts, text.ends), starts, ends, members, plain, text.data.index(b","), following)

    def rest(self) -> Spans:
        """What lies between the members that are read, shape (n, k); a comma is put where the last one has none."""
        inner = self.starts + 1
        cuts = [np.where(one.found, one.starts, inner) for one in self.members]
        following = [
            np.where(one.found, after, inner) for one, after in zip(self.members, self._next, strict=True)
        ]
        starts = np.stack([inner, *following, np.full_like(inner, self.comma)], axis=1)
        ends = np.stack([*cuts, self.ends - 1, np.full_like(inner, self.comma)], axis=1)
        starts[:, 1:-1].sort(axis=1)
        ends[:, :-2].sort(axis=1)
        ends[:, -1] += starts[:, -2] < ends[:, -2]
        ends[~self.plain] = starts[~self.plain]
        return starts, ends

    def read(self) -> Spans:
        """The lines without the rest, shape (n, k)."""
        line_starts, line_ends = self.lines
        begun = np.zeros(len(line_starts), dtype=bool)
        starts, ends = [line_starts], [np.where(self.plain, self.starts + 1, line_ends)]
        for one in self.members:
            found = one.found & self.plain
            starts += [np.full_like(line_starts, self.comma), one.starts]
            ends += [
                np.where(found & begun, self.comma + 1, self.comma),
                np.where(found, one.ends, one.starts),
            ]
            begun |= found
        starts.append(self.ends - 1)
        ends.append(np.where(self.plain, line_ends, self.ends - 1))
        return np.stack(starts, axis=1), np.stack(ends, axis=1)
