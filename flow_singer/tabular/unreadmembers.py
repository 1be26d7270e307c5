"""RECORD lines of which only some properties are read: the members of all others are taken out as one text.

What nobody reads need not become a value, nor a column: in a record of 200 properties that would be most of the
work. The JSON reader tells where a record lies in its line, and in it each value that is read; what lies between
these is the rest.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.singer.linenumbers import count_lines
from flow_singer.tabular.parts import Part
from flow_singer.tabular.textarrays import TEXT, texts_of

_ABSENT = msgspec.Raw(b"")
_COMMA, _SPACE, _QUOTE, _CLOSE, _NEWLINE = b', "}\n'
BLANKS = ", \t\r"
"""What may stand behind the last member of a rest."""

Spans = tuple[np.ndarray, np.ndarray]
"""Where texts start and where they end (exclusive), in bytes; two arrays of one shape."""


class _Message(msgspec.Struct, gc=False):
    record: msgspec.Raw


_message_decoder = msgspec.json.Decoder(_Message)
_members_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def is_worth_it(read: int, unread: int) -> bool:
    """Whether taking the others out costs less than reading them: it costs something for each that is read."""
    return unread > 16 + 3 * read


class Separator:
    """Takes apart what is read of RECORD lines, and what is not.

    Args:
        names: the properties that are read.
    """

    def __init__(self, names: Collection[str]) -> None:
        fields = [
            (f"f{i}", msgspec.Raw, msgspec.field(name=name, default=_ABSENT)) for i, name in enumerate(names)
        ]
        self._decoder = msgspec.json.Decoder(msgspec.defstruct("Record", fields, gc=False))
        self._labels = [_label(name) for name in names]

    def separate(self, part: Part) -> tuple[Part, pa.Array | None]:
        """Take the members that nobody reads out of the records of n lines.

        Returns:
            The lines with what is read, and n texts of the other members, each with a comma behind it. A line
            that is written in an unusual way stays whole, and its text is empty; None: all lines are whole.
        """
        data, lines = part
        try:
            records = [message.record for message in _message_decoder.decode_lines(data)]
            values = [msgspec.structs.astuple(self._decoder.decode(record)) for record in records]
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return part, None
        if len(records) != count_lines(lines):
            return part, None
        text = _Text(data)
        places = [text.places(cells) for cells in (records, *zip(*values, strict=True))]
        if any((starts < 0).any() or (ends >= len(data)).any() for starts, ends in places):
            return part, None  # they are no views of the lines, but copies
        layout = _Layout.of(text, places[0], [*map(text.member, self._labels, places[1:])])
        rest, sizes = text.join(layout.rest())
        if not rest.isascii():
            try:
                rest.decode()  # the JSON reader looks at no text that it skips
            except UnicodeDecodeError:
                return part, None
        read, _ = text.join(layout.read())
        return Part(read, lines), texts_of(rest, np.concatenate(([0], np.cumsum(sizes))))


def _label(name: str) -> bytes:
    return json.dumps(name, ensure_ascii=False).encode()


class _Member(NamedTuple):
    """One property in n lines.

    Attributes:
        starts: where its name starts.
        ends: where its value ends.
        found: whether the line has it.
        plain: whether its name is written as most writers do, or it is not there.
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

    def places(self, cells: Sequence[msgspec.Raw]) -> Spans:
        """Where these views lie; (0, 0) for an empty one."""
        sizes = np.fromiter(map(len, cells), "int64", len(cells))
        addresses = np.fromiter((pa.py_buffer(cell).address for cell in cells), "int64", len(cells))
        starts = np.where(sizes > 0, addresses - pa.py_buffer(self.data).address, 0)
        return starts, starts + sizes

    def member(self, label: bytes, value: Spans) -> _Member:
        """The members whose values lie there, and whose name is `label` in JSON."""
        starts, ends = value
        found = ends > 0
        most = len(self.data) - len(label) - 1
        if most < 0 or not found.any():
            return _Member(np.zeros_like(starts), ends, found, ~found)
        names = starts - len(label) - np.where(self.bytes[starts - 1] == _SPACE, 2, 1)
        names = np.clip(names, 0, most)
        every: np.ndarray = np.ndarray((most + 1,), f"S{len(label) + 1}", self.data, strides=(1,))
        return _Member(names, ends, found, (every[names] == label + b":") | ~found)

    def join(self, spans: Spans) -> tuple[bytes, np.ndarray]:
        """The texts that spans of shape (n, k) make, one behind the other, and the n sizes of them."""
        starts, ends = spans
        data = self.data
        pairs = zip(starts.ravel().tolist(), ends.ravel().tolist(), strict=True)
        return b"".join([data[start:end] for start, end in pairs]), (ends - starts).sum(axis=1)


