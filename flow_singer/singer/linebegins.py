"""Records told from other lines by their first bytes, where a tap writes them all alike: nothing is decoded."""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

_RECORD_BEGIN = re.compile(rb'\{"type": ?"RECORD", ?"stream": ?"([^"\\]+)", ?"record": ?\{')
"""How most taps begin a RECORD line; the group is the stream's name."""

MOST_OTHERS = 32
"""A block with so many lines that begin otherwise (interleaved streams) is better decoded line by line."""

OtherLines = Callable[[bytes, bytes, int], tuple[int, Sequence[tuple[int, int]]]]
"""What `other_lines` is."""


class Stretch(NamedTuple):
    """Lines that follow one another.

    Attributes:
        stream: the one that all of them are records of; None for a line that nobody has looked at.
        data: the lines, each ended by a newline.
        line_count: how many they are.
    """

    stream: str | None
    data: bytes
    line_count: int


def record_stretches(
    data: bytes, wanted: Container[str], find_other_lines: OtherLines
) -> Iterator[Stretch] | None:
    """Cut lines into records that begin like the first line, and the lines that stand between them.

    Args:
        data: whole lines.
        wanted: the streams whose records matter.
        find_other_lines: see `other_lines`.

    Returns:
        The stretches, in their order; None where the first line is no record of a wanted stream, written as most
        taps do, or too many lines begin otherwise.
    """
    begin = _RECORD_BEGIN.match(data)
    if begin is None:
        return None
    stream = begin[1].decode("utf-8", "replace")
    if stream not in wanted:
        return None
    count, others = find_other_lines(data, begin[0], MOST_OTHERS)
    return _cut_out(data, stream, count, others) if len(others) < MOST_OTHERS else None


def _cut_out(data: bytes, stream: str, count: int, others: Sequence[tuple[int, int]]) -> Iterator[Stretch]:
    start = done = 0  # a position in data, and how many lines are before it
    for line, position in others:
        if position > start:
            yield Stretch(stream, data[start:position], line - done)
        start, done = data.index(b"\n", position) + 1, line + 1
        yield Stretch(None, data[position:start], 1)
    if start < len(data):
        yield Stretch(stream, data[start:] if start else data, count - done)


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
