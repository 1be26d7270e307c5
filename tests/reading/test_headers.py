"""Where rows begin, and what their columns are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from barefiles import of_text, refused


@pytest.mark.parametrize(
    ("text", "names", "count", "told"),
    [
        ("a,b\n1,2,\n3,4,\n", ["a", "b", "column_3"], 2, "column 3 (no name) is 'column_3'"),
        ("a,b\nx,y,\nz,w,\n", ["a", "b", "column_3"], 2, "column 3 (no name)"),
        ("a,b,\n1,2,\n", ["a", "b", "column_3"], 1, "column 3 (no name)"),
        ("Title\na,b,\n1,2\n3,4\n", ["a", "b"], 2, "1 row left out: 'Title'"),
        ("a,b,\nx,y\nz,w\n", ["a", "b"], 2, None),
        (",x\n1,0.5\n2,0.25\n", ["column_1", "x"], 2, "column 1 (no name) is 'column_1'"),
        ('"","x"\n"a",.5\n', ["column_1", "x"], 1, "column 1 (no name)"),
        (",Report\nid,v\n1,2\n", ["id", "v"], 1, "1 row left out: 'Report'"),
        ("Report,2024,,\nid,name,v,w\n1,a,2,3\n", ["id", "name", "v", "w"], 1, "1 row left out: 'Report 2024'"),
        ("id,name,,\nx,y,z,w\nq,r,s,t\n", ["id", "name", "column_3", "column_4"], 2, "column 3 (no name)"),
        ("# by x, y\n# on, 2024\nid,v\n1,2\n", ["id", "v"], 1, "2 rows left out: '# by x y / # on 2024'"),
        ("#id,v\n1,2\n", ["#id", "v"], 1, None),
        ("# note\n#id,v\n1,2\n", ["#id", "v"], 1, "1 row left out: '# note'"),
        ("sep=;\nid;v\n1;2\n", ["id", "v"], 1, None),
        ("1,2.5,x\n", ["column_1", "column_2", "column_3"], 1, "no header"),
        ("Title\n\n1,2\n3,4\n", ["column_1", "column_2"], 2, "no header"),
        ("country,2020,2021\n", ["country", "2020", "2021"], 0, None),
        ("a, b, c\n1, 2, \"x, y\"\n", ["a", "b", "c"], 1, "a blank behind its delimiter"),
        ("<DATE>,<OPEN>\n2024-01-01,5\n", ["<DATE>", "<OPEN>"], 1, None),
        ("a,a,a_2\n1,2,3\n", ["a", "a_2", "a_2_2"], 1, "column 2 (a) is 'a_2'"),
    ],
)  # fmt: skip
def test_the_header(tmp_path: Path, text: str, names: list[str], count: int, told: str | None) -> None:
    found = of_text(tmp_path, text)
    assert list(found.properties) == names
    assert len(found.records) == count
    if told:
        assert any(told in one for one in found.told)
    else:
        assert found.told == []


def test_a_header_with_a_name_too_few(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text("a,b\nx,1,2\ny,3,4\n")
    error = refused(tmp_path / "data.csv")
    assert error.message == f"{tmp_path}/data.csv: its header has 2 names (a, b), but its rows have 3 cells."
    assert "'header_row': 0" in (error.hint or "")
    found = of_text(tmp_path, "a,b\nx,1,2\ny,3,4\n", header_row=0, on_error="skip")
    assert [list(one.values()) for one in found.records] == [["x", 1, 2], ["y", 3, 4]]


@pytest.mark.parametrize(
    ("said", "names", "count"),
    [
        ({"header_row": 1}, ["T", "x"], 3),
        ({"header_row": 2}, ["id", "v"], 2),
        ({"header_row": 0}, ["column_1", "column_2"], 4),
    ],
)
def test_a_person_says_which_row_it_is(
    tmp_path: Path, said: dict[str, Any], names: list[str], count: int
) -> None:
    found = of_text(tmp_path, "T,x\n\nid,v\n1,2\n3,4\n", **said)
    assert list(found.properties) == names
    assert len(found.records) == count


def test_a_person_says_which_row_it_is_where_it_has_a_delimiter_too_many(tmp_path: Path) -> None:
    found = of_text(tmp_path, "T,x\nid,v,\n1,2\n3,4\n", header_row=2)
    assert found.records == [{"id": 1, "v": 2}, {"id": 3, "v": 4}]


def test_a_tab_can_be_said(tmp_path: Path) -> None:
    for said in ("tab", "\\t", "\t"):
        assert of_text(tmp_path, "a\tb\n1\t2\n", delimiter=said).records == [{"a": 1, "b": 2}]
