"""Excel workbooks: what stands in their cells, what has no room in them, and that all of it is read back."""

from __future__ import annotations

import json
import re
import sys
import zipfile
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from command import Result
from test_packagegrowth import add, check, paths, read
from test_sink import TEXT, descriptor, load, raw, read_back, record, rows, schema

from flow_singer.datapackage import xlsxfile
from flow_singer.datapackage.writer import PackageWriter
from flow_singer.errors import ConfigError, DataError
from flow_singer.reading import ownsheets
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
    '"id":9007199254740992,"name":"=1+1","share":0.1,"day":"2026-01-31",'
    '"at":"2026-01-31T10:00:00.000001+02:00","open":true,"more":{"a":1.50},"amount":"1.10"'
)


SHEET = "xl/worksheets/sheet1.xml"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def sheet_xml(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        return archive.read(SHEET).decode()


def test_cells_have_the_types_of_excel_where_it_holds_the_value(tmp_path):
    _, notices = load(tmp_path / "p", schema(properties=PROPERTIES), FULL, format="xlsx")
    assert notices == []
    (sheet,) = openpyxl.load_workbook(tmp_path / "p/data/s.xlsx").worksheets
    cells = {one.value: cell for one, cell in zip(sheet[1], sheet[2], strict=True)}
    assert cells["id"].value == 2**53
    assert cells["share"].value == 0.1
    assert cells["day"].is_date
    assert cells["day"].number_format == "yyyy-mm-dd"
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
        "=",
        "{=1}",
    ],
)
def test_a_text_is_a_text_whatever_it_looks_like(tmp_path, text):
    load(tmp_path / "p", schema(), record(id=1, name=text), format="xlsx")
    xml = sheet_xml(tmp_path / "p/data/s.xlsx")
    assert '<c r="B2" t="inlineStr">' in xml
    assert "<f" not in xml
    assert "yperlink" not in xml
    with zipfile.ZipFile(tmp_path / "p/data/s.xlsx") as archive:
        assert not [name for name in archive.namelist() if "worksheets/_rels" in name]
    assert rows(tmp_path / "p")[0]["name"] == read(tmp_path / "p")[0]["name"] == text


def test_null_is_no_cell_and_an_empty_text_is_one(tmp_path):
    load(tmp_path / "p", schema(), record(id=1, name=""), record(id=2, name=None), format="xlsx")
    xml = sheet_xml(tmp_path / "p/data/s.xlsx")
    assert re.search(r'<c r="B2" t="inlineStr"><is>.*(<t ?/>|<t></t>).*</is></c>', xml)
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
        " ",
        "\n\t",
        " a\n",
        "\r" * 32_767,
    ]
    lines = [record(id=i, name=text) for i, text in enumerate(texts)]
    load(tmp_path / "p", schema(), *lines, format="xlsx")
    xml = sheet_xml(tmp_path / "p/data/s.xlsx")
    assert "_x000D_b_x000D_\n" in xml
    assert not re.search(r">\s+</t>", xml)  # without a mark, Excel takes blanks alone for nothing
    assert '<t xml:space="preserve"> a\n</t>' in xml
    assert [row["name"] for row in rows(tmp_path / "p")] == texts
    assert [row["name"] for row in read(tmp_path / "p")] == texts


def test_numbers_that_a_workbook_would_change_are_texts_and_told_once(tmp_path):
    values = ["9007199254740993", "1", str(-(2**63)), str(2**80), "9007199254740994", str(10**20)]
    numbers = [
        "0.30000000000000004",
        "1e400",
        "4.940656458412465e-324",
        "5e-324",
        "1.50",
        "1e20",
        "0.1234567890123456",
        "9007199254740994",
    ]
    _, notices = load(
        tmp_path / "p",
        schema(properties={"id": {"type": "integer"}, "n": {"type": "number"}}, key=()),
        *(raw(f'"id":{value},"n":0.1') for value in values),
        raw('"id":-9007199254740992,"n":0.12345678901234567890'),
        *(raw(f'"n":{number}') for number in numbers),
        format="xlsx",
    )
    assert notices == [
        "stream 's', column 'id': 5 numbers would change in a workbook, and are texts in their cells.",
        "stream 's', column 'n': 5 numbers would change in a workbook, and are texts in their cells.",
    ]
    found = rows(tmp_path / "p")
    assert [row["id"] for row in found][: len(values) + 1] == [values[0], 1, *values[2:], -(2**53)]
    assert [row["n"] for row in found][len(values) + 1 :] == [
        *numbers[:4],
        1.5,
        1e20,
        0.1234567890123456,
        2**53 + 2,
    ]
    check(tmp_path / "p")
    found = read(tmp_path / "p")
    assert [row["id"] for row in found[: len(values) + 1]] == [*map(int, values), -(2**53)]
    assert found[len(values)]["n"] == "0.12345678901234567890"
    for row, number in zip(found[len(values) + 1 :], numbers, strict=True):
        assert Decimal(row["n"]) == Decimal(number)


