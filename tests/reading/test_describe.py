"""Files as real people write them: nothing is lost, what is guessed is told, what cannot be decided is asked for."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from barefiles import BOOLEAN, DATE, INTEGER, NUMBER, STAMP, TEXT
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_singer.errors import FlowError
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.source import open_source


def read(place: Path | str, **said: Any) -> tuple[list[dict[str, Any]], dict[str, Any], list[str]]:
    """Records, properties, and what was told, without the path."""
    notices: list[str] = []
    with open_source(place, ReadSettings(**said), notice=notices.append) as source:
        (stream,) = source.streams
        lines = b"".join(bytes(block) for block, _ in stream.lines())
        records = [json.loads(line, parse_float=Decimal)["record"] for line in lines.splitlines()]
    return records, dict(stream.schema.json_schema["properties"]), notices


def of_text(folder: Path, text: str | bytes, name: str = "data.csv", **said: Any) -> Any:
    file = folder / name
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(file, **said)


def column(folder: Path, cells: list[str], **said: Any) -> tuple[list[Any], Any, list[str]]:
    """The values of a column of these cells, its property, and what was told."""
    rows = io.StringIO(newline="")
    csv.writer(rows).writerows([["id", "v"], *([str(n), cell] for n, cell in enumerate(cells))])
    records, properties, notices = of_text(folder, rows.getvalue(), **said)
    return [one["v"] for one in records], properties["v"], notices


def refused(place: Path, **said: Any) -> FlowError:
    with pytest.raises(FlowError) as caught:
        read(place, **said)
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    ("cells", "values", "property", "told"),
    [
        (["1", "-2", "0"], [1, -2, 0], INTEGER, ""),
        (["1", ""], [1, None], INTEGER, ""),
        (["9223372036854775808", "1"], [2**63, 1], INTEGER, ""),
        (["36893488147419103232"], [2**65], INTEGER, ""),
        (["007", "12"], ["007", "12"], TEXT, ""),
        (["+49 30 1234"], ["+49 30 1234"], TEXT, ""),
        (["+4930", "+4931"], ["+4930", "+4931"], TEXT, ""),
        (["1.50", "2"], [Decimal("1.50"), 2], NUMBER, ""),
        (["1e3", "2.5"], [Decimal("1e3"), Decimal("2.5")], NUMBER, ""),
        (["0.1234567890123456789"], [Decimal("0.1234567890123456789")], NUMBER, ""),
        ([".5", "-.25", "3"], [Decimal("0.5"), Decimal("-0.25"), 3], NUMBER, "without a zero before the point"),
        ([".5e-3", "1.50"], [Decimal("0.5e-3"), Decimal("1.50")], NUMBER, "without a zero before the point"),
        ([".5", "007"], [".5", "007"], TEXT, ""),
        ([".", ".5"], [".", ".5"], TEXT, ""),
        ([".5.1"], [".5.1"], TEXT, ""),
        (["1,5", "2,25"], [Decimal("1.5"), Decimal("2.25")], NUMBER, "decimal comma"),
        (["1.234,5", "12"], [Decimal("1234.5"), 12], NUMBER, "points between thousands"),
        (["1,234.5", "12"], [Decimal("1234.5"), 12], NUMBER, "commas between thousands"),
        (["1,234", "12"], [1234, 12], INTEGER, "commas between thousands"),
        (["true", "FALSE"], [True, False], BOOLEAN, ""),
        (["yes", "no"], ["yes", "no"], TEXT, ""),
        (["0", "1"], [0, 1], INTEGER, ""),
        (["2024-02-29"], ["2024-02-29"], DATE, ""),
        (["2024-02-30"], ["2024-02-30"], TEXT, ""),
        (["2024-01-01T00:00:00Z", "2024-01-01 00:00:00"], ["2024-01-01T00:00:00Z", "2024-01-01 00:00:00"], STAMP, ""),
        (["01.02.2024", "31.12.2023"], ["2024-02-01", "2023-12-31"], DATE, "day first"),
        (["30.02.2024"], ["30.02.2024"], TEXT, ""),
        (["13/02/2024", "1/2/2024"], ["2024-02-13", "2024-02-01"], DATE, "%d/%m/%Y"),
        (["02/13/2024"], ["2024-02-13"], DATE, "%m/%d/%Y"),
        (["01/02/2024"], ["01/02/2024"], TEXT, "'date_format' decides"),
        (["NA", "1", "-"], [None, 1, None], INTEGER, "'-', 'NA' in 'v' is null"),
        (["NA", "Namibia"], ["NA", "Namibia"], TEXT, ""),
        (["n/a", "2024-01-01"], [None, "2024-01-01"], DATE, "'n/a' in 'v' is null"),
        (["NULL", "NULL"], ["NULL", "NULL"], TEXT, ""),
        (["", ""], [None, None], TEXT, ""),
        (["=1+1", "@x"], ["=1+1", "@x"], TEXT, ""),
        (["a\nb", 'say "x"', " x "], ["a\nb", 'say "x"', " x "], TEXT, ""),
        (["1_000"], ["1_000"], TEXT, ""),
        (["١٢"], ["١٢"], TEXT, ""),
        (["nan", "inf"], ["nan", "inf"], TEXT, ""),
    ],
)  # fmt: skip
def test_a_column(tmp_path: Path, cells: list[str], values: list[Any], property: Any, told: str) -> None:
    found, schema, notices = column(tmp_path, cells)
    assert (found, schema) == (values, property)
    if told:
        assert len(notices) == 1
        assert told in notices[0]
    else:
        assert notices == []


@pytest.mark.parametrize(
    ("said", "cells", "values"),
    [
        ({"types": {"v": "string"}}, ["1", "2"], ["1", "2"]),
        ({"types": {"v": "integer"}}, ["007", "12"], [7, 12]),
        ({"types": {"v": "number"}}, ["1,5", "2,25"], [Decimal("1.5"), Decimal("2.25")]),
        ({"types": {"v": "any"}}, ["1", "x"], ["1", "x"]),
        ({"date_format": "%d/%m/%Y"}, ["01/02/2024"], ["2024-02-01"]),
        ({"date_format": "%b %d, %y"}, ["Feb 01, 24"], ["2024-02-01"]),
        ({"null_values": ["x"]}, ["1", "x"], [1, None]),
        ({"null_values": ["NA", ""]}, ["NA", "y", ""], [None, "y", None]),
    ],
)
def test_what_a_person_says_holds(
    tmp_path: Path, said: dict[str, Any], cells: list[str], values: list[Any]
) -> None:
    assert column(tmp_path, cells, **said)[0] == values


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(tmp_path: Path, delimiter: str, end: str) -> None:
    rows = [["id", "name", "note"], ["1", "Ada", "x, y; z"], ["2", "", 'a "b"']]
    text = (
        end.join(delimiter.join(f'"{cell.replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows)
        + end
    )
    records, _, _ = of_text(tmp_path, text)
    assert records == [
        {"id": 1, "name": "Ada", "note": "x, y; z"},
        {"id": 2, "name": None, "note": 'a "b"'},
    ]


def test_a_decimal_comma_does_not_look_like_a_delimiter(tmp_path: Path) -> None:
    records, _, _ = of_text(tmp_path, "a;b\n1,5;2,5\n3,5;4,5\n")
    assert records == [{"a": Decimal("1.5"), "b": Decimal("2.5")}, {"a": Decimal("3.5"), "b": Decimal("4.5")}]


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", None),
        ("utf-8-sig", None),
        ("utf-16", None),
        ("utf-16-le", "read as utf-16-le"),
        ("utf-16-be", "read as utf-16-be"),
        ("cp1252", "read as cp1252"),
    ],
)
def test_encodings(tmp_path: Path, encoding: str, told: str | None) -> None:
    text = "id,name,city\r\n" + "1,Müller,Köln\r\n2,Łódź naïve,Zürich\r\n".replace(
        "Łódź", "Lodz" if encoding == "cp1252" else "Łódź"
    )
    records, _, notices = of_text(tmp_path, text.encode(encoding))
    assert records[0] == {"id": 1, "name": "Müller", "city": "Köln"}
    assert len(notices) == (told is not None)
    assert told is None or told in notices[0]
    said = {"utf-8-sig": "utf-8"}.get(encoding, encoding)
    assert of_text(tmp_path, text.encode(encoding), encoding=said)[0] == records


def test_lines_above_the_header(tmp_path: Path) -> None:
    text = '"Sales\n2024",,\n\nmade by hand\n\nid,name,v\n1,a,5\n2,b,6\n'
    records, _, notices = of_text(tmp_path, text)
    assert records == [{"id": 1, "name": "a", "v": 5}, {"id": 2, "name": "b", "v": 6}]
    assert "above the header, 2 rows left out" in notices[0]
    assert of_text(tmp_path, text, header_row=3)[0] == records


def test_no_header(tmp_path: Path) -> None:
    records, _, notices = of_text(tmp_path, "1,2.5,x\n2,3.5,y\n")
    assert records[0] == {"column_1": 1, "column_2": Decimal("2.5"), "column_3": "x"}
    assert "seems to have no header" in notices[0]
    assert of_text(tmp_path, "1,2.5,x\n2,3.5,y\n", header_row=1)[0] == [
        {"1": 2, "2.5": Decimal("3.5"), "x": "y"}
    ]
    assert len(of_text(tmp_path, "a,b\nc,d\n", header_row=0)[0]) == 2


def test_years_name_columns(tmp_path: Path) -> None:
    records, _, _ = of_text(tmp_path, "country,2020,2021\nDE,1,2\n")
    assert records == [{"country": "DE", "2020": 1, "2021": 2}]


def test_names_that_are_empty_or_there_twice(tmp_path: Path) -> None:
    records, _, notices = of_text(tmp_path, "id,,id, x \n1,2,3,4\n")
    assert records == [{"id": 1, "column_2": 2, "id_2": 3, "x": 4}]
    assert "column 2 (no name) is 'column_2', column 3 (id) is 'id_2'" in notices[0]


def test_a_total_below(tmp_path: Path) -> None:
    text = "id,v\n" + "".join(f"{n},{n}\n" for n in range(1, 6)) + "Total,15\n"
    records, properties, notices = of_text(tmp_path, text)
    assert records[-1] == {"id": "Total", "v": 15}
    assert properties["id"] == TEXT
    assert "'on_error': 'skip'" in notices[0]
    records, properties, notices = of_text(tmp_path, text, on_error="skip")
    assert properties["id"] == INTEGER
    assert [one["id"] for one in records] == [1, 2, 3, 4, 5]
    assert "1 row left out" in notices[0]


@pytest.mark.parametrize("bad", ["3", "3,4,5,6"])
def test_rows_of_another_length(tmp_path: Path, bad: str) -> None:
    text = f"id,a,b\n1,2,3\n{bad}\n7,8,9\n"
    (tmp_path / "data.csv").write_text(text)
    error = refused(tmp_path / "data.csv")
    assert "data.csv, line 3: " in error.message
    assert "'on_error'" in (error.hint or "")
    records, _, notices = of_text(tmp_path, text, on_error="skip")
    assert [one["id"] for one in records] == [1, 7]
    assert "1 row left out" in notices[0]


def test_three_hundred_columns(tmp_path: Path) -> None:
    names = [f"c{n}" for n in range(300)]
    rows = [",".join(str(n * row) for n in range(300)) for row in range(1, 20)]
    records, properties, notices = of_text(tmp_path, "\n".join([",".join(names), *rows]))
    assert set(map(str, properties.values())) == {str(INTEGER)}
    assert records[18]["c299"] == 299 * 19
    assert notices == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.csv", b"", "is empty"),
        ("a.csv", b"\n\n", "is empty"),
        ("a.csv", b"<!DOCTYPE html>\n<html>", "is a web page"),
        ("a.csv", b"\x7fELF\0\0\0\1\2\3" * 9, "is no text"),
        ("a.json", b"{", "is no array of JSON objects"),
        ("a.json", b'{"a": [1], "b": [2]}', "with 2 arrays"),
        ("a.jsonl", b'{"a": 1}\n[1]\n', "line 2 is no JSON object"),
        ("a.jsonl", b'{"a": 1}\n{"a": }\n', "line 2 is no JSON"),
        ("a.parquet", b"no", "cannot be read as Parquet"),
        ("a.xlsx", b"no", "cannot be read as a workbook"),
        ("a.csv.gz", b"no", "cannot be read"),
        ("a.what", b"a,b\n1,2\n", "does not tell what it holds"),
    ],
)
def test_what_cannot_be_read(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    error = refused(tmp_path / name)
    assert message in error.message
    assert name in error.message


def test_a_header_alone_is_a_stream_without_rows(tmp_path: Path) -> None:
    records, properties, _ = of_text(tmp_path, "id,name\n")
    assert records == []
    assert properties == {"id": TEXT, "name": TEXT}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"types": {"idd": "integer"}}, "'types' names the column 'idd'"),
        ({"key": ["idd"]}, "'key' names the column 'idd'"),
        ({"replication_key": "idd"}, "has no column 'idd'"),
        ({"encoding": "utf8000"}, "which Python does not know"),
        ({"delimiter": ";;"}, "which is not one character"),
        ({"header_row": 9}, "'header_row' is 9"),
    ],
)
def test_settings_that_do_not_fit(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    (tmp_path / "a.csv").write_text("id,name\n1,x\n")
    assert message in refused(tmp_path / "a.csv", **said).message


def test_a_key_is_never_null(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,name\n1,x\n")
    with open_source(tmp_path / "a.csv", ReadSettings(key=("id",)), notice=print) as source:
        schema = source.streams[0].schema
    assert schema.key_properties == ["id"]
    assert schema.json_schema["properties"]["id"] == {"type": "integer"}


# ------------------------------------------------------------------------------------------ JSON


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("form", ["jsonl", "json", "object", "lines in .json"])
def test_json(tmp_path: Path, form: str, packed: bool) -> None:
    rows: list[dict[str, Any]] = [
        {
            "id": 1,
            "at": "2024-01-01T00:00:00Z",
            "day": "2024-01-01",
            "n": 1,
            "o": {"a": [1]},
            "l": [1, "x"],
            "m": 1,
        },
        {"id": 2**65, "at": None, "day": "2024-02-29", "n": 1.5, "o": None, "l": [], "m": "x", "more": True},
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if form in ("json", "object"):
        text = json.dumps(rows if form == "json" else {"count": 2, "data": rows}, indent=1)
    name = ("a.jsonl" if form == "jsonl" else "a.json") + (".gz" if packed else "")
    records, properties, notices = of_text(
        tmp_path, gzip.compress(text.encode()) if packed else text.encode(), name
    )
    assert [json.loads(json.dumps(one, default=float)) for one in records] == rows
    assert properties == {
        "id": INTEGER,
        "at": STAMP,
        "day": DATE,
        "n": NUMBER,
        "o": {"type": ["null", "object"]},
        "l": {"type": ["null", "array"], "items": {}},
        "m": {"type": ["null", "integer", "string"]},
        "more": BOOLEAN,
    }
    assert notices == []


def test_a_line_that_is_no_json_is_told_as_it_stands(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n{"a": }\n')
    message = refused(tmp_path / "a.jsonl").message
    assert message.endswith('a.jsonl, line 2 is no JSON: Expecting value: line 1 column 7 (char 6): {"a": }')


def test_types_of_json_come_from_all_rows_or_a_sample(tmp_path: Path) -> None:
    text = '{"a": 1, "t": "2024-01-01"}\n' * 3_000 + '{"a": "x", "t": "soon", "b": 1}\n'
    records, properties, _ = of_text(tmp_path, text, "a.jsonl")
    assert properties == {"a": {"type": ["null", "integer", "string"]}, "t": TEXT, "b": INTEGER}
    assert records[-1] == {"a": "x", "t": "soon", "b": 1}
    error = refused(tmp_path / "a.jsonl", sample_rows=10)
    assert "line 3001" in error.message


# ------------------------------------------------------------------------------------------ Parquet, Excel


def test_parquet(tmp_path: Path) -> None:
    table = pa.table(
        {
            "i": pa.array([1, None], pa.int32()),
            "u": pa.array([2**64 - 1, 1], pa.uint64()),
            "f": pa.array([1.5, float("nan")], pa.float64()),
            "d": pa.array([Decimal("1.50"), None], pa.decimal128(10, 2)),
            "b": pa.array([True, None]),
            "s": pa.array(["x", None]).dictionary_encode(),
            "t": pa.array([datetime(2024, 1, 1, 1), None], pa.timestamp("ns", "Europe/Berlin")),
            "l": pa.array([datetime(2024, 1, 1, microsecond=500), datetime(2024, 1, 1)], pa.timestamp("us")),
            "y": pa.array([date(2024, 1, 1), None]),
            "h": pa.array([time(1, 2, 3), None]),
            "n": pa.array([{"a": [1, None], "z": b"\0"}, None]),
            "x": pa.array([b"\xff", None]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    records, properties, notices = read(tmp_path / "a.parquet")
    assert records == [
        {
            "i": 1,
            "u": 2**64 - 1,
            "f": Decimal("1.5"),
            "d": Decimal("1.5"),
            "b": True,
            "s": "x",
            "t": "2024-01-01T01:00:00Z",
            "l": "2024-01-01T00:00:00.0005",
            "y": "2024-01-01",
            "h": "01:02:03",
            "n": {"a": [1, None], "z": "AA=="},
            "x": "/w==",
        },
        {**dict.fromkeys("idbstyhnx"), "u": 1, "f": None, "l": "2024-01-01T00:00:00"},
    ]
    assert properties["u"] == INTEGER
    assert properties["d"] == {"type": ["null", "number"], "multipleOf": 0.01}
    assert properties["t"] == STAMP
    assert notices == [
        f"resource 'a' of {tmp_path}/a.parquet: null instead of 1 number of 'f' that JSON does not have: NaN or infinite."
    ]


def test_excel(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "people"
    for row in (
        ["Made by hand"],
        [],
        ["id", "name", "day", "at", "rate", "ok", "zip"],
        [1, "Ada", date(2024, 1, 2), datetime(2024, 1, 2, 3, 4, 5), 1.5, True, "007"],
        [2, None, None, None, 2, False, "12"],
    ):
        sheet.append(row)
    book.create_sheet("empty")
    book.create_sheet("more").append(["a"])
    book.save(tmp_path / "a.xlsx")
    notices: list[str] = []
    with open_source(tmp_path / "a.xlsx", notice=notices.append) as source:
        assert [stream.name for stream in source.streams] == ["people", "more"]
        lines = b"".join(bytes(block) for block, _ in source.stream("people").lines())
    assert [json.loads(line)["record"] for line in lines.splitlines()] == [
        {
            "id": 1,
            "name": "Ada",
            "day": "2024-01-02",
            "at": "2024-01-02T03:04:05",
            "rate": 1.5,
            "ok": True,
            "zip": "007",
        },
        {"id": 2, "name": None, "day": None, "at": None, "rate": 2, "ok": False, "zip": "12"},
    ]
    assert b'"id":1,' in lines
    assert len(notices) == 2
    records, _, _ = read(tmp_path / "a.xlsx", sheet="people", header_row=3)
    assert len(records) == 2
    assert refused(tmp_path / "a.xlsx", sheet="peple").hint == "Did you mean 'people'?"


# ------------------------------------------------------------------------------------------ several files


def test_files_of_a_glob_are_one_stream(tmp_path: Path) -> None:
    (tmp_path / "log-1.csv").write_text("id,v\n1,5\n")
    (tmp_path / "log-2.csv").write_text("id,v\n2,5.5\n")
    records, properties, _ = read(f"{tmp_path}/log-*.csv")
    assert records == [{"id": 1, "v": 5}, {"id": 2, "v": Decimal("5.5")}]
    assert properties["v"] == NUMBER
    with open_source(f"{tmp_path}/log-*.csv", notice=print) as source:
        assert source.streams[0].name == "log"


def test_a_column_of_two_types_is_text_in_all_files(tmp_path: Path) -> None:
    (tmp_path / "a1.csv").write_text("id,v\n1,5\n")
    (tmp_path / "a2.csv").write_text("id,v\n2,x\n")
    records, properties, _ = read(f"{tmp_path}/a*.csv")
    assert [one["v"] for one in records] == ["5", "x"]
    assert properties["v"] == TEXT


def test_files_of_a_glob_whose_columns_differ(tmp_path: Path) -> None:
    (tmp_path / "a1.csv").write_text("id,v\n1,5\n")
    (tmp_path / "a2.csv").write_text("id,w\n2,x\n")
    error = refused(f"{tmp_path}/a*.csv")  # type: ignore[arg-type]
    assert "it lacks 'v'" in error.message
    with open_source(tmp_path, notice=print) as source:
        assert [one.name for one in source.streams] == ["a1", "a2"]


def test_json_lines_of_several_files_may_have_other_keys(tmp_path: Path) -> None:
    (tmp_path / "a1.jsonl").write_text('{"id": 1, "v": 1}\n')
    (tmp_path / "a2.jsonl").write_text('{"id": 2, "w": "x"}\n')
    records, properties, _ = read(f"{tmp_path}/a*.jsonl")
    assert records == [{"id": 1, "v": 1}, {"id": 2, "w": "x"}]
    assert set(properties) == {"id", "v", "w"}


# ------------------------------------------------------------------------------------------ any file

CELLS = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=5
) | st.sampled_from(
    [
        "1",
        "-2",
        "007",
        "1.5",
        "1,5",
        "NA",
        "",
        "2024-01-01",
        "true",
        "a\nb",
        '"',
        "01.02.2024",
        "x;y",
        "9" * 20,
    ]
)


@settings(max_examples=150)
@given(rows=st.lists(st.tuples(CELLS, CELLS), max_size=6))
def test_no_row_is_lost_and_no_text_is_changed(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(
        [["id", "a", "b"], *([f"r{n}", *row] for n, row in enumerate(rows))]
    )
    records, properties, _ = of_text(folder, text.getvalue(), delimiter=",", header_row=1, encoding="utf-8")
    assert [one["id"] for one in records] == [f"r{n}" for n in range(len(rows))]
    for place, name in enumerate(("a", "b")):
        if properties[name] == TEXT:
            expected = [row[place] or None for row in rows]
            assert [one[name] for one in records] == expected
