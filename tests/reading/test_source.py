"""What Flow wrote is read back value for value, type for type: written again, it is the same package."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packages import FORMATS, PACKED, csv_cells, data_of, parsed, sheet_of, write
from strategies import EDGES, PROPERTIES, Typed, typed, typed_streams

from flow_singer.errors import DataError
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.source import open_source
from flow_singer.tabular.recordlines import batch_lines

QUICK = settings(max_examples=60)


def blocks_of(place: Path, *, batches: bool = False, **said: Any) -> list[bytes]:
    """The messages of a source."""
    found: list[bytes] = []
    notices: list[str] = []
    with open_source(place, ReadSettings(**said), notice=notices.append) as source:
        for stream in source.streams:
            found.append(json.dumps(stream.schema.message).encode() + b"\n")
            if batches:
                found += [bytes(batch_lines(batch)) for batch in stream.batches()]
            else:
                found += [bytes(lines) for lines, _ in stream.lines()]
    assert not notices
    return found


def comparable(folder: Path) -> tuple[dict[str, Any], list[Any]]:
    """What must be the same in two packages of the same rows: the resources, and their files."""
    resources = json.loads((folder / "datapackage.json").read_text())["resources"]
    files: list[Any] = []
    for one in resources:
        path = folder / one["path"]
        if one["format"] == "parquet":
            files.append(pq.read_table(path).to_pylist())
            del one["bytes"], one["hash"]
            for field in one["schema"]["fields"]:  # wider, where an integer was written as 1.0
                field.pop("flow:storedType")
        elif one["format"] == "xlsx":
            names, cells = sheet_of(path)
            files.append([names, [[_nested(c) if isinstance(c, str) else c for c in row] for row in cells]])
            del one["bytes"], one["hash"]
        else:
            text = data_of(path).decode()
            del one["bytes"], one["hash"]
            if one["format"] == "csv":  # whether nested cells are quoted depends on the others of a batch
                rows = csv_cells(text)
                files.append(
                    [[(_nested(cell), is_quoted and not cell) for cell, is_quoted in row] for row in rows]
                )
            else:  # a character may be written as itself or by its number
                files.append([parsed(line) for line in text.split("\n")[:-1]])
        for field in one["schema"]["fields"]:
            field.pop("flow:declared", None)  # a column of undeclared keys is one like others here
    return resources, files


def _nested(cell: str) -> Any:
    """A cell that is JSON as its value: a character may be written as itself or by its number."""
    try:
        return parsed(cell) if cell.startswith(("{", "[", '"')) else cell
    except ValueError:
        return cell


def check_again(stream: Typed, form: str, csv_null: str | None = None) -> None:
    with tempfile.TemporaryDirectory(prefix="flow-test-") as folder:
        first, second = Path(folder) / "first", Path(folder) / "second"
        write(first, [stream.head, *stream.lines], form, csv_null=csv_null)
        for batches in (False, True):
            write(second, blocks_of(first, batches=batches), form, csv_null=csv_null)
            (expected, files), (found, again) = comparable(first), comparable(second)
            assert files == again
            assert found == expected


@pytest.mark.parametrize("form", FORMATS + PACKED)
@QUICK
@given(stream=typed_streams(), csv_null=st.sampled_from([None, "\\N"]))
def test_any_package_is_read_as_it_was_written(form: str, stream: Typed, csv_null: str | None) -> None:
    check_again(stream, form, csv_null)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", PROPERTIES)
def test_edges_of_every_kind(form: str, name: str) -> None:
    kind = PROPERTIES[name][1]
    texts = EDGES.get(kind, ['{"a":1.50}', "[]", "9007199254740993", '"1"'])
    if form == "parquet":  # as instants they lie in the years 0 and 10000, which are texts from then on
        texts = [
            text for text in texts if not text.startswith(("0001-01-01T00:00:00+", "9999-12-31T23:59:59-"))
        ]
    if kind not in ("integer", "number", "decimal", "boolean", "json"):
        texts = [json.dumps(text) for text in texts]
    check_again(typed(name, [*texts, "null"]), form, "\\N")
    for text in texts:
        check_again(typed(name, [text]), form)


@pytest.mark.parametrize(
    ("name", "first", "later"),
    [("a.jsonl", '{"id": 1}\n', '{"id": "x"}\n'), ("a.csv", "id\n1\n", "x\n")],
    ids=["jsonl", "csv"],
)
def test_a_bare_file_that_grows_after_it_was_looked_at_is_looked_at_again(
    tmp_path: Path, name: str, first: str, later: str
) -> None:
    file = tmp_path / name
    file.write_text(first)
    with open_source(file, notice=lambda _: None) as source:
        with file.open("a") as opened:
            opened.write(later)
        with pytest.raises(DataError, match=r"\bid\b"):
            list(source.streams[0].lines())
