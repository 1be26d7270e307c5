"""Functions that see some columns only: what they do not see stays with its row, as it came."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pushed import INTEGER, NUMBER, TEXT, Pushed, functions_of, push, record, records, schema
from strategies import NAMES, lines_of, streams

from flow_singer import transform
from flow_singer.errors import DataError, TransformError
from flow_singer.singer.linenumbers import each_line
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular import parallel, recorddecoder
from flow_singer.tabular.batch import Batch
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.tabular.unreadmembers import BLANKS, Separator, is_worth_it
from flow_singer.transforms.functions import StreamFunction

MANY = {f"c{n}": TEXT for n in range(40)}
HEAD = schema("s", {"c40": TEXT, "id": {"type": "integer"}, "n": INTEGER, **MANY}, ["id"])
ROWS = [{"id": i, "n": i * 10, **{name: f"{name} of {i}" for name in MANY}, "c40": None} for i in range(1, 5)]
IDENTITY = "def s(df):\n    return df\n"


@pytest.fixture(params=[True, False], ids=["separated", "as columns"], autouse=True)
def separated(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways to leave members alone give the same."""
    monkeypatch.setattr(recorddecoder, "is_worth_it", lambda *_: request.param)
    return bool(request.param)


def run(folder: Path, body: str, options: str = "", **more: Any) -> Pushed:
    code = f"@transform('s', columns=['n']{options})\ndef f(df):\n    {body}\n"
    return push(functions_of(code, folder), [HEAD, records("s", ROWS)], **more)


def test_it_sees_what_it_names_and_the_key(tmp_path: Path) -> None:
    out = run(tmp_path, "assert list(df) == ['id', 'n'], list(df)\n    df['n'] += 1\n    return df")
    assert out.records("s") == [{**row, "n": row["n"] + 1} for row in ROWS]


def test_the_schema_is_that_of_the_whole_stream_in_its_order(tmp_path: Path) -> None:
    out = run(tmp_path, "return df.assign(more=1.5, n=df['n'].astype(str))")
    properties = out.properties("s")
    assert list(properties) == ["c40", "id", "n", *MANY, "more"]
    assert properties["c1"] == TEXT
    assert properties["n"] == {"type": ["null", "string"]}
    assert properties["more"] == {"type": ["null", "number"]}


def test_a_stream_without_records_has_its_schema_too(tmp_path: Path) -> None:
    code = "@transform('s', columns=['n'])\ndef f(df):\n    return df\n"
    out = push(functions_of(code, tmp_path), HEAD)
    assert out.messages == [json.loads(HEAD)]


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("return df[df['n'] > 20]", [2, 3]),
        ("return df.sort_values('n', ascending=False)", [3, 2, 1, 0]),
        ("return df[df['n'] > 20].assign(id=lambda f: 9 - f['id'], n=0)", [2, 3]),
        ("return df.iloc[[1, 1]]", [1, 1]),
        ("return df.iloc[:0]", []),
        ("return df.drop(columns='n')", [0, 1, 2, 3]),
    ],
)
def test_rows_keep_their_columns_wherever_they_go(tmp_path: Path, body: str, rows: list[int]) -> None:
    found = run(tmp_path, body, ", batch=True").records("s")
    unseen = [{k: v for k, v in ROWS[row].items() if k not in ("id", "n")} for row in rows]
    assert [{k: v for k, v in one.items() if k not in ("id", "n")} for one in found] == unseen


def test_the_result_may_have_another_name_and_key(tmp_path: Path) -> None:
    out = run(
        tmp_path, "return df.rename(columns={'n': 'key'}).drop(columns='id')", ", into='t', key=['key']"
    )
    (head,) = out.of("SCHEMA", "t")
    assert head["key_properties"] == ["key"]
    assert out.records("t")[0] == {"key": 10, **{k: v for k, v in ROWS[0].items() if k not in ("id", "n")}}


def test_a_frame_without_columns_keeps_the_rest(tmp_path: Path) -> None:
    out = run(tmp_path, "return df[[]]", ", key=[]")
    assert out.records("s") == [{k: v for k, v in row.items() if k not in ("id", "n")} for row in ROWS]


