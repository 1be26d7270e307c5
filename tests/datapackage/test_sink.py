from __future__ import annotations

import csv
import gzip
import io
import json
import os
import signal
import subprocess
import sys
import zipfile
from decimal import Decimal
from importlib.resources import files

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from jsonschema import Draft7Validator
from packages import frictionless_report, frictionless_rows, sheet_of

import flow_singer
from flow_singer.datapackage import rowkeys, textfile
from flow_singer.datapackage.sink import Loader, LoadLimits, load_package
from flow_singer.datapackage.writer import PackageWriter
from flow_singer.errors import ConfigError, DataError, MessageError, RecordError, TargetError
from flow_singer.singer.badlines import RecordBeforeSchemaError
from flow_singer.singer.marks import Header, Trailer, add_mark
from flow_singer.singer.messages import MessageReader
from flow_singer.tabular.parallel import ParallelDecoder

PROFILE = json.loads((files("dplib.profiles") / "2.0" / "datapackage.json").read_text())
FORMATS = ["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet", "xlsx"]
TEXT = {"type": ["null", "string"]}


def schema(stream="s", properties=None, key=("id",), **more):
    properties = properties if properties is not None else {"id": {"type": "integer"}, "name": TEXT}
    message = {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties, **more},
    }
    return json.dumps(message | {"key_properties": list(key)})


def record(_stream="s", _version=None, **values):
    message = {"type": "RECORD", "stream": _stream, "record": values}
    return json.dumps(message | ({"version": _version} if _version is not None else {}))


def raw(values: str, stream="s"):
    return f'{{"type":"RECORD","stream":"{stream}","record":{{{values}}}}}'


def load(folder, *lines, batch=2, **options):
    """Write the messages as a package; batches are small, so that each test crosses their borders."""
    blocks = [f"{line}\n".encode() for line in lines]  # the records of one block come as one batch
    with PackageWriter(folder, **options) as writer:
        loaded = load_package(blocks, writer, limits=LoadLimits(batch_records=batch))
        assert loaded.incomplete is None
        published = writer.publish()
    return published, writer.notices


def descriptor(folder):
    return json.loads((folder / "datapackage.json").read_text())


def check(folder):
    """Valid under the official profile, and, but for Parquet, under frictionless, data included."""
    package = descriptor(folder)
    assert [error.message for error in Draft7Validator(PROFILE).iter_errors(package)] == []
    for one in package["resources"]:
        assert one["bytes"] == (folder / one["path"]).stat().st_size
    if all(one["format"] != "parquet" for one in package["resources"]):
        report = frictionless_report(folder)
        assert report.valid, report.to_summary()
    return package


def rows(folder, name="s", null=""):
    """What a reader of the format sees; CSV cells as text."""
    (path,) = (folder / "data").glob(f"{name}.*")
    form = path.name.removeprefix(f"{name}.").removesuffix(".gz")
    if form == "jsonl":
        return [json.loads(line, parse_float=str) for line in text_of(path).split("\n") if line]
    if form == "parquet":
        return pq.read_table(path).to_pylist()
    if form == "xlsx":
        names, cells = sheet_of(path)
        return [dict(zip(names, row, strict=True)) for row in cells]
    return list(csv.DictReader(io.StringIO(text_of(path), newline="")))


