"""What lies at a place is looked at stream by stream; a fake stands for what reads it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from judging import batches, expected, stream_schema

from flow_singer.dataplaces import is_place
from flow_singer.errors import DataError
from flow_singer.singer.schema import StreamSchema
from flow_singer.stages.validate import validate_place
from flow_singer.tabular.batch import Batch


@dataclass
class Table:
    schema: StreamSchema
    found: Sequence[Batch]
    error: DataError | None = None
    rows: int | None = None
    read: list[int] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.schema.stream

    def batches(self) -> Iterator[Batch]:
        for batch in self.found:
            self.read.append(batch.count)
            yield batch
        if self.error is not None:
            raise self.error


SCHEMA = stream_schema({"id": {"type": "integer"}, "c": {"type": ["null", "integer"], "minimum": 1}}, ["id"])


def table(*values: str, error: DataError | None = None) -> Table:
    rows = [{"id": str(number // 2), "c": value} for number, value in enumerate(values)]
    return Table(SCHEMA, batches(SCHEMA, rows, 2), error)


def found(tables: Any, **options: int) -> list[str]:
    return [
        one.sentence()
        for one in validate_place(tables, expected(max_rows=3, maximum={"c": 5}), **options).findings
    ]


def test_rows_are_held_to_schema_key_and_expectations() -> None:
    assert found([table("1", "0", "9", "null")]) == [
        "Stream 's': max_rows 3: there are 4.",
        "Stream 's', column 'c': 1 row breaks maximum 5: row 3 (9).",
        "Stream 's', column 'c': 1 row breaks minimum 1: row 2 (0).",
        "Stream 's', column 'id': 2 rows break key unique: row 2 (0), row 4 (1).",
    ]


def test_what_cannot_be_read_is_found_and_the_next_stream_is_looked_at() -> None:
    other = stream_schema({"id": {"type": "integer"}}, name="t")
    tables = [
        table("1", error=DataError("Row 2 is torn.", "")),
        Table(other, batches(other, [{"id": "1"}], 1)),
    ]
    result = validate_place(tables, [])
    assert [one.sentence() for one in result.findings] == ["Stream 's': readable: Row 2 is torn."]
    assert result.records == {"s": 1, "t": 1}
    assert result.errors == 1


def test_it_stops_where_there_are_enough_errors() -> None:
    one = table("0", "0", "0", "0", "0", "0")
    result = validate_place([one, table("0")], expected(min_rows=100), limit=1)
    assert result.stopped
    assert one.read == [2]
    assert "min_rows 100" not in "".join(f.sentence() for f in result.findings)


@pytest.mark.parametrize(
    "word", ["out/", "a.csv", "a.csv.gz", "*.jsonl", "https://x.org/a", "p.zip", "x/datapackage.json"]
)
def test_a_word_names_data(word: str) -> None:
    assert is_place(word)


@pytest.mark.parametrize("word", ["tap-x", "./bin/tap-x", "-", "csv", "tap.x"])
def test_a_word_names_a_tap(word: str) -> None:
    assert not is_place(word)
