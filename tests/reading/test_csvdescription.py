"""CSV as people write it, in one file or in many that are one table."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path
from typing import Any

import pytest
from barefiles import BOOLEAN, DATE, INTEGER, NUMBER, TEXT, of_text, put, read, refused, table
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("files", "properties", "values"),
    [
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": "id,v\n"}, INTEGER, [5]),
        ({"a1.csv": "id,v\n", "a2.csv": "id,v\n1,5\n"}, INTEGER, [5]),
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": ""}, INTEGER, [5]),
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": "id,v\n2,\n"}, INTEGER, [5, None]),
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": "id,v\n2,NA\n"}, INTEGER, [5, None]),
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": "id,v\n2,007\n"}, TEXT, ["5", "007"]),
        ({"a1.csv": "id,v\n1,2024-01-01\n", "a2.csv": "id,v\n2,01.02.2024\n"}, TEXT, ["2024-01-01", "01.02.2024"]),
        ({"a1.csv": "id,v\n1,01/02/2024\n", "a2.csv": "id,v\n2,13/02/2024\n"}, DATE, ["2024-02-01", "2024-02-13"]),
        ({"a1.csv": "id,v\n1,x\n", "a2.csv": "id,v\n2,ü\n".encode("cp1252")}, TEXT, ["x", "ü"]),
        ({"a1.csv": "id,v\n1,x\n", "a2.csv": "id,v\n2,ü\n".encode("utf-8-sig")}, TEXT, ["x", "ü"]),
    ],
)  # fmt: skip
def test_files_are_one_table(
    tmp_path: Path, files: dict[str, str | bytes], properties: Any, values: list[Any]
) -> None:
    put(tmp_path, files)
    found = read(f"{tmp_path}/*.csv")
    assert found.stream == "a"
    assert found.properties["v"] == properties
    assert [one["v"] for one in found.records] == values


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": "v,id\n2,4\n"}, "their order differs"),
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": "id\n2\n"}, "it lacks 'v'"),
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": "id,v,w\n2,3,4\n"}, "it also has 'w'"),
        ({"a1.csv": "id,v\n1,5\n", "a2.csv": "id;v\n2;4\n"}, "are divided by ','"),
        ({"a1.csv": "T\nid,v\n1,5\n", "a2.csv": "id,v\n2,4\n"}, "in the lines above their header"),
        ({"a1.csv": "id,v\n1,ß\n", "a2.csv": "id,v\n2,ü\n".encode("cp1252")}, "encoding utf-8, but"),
        ({"a1.csv": "id,v\n1,5\n", "a2.csv.gz": gzip.compress(b"id,v\n2,4\n")}, "they are csv and csv, packed"),
    ],
)  # fmt: skip
def test_files_that_are_not_one_table(tmp_path: Path, files: dict[str, str | bytes], message: str) -> None:
    put(tmp_path, files)
    error = refused(f"{tmp_path}/a*")
    assert message in error.message
    for name in files:
        assert f"{tmp_path}/{name}" in error.message


@pytest.mark.parametrize(
    ("names", "stream"),
    [
        (["sales_jan", "sales_jun"], "sales"),
        (["log-1", "log-2"], "log"),
        (["log-1"], "log"),
        (["users", "users2"], "users"),
        (["order", "orders"], "all"),
        (["2024-01", "2024-02"], "all"),
        (["2024-01"], "all"),
    ],
)
def test_the_stream_of_a_glob_is_what_names_have_in_common(
    tmp_path: Path, names: list[str], stream: str
) -> None:
    folder = tmp_path / "all"
    folder.mkdir()
    put(folder, {f"{name}.csv": "id\n1\n" for name in names})
    assert read(f"{folder}/*.csv").stream == stream


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('a,b\n1,"x\ny\nz"\n2,3,4\n', 5),
        ("Title\n\na,b\n1,2\n\n3\n", 6),
        ("a,b\n1,2\n3,4\n", None),
        ("a, b\n1, 2\n3, 4, 5\n", 3),
    ],
)
def test_a_row_of_another_length_is_named_by_its_line(tmp_path: Path, text: str, line: int | None) -> None:
    (tmp_path / "a.csv").write_text(text)
    if line is None:
        assert len(read(tmp_path / "a.csv").records) == 2
    else:
        assert refused(tmp_path / "a.csv").message.startswith(f"{tmp_path}/a.csv, line {line}: ")


def test_a_total_that_fits_its_columns_is_told(tmp_path: Path) -> None:
    found = of_text(tmp_path, "name,v\na,1\nb,2\nc,3\nTotal,6\n")
    assert len(found.records) == 4
    assert "its last row is called 'Total'" in found.told[0]
    assert of_text(tmp_path, "name,v\na,1\nb,2\nc,3\nTotality,6\n").told == []


def test_a_sample(tmp_path: Path) -> None:
    rows = [["id", "v"], *([str(n), str(n)] for n in range(20_000)), ["x", "y"]]
    found = of_text(tmp_path, table(rows))
    assert found.properties == {"id": TEXT, "v": TEXT}
    error = refused(tmp_path / "data.csv", sample_rows=10)
    assert "column 'id': 'x' is not of its type" in error.message
    found = read(tmp_path / "data.csv", sample_rows=10, on_error="null")
    assert found.records[-1] == {"id": None, "v": None}
    assert "as 'sample_rows' says" in found.told[0]


CELLS = st.sampled_from(
    [
        "",
        "x",
        "Ada",
        "007",
        "1",
        "-5",
        "12.50",
        "2024-02-29",
        "true",
        "a b",
        "ü€",
        'say "x"',
        "a\nb",
        "9" * 25,
        "+49 30",
    ]
)


@settings(max_examples=120, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"]),
    packed=st.booleans(),
)
def test_whatever_is_guessed_no_row_is_lost_and_no_cell_changed(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str, str]],
    delimiter: str,
    end: str,
    quoting: int,
    encoding: str,
    packed: bool,
) -> None:
    text = table(
        [["id", "a", "b", "c"], *([f"r{n}", *row] for n, row in enumerate(rows))],
        delimiter=delimiter,
        lineterminator=end,
        quoting=csv.QUOTE_ALL if end == "\r" else quoting,  # Python 3.11 leaves a newline bare then
    )
    data = text.encode(encoding)
    folder = tmp_path_factory.mktemp("any")
    found = of_text(folder, gzip.compress(data) if packed else data, "a.csv.gz" if packed else "a.csv")
    assert [one["id"] for one in found.records] == [f"r{n}" for n in range(len(rows))]
    for place, name in enumerate("abc"):
        for row, record in zip(rows, found.records, strict=True):
            assert _is_same(row[place], record[name], found.properties[name])


def _is_same(cell: str, value: Any, schema: Any) -> bool:
    if cell == "":
        return value is None
    if schema in (INTEGER, NUMBER):
        return f"{value}" == cell
    if schema == BOOLEAN:
        return {"true": True, "false": False}[cell] is value
    return bool(value == cell)
