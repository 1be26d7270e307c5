"""Numbers of lines as runs, against plain lists of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flow_singer.singer.linenumbers import (
    count_lines,
    each_line,
    joined_lines,
    line_of,
    runs_of,
    slice_lines,
    split_lines,
    take_lines,
)

NUMBERS = st.sets(st.integers(1, 30)).map(sorted)


@given(NUMBERS)
def test_runs_are_the_numbers_and_as_few_as_can_be(numbers: list[int]) -> None:
    runs = runs_of(numbers)
    assert list(each_line(runs)) == numbers
    assert count_lines(runs) == len(numbers)
    assert len(runs) == sum(number - 1 not in numbers for number in numbers)


@given(NUMBERS, st.integers(0, 35), st.integers(0, 35))
def test_cutting_runs_is_cutting_the_list(numbers: list[int], one: int, other: int) -> None:
    runs = runs_of(numbers)
    head, rest = split_lines(runs, one)
    assert (list(each_line(head)), list(each_line(rest))) == (numbers[:one], numbers[one:])
    assert list(each_line(joined_lines([head, rest]))) == numbers
    start, stop = sorted((one, other))
    assert list(each_line(slice_lines(runs, start, stop))) == numbers[start:stop]
    assert all(count for part in (head, rest, slice_lines(runs, start, stop)) for _, count in part)


@given(NUMBERS, st.integers(0, 35))
def test_a_line_is_found_and_taken_out(numbers: list[int], one: int) -> None:
    runs = runs_of(numbers)
    assert line_of(runs, one) == (numbers[one] if one < len(numbers) else 0)
    positions = [position for position, number in enumerate(numbers) if number != one]
    left = take_lines(runs, positions)
    assert list(each_line(left)) == [number for number in numbers if number != one]
    assert all(count for _, count in left)


def test_records_of_one_line_all_have_its_number() -> None:
    runs = [(3, 1)] * 4 + [(4, 2)]
    assert list(each_line(runs)) == [3, 3, 3, 3, 4, 5]
    assert runs_of(each_line(runs)) == [(3, 1), (3, 1), (3, 1), (3, 3)]
    assert [list(each_line(one)) for one in split_lines(runs, 2)] == [[3, 3], [3, 3, 4, 5]]
    assert list(each_line(take_lines(runs, [0, 3, 5]))) == [3, 3, 5]
