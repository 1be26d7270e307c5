"""One output type of a column in all batches of a run, whatever nulls do to the dtypes of pandas."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from pushed import INTEGER, NUMBER, TEXT, Pushed, functions_of, push, record, records, schema

DATE = {"type": ["null", "string"], "format": "date"}
BOOLEAN = {"type": ["null", "boolean"]}
STREAM = schema("s", {"id": INTEGER, "due": DATE, "s": TEXT, "n": INTEGER, "x": NUMBER, "o": {}}, ["id"])
ROWS = [
    {"id": 1, "due": "2024-02-29", "s": "yes", "n": 3, "x": 2.0, "o": {"id": 1}},
    {"id": 2, "due": None, "s": None, "n": None, "x": None, "o": None},
    {"id": 3, "due": "2025-03-01", "s": "no", "n": 5, "x": 4.5, "o": {"id": 3}},
    {"id": 4, "due": "2026-03-01", "s": "yes", "n": 7, "x": 6.0, "o": {"id": 4}},
]
ORDERS = {
    "null later": [0, 2, 1, 3],
    "null first": [1, 0, 2, 3],
    "null amid": [0, 1, 2, 3],
    "null last": [0, 2, 3, 1],
}


def through(code: str, folder: Path, rows: list[dict[str, Any]], size: int, options: str = "") -> Pushed:
    function = f"import numpy as np\n@transform({options})\ndef s(df):\n    return {code}\n"
    return push(functions_of(function, folder), STREAM + records("s", rows), batch_records=size)


INTEGERS = {
    "year": "df['due'].dt.year",
    "month": "df['due'].dt.month",
    "len": "df['s'].str.len()",
    "map": "df['s'].map({'yes': 1, 'no': 0})",
    "count": "df['s'].str.count('e')",
    "days": "(df['due'] - pd.Timestamp('2024-01-01')).dt.days",
    "factor": "df['n'].astype('Int64') * 2",
    "nested": "df['o'].str['id']",
    "merge": "df.merge(pd.DataFrame({'s': ['yes', 'no'], 'w': [1, 2]}), on='s', how='left')['w']",
    "where": "df['due'].dt.year.where(df['id'] != 3)",
}


@pytest.mark.parametrize("size", [1, 2, 3, 10])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("form", INTEGERS)
def test_integers_beside_nulls_stay_integers(tmp_path: Path, form: str, order: str, size: int) -> None:
    out = through(f"df.assign(new={INTEGERS[form]})", tmp_path, [ROWS[i] for i in ORDERS[order]], size)
    assert out.properties("s")["new"] == INTEGER
    values = {one["id"]: one.get("new") for one in out.records("s")}
    assert {type(value) for value in values.values()} == {int, type(None)}
    assert values[2] is None
    assert len(out.schemas("s")) <= 2


@pytest.mark.parametrize("size", [1, 2, 3, 10])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "form",
    [
        "df['due'].dt.year.astype(float)",
        "df['n'].astype(float)",
        "df['n'] / 1",
        "df['s'].str.len() * 1.0",
        "df['n'].map({3: 1.0, 5: 2.0, 7: 3.0})",
    ],
)
def test_numbers_that_are_whole_stay_numbers(tmp_path: Path, form: str, order: str, size: int) -> None:
    out = through(f"df.assign(new={form})", tmp_path, [ROWS[i] for i in ORDERS[order]], size)
    assert out.properties("s")["new"] == NUMBER
    assert {type(one.get("new")) for one in out.records("s")} == {float, type(None)}
    assert len(out.schemas("s")) <= 2


@pytest.mark.parametrize("size", [1, 2, 3, 10])
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize(
    "form",
    [
        "df['s'] == 'yes'",
        "df['s'].map({'yes': True, 'no': False})",
        "df['s'].str.startswith('y')",
        "(df['n'] > 3)",
        "[None if s is None or s != s else s == 'yes' for s in df['s']]",
        "np.where(df['s'].isna(), np.nan, df['s'] == 'yes') if len(df) > 1 and df['s'].isna().any() "
        "and not df['s'].isna().iloc[0] else df['s'].map({'yes': True, 'no': False})",
    ],
)
def test_booleans_beside_nulls_stay_booleans(tmp_path: Path, form: str, order: str, size: int) -> None:
    out = through(f"df.assign(new={form})", tmp_path, [ROWS[i] for i in ORDERS[order]], size, "batch=True")
    types = {type(one.get("new")) for one in out.records("s")}
    assert types <= {bool, type(None)} or "np.where" in form
    assert out.properties("s")["new"] == BOOLEAN or "np.where" in form


def test_a_whole_number_in_a_later_batch_is_written_as_the_number_it_was(tmp_path: Path) -> None:
    code = "df.assign(new=df['id'] / 4 if df['id'].max() < 3 else df['id'].astype('int64'))"
    out = through(code, tmp_path, ROWS, 2, "batch=True")
    assert [one.split(b'"new":')[1] for one in out.lines[1:]] == [b"0.25}}", b"0.5}}", b"3.0}}", b"4.0}}"]
    assert len(out.schemas("s")) == 1


def test_an_integer_past_what_a_float_holds_keeps_its_digits(tmp_path: Path) -> None:
    code = "df.assign(new=df['id'] / 4 if df['id'].max() < 3 else df['id'] + 2**53)"
    out = through(code, tmp_path, ROWS, 2, "batch=True")
    assert [one["new"] for one in out.records("s")][2:] == [2**53 + 3, 2**53 + 4]


def test_a_fraction_widens_integers_once(tmp_path: Path) -> None:
    code = "df.assign(new=df['id'].astype('int64') * (1 if df['id'].max() < 3 else 0.5))"
    out = through(code, tmp_path, ROWS, 1, "batch=True")
    assert [one["properties"]["new"] for one in out.schemas("s")] == [INTEGER, NUMBER]
    assert [one["new"] for one in out.records("s")] == [1, 2, 1.5, 2.0]


@pytest.mark.parametrize("size", [1, 2, 10])
def test_a_column_of_dates_that_becomes_years_has_one_type(tmp_path: Path, size: int) -> None:
    """A first batch of nulls says nothing, though a column of that name was one of dates."""
    for number, rows in enumerate(itertools.permutations(ROWS)):
        folder = tmp_path / str(number)
        folder.mkdir()
        out = through("df.assign(due=df['due'].dt.year)", folder, list(rows), size)
        assert out.properties("s")["due"] == INTEGER
        assert len(out.schemas("s")) <= 2
        assert {type(one["due"]) for one in out.records("s")} == {int, type(None)}


@pytest.mark.parametrize("size", [1, 2, 10])
@pytest.mark.parametrize("form", ["df['n'] / 2", "df['n'] * 1.5", "df['n'].astype(float) / 4"])
def test_arithmetic_that_makes_numbers_of_an_integer_column_makes_numbers_of_all(
    tmp_path: Path, form: str, size: int
) -> None:
    out = through(f"df.assign(n={form})", tmp_path, [*ROWS, {**ROWS[0], "id": 5, "n": 4}], size)
    assert out.properties("s")["n"] in (NUMBER, INTEGER)
    assert len(out.schemas("s")) <= 2
    if "astype" not in form:
        assert out.properties("s")["n"] == NUMBER
        assert {type(one["n"]) for one in out.records("s")} == {float, type(None)}


def test_nulls_only_tell_no_type(tmp_path: Path) -> None:
    rows = [{**ROWS[1], "id": number} for number in range(4)]
    out = through("df.assign(new=df['due'].dt.year, due=df['due'].dt.year)", tmp_path, rows, 2)
    assert out.properties("s")["due"] == DATE
    assert {one["due"] for one in out.records("s")} == {None}


def test_a_stream_without_records_has_the_dtypes_of_the_empty_frame(tmp_path: Path) -> None:
    out = through("df.assign(year=df['due'].dt.year, half=df['n'] / 2)", tmp_path, [], 2)
    assert out.properties("s")["year"] == INTEGER
    assert out.properties("s")["half"] == NUMBER


def test_streams_that_take_turns_have_their_own_types(tmp_path: Path) -> None:
    code = "@transform('*')\ndef every(df):\n    return df.assign(new=df['due'].dt.year)\n"
    other = STREAM.replace(b'"stream": "s"', b'"stream": "t"')
    data = STREAM + other + b"".join(record(name, row) for row in ROWS for name in "st")
    out = push(functions_of(code, tmp_path), data, batch_records=2)
    for name in "st":
        assert out.properties(name)["new"] == INTEGER
        assert [one["new"] for one in out.records(name)] == [2024, None, 2025, 2026]


def test_a_declared_integer_is_written_as_one(tmp_path: Path) -> None:
    code = (
        "@transform(whole=True)\ndef s(df):\n"
        "    return df[['id']].assign(year=df['due'].dt.year), "
        "{'fields': [{'name': 'id', 'type': 'integer'}, {'name': 'year', 'type': 'integer'}]}\n"
    )
    out = push(functions_of(code, tmp_path), STREAM + records("s", ROWS))
    assert [one["year"] for one in out.records("s")] == [2024, None, 2025, 2026]
    assert all(b"." not in one for one in out.lines[1:])
