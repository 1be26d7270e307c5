"""A quote that is not closed never takes in the rows that follow it."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from barefiles import of_text, refused, table
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_singer.reading import quotes
from flow_singer.reading.dialects import FoundDialect
from flow_singer.reading.quotes import first_bad_line


@pytest.mark.parametrize(
    ("name", "text", "values"),
    [
        ("a.csv", 'id,v\n1,"abc\n2,def\n3,ghi\n', ['"abc', "def", "ghi"]),
        ("a.tsv", 'id\tv\n1\t"abc\n2\tdef\n3\t5" pipe\n', ['"abc', "def", '5" pipe']),
        ("a.csv", 'id,v\n1,"Big" Jim\n2,x\n', ['"Big" Jim', "x"]),
        ("a.csv", 'id,v\n1,5" pipe\n2,x\n', ['5" pipe', "x"]),
        ("a.csv", 'id,v\n1,"a"\n2,"b\nc"\n', ["a", "b\nc"]),
        ("a.csv", '\ufeff"id","v"\n1,""""\n2,"x"""\n', ['"', 'x"']),
    ],
)
def test_quotes_within_cells(tmp_path: Path, name: str, text: str, values: list[str]) -> None:
    assert [one["v"] for one in of_text(tmp_path, text, name).records] == values


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('id,v,w\n1,"a, b",c\n2,"open,c\n3,x,y\n', 4),
        ('id,v\n"1","a"\n"2","b" c\n"3","d"\n', 3),
        ('id,v,w\n1,"a,b",c\n2,"x\n3,"y",z\n', 4),
    ],
)
def test_a_quote_that_is_not_closed(tmp_path: Path, text: str, line: int) -> None:
    (tmp_path / "a.csv").write_text(text)
    error = refused(tmp_path / "a.csv")
    assert error.message.startswith(f"{tmp_path}/a.csv, line {line}: a quote is not closed")


CELLS = st.text(st.sampled_from('ab",;\n\r '), max_size=6)
ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    rows=ROWS, quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]), delimiter=st.sampled_from(",;")
)
def test_what_a_writer_of_csv_wrote_is_sound(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], quoting: int, delimiter: str
) -> None:
    file = tmp_path_factory.mktemp("q") / "a.csv"
    file.write_bytes(table(rows, quoting=quoting, delimiter=delimiter).encode())
    dialect = FoundDialect(delimiter, 1, ["a", "b"])
    assert first_bad_line(file, is_gzip=False, encoding="utf-8", dialect=dialect) is None


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from('ab",\n\r'), max_size=30), size=st.integers(1, 8))
def test_any_text_is_judged_as_the_strict_reader_does(text: str, size: int) -> None:
    """The quick look never lets pass what that refuses, wherever blocks end."""
    data = text.encode()
    blocks = (data[start : start + size] for start in range(0, len(data), size))
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), strict=True):
            pass
    except csv.Error:
        assert not quotes._are_sound(blocks, b",")
