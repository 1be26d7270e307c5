"""Excel workbooks: what stands in their cells, what has no room in them, and that all of it is read back."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from command import Result
from test_packagegrowth import add, check, paths, read
from test_sink import TEXT, descriptor, load, raw, read_back, record, rows, schema

from flow_singer.datapackage import workbook, xlsxfile
from flow_singer.datapackage.workbook import column_letters
from flow_singer.errors import DataError
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.source import open_source
from flow_singer.tabular.recordlines import batch_lines

DAY = {"type": ["null", "string"], "format": "date"}
AMOUNT = {"type": ["null", "string"], "format": "singer.decimal"}
PROPERTIES = {
    "id": {"type": "integer"},
    "name": TEXT,
    "share": {"type": ["null", "number"]},
    "day": DAY,
    "at": {"type": ["null", "string"], "format": "date-time"},
    "open": {"type": ["null", "boolean"]},
    "more": {},
    "amount": AMOUNT,
}
FULL = raw(
    '"id":9007199254740992,"name":"=1+1","share":0.30000000000000004,"day":"2026-01-31",'
    '"at":"2026-01-31T10:00:00.000001+02:00","open":true,"more":{"a":1.50},"amount":"1.10"'
)


def sheet_xml(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read("xl/worksheets/sheet1.xml").decode()


def test_cells_have_the_types_of_excel_where_it_holds_the_value(tmp_path):
    _, notices = load(tmp_path / "p", schema(properties=PROPERTIES), FULL, format="xlsx")
    assert notices == []
    (sheet,) = openpyxl.load_workbook(tmp_path / "p/data/s.xlsx").worksheets
    cells = {one.value: cell for one, cell in zip(sheet[1], sheet[2], strict=True)}
    assert cells["id"].value == 2**53
    assert cells["share"].value == 0.1 + 0.2
    assert cells["day"].is_date
    assert cells["day"].number_format == "yyyy\\-mm\\-dd"
    assert cells["at"].value == "2026-01-31T10:00:00.000001+02:00"
    assert cells["open"].value is True
    assert cells["more"].value == '{"a":1.50}'
    assert cells["amount"].value == 1.1
    assert (tmp_path / "p/data/s.xlsx").stat().st_size == descriptor(tmp_path / "p")["resources"][0]["bytes"]
    check(tmp_path / "p")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@x",
        "'x",
        "https://example.org",
        "mailto:a@b",
        "file:///etc/passwd",
        "007",
        "TRUE",
        "#N/A",
    ],
)
def test_a_text_is_a_text_whatever_it_looks_like(tmp_path, text):
    load(tmp_path / "p", schema(), record(id=1, name=text), format="xlsx")
    xml = sheet_xml(tmp_path / "p/data/s.xlsx")
    assert re.search(r'<c r="B2" t="inlineStr">', xml)
    assert "<f" not in xml
    assert "yperlink" not in xml
    with zipfile.ZipFile(tmp_path / "p/data/s.xlsx") as archive:
        assert not [name for name in archive.namelist() if "worksheets/_rels" in name]
    assert rows(tmp_path / "p")[0]["name"] == read(tmp_path / "p")[0]["name"] == text


def test_null_is_no_cell_and_an_empty_text_is_one(tmp_path):
    load(tmp_path / "p", schema(), record(id=1, name=""), record(id=2, name=None), format="xlsx")
    xml = sheet_xml(tmp_path / "p/data/s.xlsx")
    assert '<c r="B2" t="inlineStr"><is><t xml:space="preserve"></t></is></c>' in xml
    assert 'r="B3"' not in xml
    assert [row["name"] for row in read(tmp_path / "p")] == ["", None]
    assert [row["name"] for row in read_back(tmp_path / "p")] == ["", None]


def test_characters_that_xml_does_not_have_are_there_by_their_numbers(tmp_path):
    texts = [
        "a\rb\r\n",
        "\x00\x1f\ufffe\uffff",
        "_x000D_",
        "_x005F",
        "_x005F\x00",
        "_x0041_x0042_",
        "]]>&amp;<t>",
    ]
    lines = [record(id=i, name=text) for i, text in enumerate(texts)]
    load(tmp_path / "p", schema(), *lines, format="xlsx")
    assert "_x000D_b_x000D_\n" in sheet_xml(tmp_path / "p/data/s.xlsx")
    assert [row["name"] for row in rows(tmp_path / "p")] == texts
    assert [row["name"] for row in read(tmp_path / "p")] == texts


def test_numbers_that_excel_would_change_are_texts_and_told_once(tmp_path):
    values = ["9007199254740993", "1", str(-(2**63)), str(2**80)]
    _, notices = load(
        tmp_path / "p",
        schema(properties={"id": {"type": "integer"}, "n": {"type": "number"}}, key=()),
        *(raw(f'"id":{value},"n":0.1') for value in values),
        raw('"id":-9007199254740992,"n":0.12345678901234567890'),
        format="xlsx",
    )
    assert notices == [
        "stream 's', column 'id': 3 numbers would change in Excel, and are texts in their cells.",
        "stream 's', column 'n': 1 number would change in Excel, and is a text in its cell.",
    ]
    found = rows(tmp_path / "p")
    assert [row["id"] for row in found] == [values[0], 1, *values[2:], -(2**53)]
    check(tmp_path / "p")
    assert [row["id"] for row in read(tmp_path / "p")] == [*map(int, values), -(2**53)]
    assert read(tmp_path / "p")[-1]["n"] == "0.12345678901234567890"


def test_a_day_from_before_excel_is_a_text_in_a_column_of_dates(tmp_path):
    days = ["1900-02-28", "1900-03-01", "9999-12-31", "0001-01-01"]
    lines = [record(id=i, name=day) for i, day in enumerate(days)]
    load(tmp_path / "p", schema(properties={"id": {"type": "integer"}, "name": DAY}), *lines, format="xlsx")
    xml = sheet_xml(tmp_path / "p/data/s.xlsx")
    assert '<c r="B3" s="1"><v>61</v></c>' in xml
    assert '<c r="B4" s="1"><v>2958465</v></c>' in xml
    assert xml.count(' s="1"') == 2
    assert check(tmp_path / "p")["resources"][0]["schema"]["fields"][1]["type"] == "date"
    assert [row["name"] for row in read(tmp_path / "p")] == days
    assert [str(row["name"]) for row in read_back(tmp_path / "p")] == days


@pytest.mark.parametrize(("kind", "good", "odd"), [(DAY, "2026-01-31", "soon"), (AMOUNT, "1.50", "n/a")])
def test_a_column_with_an_odd_value_is_one_of_texts_in_all_files(tmp_path, kind, good, odd):
    head = schema(properties={"v": kind}, key=())
    for values in ([good], [odd, good], [good]):
        add(tmp_path / "p", head, *(record(v=one) for one in values), format="xlsx")
    assert paths(tmp_path / "p") == ["data/s-2.xlsx", "data/s-3.xlsx"]
    (field,) = check(tmp_path / "p")["resources"][0]["schema"]["fields"]
    assert field["type"] == "string"
    for path in (tmp_path / "p/data").iterdir():
        assert "<v>" not in sheet_xml(path)
    assert [row["v"] for row in read(tmp_path / "p")] == [good, odd, good, good]


def test_the_same_rows_give_the_same_bytes(tmp_path):
    lines = [schema(properties=PROPERTIES), *(FULL.replace("992", str(i)) for i in range(992, 999))]
    load(tmp_path / "a", *lines, batch=1, format="xlsx")
    load(tmp_path / "b", *lines, batch=100, format="xlsx")
    assert (tmp_path / "a/data/s.xlsx").read_bytes() == (tmp_path / "b/data/s.xlsx").read_bytes()


def test_pandas_reads_it(tmp_path):
    load(tmp_path / "p", schema(properties=PROPERTIES), FULL, raw('"id":2'), format="xlsx")
    for engine in ("openpyxl", "calamine"):
        frame = pd.read_excel(tmp_path / "p/data/s.xlsx", engine=engine, sheet_name="data")
        assert list(frame) == list(PROPERTIES)
        assert frame["id"].tolist() == [2**53, 2]
        assert frame["share"][0] == 0.1 + 0.2
        assert frame["day"][0] == pd.Timestamp("2026-01-31")
        assert frame["name"][0] == "=1+1"


def test_letters_of_columns():
    assert [column_letters(i) for i in (0, 25, 26, 701, 702, 16_383)] == ["A", "Z", "AA", "ZZ", "AAA", "XFD"]


def test_many_columns_are_in_their_places(tmp_path):
    properties = {f"c{i}": {"type": "integer"} for i in range(800)}
    load(tmp_path / "p", schema(properties=properties, key=()), raw('"c799":7,"c26":1'), format="xlsx")
    assert {name: v for name, v in read(tmp_path / "p")[0].items() if v is not None} == {"c26": 1, "c799": 7}
    assert {name: v for name, v in rows(tmp_path / "p")[0].items() if v is not None} == {"c26": 1, "c799": 7}


# ------------------------------------------------------------------------------------------------ no room


def refused(folder: Path, *lines: str, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        load(folder, *lines, format="xlsx", **options)
    assert not folder.exists()
    assert "--format parquet" in caught.value.hint
    return str(caught.value.message)


def test_more_rows_than_a_sheet_holds_are_refused_or_spread(tmp_path, monkeypatch):
    assert xlsxfile.MOST_ROWS == 2**20 - 1
    monkeypatch.setattr(xlsxfile, "MOST_ROWS", 3)
    lines = [schema(), *(record(id=i, name=f"n{i % 2}") for i in range(4))]
    assert refused(tmp_path / "p", *lines) == (
        "Stream 's' has 4 rows, and a sheet of Excel holds 3 below the names of the columns."
    )
    load(tmp_path / "q", *lines, format="xlsx", partition_by="name")
    assert len(paths(tmp_path / "q")) == 2
    load(tmp_path / "r", *lines[:4], record(id=0, name="last"), format="xlsx")  # of each key one row stays
    assert len(read(tmp_path / "r")) == 3


def test_more_columns_than_a_sheet_holds_are_refused(tmp_path, monkeypatch):
    assert xlsxfile.MOST_COLUMNS == 2**14
    monkeypatch.setattr(xlsxfile, "MOST_COLUMNS", 1)
    assert refused(tmp_path / "p", schema(), record(id=1)) == (
        "Stream 's' has 2 columns, and a sheet of Excel holds 1."
    )


def test_a_text_longer_than_a_cell_is_refused_and_one_that_just_fits_is_not(tmp_path):
    load(
        tmp_path / "p",
        schema(),
        record(id=1, name="ü" * 32_767),
        record(id=2, name="😀" * 16_383),
        format="xlsx",
    )
    assert [len(row["name"]) for row in read(tmp_path / "p")] == [32_767, 16_383]
    for text in ("x" * 32_768, "😀" * 16_384):  # Excel counts in UTF-16
        assert refused(tmp_path / "q", schema(), record(id=1, name=text)) == (
            "Stream 's' has a text of 32,768 characters in column 'name', and a cell of Excel holds 32,767."
        )


def test_a_sheet_past_two_gigabytes_is_refused(tmp_path, monkeypatch):
    assert workbook.MOST_BYTES < 2**31
    monkeypatch.setattr(xlsxfile, "MOST_BYTES", 100)
    assert "MiB in one sheet" in refused(tmp_path / "p", schema(), record(id=1, name="x"))


# ----------------------------------------------------------------------------------------------- and back


def saved_with_how_it_is_read_aloud(path: Path) -> None:
    name = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    parts[name] = parts[name].replace("</t></is>", "</t><rPh sb='0' eb='1'><t>aloud</t></rPh></is>")
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


def saved_by_openpyxl(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    book.save(path)


def saved_with_shared_texts(path: Path) -> None:
    """As Excel does: texts lie in a part of their own, and a text may have pieces, and how it is read aloud."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    shared: list[str] = []

    def share(found: re.Match[str]) -> str:
        first, rest = found[1][:1], found[1][1:]
        shared.append(
            f'<si><r><t xml:space="preserve">{first}</t></r><r><t xml:space="preserve">{rest}</t></r>'
        )
        shared[-1] += "<rPh sb='0' eb='1'><t>aloud</t></rPh></si>"
        return f't="s"><v>{len(shared) - 1}</v>'

    name = "xl/worksheets/sheet1.xml"
    text = r't="inlineStr"><is><t xml:space="preserve">(.*?)</t></is>'
    parts[name] = re.sub(text, share, parts[name], flags=re.DOTALL).replace('<c r="A2">', '<c r="A2" s="0">')
    parts["xl/sharedStrings.xml"] = (
        f'<x:sst xmlns:x="{workbook._MAIN}" xmlns="{workbook._MAIN}">{"".join(shared)}</x:sst>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


@pytest.mark.parametrize(
    "save", [saved_by_openpyxl, saved_with_shared_texts, saved_with_how_it_is_read_aloud]
)
def test_what_a_spreadsheet_program_has_saved_is_read_by_the_types_of_the_descriptor(tmp_path, save):
    load(tmp_path / "p", schema(properties=PROPERTIES), FULL, raw('"id":2,"more":"5"'), format="xlsx")
    expected = read(tmp_path / "p")
    save(tmp_path / "p/data/s.xlsx")
    found = []
    with open_source(tmp_path / "p", ReadSettings(trust=True), notice=lambda _: None) as source:
        for batch in source.stream("s").batches():
            lines = bytes(batch_lines(batch)).splitlines()
            found += [json.loads(line, parse_float=str)["record"] for line in lines]
    if save is saved_by_openpyxl:  # it writes 16 digits
        expected[0]["share"], expected[0]["amount"] = "0.3", "1.1"
    assert found == expected
    with (
        pytest.raises(DataError, match="its descriptor says"),
        open_source(tmp_path / "p", notice=lambda _: None) as source,
    ):
        list(source.stream("s").batches())


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 no", b"half"])
def test_what_is_no_workbook_is_told(tmp_path, damage):
    load(tmp_path / "p", schema(), record(id=1), format="xlsx")
    path = tmp_path / "p/data/s.xlsx"
    path.write_bytes(path.read_bytes()[:900] if damage == b"half" else damage)
    with (
        pytest.raises(DataError, match="cannot be read as a workbook"),
        open_source(tmp_path / "p", ReadSettings(trust=True), notice=lambda _: None) as source,
    ):
        list(source.stream("s").batches())


def test_the_command_line(tmp_path: Path, flow: Callable[..., Result]) -> None:
    stream = f"{schema()}\n{record(id=1, name='x')}\n".encode()
    result = flow("load", "p/", "--check", "--format", "xlsx", stdin=stream)
    assert result.code == 2
    assert "--check reads CSV and JSON Lines, not Excel." in result.stderr
    assert flow("load", "p/", "--format", "xlsx", stdin=stream).code == 0
    result = flow("load", "p/", "--check", "--write-mode", "append", stdin=stream)
    assert result.code == 2
    assert "--check reads CSV and JSON Lines" in result.stderr
    assert flow("load", "p/", "--write-mode", "upsert", stdin=stream.replace(b'"x"', b'"y"')).code == 0
    assert read(tmp_path / "p") == [{"id": 1, "name": "y"}]
    result = flow("validate", "p/")
    assert result.code == 0
    assert (
        "frictionless was not asked, as it does not read .xlsx here."
        in result.stderr + result.stdout.decode()
    )
    assert "y" in flow("show", "p/").stdout.decode()