def test_a_day_from_before_excel_is_a_text_in_a_column_of_dates(tmp_path):
    days = ["1900-02-28", "1900-03-01", "9999-12-31", "0001-01-01"]
    lines = [record(id=i, name=day) for i, day in enumerate(days)]
    load(tmp_path / "p", schema(properties={"id": {"type": "integer"}, "name": DAY}), *lines, format="xlsx")
    xml = sheet_xml(tmp_path / "p/data/s.xlsx")
    assert re.findall(r'<c r="(B\d)" s="1" t="n"><v>(\d+)</v></c>', xml) == [("B3", "61"), ("B4", "2958465")]
    assert xml.count(' s="1"') == 2
    assert check(tmp_path / "p")["resources"][0]["schema"]["fields"][1]["type"] == "date"
    assert [row["name"] for row in read(tmp_path / "p")] == days
    assert [str(row["name"]) for row in read_back(tmp_path / "p")] == days


@pytest.mark.parametrize(("kind", "good", "odd"), [(DAY, "2026-01-31", "soon"), (AMOUNT, "1.5", "n/a")])
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


def test_pandas_reads_it(tmp_path):
    load(tmp_path / "p", schema(properties=PROPERTIES), FULL, raw('"id":2'), format="xlsx")
    for engine in ("openpyxl", "calamine"):
        frame = pd.read_excel(tmp_path / "p/data/s.xlsx", engine=engine, sheet_name="data")
        assert list(frame) == list(PROPERTIES)
        assert frame["id"].tolist() == [2**53, 2]
        assert frame["share"][0] == 0.1
        assert frame["day"][0] == pd.Timestamp("2026-01-31")
        assert frame["name"][0] == "=1+1"


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
    assert xlsxfile.MOST_BYTES < 2**31
    monkeypatch.setattr(xlsxfile, "MOST_BYTES", 100)
    assert "MiB in one sheet" in refused(tmp_path / "p", schema(), record(id=1, name="x"))


# ----------------------------------------------------------------------------------------------- and back


def saved(path: Path, change: Callable[[dict[str, str]], None]) -> None:
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name).decode() for name in archive.namelist()}
    change(parts)
    with zipfile.ZipFile(path, "w") as archive:
        for part, content in parts.items():
            archive.writestr(part, content)


def saved_with_how_it_is_read_aloud(path: Path) -> None:
    def change(parts: dict[str, str]) -> None:
        parts[SHEET] = parts[SHEET].replace("</t></is>", "</t><rPh sb='0' eb='1'><t>aloud</t></rPh></is>")

    saved(path, change)


def saved_with_a_wrong_size(path: Path) -> None:
    def change(parts: dict[str, str]) -> None:
        assert '<dimension ref="A1:H3"' in parts[SHEET]
        parts[SHEET] = parts[SHEET].replace('ref="A1:H3"', 'ref="A1:B2"')

    saved(path, change)


def saved_by_openpyxl(path: Path) -> None:
    book = openpyxl.load_workbook(path)
    book.properties.title = "saved"  # in the same second the bytes would be the same
    book.save(path)