@pytest.mark.parametrize(
    ("body", "options", "said"),
    [
        ("return df.assign(c1='x')", "", "makes a column 'c1'"),
        ("return pd.concat([df, df.assign(id=9)], ignore_index=True)", ", batch=True", "nothing tells"),
        ("return df.sort_values('n').reset_index(drop=True)", ", batch=True", "nothing tells"),
        ("return df.set_index('id', drop=False)", "", "nothing tells"),
        ("return [{'id': 1}]", ", batch=True", "nothing tells"),
        ("return df.groupby(df['n'] // 30, as_index=False).size()", ", key=[], batch=True", "nothing tells"),
        ("return {'a': df, 'b': df}", "", "returned 2 tables"),
        ("return df['c1']", "", "KeyError"),
        ("return df", ", key=['c1']", "key column 'c1' is missing"),
    ],
)
def test_what_cannot_be_matched_is_refused(tmp_path: Path, body: str, options: str, said: str) -> None:
    with pytest.raises(TransformError, match=said) as caught:
        run(tmp_path, body, options)
    assert "columns=" in str(caught.value.hint)


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    code = "@transform('s', columns=['n', 'm'])\ndef f(df):\n    return df\n"
    with pytest.raises(TransformError, match="wants to see 'm', which stream 's' lacks"):
        push(functions_of(code, tmp_path), HEAD)


@pytest.mark.parametrize(
    "options",
    [
        {"columns": "n"},
        {"columns": [1]},
        {"columns": ["n"], "whole": True},
        {"columns": ["n"], "rows": True},
        {"columns": ["n"], "into": ["a", "b"]},
    ],
)
def test_what_goes_with_columns_is_told_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match="columns"):
        transform("s", **options)


def test_a_record_that_does_not_fit_is_set_aside_whole_and_the_others_keep_their_rest(tmp_path: Path) -> None:
    bad = record("s", {**ROWS[1], "n": "x"})
    data = records("s", ROWS[:1]) + bad + records("s", ROWS[2:])
    code = "@transform('s', columns=['n'])\ndef f(df):\n    return df\n"
    out = push(functions_of(code, tmp_path), [HEAD, data], reject=True)
    assert [(number, line) for number, _, line, _ in out.rejects] == [(3, bad[:-1])]
    assert out.records("s") == [ROWS[0], *ROWS[2:]]


def test_a_row_that_the_function_fails_on_is_set_aside_whole(tmp_path: Path) -> None:
    out = run(tmp_path, "assert not (df['n'] == 20).any()\n    return df", ", batch=True", reject=True)
    ((_, _, line, _),) = out.rejects
    assert json.loads(line)["record"] == ROWS[1]
    assert out.records("s") == [ROWS[0], *ROWS[2:]]


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("df['n'] = pd.Series([x * 2 for x in df['n']])\n    return df", [20, 40, 60, 80]),
        ("df['n'] = df['n'].where(pd.Series([True, False] * 2), 0)\n    return df", [10, 0, 30, 0]),
        ("df[['n', 'm']] = pd.DataFrame([(x, x) for x in df['n']])\n    return df", [10, 20, 30, 40]),
        ("return df.join(pd.DataFrame({'m': [1] * 4}))", [10, 20, 30, 40]),
        ("return df.loc[:2]", [10, 20, 30]),
        ("return df[df.index < 2]", [10, 20]),
        ("return df.loc[df['n'].map({10: 1.0, 30: 2.0}).dropna().astype(int)]", [20, 30]),
        ("return pd.concat([df, df])", [10, 20, 30, 40] * 2),
        ("df.index = df.index.astype('float64').astype('int64')\n    return df", [10, 20, 30, 40]),
        ("return pd.DataFrame({'n': df['n'], 'id': df['id']})", [10, 20, 30, 40]),
    ],
)
def test_its_index_is_one_like_any_other(tmp_path: Path, body: str, found: list[int]) -> None:
    out = run(tmp_path, body, ", batch=True").records("s")
    assert [one["n"] for one in out] == found
    assert all(one["c1"] == f"c1 of {one['id']}" for one in out)


def test_a_column_without_values_hides_an_undeclared_key_of_that_name(tmp_path: Path) -> None:
    data = records("s", [{**ROWS[0], "x": "theirs"}])
    for code in ("@transform('s', columns=['n'])", "@transform('s')"):
        code += "\ndef f(df):\n    return df.assign(x=None)\n"
        (found,) = push(functions_of(code, tmp_path), [HEAD, data]).records("s")
        assert found.get("x") is None