def text_of(path):
    """The text in a file, which may be packed."""
    data = path.read_bytes()
    return (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")


def read_back(folder, name="s"):
    return frictionless_rows(folder, name)


# ------------------------------------------------------------------------------------------------- values


@pytest.mark.parametrize("form", FORMATS)
def test_every_value_comes_back_as_it_was(tmp_path, form):
    properties = {
        "id": {"type": "integer"},
        "text": TEXT,
        "flag": {"type": ["null", "boolean"]},
        "number": {"type": ["null", "number"]},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "day": {"type": ["null", "string"], "format": "date"},
        "nested": {"type": ["null", "object"]},
        "list": {"type": ["null", "array"]},
    }
    texts = [
        'say "hi"',
        "a,b",
        "line\nbreak",
        "lone\rreturn",
        "crlf\r\n",
        " spaces ",
        "ü\u2028\U0001f600\x00",
        "NULL",
        "007",
    ]
    lines = [
        raw(
            f'"id":{i + 2**53 + 1},"text":{json.dumps(text)},"flag":{"true" if i % 2 else "null"},'
            f'"number":{["0.1", "5e-324", "1.7976931348623157e308", "-0.5"][i % 4]},'
            f'"at":"{["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"][i % 2]}","day":"2024-02-29",'
            f'"nested":{{"a": [1, null, "x,y"]}},"list":[{i}, 1.50]'
        )
        for i, text in enumerate(texts)
    ]
    load(tmp_path / "p", schema(properties=properties), *lines, raw('"id":1'), format=form)
    check(tmp_path / "p")
    found = rows(tmp_path / "p")
    assert [row["text"] for row in found[:-1]] == texts
    assert [int(row["id"]) for row in found] == [i + 2**53 + 1 for i in range(9)] + [1]
    assert [float(row["number"]) for row in found[:4]] == [0.1, 5e-324, 1.7976931348623157e308, -0.5]
    assert [str(row["at"])[:4] for row in found[:2]] == ["0001", "9999"]
    assert str(found[0]["day"]) == "2024-02-29"
    if form.startswith("csv"):
        assert found[1]["flag"] == "true"
        assert found[3]["list"] == "[3, 1.50]"
        assert found[-1] == {name: "1" if name == "id" else "" for name in properties}
    elif form.startswith("jsonl"):
        assert found[3]["list"] == [3, "1.50"]
        assert found[-1] == {name: 1 if name == "id" else None for name in properties}
    elif form == "parquet":
        assert found[3]["list"] == "[3, 1.50]"
        assert pq.read_schema(tmp_path / "p/data/s.parquet").field("at").type == pa.timestamp("us", "UTC")


def test_digits_are_written_as_they_came(tmp_path):
    properties = {
        "id": {"type": "integer"},
        "n": {"type": "number"},
        "d": {"type": "string", "format": "singer.decimal"},
    }
    digits = ["1.10", "1E5", "0.12345678901234567890", "-0.0", "123456789012345678901234567890"]
    lines = [raw(f'"id":{i},"n":{text},"d":"{text}"') for i, text in enumerate(digits)]
    for form in ("csv", "jsonl"):
        load(tmp_path / form, schema(properties=properties), *lines, format=form)
        check(tmp_path / form)
    assert [(row["n"], row["d"]) for row in rows(tmp_path / "csv")] == [(text, text) for text in digits]
    body = (tmp_path / "jsonl/data/s.jsonl").read_text().splitlines()
    assert body == [f'{{"id":{i},"n":{text},"d":"{text}"}}' for i, text in enumerate(digits)]


def test_integers_past_64_bits_and_written_with_a_fraction_stay_exact(tmp_path):
    values = ["9223372036854775807", "18446744073709551616", "-1", "2.0", "1e3"]
    lines = [raw(f'"id":{text}') for text in values]
    exact = [2**63 - 1, 2**64, -1, 2, 1000]
    for form in FORMATS:
        load(tmp_path / form, schema(properties={"id": {"type": "integer"}}), *lines, format=form)
        check(tmp_path / form)
        assert [
            int(float(v)) if "e" in str(v) or "." in str(v) else int(v)
            for r in rows(tmp_path / form)
            for v in r.values()
        ] == exact
    assert pq.read_schema(tmp_path / "parquet/data/s.parquet").field("id").type == pa.decimal128(38, 0)


@pytest.mark.parametrize(
    ("kind", "values", "type_", "expected"),
    [
        ({"type": "number"}, ["0.1", "12", "1e3"], pa.float64(), [0.1, 12.0, 1000.0]),
        ({"type": "number"}, ["9007199254740993", "0.5"], pa.decimal128(38, 18), [Decimal("9007199254740993.0"), Decimal("0.5")]),
        ({"type": "number"}, ["1e400", "0.5"], pa.large_string(), ["1e400", "0.5"]),
        ({"type": "number", "multipleOf": 0.01}, ["1.10", "123456789012345678901.25"], pa.decimal128(38, 2), [Decimal("1.10"), Decimal("123456789012345678901.25")]),
        ({"type": "string", "format": "singer.decimal"}, ['"1.10"', '"n/a"'], pa.large_string(), ["1.10", "n/a"]),
        ({"type": "string", "format": "singer.decimal"}, ['"1.10"', '"1_000"'], pa.large_string(), ["1.10", "1_000"]),
        ({"type": "string", "format": "singer.decimal"}, ['"1e2"', '" 5"'], pa.large_string(), ["1e2", " 5"]),
        ({"type": "string", "format": "date-time"}, ['"2024-01-01T00:00:00"', '"2024-01-01T00:00:01"'], pa.timestamp("us"), None),
        ({"type": "string", "format": "date-time"}, ['"2024-01-01T00:00:00"', '"2024-01-01T00:00:01Z"'], pa.large_string(), None),
        ({"type": "string", "format": "date-time"}, ['"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00.0000001Z"'], pa.large_string(), None),
        ({"type": "string", "format": "date"}, ['"2024-01-01"', '"yesterday"'], pa.large_string(), None),
        ({"type": "boolean"}, ["true", "false"], pa.bool_(), [True, False]),
        ({"type": ["string", "integer"]}, ['"1"', "1"], pa.large_string(), ['"1"', "1"]),
    ],
)  # fmt: skip
def test_parquet_takes_the_first_type_that_holds_every_value(tmp_path, kind, values, type_, expected):
    lines = [raw(f'"v":{text}') for text in values]
    load(tmp_path / "p", schema(properties={"v": kind}, key=()), *lines, batch=1, format="parquet")
    check(tmp_path / "p")
    table = pq.read_table(tmp_path / "p/data/s.parquet")
    assert table.schema.field("v").type == type_
    if expected is not None:
        assert table["v"].to_pylist() == expected
    elif type_ == pa.large_string():
        assert table["v"].to_pylist() == [json.loads(text) for text in values]


@pytest.mark.parametrize("form", ["csv", "jsonl"])
@pytest.mark.parametrize(
    ("kind", "value", "type_"),
    [
        ({"type": "string", "format": "date-time"}, "2024-01-01T00:00:00.123456789+05:45", "datetime"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T00:00:00", "datetime"),
        ({"type": "string", "format": "date-time"}, "2024-02-30T00:00:00Z", "string"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T23:59:60Z", "string"),
        ({"type": "string", "format": "date-time"}, "0000-01-01T00:00:00Z", "string"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T00:00:00+24:00", "string"),
        ({"type": "string", "format": "date-time"}, "2024-01-01T00:00:00-01:60", "string"),
        ({"type": "string", "format": "date"}, "2024-01-01T00:00:00Z", "string"),
        ({"type": "string", "format": "time"}, "12:30:00", "time"),
        ({"type": "string", "format": "time"}, "half past", "string"),
        ({"type": "string", "format": "duration"}, "P1DT2H", "duration"),
        ({"type": "string", "format": "duration"}, "P", "string"),
        ({"type": "string", "format": "singer.decimal"}, "n/a", "string"),
        ({"type": "object"}, [1], "any"),
        ({"type": "array"}, {"a": 1}, "any"),
        ({"type": "string", "format": "email", "maxLength": 3}, "a@b", "string"),
    ],
)
def test_a_value_that_breaks_its_format_stays_and_changes_the_type(tmp_path, form, kind, value, type_):
    _, notices = load(tmp_path / "p", schema(properties={"v": kind}, key=()), record(v=value), format=form)
    (field,) = check(tmp_path / "p")["resources"][0]["schema"]["fields"]
    assert field["type"] == type_
    assert field["flow:jsonSchema"] == kind
    (row,) = rows(tmp_path / "p")
    assert row["v"] in (value, json.dumps(value))
    assert bool(notices) == (type_ in ("string", "any") and kind.get("format") != "email")


def test_values_of_a_column_of_any_type_are_json_in_csv(tmp_path):
    load(
        tmp_path / "p",
        schema(properties={"v": {}}, key=()),
        *(record(v=v) for v in ["a", 1, True, {"b": 'c"'}, 'd"e', "\u00fc"]),
    )
    check(tmp_path / "p")
    assert [row["v"] for row in rows(tmp_path / "p")] == [
        '"a"', "1", "true", '{"b": "c\\""}', '"d\\"e"', '"\\u00fc"',
    ]  # fmt: skip


def test_a_lone_surrogate_is_kept_in_json_and_refused_elsewhere(tmp_path):
    line = raw('"id":1,"name":"\\ud800"')
    load(tmp_path / "j", schema(), line, format="jsonl")
    assert (tmp_path / "j/data/s.jsonl").read_text() == '{"id":1,"name":"\\ud800"}\n'
    for form in ("csv", "parquet"):
        with pytest.raises(RecordError, match="'name'"):
            load(tmp_path / form, schema(), line, format=form)
        assert not (tmp_path / form).exists()


@pytest.mark.parametrize("form", FORMATS)
def test_a_lone_surrogate_in_an_undeclared_name_is_refused(tmp_path, form):
    with pytest.raises(RecordError, match="cannot be the name of a column"):
        load(tmp_path / "p", schema(), raw('"id":1,"\\ud800":1'), format=form)


@pytest.mark.parametrize("form", FORMATS)
def test_an_exponent_past_every_type_stays_as_it_is(tmp_path, form):
    number = "1e99999999999999999999"
    lines = [raw(f'"v":{text}') for text in ("0.5", number)]
    load(tmp_path / "p", schema(properties={"v": {"type": "number"}}, key=()), *lines, format=form)
    assert [str(row["v"]) for row in rows(tmp_path / "p")] == ["0.5", number]


# ---------------------------------------------------------------------------------------- null and empty


def test_empty_text_and_null_are_told_apart_where_the_column_has_no_null(tmp_path):
    _, notices = load(tmp_path / "p", schema(), record(id=1, name=""), record(id=2, name="x"))
    check(tmp_path / "p")
    assert [row["name"] for row in read_back(tmp_path / "p")] == ["", "x"]
    assert notices == []


def test_empty_texts_beside_nulls_are_counted(tmp_path):
    _, notices = load(tmp_path / "p", schema(), *(record(id=i, name=["", None, ""][i]) for i in range(3)))
    check(tmp_path / "p")
    assert len(notices) == 1
    assert "'name': 2 empty texts read as null" in notices[0]
    assert (tmp_path / "p/data/s.csv").read_bytes() == b'id,name\r\n0,""\r\n1,\r\n2,""\r\n'


def test_a_text_for_null_loses_nothing(tmp_path):
    _, notices = load(
        tmp_path / "p", schema(), *(record(id=i, name=["", None, "a,b"][i]) for i in range(3)), csv_null="\\N"
    )
    check(tmp_path / "p")
    assert [row["name"] for row in read_back(tmp_path / "p")] == ["", None, "a,b"]
    assert notices == []


def test_a_row_of_one_empty_text_is_not_lost_beside_a_text_for_null(tmp_path):
    load(tmp_path / "p", schema(properties={"v": TEXT}, key=()), record(v=""), record(), csv_null="\\N")
    assert (tmp_path / "p/data/s.csv").read_bytes() == b'v\r\n""\r\n\\N\r\n'
    assert [row["v"] for row in rows(tmp_path / "p")] == ["", "\\N"]


def test_a_text_that_equals_the_text_for_null_is_told_of(tmp_path):
    _, notices = load(tmp_path / "p", schema(), record(id=1, name="\\N"), csv_null="\\N")
    assert "1 value is '\\N', which reads as null" in notices[0]


def test_rows_of_a_single_empty_column_are_not_lost(tmp_path):
    load(tmp_path / "p", schema(properties={"v": TEXT}, key=()), record(v=None), record(v="a"), record())
    assert [row["v"] for row in rows(tmp_path / "p")] == ["", "a", ""]
    assert (tmp_path / "p/data/s.csv").read_bytes() == b'v\r\n""\r\na\r\n""\r\n'


@pytest.mark.parametrize("first", [TEXT, {"type": ["null", "integer"]}])
def test_a_null_stays_an_empty_cell_where_columns_follow(tmp_path, first):
    """While the file had one column, it could not be told from an empty line, or from an empty text."""
    lines = [record(v=None), record(), record(v="") if first is TEXT else record(v=7), record(v=None, w="b")]
    load(tmp_path / "p", schema(properties={"v": first}, key=()), *lines)
    third = b'""' if first is TEXT else b"7"
    assert (tmp_path / "p/data/s.csv").read_bytes() == (b"v,w\r\n,\r\n,\r\n" + third + b',\r\n,"""b"""\r\n')


def test_rows_from_before_the_only_column_are_not_lost(tmp_path):
    load(tmp_path / "p", schema(properties={}, key=()), record(), record(), record(v="a"))
    assert (tmp_path / "p/data/s.csv").read_bytes() == b'v\r\n""\r\n""\r\n"""a"""\r\n'
    load(tmp_path / "q", schema(properties={}, key=()), record(), record(v="a"), record(), csv_null="\\N")
    assert (tmp_path / "q/data/s.csv").read_bytes() == b'v\r\n\\N\r\n"""a"""\r\n\\N\r\n'


def test_json_lines_keep_empty_text_and_have_every_key(tmp_path):
    load(tmp_path / "p", schema(), record(id=1), record(name="", id=2), format="jsonl")
    check(tmp_path / "p")
    assert (tmp_path / "p/data/s.jsonl").read_text() == '{"id":1,"name":null}\n{"id":2,"name":""}\n'
    assert [row["name"] for row in read_back(tmp_path / "p")] == [None, ""]


# --------------------------------------------------------------------------------------- changing SCHEMAs


@pytest.mark.parametrize("form", FORMATS)
def test_l12_the_header_is_the_union_of_all_schemas(tmp_path, form):
    first = {"id": {"type": "integer"}, "a": TEXT}
    second = {"id": {"type": "integer"}, "b": {"type": ["null", "number"]}, "a": TEXT}
    published, _ = load(
        tmp_path / "p",
        schema(properties=first),
        *(record(id=i, a="x\r\ny") for i in range(3)),
        schema(properties=second),
        record(id=3, b=0.5),
        schema(properties=first),
        record(id=4, a="z"),
        format=form,
    )
    package = check(tmp_path / "p")
    assert published.records == {"s": 5}
    assert list(package["resources"][0]["flow:jsonSchema"]["properties"]) == ["id", "a", "b"]
    found = rows(tmp_path / "p")
    assert [list(row) for row in found] == [["id", "a", "b"]] * 5
    assert [row["a"] or None for row in found] == ["x\r\ny"] * 3 + [None, "z"]
    assert [float(row["b"]) if row["b"] else None for row in found] == [None] * 3 + [0.5, None]


@pytest.mark.parametrize("form", FORMATS)
def test_a_property_that_changes_its_type_widens(tmp_path, form):
    kinds = [{"type": "integer"}, {"type": ["null", "number"]}, {"type": "string"}]
    values = ["1", "0.5", '"x"']
    for last in (2, 3):
        folder = tmp_path / f"{form}{last}"
        lines = [
            line for kind, value in zip(kinds[:last], values[:last], strict=True)
            for line in (schema(properties={"v": kind}, key=()), raw(f'"v":{value}'))
        ]  # fmt: skip
        load(folder, *lines, format=form)
        (field,) = check(folder)["resources"][0]["schema"]["fields"]
        assert field["type"] == {2: "number", 3: "any"}[last]
        assert len(rows(folder)) == last


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("kind", ["integer", "number", "boolean", "string"])
def test_values_of_a_property_that_is_no_longer_declared_stay(tmp_path, form, kind):
    texts = ["1.5", '"e"', '"a\\",b"', "[1]", "true", "null"]
    first = schema(properties={"id": {"type": "integer"}, "v": {"type": ["null", kind]}}, key=())
    later = schema(properties={"id": {"type": "integer"}}, key=())
    lines = [raw(f'"id":{i},"v":{text}') for i, text in enumerate(texts)]
    _, notices = load(tmp_path / "p", first, raw('"id":9'), later, *lines, format=form)
    assert "no longer declares" in notices[0]
    assert check(tmp_path / "p")["resources"][0]["schema"]["fields"][1]["type"] == "any"
    found = [row["v"] for row in rows(tmp_path / "p")]
    if form.startswith("csv"):
        assert found == ["", "1.5", '"e"', '"a\\",b"', "[1]", "true", ""]
    elif form.startswith("jsonl"):
        assert found == [None, "1.5", "e", 'a",b', [1], True, None]
    else:
        assert found == [None, *texts[:-1], None]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "kinds", [("string", "date"), ("object", "integer"), ("number", "integer"), ("any", "boolean")]
)
def test_a_property_may_become_narrower(tmp_path, form, kinds):
    known = {
        "string": (TEXT, '"x"'),
        "date": (TEXT | {"format": "date"}, '"2024-01-01"'),
        "object": ({"type": "object"}, '{"a": 1}'),
        "integer": ({"type": "integer"}, "7"),
        "number": ({"type": "number"}, "5e-324"),
        "boolean": ({"type": "boolean"}, "true"),
        "any": ({}, "[1]"),
    }
    lines = []
    for kind in kinds:
        one, text = known[kind]
        lines += [schema(properties={"v": one}, key=()), raw(f'"v":{text}')]
    load(tmp_path / "p", *lines, format=form)
    check(tmp_path / "p")
    found = [
        json.dumps(row["v"]) if form.startswith("jsonl") else str(row["v"]) for row in rows(tmp_path / "p")
    ]
    expected = [known[kind][1] for kind in kinds]
    assert [text.strip('"') for text in found] in (
        [text.strip('"') for text in expected],
        [expected[0], f"{expected[1]}.0"],  # a column of doubles
    )


@pytest.mark.parametrize("form", FORMATS)
def test_a_name_that_only_lacks_a_blank_gets_a_column_of_its_own(tmp_path, form):
    later = schema(properties={"id": {"type": "integer"}, "a": TEXT})
    load(
        tmp_path / "p", schema(properties={"id": {"type": "integer"}, " a": TEXT}), raw('"id":1," a":"x"'),
        later, raw('"id":2,"a":"y"'), format=form,
    )  # fmt: skip
    check(tmp_path / "p")
    assert [(row["a"] or None, row["a-2"] or None) for row in rows(tmp_path / "p")] == [
        ("x", None),
        (None, "y"),
    ]


def test_keys_that_no_schema_declares_become_columns(tmp_path):
    _, notices = load(tmp_path / "p", schema(), record(id=1, name="a"), record(id=2, extra={"x": 1}))
    fields = check(tmp_path / "p")["resources"][0]["schema"]["fields"]
    assert [row["extra"] for row in rows(tmp_path / "p")] == ["", '{"x": 1}']
    assert fields[-1]["flow:declared"] is False
    assert "'extra', which the SCHEMA does not declare" in notices[0]


def test_a_stream_without_records_has_a_header_and_one_without_columns_is_left_out(tmp_path):
    published, notices = load(tmp_path / "p", schema(), schema("t", properties={}, key=()))
    check(tmp_path / "p")
    assert published.records == {"s": 0}
    assert (tmp_path / "p/data/s.csv").read_bytes() == b"id,name\r\n"
    assert os.listdir(tmp_path / "p/data") == ["s.csv"]
    assert "stream 't' is left out" in notices[0]


def test_records_of_a_stream_without_properties_are_not_lost(tmp_path):
    load(tmp_path / "p", schema(properties={}, key=()), record(), record(), record(a=1, b="x"))
    assert rows(tmp_path / "p") == [{"a": "", "b": ""}] * 2 + [{"a": "1", "b": '"x"'}]


def test_no_stream_is_no_package(tmp_path):
    with pytest.raises(DataError, match="No stream came"):
        load(tmp_path / "p", '{"type":"STATE","value":{}}')
    assert os.listdir(tmp_path) == []


# ------------------------------------------------------------------------------------- keys and versions


@pytest.mark.parametrize("form", FORMATS)
def test_l12_the_last_record_of_a_key_wins(tmp_path, form, monkeypatch):
    monkeypatch.setattr(rowkeys, "ROWS_PER_PASS", 3)
    monkeypatch.setattr(rowkeys, "_CHUNK_ROWS", 2)
    monkeypatch.setattr(textfile, "CHUNK_ROWS", 2)
    order = [1, 2, 1, 3, 2, 1, 4, 2**70, 4, 2**70]
    published, notices = load(
        tmp_path / "p",
        schema(),
        *(record(id=key, name=f'{i}"\n') for i, key in enumerate(order)),
        format=form,
    )
    check(tmp_path / "p")
    assert [(int(row["id"]), row["name"]) for row in rows(tmp_path / "p")] == [
        (3, '3"\n'), (2, '4"\n'), (1, '5"\n'), (4, '8"\n'), (2**70, '9"\n'),
    ]  # fmt: skip
    assert published.records == {"s": 5}
    assert "5 rows were replaced" in notices[0]


def test_keys_of_several_texts_do_not_run_together(tmp_path):
    properties = {"a": {"type": "string"}, "b": {"type": "string"}}
    lines = [record(a=a, b=b) for a, b in [("x", "yz"), ("xy", "z"), ("x", "yz"), ('"', "z")]]
    published, _ = load(tmp_path / "p", schema(properties=properties, key=("a", "b")), *lines)
    assert published.records == {"s": 3}
    assert check(tmp_path / "p")["resources"][0]["schema"]["primaryKey"] == ["a", "b"]


def test_an_integer_key_is_the_same_however_it_is_written(tmp_path):
    keys = ["1", "1.0", "1e0", str(2**63), f"{2**63}.0", "1e23", str(10**23)]
    load(tmp_path / "p", schema(), *(raw(f'"id":{key},"name":"{i}"') for i, key in enumerate(keys)))
    assert [row["name"] for row in rows(tmp_path / "p")] == ["2", "4", "6"]


@pytest.mark.parametrize("kind", [{"type": "number"}, {"type": "number", "multipleOf": 0.01}])
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another"])
def test_a_number_key_is_the_same_however_it_is_written(tmp_path, kind, beside):
    """Other numbers are other keys, to the last digit, and so are texts that look alike."""
    same = [["1", "1.0", "1e0"], ["0", "-0.0", "0e9999"], ["0.10", "1e-1", "0.1"], ["1e5000", "10E+4999"]]
    other = [["1.0000000000000000000000000000000000001"], ["12"], ["1" * 4400], [str(2**63)], ["1e-5000"]]
    groups = same + other
    written = [number for group in groups for number in group]
    key = ("n", "id") if beside else ("n",)
    properties = {"n": kind, "id": {"type": "integer"}, "name": TEXT}
    lines = (raw(f'"n":{n},"id":{["7", "7.0"][i % 2]},"name":"{i}"') for i, n in enumerate(written))
    published, _ = load(tmp_path / "p", schema(properties=properties, key=key), *lines, format="jsonl")
    assert published.records["s"] == len(groups)
    found = (tmp_path / "p/data/s.jsonl").read_text().splitlines()
    assert [line.partition('"n":')[2].partition(",")[0] for line in found] == [group[-1] for group in groups]


def test_texts_that_look_like_one_number_are_different_keys(tmp_path):
    lines = (record(id=text) for text in ("1", "1.0", "1e0"))
    published, _ = load(tmp_path / "p", schema(properties={"id": {"type": "string"}}), *lines)
    assert published.records["s"] == 3


def test_equal_rows_without_a_key_all_stay(tmp_path):
    published, _ = load(tmp_path / "p", schema(key=()), *[record(id=1)] * 5)
    assert published.records == {"s": 5}


def test_a_key_that_comes_later_leaves_earlier_rows_alone(tmp_path):
    published, notices = load(
        tmp_path / "p", schema(key=()), *[record(id=1)] * 3, schema(), *[record(id=1)] * 3
    )
    assert published.records == {"s": 4}
    assert "primaryKey" not in check(tmp_path / "p")["resources"][0]["schema"]
    assert "key_properties changed" in notices[0]


@pytest.mark.parametrize("values", [{"name": "a"}, {"id": None}])
def test_a_record_without_its_key_stops_the_load(tmp_path, values):
    with pytest.raises(
        RecordError, match="Line 4: record of stream 's' has no value for its key property 'id'"
    ):
        load(tmp_path / "p", schema(), record(id=1), record(id=2), record(**values))


def test_an_activated_version_replaces_older_rows_and_an_old_row_never_a_new_one(tmp_path):
    published, _ = load(
        tmp_path / "p",
        schema(),
        *(record(id=i, name="old", _version=1) for i in range(5)),
        *(record(id=i, name="new", _version=2) for i in range(3)),
        record(id=2, name="late", _version=1),
        record(id=9, name="none"),
        '{"type":"ACTIVATE_VERSION","stream":"s","version":2}',
    )
    assert [(row["id"], row["name"]) for row in rows(tmp_path / "p")] == [
        ("0", "new"), ("1", "new"), ("2", "new"), ("9", "none"),
    ]  # fmt: skip
    assert published.records == {"s": 4}


def test_without_activation_all_versions_stay(tmp_path):
    published, _ = load(tmp_path / "p", schema(key=()), *(record(id=1, _version=i) for i in range(5)))
    assert published.records == {"s": 5}


# ------------------------------------------------------------------------------------------- descriptor


NASTY = [
    "Users & Orders",
    "users-orders",
    "USERS-ORDERS",
    "con",
    "../../etc/passwd",
    "ä",
    "日本",
    ".hidden",
    "a/b\\c",
    "x" * 200,
    "",
]


@pytest.mark.parametrize("form", FORMATS)
def test_nasty_names_give_a_valid_package(tmp_path, form):
    columns = ["Id", "id", "a,b", "ü", " lead", "$ref", "", " ", "unnamed", "x" * 300]
    properties = dict.fromkeys(columns, TEXT)
    lines = [
        line for stream in NASTY
        for line in (schema(stream, properties, key=("Id",)), record(stream, **dict.fromkeys(columns, "v")))
    ]  # fmt: skip
    load(tmp_path / "My Package!", *lines, format=form)
    package = check(tmp_path / "My Package!")
    assert package["name"] == "my-package"
    names = [one["name"] for one in package["resources"]]
    assert len({name.lower() for name in names}) == len(NASTY)
    assert [one["flow:stream"] for one in package["resources"]] == NASTY
    assert {
        path.parent for path in (tmp_path / "My Package!").rglob("*.*") if path.name != "datapackage.json"
    } == {tmp_path / "My Package!" / "data"}


def test_the_descriptor_says_where_the_data_came_from(tmp_path):
    message = json.loads(schema(required=["id"], additionalProperties=False))
    message["bookmark_properties"] = ["id"]
    load(tmp_path / "p", json.dumps(message), record(id=1), run={"id": "r1", "tap": "tap-x"})
    package = check(tmp_path / "p")
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert package["sources"] == [{"title": "tap-x"}]
    assert package["flow:run"] == {"id": "r1", "tap": "tap-x", "flow": flow_singer.__version__}
    (resource,) = package["resources"]
    assert resource["flow:jsonSchema"] == message["schema"]
    assert resource["flow:keyProperties"] == resource["flow:bookmarkProperties"] == ["id"]
    assert resource["rows"] == resource["flow:records"] == 1
    assert resource["schema"]["fields"][0]["constraints"] == {"required": True}
    assert "$schema" not in resource


def test_constraints_that_readers_refuse_are_left_out(tmp_path):
    properties = {
        "id": {"type": "integer", "minimum": 0.5, "enum": [1, 2, None]},
        "mixed": {"type": ["null", "string"], "enum": ["a", 1, None]},
        "of_ints": {"type": "string", "enum": [1]},
        "pattern": {"type": "string", "pattern": "b"},
        "broken": {"type": "string", "pattern": "^(?<x$", "minLength": -1, "maxLength": "3"},
        "draft4": {"type": "number", "exclusiveMinimum": True, "multipleOf": 0.5},
    }
    load(
        tmp_path / "p",
        schema(properties=properties),
        record(id=1, mixed="a", of_ints="x", pattern="abc", broken="x", draft4=1.5),
    )
    check(tmp_path / "p")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "stream",
    sorted(
        path.name
        for path in files("singer_sdk.testing.target_test_streams").iterdir()
        if path.name.endswith(".singer")
    ),
)
def test_streams_of_the_sdk_s_suite_give_valid_packages(tmp_path, stream, form):
    data = (files("singer_sdk.testing.target_test_streams") / stream).read_text(encoding="utf-8")
    failing = {"invalid_schema", "record_before_schema", "record_missing_key_property"}
    if stream.removesuffix(".singer") in failing:
        with pytest.raises(DataError):
            load(tmp_path / "p", *data.splitlines(), format=form)
        return
    load(tmp_path / "p", *data.split("\n"), format=form)
    if stream == "record_missing_required_property.singer":  # its data break their own SCHEMA
        return
    if form.startswith("jsonl") and any(not one["rows"] for one in descriptor(tmp_path / "p")["resources"]):
        return  # frictionless cannot read a JSON Lines file without lines
    check(tmp_path / "p")


# --------------------------------------------------------------------------------------------- replacing


def test_l11_the_second_run_replaces_the_package_whole(tmp_path):
    load(tmp_path / "p", schema("a"), record("a", id=1), schema("b"), record("b", id=1))
    before = descriptor(tmp_path / "p")
    load(tmp_path / "p", schema("a"), record("a", id=2), format="jsonl")
    assert sorted(path.name for path in (tmp_path / "p").rglob("*.*")) == ["a.jsonl", "datapackage.json"]
    assert os.listdir(tmp_path) == ["p"]
    assert before["resources"][0]["rows"] == 1


@pytest.mark.parametrize("foreign", ["notes.txt", "data/mine.csv", "sub/x"])
def test_a_folder_with_files_of_others_is_never_replaced(tmp_path, foreign):
    for has_package in (False, True):
        folder = tmp_path / str(has_package)
        if has_package:
            load(folder, schema(), record(id=1))
        (folder / foreign).parent.mkdir(parents=True, exist_ok=True)
        (folder / foreign).write_text("mine")
        with pytest.raises(ConfigError, match="is not replaced"):
            load(folder, schema(), record(id=2))
        assert (folder / foreign).read_text() == "mine"


def test_a_package_that_flow_did_not_write_is_never_replaced(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/datapackage.json").write_text('{"resources": [{"name": "x", "path": "x.csv"}]}')
    (tmp_path / "p/x.csv").write_text("a\n")
    with pytest.raises(ConfigError):
        load(tmp_path / "p", schema(), record(id=1))
    (tmp_path / "q").write_text("a file")
    with pytest.raises(ConfigError, match="is a file"):
        load(tmp_path / "q", schema(), record(id=1))
    (tmp_path / "z.zip").write_text("no zip")
    with pytest.raises(ConfigError, match="no zip file"):
        load(tmp_path / "z.zip", schema(), record(id=1))


def test_a_file_that_appears_while_loading_is_not_deleted(tmp_path):
    writer = PackageWriter(tmp_path / "p")
    with writer:
        load_package([(schema() + "\n" + record(id=1) + "\n").encode()], writer)
        (tmp_path / "p").mkdir()
        (tmp_path / "p/mine.txt").write_text("mine")
        with pytest.raises(ConfigError):
            writer.publish()
    assert (tmp_path / "p/mine.txt").read_text() == "mine"


def test_an_empty_folder_and_one_with_litter_are_used(tmp_path):
    (tmp_path / "p").mkdir()
    (tmp_path / "p/.DS_Store").write_text("")
    load(tmp_path / "p", schema(), record(id=1))
    check(tmp_path / "p")


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    load(tmp_path / "link", schema(), record(id=1))
    assert (tmp_path / "link").is_symlink()
    check(tmp_path / "real")


def test_a_zip_holds_the_same_package_and_is_replaced(tmp_path):
    for value in (1, 2):
        load(tmp_path / "p.zip", schema(), record(id=value))
    with zipfile.ZipFile(tmp_path / "p.zip") as archive:
        assert archive.namelist() == ["datapackage.json", "data/s.csv"]
        assert archive.read("data/s.csv") == b"id,name\r\n2,\r\n"
        assert json.loads(archive.read("datapackage.json"))["name"] == "p"
    assert os.listdir(tmp_path) == ["p.zip"]


def test_a_failed_load_leaves_the_package_and_keeps_what_came_beside(tmp_path):
    load(tmp_path / "p", schema(), record(id=1))
    before = (tmp_path / "p/datapackage.json").read_bytes()
    with pytest.raises(MessageError, match="Line 5"):
        load(tmp_path / "p", schema(), record(id=2), record(id=3), record(id=4), "no json")
    assert (tmp_path / "p/datapackage.json").read_bytes() == before
    (partial,) = tmp_path.glob(".p.partial-*")
    assert (partial / "data/s.csv").read_bytes() == b"id,name\r\n2,\r\n3,\r\n"
    load(tmp_path / "p", schema(), record(id=5))
    assert os.listdir(tmp_path) == ["p"]


def test_a_failed_load_without_records_leaves_nothing_beside(tmp_path):
    with pytest.raises(MessageError):
        load(tmp_path / "p", schema(), "no json")
    assert os.listdir(tmp_path) == []


KILLED = """
import sys
from pathlib import Path
from flow_singer.datapackage.sink import LoadLimits, load_package
from flow_singer.datapackage.writer import PackageWriter
writer = PackageWriter(Path(sys.argv[1]))
def blocks():
    for line in sys.stdin.buffer:
        yield line
    writer.publish = None
load_package(blocks(), writer, limits=LoadLimits(batch_records=1))
"""


def test_kill_9_while_writing_leaves_the_old_package(tmp_path):
    load(tmp_path / "p", schema(), record(id=1))
    before = (tmp_path / "p/datapackage.json").read_bytes()
    process = subprocess.Popen([sys.executable, "-c", KILLED, tmp_path / "p"], stdin=subprocess.PIPE)
    process.stdin.write(
        "".join(
            f"{line}\n" for line in (schema(), *(record(id=i, name="x" * 1000) for i in range(500)))
        ).encode()
    )
    process.stdin.flush()
    partial = tmp_path / f".p.partial-{process.pid}" / "data" / "s.csv"
    while not partial.exists() or not partial.stat().st_size:
        assert process.poll() is None
        os.sched_yield()
    process.kill()
    process.stdin.close()
    assert process.wait() == -signal.SIGKILL
    assert (tmp_path / "p/datapackage.json").read_bytes() == before
    assert rows(tmp_path / "p") == [{"id": "1", "name": ""}]
    load(tmp_path / "p", schema(), record(id=2))
    assert os.listdir(tmp_path) == ["p"]


def test_a_publication_killed_between_its_renames_is_undone(tmp_path):
    load(tmp_path / "p", schema(), record(id=1))
    os.rename(tmp_path / "p", tmp_path / ".p.old")
    with PackageWriter(tmp_path / "p"):
        assert rows(tmp_path / "p") == [{"id": "1", "name": ""}]


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="cannot be written"):
        PackageWriter(tmp_path / "file" / "p")


# ------------------------------------------------------------------------------------------------ loading


class FakeSink:
    """Says what it got, in order."""

    def __init__(self, durable=True):
        self.log = []
        self.durable = durable

    def schema(self, schema):
        self.log.append(("schema", schema.stream))

    def batch(self, batch):
        self.log.append(("batch", batch.schema.stream, batch.columns["id"].values.to_pylist()))

    def activate_version(self, stream, version):
        self.log.append(("version", stream, version))

    def checkpoint(self):
        self.log.append(("checkpoint",))
        return self.durable


def push(*lines, sink=None, finish=True, **options):
    sink = sink or FakeSink()
    loader = Loader(sink, emit_state=lambda value: sink.log.append(("state", value)), **options)
    loader.push("".join(f"{line}\n" for line in lines).encode())
    return sink.log, loader.finish() if finish else loader


def test_state_waits_for_its_records_and_keeps_its_bytes():
    state = '{ "type":"STATE","value": {"b":1.10, "a":"\\u00e9"} }'
    log, loaded = push(schema(), record(id=1), state, record(id=2))
    assert log == [
        ("schema", "s"), ("batch", "s", [1, 2]), ("checkpoint",), ("state", b'{"b":1.10, "a":"\\u00e9"}'),
    ]  # fmt: skip
    assert loaded.state == b'{"b":1.10, "a":"\\u00e9"}'
    assert loaded.records == {"s": 2}


def test_a_state_that_waits_too_long_is_made_safe():
    now = [0.0]
    log, loader = push(
        schema(), record(id=1), '{"type":"STATE","value":1}', finish=False, clock=lambda: now[0]
    )
    assert log == [("schema", "s")]
    now[0] = 9.9
    loader.tick()
    assert log == [("schema", "s")]
    now[0] = 10.0
    loader.tick()
    assert log[1:] == [("batch", "s", [1]), ("checkpoint",), ("state", b"1")]


def test_a_sink_that_is_safe_only_at_the_end_gets_its_state_then():
    sink = FakeSink(durable=False)
    loader = Loader(sink, emit_state=lambda value: sink.log.append(("state", value)))
    loader.push(f'{schema()}\n{{"type":"STATE","value":1}}\n'.encode())
    loader.finish()
    assert ("state", b"1") not in sink.log
    loader.release_state()
    loader.release_state()
    assert sink.log.count(("state", b"1")) == 1


def test_streams_that_alternate_still_come_in_whole_batches():
    lines = [schema("a"), schema("b"), *(record("ab"[i % 2], id=i) for i in range(8))]
    log, _ = push(*lines, limits=LoadLimits(batch_records=4))
    assert log[2:] == [("batch", "a", [0, 2, 4, 6]), ("batch", "b", [1, 3, 5, 7])]


@pytest.mark.parametrize("reads_itself", [False, True])
def test_many_streams_together_wait_for_no_more_than_is_allowed(reads_itself):
    # `flow load` reads the stream itself and hands over runs, the bundled targets push blocks.
    names = [f"s{n}" for n in range(50)]
    blocks = ["".join(f"{schema(name)}\n" for name in names).encode()]
    for turn in range(40):
        blocks.append(b"".join(f"{record(name, id=turn)}\n".encode() for name in names))
    sink, waited = FakeSink(), []
    loader = Loader(sink, limits=LoadLimits(total_bytes=20_000), parallel=ParallelDecoder(1))
    reader = MessageReader(names, decodes=True)
    for block in blocks:
        if reads_itself:
            for run in reader.push(block):
                loader.handle(run)
        else:
            loader.push(block)
        waited.append(loader._buffers.size_bytes)
    assert max(waited) < 20_000
    assert max(waited) > 15_000, "each batch is as large as it may be"
    batches = [len(ids) for kind, *_, ids in sink.log if kind == "batch"]
    assert sum(batches) > 40 * 50 / 2
    assert min(batches) > 3
    loader.flush()
    found = {name: [] for name in names}
    for kind, *rest in sink.log:
        if kind == "batch":
            found[rest[0]] += rest[1]
    assert all(ids == list(range(40)) for ids in found.values())


def test_a_changed_schema_and_a_version_come_behind_the_records_before_them():
    version = '{"type":"ACTIVATE_VERSION","stream":"s","version":3}'
    log, _ = push(schema(), record(id=1), schema(), record(id=2), version, record(id=3), schema(key=()))
    assert log == [
        ("schema", "s"), ("batch", "s", [1, 2]), ("version", "s", 3), ("batch", "s", [3]), ("schema", "s"),
    ]  # fmt: skip


def marked(*lines, records, ok=True, **changes):
    first, *rest = (line.encode() for line in lines)
    all_lines = [add_mark(first, Header("r", "tap-x")), *rest]
    trailer = Trailer("r", ok, 0 if ok else 1, len(all_lines), records, **changes)
    return [line.decode() for line in [*all_lines, add_mark(rest[-1], trailer)]]


STATE = '{"type":"STATE","value":1}'


def test_marks_prove_a_complete_stream():
    log, loaded = push(*marked(schema(), record(id=1), STATE, records={"s": 1}))
    assert loaded.incomplete is None
    assert loaded.header.tap == "tap-x"
    assert loaded.trailer.ok
    assert loaded.lines == 3
    assert [entry for entry in log if entry[0] == "state"] == [("state", b"1")]


@pytest.mark.parametrize("damage", ["no trailer", "failed", "lines", "records", "half a line"])
def test_l1_a_marked_stream_that_is_cut_is_incomplete(damage):
    lines = marked(
        schema(), record(id=1), STATE, records={"s": 2 if damage == "records" else 1}, ok=damage != "failed"
    )
    if damage == "no trailer":
        del lines[-1]
    elif damage == "lines":
        del lines[1]
    sink = FakeSink()
    loader = Loader(sink)
    data = "\n".join(lines).encode()
    loader.push(data[:-40] if damage == "half a line" else data + b"\n")
    assert loader.finish().incomplete


def test_half_a_line_is_an_error_with_its_newline_and_incomplete_without():
    with pytest.raises(MessageError, match="Line 2"):
        push(schema(), record(id=1)[:-9])
    loader = Loader(FakeSink())
    loader.push((schema() + "\n" + record(id=1)[:-9]).encode())
    assert "cut short" in loader.finish().incomplete


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"type":"SOMETHING"}', "unknown message type 'SOMETHING'"),
        ('{"type":"STATE"}', "no 'value'"),
        ('{"type":"ACTIVATE_VERSION","stream":"s"}', "no 'version'"),
        ("{}", "no 'type'"),
        ("[1]", "Line 2"),
    ],
)
def test_a_line_that_is_no_message_is_named(line, reason):
    with pytest.raises(MessageError, match=reason):
        push(schema(), line)


