"""What is written: as it came, less what is dropped or cleared; and no STATE before what it covers is known to be good."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from judging import expected
from pushed import line, record, records, schema, state

from flow_singer.checks.checkedwriter import CheckedWriter
from flow_singer.checks.checkset import BrokenExpectationError, Checks
from flow_singer.checks.expectations import Expectation
from flow_singer.errors import FlowError, RecordError
from flow_singer.singer.batchpaths import BatchPaths

INTEGER = {"type": ["null", "integer"]}


class Written:
    def __init__(
        self, expectations: Sequence[Expectation], *, reject: bool = True, most_rows: int = 1, **options: Any
    ) -> None:
        self.blocks: list[bytes] = []
        self.rejects: list[tuple[int, str | None, bytes, str]] = []
        self.writer = CheckedWriter(
            lambda data: self.blocks.append(bytes(data)),
            None,
            lambda: Checks(expectations, **options),
            reject=self._reject if reject else None,
            batch_paths=BatchPaths({}, lambda: [Path.cwd()]),
            most_rows=most_rows,
        )

    def _reject(self, number: int, stream: str | None, text: bytes, error: FlowError) -> None:
        self.rejects.append((number, stream, text, error.message))

    @property
    def data(self) -> bytes:
        return b"".join(self.blocks)

    @property
    def rows(self) -> list[Any]:
        return [one["record"] for one in map(json.loads, self.data.splitlines()) if one["type"] == "RECORD"]

    def schema(self, stream: str = "s", **properties: Any) -> None:
        self.writer.schema(schema(stream, properties or {"id": INTEGER})[:-1])


def test_what_is_as_expected_goes_on_byte_for_byte() -> None:
    written = Written(expected(not_null="id"))
    data = b'{"type": "RECORD","stream":"s", "record":{"id":1, "x": 1.50}}\n'
    written.schema(id=INTEGER, x={"type": "number"})
    written.writer.stream_records("s", memoryview(data), 1)
    written.writer.other(data * 2 + record("other", {"id": None}), 3)
    assert written.data == schema("s", {"id": INTEGER, "x": {"type": "number"}}) + data * 3 + record(
        "other", {"id": None}
    )
    assert written.writer.records == {"s": 3}


@pytest.mark.parametrize("way", ["stream", "other"])
def test_a_row_that_is_dropped_is_set_aside_with_its_reason(way: str) -> None:
    written = Written(expected(minimum={"id": 2}, on_failure="drop"))
    written.schema()
    data = records("s", [{"id": 1}, {"id": 2}, {"id": 0}])
    if way == "stream":
        written.writer.stream_records("s", data, 3)
    else:
        written.writer.other(data, 3)
    assert written.rows == [{"id": 2}]
    assert written.rejects == [
        (2, "s", record("s", {"id": 1})[:-1], "Stream 's', column 'id': the row breaks minimum 2."),
        (4, "s", record("s", {"id": 0})[:-1], "Stream 's', column 'id': the row breaks minimum 2."),
    ]
    assert written.writer.records == {"s": 1}
    assert written.writer.settle(complete=True) == [
        "Stream 's', column 'id': 2 rows break minimum 2 and were dropped: row 1 (1), row 3 (0)."
    ]


def test_a_cell_that_is_cleared_is_null_and_all_else_keeps_its_digits() -> None:
    written = Written(expected(maximum={"id": 5}, on_failure="clear"))
    written.schema(id=INTEGER, x={"type": "number"})
    data = b'{"type":"RECORD","stream":"s","record":{"id":9,"x":1.500000000000000000001},"version":3}\n'
    written.writer.stream_records("s", data, 1)
    (message,) = written.data.splitlines()[1:]
    assert message == data.replace(b'"id":9', b'"id":null')[:-1]


def test_a_record_that_does_not_fit_its_schema_is_set_aside_beside_one_that_is_dropped() -> None:
    written = Written(expected(minimum={"id": 2}, on_failure="drop"))
    written.schema()
    rows = [{"id": "x"}, {"id": 3}, {"id": 1}, {"id": "x"}, {"id": 4}]
    written.writer.stream_records("s", records("s", rows), 5)
    assert written.rows == [{"id": 3}, {"id": 4}]
    assert [(number, json.loads(text)["record"]["id"]) for number, _, text, _ in written.rejects] == [
        (2, "x"),
        (5, "x"),
        (4, 1),
    ]


def test_without_a_place_for_it_such_a_record_stops_the_run() -> None:
    written = Written(expected(minimum={"id": 2}), reject=False)
    written.schema()
    with pytest.raises(RecordError):
        written.writer.stream_records("s", record("s", {"id": "x"}), 1)


def test_nothing_of_a_batch_with_a_bad_row_is_written() -> None:
    written = Written(expected(not_null="id"))
    written.schema()
    written.writer.stream_records("s", records("s", [{"id": 1}]), 1)
    with pytest.raises(BrokenExpectationError, match="row 3 "):
        written.writer.stream_records("s", records("s", [{"id": 1}, {}]), 2)
    assert written.rows == [{"id": 1}]


def pushes(written: Written) -> dict[str, Callable[[], object]]:
    return {
        "row": lambda: written.writer.stream_records("s", record("s", {"id": 1}), 1),
        "other": lambda: written.writer.stream_records("other", record("other", {"id": 1}), 1),
    }


def test_a_state_waits_until_there_are_enough_rows() -> None:
    written = Written(expected(min_rows=2))
    written.schema()
    push = pushes(written)
    for number in (1, 2, 3):
        push["row"]()
        written.writer.state(state(number)[:-1])
    found = [one["value"] for one in map(json.loads, written.data.splitlines()) if one["type"] == "STATE"]
    assert found == [2, 3]


@pytest.mark.parametrize("complete", [True, False])
def test_a_state_waits_until_each_reference_is_known(complete: bool) -> None:
    written = Written(expected(references={"id": "other.id"}))
    written.schema()
    written.schema("other")
    written.writer.state(state(1)[:-1])
    pushes(written)["row"]()
    written.writer.state(state(2)[:-1])
    pushes(written)["other"]()
    written.writer.state(state(3)[:-1])
    assert written.data.count(b'"STATE"') == 1
    written.writer.settle(complete=complete)
    written.writer.close()
    assert written.data.endswith(state(3) if complete else record("other", {"id": 1}))


@pytest.mark.parametrize("most_rows", [1, 2, 3, 100])
def test_the_order_stays_however_many_are_looked_at_together(most_rows: int) -> None:
    written = Written(expected(minimum={"id": 2}, on_failure="drop"), most_rows=most_rows)
    written.schema()
    written.schema("t")
    blocks = []
    for number in range(1, 6):
        blocks += [records("s", [{"id": number}, {"id": 1}]), record("t", {"id": 1}), state(number)]
        written.writer.other(blocks[-3] + blocks[-2], 3)
        written.writer.state(state(number)[:-1])
    version = line({"type": "ACTIVATE_VERSION", "stream": "s", "version": 1})
    written.writer.other(version, 1)
    written.writer.settle(complete=True)
    want = [
        m
        for m in map(json.loads, b"".join([*blocks, version]).splitlines())
        if m.get("stream") != "s" or m.get("record") != {"id": 1}
    ]
    assert [json.loads(one) for one in written.data.splitlines()[2:]] == want
    assert [number for number, *_ in written.rejects] == [3, 4, 8, 12, 16, 20]


def test_a_stream_of_which_all_is_dropped_has_no_records_in_the_trailer() -> None:
    written = Written(expected(not_null="id", on_failure="drop"))
    written.schema()
    written.writer.stream_records("s", record("s", {}), 1)
    written.writer.records = {"s": 0, "other": 2}
    written.writer.finish(ok=True)
    assert written.writer.records == {"other": 2}


def test_the_records_of_a_batch_are_looked_at_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "b.jsonl").write_bytes(b'{"id": 1}\n{"id": 2}\n')
    batch = line(
        {
            "type": "BATCH",
            "stream": "s",
            "encoding": {"format": "jsonl"},
            "manifest": [f"file://{tmp_path}/b.jsonl"],
        }
    )
    written = Written(expected(minimum={"id": 2}, on_failure="drop"))
    written.schema()
    written.writer.other(batch, 1)
    assert written.rows == [{"id": 2}]
    assert b"BATCH" not in written.data


def test_what_nobody_expects_anything_of_is_not_looked_at() -> None:
    written = Written([])
    written.writer.other(b"no message\n", 1)
    assert written.data == b"no message\n"


def test_what_is_expected_of_a_function_s_name_means_a_stream_of_such_a_name() -> None:
    written = Written(expected("public_orders", not_null="id"))
    written.schema("public-orders")
    with pytest.raises(BrokenExpectationError, match="Stream 'public-orders', column 'id'"):
        written.writer.stream_records("public-orders", record("public-orders", {}), 1)