@pytest.mark.parametrize("columns", [None, ("n",)])
def test_many_rejects_are_told_in_one_go(
    tmp_path: Path, columns: tuple[str, ...] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = schema("s", {"x": NUMBER, "y": NUMBER, **json.loads(HEAD)["schema"]["properties"]})
    rows = [{"x": "bad" if i % 3 else 1, "y": "bad" if i % 5 else 1, "id": i} for i in range(60)]
    built: list[int] = []
    build = RecordDecoder._batch
    monkeypatch.setattr(
        RecordDecoder,
        "_batch",
        lambda it, messages, *a: built.append(len(messages)) or build(it, messages, *a),
    )
    functions = [replace(one, columns=columns and ("x", "y")) for one in functions_of(IDENTITY, tmp_path)]
    out = push(functions, [head, records("s", rows)], reject=True)
    assert [one["id"] for one in out.records("s")] == [0, 15, 30, 45]
    assert sorted(number - 2 for number, *_ in out.rejects) == [i for i in range(60) if i % 15]
    assert all(json.loads(text)["record"]["id"] == number - 2 for number, _, text, _ in out.rejects)
    assert built == [60, 20, 4]


def test_records_of_one_key_keep_what_is_theirs(tmp_path: Path) -> None:
    rows = [{**ROWS[0], "n": 5, "c1": "of 5"}, {**ROWS[0], "n": 3, "c1": "of 3"}, {**ROWS[1], "n": 9}]
    code = "@transform('s', columns=['n'], batch=True)\ndef f(df):\n    return df.sort_values('n')\n"
    out = push(functions_of(code, tmp_path), [HEAD, records("s", rows)])
    assert out.records("s") == [rows[1], rows[0], rows[2]]


@pytest.mark.parametrize("ids", [[1, 2, 1, 2], [1, 1, 2, 2], [1, 1, 1, 1]])
def test_no_filter_is_refused_for_what_the_values_are(tmp_path: Path, ids: list[int]) -> None:
    rows = [{**row, "id": id_, "n": id_} for row, id_ in zip(ROWS, ids, strict=True)]
    code = "@transform('s', columns=['n'], key=[])\ndef f(df):\n    return df[df['n'] == 1]\n"
    out = push(functions_of(code, tmp_path), [HEAD, records("s", rows)])
    assert out.records("s") == [row for row in rows if row["n"] == 1]


def test_a_value_is_not_lost_to_a_null_or_to_one_that_the_function_replaced(tmp_path: Path) -> None:
    fewer = schema(
        "s", {"id": {"type": "integer"}, "n": INTEGER, **{f"d{n}": TEXT for n in range(40)}}, ["id"]
    )
    later = [{"id": 7, "n": 7, "c1": "still here", "x": "theirs"}]
    code = (
        "@transform('s', columns=['n'])\ndef f(df):\n    return df.assign(x='ours') if len(df) == 1 else df\n"
    )
    out = push(
        functions_of(code, tmp_path),
        [HEAD, records("s", ROWS), fewer, records("s", later), records("s", later * 2)],
        batch_records=4,
    )
    found = out.records("s")[4:]
    assert {one["c1"] for one in found} == {"still here"}


def test_what_the_function_made_counts_before_an_undeclared_key_of_that_name(tmp_path: Path) -> None:
    data = records("s", [{**ROWS[0], "x": "theirs"}])
    for code in ("@transform('s', columns=['n'])", "@transform('s')"):
        code += "\ndef f(df):\n    return df.assign(x='ours')\n"
        out = push(functions_of(code, tmp_path), [HEAD, data])
        assert out.records("s") == [{**ROWS[0], "x": "ours"}]


@pytest.mark.parametrize("name", ['"n"', '"\\u006e"'])
def test_a_column_that_a_record_has_twice_is_dropped_twice(tmp_path: Path, name: str) -> None:
    line = LINE % (name + ': 1, "c1": "x", "n": 3, "id": 4', "")
    code = "@transform('s', columns=['n'])\ndef f(df):\n    return df.drop(columns='n')\n"
    out = push(functions_of(code, tmp_path), [HEAD, line.encode()])
    assert out.records("s") == [{"c1": "x", "id": 4}]


def test_lines_that_cannot_be_taken_apart_leave_nothing_behind(tmp_path: Path) -> None:
    odd = b'{"record": {"c1" : "x",\t"id" :9, "n": 1 }, "stream": "s", "type": "RECORD"}\n'
    decoder = RecordDecoder(StreamSchema(json.loads(HEAD), read=["n"]))
    part = Part(records("s", ROWS[:1]) + odd + records("s", ROWS[1:2]), [(1, 3)])
    batch = decoder.decode([part])
    assert batch.columns["id"].values.to_pylist() == [1, 9, 2]
    if batch.rest is not None:
        assert decoder.undeclared == []
        assert batch.rest[1].as_py() == ""
    assert batch.undeclared["c1"].values[1].as_py() == '"x"'


@pytest.mark.parametrize("columns", [None, ["n"]])
@pytest.mark.parametrize("rows", [False, True])
def test_rejects_of_a_batch_message_are_the_records_that_were_bad(
    tmp_path: Path, columns: list[str] | None, rows: bool
) -> None:
    parts = [[1, 2, 3], [4, 5, 6]]
    for number, ids in enumerate(parts):
        text = "".join(json.dumps({**ROWS[0], "id": i, "n": "bad" if i in (4, 6) else i}) + "\n" for i in ids)
        (tmp_path / f"{number}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    files = [(tmp_path / f"{number}.jsonl.gz").as_uri() for number in range(2)]
    message = {"type": "BATCH", "stream": "s", "encoding": {"format": "jsonl", "compression": "gzip"}}
    line = json.dumps({**message, "manifest": files}).encode() + b"\n"
    code = "def s(row):\n    row['n'] + 1\n    return row\n" if rows else IDENTITY
    functions = [replace(one, columns=columns if not rows else None) for one in functions_of(code, tmp_path)]
    out = push(functions, [HEAD, line], reject=True)
    assert [one["id"] for one in out.records("s")] == [1, 2, 3, 5]
    assert [(number, json.loads(text)["record"]["id"]) for number, _, text, _ in out.rejects] == [
        (2, 4),
        (2, 6),
    ]


# ------------------------------------------------------------------------------------------------- fidelity


def seeing(names: list[str], folder: Path) -> list[StreamFunction]:
    return [replace(one, columns=tuple(names)) for one in functions_of(IDENTITY, folder)]


@settings(max_examples=60)
@given(streams(), st.integers(1, 10), st.data())
def test_what_is_not_seen_is_not_changed(
    tmp_path_factory: pytest.TempPathFactory,
    stream: tuple[bytes, list[dict[str, Any]]],
    size: int,
    data: st.DataObject,
) -> None:
    head, rows = stream
    names = [*json.loads(head)["schema"]["properties"]]
    seen = data.draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
    functions = seeing(seen, tmp_path_factory.getbasetemp())
    out = push(functions, [head, *lines_of(rows)], batch_records=size)
    texts = [[json.dumps(row, sort_keys=True) for row in each] for each in (out.records("s"), rows)]
    assert texts[0] == texts[1]
    assert [m["time_extracted"] for m in out.of("RECORD")] == [f"t{i}" for i in range(len(rows))]
    assert out.of("SCHEMA")[0] == json.loads(head)


LINE = '{"type": "RECORD", "stream": "s", "record": {%s}%s}\n'
WHOLE_LINES = [
    '{"type":"RECORD","stream":"s","record":{}}\n',
    '{"record":{},"type":"RECORD","stream":"s"}\n',
    '{"time_extracted": "t", "type": "RECORD", "stream": "s", "record": {"id": 5, "a": 6}}\r\n',
    '{"type": "RECORD", "stream": "s", "record": {"a": "x"}, "time_extracted": "t", "record": {"id": 5, "b": 1}}\n',
    '{"type": "RECORD", "stream": "s", "record": {"a": 1}, "version": {}, "version": 2}\n',
    '{"type": "RECORD", "stream": "s", "record": {"id": 1,  "n": 2}}\n',
]
UNUSUAL = [
    *('"id": 1', '"id":1,"n":2', '"a": 1, "id": 2', '"a": {"id": 3}, "id": 2, "b": "\\"id\\": 7"', ""),
    *(
        '"a": 1',
        ' "id": 1 ',
        '"id" : 1, "a": 2',
        '"i\\u0064": 1, "a": 2',
        '"id":  5, "a": 2',
        '"a": 1,\t"id": 2',
    ),
    *('"id": 1, "a": 0, "id": 2', '"n": 1, "a": 2, "n": 3, "b": 4', '"a": "\\ud83d\\ude80", "n": null'),
    *(
        '"a": [1, {"n": 2}], "n": 4, "b": [], "c": {}, "id": 9',
        '"a":1.50,"b":1e400,"n":1',
        '"ü": "ä", "id": 1',
    ),
]
BESIDE = [
    "",
    ', "time_extracted": "t"',
    ',"version": 3, "sequence" : 4',
    ', "version": {"record": {}}',
    ', "more": 1',
    " ",
]


def number_text(text: str) -> str:
    return f"number {text}"


def read(text: str | bytes) -> Any:
    return json.loads(text, parse_float=number_text, parse_int=number_text)


PUT_TOGETHER = st.tuples(st.sampled_from(UNUSUAL), st.sampled_from(BESIDE)).map(lambda one: LINE % one)


@given(st.lists(PUT_TOGETHER | st.sampled_from(WHOLE_LINES), min_size=1, max_size=6))
def test_both_halves_of_a_record_are_the_record(parts: list[str]) -> None:
    texts = [one.encode() for one in parts]
    part, rest = Separator(["id", "n"]).separate(Part(b"".join(texts), [(1, len(texts))]))
    halves = part.data.split(b"\n")[:-1]
    assert len(halves) == len(texts)
    for line, half, other in zip(texts, halves, [""] * len(texts) if rest is None else rest, strict=True):
        whole, left = read(line), read(half)
        members = read("{" + str(other).rstrip(BLANKS) + "}")
        assert {**members, **left.pop("record")} == whole.pop("record")
        assert left == whole


@pytest.mark.parametrize("text", UNUSUAL[:5])
def test_what_taps_write_is_taken_apart(text: str) -> None:
    part, rest = Separator(["id", "n"]).separate(Part((LINE % (text, BESIDE[1])).encode(), [(1, 1)]))
    assert rest is not None
    assert set(read(part.data)["record"]) <= {"id", "n"}
    assert rest[0].as_py() == ("" if '"a"' not in text else rest[0].as_py())
    assert '"id": 2' not in rest[0].as_py()


@pytest.mark.parametrize("name", NAMES)
def test_any_name_can_be_seen_or_not(tmp_path: Path, name: str) -> None:
    rows = [{name: "x", "other": 1}, {name: None, "other": 2}, {"other": 3}]
    head = schema("s", {name: TEXT, "other": INTEGER})
    for seen in ([name], ["other"]):
        assert push(seeing(seen, tmp_path), [head, records("s", rows)]).records("s") == rows


def test_bytes_that_are_no_text_are_found_in_what_is_not_seen(tmp_path: Path) -> None:
    bad = b'{"type": "RECORD", "stream": "s", "record": {"id": 1, "c1": "\xff"}}\n'
    out = push(seeing(["n"], tmp_path), [HEAD, records("s", ROWS) + bad], reject=True)
    assert [line for _, _, line, _ in out.rejects] == [bad[:-1]]
    assert out.records("s") == ROWS


def test_the_second_process_takes_records_apart_as_this_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()  # the second process decides by itself
    head = StreamSchema(json.loads(HEAD), read=["n"])
    assert is_worth_it(len(head.properties), len(head.unread))
    monkeypatch.setattr(parallel, "WORTH_IT_BYTES", 0)
    one = parallel.ParallelDecoder(2)
    one.expect(0)
    got: list[Batch] = []
    worker = one._worker
    assert worker is not None
    worker._next_size()  # it is up
    worker._up = True
    answers: list[bytes] = []
    receive = parallel._Worker.receive
    monkeypatch.setattr(parallel._Worker, "receive", lambda it: answers.append(receive(it)) or answers[-1])
    part = Part(records("s", ROWS), [(1, len(ROWS))])
    one.decode(RecordDecoder(head), [part], got.append)
    one.drain()
    one.close()
    here = RecordDecoder(head).decode([part])
    assert answers[0]
    assert got[0].rest is not None
    assert got[0].rest.equals(here.rest)
    assert got[0].columns["n"].values.to_pylist() == [10, 20, 30, 40]
    assert [*each_line(got[0].lines)] == [1, 2, 3, 4]


def test_a_decode_error_tells_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="Line 3"):
        push(
            seeing(["n"], tmp_path),
            [HEAD, records("s", ROWS[:1]) + b'{"type": "RECORD", "stream": "s", "rec\n'],
        )
