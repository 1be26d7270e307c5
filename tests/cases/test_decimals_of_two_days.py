"""One SCHEMA gives one Parquet type, whatever a day's values are.

Source: huggingface/dataset-viewer#3173: files of one column, written as `decimal128(38, 0)` and
`decimal128(38, 5)`, which a reader of both takes for one type or refuses.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import Result

SCHEMA = {
    "type": "SCHEMA",
    "stream": "calls",
    "schema": {
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "secs": {"type": ["null", "number"], "multipleOf": 1e-05},
            "price": {"type": ["null", "string"], "format": "singer.decimal"},
        },
    },
    "key_properties": ["id"],
}
DAYS = {
    "monday": {"id": 1, "secs": 7, "price": "5"},
    "tuesday": {"id": 2, "secs": 166.47135, "price": "1.25"},
    "sunday": {"id": 3, "secs": None, "price": None},
}


@pytest.fixture
def files(flow: Callable[..., Result], tmp_path: Path) -> dict[str, Path]:
    for day, record in DAYS.items():
        messages: list[dict[str, Any]] = [SCHEMA, {"type": "RECORD", "stream": "calls", "record": record}]
        text = "".join(json.dumps(message) + "\n" for message in messages)
        done = flow("load", f"{day}/", "--format", "parquet", stdin=text.encode(), cwd=tmp_path)
        assert done.code == 0, done.stderr
        assert "becomes" not in done.stderr
    return {day: tmp_path / day / "data" / "calls.parquet" for day in DAYS}


def test_the_files_of_two_days_have_one_type(files: dict[str, Path]) -> None:
    schemas = [pq.read_schema(path) for path in files.values()]
    assert all(one.equals(schemas[0]) for one in schemas)
    assert schemas[0].field("secs").type == pa.decimal128(38, 5)


def test_both_read_as_one_table_keep_their_digits(files: dict[str, Path]) -> None:
    table = pq.ParquetDataset([str(path) for path in files.values()]).read()
    assert table["secs"].to_pylist() == [Decimal(7), Decimal("166.47135"), None]
    assert table["price"].to_pylist() == [Decimal(5), Decimal("1.25"), None]
