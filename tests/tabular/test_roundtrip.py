"""Records through functions: what a function leaves alone leaves as it came, value for value and type for type."""

from __future__ import annotations

import json
import random
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
from hypothesis import given, settings
from hypothesis import strategies as st
from pushed import Pushed, functions_of, line, push, schema, state
from strategies import lines_of, streams

from flow_singer.transforms.functions import StreamFunction

QUICK = settings(max_examples=60)


@cache
def functions(body: str, options: str = "batch=True") -> list[StreamFunction]:
    folder = Path(tempfile.mkdtemp(prefix="flow-test-"))
    return functions_of(f"@transform('s', {options})\ndef f(df):\n    return {body}\n", folder)


def exact(rows: list[dict[str, Any]]) -> list[str]:
    """Texts that differ where a value or its type does."""
    return [json.dumps(row, sort_keys=True) for row in rows]


def check_valid(out: Pushed) -> None:
    last: dict[str, Any] = {}
    for message in out.messages:
        if message["type"] == "SCHEMA":
            last = message["schema"]
        elif message["type"] == "RECORD":
            jsonschema.Draft7Validator(last).validate(message["record"])


@QUICK
@given(streams(), st.integers(1, 10))
def test_identity_is_identity_in_batches_of_any_size(
    stream: tuple[bytes, list[dict[str, Any]]], size: int
) -> None:
    head, rows = stream
    out = push(functions("df"), [head, *lines_of(rows)], batch_records=size)
    assert exact(out.records("s")) == exact(rows)
    assert [m["time_extracted"] for m in out.of("RECORD")] == [f"t{i}" for i in range(len(rows))]
    assert out.of("SCHEMA")[0] == json.loads(head)
    assert len(out.of("SCHEMA")) == 1
    check_valid(out)


@QUICK
@given(streams(), st.integers(1, 10))
def test_rows_function_that_returns_its_row_is_identity(
    stream: tuple[bytes, list[dict[str, Any]]], size: int
) -> None:
    head, rows = stream
    rows = [{k: v for k, v in row.items() if k != "undeclared" or v is not None} for row in rows]
    out = push(functions("df", "rows=True"), [head, *lines_of(rows)], batch_records=size)
    assert exact(out.records("s")) == exact(rows)
    check_valid(out)


@QUICK
@given(streams(), st.integers(1, 10))
def test_changing_one_column_changes_no_other(stream: tuple[bytes, list[dict[str, Any]]], size: int) -> None:
    head, rows = stream
    out = push(functions("df.assign(new=range(len(df)))"), [head, *lines_of(rows)], batch_records=size)
    without = [{k: v for k, v in row.items() if k != "new"} for row in out.records("s")]
    assert exact(without) == exact(rows)
    check_valid(out)


@QUICK
@given(
    streams(),
    st.integers(1, 10),
    st.sampled_from(["df.iloc[::2]", "df.iloc[::-1]", "pd.concat([df.iloc[3:], df.iloc[:3]])"]),
)
def test_filter_order_and_concat_keep_whole_records(
    stream: tuple[bytes, list[dict[str, Any]]], size: int, body: str
) -> None:
    head, rows = stream
    if json.loads(head)["key_properties"]:
        out = push(functions(body), [head, *lines_of(rows)], batch_records=size)
        assert set(exact(out.records("s"))) <= set(exact(rows))
        assert {(m["record"]["id"], m["time_extracted"]) for m in out.of("RECORD")} <= {
            (row["id"], f"t{i}") for i, row in enumerate(rows)
        }
        check_valid(out)


