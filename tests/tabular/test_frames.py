"""Frames as a function sees them, and any column it may make of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from pushed import INTEGER, NUMBER, STAMP, TEXT, Pushed, functions_of, push, record, records, schema

from flow_singer.errors import RecordError, TransformError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import json_texts
from flow_singer.tabular.parts import Part, parts_of
from flow_singer.tabular.recorddecoder import RecordDecoder

HEAD = schema(
    "s",
    {
        "id": {"type": "integer"},
        "n": INTEGER,
        "x": NUMBER,
        "t": TEXT,
        "at": STAMP,
        "money": {"type": ["null", "number"], "multipleOf": 0.01},
    },
    ["id"],
)
ROWS = [
    {"id": i, "n": i, "x": i / 4, "t": f"t{i}", "at": f"2026-01-0{i}T00:00:00+01:00", "money": i * 1.25}
    for i in range(1, 5)
]


def run(folder: Path, body: str, options: str = "batch=True", **more: Any) -> Pushed:
    text = f"import datetime, decimal, numpy as np, pyarrow as pa\n@transform('s', {options})\ndef f(df):\n    {body}\n"
    out = push(functions_of(text, folder), HEAD + records("s", ROWS), **more)
    last: dict[str, Any] = {}
    for message in out.messages:
        if message["type"] == "SCHEMA":
            last = message["schema"]
        else:
            jsonschema.Draft7Validator(last).validate(message["record"])
    return out


def test_a_frame_has_the_dtypes_of_its_schema_for_every_batch(tmp_path: Path) -> None:
    text = "SEEN = []\n@transform('s', batch=True)\ndef f(df):\n    SEEN.append({k: str(v) for k, v in df.dtypes.items()})\n    return df\n"
    functions = functions_of(text, tmp_path)
    push(functions, [HEAD, records("s", ROWS), record("s", {"id": 9})], batch_records=4)
    seen = functions[0].call.__globals__["SEEN"]
    expected = {
        "id": "Int64",
        "n": "Int64",
        "x": "float64",
        "t": "str",
        "at": "datetime64[us, UTC]",
        "money": "object",
    }
    assert all(one == expected for one in seen)
    assert len(seen) >= 2


COLUMNS: dict[str, tuple[str, dict[str, Any], list[Any]]] = {
    "category": ("df['t'].astype('category')", {"type": ["null", "string"]}, ["t1", "t2"]),
    "category of integers": ("df['n'].astype('category')", {"type": ["null", "integer"]}, [1, 2]),
    "period": (
        "df['at'].dt.tz_localize(None).dt.to_period('M')",
        {"type": ["null", "string"]},
        ["2025-12", "2026-01"],
    ),
    "timedelta": (
        "pd.to_timedelta(df['n'], unit='h')",
        {"type": ["null", "string"], "format": "duration"},
        ["PT3600S", "PT7200S"],
    ),
    "arrow integers": ("df['n'].astype('int64[pyarrow]')", {"type": ["null", "integer"]}, [1, 2]),
    "arrow text": ("df['t'].astype('string[pyarrow]')", {"type": ["null", "string"]}, ["t1", "t2"]),
    "arrow decimal": (
        "df['n'].astype(pd.ArrowDtype(pa.decimal128(30, 2)))",
        {"type": ["null", "number"]},
        [1.0, 2.0],
    ),
    "arrow date": (
        "df['at'].astype('timestamp[us, UTC][pyarrow]').astype('date32[pyarrow]')",
        {"type": ["null", "string"], "format": "date"},
        ["2025-12-31", "2026-01-01"],
    ),
    "arrow list": (
        "pd.Series([[1], [2, 3], None, []], dtype=pd.ArrowDtype(pa.list_(pa.int64())))",
        {"type": ["null", "array"], "items": {}},
        [[1], [2, 3]],
    ),
    "sparse": ("pd.arrays.SparseArray([0, 1, 0, 0])", {"type": ["null", "integer"]}, [0, 1]),
    "float32": ("df['x'].astype('float32')", {"type": ["null", "number"]}, [0.25, 0.5]),
    "uint64": (
        "df['n'].astype('uint64') + np.uint64(2**63)",
        {"type": ["null", "integer"]},
        [2**63 + 1, 2**63 + 2],
    ),
    "big": ("[2**70 + i for i in range(1, 5)]", {"type": ["null", "integer"]}, [2**70 + 1, 2**70 + 2]),
    "booleans": ("df['n'] > 1", {"type": ["null", "boolean"]}, [False, True]),
    "decimals": ("[decimal.Decimal('1.10')] * 4", {"type": ["null", "number"]}, [1.1, 1.1]),
    "dates": (
        "[datetime.date(2026, 1, i) for i in df['n']]",
        {"type": ["null", "string"], "format": "date"},
        ["2026-01-01", "2026-01-02"],
    ),
    "times": (
        "[datetime.time(i) for i in df['n']]",
        {"type": ["null", "string"], "format": "time"},
        ["01:00:00", "02:00:00"],
    ),
    "naive": (
        "df['at'].dt.tz_localize(None)",
        {"type": ["null", "string"], "format": "date-time"},
        ["2025-12-31T23:00:00.000000", "2026-01-01T23:00:00.000000"],
    ),
    "mixed": ("[1, 'a', 2.5, None]", {"type": ["null", "number", "string"]}, [1, "a"]),
    "infinite": (
        "[float('inf'), float('-inf'), float('nan'), 1.5]",
        {"type": ["null", "number"]},
        [None, None],
    ),
    "dicts": ("[{'a': 1}] * 4", {"type": ["null", "object"]}, [{"a": 1}, {"a": 1}]),
}


@pytest.mark.parametrize(("made", "expected", "values"), COLUMNS.values(), ids=COLUMNS)
def test_a_new_column_of_any_dtype_has_its_json_form(
    tmp_path: Path, made: str, expected: dict[str, Any], values: list[Any]
) -> None:
    out = run(tmp_path, f"return df.assign(new={made})")
    assert out.properties("s")["new"] == expected
    assert [row["new"] for row in out.records("s")][:2] == values


def test_a_changed_time_zone_leaves_the_text_as_it_came(tmp_path: Path) -> None:
    out = run(tmp_path, "return df.assign(at=df['at'].dt.tz_convert('Asia/Tokyo'))")
    assert [row["at"] for row in out.records("s")] == [row["at"] for row in ROWS]


def test_integers_that_a_merge_made_floats_stay_integers(tmp_path: Path) -> None:
    out = run(tmp_path, "return df.assign(n=df['n'].astype('float64').where(df['n'] > 1))")
    assert [row["n"] for row in out.records("s")] == [None, 2, 3, 4]
    assert all(
        "." not in one.decode().split('"n":')[1].split(",")[0] for one in out.lines if b'"RECORD"' in one
    )
    assert out.properties("s")["n"] == INTEGER


def test_decimals_stay_decimals(tmp_path: Path) -> None:
    out = run(tmp_path, "return df.assign(money=[one * 2 for one in df['money']])")
    assert [row["money"] for row in out.records("s")] == [2.5, 5.0, 7.5, 10.0]
    assert out.properties("s")["money"] == {"type": ["null", "number"], "multipleOf": 0.01}


def test_nested_values_changed_in_place_are_written_changed(tmp_path: Path) -> None:
    head = schema("s", {"id": INTEGER, "user": {"type": "object"}}, ["id"])
    text = "@transform('s', batch=True)\ndef f(df):\n    df['user'].iloc[0]['seen'] = True\n    return df\n"
    out = push(
        functions_of(text, tmp_path),
        head + records("s", [{"id": 1, "user": {"a": 1.0}}, {"id": 2, "user": {"a": 1.0}}]),
    )
    assert [row["user"] for row in out.records("s")] == [{"a": 1.0, "seen": True}, {"a": 1.0}]


def test_500_columns_pass(tmp_path: Path) -> None:
    properties = {f"c{i}": INTEGER for i in range(500)}
    rows = [{f"c{i}": i * n for i in range(500)} for n in range(5)]
    out = push(
        functions_of("def s(df):\n    return df\n", tmp_path), schema("s", properties) + records("s", rows)
    )
    assert out.records("s") == rows


@pytest.mark.parametrize("text", ["def s(df):\n    return df\n", "def s(row):\n    return row\n"])
def test_a_stream_without_columns_keeps_its_records(tmp_path: Path, text: str) -> None:
    out = push(functions_of(text, tmp_path), schema("s", {}) + records("s", [{}, {}, {}]))
    assert out.records("s") == [{}, {}, {}]


def test_an_empty_result_writes_no_record(tmp_path: Path) -> None:
    out = run(tmp_path, "return df.iloc[:0]")
    assert [m["type"] for m in out.messages] == ["SCHEMA"]


def test_lone_surrogates_survive(tmp_path: Path) -> None:
    rows = b'{"type":"RECORD","stream":"s","record":{"id":1,"t":"\\ud800"}}\n' + record(
        "s", {"id": 2, "t": "é"}
    )
    out = push(functions_of("def s(df):\n    return df\n", tmp_path), HEAD + rows)
    assert [row["t"] for row in out.records("s")] == ["\ud800", "é"]


@pytest.mark.parametrize(
    ("value", "kind"), [("x", "n"), (True, "n"), (1.5, "n"), ({}, "t"), (1, "t"), ("1.5", "x"), (3, "at")]
)
def test_a_value_of_another_type_is_named(tmp_path: Path, value: object, kind: str) -> None:
    with pytest.raises(RecordError, match=f"Line 3: record of stream 's', property '{kind}'"):
        push(
            functions_of("def s(df):\n    return df\n", tmp_path),
            HEAD + record("s", {"id": 1}) + record("s", {"id": 2, kind: value}),
        )


def test_group_by_takes_nothing_from_wrong_records(tmp_path: Path) -> None:
    head = schema("s", {"id": {"type": "integer"}, "g": TEXT, "n": INTEGER}, ["id"])
    rows = b"".join(
        record("s", {"id": i, "g": "ab"[i % 2], "own": i}, time_extracted=f"t{i}") for i in range(6)
    )
    body = "df.groupby('g', as_index=False).agg(id=('id', 'sum'), n=('n', 'sum'))"
    text = f"@transform('s', whole=True)\ndef f(df):\n    return {body}\n"
    out = push(functions_of(text, tmp_path), head + rows)
    assert out.records("s") == [{"g": "a", "id": 6, "n": 0}, {"g": "b", "id": 9, "n": 0}]
    assert {m["time_extracted"] for m in out.of("RECORD")} == {"t5"}


def test_a_key_that_was_masked_still_keeps_its_row(tmp_path: Path) -> None:
    head = schema("s", {"id": {"type": "integer"}, "t": TEXT}, ["id"])
    rows = b"".join(record("s", {"id": i, "t": f"t{i}", "own": i}, time_extracted=f"t{i}") for i in range(4))
    out = push(
        functions_of(
            "def s(df):\n    return df[df['id'] > 1].assign(id=lambda kept: kept['id'] * 7 + 100)\n", tmp_path
        ),
        head + rows,
    )
    assert out.records("s") == [{"id": 114, "t": "t2", "own": 2}, {"id": 121, "t": "t3", "own": 3}]
    assert [m["time_extracted"] for m in out.of("RECORD")] == ["t2", "t3"]


def test_rows_of_nowhere_beside_matched_ones(tmp_path: Path) -> None:
    head = schema("s", {"id": {"type": "integer"}, "t": TEXT}, ["id"])
    rows = b"".join(record("s", {"id": i, "own": i}, time_extracted=f"t{i}") for i in range(3))
    text = "@transform('s', batch=True)\ndef f(df):\n    return pd.concat([df.iloc[1:], pd.DataFrame({'id': [77], 't': ['new']})], ignore_index=True)\n"
    out = push(functions_of(text, tmp_path), head + rows)
    assert out.records("s") == [{"id": 1, "own": 1}, {"id": 2, "own": 2}, {"id": 77, "t": "new"}]
    assert [m["time_extracted"] for m in out.of("RECORD")] == ["t1", "t2", "t2"]


def test_json_text_of_a_message_has_no_needless_change(tmp_path: Path) -> None:
    out = push(
        functions_of("def s(df):\n    return df\n", tmp_path),
        HEAD + b'{"type":"RECORD","stream":"s","record":{"id":1,"x":1E5,"money":1.10}}\n',
    )
    assert b'"x":1E5,"money":1.10' in out.lines[1]
    assert json.loads(out.lines[1])["record"] == {"id": 1, "x": 1e5, "money": 1.1}


def test_a_newer_version_of_a_record_takes_nothing_from_the_older(tmp_path: Path) -> None:
    head = schema("s", {"id": {"type": "integer"}, "t": TEXT}, ["id"])
    rows = b"".join(
        record("s", {"id": i, "t": t, "own": t}, time_extracted=t) for i, t in [(2, "a"), (1, "b"), (1, "c")]
    )
    body = "df.drop_duplicates('id', keep='last', ignore_index=True)"
    out = push(
        functions_of(f"@transform('s', batch=True)\ndef f(df):\n    return {body}\n", tmp_path), head + rows
    )
    assert [row["t"] for row in out.records("s")] == ["a", "c"]
    assert all(row.get("own", row["t"]) == row["t"] for row in out.records("s"))
    assert all(m["time_extracted"] in ("c", m["record"]["t"]) for m in out.of("RECORD"))


@pytest.mark.parametrize("size", [1, 100, 1000])
def test_a_batch_is_decoded_in_parts_of_any_size(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    rows = [{"id": i, "name": f"ü{i}" * (i % 7), "undeclared": i} if i % 3 else {"id": i} for i in range(40)]
    stream = StreamSchema(json.loads(schema("s", {"id": INTEGER, "name": TEXT})))
    lines = [(5, 7), (20, 30), (90, 3)]
    whole = RecordDecoder(stream).decode(parts_of([Part(records("s", rows), lines)]))
    monkeypatch.setattr("flow_singer.tabular.parts.PART_BYTES", size)
    batch = RecordDecoder(stream).decode(parts_of([Part(records("s", rows), lines)]))
    assert [batch.line_of(row) for row in range(40)] == [whole.line_of(row) for row in range(40)]
    for name, column in {**batch.columns, **batch.undeclared}.items():
        expected = {**whole.columns, **whole.undeclared}[name]
        assert json_texts(column).equals(json_texts(expected))
        assert (column.absent is None) == (expected.absent is None)
        assert column.absent is None or column.absent.equals(expected.absent)
    with pytest.raises(RecordError, match="Line 22: "):
        RecordDecoder(stream).decode(
            parts_of([Part(records("s", [*rows[:9], {"id": "x"}, *rows[10:]]), lines)])
        )


ONE_ROW = "@transform('s', rows=True)\ndef f(row):\n    {change}\n    return row\n"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ("row['n'] = 'x' if row['id'] == 5 else row['n']", ["null", "integer", "string"]),
        ("row['n'] = 1.5 if row['id'] == 5 else row['n']", ["null", "number"]),
        ("row['n'] = 2 ** 70 if row['id'] == 5 else row['n']", ["null", "integer"]),
        (
            "row['n'] = pd.Timestamp(5, tz='UTC') if row['id'] == 5 else row['n']",
            ["null", "integer", "string"],
        ),
        ("row['n'] = None if row['id'] == 5 else row['n']", ["null", "integer"]),
        ("row['n'] = {'a': [1]} if row['id'] == 5 else row['n']", ["null", "integer", "object"]),
        ("row.update(new=1) if row['id'] == 5 else None", ["null", "integer"]),
        ("row.pop('n') if row['id'] == 5 else None", ["null", "integer"]),
    ],
)
def test_a_row_that_does_not_fit_the_schema_so_far_widens_it(
    tmp_path: Path, change: str, kind: list[str]
) -> None:
    """Also where the rows before it were written without a look at each value."""
    head = schema("s", {"id": {"type": "integer"}, "n": {"type": "integer"}}, ["id"], required=["id", "n"])
    functions = functions_of(ONE_ROW.format(change=change), tmp_path)
    data = head + records("s", [{"id": i, "n": i} for i in range(1, 9)])
    out = push(functions, data, batch_records=2)
    whole = push(functions, data)
    assert out.records("s") == whole.records("s")
    name = "new" if "new" in change else "n"
    found = out.properties("s")[name]["type"]
    assert ({found} if isinstance(found, str) else {*found}) | {"null"} == {*kind}
    last: dict[str, Any] = {}
    for message in out.messages:
        last = message["schema"] if message["type"] == "SCHEMA" else last
        if message["type"] == "RECORD":
            jsonschema.Draft7Validator(last).validate(message["record"])


@pytest.mark.parametrize(
    ("body", "stays"),
    [
        pytest.param("return row", {"id", "a", "b"}, id="same"),
        pytest.param("del row['a']; return row", {"id", "b"}, id="deletes"),
        pytest.param("return {'id': row['id'], 'own': 1}", {"id", "own", "b"}, id="makes"),
        pytest.param("return row if row['id'] > 1 else None", {"id", "a", "b"}, id="picks"),
        pytest.param("return [row, row]", {"id", "a", "b"}, id="repeats"),
    ],
)
@pytest.mark.parametrize("into", ["", ", into='other'"])
def test_a_property_that_no_record_had_stays_declared_behind_a_row_function(
    tmp_path: Path, body: str, stays: set[str], into: str
) -> None:
    """Only a key that records had can have been taken out."""
    head = schema("s", {"id": {"type": "integer"}, "a": TEXT, "b": {"type": "string"}}, required=["id", "b"])
    data = head + records("s", [{"id": 1, "a": "x"}, {"id": 2, "a": "y"}, {"id": 3, "a": None}])
    functions = functions_of(f"@transform('s', rows=True{into})\ndef f(row):\n    {body}\n", tmp_path)
    out = push(functions, data)
    assert out.properties("other" if into else "s").keys() == stays
    assert out.schemas("other" if into else "s")[-1]["required"] == ["id"]
    assert not any("b" in row for row in out.records("other" if into else "s"))
    late = push(functions, data + records("s", [{"id": 4, "a": "z", "b": "late"}]), batch_records=3)
    assert len(late.of("SCHEMA")) == 1  # the late value needs no other one


def test_a_stream_beside_gets_no_property_that_no_record_had(tmp_path: Path) -> None:
    code = "@transform('s', rows=True, into=['s', 'parts'])\ndef f(row):\n    return {'s': row, 'parts': {'own': 1}}\n"
    data = schema("s", {"id": INTEGER, "a": TEXT}) + records("s", [{"id": 1}])
    out = push(functions_of(code, tmp_path), data)
    assert (out.properties("s").keys(), out.properties("parts").keys()) == ({"id", "a"}, {"own"})


def test_a_line_that_only_the_standard_library_reads_tells_its_keys_too(tmp_path: Path) -> None:
    code = "@transform('s', rows=True)\ndef f(row):\n    row.pop('a', None)\n    return row\n"
    odd = b'{"type":"RECORD","stream":"s","record":{"id":1,"a":"\\ud800"}}\n'
    bad = b'{"type":"RECORD","stream":"s","record":[]}\n'
    head = schema("s", {"id": INTEGER, "a": TEXT, "b": TEXT})
    out = push(functions_of(code, tmp_path), head + bad + odd + records("s", [{"id": 2}]), reject=True)
    assert out.properties("s").keys() == {"id", "b"}
    assert [number for number, *_ in out.rejects] == [2]


@pytest.mark.parametrize("number", ["1.0", "1e3", "-0.0", "123456789012345678901234567890.0", "1E+400"])
@pytest.mark.parametrize("kind", [INTEGER, {"type": ["integer", "string"]}])
def test_a_row_function_keeps_an_integer_an_integer_however_it_is_written(
    tmp_path: Path, number: str, kind: dict[str, Any]
) -> None:
    lines = [f'{{"type":"RECORD","stream":"s","record":{{"n":{text}}}}}\n' for text in (number, "7", "null")]
    head = schema("s", {"n": kind})
    functions = functions_of("@transform('s', rows=True)\ndef f(row):\n    return row\n", tmp_path)
    out = push(functions, head + "".join(lines[:2]).encode())
    assert out.properties("s") == {"n": kind}
    assert out.lines[1].decode() + "\n" == lines[0]
    code = "from decimal import Decimal\n@transform('s', rows=True)\ndef f(row):\n    return {'n': Decimal('5.00')}\n"
    assert push(functions_of(code, tmp_path), head + lines[1].encode()).properties("s") == {"n": kind}


@pytest.mark.parametrize("number", ["1.5", "1e-1", "0.99999999999999999999999"])
def test_a_row_function_that_makes_fractions_of_integers_widens_the_schema(
    tmp_path: Path, number: str
) -> None:
    code = f"from decimal import Decimal\n@transform('s', rows=True)\ndef f(row):\n    return {{'n': Decimal('{number}')}}\n"
    out = push(functions_of(code, tmp_path), schema("s", {"n": INTEGER}) + records("s", [{"n": 1}]))
    assert out.properties("s") == {"n": NUMBER}


@pytest.mark.parametrize("change", ["row['id'] = None", "row.pop('id')"])
def test_a_row_function_that_loses_a_key_late_is_refused(tmp_path: Path, change: str) -> None:
    head = schema("s", {"id": {"type": ["null", "integer"]}}, ["id"])
    functions = functions_of(
        f"@transform('s', rows=True)\ndef f(row):\n    if row['id'] == 5:\n        {change}\n    return row\n",
        tmp_path,
    )
    with pytest.raises(TransformError, match="key column 'id' is null"):
        push(functions, head + records("s", [{"id": i} for i in range(1, 9)]), batch_records=2)


def test_a_row_function_may_use_its_dict_again(tmp_path: Path) -> None:
    functions = functions_of(
        "out = {}\n@transform('s', rows=True)\ndef f(row):\n    out['id'] = row['id']\n    return out\n",
        tmp_path,
    )
    out = push(
        functions, schema("s", {"id": INTEGER}) + records("s", [{"id": i} for i in range(8)]), batch_records=3
    )
    assert [row["id"] for row in out.records("s")] == list(range(8))


def test_digits_of_numbers_survive_a_row_function(tmp_path: Path) -> None:
    functions = functions_of("@transform('s', rows=True)\ndef f(row):\n    return row\n", tmp_path)
    texts = ["1.50", "1e2", "0.1", "12345678901234567890.123456789", "-0.0", "5.0"]
    lines = [b'{"type": "RECORD", "stream": "s", "record": {"n": %s}}\n' % text.encode() for text in texts]
    out = push(functions, [schema("s", {"n": NUMBER}), *lines * 2], batch_records=4)
    written = [line.partition(b'"n":')[2].rstrip(b"}").decode() for line in out.lines if b'"RECORD"' in line]
    assert written == texts * 2
