"""Workbooks: cells with types of their own, and sheets that people wrote."""

from __future__ import annotations

import gzip
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from barefiles import DATE, INTEGER, NUMBER, STAMP, TEXT, Found, read, refused
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_singer.reading.excelrows import json_value, sheet_rows


def of_rows(folder: Path, rows: list[list[Any]], **said: Any) -> Found:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in rows:
        sheet.append(row)
    book.save(folder / "a.xlsx")
    return read(folder / "a.xlsx", **said)


@pytest.mark.parametrize(
    ("cells", "values", "property", "told"),
    [
        ([1, 2.0, None], [1, 2, None], INTEGER, None),
        ([1, 2.5], [1, 2.5], NUMBER, None),
        ([10**15, -(10**15)], [10**15, -(10**15)], INTEGER, None),
        (["007", "12"], ["007", "12"], TEXT, None),
        ([datetime(2024, 1, 1), datetime(2024, 1, 2, 3)], ["2024-01-01T00:00:00", "2024-01-02T03:00:00"], STAMP, None),
        ([date(2024, 1, 1), None], ["2024-01-01", None], DATE, None),
        ([time(1, 2, 3)], ["01:02:03"], {"type": ["null", "string"], "format": "time"}, None),
        ([timedelta(hours=25, minutes=30)], ["PT25H30M"], {"type": ["null", "string"], "format": "duration"}, None),
        ([1, "n/a", "-"], [1, None, None], INTEGER, "'-', 'n/a' in 'v' is null"),
        (["-", "-"], ["-", "-"], TEXT, None),
        ([None, None], [None, None], TEXT, None),
        ([1, "x"], [1, "x"], {}, "is of several types: integer, string"),
        ([True, False], [True, False], {"type": ["null", "boolean"]}, None),
    ],
)  # fmt: skip
def test_a_column(
    tmp_path: Path, cells: list[Any], values: list[Any], property: Any, told: str | None
) -> None:
    found = of_rows(tmp_path, [["k", "v"], *(["x", cell] for cell in cells)])
    assert [one["v"] for one in found.records] == values
    assert [type(one["v"]) for one in found.records if isinstance(one["v"], int)] == [
        type(one) for one in values if isinstance(one, int)
    ]
    assert found.properties["v"] == property
    assert [told in one for one in found.told if told] == ([True] if told else [])
    assert bool(found.told) == bool(told)


def test_what_a_person_says(tmp_path: Path) -> None:
    rows: list[list[Any]] = [["Report", 2024], [], ["id", "v"], [1, "x"], [2, "none"]]
    found = of_rows(tmp_path, rows, null_values=["none"], header_row=3)
    assert found.records == [{"id": 1, "v": "x"}, {"id": 2, "v": None}]
    assert "'header_row' is 2" in refused(tmp_path / "a.xlsx", header_row=2).message
    assert len(of_rows(tmp_path, [[1, 2], [3, 4]], header_row=0).records) == 2


def test_a_table_that_does_not_begin_in_the_first_cell(tmp_path: Path) -> None:
    found = of_rows(tmp_path, [[], [None, None, "id", "v"], [None, None, 1, 2]])
    assert list(found.records[0].values()) == [None, None, 1, 2]
    assert list(found.properties) == ["column_1", "column_2", "id", "v"]


def test_a_packed_workbook(tmp_path: Path) -> None:
    records = of_rows(tmp_path, [["id"], [1]]).records
    (tmp_path / "b.xlsx.gz").write_bytes(gzip.compress((tmp_path / "a.xlsx").read_bytes()))
    assert read(tmp_path / "b.xlsx.gz").records == records


def test_rows_of_a_sheet(tmp_path: Path) -> None:
    of_rows(tmp_path, [["id", "at"], [1.0, datetime(2024, 1, 2, 3, 4)], [None, 0.5]])
    assert list(sheet_rows(tmp_path / "a.xlsx", "a", "Sheet")) == [
        ["id", "at"],
        [1, "2024-01-02T03:04:00"],
        [None, 0.5],
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(), "PT0S"),
        (timedelta(seconds=1.5), "PT1.5S"),
        (timedelta(days=-1), "-PT24H"),
        (timedelta(hours=1, seconds=10), "PT1H10S"),
    ],
)
def test_durations(value: timedelta, text: str) -> None:
    assert json_value(value, stamp=False) == text


VALUES = st.one_of(
    st.none(),
    st.integers(-(10**15), 10**15),
    st.text(st.sampled_from("ab1-,;. \n"), min_size=1, max_size=5).filter(
        lambda text: text == text.strip() != ""
    ),
)


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.tuples(VALUES, VALUES), max_size=6))
def test_no_row_is_lost_and_no_cell_changed(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Any, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("x")
    whole = [["id", "a", "b"], *([f"r{n}", *row] for n, row in enumerate(rows))]
    found = of_rows(folder, whole, header_row=1, null_values=[])
    assert [list(one.values()) for one in found.records] == whole[1:]