def test_a_record_before_its_schema_is_named():
    with pytest.raises(RecordBeforeSchemaError, match="Line 1: a record of stream 's'"):
        push(record(id=1))


def test_rejected_records_are_left_out():
    rejected = []
    log, _ = push(
        schema(), record(id=1), record(id="x"), "noise", record(id=3),
        reject=lambda number, stream, line, error: rejected.append((number, stream)),
    )  # fmt: skip
    assert log[1] == ("batch", "s", [1, 3])
    assert sorted(rejected, key=str) == [(3, "s"), (4, None)]


def test_lines_that_no_package_has_a_place_for_are_rejected_and_counted():
    """Each one by its number, where there is a place for rejects; what is good is written all the same."""
    rejected = []
    lines = [
        record("later", id=1), record("later", id=2), schema(), '{"type":"SOMETHING"}', record(id=3),
        '{"type":"STATE"}', '{"type":"ACTIVATE_VERSION","stream":"s"}', schema("later"), record("later", id=9),
    ]  # fmt: skip
    log, loaded = push(*lines, reject=lambda *one: rejected.append(one))
    assert [one for one in log if one[0] == "batch"] == [("batch", "s", [3]), ("batch", "later", [9])]
    assert loaded.records == {"s": 1, "later": 1}
    streams = {1: "later", 2: "later", 4: None, 6: None, 7: None}
    assert [one[:3] for one in rejected] == [(n, streams[n], lines[n - 1].encode()) for n in streams]
    assert all(f"Line {n}" in error.message for n, _, _, error in rejected)


def test_a_rejected_record_leaves_no_column_of_its_own(tmp_path):
    lines = [schema(properties={"id": {"type": "integer"}}), record(id=1), record(id="x", own=2)]
    rejected = []
    blocks = [("\n".join(lines) + "\n").encode()]
    with PackageWriter(tmp_path / "p") as writer:
        load_package(blocks, writer, reject=lambda *one: rejected.append(one[0]))
        writer.publish()
    assert (rejected, writer.notices) == ([3], [])
    assert (tmp_path / "p/data/s.csv").read_bytes() == b"id\r\n1\r\n"


def test_batch_files_are_read(tmp_path):
    (tmp_path / "b.jsonl").write_text('{"id": 1}\n{"id": 2}\n')
    message = {
        "type": "BATCH",
        "stream": "s",
        "encoding": {"format": "jsonl"},
        "manifest": [f"file://{tmp_path}/b.jsonl"],
    }
    log, loaded = push(schema(), json.dumps(message))
    assert log[1] == ("batch", "s", [1, 2])
    assert loaded.records == {"s": 2}
