"""Batches that wait for the end of their stream: all of them come back, and they take little memory until then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest
from pushed import INTEGER, NUMBER, TEXT, record

from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular import batch as batches
from flow_singer.tabular.batch import Batch, concat_batches, json_texts
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.transforms import spool as module
from flow_singer.transforms.spool import Spool

PROPERTIES = {"id": INTEGER, "text": TEXT, "n": NUMBER, "more": {"type": ["null", "object"]}}
SCHEMA = StreamSchema({"stream": "s", "schema": {"properties": PROPERTIES}})


def decoded(first: int, rows: list[Mapping[str, Any]], **beside: Any) -> Batch:
    lines = b"".join(record("s", values, **beside) for values in rows)
    return RecordDecoder(SCHEMA).decode([Part(lines, [(first, len(rows))])])


def all_sorts() -> Iterator[Batch]:
    yield decoded(1, [{"id": 1, "text": "a"}, {"id": 2, "n": 0.1}, {"id": 3, "n": None}])
    yield decoded(4, [{"id": 2**70, "text": None, "new": [1]}], time_extracted="2026-01-01T00:00:00Z")
    yield decoded(6, [{"id": 4, "text": "\ud800", "more": {"a": 1.10}, "newer": "x"}], version=7)
    yield decoded(7, [{"id": 5}] * 3, version=8)


def contents(batch: Batch) -> Any:
    columns = {
        name: (json_texts(one).to_pylist(), None if one.absent is None else one.absent.to_pylist())
        for name, one in {**batch.columns, **batch.undeclared}.items()
    }
    texts = {key: found.to_pylist() for key, found in batch.envelope.items()}
    return columns, list(batch.undeclared), texts


@pytest.mark.parametrize("memory_bytes", [0, 100, 1 << 20])
def test_every_record_comes_back_as_it_was(memory_bytes: int) -> None:
    spool = Spool(memory_bytes)
    for one in all_sorts():
        spool.add(one)
    assert spool.first_line == 1
    found = spool.read(SCHEMA)
    assert contents(found) == contents(concat_batches(SCHEMA, list(all_sorts())))
    assert found.count == 8


def test_no_record_gives_an_empty_batch() -> None:
    spool = Spool()
    spool.add(concat_batches(SCHEMA, []))
    assert spool.first_line is None
    assert spool.read(SCHEMA).count == 0


@pytest.mark.parametrize("name", ["text", "undeclared"])
def test_few_bytes_of_many_stay_in_memory(name: str) -> None:
    spool = Spool(100_000)
    before = pa.total_allocated_bytes()
    for number in range(40):
        spool.add(decoded(1 + number, [{"id": number, name: "x" * 20_000}]))
        assert pa.total_allocated_bytes() - before < 200_000
    assert spool.read(SCHEMA).size_bytes > 800_000


def test_streams_that_take_turns_leave_no_number_for_each_record() -> None:
    spool = Spool(0)
    for number in range(10):
        spool.add(replace(decoded(1, [{"id": 1}] * 3), lines=[(6 * number + 2 * n + 1, 1) for n in range(3)]))
    assert spool.first_line == 1
    assert not any(one.lines for one in (*spool._stored, *spool._batches))
    assert not spool.read(SCHEMA).lines


def test_only_one_column_is_there_twice_while_all_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(0)
    columns = dict.fromkeys(("text", "more", "a", "b", "c", "d", "e"), "x" * 100_000)
    for number in range(10):
        spool.add(decoded(1 + number, [{"id": number, **columns, "more": {"x": columns["more"]}}]))
    before = pa.total_allocated_bytes()
    most = 0
    concat = pa.concat_arrays

    def watched(arrays: Any) -> Any:
        nonlocal most
        joined = concat(arrays)
        most = max(most, pa.total_allocated_bytes() - before)
        return joined

    monkeypatch.setattr(batches.pa, "concat_arrays", watched)
    size = spool.read(SCHEMA).size_bytes
    assert size > 7_000_000
    assert most < size + 1_500_000, "one column of ten records has a million bytes"


def test_the_file_has_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    spool = Spool(0)
    spool.add(decoded(1, [{"id": 1}]))
    assert list(tmp_path.iterdir()) == []
    assert spool.read(SCHEMA).count == 1
