"""Packages that Flow did not write: both versions of the standard, and what their authors make of it."""

from __future__ import annotations

import gzip
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from flow_singer.errors import ConfigError, DataError, FlowError
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.source import open_source

CSV = "id,name,price\r\n1,Ada,1.50\r\n2,,\r\n"
FIELDS = [
    {"name": "id", "type": "integer"},
    {"name": "name", "type": "string"},
    {"name": "price", "type": "number"},
]
RECORDS = [{"id": 1, "name": "Ada", "price": 1.5}, {"id": 2, "name": None, "price": None}]


def package(folder: Path, text: str | bytes = CSV, *, path: str = "data.csv", **resource: Any) -> Path:
    """A package of one resource."""
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    one = {"name": "data", "path": path, "schema": {"fields": FIELDS}, **resource}
    one = {key: value for key, value in one.items() if value is not None}
    (folder / "datapackage.json").write_text(json.dumps({"name": "p", "resources": [one]}))
    return folder


def read(place: Path | str, **said: Any) -> tuple[list[dict[str, Any]], list[str]]:
    """The records of all streams, and what was told."""
    notices: list[str] = []
    records = []
    with open_source(place, ReadSettings(**said), notice=notices.append) as source:
        for stream in source.streams:
            lines = b"".join(bytes(block) for block, _ in stream.lines())
            records += [json.loads(line)["record"] for line in lines.splitlines()]
    return records, notices


def refused(place: Path | str, **said: Any) -> FlowError:
    with pytest.raises(FlowError) as caught:
        read(place, **said)
    assert caught.value.hint
    return caught.value


def test_a_folder_its_descriptor_and_a_zip_are_one_package(tmp_path: Path) -> None:
    folder = package(tmp_path / "p")
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for file in folder.iterdir():
            archive.write(file, f"inner/{file.name}")
    for place in (folder, f"{folder}/", folder / "datapackage.json", tmp_path / "p.zip"):
        assert read(place) == (RECORDS, [])


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        ("id;name;price\n1;Ada;1.50\n2;;\n", {"delimiter": ";"}),
        ("id;name;price\n1;Ada;1.50\n2;;\n", {"csv": {"delimiter": ";"}}),
        ("id\tname\tprice\n1\tAda\t1.50\n2\t\t\n", {"delimiter": "\t"}),
        ("'id','name','price'\n1,'Ada',1.50\n2,,\n", {"quoteChar": "'"}),
        ("1,Ada,1.50\n2,,\n", {"header": False}),
        ("made by hand\nid,name,price\n1,Ada,1.50\n2,,\n", {"headerRows": [2]}),
        ("id,name,price\n# no row\n1,Ada,1.50\n2,,\n", {"commentChar": "#"}),
        ("id, name, price\n1, Ada, 1.50\n2,,\n", {"skipInitialSpace": True}),
        ('id,name,price\n1,"Ada",1.50\n2,"",""\n', {}),
        ("price,id,name\n1.50,1,Ada\n,2,\n", {}),
        ("id,name,price\n\n1,Ada,1.50\n\n2,,\n\n", {}),
    ],
)
def test_dialects(tmp_path: Path, text: str, dialect: dict[str, Any]) -> None:
    assert read(package(tmp_path, text, dialect=dialect)) == (RECORDS, [])


@pytest.mark.parametrize(
    ("path", "mark", "dialect", "told"),
    [
        ("data.csv", ";", None, ";"),
        ("data.csv", "\t", {"header": True}, "a tab"),
        ("data.csv", "|", {"csv": {"header": True}}, "|"),
        ("data.tsv", ",", None, ","),
        ("data.csv", ",", None, None),
        ("data.tsv", "\t", None, None),
    ],
)
def test_a_delimiter_that_a_descriptor_does_not_say(
    tmp_path: Path, path: str, mark: str, dialect: dict[str, Any] | None, told: str | None
) -> None:
    folder = package(tmp_path, CSV.replace(",", mark), path=path, dialect=dialect)
    records, notices = read(folder)
    assert records == RECORDS
    words = f"{path} of {folder}: its cells are divided by {told}, which its descriptor does not say."
    assert notices == ([words] if told else [])