@QUICK
@given(
    streams(),
    st.sampled_from(
        [
            "df.iloc[1::2].reset_index(drop=True)",
            "df.iloc[::-1].reset_index(drop=True)",
            "df.iloc[1:].set_index('id').reset_index()",
            "df.iloc[1::2].merge(df[['id']], on='id')",
            "df.iloc[2:].drop_duplicates('id', ignore_index=True)",
        ]
    ),
)
def test_a_new_index_never_mixes_records_up(stream: tuple[bytes, list[dict[str, Any]]], body: str) -> None:
    head, rows = stream
    if json.loads(head)["key_properties"]:
        out = push(functions(body), [head, *lines_of(rows)])
        assert set(exact(out.records("s"))) <= set(exact(rows))
        for message in out.of("RECORD"):
            assert message["time_extracted"] == f"t{message['record']['id'] // 3}"


@QUICK
@given(st.lists(st.integers(0, 2), max_size=8), st.booleans())
def test_without_a_key_a_new_index_takes_nothing_from_other_records(values: list[int], ordered: bool) -> None:
    head = schema("s", {"n": {"type": ["null", "integer"]}, "m": {"type": ["null", "integer"]}})
    rows = [{"n": n, "own": i} if n else {"n": n, "m": i, "own": i} for i, n in enumerate(values)]
    body = "df.sort_values('n', ignore_index=True)" if ordered else "df[df['n'] > 0].reset_index(drop=True)"
    out = push(functions(body), [head, *lines_of(rows)])
    expected = sorted(values) if ordered else [n for n in values if n]
    assert [row["n"] for row in out.records("s")] == expected
    kept = [i for i, n in enumerate(values) if ordered or n]
    for position, row in enumerate(out.records("s")):
        if "own" in row:
            assert values[row["own"]] == row["n"]
            assert ordered or row["own"] == kept[position]


@QUICK
@given(streams(least=1))
def test_explode_and_repeat_keep_values(stream: tuple[bytes, list[dict[str, Any]]]) -> None:
    head, rows = stream
    out = push(functions("df.loc[df.index.repeat(2)]"), [head, *lines_of(rows)])
    known = {
        json.dumps({k: v for k, v in row.items() if v is not None and k != "undeclared"}, sort_keys=True)
        for row in rows
    }
    for row in out.records("s"):
        assert (
            json.dumps({k: v for k, v in row.items() if v is not None and k != "undeclared"}, sort_keys=True)
            in known
        )
    assert len(out.records("s")) == 2 * len(rows)


@QUICK
@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 9))
def test_state_never_overtakes_and_is_byte_identical(seed: int, count: int, size: int) -> None:
    chance = random.Random(seed)
    names = [f"s{i}" for i in range(count)]
    folder = Path(tempfile.mkdtemp(prefix="flow-test-"))
    mapped = functions_of(
        "@transform('s0', 's2', whole=True)\ndef w(a, b):\n    return {'s0': a, 's2': b}\ndef s1(df):\n    return df\ndef s3(row):\n    return row\n"
        if count > 2
        else "def s0(df):\n    return df\n",
        folder,
    )
    lines = [schema(name, {"id": {"type": "integer"}}, ["id"]) for name in names]
    covered, sent = {}, []
    for n in range(60):
        if chance.random() < 0.25:
            text = b'{"value": {"n": %d, "ratio": 1.%d0},  "type":"STATE"}' % (n, n)
            covered[text] = set(sent)
            lines.append(text + b"\n")
        else:
            sent.append((chance.choice(names), n))
            lines.append(line({"type": "RECORD", "stream": sent[-1][0], "record": {"id": n}}))
    data = b"".join(lines)
    cuts = sorted(chance.randrange(len(data)) for _ in range(5))
    out = push(
        mapped, [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)], batch_records=size
    )
    seen: set[tuple[str, int]] = set()
    states = []
    for text, message in zip(out.lines, out.messages, strict=True):
        if message["type"] == "RECORD":
            seen.add((message["stream"], message["record"]["id"]))
        elif message["type"] == "STATE":
            assert covered[text] <= seen
            states.append(text)
    assert seen == set(sent)
    assert states == [text for text in covered if text in states]
    assert states[-1:] == list(covered)[-1:]


def test_state_alone_passes() -> None:
    assert push(functions("df"), state({"a": 1})).lines == [state({"a": 1})[:-1]]
