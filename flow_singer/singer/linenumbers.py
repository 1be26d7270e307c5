"""Numbers of lines, kept as runs of consecutive ones: (first line, how many).

They ascend, but for the records of a BATCH message: these all have the number of its line.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

LineNumbers: TypeAlias = Sequence[tuple[int, int]]
"""Runs, each as (number of its first line, how many lines)."""


def runs_of(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Numbers as runs, in their order."""
    runs: list[tuple[int, int]] = []
    first = end = 0
    for number in numbers:
        if number != end:
            if end > first:
                runs.append((first, end - first))
            first = number
        end = number + 1
    if end > first:
        runs.append((first, end - first))
    return runs


def take_lines(lines: LineNumbers, positions: Iterable[int]) -> LineNumbers:
    """The numbers of the lines at these positions, from 0."""
    numbers = [*each_line(lines)]
    return runs_of(numbers[position] for position in positions)


def each_line(lines: LineNumbers) -> Iterator[int]:
    """The number of each line."""
    return (first + i for first, count in lines for i in range(count))


def count_lines(lines: LineNumbers) -> int:
    """How many lines there are."""
    return lines[0][1] if len(lines) == 1 else sum(count for _, count in lines)


def last_line(lines: LineNumbers) -> int:
    """The number of the last line."""
    first, count = lines[-1]
    return first + count - 1


def line_of(lines: LineNumbers, row: int) -> int:
    """The number of the line at position `row`, from 0; 0 where there are not so many."""
    for first, count in lines:
        if row < count:
            return first + row
        row -= count
    return 0


def split_lines(lines: LineNumbers, count: int) -> tuple[LineNumbers, LineNumbers]:
    """The numbers of the first `count` lines, and of the others."""
    for position, (first, here) in enumerate(lines):
        if here > count:
            head = [*lines[:position], (first, count)] if count else lines[:position]
            return head, [(first + count, here - count), *lines[position + 1 :]]
        count -= here
    return lines, []


def slice_lines(lines: LineNumbers, start: int, stop: int) -> LineNumbers:
    """The numbers of the lines at positions `start` to `stop` (exclusive), from 0."""
    return split_lines(split_lines(lines, stop)[0], start)[1]


def joined_lines(parts: Iterable[LineNumbers]) -> LineNumbers:
    """The numbers of lines that are put one behind the other."""
    return [run for lines in parts for run in lines]
