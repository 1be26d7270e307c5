"""The types of columns: what nobody could tell from the cells is not guessed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from barefiles import DATE, INTEGER, NUMBER, STAMP, TEXT, of_text, refused, table
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.source import open_source

NBSP = "\u00a0"


def column(folder: Path, cells: list[str], delimiter: str = ",", other: str = "x", **said: Any) -> Any:
    """Values, property and what was told of a column; `other` stands in each cell beside it."""
    text = table([["k", "v"], *([other, cell] for cell in cells)], delimiter=delimiter)
    found = of_text(folder, text, delimiter=delimiter, **said)
    return [one["v"] for one in found.records], found.properties["v"], found.told


@pytest.mark.parametrize(
    ("delimiter", "other", "cells", "values", "property", "told"),
    [
        (";", "x", ["1.234", "12"], ["1.234", "12"], TEXT, "'types' decides: integer or number"),
        (";", "2,5", ["1.234", "12"], [1234, 12], INTEGER, "integers with points between thousands"),
        (";", "2.5", ["1.234", "12"], [Decimal("1.234"), 12], NUMBER, None),
        (";", "x", ["1.234", "1234"], [Decimal("1.234"), 1234], NUMBER, None),
        (";", "x", ["1.234", "0.5"], [Decimal("1.234"), Decimal("0.5")], NUMBER, None),
        (";", "x", ["1.234.567", "12"], [1234567, 12], INTEGER, "points between thousands"),
        (";", "x", ["1,234", "12"], [Decimal("1.234"), 12], NUMBER, "a decimal comma"),
        (",", "x", ["1.234", "12"], [Decimal("1.234"), 12], NUMBER, None),
        (",", "x", ["1,234", "12"], [1234, 12], INTEGER, "integers with commas between thousands"),
        (",", "x", ["1,234.5"], [Decimal("1234.5")], NUMBER, "numbers with commas between thousands"),
        (",", "2,5", ["1,234"], [Decimal("1.234")], NUMBER, "a decimal comma"),
        ("\t", "x", ["1,234", "12"], ["1,234", "12"], TEXT, "'types' decides"),
        ("\t", "2.5", ["1,234", "12"], [1234, 12], INTEGER, "commas between thousands"),
        (";", "x", ["1'234.50", "12"], [Decimal("1234.50"), 12], NUMBER, "apostrophes"),
        (";", "x", ["1 234,50", "12"], [Decimal("1234.50"), 12], NUMBER, "blanks between thousands"),
        (";", "x", [f"1{NBSP}234,50"], [Decimal("1234.50")], NUMBER, "blanks between thousands"),
        (";", "x", ["555 123", "12"], ["555 123", "12"], TEXT, "'types' decides"),
        (";", "x", ["1.23,4"], ["1.23,4"], TEXT, None),
    ],
)  # fmt: skip
def test_what_divides_thousands(
    tmp_path: Path,
    delimiter: str,
    other: str,
    cells: list[str],
    values: list[Any],
    property: Any,
    told: str | None,
) -> None:
    found, schema, notices = column(tmp_path, cells, delimiter, other)
    assert (found, schema) == (values, property)
    of_v = [one for one in notices if "'v'" in one or "'k', 'v'" in one]
    assert [told in one for one in of_v if told] == ([True] if told else [])
    assert bool(of_v) == bool(told)


def test_a_person_says_what_divides_thousands(tmp_path: Path) -> None:
    cells = ["1.234", "12"]
    assert column(tmp_path, cells, ";", types={"v": "integer"})[:2] == ([1234, 12], INTEGER)
    assert column(tmp_path, cells, ";", types={"v": "number"})[:2] == ([Decimal("1.234"), 12], NUMBER)
    assert column(tmp_path, cells, ";", types={"v": "string"})[:2] == (cells, TEXT)


@pytest.mark.parametrize(
    ("cells", "values", "property", "told"),
    [
        (["01.02.2024 08:30", "1.2.2024 23:59"], ["2024-02-01T08:30:00", "2024-02-01T23:59:00"], STAMP, "day first"),
        (["01.02.2024 08:30:15"], ["2024-02-01T08:30:15"], STAMP, "times, day first"),
        (["2/13/2024 10:05 PM"], ["2024-02-13T22:05:00"], STAMP, "%m/%d/%Y %I:%M %p"),
        (["13/2/2024 10:05"], ["2024-02-13T10:05:00"], STAMP, "%d/%m/%Y %H:%M"),
        (["1/2/2024 10:05"], ["1/2/2024 10:05"], TEXT, "%d/%m/%Y %H:%M or %m/%d/%Y %H:%M"),
        (["31-12-2024"], ["2024-12-31"], DATE, "%d-%m-%Y"),
        (["2024/12/31"], ["2024-12-31"], DATE, None),
        (["2024-12-31 10:05"], ["2024-12-31T10:05:00"], STAMP, None),
        (["30/02/2024", "13/01/2024"], ["30/02/2024", "13/01/2024"], TEXT, None),
        (["13/01/2024", "01/13/2024"], ["13/01/2024", "01/13/2024"], TEXT, None),
        (["01.02.2024", "2024-02-01"], ["01.02.2024", "2024-02-01"], TEXT, None),
        (["1.2.24"], ["1.2.24"], TEXT, None),
        (["2024-02-30 10:00:00"], ["2024-02-30 10:00:00"], TEXT, None),
    ],
)  # fmt: skip
def test_dates_and_times(
    tmp_path: Path, cells: list[str], values: list[str], property: Any, told: str | None
) -> None:
    found, schema, notices = column(tmp_path, cells)
    assert (found, schema) == (values, property)
    assert [told in one for one in notices if told] == ([True] if told else [])
    assert bool(notices) == bool(told)


def test_what_a_person_says_of_dates(tmp_path: Path) -> None:
    stamps = ["01/02/2024 10:05", "03/04/2024 11:00"]
    found = column(tmp_path, stamps, date_format="%d/%m/%Y %H:%M")
    assert found[:2] == (["2024-02-01T10:05:00", "2024-04-03T11:00:00"], STAMP)
    assert column(tmp_path, ["20240131"], date_format="%Y%m%d")[:2] == (["2024-01-31"], DATE)
    assert column(tmp_path, ["20241331", "7"], date_format="%Y%m%d")[:2] == ([20241331, 7], INTEGER)
    error = refused(tmp_path / "data.csv", types={"v": "date"}, delimiter=",", date_format="%d.%m")
    assert "'v'" in error.message
    column(tmp_path, ["01/02/2024"])
    error = refused(tmp_path / "data.csv", types={"v": "date"})
    assert "day or month could come first" in error.message
    assert error.hint == "Set 'date_format': %d/%m/%Y or %m/%d/%Y."


def test_an_empty_cell_is_null_whatever_else_is(tmp_path: Path) -> None:
    assert column(tmp_path, ["1", "", "x"], null_values=["x"])[:2] == ([1, None, None], INTEGER)
    assert column(tmp_path, ["a", "", "x"], null_values=["x"])[:2] == (["a", "", None], TEXT)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "id,v\n1,5\n,6\n", "'id', which 'key' names, is empty in some row"),
        ("a.csv", "id,v\nx,5\n,6\n", "is empty in some row"),
        ("a.csv", "id,v\n1,5\nNA,6\n", "is 'NA', which stands for null, in some row"),
        ("a.jsonl", '{"id": 1}\n{"id": null}\n', "is empty in some row"),
    ],
)
def test_a_key_has_a_value_in_each_row(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    assert message in refused(tmp_path / name, key=["id"]).message


@pytest.mark.parametrize(
    ("name", "said", "told"),
    [
        ("a.csv", {"sheet": "x"}, "'sheet' says nothing of csv"),
        ("a.jsonl", {"delimiter": ";"}, "'delimiter' says nothing of jsonl"),
        ("a.csv", {"date_format": "%d/%m/%Y"}, "no column has dates of the form '%d/%m/%Y'"),
    ],
)
def test_what_a_person_says_in_vain_is_told(
    tmp_path: Path, name: str, said: dict[str, Any], told: str
) -> None:
    text = '{"id": 1}\n' if name == "a.jsonl" else "id,v\n1,x\n"
    assert told in of_text(tmp_path, text, name, **said).told[0]


def test_of_parquet_no_rows_are_looked_at_for_types(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1]}), tmp_path / "a.parquet")
    told: list[str] = []
    with open_source(str(tmp_path / "a.parquet"), ReadSettings(sample_rows=5), notice=told.append):
        assert [one.partition(": ")[2] for one in told] == ["'sample_rows' says nothing of parquet."]


def test_a_form_of_dates_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    assert "in which nothing stands for day" in refused(tmp_path / "a.csv", date_format="dd.mm.yyyy").message


def test_blanks_around_numbers_are_none_of_them(tmp_path: Path) -> None:
    assert column(tmp_path, ["  1", " 10", "100"])[:2] == ([1, 10, 100], INTEGER)
    assert column(tmp_path, ["1.5", " ", "-2 "])[:2] == ([Decimal("1.5"), None, -2], NUMBER)
    assert column(tmp_path, [" a", "b"])[:2] == ([" a", "b"], TEXT)
    assert column(tmp_path, [" 007"])[:2] == ([" 007"], TEXT)


def test_one_line_tells_of_all_columns_alike(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(100)]
    found = of_text(
        tmp_path, ";".join(names) + "\n" + ";".join(["1,5"] * 99 + ["-"]) + "\n" + ";".join(["2,5"] * 100)
    )
    assert [one.partition(": ")[2] for one in found.told] == [
        "its cells are divided by ;.",
        "'c0', 'c1', 'c2' and 97 more are read as numbers with a decimal comma. 'types' says otherwise.",
        "'-' in 'c99' is null. 'null_values' says otherwise.",
    ]


def test_a_type_holds_for_all_blocks_of_a_file(tmp_path: Path) -> None:
    """The one odd cell may stand anywhere: a type is that of all cells."""
    rows = [["k", "v"], *(["x", str(number)] for number in range(12_000))]
    for place, odd in ((1, "a"), (6_000, "007"), (11_999, "1.5")):
        cells = [list(row) for row in rows]
        cells[place][1] = odd
        found = of_text(tmp_path, table(cells))
        assert found.properties["v"] == (NUMBER if odd == "1.5" else TEXT)
        assert len(found.records) == 12_000
        assert str(found.records[place - 1]["v"]) == odd


@settings(max_examples=60, deadline=None)
@given(
    numbers=st.lists(st.decimals(-(10**12), 10**12, places=2), min_size=1, max_size=8),
    locale=st.sampled_from(
        [(";", ",", "."), (",", ".", ","), (";", ".", "'"), (";", ",", ""), (",", ".", "")]
    ),
)
def test_numbers_of_all_countries_come_back(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[Decimal], locale: tuple[str, str, str]
) -> None:
    delimiter, decimal, group = locale
    cells = [f"{one:,.2f}".replace(",", "\0").replace(".", decimal).replace("\0", group) for one in numbers]
    values, schema, _ = column(tmp_path_factory.mktemp("n"), cells, delimiter)
    assert schema == NUMBER
    assert values == numbers


@settings(max_examples=60, deadline=None)
@given(
    days=st.lists(st.dates(), min_size=1, max_size=8),
    form=st.sampled_from(["%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y-%m-%d", "%d-%m-%Y"]),
)
def test_dates_come_back_or_stay_texts(
    tmp_path_factory: pytest.TempPathFactory, days: list[Any], form: str
) -> None:
    cells = [
        form.replace("%d", f"{day.day:02}").replace("%m", f"{day.month:02}").replace("%Y", f"{day.year:04}")
        for day in days
    ]
    values, schema, told = column(tmp_path_factory.mktemp("d"), cells)
    if schema == DATE:
        assert values == [day.isoformat() for day in days]
    else:
        assert values == cells
        assert "'date_format' decides" in told[0]