@pytest.mark.parametrize(
    ("text", "dialect"),
    [
        (CSV.replace(",", ";"), {"delimiter": ","}),
        (CSV.replace(",", ";"), {"csv": {"delimiter": ","}}),
        (CSV.replace(",", ";").replace("price", "cost"), None),
        ("id;name\r\n1;Ada\r\n", None),
    ],
)
def test_a_delimiter_is_looked_for_only_where_none_is_said_and_the_columns_prove_it(
    tmp_path: Path, text: str, dialect: dict[str, Any] | None
) -> None:
    error = refused(package(tmp_path, text, dialect=dialect))
    assert "is not what its schema says: it lacks 'id'" in error.message


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    text = 'id,name\r\n1,"naïve, café"\r\n'.encode(encoding)
    said = "utf-8" if encoding == "utf-8-sig" else encoding
    folder = package(tmp_path, text, encoding=said, schema={"fields": FIELDS[:2]})
    assert read(folder)[0] == [{"id": 1, "name": "naïve, café"}]


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        ({"type": "integer", "groupChar": ","}, '"1,234,567"', 1234567),
        ({"type": "integer"}, "007", 7),
        ({"type": "integer"}, "+12", 12),
        ({"type": "integer"}, "36893488147419103232", 2**65),
        ({"type": "integer", "bareNumber": False}, "€ 95", 95),
        ({"type": "number", "bareNumber": False}, "95.5 %", 95.5),
        ({"type": "number", "decimalChar": ",", "groupChar": "."}, '"1.234,50"', 1234.5),
        ({"type": "number"}, ".5", 0.5),
        ({"type": "number"}, "5.", 5),
        ({"type": "number"}, "-007.10", -7.1),
        ({"type": "number"}, "1E3", 1000.0),
        ({"type": "boolean"}, "TRUE", True),
        ({"type": "boolean", "trueValues": ["ja"], "falseValues": ["nein"]}, "nein", False),
        ({"type": "date"}, "2024-02-29", "2024-02-29"),
        ({"type": "date", "format": "%d.%m.%Y"}, "1.2.2024", "2024-02-01"),
        ({"type": "date", "format": "any"}, "1 Feb 2024", "1 Feb 2024"),
        ({"type": "datetime"}, "2024-02-01T10:00:00Z", "2024-02-01T10:00:00Z"),
        ({"type": "datetime", "format": "%d/%m/%y %H:%M"}, "01/02/24 10:30", "2024-02-01T10:30:00"),
        ({"type": "time"}, "10:30:00", "10:30:00"),
        ({"type": "time", "format": "%Hh%M"}, "10h30", "10:30:00"),
        ({"type": "year"}, "2024", 2024),
        ({"type": "yearmonth"}, "2024-02", "2024-02"),
        ({"type": "duration"}, "P1D", "P1D"),
        ({"type": "geopoint"}, '"1.5, 2"', "1.5, 2"),
        ({"type": "object"}, '"{""a"": 1.50}"', {"a": 1.5}),
        ({"type": "array"}, '"[1, null]"', [1, None]),
        ({"type": "list"}, '"a,b"', ["a", "b"]),
        ({"type": "list", "delimiter": ";"}, "a;b", ["a", "b"]),
        ({"type": "any"}, "007", "007"),
        ({}, "x", "x"),
        ({"type": "string"}, "NA", "NA"),
        ({"type": "string", "missingValues": ["NA", "-"]}, "-", None),
        ({"type": "integer", "missingValues": [{"value": "-99", "label": "not asked"}]}, "-99", None),
    ],
)
def test_types(tmp_path: Path, field: dict[str, Any], cell: str, value: Any) -> None:
    folder = package(tmp_path, f"v,w\n{cell},x\n", schema={"fields": [{"name": "v", **field}, {"name": "w"}]})
    assert read(folder) == ([{"v": value, "w": "x"}], [])


