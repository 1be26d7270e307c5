"""Rows of JSON texts, held to what is expected of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from strategies import DEFINITIONS

from flow_singer.checks.checkset import Checks
from flow_singer.checks.expectations import Expectation, read_expectations
from flow_singer.checks.findings import Finding
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder

NOW = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def stream_schema(properties: dict[str, Any], key: Sequence[str] = (), name: str = "s") -> StreamSchema:
    schema = {"type": "object", "properties": properties, "definitions": DEFINITIONS}
    return StreamSchema({"type": "SCHEMA", "stream": name, "schema": schema, "key_properties": list(key)})


def batches(schema: StreamSchema, rows: Sequence[dict[str, str]], size: int) -> list[Batch]:
    """Rows of JSON texts as batches of `size` records; what does not fit its SCHEMA is left out."""
    lines = []
    for row in rows:
        members = ",".join(f"{json.dumps(name)}:{text}" for name, text in row.items())
        lines.append(
            f'{{"type":"RECORD","stream":{json.dumps(schema.stream)},"record":{{{members}}}}}\n'.encode()
        )
    decoder = RecordDecoder(schema, reject=lambda *_: None)
    parts = [lines[start : start + size] for start in range(0, len(lines), size)]
    return [decoder.decode([Part(b"".join(part), [(1, len(part))])]) for part in parts]


def rows_of(found: Sequence[Batch]) -> list[dict[str, Any]]:
    """What the batches hold, as Python has it; numbers exact."""
    rows = []
    for batch in found:
        for i in range(batch.count):
            row: dict[str, Any] = {}
            for name, column in batch.columns.items():
                cell = column.values[i].as_py()
                if cell is not None and column.as_json:
                    cell = json.loads(cell, parse_int=Decimal, parse_float=Decimal)
                row[name] = Decimal(cell) if isinstance(cell, int) and not isinstance(cell, bool) else cell
            rows.append(row)
    return rows


def expected(stream: str = "s", **entry: Any) -> list[Expectation]:
    return read_expectations(stream, entry, lambda _: "here")


def judged(
    found: Sequence[Batch], expectations: Sequence[Expectation], schema: StreamSchema
) -> list[Finding]:
    checks = Checks(expectations, judges=True, now=lambda: NOW)
    checks.schema(schema)
    for batch in found:
        checks.look(batch)
    checks.finish()
    checks.close()
    return checks.findings
