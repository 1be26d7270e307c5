"""Decoding in a second process: the same batches in the same order, whatever becomes of that process."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import Command
from pushed import functions_of, record, schema, state, transformer
from streams import messages, plain

from flow_singer.errors import RecordError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular import parallel as module
from flow_singer.tabular.batch import Batch, json_texts
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.transforms.transformer import Transformer
from flow_singer.transforms.waitingrecords import Limits

SCHEMA = StreamSchema(
    {
        "stream": "s",
        "schema": {
            "properties": {
                "id": {"type": "integer"},
                "text": {"type": ["null", "string"]},
                "n": {"type": ["null", "number"]},
                "more": {"type": ["null", "object"]},
            }
        },
    }
)


def lines(first: int, count: int, **more: Any) -> bytes:
    return b"".join(
        json.dumps(
            {
                "type": "RECORD",
                "stream": "s",
                "record": {"id": i, "text": f"ü{i}", "n": i / 3, "more": {"a": [i]}, **more},
            }
        ).encode()
        + b"\n"
        for i in range(first, first + count)
    )


def cells(batch: Batch) -> list[Any]:
    columns = {**batch.columns, **batch.undeclared}
    return [batch.lines, *((name, json_texts(one).to_pylist()) for name, one in columns.items())]


@pytest.fixture
def parallel(monkeypatch: pytest.MonkeyPatch) -> Iterator[ParallelDecoder]:
    """With its second process listening."""
    monkeypatch.setattr(module, "WORTH_IT_BYTES", 0)
    one = ParallelDecoder(2)
    one.expect(0)
    assert one._worker is not None
    deadline = time.monotonic() + 30
    while not one._worker.is_up and time.monotonic() < deadline:
        time.sleep(0.01)
    yield one
    one.close()


def the_worker(one: ParallelDecoder) -> psutil.Process:
    assert one._worker is not None
    return psutil.Process(one._worker._process.pid)


def feed(
    one: ParallelDecoder, decoder: RecordDecoder, got: list[Batch], numbers: range, size: int = 20
) -> None:
    for number in numbers:
        first = 1 + number * size
        one.decode(decoder, [Part(lines(first, size), [(first, size)])], got.append)


def expected(numbers: range, size: int = 20) -> list[Any]:
    decoder = RecordDecoder(SCHEMA)
    return [cells(decoder.decode([Part(lines(1 + n * size, size), [(1 + n * size, size)])])) for n in numbers]


def test_batches_come_back_whole_and_in_order(
    parallel: ParallelDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []
    receive = module._Worker.receive
    monkeypatch.setattr(module._Worker, "receive", lambda one: answers.append(receive(one)) or answers[-1])
    got: list[Batch] = []
    feed(parallel, RecordDecoder(SCHEMA), got, range(50))
    parallel.drain()
    assert [cells(batch) for batch in got] == expected(range(50))
    assert any(answers), "the second process had no part in it"


def test_two_streams_keep_apart(parallel: ParallelDecoder) -> None:
    other = StreamSchema({"stream": "t", "schema": {"properties": {"id": {"type": "string"}}}})
    one, two = RecordDecoder(SCHEMA), RecordDecoder(other)
    got: list[Batch] = []
    for number in range(10):
        parallel.decode(one, [Part(lines(number, 1), [(number, 1)])], got.append)
        line = b'{"type":"RECORD","stream":"t","record":{"id":"%d"}}\n' % number
        parallel.decode(two, [Part(line, [(number, 1)])], got.append)
    parallel.drain()
    assert [batch.schema.stream for batch in got] == ["s", "t"] * 10
    assert [batch.columns["id"].values.to_pylist() for batch in got[1::2]] == [[str(n)] for n in range(10)]


def test_keys_that_no_schema_declares_are_kept(parallel: ParallelDecoder) -> None:
    got: list[Batch] = []
    for number in range(4):
        parallel.decode(
            RecordDecoder(SCHEMA),
            [Part(lines(number, 2, **{f"k{number}": number}), [(number, 2)])],
            got.append,
        )
    parallel.drain()
    assert [list(batch.undeclared) for batch in got] == [["k0"], ["k1"], ["k2"], ["k3"]]


def test_a_killed_process_costs_no_record(parallel: ParallelDecoder) -> None:
    got: list[Batch] = []
    decoder = RecordDecoder(SCHEMA)
    feed(parallel, decoder, got, range(10))
    the_worker(parallel).kill()
    feed(parallel, decoder, got, range(10, 30))
    parallel.drain()
    assert [cells(batch) for batch in got] == expected(range(30))


def test_a_process_killed_with_work_in_hand_costs_no_record(parallel: ParallelDecoder) -> None:
    got: list[Batch] = []
    the_worker(parallel).suspend()
    feed(parallel, RecordDecoder(SCHEMA), got, range(4))
    assert got == []
    the_worker(parallel).kill()
    parallel.drain()
    assert [cells(batch) for batch in got] == expected(range(4))


def test_while_it_is_busy_this_process_decodes(parallel: ParallelDecoder) -> None:
    got: list[Batch] = []
    worker = the_worker(parallel)
    worker.suspend()
    feed(parallel, RecordDecoder(SCHEMA), got, range(module.MOST_TASKS))
    here = module.MOST_TASKS - module.DEPTH
    assert [task.batch is not None for task in parallel._tasks] == [False] * module.DEPTH + [True] * here
    assert parallel.oldest_line == 1
    worker.resume()
    parallel.drain()
    assert [cells(batch) for batch in got] == expected(range(module.MOST_TASKS))
    assert parallel.oldest_line is None


def test_a_record_that_does_not_fit_is_told_of_with_its_line(parallel: ParallelDecoder) -> None:
    got: list[Batch] = []
    decoder = RecordDecoder(SCHEMA)
    feed(parallel, decoder, got, range(2))
    parallel.decode(decoder, [Part(lines(41, 1) + lines(42, 1, id="x"), [(41, 2)])], got.append)
    with pytest.raises(RecordError, match="Line 42: record of stream 's', property 'id'"):
        parallel.drain()
    assert len(got) == 2


def test_such_a_record_that_is_found_early_waits_for_its_turn(parallel: ParallelDecoder) -> None:
    got: list[Batch] = []
    decoder = RecordDecoder(SCHEMA)
    the_worker(parallel).suspend()
    feed(parallel, decoder, got, range(4))
    parallel.decode(decoder, [Part(lines(81, 1, id="x"), [(81, 1)])], got.append)
    the_worker(parallel).resume()
    with pytest.raises(RecordError, match="Line 81"):
        parallel.drain()
    assert [cells(batch) for batch in got] == expected(range(4))


def test_a_record_that_does_not_fit_is_set_aside_once(parallel: ParallelDecoder) -> None:
    rejected: list[int] = []
    decoder = RecordDecoder(SCHEMA, reject=lambda number, line, error: rejected.append(number))
    got: list[Batch] = []
    parallel.decode(decoder, [Part(lines(1, 1) + lines(2, 1, id="x") + lines(3, 1), [(1, 3)])], got.append)
    parallel.drain()
    assert rejected == [2]
    assert [batch.lines for batch in got] == [[(1, 1), (3, 1)]]


def test_small_streams_and_one_processor_start_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    one = ParallelDecoder(2)
    one.expect(module.WORTH_IT_BYTES - 1)
    assert one._worker is None
    monkeypatch.setenv("FLOW_PROCESSES", "1")
    one = ParallelDecoder()
    one.expect(1 << 30)
    assert one._worker is None


def test_a_large_file_is_worth_it_before_anything_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE_BYTES", 5)
    for size in (4, 5):
        (tmp_path / "in").write_bytes(b"x" * size)
        with (tmp_path / "in").open("rb") as file, contextlib.closing(ParallelDecoder(2)) as one:
            monkeypatch.setattr(module, "WORTH_IT_BYTES", 5)
            one.expect_input(file.fileno())
            assert (one._worker is not None) == (size == 5)
    reading, writing = os.pipe()
    os.write(writing, b"x" * 10)
    with contextlib.closing(ParallelDecoder(2)) as one:
        one.expect_input(reading)
        assert one._worker is None, "nobody knows how much comes through a pipe"
    os.close(reading)
    os.close(writing)


WATCHED = """
import sys
from flow_singer.tabular import parallel
parallel.LARGE_BYTES = 1
parallel.ParallelDecoder.expect = lambda self, size: print("expects", size, sys.modules.get("pandas"), file=sys.stderr)
from flow_singer.cli.group import main
main()
"""


@pytest.mark.parametrize("arguments", [["transform", "--plain", "t.py"], ["load", "out/"]])
def test_commands_start_it_for_a_large_file_before_they_load_pandas(
    tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "t.py").write_text("def s(df):\n    return df\n")
    data = plain(messages(1))
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as file:
        done = subprocess.run(
            [sys.executable, "-c", WATCHED, *arguments],
            stdin=file,
            cwd=tmp_path,
            capture_output=True,
            check=True,
            timeout=90,
        )
    assert done.stderr.decode().splitlines()[0] == f"expects {len(data)} None"


def test_it_has_work_in_hand_while_this_process_works_on_a_batch(parallel: ParallelDecoder) -> None:
    in_hand: list[int] = []
    decoder = RecordDecoder(SCHEMA)
    for number in range(60):
        first = 1 + number * 20
        parallel.decode(
            decoder, [Part(lines(first, 20), [(first, 20)])], lambda _: in_hand.append(parallel._sent)
        )
    before_the_end = list(in_hand)
    parallel.drain()
    assert len(in_hand) == 60
    assert before_the_end
    assert min(before_the_end) >= 2


def test_buffers_that_are_handed_over_together_do_not_wait_for_one_another(tmp_path: Path) -> None:
    code = "@transform('s*')\ndef f(df):\n    return df\n"
    said: list[str] = []

    class Watched(ParallelDecoder):
        def decode(self, decoder: RecordDecoder, parts: Any, then: Any) -> None:
            said.append(decoder.schema.stream)
            super().decode(decoder, parts, then)

        def drain(self) -> None:
            super().drain()
            said.append("drained")

    one, out = transformer(functions_of(code, tmp_path), parallel=Watched(1))
    for name in ("s1", "s2", "s3"):
        one.push(schema(name, {"id": {}}) + record(name, {"id": 1}))
    said.clear()
    one.finish(complete=True)
    assert [word for word in said if word != "drained"] == ["s1", "s2", "s3"]
    # one processor drains before it decodes; what is in hand is waited for once, at the end
    assert said == ["s1", "drained", "s2", "drained", "s3", "drained", "drained"]
    assert len(out.of("RECORD")) == 3


@pytest.mark.parametrize(
    "code",
    [
        "@transform(whole=True)\ndef s(df):\n    return df[::-1]\n",
        "def transform(package):\n    return package\n",
    ],
)
def test_functions_of_every_row_get_them_from_it_too(
    parallel: ParallelDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    answers = []
    receive = module._Worker.receive
    monkeypatch.setattr(module._Worker, "receive", lambda one: answers.append(receive(one)) or answers[-1])
    functions = functions_of(code, tmp_path)
    begin = schema("s", SCHEMA.message["schema"]["properties"])
    data = [lines(1 + n * 20, 20) + state({"id": (n + 1) * 20}) for n in range(30)]
    wrote = []
    for decoding in (parallel, ParallelDecoder(1)):
        one, out = transformer(functions, parallel=decoding, limits=Limits(batch_records=20))
        one.push(begin)
        for block in data:
            one.push(block)
        assert not out.of("STATE"), "its records are not written"
        one.finish(complete=True)
        assert [message["value"] for message in out.of("STATE")] == [{"id": 600}]
        wrote.append(out.lines)
    assert any(answers), "the second process had no part in it"
    assert wrote[0] == wrote[1]
    assert len(wrote[0]) == 602


def test_a_state_costs_nothing_until_something_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[None] = []
    monkeypatch.setattr(Transformer, "_release_states", lambda self: looked.append(None))
    code = "@transform('s*')\ndef f(df):\n    return df\n"
    one, _ = transformer(functions_of(code, tmp_path))
    names = [f"s{n}" for n in range(100)]
    one.push(b"".join(schema(name, {"id": {}}) for name in names))
    for turn in range(20):
        one.push(b"".join(record(name, {"id": turn}) for name in names) + state({"turn": turn}))
    assert looked == []
    assert len(one._states) == 20


def test_the_second_process_does_without_pandas(parallel: ParallelDecoder) -> None:
    got: list[Batch] = []
    feed(parallel, RecordDecoder(SCHEMA), got, range(1))
    parallel.drain()
    mapped = [one.path for one in the_worker(parallel).memory_maps()]
    assert any("pyarrow" in path for path in mapped)
    assert not any("/pandas/" in path for path in mapped)


def test_no_process_outlives_its_owner(parallel: ParallelDecoder) -> None:
    worker = the_worker(parallel)
    parallel.close()
    assert not worker.is_running()


# ------------------------------------------------------------------------------------------- commands

TRANSFORM = "def s(df):\n    df['text'] = df['text'].str.upper()\n    return df\n"


def test_two_processes_send_what_one_sends(command: Command) -> None:
    (command.cwd / "t.py").write_text(TRANSFORM)
    data = plain(messages(160_000, every=700, width=400))
    sent = {}
    for processes in ("1", "2"):
        result = command.flow(
            "transform", "--plain", "t.py", stdin=data, env={"FLOW_PROCESSES": processes}, timeout_s=120
        )
        assert result.code == 0, result.stderr
        sent[processes] = result.lines
    records = {key: [line for line in found if b'"RECORD"' in line] for key, found in sent.items()}
    assert records["1"] == records["2"]
    assert len(records["2"]) == 160_000
    assert sent["1"][-1] == sent["2"][-1]
    last = 0
    for line in sent["2"]:
        message = json.loads(line)
        if message["type"] == "RECORD":
            last = message["record"]["id"]
        elif message["type"] == "STATE":
            assert message["value"]["bookmarks"]["s"]["id"] <= last, "a STATE overtook a record"


def test_a_bad_record_far_behind_fails_with_its_line(command: Command) -> None:
    (command.cwd / "t.py").write_text(TRANSFORM)
    bad = b'{"type": "RECORD", "stream": "s", "record": {"id": "x"}}\n'
    cut = b'{"type": "RECORD", "stream": "s", "record": {"id": 1\n'
    for line, told in (
        (bad, "Line 120002: record of stream 's'"),
        (cut, "Line 120002 is not a Singer message"),
    ):
        data = plain(messages(120_000, every=10**9, width=400)) + line + plain(messages(10_000, width=400))
        result = command.flow("transform", "t.py", stdin=data, env={"FLOW_PROCESSES": "2"})
        assert result.code == 65
        assert told in result.stderr
        assert "Traceback" not in result.stderr