@dataclass
class _Layout:
    """Where the records of n lines lie, and in them the members that are read.

    As these are members of one object, and the last ones of their names, no two of them overlap.

    Attributes:
        lines: where each line lies, with its newline.
        record: where each record lies, with its braces.
        members: what is read.
        following: for each of them, where the next member starts, or where the record ends.
        plain: whether a line can be taken apart.
        comma: where the text has a comma, for spans to copy it from.
    """

    lines: Spans
    record: Spans
    members: list[_Member]
    following: list[np.ndarray]
    plain: np.ndarray
    comma: int

    @classmethod
    def of(cls, text: _Text, record: Spans, members: list[_Member]) -> _Layout:
        """Look what stands around the members."""
        at = text.bytes
        starts, ends = record
        plain = np.isin(at[starts + 1], (_QUOTE, _CLOSE))
        following = []
        for one in members:
            has_comma = at[one.ends] == _COMMA
            after = one.ends + has_comma
            after += has_comma & (at[after] == _SPACE)
            plain &= one.plain & (~one.found | has_comma | (one.ends == ends - 1))
            following.append(after)
        return cls((text.starts, text.ends), record, members, following, plain, text.data.index(b","))

    def rest(self) -> Spans:
        """What lies between the members that are read, shape (n, k); a comma is put where the last one has none."""
        inner, end = self.record[0] + 1, self.record[1] - 1
        comma = np.full_like(inner, self.comma)
        cuts = [np.where(one.found, one.starts, inner) for one in self.members]
        nexts = [
            np.where(one.found, after, inner) for one, after in zip(self.members, self.following, strict=True)
        ]
        starts = np.stack([inner, *nexts, comma], axis=1)
        ends = np.stack([*cuts, end, comma], axis=1)
        starts[:, 1:-1].sort(axis=1)
        ends[:, :-2].sort(axis=1)
        ends[:, -1] += starts[:, -2] < ends[:, -2]
        ends[~self.plain] = starts[~self.plain]
        return starts, ends

    def read(self) -> Spans:
        """The lines without the rest, shape (n, k)."""
        (line_starts, line_ends), (record_starts, record_ends) = self.lines, self.record
        comma = np.full_like(line_starts, self.comma)
        begun = np.zeros(len(line_starts), dtype=bool)
        starts, ends = [line_starts], [np.where(self.plain, record_starts + 1, line_ends)]
        for one in self.members:
            found = one.found & self.plain
            starts += [comma, one.starts]
            ends += [comma + (found & begun), np.where(found, one.ends, one.starts)]
            begun |= found
        starts.append(record_ends - 1)
        ends.append(np.where(self.plain, line_ends, record_ends - 1))
        return np.stack(starts, axis=1), np.stack(ends, axis=1)


def without_members(rest: pa.Array, names: Collection[str]) -> pa.Array:
    """The rest without members of these names: of a member that a record has twice, only the last was taken out."""
    suspects = pc.match_substring(rest, "\\u")  # a name may be written with escapes
    for name in names:
        suspects = pc.or_(suspects, pc.match_substring(rest, _label(name).decode()))
    rows = np.flatnonzero(suspects.to_numpy(zero_copy_only=False))
    if not len(rows):
        return rest
    texts = rest.to_pylist()
    for row in rows:
        members = _members_decoder.decode("{" + texts[row].rstrip(BLANKS) + "}")
        if not members.keys().isdisjoint(names):
            kept = (pair for pair in members.items() if pair[0] not in names)
            texts[row] = "".join(f"{json.dumps(name)}:{bytes(value).decode()}," for name, value in kept)
    return pa.array(texts, TEXT)
