"""Every value, in every format, comes back as what it was: alone, and behind functions that leave it alone.

What a reader that knows nothing of Flow finds is compared with the JSON text that went in; see packages.py.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from packages import ABSENT_TEXT, FORMATS, PACKED, check, csv_cells, microseconds, write
from pushed import functions_of, push
from strategies import EDGES, NAMES, PROPERTIES, Typed, record_line, typed, typed_streams

from flow_singer.errors import RecordError

QUICK = settings(max_examples=60)
FORMS = {
    "batch": "def s(df):\n    return df\n",
    "other column": "def s(df):\n    return df.assign(added=7)\n",
    "whole": "@transform(whole=True)\ndef s(df):\n    return df\n",
    "rows": "def s(row):\n    return row\n",
}
FUNCTIONS = {
    form: functions_of(code, Path(tempfile.mkdtemp(prefix="flow-test-"))) for form, code in FORMS.items()
}


def through(stream: Typed, form: str, *, size: int = 3) -> tuple[Typed, list[bytes]]:
    """The stream as it comes out of a function, and its messages."""
    blocks = push(FUNCTIONS[form], [stream.head, *stream.lines], batch_records=size).blocks
    if form != "other column":
        return stream, blocks
    rows = [{**row, "added": "7"} for row in stream.rows]
    kinds = {**stream.kinds, "added": "integer"}
    return Typed(kinds, stream.properties, rows), blocks


def check_package(
    stream: Typed, blocks: list[bytes], form: str, *, csv_null: str | None = None, written: bool = True
) -> None:
    with tempfile.TemporaryDirectory(prefix="flow-test-") as folder:
        write(Path(folder) / "p", blocks, form, csv_null=csv_null)
        resource = check(Path(folder) / "p", stream.kinds, stream.rows, written=written)
    if blocks[0] == stream.head:  # a function's SCHEMA allows what its values break: null in a `const`
        assert resource["flow:jsonSchema"]["properties"] == stream.properties


# ------------------------------------------------------------------------------------------ any stream


@pytest.mark.parametrize("form", FORMATS + PACKED)
@QUICK
@given(stream=typed_streams(), csv_null=st.sampled_from([None, "\\N"]))
def test_any_stream_comes_back(form: str, stream: Typed, csv_null: str | None) -> None:
    check_package(stream, [stream.head, *stream.lines], form, csv_null=csv_null)


@pytest.mark.parametrize("function", FORMS)
@QUICK
@given(stream=typed_streams(), form=st.sampled_from(FORMATS))
def test_any_stream_comes_back_behind_a_function(function: str, stream: Typed, form: str) -> None:
    expected, blocks = through(stream, function)
    check_package(expected, blocks, form, written=function != "rows")


@pytest.mark.parametrize("form", FORMATS + PACKED)
@QUICK
@given(
    first=typed_streams(most=3).filter(lambda one: one.rows and len(one.kinds) > 1),
    second=typed_streams(most=3).filter(lambda one: one.rows),
)
def test_any_stream_comes_back_under_another_schema(form: str, first: Typed, second: Typed) -> None:
    with tempfile.TemporaryDirectory(prefix="flow-test-") as folder:
        write(Path(folder) / "p", [first.head, *first.lines, second.head, *second.lines], form)
        each = [first.kinds] * len(first.rows) + [second.kinds] * len(second.rows)
        check(Path(folder) / "p", first.kinds | second.kinds, first.rows + second.rows, each=each)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", PROPERTIES)
def test_a_property_may_become_any_other(form: str, name: str) -> None:
    one, kind, _ = PROPERTIES[name]
    columns = {f"v{n}": other for n, other in enumerate(PROPERTIES)}
    first = Typed(dict.fromkeys(columns, kind), dict.fromkeys(columns, one))
    first.rows = [dict.fromkeys(columns, texts_of(name)[0])]
    second = Typed(
        {v: PROPERTIES[o][1] for v, o in columns.items()}, {v: PROPERTIES[o][0] for v, o in columns.items()}
    )
    second.rows = [{v: texts_of(other)[-1] for v, other in columns.items()}]
    with tempfile.TemporaryDirectory(prefix="flow-test-") as folder:
        write(Path(folder) / "p", [first.head, *first.lines, second.head, *second.lines], form)
        check(Path(folder) / "p", first.kinds, first.rows + second.rows, each=[first.kinds, second.kinds])


# --------------------------------------------------------------------------- each type, value by value


def texts_of(name: str) -> list[str]:
    """Values of one property of `PROPERTIES`, the odd ones first."""
    one, kind, _ = PROPERTIES[name]
    if isinstance(one, dict) and "enum" in one:
        return [json.dumps(value) for value in one["enum"]]
    if name == "const":
        return [json.dumps("x")]
    if name in ("time", "duration"):
        kind = name
    if kind == "json":
        nested = '{"": {"a.b": [1.50, 1E2, -0.0, 9007199254740993, null, "\\u00e9\\u0000", {}]}}'
        return ["[]", "{}", f"[{nested}, []]", nested, '"[1]"', '""', "1.50", "true", str(2**64), '"1.50"']
    if kind in ("integer", "number", "decimal", "boolean"):
        return EDGES[kind]
    return [json.dumps(text) for text in EDGES[kind]]


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("name", PROPERTIES)
def test_each_value_of_a_type_alone_and_beside_null(form: str, name: str) -> None:
    one, kind, _ = PROPERTIES[name]
    texts = {f"v{n}": text for n, text in enumerate(texts_of(name))}
    rows = [texts, dict.fromkeys(texts, ABSENT_TEXT), {}]
    stream = Typed(dict.fromkeys(texts, kind), dict.fromkeys(texts, one), rows)
    check_package(stream, [stream.head, *stream.lines], form)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("function", [None, *FORMS])
@pytest.mark.parametrize("name", PROPERTIES)
def test_all_values_of_a_type_in_one_column(form: str, function: str | None, name: str) -> None:
    stream = typed(name, ["null", None, *texts_of(name), None])
    if function is None:
        check_package(stream, [stream.head, *stream.lines], form)
    else:
        expected, blocks = through(stream, function)
        check_package(expected, blocks, form, written=function != "rows")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("function", [None, *FORMS])
def test_names_of_any_kind_side_by_side(form: str, function: str | None) -> None:
    one, kind, _ = PROPERTIES["text"]
    rows = [{name: json.dumps(f"{n} {name}") for n, name in enumerate(NAMES)}, {}]
    stream = Typed(dict.fromkeys(NAMES, kind), dict.fromkeys(NAMES, one), rows)
    expected, blocks = (
        (stream, [stream.head, *stream.lines]) if function is None else through(stream, function)
    )
    check_package(expected, blocks, form)


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=300)
@given(text=st.text(min_size=1))
@example(text="".join(map(chr, range(0x20))))
@example(
    text="".join(chr(plane << 16 | low) for plane in range(17) for low in (0, 0x41, 0xFFFD, 0xFFFE, 0xFFFF))
)
def test_text_of_every_plane(form: str, text: str) -> None:
    stream = typed("text", [json.dumps(text), json.dumps(text, ensure_ascii=False), json.dumps([text])[1:-1]])
    stream.kinds["o"], stream.properties["o"] = "json", {}
    stream.rows = [{**row, "o": json.dumps({text: [text]}, ensure_ascii=False)} for row in stream.rows]
    check_package(stream, [stream.head, *stream.lines], form)


# ------------------------------------------------------------------------------ null, absent and empty


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("function", [None, *FORMS])
@pytest.mark.parametrize("name", ["text", "decimal", "stamp", "date", "any", "union", "enum"])
def test_null_absent_and_empty_text_beside_each_other(form: str, function: str | None, name: str) -> None:
    stream = typed(name, ['""', "null", None, '""'])
    stream.kinds["n"], stream.properties["n"] = "integer", {"type": "integer"}
    stream.rows = [{**row, "n": str(n)} for n, row in enumerate(stream.rows)]
    expected, blocks = (
        (stream, [stream.head, *stream.lines]) if function is None else through(stream, function)
    )
    for csv_null in (None, "\\N"):
        check_package(expected, blocks, form, csv_null=csv_null)


# --------------------------------------------------------------------------------------- lone surrogates


@pytest.mark.parametrize("function", [None, *FORMS])
@pytest.mark.parametrize("text", [r'"\ud800"', r'"a\udfffb"', r'"\udc00\ud800"', r'"\ud83d\ude00\ud83d"'])
@pytest.mark.parametrize("name", ["text", "any", "stamp", "decimal"])
def test_a_lone_surrogate_is_kept_in_json_lines_and_refused_elsewhere(
    function: str | None, text: str, name: str
) -> None:
    stream = typed(name, ['"a"', text, "null"])
    expected, blocks = (
        (stream, [stream.head, *stream.lines]) if function is None else through(stream, function)
    )
    check_package(expected, blocks, "jsonl")
    if name == "any":
        return
    for form in ("csv", "parquet"):
        with pytest.raises(RecordError, match="lone surrogate"):
            check_package(expected, blocks, form)


def test_a_surrogate_inside_a_nested_value_stays_escaped_everywhere() -> None:
    stream = typed("any", [r'{"\ud800": ["\udfff", 1.50]}', "null"])
    for form in FORMATS:
        check_package(stream, [stream.head, *stream.lines], form)


# ------------------------------------------------------------------------------- the readers of this file


def test_the_reader_of_cells_tells_quoted_from_bare() -> None:
    assert csv_cells('a,""\r\n"x""\r\n",\r\n') == [
        [("a", False), ("", True)],
        [('x"\r\n', True), ("", False)],
    ]


@pytest.mark.parametrize(
    ("text", "zoned", "expected"),
    [
        ("1970-01-01T00:00:01Z", True, 10**6),
        ("1970-01-01T02:00:00.5+02:00", True, 500_000),
        ("1969-12-31", False, -86_400 * 10**6),
        ("1970-01-01T00:00:00", True, None),
        ("1970-01-01T00:00:00.0000001", False, None),
        ("1970-01-01T24:00:00", False, None),
    ],
)
def test_the_reader_of_times_reads_rfc_3339(text: str, zoned: bool, expected: int | None) -> None:
    assert microseconds(text, zoned=zoned) == expected


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    ("name", "text", "changed"),
    [
        ("integer", str(2**53 + 1), str(2**53)),
        ("number", "0.1", "0.10000000000000002"),
        ("cents", "0.01", "0.02"),
        ("text", '"null"', ABSENT_TEXT),
        ("boolean", "true", "false"),
        ("stamp", '"2026-01-01T00:00:00Z"', '"2026-01-01T00:00:00.000001Z"'),
        ("date", '"2026-01-01"', '"2026-01-02"'),
        ("any", "[1]", '["1"]'),
    ],
)
def test_the_readers_see_a_change(form: str, name: str, text: str, changed: str) -> None:
    stream = typed(name, [text, text])
    blocks = [stream.head, record_line({"v": text}), record_line({"v": changed})]
    with pytest.raises(AssertionError):
        check_package(stream, blocks, form)