@pytest.mark.parametrize(
    ("field", "cell"),
    [
        ({"type": "integer"}, "1.5"),
        ({"type": "integer"}, "eleven"),
        ({"type": "number"}, "1_000"),
        ({"type": "number", "decimalChar": ","}, '"1.000,5"'),
        ({"type": "boolean"}, "yes"),
        ({"type": "date"}, "2024-02-30"),
        ({"type": "date", "format": "%d.%m.%Y"}, "30.02.2024"),
        ({"type": "datetime"}, "yesterday"),
        ({"type": "time"}, "25:00:00"),
        ({"type": "object"}, "{"),
    ],
)
def test_a_cell_that_is_not_of_its_type(tmp_path: Path, field: dict[str, Any], cell: str) -> None:
    text = f"id,v\n1,\n2,{cell}\n3,\n"
    folder = package(
        tmp_path, text, schema={"fields": [{"name": "id", "type": "integer"}, {"name": "v", **field}]}
    )
    error = refused(folder)
    assert isinstance(error, DataError)
    assert "row 2, column 'v'" in error.message
    assert cell.strip('"') in error.message
    assert error.message.endswith(f" is not of its type, {field['type']}.")
    assert "'types'" in (error.hint or "")
    assert [one["id"] for one in read(folder, types={"v": "string"})[0]] == [1, 2, 3]
    assert read(folder, on_error="null")[0] == [{"id": n, "v": None} for n in (1, 2, 3)]
    records, notices = read(folder, on_error="skip")
    assert [one["id"] for one in records] == [1, 3]
    assert len(notices) == 1
    assert "1 row left out" in notices[0]


def test_numbers_that_json_does_not_have_are_null_and_told(tmp_path: Path) -> None:
    fields = [{"name": "id", "type": "integer"}, {"name": "v", "type": "number"}]
    folder = package(tmp_path, "id,v\n1,NaN\n2,-INF\n3,1.5\n", schema={"fields": fields})
    records, notices = read(folder)
    assert [one["v"] for one in records] == [None, None, 1.5]
    assert notices == [
        f"resource 'data' of {folder}: null instead of 2 numbers of 'v' that JSON does not have: NaN or infinite."
    ]


@pytest.mark.parametrize("packed", [False, True])
def test_formats(tmp_path: Path, packed: bool) -> None:
    texts = {
        "csv": CSV,
        "jsonl": "".join(json.dumps(one) + "\n" for one in RECORDS),
        "ndjson": "\n" + "\n\n".join(f"  {json.dumps(one)}" for one in RECORDS),
        "json": json.dumps(RECORDS, indent=2),
    }
    for name, text in texts.items():
        path = f"{name}/rows.{name}" + (".gz" if packed else "")
        data = gzip.compress(text.encode()) if packed else text.encode()
        assert read(package(tmp_path, data, path=path)) == (RECORDS, []), name


def test_rows_in_the_descriptor(tmp_path: Path) -> None:
    for data in (RECORDS, [["id", "name", "price"], *([*one.values()] for one in RECORDS)]):
        one = {"name": "data", "data": data, "schema": {"fields": FIELDS}}
        (tmp_path / "datapackage.json").write_text(json.dumps({"resources": [one]}))
        assert read(tmp_path) == (RECORDS, [])


def test_several_files_are_one_stream(tmp_path: Path) -> None:
    folder = package(tmp_path, path="a.csv")
    (folder / "b.csv").write_text("id,name,price\n3,Bo,2\n")
    one = {"name": "data", "path": ["a.csv", "b.csv"], "schema": {"fields": FIELDS}}
    (folder / "datapackage.json").write_text(json.dumps({"resources": [one]}))
    assert [record["id"] for record in read(folder)[0]] == [1, 2, 3]


def test_schema_and_dialect_in_files_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text(json.dumps({"fields": FIELDS}))
    (tmp_path / "dialect.json").write_text('{"delimiter": ";"}')
    folder = package(tmp_path, CSV.replace(",", ";"), schema="schema.json", dialect="dialect.json")
    assert read(folder) == (RECORDS, [])


def test_what_is_no_table_is_left_out_and_told(tmp_path: Path) -> None:
    folder = package(tmp_path)
    (folder / "logo.png").write_bytes(b"x")
    found = json.loads((folder / "datapackage.json").read_text())
    found["resources"].insert(0, {"name": "logo", "path": "logo.png"})
    (folder / "datapackage.json").write_text(json.dumps(found))
    records, notices = read(folder)
    assert records == RECORDS
    assert notices == [f"resource 'logo' of {folder} is no table, and is left out."]


def test_a_primary_key_is_the_key(tmp_path: Path) -> None:
    for key in ("id", ["id"]):
        folder = package(tmp_path, schema={"fields": FIELDS, "primaryKey": key})
        with open_source(folder, notice=print) as source:
            (stream,) = source.streams
            assert stream.schema.key_properties == ["id"]
            assert stream.schema.json_schema["properties"]["id"] == {"type": "integer"}
            assert stream.schema.json_schema["properties"]["name"] == {"type": ["null", "string"]}


