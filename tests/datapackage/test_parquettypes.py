"""Parquet types: by the SCHEMA alone, wider only where a value does not fit, and then told and kept."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pushed import line, schema

from flow_singer.datapackage.parquettypes import parquet_types
from flow_singer.datapackage.sink import LoadLimits, load_package
from flow_singer.datapackage.writer import PackageWriter
from flow_singer.singer.schema import read_property

DECIMAL = "string", "singer.decimal"
ROOT = {"definitions": {"cents": {"type": "number", "multipleOf": 0.01}}}


def number(**words: Any) -> dict[str, Any]:
    return {"type": ["null", "number"], **words}


def wide(scale: int) -> pa.DataType:
    return pa.decimal128(38, scale)


@pytest.mark.parametrize(
    ("json_schema", "expected"),
    [
        ({"type": "integer"}, pa.int64()),
        ({"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1}, pa.int64()),
        ({"type": "integer", "exclusiveMaximum": 2**63}, pa.int64()),
        ({"type": "integer", "maximum": 2**63}, wide(0)),
        ({"type": "integer", "minimum": 0, "maximum": 2**64 - 1}, wide(0)),
        ({"type": "integer", "minimum": -(2**63) - 1}, wide(0)),
        ({"type": "integer", "maximum": True}, pa.int64()),
        ({"anyOf": [{"type": "integer", "maximum": 2**64}, {"type": "null"}]}, wide(0)),
        (number(), pa.float64()),
        (number(multipleOf=1), pa.float64()),
        (number(multipleOf=0.01), wide(2)),
        (number(multipleOf=1e-05), wide(5)),
        (number(multipleOf=0.25), wide(2)),
        (number(multipleOf="0.001"), wide(3)),
        (number(multipleOf=0.01, minimum=0, maximum=999), wide(2)),
        (number(multipleOf=1e-28), wide(28)),
        (number(multipleOf=1e-29), wide(18)),
        (number(multipleOf=1e-38), wide(18)),
        (number(multipleOf=1e-38, minimum=-1e62, maximum=1e62), wide(18)),
        (number(multipleOf=1e-37, minimum=-9, maximum=9), wide(37)),
        (number(multipleOf=1e-10, minimum=-1e40, maximum=1e40), wide(10)),
        (number(multipleOf=1e-19, exclusiveMinimum=-1e19, exclusiveMaximum=1e19), wide(19)),
        (
            number(
                multipleOf=1e-19, minimum=-1e19, exclusiveMinimum=True, maximum=1e19, exclusiveMaximum=True
            ),
            wide(19),
        ),
        (number(multipleOf=1e-19, minimum=-1e19, maximum=1e19), wide(18)),
        ({"anyOf": [{"type": "null"}, {"type": "number", "multipleOf": 0.001}]}, wide(3)),
        ({"multipleOf": 0.001, "anyOf": [{"type": "null"}, {"type": "number"}]}, wide(3)),
        ({"oneOf": [number(multipleOf=0.1), number(multipleOf=0.001)]}, wide(3)),
        ({"allOf": [{"type": "number"}, {"multipleOf": 0.001}]}, wide(3)),
        ({"$ref": "#/definitions/cents"}, wide(2)),
        ({"type": "string", "format": "singer.decimal"}, wide(18)),
        ({"type": "string", "format": "singer.decimal", "multipleOf": 0.01}, wide(2)),
        ({"type": "boolean"}, pa.bool_()),
        ({"type": "string", "format": "date-time"}, pa.timestamp("us", "UTC")),
        ({"type": "string", "format": "date"}, pa.date32()),
        ({"type": "string", "format": "time"}, pa.large_string()),
        ({"type": ["string", "number"], "multipleOf": 0.01}, pa.large_string()),
        ({}, pa.large_string()),
    ],
    ids=str,
)
def test_a_type_is_what_the_schema_says(json_schema: dict[str, Any], expected: pa.DataType) -> None:
    assert parquet_types(read_property("v", json_schema, ROOT))[0].type == expected


def written(folder: Path, json_schema: dict[str, Any], values: list[str]) -> tuple[pa.Table, list[str], Any]:
    """The file that these JSON texts come to, what is told, and the field of the descriptor."""
    lines = [f'{{"type":"RECORD","stream":"s","record":{{"v":{text}}}}}\n'.encode() for text in values]
    with PackageWriter(folder / "p", format="parquet") as writer:
        load_package([schema("s", {"v": json_schema}), *lines], writer, limits=LoadLimits(batch_records=1))
        published = writer.publish()
    (field,) = published.descriptor["resources"][0]["schema"]["fields"]
    return pq.read_table(folder / "p/data/s.parquet"), writer.notices, field


INTEGER, STAMP = {"type": "integer"}, {"type": "string", "format": "date-time"}
CENTS, DATE = number(multipleOf=0.01), {"type": "string", "format": "date"}
MONEY = {"type": "string", "format": "singer.decimal"}
ZONED, NAIVE = '"2024-01-01T00:00:00Z"', '"2024-01-01T00:00:00"'


@pytest.mark.parametrize(
    ("json_schema", "values", "expected"),
    [
        (INTEGER, ["1", str(2**63)], wide(0)),
        (INTEGER, ["1", str(10**38)], pa.large_string()),
        (number(), ["0.1", "12345678901234567890.5"], wide(18)),
        (number(), ["0.1", "1234567890123456789012.5"], pa.large_string()),
        (number(), ["0.1234567890123456789", "1"], pa.large_string()),
        (CENTS, ["1", "1.005"], wide(18)),
        (CENTS, ["1" * 36, "1.005"], pa.large_string()),
        (CENTS, ["1" * 37], pa.large_string()),
        (MONEY, ['"1"', '"123456789012345678901234567890"'], pa.large_string()),
        (STAMP, [NAIVE, "null", NAIVE], pa.timestamp("us")),
        (STAMP, [NAIVE, ZONED], pa.large_string()),
        (STAMP, [ZONED, '"0000-01-01T00:00:00Z"'], pa.large_string()),
        (STAMP, [ZONED, '"10000-01-01T00:00:00Z"'], pa.large_string()),
        (DATE, ['"2024-01-01"', '"0000-01-01"'], pa.large_string()),
        (DATE, ['"2024-01-01"', '"10000-01-01"'], pa.large_string()),
    ],
    ids=str,
)
def test_what_does_not_fit_widens_the_column_and_is_told_and_kept(
    tmp_path: Path, json_schema: dict[str, Any], values: list[str], expected: pa.DataType
) -> None:
    table, notices, field = written(tmp_path, json_schema, values)
    assert table.schema.field("v").type == expected
    assert len(notices) == 1
    assert "stream 's', column 'v'" in notices[0]
    assert "becomes" in notices[0]
    assert field["flow:storedType"] == str(expected)
    if not pa.types.is_timestamp(expected):
        texts = [json.loads(text, parse_int=str, parse_float=str) for text in values]
        found = table["v"].to_pylist()
        assert found == (texts if expected == pa.large_string() else [Decimal(text) for text in texts])


@pytest.mark.parametrize(
    ("json_schema", "values"),
    [
        (INTEGER, ["1", str(2**63 - 1)]),
        (INTEGER, []),
        (number(), ["0.1", "1e300", "10000000000000000000000"]),
        (number(), ["null"]),
        (CENTS, ["1", "1.2500000", "1e2", "0"]),
        (CENTS, ["null"]),
        (number(multipleOf=1e-38, minimum=-1e62, maximum=1e62), ["166.47135"]),
        (MONEY, ['"1"', '"1.2"', '"-0.000000000000000001"']),
        (MONEY, ["null"]),
        (STAMP, [ZONED, '"2024-01-01T02:00:00.123456+02:00"']),
        (STAMP, ["null"]),
        (STAMP, ['"0001-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"']),
        (DATE, ['"0001-01-01"', '"9999-12-31"']),
        ({"type": "string", "format": "time"}, ['"12:00:00"']),
    ],
    ids=str,
)
def test_what_fits_leaves_the_type_that_the_schema_says(
    tmp_path: Path, json_schema: dict[str, Any], values: list[str]
) -> None:
    table, notices, field = written(tmp_path, json_schema, values)
    assert table.schema.field("v").type == parquet_types(read_property("v", json_schema))[0].type
    assert notices == []
    assert field["flow:storedType"] == str(table.schema.field("v").type)


def test_a_schema_that_comes_to_allow_more_decides_for_all_rows(tmp_path: Path) -> None:
    first = schema("s", {"v": {"type": "integer", "maximum": 9}})
    second = schema("s", {"v": {"type": "integer", "maximum": 2**64}})
    record = line({"type": "RECORD", "stream": "s", "record": {"v": 1}})
    with PackageWriter(tmp_path / "p", format="parquet") as writer:
        load_package([first, record, second, record], writer)
        writer.publish()
    table = pq.read_table(tmp_path / "p/data/s.parquet")
    assert table["v"].to_pylist() == [1, 1]
    assert writer.notices == []
