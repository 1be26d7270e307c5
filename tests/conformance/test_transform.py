"""`flow transform`, between two pipes."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import Command, Result
from pushed import (
    INTEGER,
    NUMBER,
    STAMP,
    TEXT,
    functions_of,
    line,
    push,
    record,
    records,
    schema,
    state,
    transformer,
)

from flow_singer.errors import MessageError, TransformError
from flow_singer.singer.marks import Header, Trailer, add_mark
from flow_singer.transforms.spool import Spool
from flow_singer.transforms.waitingrecords import Limits

Flow = Callable[..., Result]
FIXTURES = Path(__file__).parents[1] / "fixtures" / "singer"

IDENTITY = "def s(df):\n    return df\n"
SCHEMA = schema("s", {"id": {"type": "integer"}, "n": INTEGER, "name": TEXT}, ["id"])


def rows(count: int, start: int = 1) -> list[dict[str, Any]]:
    return [{"id": i, "n": i * 10, "name": f"name {i}"} for i in range(start, start + count)]


@pytest.fixture
def code(tmp_path: Path) -> Callable[[str], str]:
    """Write `t.py` beside the command."""

    def write(text: str, name: str = "t.py") -> str:
        (tmp_path / name).write_text("import pandas as pd\nfrom flow_singer import transform\n" + text)
        return name

    return write


Code = Callable[[str], str]


def as_file(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "input.singer"
    path.write_bytes(data)
    return path


# ------------------------------------------------------------------------------- X1 to X6: what passes


ODD = [
    b'{"record": {"b": 1.10, "a": 1E5}, "stream": "odd", "type": "RECORD", "mine": [1 , 2]}',
    b'{"type":"RECORD","stream":"odd","record":{"a":"\\u00e9","a":"twice"}}',
    b'{"type":"RECORD","stream":"odd","record":{"type":"STATE","n":123456789012345678901234567890}}',
    b'{"type":"HEARTBEAT","stream":"odd","at":1.0}',
    b'{"type":"RECORD","stream":"odd","record":{"x":NaN,"y":"\\ud800"}}',
    b'{"type":"ACTIVATE_VERSION","stream":"odd","version":1}',
    b'{"type":"BATCH","stream":"odd","encoding":{"format":"jsonl"},"manifest":["s3://nowhere"]}',
    b'  {"type":"RECORD","stream":"odd","record":{}}  \r',
]


def test_x1_streams_that_no_function_takes_are_byte_identical(flow: Flow, code: Code) -> None:
    head = (
        b'{"type": "SCHEMA", "schema": {"properties": {}, "z": 1.0}, "stream": "odd", "key_properties": [] }'
    )
    data = b"\n".join([head, *ODD, b'{"value": {"a": 1.10}, "type": "STATE"}']) + b"\n"
    result = flow("transform", code(IDENTITY), "--no-strict", "--plain", stdin=data)
    assert result.code == 0, result.stderr
    assert result.stdout == data


def test_x1_hard_types_pass_untouched_but_for_blank_lines(flow: Flow, code: Code) -> None:
    data = (FIXTURES / "hard_types.singer").read_bytes()
    result = flow("transform", code("def nobody(df):\n    return df\n"), "--plain", stdin=data)
    expected = [one for one in data.split(b"\n") if one.strip()]
    assert result.lines == expected


def test_x2_state_waits_for_every_record_before_it(tmp_path: Path) -> None:
    functions = functions_of(
        "def a(df):\n    return df\ndef b(df):\n    return df\ndef c(df):\n    return df\n", tmp_path
    )
    properties = {"id": INTEGER}
    for seed in range(40):
        chance = random.Random(seed)
        streams = ["a", "b", "c", "passing"][: chance.randint(1, 4)]
        lines = [schema(one, properties) for one in streams]
        sent: list[tuple[str, int]] = []
        covered: dict[bytes, int] = {}
        for n in range(chance.randint(1, 120)):
            if chance.random() < 0.2:
                lines.append(state({"n": n}))
                covered[lines[-1][:-1]] = len(sent)
            else:
                sent.append((chance.choice(streams), n))
                lines.append(record(sent[-1][0], {"id": n}))
        out = push(functions, lines, batch_records=chance.randint(1, 12))
        before: set[tuple[str, int]] = set()
        last = -1
        for text, message in zip(out.lines, out.messages, strict=True):
            if message["type"] == "RECORD":
                before.add((message["stream"], message["record"]["id"]))
            elif message["type"] == "STATE":
                assert set(sent[: covered[text]]) <= before, seed
                assert covered[text] >= last, "states in another order"
                last = covered[text]
        assert before == set(sent)
        if covered:
            assert list(covered)[-1] in out.lines, "the last state is never lost"


def test_x2_state_waits_for_all_records_of_a_batch_message(tmp_path: Path) -> None:
    (tmp_path / "batch.jsonl").write_bytes(b"".join(line({"id": i}) for i in range(10)))
    manifest = [str(tmp_path / "batch.jsonl")]
    batch = line({"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl"}, "manifest": manifest})
    lines = [schema("s", {"id": INTEGER}), batch, state(1), record("s", {"id": 10}), state(2)]
    out = push(functions_of(IDENTITY, tmp_path), lines, batch_records=3)
    assert [m["type"] for m in out.messages][1:11] == ["RECORD"] * 10
    assert out.messages[-1]["value"] == 2


def test_x3_state_lines_are_byte_identical(flow: Flow, code: Code) -> None:
    odd = b'{"value": {"b": 1.10, "a": "\\u00e9", "c":1E5},  "type":"STATE", "more": null}'
    result = flow("transform", code(IDENTITY), "--plain", stdin=SCHEMA + records("s", rows(3)) + odd + b"\n")
    assert result.lines[-1] == odd


def test_x4_after_a_kill_the_last_state_seen_covers_what_came_before(
    command: Command, tmp_path: Path, code: Code
) -> None:
    blocks = [records("s", rows(50, start)) + state({"next": start + 50}) for start in range(1, 4001, 50)]
    source = as_file(tmp_path, SCHEMA + b"".join(blocks))
    with source.open("rb") as file:
        process = command.start(
            "transform", code(IDENTITY), "--plain", "--batch-records", "70", stdin=file.fileno()
        )
    assert process.stdout is not None
    first = [process.stdout.readline() for _ in range(900)]
    process.kill()
    rest = process.stdout.read().splitlines(keepends=True)
    process.wait()
    seen = [json.loads(one) for one in [*first, *rest] if one.endswith(b"\n")]
    states = [m["value"]["next"] for m in seen if m["type"] == "STATE"]
    assert states, "the stream was long enough for states to leave"
    before = {m["record"]["id"] for m in seen if m["type"] == "RECORD"}
    assert before >= set(range(1, states[-1]))


def test_x5_state_only_input_gives_the_same_state(flow: Flow, code: Code) -> None:
    data = b'{"type": "STATE", "value": {"bookmarks": {}}}\n'
    result = flow("transform", code(IDENTITY), "--plain", stdin=data)
    assert (result.code, result.stdout) == (0, data)


def test_x6_schema_precedes_and_every_record_validates_against_the_last_one(tmp_path: Path) -> None:
    text = (
        "@transform(into={'s': ['id'], 'extra': ['id']})\n"
        "def s(df):\n"
        "    other = df[['id']].assign(half=df['n'] / 2)\n"
        "    return {'s': df.assign(flag=df['n'] > 20, text='x'), 'extra': other}\n"
    )
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(9)), batch_records=2)
    assert {m["stream"] for m in out.of("RECORD")} == {"s", "extra"}
    check_valid(out.messages)


def check_valid(messages: list[dict[str, Any]]) -> None:
    schemas: dict[str, Any] = {}
    for message in messages:
        if message["type"] == "SCHEMA":
            schemas[message["stream"]] = message["schema"]
            assert set(message["key_properties"]) <= message["schema"]["properties"].keys()
        elif message["type"] == "RECORD":
            jsonschema.Draft7Validator(schemas[message["stream"]]).validate(message["record"])


# ------------------------------------------------------------------------------------ X7 to X13: SCHEMA


def test_x7_repeated_identical_schema_is_sent_once_and_flushes_nothing(tmp_path: Path) -> None:
    functions = functions_of("SIZES = []\ndef s(df):\n    SIZES.append(len(df))\n    return df\n", tmp_path)
    data = [part for one in rows(20) for part in (SCHEMA, record("s", one))]
    out = push(functions, data)
    assert len(out.of("SCHEMA", "s")) == 1
    assert functions[0].call.__globals__["SIZES"][0] == 20


def test_x8_integer_then_float_widens_once_and_keeps_earlier_rows_valid(tmp_path: Path) -> None:
    text = (
        "@transform(batch=True)\n"
        "def s(df):\n"
        "    return df.assign(new=df['id'] if df['id'].max() < 5 else df['id'] / 2)\n"
    )
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(12)), batch_records=4)
    first, second = out.schemas("s")
    assert first["properties"]["new"] == {"type": ["null", "integer"]}
    assert second["properties"]["new"] == {"type": ["null", "number"]}
    for one in out.records("s"):
        jsonschema.Draft7Validator(second).validate(one)
    check_valid(out.messages)


def test_x9_column_null_in_batch_one_and_integer_in_batch_two_is_an_integer(tmp_path: Path) -> None:
    text = "@transform(batch=True)\ndef s(df):\n    return df.assign(new=None if df['id'].max() < 5 else 7)\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(8)), batch_records=4)
    assert "new" not in out.schemas("s")[0]["properties"]
    assert out.properties("s")["new"] == {"type": ["null", "integer"]}
    assert [one.get("new") for one in out.records("s")] == [None] * 4 + [7] * 4
    assert [("new" in one) for one in out.records("s")] == [False] * 4 + [True] * 4


def test_x9_column_without_any_value_ends_as_nullable_text(tmp_path: Path) -> None:
    out = push(
        functions_of("def s(df):\n    return df.assign(new=None)\n", tmp_path), SCHEMA + records("s", rows(2))
    )
    assert out.properties("s")["new"] == {"type": ["null", "string"]}
    assert out.messages[-1]["type"] == "SCHEMA"


@pytest.mark.parametrize("text", [IDENTITY, "@transform(rows=True)\ndef s(row):\n    return row\n"])
def test_x10_empty_mapped_stream_still_gets_its_schema(tmp_path: Path, text: str) -> None:
    out = push(functions_of(text, tmp_path), SCHEMA)
    assert [json.loads(SCHEMA)] == out.messages


def test_x10_columns_that_a_function_adds_are_in_the_schema_of_an_empty_stream(tmp_path: Path) -> None:
    out = push(functions_of("def s(df):\n    return df.assign(half=df['n'] / 2)\n", tmp_path), SCHEMA)
    assert out.properties("s")["half"] == {"type": ["null", "number"]}


def test_x11_dropped_key_column_is_refused_by_name(flow: Flow, code: Code) -> None:
    data = SCHEMA + records("s", rows(2))
    result = flow("transform", code("def s(df):\n    return df.drop(columns='id')\n"), stdin=data)
    assert result.code == 65
    assert "stream 's'" in result.stderr
    assert "'id'" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("key", "expected"), [("key=['name']", ["name"]), ("key=[]", []), ("into={'s': ['n']}", ["n"])]
)
def test_x11_dropped_key_column_is_fine_where_the_function_names_another(
    tmp_path: Path, key: str, expected: list[str]
) -> None:
    text = f"@transform({key})\ndef s(df):\n    return df.drop(columns='id')\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(2)))
    assert out.of("SCHEMA")[0]["key_properties"] == expected


def test_x11_null_in_a_key_column_is_refused(tmp_path: Path) -> None:
    functions = functions_of("def s(df):\n    return df.assign(id=df['id'].where(df['id'] != 2))\n", tmp_path)
    with pytest.raises(TransformError, match=r"key column 'id' is null in 1 row of .*row 1"):
        push(functions, SCHEMA + records("s", rows(3)))


ENVELOPED = schema(
    "s", {"id": {"type": "integer"}, "at": STAMP}, ["id"], beside={"bookmark_properties": ["at", "gone"]}
)


def enveloped(count: int) -> bytes:
    return b"".join(
        line(
            {
                "type": "RECORD",
                "stream": "s",
                "record": {"id": i, "at": f"2026-01-01T00:00:{i:02}+02:00", "undeclared": f"u{i}"},
                "time_extracted": f"2026-02-02T00:00:{i:02}Z",
                "sequence": i,
                "mine": {"of": i},
            }
        )
        for i in range(count)
    )


@pytest.mark.parametrize(
    "body",
    [
        "df",
        "df[df['id'] % 2 == 0]",
        "df.sort_values('id', ascending=False)",
        "df.tail(3).reset_index(drop=True)",
        "df.assign(new=1)",
    ],
)
def test_x12_envelope_and_extra_keys_stay_with_their_rows(tmp_path: Path, body: str) -> None:
    out = push(
        functions_of(f"@transform(batch=True)\ndef s(df):\n    return {body}\n", tmp_path),
        ENVELOPED + enveloped(8),
    )
    assert out.of("SCHEMA")[0]["bookmark_properties"] == ["at"]
    assert out.of("RECORD")
    for message in out.of("RECORD"):
        n = message["record"]["id"]
        assert message["time_extracted"] == f"2026-02-02T00:00:{n:02}Z"
        assert (message["sequence"], message["mine"]) == (n, {"of": n})
        assert message["record"]["undeclared"] == f"u{n}"
        assert message["record"]["at"] == f"2026-01-01T00:00:{n:02}+02:00"


def test_x12_rows_made_of_many_get_the_newest_time_extracted(tmp_path: Path) -> None:
    text = "@transform(key=[], whole=True)\ndef s(df):\n    return df.groupby(df['id'] % 2, as_index=False)['id'].sum()\n"
    out = push(functions_of(text, tmp_path), ENVELOPED + enveloped(8))
    assert [m["time_extracted"] for m in out.of("RECORD")] == ["2026-02-02T00:00:07Z"] * 2
    assert all(m["record"].keys() == {"id"} for m in out.of("RECORD"))


def test_x12_rows_function_keeps_the_envelope(tmp_path: Path) -> None:
    text = "@transform(rows=True)\ndef s(row):\n    return [row, {**row, 'id': row['id'] + 100}]\n"
    out = push(functions_of(text, tmp_path), ENVELOPED + enveloped(3))
    assert [m["mine"]["of"] for m in out.of("RECORD")] == [0, 0, 1, 1, 2, 2]
    assert [m["time_extracted"][-3:-1] for m in out.of("RECORD")] == ["00", "00", "01", "01", "02", "02"]


def test_x13_added_and_dropped_columns_validate_under_a_closed_schema(tmp_path: Path) -> None:
    closed = schema(
        "s",
        {"id": {"type": "integer"}, "n": {"type": "integer"}, "name": {"type": "string"}},
        ["id"],
        required=["id", "n", "name"],
        additionalProperties=False,
        minProperties=3,
    )
    text = "def s(df):\n    return df[['id', 'n']].assign(n=df['n'].where(df['id'] > 1), new='x')\n"
    out = push(functions_of(text, tmp_path), closed + records("s", rows(3)))
    assert len(out.records("s")) == 3
    check_valid(out.messages)


# ------------------------------------------------------------------- X14 to X16: versions, BATCH messages


def test_x14_activate_version_keeps_its_place_and_follows_the_name(tmp_path: Path) -> None:
    text = (
        "@transform('a', into='b')\ndef one(df):\n    return df\n"
        "@transform(drop=True)\ndef gone(df):\n    return None\n"
        "@transform(into=['x', 'y'])\ndef two(df):\n    return {'x': df, 'y': df}\n"
    )
    lines = [schema(one, {"id": INTEGER}) for one in ("a", "gone", "two")]
    for one in ("a", "gone", "two"):
        version = line({"type": "ACTIVATE_VERSION", "stream": one, "version": 7})
        lines += [version, record(one, {"id": 1}, version=7), version, record(one, {"id": 2}, version=7)]
    out = push(functions_of(text, tmp_path), lines)
    for name in ("b", "x", "y"):
        kinds = [m["type"] for m in out.messages if m.get("stream") == name and m["type"] != "SCHEMA"]
        assert kinds == ["ACTIVATE_VERSION", "RECORD", "ACTIVATE_VERSION", "RECORD"], name
        assert all(
            m["version"] == 7 for m in out.messages if m.get("stream") == name and m["type"] != "SCHEMA"
        )
    assert not [m for m in out.messages if m.get("stream") in ("a", "gone", "two")]


def test_x15_no_frame_mixes_versions(tmp_path: Path) -> None:
    functions = functions_of(
        "SEEN = []\n@transform(batch=True)\ndef s(df):\n    SEEN.append(list(df['n']))\n    return df\n",
        tmp_path,
    )
    versions = [None, 1, 1, 2, 2, 2, 1]
    lines = [
        record("s", {"id": i, "n": i}, **({} if version is None else {"version": version}))
        for i, version in enumerate(versions)
    ]
    out = push(functions, [SCHEMA, *lines])
    assert functions[0].call.__globals__["SEEN"] == [[0], [1, 2], [3, 4, 5], [6]]
    assert [m.get("version") for m in out.of("RECORD")] == versions


@pytest.mark.parametrize("form", ["sdk-jsonl-gzip", "sdk-jsonl", "sdk-parquet", "sdk-arrow", "pipelinewise"])
def test_x16_batch_message_gives_what_its_records_would_give(tmp_path: Path, form: str) -> None:
    found = rows(7)
    path = tmp_path / "part one"
    message: dict[str, Any] = {"type": "BATCH", "stream": "s", "version": 5}
    lines = b"".join(map(line, found))
    if form == "pipelinewise":
        path.write_bytes(SCHEMA + records("s", found))
        message |= {"filepath": str(path), "format": "jsonl"}
    else:
        _, kind, *compression = form.split("-")
        message["encoding"] = {"format": kind, "compression": compression[0] if compression else None}
        message["manifest"] = [f"file://{str(path).replace(' ', '%20')}"]
        table = pa.Table.from_pylist(found)
        if kind == "jsonl":
            path.write_bytes(gzip.compress(lines) if compression else lines)
        elif kind == "parquet":
            pq.write_table(table, path)
        else:
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
                writer.write_table(table)
    functions = functions_of("def s(df):\n    return df.assign(n=df['n'] + 1)\n", tmp_path)
    expected = push(functions, SCHEMA + records("s", found))
    out = push(functions, [SCHEMA, line(message), state(1)], batch_records=3)
    assert out.records("s") == expected.records("s")
    assert out.messages[-1] == {"type": "STATE", "value": 1}


# -------------------------------------------------------------------------- X17, X18: whole streams


WHOLE = "@transform('s', whole=True)\ndef top(df):\n    return df.sort_values('id', ascending=False)\n"


def test_x17_whole_stream_gives_nothing_before_the_end_and_no_later_state(tmp_path: Path) -> None:
    one, out = transformer(functions_of(WHOLE, tmp_path), limits=Limits(batch_records=2))
    one.push(state("early") + SCHEMA + records("s", rows(5)))
    one.push(line({"type": "ACTIVATE_VERSION", "stream": "s", "version": 1}) + state("late"))
    one.tick()
    assert out.messages == [{"type": "STATE", "value": "early"}]
    one.finish(complete=True)
    assert [m["type"] for m in out.messages] == [
        "STATE",
        "SCHEMA",
        *["RECORD"] * 5,
        "ACTIVATE_VERSION",
        "STATE",
    ]
    assert [m["id"] for m in out.records("s")] == [5, 4, 3, 2, 1]
    assert out.messages[-1]["value"] == "late"


@pytest.mark.parametrize("end", ["failed", "missing", "short"])
def test_x17_incomplete_upstream_gives_no_rows_no_version_no_state(flow: Flow, code: Code, end: str) -> None:
    lines = [
        add_mark(SCHEMA[:-1], Header("run", tap="tap-x")) + b"\n",
        *(record("s", row) for row in rows(3)),
    ]
    lines += [line({"type": "ACTIVATE_VERSION", "stream": "s", "version": 1}), state("late")]
    if end != "missing":
        trailer = Trailer(
            "run", end != "failed", 1 if end == "failed" else 0, len(lines) + (end == "short"), {"s": 3}
        )
        lines.append(add_mark(lines[-1][:-1], trailer) + b"\n")
    result = flow("transform", code(WHOLE), stdin=b"".join(lines))
    assert result.code == 75, result.stderr
    assert {m["type"] for m in result.messages} <= {"SCHEMA"}
    assert "incomplete" in result.stderr


def test_x18_whole_input_past_the_limit_goes_to_a_file_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr("flow_singer.transforms.wholerunner.Spool", lambda: Spool(20_000))
    one, out = transformer(functions_of(WHOLE, tmp_path), limits=Limits(batch_records=50))
    one.push(SCHEMA)
    process = psutil.Process()
    for start in range(1, 5001, 50):
        one.push(records("s", rows(50, start)))
        spool = one._runners["s"].spool
        assert spool is not None
        assert sum(c.values.nbytes for batch in spool._batches for c in batch.columns.values()) <= 20_000
    assert any(str(folder) in link for link in links_of(process)), "nothing was spilled"
    assert list(folder.iterdir()) == []
    one.finish(complete=True)
    assert [row["id"] for row in out.records("s")] == list(range(5000, 0, -1))


def links_of(process: psutil.Process) -> list[str]:
    folder = Path(f"/proc/{process.pid}/fd")
    return [os.readlink(one) for one in folder.iterdir() if one.is_symlink()]


def test_x18_2_gb_of_a_whole_stream_are_held_with_200_mb_of_memory(command: Command, code: Code) -> None:
    process = command.start("transform", code(WHOLE), stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(SCHEMA)
    block = b"".join(record("s", {"id": i, "n": i, "name": "x" * 4000}) for i in range(5_000))
    sent, largest = 0, 0
    while sent < 2 << 30:
        process.stdin.write(block)
        sent += len(block)
        largest = max(largest, psutil.Process(process.pid).memory_info().rss)
    assert largest < 200 << 20
    process.send_signal(signal.SIGTERM)
    process.stdin.close()
    assert process.wait(90) == 143
    assert list(Path(command.env["TMPDIR"]).iterdir()) == []


def test_x18_states_that_wait_for_a_whole_stream_are_few_and_the_last_one_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flow_singer.transforms.barrier.MOST_STATES", 10)
    one, out = transformer(functions_of(WHOLE, tmp_path))
    one.push(SCHEMA)
    for number in range(1, 101):
        one.push(records("s", rows(1, number)) + state(number))
        assert len(one._states) <= 10
    one.finish(complete=True)
    assert [message["value"] for message in out.of("STATE")] == [100]


# ----------------------------------------------------------------------------------- X19 to X26


def test_x19_buffered_rows_leave_after_max_age_without_new_input(command: Command, code: Code) -> None:
    process = command.start("transform", code(IDENTITY), "--plain", "--max-age", "0.2", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(SCHEMA + records("s", rows(1)) + state(1))
    process.stdin.flush()
    kinds = [json.loads(process.stdout.readline())["type"] for _ in range(3)]
    assert kinds == ["SCHEMA", "RECORD", "STATE"]
    process.stdin.close()
    assert process.wait(90) == 0


def test_x19_a_state_that_waits_too_long_flushes_all(tmp_path: Path) -> None:
    now = [0.0]
    one, out = transformer(
        functions_of(IDENTITY, tmp_path),
        limits=Limits(max_age_s=1e9, max_state_age_s=60),
        clock=lambda: now[0],
    )
    one.push(SCHEMA + records("s", rows(1)) + state(1))
    now[0] = 59.0
    one.tick()
    assert out.messages == []
    now[0] = 61.0
    one.tick()
    assert [m["type"] for m in out.messages] == ["SCHEMA", "RECORD", "STATE"]


BAD = (
    SCHEMA
    + record("s", {"id": 1, "n": 1, "name": "a"})
    + b'{"type":"RECORD","stream":"s","rec\n'
    + record("s", {"id": 2, "n": 2, "name": "b"})
)


def test_x20_bad_json_stops_with_its_line_number(flow: Flow, code: Code) -> None:
    result = flow("transform", code(IDENTITY), stdin=BAD)
    assert result.code == 65
    assert "Line 3" in result.stderr
    assert '{"type":"RECORD","stream":"s","rec' in result.stderr


def test_x20_bad_json_is_set_aside_and_the_rest_is_loaded(flow: Flow, code: Code, tmp_path: Path) -> None:
    result = flow("transform", code(IDENTITY), "--plain", "--reject", "bad.jsonl", stdin=BAD)
    assert result.code == 66, result.stderr
    assert [m["record"]["id"] for m in result.messages if m["type"] == "RECORD"] == [1, 2]
    (reject,) = [json.loads(one) for one in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert reject["line"] == 3
    assert reject["text"] == '{"type":"RECORD","stream":"s","rec'


MISFITS = SCHEMA + b"".join(
    record("s", {"id": i, "n": "no number" if i in (2, 5) else i, "name": "x"}) for i in range(1, 8)
)


@pytest.mark.parametrize("text", [IDENTITY, "def s(df):\n    return df.assign(n=10 // (df['id'] - 4))\n"])
def test_x20_records_that_do_not_fit_are_set_aside(flow: Flow, code: Code, tmp_path: Path, text: str) -> None:
    result = flow("transform", code(text), "--plain", "--reject", "bad.jsonl", stdin=MISFITS)
    assert result.code == 66, result.stderr
    found = [json.loads(one) for one in (tmp_path / "bad.jsonl").read_text().splitlines()]
    assert [(one["line"], one["stream"], one["record"]["id"]) for one in found] == [(3, "s", 2), (6, "s", 5)]


def test_x20_more_rejects_than_allowed_stop_the_run(flow: Flow, code: Code, tmp_path: Path) -> None:
    result = flow("transform", code(IDENTITY), "--reject", "bad.jsonl", "--max-rejects", "1", stdin=MISFITS)
    assert result.code == 65
    assert "2 rejects, 1 is allowed" in result.stderr
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 2


def test_x20_max_rejects_without_a_file_is_a_usage_error(flow: Flow, code: Code) -> None:
    result = flow("transform", code(IDENTITY), "--max-rejects", "1", stdin=SCHEMA)
    assert (result.code, "--reject" in result.stderr) == (2, True)


def test_x20_rejects_are_on_disk_before_the_state_that_covers_them(tmp_path: Path) -> None:
    from flow_singer.singer.marks import MessageWriter
    from flow_singer.singer.rejectfile import RejectFile
    from flow_singer.transforms.transformer import Transformer

    file = RejectFile(tmp_path / "bad.jsonl")
    seen: list[int] = []

    def write(data: bytes | memoryview) -> None:
        if b'"STATE"' in bytes(data):
            seen.append(len((tmp_path / "bad.jsonl").read_bytes().splitlines()))

    writer = MessageWriter(write, before_state=file.sync)
    one = Transformer(functions_of(IDENTITY, tmp_path), writer, reject=file.add)
    one.push(MISFITS + state(1))
    one.finish(complete=True)
    file.close()
    assert seen == [2]


def test_x20_rows_that_make_a_function_fail_are_set_aside_one_by_one(tmp_path: Path) -> None:
    text = "def s(df):\n    if (df['id'] % 3 == 0).any():\n        raise ValueError('three')\n    return df\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(300)), reject=True)
    assert [number for number, *_ in out.rejects] == [1 + i for i in range(3, 301, 3)]
    assert [row["id"] for row in out.records("s")] == [i for i in range(1, 301) if i % 3]
    assert json.loads(out.rejects[0][2])["record"] == rows(1, 3)[0]


@pytest.mark.parametrize(
    "bad",
    [
        b'{"type":"RECORD","stream":"s","record":[1]}\n',
        b'{"type":"RECORD","stream":"s","record":{"id":NaN}}\n',
    ],
)
def test_x20_rows_function_sets_bad_records_aside_too(tmp_path: Path, bad: bytes) -> None:
    text = "def s(row):\n    return row\n"
    out = push(
        functions_of(text, tmp_path),
        SCHEMA + record("s", {"id": 1}) + bad + record("s", {"id": 2}),
        reject=True,
    )
    assert [row["id"] for row in out.records("s")] == [1, 2]
    assert [number for number, *_ in out.rejects] == [3]


def test_x21_an_exception_names_file_line_function_stream_and_input_line(flow: Flow, code: Code) -> None:
    text = "def helper(value):\n    return 1 / value\n\ndef s(df):\n    df['n'] = df['n'].map(helper)\n    return df\n"
    data = SCHEMA + b"".join(record("s", {"id": i, "n": i - 70_001, "name": None}) for i in range(1, 80_001))
    result = flow("transform", code(text), stdin=data)
    assert result.code == 65
    said = result.stderr
    for part in ("t.py, line 4", "function 's'", "stream 's'", "ZeroDivisionError", "input line 70002"):
        assert part in said
    assert "Traceback" not in said


def test_x21_an_error_of_the_whole_batch_names_its_input_lines(flow: Flow, code: Code) -> None:
    text = "def s(df):\n    if len(df) == 10 and df['id'].min() > 20:\n        raise ValueError('odd')\n    return df\n"
    result = flow("transform", code(text), "--batch-records", "10", stdin=SCHEMA + records("s", rows(40)))
    assert result.code == 65
    assert "input lines 22 to 31" in result.stderr


def test_x21_a_missing_column_lists_the_columns_there_are(flow: Flow, code: Code) -> None:
    result = flow(
        "transform",
        code("def s(df):\n    return df[df['sate'] == 1]\n"),
        stdin=SCHEMA + records("s", rows(2)),
    )
    assert result.code == 65
    assert "KeyError" in result.stderr
    assert "'sate'" in result.stderr
    assert "id, n, name" in result.stderr


@pytest.mark.parametrize("sent", [b"", b"1"])
def test_x22_hard_types_survive_an_identity_function(flow: Flow, code: Code, sent: bytes) -> None:
    text = "".join(
        f"def {name}(df):\n    return df\n" for name in ("numbers", "times", "text", "nested", "keyless")
    )
    data = (FIXTURES / "hard_types.singer").read_bytes()
    result = flow("transform", code(text), "--plain", *(["--batch-records", "1"] if sent else []), stdin=data)
    assert result.code == 0, result.stderr
    before = [json.loads(one, **EXACT) for one in data.split(b"\n") if one.strip()]
    after = [json.loads(one, **EXACT) for one in result.lines]
    for stream in ("numbers", "times", "text", "nested", "keyless"):
        old = [m for m in before if m["type"] == "RECORD" and m["stream"] == stream]
        new = [m for m in after if m["type"] == "RECORD" and m["stream"] == stream]
        assert list(map(typed, new)) == list(map(typed, old)), stream
    states = [one for one in data.split(b"\n") if b'"STATE"' in one and json.loads(one)["type"] == "STATE"]
    assert result.lines[-1] == states[-1]


EXACT: dict[str, Any] = {"parse_float": lambda text: ("float", text), "parse_int": lambda text: ("int", text)}


def typed(value: object) -> str:
    return repr(sorted_keys(value))


def sorted_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return [(key, sorted_keys(value[key])) for key in sorted(value)]
    return [sorted_keys(one) for one in value] if isinstance(value, list) else value


def test_x23_no_nan_token_is_ever_written(flow: Flow, code: Code) -> None:
    text = (
        "import numpy as np\n@transform(batch=True)\ndef s(df):\n"
        "    return df.assign(a=np.nan, b=[np.inf, -np.inf, 1.5], c=[{'x': float('nan')}, [float('inf')], None], d=pd.NA)\n"
    )
    result = flow("transform", code(text), "--plain", stdin=SCHEMA + records("s", rows(3)))
    assert result.code == 0, result.stderr

    def forbidden(token: str) -> None:
        raise AssertionError(token)

    found = [json.loads(one, parse_constant=forbidden) for one in result.lines]
    assert [m["record"]["b"] for m in found if m["type"] == "RECORD"] == [None, None, 1.5]
    assert "infinite values written as null" in result.stderr


@pytest.mark.parametrize("mode", ["df", "row"])
def test_x23_nan_tokens_of_a_tap_stop_or_become_null(flow: Flow, code: Code, mode: str) -> None:
    data = (FIXTURES / "not_strict_json.singer").read_bytes()
    kept = b"\n".join(one for one in data.split(b"\n") if b"raw" not in one and b"1e400" not in one)
    file = code(f"def floats({mode}):\n    return {mode}\n")
    refused = flow("transform", file, stdin=kept)
    assert refused.code == 65
    assert "Line 3" in refused.stderr
    assert "NaN" in refused.stderr
    taken = flow("transform", file, "--plain", "--nan", "null", stdin=kept)
    assert taken.code == 0, taken.stderr
    assert [m["record"].get("value") for m in taken.messages if m["type"] == "RECORD"] == [
        1.5,
        None,
        None,
        None,
        None,
    ]


def test_x24_a_hundred_interleaved_streams_still_get_whole_batches(tmp_path: Path) -> None:
    text = (
        "SIZES = []\n@transform('s*', batch=True)\ndef every(df):\n    SIZES.append(len(df))\n    return df\n"
    )
    functions = functions_of(text, tmp_path)
    names = [f"s{i}" for i in range(100)]
    lines = [schema(name, {"id": INTEGER}) for name in names]
    lines += [record(name, {"id": i}) for i in range(50) for name in names]
    out = push(functions, b"".join(lines), batch_records=25)
    assert functions[0].call.__globals__["SIZES"] == [25] * 200
    assert len(out.of("RECORD")) == 5000


def test_x24_the_fullest_buffer_goes_first_when_all_together_hold_too_much(tmp_path: Path) -> None:
    functions = functions_of("@transform('s*', batch=True)\ndef every(df):\n    return df\n", tmp_path)
    one, out = transformer(functions, limits=Limits(total_bytes=10_000))
    one.push(schema("s1", {"t": TEXT}) + schema("s2", {"t": TEXT}))
    one.push(record("s1", {"t": "x" * 2000}) + record("s2", {"t": "x" * 7000}))
    assert out.messages == []
    one.push(record("s1", {"t": "x" * 2000}))
    assert [m["stream"] for m in out.of("RECORD")] == ["s2"]


def test_x25_a_function_whose_stream_never_came_is_told_or_fails(flow: Flow, code: Code) -> None:
    file = code("def isues(df):\n    return df\ndef s(df):\n    return df\n")
    told = flow("transform", file, stdin=SCHEMA)
    assert told.code == 0
    assert "no stream 'isues' came. Streams that came: s" in told.stderr
    failed = flow("transform", file, "--strict", stdin=SCHEMA)
    assert failed.code == 65


@pytest.mark.parametrize(
    ("helper", "use", "is_missed"),
    [
        pytest.param("def tidy(df):", "return tidy(df)", False, id="called"),
        pytest.param(
            "def tidy(df):", "return df.groupby('id').pipe(lambda one: tidy(df))", False, id="nested"
        ),
        pytest.param("def tidy(df):", "return df.pipe(tidy)", False, id="passed"),
        pytest.param("def tidy(df):", "df.tidy = 1; return df", True, id="attribute"),
        pytest.param("def tidy(df):", "tidy = 1; return df", True, id="local"),
        pytest.param("def tidy(df):\n    tidy(df)", "return df", True, id="itself"),
        pytest.param("@transform()\ndef tidy(df):", "return tidy(df)", True, id="declared"),
    ],
)
@pytest.mark.filterwarnings("ignore:Pandas doesn't allow columns to be created")
def test_x25_a_function_that_another_one_uses_is_not_missed(
    tmp_path: Path, helper: str, use: str, is_missed: bool
) -> None:
    functions = functions_of(
        f"{helper}\n    return df\n@transform(batch=True)\ndef s(df):\n    {use}\n", tmp_path
    )
    one, _ = transformer(functions)
    one.push(SCHEMA + records("s", rows(2)))
    one.finish(complete=True)
    assert [function.name for function in one.unused_functions()] == ["tidy"] * is_missed


def test_x25_a_helper_named_like_a_stream_still_gets_it(tmp_path: Path) -> None:
    text = "def t(df):\n    return df.assign(n=5)\ndef s(df):\n    return t(df)\n"
    other = schema("t", {"id": INTEGER, "n": INTEGER}) + record("t", {"id": 1})
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(1)) + other)
    assert (out.records("s")[0]["n"], out.records("t")) == (5, [{"id": 1, "n": 5}])


def test_x26_closed_stdout_ends_with_141_and_no_traceback(
    command: Command, code: Code, tmp_path: Path
) -> None:
    source = as_file(tmp_path, SCHEMA + records("s", rows(30_000)))
    done = command.shell(
        f"flow transform {code(IDENTITY)} < {source} | head -c 100 > /dev/null; echo ${{PIPESTATUS[0]}}"
    )
    assert done.stdout.strip() == b"141"
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_x26_full_disk_is_a_failure_without_a_good_trailer(
    command: Command, code: Code, tmp_path: Path
) -> None:
    source = as_file(tmp_path, SCHEMA + records("s", rows(10)))
    done = command.shell(f"flow transform {code(IDENTITY)} < {source} > /dev/full")
    assert done.code not in (0, 66)
    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr


# ----------------------------------------------------------------------------------- the user's file


def test_functions_by_name_and_by_decorator(tmp_path: Path) -> None:
    text = (
        "def s(df):\n    return df.assign(by='name')\n"
        "@transform('public-orders', into={'orders': ['number']})\n"
        "def clean(df):\n    return df.rename(columns={'id': 'number'})\n"
        "@transform('db-*')\ndef many(df):\n    return df.assign(by='pattern')\n"
        "def dash_ed(df):\n    return df.assign(by='identifier')\n"
        "def _helper(df):\n    raise AssertionError\n"
    )
    streams = ["s", "public-orders", "db-1", "db-2", "dash-ed"]
    lines = b"".join(
        schema(one, {"id": {"type": "integer"}}, ["id"]) + record(one, {"id": 1}) for one in streams
    )
    out = push(functions_of(text, tmp_path), lines)
    assert out.records("s") == [{"id": 1, "by": "name"}]
    assert out.records("orders") == [{"number": 1}]
    assert out.of("SCHEMA", "orders")[0]["key_properties"] == ["number"]
    assert out.records("db-2") == [{"id": 1, "by": "pattern"}]
    assert out.records("dash-ed") == [{"id": 1, "by": "identifier"}]
    assert not out.of("RECORD", "public-orders")


def test_several_files_in_a_row_each_get_what_the_one_before_made(flow: Flow, code: Code) -> None:
    one = code("@transform('s', into='t')\ndef f(df):\n    return df.assign(n=df['n'] + 1)\n", "one.py")
    two = code("def t(df):\n    return df.assign(n=df['n'] * 2)\ndef other(df):\n    return None\n", "two.py")
    result = flow("transform", one, f"{two}:t", "--plain", stdin=SCHEMA + records("s", rows(2)) + state(9))
    assert result.code == 0, result.stderr
    assert [m["record"]["n"] for m in result.messages if m["type"] == "RECORD"] == [22, 42]
    assert {m["stream"] for m in result.messages if m["type"] == "RECORD"} == {"t"}
    assert result.messages[-1] == {"type": "STATE", "value": 9}
    assert "other" not in result.stderr


def test_one_function_of_a_file_leaves_the_others_out(flow: Flow, code: Code) -> None:
    file = code("def s(df):\n    return df\ndef users(df):\n    return df.assign(n=0)\n")
    data = SCHEMA + records("s", rows(1)) + schema("users", {"n": INTEGER}) + record("users", {"n": 1.0})
    result = flow("transform", f"{file}:s", "--plain", stdin=data)
    assert record("users", {"n": 1.0}) in result.stdout
    missing = flow("transform", f"{file}:nobody", stdin=data)
    assert missing.code == 2
    assert "It has: s, users" in missing.stderr


def test_print_in_the_users_file_does_not_reach_stdout(flow: Flow, code: Code) -> None:
    text = "import os, sys\nprint('at import')\ndef s(df):\n    print('in the call')\n    os.write(1, b'raw')\n    return df\n"
    result = flow("transform", code(text), "--plain", stdin=SCHEMA + records("s", rows(1)))
    assert [m["type"] for m in result.messages] == ["SCHEMA", "RECORD"]
    assert "at import" in result.stderr
    assert "in the call" in result.stderr
    assert "raw" in result.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def s(df):\n    return df[\n", ["t.py, line 4", "never closed"]),
        ("import nothing_like_this\ndef s(df):\n    return df\n", ["t.py, line 3", "nothing_like_this"]),
        ("X = 1\n", ["no usable function"]),
        ("def s(df):\n    return 3\n", ["t.py:3, function 's' returned int"]),
        ("def s(df):\n    return 'text'\n", ["returned str"]),
        ("def s(df):\n    return df['id']\n", ["Series"]),
        ("def s(df):\n    return [1, 2]\n", ["returned int"]),
        ("def s(df):\n    return df.assign(x=[b'bytes'] * len(df))\n", ["column 'x'", "bytes"]),
        ("def s(df):\n    return df.assign(x=[1j] * len(df))\n", ["column 'x'", "complex"]),
        ("def s(df):\n    return pd.concat([df, df], axis=1)\n", ["two columns named 'id'"]),
        ("@transform('s', 't', whole=True)\ndef f(a):\n    return a\n", ["1 parameter,", "2 stream"]),
        ("@transform('s', 't')\ndef f(a, b):\n    return a\n", ["whole=True"]),
        (
            "def s(df):\n    return df\n@transform('s')\ndef again(df):\n    return df\n",
            ["wanted by two functions"],
        ),
        ("@transform(into='passing')\ndef s(df):\n    return df\n", ["'passing'", "passes untouched"]),
        (
            "@transform('s', 't', whole=True)\ndef f(a, b):\n    return {'s': a}\n",
            ["needs stream 't', which never came"],
        ),
    ],
)
def test_a_file_that_cannot_be_used_says_why(flow: Flow, code: Code, text: str, said: list[str]) -> None:
    data = schema("passing", {"id": INTEGER}) + SCHEMA + records("s", rows(3))
    result = flow("transform", code(text), stdin=data)
    assert result.code == 65, result.stderr
    for part in said:
        assert part in result.stderr
    assert "Traceback" not in result.stderr


def test_a_missing_file_is_a_usage_error(flow: Flow) -> None:
    result = flow("transform", "nowhere.py", stdin=SCHEMA)
    assert (result.code, "No such file: nowhere.py" in result.stderr) == (2, True)


def test_a_record_before_its_schema_stops_the_run(flow: Flow, code: Code) -> None:
    result = flow("transform", code(IDENTITY), stdin=state(1) + record("s", {"id": 1}))
    assert result.code == 65
    assert "Line 2: a record of stream 's' came before its SCHEMA" in result.stderr


def test_x20_records_before_their_schema_are_rejected_and_counted(tmp_path: Path) -> None:
    early = [record("s", {"id": 1}), record("s", {"id": 2})]
    out = push(
        functions_of(IDENTITY, tmp_path), b"".join([*early, SCHEMA, records("s", rows(2))]), reject=True
    )
    assert [(number, stream, line + b"\n") for number, stream, line, _ in out.rejects] == [
        (1, "s", early[0]),
        (2, "s", early[1]),
    ]
    assert out.records("s") == rows(2)


def test_a_line_cut_short_at_the_end_makes_the_stream_incomplete(flow: Flow, code: Code) -> None:
    result = flow("transform", code(IDENTITY), stdin=SCHEMA + record("s", {"id": 1})[:-5])
    assert result.code == 75
    assert "its last line (2) is cut short" in result.stderr


def test_a_last_line_without_its_newline_is_taken(flow: Flow, code: Code) -> None:
    result = flow("transform", code(IDENTITY), "--plain", stdin=SCHEMA + record("s", {"id": 1})[:-1])
    assert result.code == 0
    assert [m["type"] for m in result.messages] == ["SCHEMA", "RECORD"]


def test_noise_stops_the_run_or_goes_to_stderr(flow: Flow, code: Code) -> None:
    data = b"INFO starting\n" + SCHEMA + record("s", {"id": 1})
    stopped = flow("transform", code(IDENTITY), stdin=data)
    assert stopped.code == 65
    assert "Line 1" in stopped.stderr
    taken = flow("transform", code(IDENTITY), "--noise", "stderr", stdin=data)
    assert taken.code == 0
    assert "INFO starting" in taken.stderr


def test_marks_are_checked_and_made_anew(flow: Flow, code: Code) -> None:
    lines = [
        add_mark(SCHEMA[:-1], Header("run", tap="tap-x", environment="dev")) + b"\n",
        *(record("s", row) for row in rows(4)),
        state(1),
    ]
    lines.append(add_mark(lines[-1][:-1], Trailer("run", ok=True, lines=6, records={"s": 4})) + b"\n")
    result = flow("transform", code("def s(df):\n    return df[df['id'] > 2]\n"), stdin=b"".join(lines))
    assert result.code == 0, result.stderr
    assert result.messages[0]["_flow"] == {"v": 1, "run": "run", "tap": "tap-x", "env": "dev"}
    trailer = result.messages[-1]["_flow"]
    assert trailer == {"v": 1, "run": "run", "end": "ok", "code": 0, "lines": 4, "records": {"s": 2}}


def test_a_failure_is_told_to_the_next_stage(flow: Flow, code: Code) -> None:
    data = SCHEMA + records("s", rows(4))
    result = flow(
        "transform",
        code("def s(df):\n    assert df['id'].max() < 4\n    return df\n"),
        "--batch-records",
        "3",
        stdin=data,
    )
    assert result.code == 65
    trailer = result.messages[-1]["_flow"]
    assert (trailer["end"], trailer["code"]) == ("failed", 65)


def test_it_works_as_a_meltano_mapper(flow: Flow, code: Code, tmp_path: Path) -> None:
    about = flow("transform", "--about", "--format", "json")
    assert json.loads(about.stdout)["capabilities"] == ["stream-maps"]
    config = tmp_path / "mapper.json"
    config.write_text(json.dumps({"files": [code("def s(df):\n    return df.assign(n=0)\n")]}))
    result = flow("transform", "--config", config, stdin=SCHEMA + records("s", rows(1)) + state(1))
    assert result.code == 0, result.stderr
    assert result.messages[1]["record"]["n"] == 0
    wrong = flow("transform", "--config", '{"files": "t.py"}', stdin=SCHEMA)
    assert wrong.code == 2


def test_nothing_to_run_is_a_usage_error(flow: Flow) -> None:
    assert flow("transform", stdin=SCHEMA).code == 2


# ------------------------------------------------------------------------------------ what comes back


RETURNS = {
    "frame": "return df.assign(n=df['n'] + 1)",
    "dicts": "return [{**row, 'n': row['n'] + 1} for row in df.to_dict('records')]",
    "generator": "return ({**row, 'n': row['n'] + 1} for row in df.to_dict('records'))",
    "yield": "for row in df.to_dict('records'):\n        yield {**row, 'n': row['n'] + 1}",
    "lists": "return [[row.id, row.n + 1, row.name_] for row in df.rename(columns={'name': 'name_'}).itertuples()]",
    "frames": "yield df.head(1).assign(n=df['n'] + 1)\n    yield df.tail(-1).assign(n=df['n'] + 1)",
    "pair": "return df.assign(n=df['n'] + 1), {'fields': [{'name': 'n', 'type': 'integer', 'title': 'N'}]}",
    "rows-pair": "return [[i, n + 1, t] for i, n, t in df.itertuples(index=False)], {'fields': [{'name': 'id', 'type': 'integer'}, {'name': 'n', 'type': 'integer'}, {'name': 'name', 'type': 'string'}], 'primaryKey': 'id'}",
    "mapping": "return {'s': df.assign(n=df['n'] + 1)}",
    "mapping-of-rows": "return {'s': [{**row, 'n': row['n'] + 1} for row in df.to_dict('records')]}",
    "mapping-of-pairs": "return {'s': (df.assign(n=df['n'] + 1), {'fields': [{'name': 'n', 'type': 'integer'}]})}",
}


@pytest.mark.parametrize("body", RETURNS.values(), ids=RETURNS)
def test_every_return_type_gives_the_same_records(tmp_path: Path, body: str) -> None:
    out = push(functions_of(f"def s(df):\n    {body}\n", tmp_path), SCHEMA + records("s", rows(4)))
    assert out.records("s") == [{**row, "n": row["n"] + 1} for row in rows(4)]
    assert out.of("SCHEMA")[0]["key_properties"] == ["id"]
    check_valid(out.messages)


def test_a_declared_table_schema_wins(tmp_path: Path) -> None:
    text = (
        "@transform(key=['day'])\ndef s(df):\n"
        "    out = pd.DataFrame({'day': ['2026-01-01'] * len(df), 'n': df['n']})\n"
        "    return out, {'fields': [{'name': 'day', 'type': 'date', 'title': 'Day'}, {'name': 'n', 'type': 'any'}]}\n"
    )
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(1)))
    assert out.properties("s") == {"day": {"type": "string", "format": "date", "title": "Day"}, "n": {}}


def test_null_in_a_column_declared_as_required_is_refused(tmp_path: Path) -> None:
    text = (
        "def s(df):\n    fields = [{'name': 'n', 'type': 'integer', 'constraints': {'required': True}}]\n"
        "    return df.assign(n=pd.array([None] * len(df), dtype='Int64')), {'fields': fields}\n"
    )
    with pytest.raises(TransformError, match="column 'n' is null"):
        push(functions_of(text, tmp_path), SCHEMA + records("s", rows(1)))


def test_drop_drops_the_stream_and_says_so(flow: Flow, code: Code) -> None:
    result = flow(
        "transform",
        code("from flow_singer import DROP\ndef s(df):\n    return DROP\n"),
        "--plain",
        stdin=SCHEMA + records("s", rows(3)) + state(1),
    )
    assert result.code == 0
    assert result.messages == [{"type": "STATE", "value": 1}]
    assert "3 records dropped" in result.stderr


def test_fan_out_makes_streams_of_their_own(tmp_path: Path) -> None:
    text = "def s(df):\n    return {'small': df[df['id'] < 3], 'large': df[df['id'] >= 3]}\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(4)) + state(1))
    assert [row["id"] for row in out.records("small")] == [1, 2]
    assert [row["id"] for row in out.records("large")] == [3, 4]
    assert out.of("SCHEMA", "small")[0]["key_properties"] == []
    assert out.properties("small") == out.properties("large") == json.loads(SCHEMA)["schema"]["properties"]
    assert not out.of("SCHEMA", "s")


def test_two_streams_into_one_share_one_schema(tmp_path: Path) -> None:
    text = "@transform('a*', into={'all': ['id']}, batch=True)\ndef one(df):\n    return df\n"
    first = schema(
        "a1",
        {"id": {"type": "integer"}, "x": {"$ref": "#/definitions/x"}},
        ["id"],
        title="one",
        definitions={"x": {"type": "string"}},
    )
    second = schema("a2", {"id": {"type": "integer"}, "y": TEXT}, ["id"], title="two")
    lines = [first, second]
    for i in range(8):
        lines.append(record("a1", {"id": i, "x": "x"}) if i % 2 else record("a2", {"id": i, "y": None}))
    out = push(functions_of(text, tmp_path), lines, batch_records=1)
    assert len(out.schemas("all")) <= 3
    assert [row["id"] for row in out.records("all")] == list(range(8))
    check_valid(out.messages)


def test_rows_functions_give_none_one_or_several_records(tmp_path: Path) -> None:
    text = (
        "def s(row):\n"
        "    if row['id'] == 1:\n        return None\n"
        "    if row['id'] == 2:\n        return {**row, 'n': 'text'}\n"
        "    return [row, {'id': 99}]\n"
    )
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(3)))
    assert out.records("s") == [{**rows(1, 2)[0], "n": "text"}, rows(1, 3)[0], {"id": 99}]
    check_valid(out.messages)


def test_rows_functions_fan_out_with_into(tmp_path: Path) -> None:
    text = (
        "@transform(rows=True, into={'s': ['id'], 'labels': []})\n"
        "def s(row):\n    return {'s': {'id': row['id']}, 'labels': [{'label': one} for one in row['name'].split()]}\n"
    )
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(2)))
    assert out.records("s") == [{"id": 1}, {"id": 2}]
    assert [one["label"] for one in out.records("labels")] == ["name", "1", "name", "2"]


def test_rows_function_error_names_the_line(tmp_path: Path) -> None:
    functions = functions_of("def s(row):\n    return {'id': 6 // (row['id'] - 2)}\n", tmp_path)
    with pytest.raises(
        TransformError, match=r"t\.py, line 4, function 's', stream 's': ZeroDivisionError.*input line 3"
    ):
        push(functions, SCHEMA + records("s", rows(3)))


def test_rows_function_returning_nonsense_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TransformError, match="returned int, which is no record"):
        push(functions_of("def s(row):\n    return 3\n", tmp_path), SCHEMA + records("s", rows(1)))


def test_whole_function_joins_two_streams(tmp_path: Path) -> None:
    text = (
        "@transform('s', 'users', whole=True, into={'report': ['id']})\n"
        "def by_user(s, users):\n    return s.merge(users, on='n', how='left')\n"
    )
    lines = [
        schema("users", {"n": INTEGER, "login": TEXT}),
        record("users", {"n": 10, "login": "ada"}),
        SCHEMA,
        records("s", rows(2)),
        state(1),
    ]
    out = push(functions_of(text, tmp_path), lines)
    assert out.records("report") == [{**rows(1)[0], "login": "ada"}, {**rows(1, 2)[0], "login": None}]
    assert out.of("SCHEMA", "report")[0]["key_properties"] == ["id"]
    check_valid(out.messages)


def test_package_function_gets_and_gives_the_whole_run(tmp_path: Path) -> None:
    text = (
        "def transform(package):\n"
        "    assert package.schemas['s']['key_properties'] == ['id']\n"
        "    package['s'] = package['s'].assign(n=0)\n"
        "    package['sums'] = pd.DataFrame({'total': [len(package['u'])]})\n"
        "    del package['u']\n"
        "    return package\n"
    )
    lines = [SCHEMA, records("s", rows(2)), schema("u", {"id": INTEGER}), record("u", {"id": 1}), state(1)]
    out = push(functions_of(text, tmp_path), lines)
    assert [row["n"] for row in out.records("s")] == [0, 0]
    assert out.records("sums") == [{"total": 1}]
    assert not out.of("SCHEMA", "u")
    assert out.messages[-1] == {"type": "STATE", "value": 1}


# ------------------------------------------------------------------------------------ the split check


@pytest.mark.parametrize(
    "body",
    [
        "df.sort_values('n', ascending=False)",
        "df.groupby(df['n'] % 2, as_index=False).first()",
        "df.assign(total=df['n'].cumsum())",
        "df.assign(rank=df['n'].rank())",
        "df.assign(row=range(len(df)))",
        "df.drop_duplicates('name')",
    ],
)
def test_split_check_refuses_what_looks_across_rows(flow: Flow, code: Code, body: str) -> None:
    data = SCHEMA + b"".join(record("s", {"id": i, "n": (i * 7) % 10, "name": "same"}) for i in range(20))
    result = flow(
        "transform", code(f"@transform(key=[])\ndef s(df):\n    return {body}\n"), "--plain", stdin=data
    )
    assert result.code == 65
    assert result.stdout == b""
    assert "whole=True" in result.stderr
    assert "batch=True" in result.stderr
    allowed = flow(
        "transform",
        code(f"@transform(key=[], batch=True)\ndef s(df):\n    return {body}\n"),
        "--plain",
        stdin=data,
    )
    assert allowed.code == 0, allowed.stderr


@pytest.mark.parametrize(
    "body",
    [
        "df.assign(chance=[random.random() for _ in range(len(df))])",
        "df.assign(id=[uuid.uuid4().hex for _ in range(len(df))])",
        "df.assign(at=time.time_ns())",
        "df[df['n'] > 5]",
        "df.explode('name')",
        "df.assign(text=df['name'].str.upper())",
    ],
)
def test_split_check_lets_pass_what_is_random_or_goes_row_by_row(tmp_path: Path, body: str) -> None:
    text = f"import random, uuid, time\ndef s(df):\n    return {body}\n"
    out = push(functions_of(text, tmp_path), SCHEMA + records("s", rows(20)))
    assert out.records("s")


def test_split_check_looks_at_the_first_batch_only(tmp_path: Path) -> None:
    functions = functions_of("CALLS = []\ndef s(df):\n    CALLS.append(len(df))\n    return df\n", tmp_path)
    push(functions, SCHEMA + records("s", rows(30)), batch_records=10)
    assert functions[0].call.__globals__["CALLS"].count(10) <= 4
    assert functions[0].call.__globals__["CALLS"][-2:] == [10, 10]


# ------------------------------------------------------------------------------ whole on an increment


@pytest.mark.parametrize("incremental", [False, True])
def test_whole_function_on_a_resumed_stream_needs_incremental(
    flow: Flow, code: Code, incremental: bool
) -> None:
    text = f"@transform('s', whole=True, incremental={incremental})\ndef top(df):\n    return df\n"
    lines = [add_mark(SCHEMA[:-1], Header("run", resumed=("s",))) + b"\n", record("s", {"id": 1}), state(1)]
    lines.append(add_mark(lines[-1][:-1], Trailer("run", ok=True, lines=3, records={"s": 1})) + b"\n")
    result = flow("transform", code(text), stdin=b"".join(lines))
    assert result.code == (0 if incremental else 65), result.stderr
    if not incremental:
        assert "--full-refresh" in result.stderr
        assert "incremental=True" in result.stderr
        assert not [m for m in result.messages if m["type"] == "RECORD"]


def test_whole_function_behind_another_file_still_knows_that_the_stream_resumed(
    flow: Flow, code: Code
) -> None:
    first = code(IDENTITY, "one.py")
    second = code("@transform('s', whole=True)\ndef top(df):\n    return df\n", "two.py")
    lines = add_mark(SCHEMA[:-1], Header("run", resumed=("s",))) + b"\n" + record("s", {"id": 1})
    result = flow("transform", first, second, stdin=lines)
    assert result.code == 65
    assert "--full-refresh" in result.stderr


# --------------------------------------------------------------------------------- a changing SCHEMA


def test_a_schema_that_changes_midway_only_widens(tmp_path: Path) -> None:
    functions = functions_of("def s(df):\n    return df\n", tmp_path)
    later = schema("s", {"id": {"type": "integer"}, "n": NUMBER, "more": STAMP}, ["id"])
    lines = [
        SCHEMA,
        records("s", rows(2)),
        later,
        record("s", {"id": 3, "n": 1.5, "more": "2026-01-01T00:00:00Z"}),
        SCHEMA,
        records("s", rows(1, 4)),
    ]
    out = push(functions, lines)
    assert out.properties("s") == {
        "id": {"type": "integer"},
        "n": {"type": ["null", "number"]},
        "name": TEXT,
        "more": STAMP,
    }
    assert out.records("s")[:2] == rows(2)
    assert {k: v for k, v in out.records("s")[2].items() if v is not None} == {
        "id": 3,
        "n": 1.5,
        "more": "2026-01-01T00:00:00Z",
    }
    check_valid(out.messages)


def test_a_whole_stream_whose_schema_changes_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(MessageError, match="changed while"):
        push(
            functions_of(WHOLE, tmp_path),
            [SCHEMA, records("s", rows(1)), schema("s", {"id": INTEGER}, ["id"])],
        )


# --------------------------------------------------------------------------------------- the split check


def test_the_split_check_looks_at_each_of_the_first_streams_of_a_function(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flow_singer.transforms.batchrunner.SPLIT_CHECK_STREAMS", 2)
    calls = tmp_path / "calls"
    seen = f"with open({str(calls)!r}, 'a') as file:\n        file.write(df['name'][0] + ' ')"
    function = f"@transform('s*')\ndef f(df):\n    {seen}\n    return df\n"
    one, _ = transformer(functions_of("from flow_singer import transform\n" + function, tmp_path))
    for name in ("s1", "s2", "s3", "s4"):
        one.push(schema(name, {"id": INTEGER, "name": TEXT}))
        one.push(records(name, [{"id": number, "name": name} for number in range(4)]))
    one.finish(complete=True)
    counts = [calls.read_text().split().count(name) for name in ("s1", "s2", "s3", "s4")]
    assert counts == [4, 4, 1, 1]  # once for the batch, and for its head and the two halves of that