# ------------------------------------------------------------------------------------------ bad days


@pytest.mark.parametrize("algorithm", ["", "md5:", "sha256:", "sha512:"])
def test_a_hash_is_checked(tmp_path: Path, algorithm: str) -> None:
    digest = hashlib.new(algorithm.rstrip(":") or "md5", CSV.encode()).hexdigest()
    assert read(package(tmp_path, hash=algorithm + digest)) == (RECORDS, [])
    folder = package(tmp_path, hash=algorithm + digest[::-1])
    assert "is not what its descriptor says" in refused(folder).message
    records, notices = read(folder, trust=True)
    assert records == RECORDS
    assert len(notices) == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"bytes": 1}, f"has {len(CSV)} bytes; its descriptor says 1"),
        ({"rows": 3}, "has 2 rows; its descriptor says 3"),
        ({"schema": {"fields": [*FIELDS, {"name": "more"}]}}, "it lacks 'more'"),
        ({"schema": {"fields": FIELDS[:2]}}, "it also has 'price'"),
    ],
)
def test_a_descriptor_that_lies(tmp_path: Path, said: dict[str, Any], message: str) -> None:
    folder = package(tmp_path, **said)
    error = refused(folder)
    assert message in error.message
    assert "'trust'" in (error.hint or "")
    records, notices = read(folder, trust=True)
    assert len(records) == 2
    assert len(notices) == 1
    assert message in notices[0]


@pytest.mark.parametrize(
    "path", ["/etc/passwd", "../up.csv", "a/../../up.csv", "~/x.csv", "a\\b.csv", "s3://b/x.csv"]
)
def test_a_path_that_leads_out(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "p"
    package(folder)
    one = {"name": "data", "path": path, "schema": {"fields": FIELDS}, "format": "csv"}
    (folder / "datapackage.json").write_text(json.dumps({"resources": [one]}))
    error = refused(folder)
    assert isinstance(error, ConfigError)
    assert "leads out of its folder" in error.message


def test_a_link_that_leads_out(tmp_path: Path) -> None:
    folder = package(tmp_path / "p")
    (tmp_path / "secret.csv").write_text(CSV)
    (folder / "data.csv").unlink()
    (folder / "data.csv").symlink_to(tmp_path / "secret.csv")
    assert "leads out of its folder" in refused(folder).message


def test_a_zip_that_unpacks_to_too_much(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "p.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        one = {"name": "data", "path": "data.csv", "schema": {"fields": FIELDS}}
        archive.writestr("datapackage.json", json.dumps({"resources": [one]}))
        archive.writestr("data.csv", b"\0" * (70 << 20))
    assert "would unpack" in refused(tmp_path / "p.zip").message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name,price\n1,Ada\n", "line 2: 2 cells instead of 3"),
        ("id,name,price\n1,Ada,1.5,more\n", "4 cells instead of 3"),
        (b"id,name,price\n1,\xff\xfe,1.5\n", "is not in the encoding utf-8"),
        ("", "is empty"),
    ],
)
def test_broken_csv(tmp_path: Path, text: str | bytes, message: str) -> None:
    error = refused(package(tmp_path, text))
    assert message in error.message
    assert "data.csv" in error.message


def test_rows_of_another_length_can_be_left_out(tmp_path: Path) -> None:
    folder = package(tmp_path, "id,name,price\n1,Ada,1.50\ntotal\n2,,\n")
    records, notices = read(folder, on_error="skip")
    assert records == RECORDS
    assert "1 row left out" in notices[0]


@pytest.mark.parametrize(
    ("descriptor", "message"),
    [
        ("{", "is no JSON"),
        ("[]", "is no JSON object"),
        ("{}", "has no 'resources'"),
        ('{"resources": []}', "has no table"),
        ('{"resources": [{"path": "data.csv", "schema": {"fields": [{"name": "id"}]}}]}', "a resource without a name"),
        ('{"resources": [{"name": "a", "schema": {"fields": [{"name": "id"}]}}]}', "neither a 'path' nor rows"),
        ('{"resources": [{"name": "a", "path": "data.csv", "schema": {}}]}', "without 'fields'"),
        ('{"resources": [{"name": "a", "path": "data.csv", "schema": {"fields": [{"name": "id", "type": "int"}]}}]}', "cannot read"),
        ('{"resources": [{"name": "a", "path": "gone.csv", "schema": {"fields": [{"name": "id"}]}}]}', "which is not there"),
        ('{"resources": [{"name": "a", "path": "x.dbf", "schema": {"fields": [{"name": "id"}]}}]}', "cannot read"),
    ],
)  # fmt: skip
def test_broken_descriptors(tmp_path: Path, descriptor: str, message: str) -> None:
    (package(tmp_path) / "datapackage.json").write_text(descriptor)
    assert message in refused(tmp_path).message


