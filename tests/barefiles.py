"""Files without a schema, written by a test and read as a person's."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from flow_singer.errors import FlowError
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.source import open_source

INTEGER = {"type": ["null", "integer"]}
NUMBER = {"type": ["null", "number"]}
TEXT = {"type": ["null", "string"]}
BOOLEAN = {"type": ["null", "boolean"]}
DATE = {"type": ["null", "string"], "format": "date"}
STAMP = {"type": ["null", "string"], "format": "date-time"}


class Found(NamedTuple):
    """What came of a place with one stream: records, its properties, what was told."""

    stream: str
    records: list[dict[str, Any]]
    properties: dict[str, Any]
    told: list[str]


def read(place: Path | str, **said: Any) -> Found:
    """The one stream at a place; numbers with all their digits."""
    told: list[str] = []
    with open_source(place, ReadSettings(**said), notice=told.append) as source:
        (stream,) = source.streams
        lines = b"".join(bytes(block) for block, _ in stream.lines())
        records = [json.loads(line, parse_float=Decimal)["record"] for line in lines.splitlines()]
        return Found(stream.name, records, dict(stream.schema.json_schema["properties"]), told)


def put(folder: Path, files: dict[str, str | bytes]) -> None:
    """Write files."""
    for name, text in files.items():
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def of_text(folder: Path, text: str | bytes, name: str = "data.csv", **said: Any) -> Found:
    """A file of that text, read."""
    put(folder, {name: text})
    return read(folder / name, **said)


def refused(place: Path | str, **said: Any) -> FlowError:
    """The error of a place that cannot be read; each has its next step."""
    with pytest.raises(FlowError) as caught:
        read(place, **said)
    assert caught.value.hint
    return caught.value


def table(rows: Sequence[Sequence[str]], **how: Any) -> str:
    """Rows as the standard library writes them."""
    text = io.StringIO(newline="")
    csv.writer(text, **how).writerows(rows)
    return text.getvalue()