def saved_with_shared_texts(path: Path) -> None:
    """As Excel does: texts lie in a part of their own, and a text may have pieces, and how it is read aloud."""
    shared: list[str] = []

    def share(found: re.Match[str]) -> str:
        first, rest = found[1][:1], found[1][1:]
        shared.append(
            f'<si><r><t xml:space="preserve">{first}</t></r><r><t xml:space="preserve">{rest}</t></r>'
        )
        shared[-1] += "<rPh sb='0' eb='1'><t>aloud</t></rPh></si>"
        return f't="s"><v>{len(shared) - 1}</v>'

    def change(parts: dict[str, str]) -> None:
        text = r't="inlineStr"><is><t(?: xml:space="preserve")?>(.*?)</t></is>'
        parts[SHEET] = re.sub(text, share, parts[SHEET], flags=re.DOTALL)
        assert "inlineStr" not in parts[SHEET]
        types = "[Content_Types].xml"
        kind = f'<Override PartName="/xl/sharedStrings.xml" ContentType="{TYPE}"/></Types>'
        parts[types] = parts[types].replace("</Types>", kind)
        parts["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{"".join(shared)}</sst>'

    saved(path, change)


@pytest.mark.parametrize(
    "save",
    [saved_by_openpyxl, saved_with_shared_texts, saved_with_how_it_is_read_aloud, saved_with_a_wrong_size],
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
    assert found == expected
    with (
        pytest.raises(DataError, match="its descriptor says"),
        open_source(tmp_path / "p", notice=lambda _: None) as source,
    ):
        list(source.stream("s").batches())


def test_a_text_that_openpyxl_would_change_is_told(tmp_path):
    load(tmp_path / "p", schema(), record(id=1, name="_x0041_"), format="xlsx")
    saved_with_shared_texts(tmp_path / "p/data/s.xlsx")
    with (
        pytest.raises(DataError, match="another program has saved it"),
        open_source(tmp_path / "p", ReadSettings(trust=True), notice=lambda _: None) as source,
    ):
        list(source.stream("s").batches())


STYLES = f'<styleSheet xmlns="{MAIN}"><borders><border><left style="x"/></border></borders></styleSheet>'


@pytest.mark.parametrize(
    ("part", "content"),
    [
        *((part, "") for part in ("[Content_Types].xml", "xl/workbook.xml", "xl/styles.xml", SHEET)),
        ("xl/workbook.xml", "no XML"),
        ("xl/styles.xml", STYLES),
        (SHEET, "<worksheet>"),
    ],
)
def test_a_part_of_a_workbook_that_cannot_be_read_is_told_in_a_line(tmp_path, part, content):
    load(tmp_path / "p", schema(), record(id=1), format="xlsx")
    saved(tmp_path / "p/data/s.xlsx", lambda parts: parts.update({part: content}))
    with (
        pytest.raises(DataError, match=r"cannot be read as a workbook: \S") as caught,
        open_source(tmp_path / "p", ReadSettings(trust=True), notice=lambda _: None) as source,
    ):
        list(source.stream("s").batches())
    assert "\n" not in caught.value.message


def test_a_time_of_midnight_that_a_person_writes_is_a_day_in_a_column_of_days_only(tmp_path):
    load(tmp_path / "p", schema(properties=PROPERTIES), FULL, format="xlsx")
    book = openpyxl.load_workbook(tmp_path / "p/data/s.xlsx")
    columns = list(PROPERTIES)
    for name in ("day", "at"):
        book.worksheets[0].cell(2, columns.index(name) + 1, datetime(2026, 2, 1))
    book.save(tmp_path / "p/data/s.xlsx")
    with open_source(tmp_path / "p", ReadSettings(trust=True), notice=lambda _: None) as source:
        (batch,) = source.stream("s").batches()
    assert batch.columns["day"].values.to_pylist() == ["2026-02-01"]
    assert batch.columns["at"].values.to_pylist() == ["2026-02-01T00:00:00"]


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


# ------------------------------------------------------------------------------------------- no openpyxl

MISSING = "the package openpyxl is not installed, or is older than 3.1.3."
INSTALL = "Install it: pip install 'flow-singer[xlsx]'"


@pytest.mark.parametrize("is_there", [True, False])
def test_without_openpyxl_nothing_is_written_and_the_command_that_installs_it_is_told(
    tmp_path, monkeypatch, is_there
):
    if is_there:
        monkeypatch.setattr(ownsheets, "version", lambda _: "3.1.2")
    else:
        monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ConfigError) as caught:
        PackageWriter(tmp_path / "p", format="xlsx")
    assert caught.value.message == f"{tmp_path}/p cannot be written as xlsx: {MISSING}"
    assert caught.value.hint == INSTALL
    assert not list(tmp_path.iterdir())


def test_without_openpyxl_nothing_is_read_with_its_empty_texts_as_null(tmp_path, monkeypatch):
    load(tmp_path / "p", schema(), record(id=1, name=""), format="xlsx")
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with (
        pytest.raises(
            ConfigError, match=r"data/s\.xlsx of .*p cannot be read: the package openpyxl"
        ) as caught,
        open_source(tmp_path / "p", notice=lambda _: None) as source,
    ):
        list(source.stream("s").batches())
    assert caught.value.hint == INSTALL


def test_without_openpyxl_a_run_ends_before_its_tap_has_worked(
    tmp_path: Path, flow: Callable[..., Result]
) -> None:
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden/sitecustomize.py").write_text("import sys\nsys.modules['openpyxl'] = None\n")
    hidden = {"PYTHONPATH": str(tmp_path / "hidden")}
    result = flow("run", "tap-demo", "p/", "--format", "xlsx", env=hidden)
    assert result.code == 2
    assert f"p cannot be written as xlsx: {MISSING}\n{INSTALL}" in result.stderr
    assert "records" not in result.stderr
    assert not (tmp_path / "p").exists()
    assert flow("run", "tap-demo", "p/", "--format", "jsonl", "-q", env=hidden).code == 0


# ------------------------------------------------------------------------------------------- command line


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