def test_a_file_that_changes_while_it_is_read(tmp_path: Path) -> None:
    folder = package(tmp_path, "id,name,price\n" + "1,Ada,1.5\n" * 20_000)
    with open_source(folder, notice=print) as source:
        lines = source.streams[0].lines()
        next(lines)
        with (folder / "data.csv").open("a") as file:
            file.write("2,Bo,2\n")
        with pytest.raises(DataError, match="was changed while it was read"):
            list(lines)


def test_an_unknown_stream_names_near_ones(tmp_path: Path) -> None:
    with open_source(package(tmp_path), notice=print) as source:
        assert source.stream("data").name == "data"
        with pytest.raises(ConfigError, match="has no stream 'date'") as caught:
            source.stream("date")
    assert caught.value.hint == "Did you mean 'data'?"


def test_a_row_that_is_larger_than_a_block(tmp_path: Path) -> None:
    long = "x" * (9 << 20)
    folder = package(tmp_path, f'id,name,price\n1,Ada,1.50\n2,"{long}\n{long}",\n3,,\n')
    records, _ = read(folder)
    assert [len(one["name"] or "") for one in records] == [3, 2 * len(long) + 1, 0]


# ------------------------------------------------------------------------------------------ JSON that lies


def json_package(folder: Path, rows: list[dict[str, Any]], form: str = "json") -> Path:
    text = json.dumps(rows) if form == "json" else "".join(json.dumps(row) + "\n" for row in rows)
    return package(folder, text, path=f"data.{form}")


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_texts_that_stand_for_numbers(tmp_path: Path, form: str) -> None:
    folder = json_package(
        tmp_path, [{"id": "1", "name": "Ada", "price": " 1.50"}, {"id": 2, "price": "2"}], form
    )
    assert read(folder) == ([{"id": 1, "name": "Ada", "price": 1.5}, {"id": 2, "price": 2}], [])


@pytest.mark.parametrize("form", ["json", "jsonl"])
def test_values_of_json_that_are_not_of_their_type(tmp_path: Path, form: str) -> None:
    rows = [{"id": 1, "price": 1.5}, {"id": 1.5, "price": "dear"}, {"id": 3, "price": None}]
    folder = json_package(tmp_path, rows, form)
    error = refused(folder)
    assert isinstance(error, DataError)
    assert "line 2" in error.message
    assert read(folder, on_error="null")[0] == [rows[0], {"id": None, "price": None}, rows[2]]
    records, notices = read(folder, on_error="skip")
    assert records == [rows[0], rows[2]]
    assert "1 row left out" in notices[0]
    assert "'id'" not in refused(folder, types={"id": "number"}).message
    assert read(folder, types={"id": "number", "price": "any"})[0] == rows


def test_what_is_said_in_vain_is_refused(tmp_path: Path) -> None:
    folder = package(tmp_path)
    assert "'encoding' does nothing" in refused(folder, encoding="cp1252").message
    assert "'key' does nothing" in refused(folder, key=("id",)).message
    error = refused(folder, types={"idd": "string"})
    assert error.hint == "Did you mean 'id'?"
    assert read(folder, types={"id": "string"})[0][0]["id"] == "1"


def test_a_resource_of_an_unknown_kind_is_left_out_and_told(tmp_path: Path) -> None:
    folder = package(tmp_path)
    found = json.loads((folder / "datapackage.json").read_text())
    found["resources"].append({"name": "more", "path": "more.arrow", "schema": {"fields": FIELDS}})
    (folder / "datapackage.json").write_text(json.dumps(found))
    records, notices = read(folder)
    assert records == RECORDS
    assert notices == [f"resource 'more' of {folder} is of a kind that Flow cannot read, and is left out."]


def test_a_digest_as_git_has_it(tmp_path: Path) -> None:
    digest = hashlib.sha1(f"blob {len(CSV)}\0{CSV}".encode()).hexdigest()
    assert read(package(tmp_path, hash=f"sha1:{digest}")) == (RECORDS, [])
