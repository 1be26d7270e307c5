"""MeltanoLabs/target-postgres#12: a column whose SCHEMA allows several types.

In CSV the text `"5"` and the number 5 were one cell, so that nobody could read back which it was.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys

import pytest

from flow_singer.datapackage.sink import LoadLimits, load_package
from flow_singer.datapackage.writer import PackageWriter

VALUES = [
    5,
    "5",
    5.5,
    "5.5",
    True,
    "true",
    "null",
    "",
    None,
    "[1]",
    [1],
    {"a": "b"},
    '{"a": "b"}',
    'say "x",\r\ny',
    "ü",
]
MIXED = [
    {"type": ["null", "string", "integer", "number", "boolean", "array", "object"]},
    {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "object"}, {"type": "null"}]},
    {},
    {"description": "anything"},
]


def schema(one, key=("id",)):
    properties = {"id": {"type": "integer"}} | ({} if one is None else {"v": one})
    message = {"type": "SCHEMA", "stream": "s", "schema": {"properties": properties}}
    return json.dumps(message | {"key_properties": list(key)})


def record(number, value):
    return json.dumps({"type": "RECORD", "stream": "s", "record": {"id": number, "v": value}})


def read(folder, resource):
    """By the descriptor: `any`, `object` and `array` are JSON."""
    with (folder / resource["path"]).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    fields = {field["name"]: field for field in resource["schema"]["fields"]}
    (null,) = resource["schema"]["missingValues"]
    assert fields["v"]["type"] in ("any", "object", "array")
    return [None if row["v"] == null else json.loads(row["v"]) for row in rows]


def load(folder, *lines, csv_null=None):
    with PackageWriter(folder, csv_null=csv_null) as writer:
        load_package([f"{line}\n".encode() for line in lines], writer, limits=LoadLimits(batch_records=4))
        return writer.publish().descriptor["resources"][0], writer.notices


@pytest.mark.parametrize("one", [*MIXED, None], ids=json.dumps)
@pytest.mark.parametrize("csv_null", [None, "\\N"])
def test_what_is_read_back_is_what_was_sent(tmp_path, one, csv_null):
    lines = [record(number, value) for number, value in enumerate(VALUES)]
    resource, _ = load(tmp_path / "p", schema(one), *lines, csv_null=csv_null)
    found = read(tmp_path / "p", resource)
    assert [repr(value) for value in found] == [repr(value) for value in VALUES]


TEXT_LIKE = [
    ({"type": ["null", "string"]}, ["5", "", None, 'a,"b"\r\n', "null"]),
    ({"type": ["null", "string"], "format": "date-time"}, ["2020-01-01T00:00:00Z", None]),
    ({"type": ["null", "string"], "format": "singer.decimal"}, ["5.50", None]),
    ({"type": ["null", "integer"]}, [5, None]),
    ({"type": ["null", "boolean"]}, [True, None]),
]


@pytest.mark.parametrize(("first", "values"), TEXT_LIKE, ids=str)
@pytest.mark.parametrize("csv_null", [None, "\\N"])
@pytest.mark.parametrize("turned", [False, True], ids=["widens", "narrows"])
def test_rows_from_before_a_column_widened_are_read_back_too(tmp_path, first, values, csv_null, turned):
    wide = {"type": ["null", "string", "number", "boolean"]}
    parts = [(first, values), (wide, ["5", 5, None, ""])]
    lines, sent = [], []
    for one, some in reversed(parts) if turned else parts:
        lines.append(schema(one))
        for value in some:
            lines.append(record(len(sent), value))
            sent.append(value)
    resource, _ = load(tmp_path / "p", *lines, csv_null=csv_null)
    assert [repr(value) for value in read(tmp_path / "p", resource)] == [repr(value) for value in sent]


def test_a_column_that_a_later_schema_declares_stays_one_of_any_type(tmp_path):
    lines = [schema(None), record(0, "5"), record(1, 5), schema({"type": "string"}), record(2, "5")]
    resource, _ = load(tmp_path / "p", *lines)
    assert read(tmp_path / "p", resource) == ["5", 5, "5"]


@pytest.mark.parametrize("mode", ["append", "replace"])
def test_target_csv_tells_them_apart_as_well(tmp_path, mode):
    (tmp_path / "config.json").write_text(
        json.dumps({"output_path": str(tmp_path / "out"), "overwrite_behavior": mode})
    )
    lines = [schema(MIXED[0], key=()), record(1, "5"), record(2, 5), record(3, None), record(4, "")]
    subprocess.run(
        [sys.executable, "-m", "flow_target_csv", "--config", tmp_path / "config.json"],
        input="".join(f"{line}\n" for line in lines).encode(), check=True, capture_output=True,
    )  # fmt: skip
    assert (tmp_path / "out/s.csv").read_bytes() == b'id,v\r\n1,"""5"""\r\n2,5\r\n3,\r\n4,""""""\r\n'


def test_a_number_that_is_the_text_for_null_is_told_of(tmp_path):
    _, notices = load(tmp_path / "p", schema({"type": "integer"}), record(1, -1), record(2, 3), csv_null="-1")
    assert "1 value is '-1', which reads as null" in notices[0]
