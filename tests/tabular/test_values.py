"""Values that are easily changed on the way through a function, one by one."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pushed import INTEGER, NUMBER, TEXT, functions_of, push, records, schema
from strategies import EDGES

from flow_singer.errors import TransformError
from flow_singer.tabular.frames import to_dates, to_datetimes

FORMS = {
    "batch": "def s(df):\n    return df\n",
    "whole": "@transform(whole=True)\ndef s(df):\n    return df\n",
    "rows": "def s(row):\n    return row\n",
}
NESTED = {"type": ["null", "object"]}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "number", ["1.50", "1E5", "-0.0", "1E+400", "9007199254740993", "0.1234567890123456789012345678901234567"]
)
def test_numbers_keep_their_digits_also_inside_nested_values(tmp_path: Path, form: str, number: str) -> None:
    text = f'{{"type":"RECORD","stream":"s","record":{{"n":{number},"o":{{"n":[{number}]}}}}}}\n'
    out = push(functions_of(FORMS[form], tmp_path), schema("s", {"n": NUMBER, "o": NESTED}) + text.encode())
    line = out.lines[-1].decode()
    assert f'"n":{number},' in line
    assert f"[{number}]" in line


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", ['a"b', "a\\b", "a\nb", "a.b c", "", "Größe", "select"])
def test_names_of_any_kind_reach_the_other_side(tmp_path: Path, form: str, name: str) -> None:
    data = schema("s", {"id": INTEGER, name: TEXT}, ["id"]) + records("s", [{"id": 1, name: "x"}])
    out = push(functions_of(FORMS[form], tmp_path), data)
    assert out.records("s") == [{"id": 1, name: "x"}]


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("def s(row):\n    return {**row, 'm': np.float64(2.5)}\n", id="row"),
        pytest.param("def s(df):\n    return df.assign(m=[{'a': np.float64(2.5)}])\n", id="nested"),
    ],
)
def test_floats_of_numpy_are_floats(tmp_path: Path, code: str) -> None:
    data = schema("s", {"id": INTEGER}, ["id"]) + records("s", [{"id": 1}])
    (record,) = push(functions_of("import numpy as np\n" + code, tmp_path), data).records("s")
    assert record["m"] in (2.5, {"a": 2.5})


def test_arithmetic_with_a_written_float_gives_its_own_digits(tmp_path: Path) -> None:
    code = "def s(row):\n    return {**row, 'n': row['n'] * 2}\n"
    data = schema("s", {"n": NUMBER}) + b'{"type":"RECORD","stream":"s","record":{"n":1.50}}\n'
    assert json.loads(push(functions_of(code, tmp_path), data).lines[-1])["record"] == {"n": 3.0}


@pytest.mark.parametrize("place", ["import", "call"])
def test_a_file_that_exits_is_an_error_and_not_an_end(tmp_path: Path, place: str) -> None:
    code = "def s(df):\n    raise SystemExit(0)\n" if place == "call" else "raise SystemExit(0)\n"
    data = schema("s", {"id": INTEGER}, ["id"]) + records("s", [{"id": 1}])
    with pytest.raises(TransformError, match="SystemExit: 0"):
        push(functions_of(code, tmp_path), data)


@pytest.mark.parametrize("form", ["rows", "batch"])
@pytest.mark.parametrize("size", [1, 9])
def test_what_stands_beside_a_lone_surrogate_stays_as_it_is(tmp_path: Path, form: str, size: int) -> None:
    """Such a value is written the long way, and all that is in it."""
    texts = ["99999999999999999999999999.5", "1E+400", str(2**70), '"NaN é"', "[[0.1]]", "null", "{}"]
    texts += ["1.50", "[1e2]"] if form == "rows" else []
    inside = ",".join(f'"{i}":{text}' for i, text in enumerate(texts)) + ',"odd":["\\ud800"]'
    line = f'{{"type":"RECORD","stream":"s","record":{{"o":{{{inside}}}}}}}\n'.encode()
    code = "def s(df):\n    for one in df['o']:\n        one['new'] = 1\n    return df\n"
    functions = functions_of(FORMS["rows"] if form == "rows" else code, tmp_path)
    out = push(functions, schema("s", {"o": NESTED}) + line * 3, batch_records=size)
    for one in out.lines[1:]:
        assert inside in one.decode()


@pytest.mark.parametrize(
    "code",
    ["def s(row):\n    return {'o': VALUE}\n", "def s(df):\n    return df.assign(o=[VALUE] * len(df))\n"],
    ids=["rows", "batch"],
)
@pytest.mark.parametrize("number", ["NaN", "-Infinity", "sNaN"])
def test_a_decimal_of_no_number_is_null_also_inside_nested_values(
    tmp_path: Path, code: str, number: str
) -> None:
    value = "VALUE = {'a': [Decimal('" + number + "')], 'b': 'NaN é', 'c': Decimal('1.50')}\n"
    functions = functions_of("from decimal import Decimal\n" + value + code, tmp_path)
    out = push(functions, schema("s", {"o": NESTED}) + records("s", [{"o": {}}] * 4), batch_records=2)
    assert [one.split(b'"o":')[1] for one in out.lines[1:]] == [
        '{"a":[null],"b":"NaN é","c":1.50}}}'.encode()
    ] * 4


@pytest.mark.parametrize("inside", ["1", "'\\ud800'"])
@pytest.mark.parametrize(
    "code", ["def s(row):\n    return {'o': DEEP}\n", "def s(df):\n    df['o'] = [DEEP]\n    return df\n"]
)
def test_a_value_nested_too_deep_is_an_error_of_the_data(tmp_path: Path, inside: str, code: str) -> None:
    functions = functions_of(f"DEEP = {inside}\nfor _ in range(5000):\n    DEEP = [DEEP]\n{code}", tmp_path)
    with pytest.raises(TransformError, match="nested too deep"):
        push(functions, schema("s", {"o": NESTED}) + records("s", [{"o": {}}]))


def test_a_whole_function_that_repeats_a_key_is_an_error_that_names_the_row(tmp_path: Path) -> None:
    code = "@transform(whole=True)\ndef s(df):\n    return pd.concat([df, df])\n"
    data = schema("s", {"id": INTEGER}, ["id"]) + records("s", [{"id": 1}, {"id": 2}])
    with pytest.raises(
        TransformError, match=r"again in 2 rows of the result, first in row 2 \(from 0\): id 1"
    ):
        push(functions_of(code, tmp_path), data)


def test_keys_that_the_tap_itself_repeats_may_stay_repeated(tmp_path: Path) -> None:
    data = schema("s", {"id": INTEGER}, ["id"]) + records("s", [{"id": 1}, {"id": 1}])
    assert len(push(functions_of(FORMS["whole"], tmp_path), data).records("s")) == 2


@pytest.mark.parametrize("reject", [False, True])
def test_an_error_that_no_row_is_to_blame_for_names_the_batch_and_rejects_nothing(
    tmp_path: Path, reject: bool
) -> None:
    code = "def s(df):\n    return df[df['stat'] == 1]\n"
    data = schema("s", {"id": INTEGER}, ["id"]) + records("s", [{"id": 1}, {"id": 2}])
    with pytest.raises(TransformError, match=r"KeyError: 'stat'\. At input lines 2 to 3"):
        push(functions_of(code, tmp_path), data, reject=reject)


@pytest.mark.parametrize("place", ["record", "envelope"])
@pytest.mark.parametrize("form", FORMS)
def test_bytes_that_are_no_utf8_are_named_with_their_line(tmp_path: Path, form: str, place: str) -> None:
    bad = b'"\xff"'
    lines = [
        b'{"type":"RECORD","stream":"s","record":{"o":{"a":"\xc3\xa9"}}}',
        b'{"type":"RECORD","stream":"s","record":{"o":{"a":%s}}}' % bad
        if place == "record"
        else b'{"type":"RECORD","stream":"s","record":{},"time_extracted":%s}' % bad,
    ]
    head, data = schema("s", {"o": NESTED}), b"\n".join(lines) + b"\n"
    for blocks in ([head + data], [head, data]):
        out = push(functions_of(FORMS[form], tmp_path), blocks, reject=True)
        assert out.records("s") == [{"o": {"a": "é"}}]
        ((number, stream, line, error),) = out.rejects
        assert (number, stream, line) == (3, None if form == "rows" else "s", lines[1])
        assert "utf-8" in error.message.lower()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("number", ["1e23", "1e300", "1E400", "9007199254740993.0", "-2.50e1"])
def test_integers_with_a_fraction_or_an_exponent_keep_their_value(
    tmp_path: Path, form: str, number: str
) -> None:
    data = (
        schema("s", {"n": INTEGER}) + f'{{"type":"RECORD","stream":"s","record":{{"n":{number}}}}}\n'.encode()
    )
    line = push(functions_of(FORMS[form], tmp_path), data).lines[-1].decode()
    assert Decimal(re.search(r'"n":([^}]*)', line)[1]) == Decimal(number)  # type: ignore[index]


@pytest.mark.parametrize("form", ["batch", "whole"])
@pytest.mark.parametrize("number", ["9007199254740993.5", "1e-400", "1e5000", "1e99999999999999999999"])
def test_numbers_that_are_no_integer_or_fill_the_memory_are_rejected(
    tmp_path: Path, form: str, number: str
) -> None:
    lines = [f'{{"type":"RECORD","stream":"s","record":{{"n":{n}}}}}\n'.encode() for n in (1, number)]
    out = push(functions_of(FORMS[form], tmp_path), [schema("s", {"n": INTEGER}), *lines], reject=True)
    assert out.records("s") == [{"n": 1}]
    assert [(one[0], one[2]) for one in out.rejects] == [(3, lines[1][:-1])]


@pytest.mark.parametrize("form", FORMS)
def test_a_key_beside_the_record_may_have_any_name(tmp_path: Path, form: str) -> None:
    text = b'{"type":"RECORD","stream":"s","record":{"n":1},"a\\"b":[1.50]}'
    out = push(functions_of(FORMS[form], tmp_path), schema("s", {"n": INTEGER}) + text + b"\n")
    assert out.messages[-1]['a"b'] == [1.5]


@pytest.mark.parametrize("form", ["batch", "whole"])
@pytest.mark.parametrize("values", ['{"o":' + "[" * 900 + '"\\ud800"' + "]" * 900 + "}", '{},"more":NaN'])
def test_what_can_not_be_written_again_is_rejected(tmp_path: Path, form: str, values: str) -> None:
    text = f'{{"type":"RECORD","stream":"s","record":{values}}}\n'.encode()
    out = push(
        functions_of(FORMS[form], tmp_path),
        schema("s", {"o": {}}) + text + records("s", [{"o": 1}]),
        reject=True,
    )
    assert out.records("s") == [{"o": 1}]
    assert [(one[0], one[2]) for one in out.rejects] == [(2, text[:-1])]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "one", [NUMBER, {"type": "number", "multipleOf": 0.01}, {"type": "string", "format": "singer.decimal"}]
)
def test_an_exponent_past_every_type_stays_or_is_rejected(
    tmp_path: Path, form: str, one: dict[str, object]
) -> None:
    number = "1e99999999999999999999"
    text = json.dumps(number) if one["type"] == "string" else number
    line = f'{{"type":"RECORD","stream":"s","record":{{"n":{text}}}}}'.encode()
    out = push(functions_of(FORMS[form], tmp_path), schema("s", {"n": one}) + line + b"\n", reject=True)
    assert [line] in (out.lines[1:], [rejected[2] for rejected in out.rejects])


def test_a_lone_surrogate_in_a_new_name_is_an_error(tmp_path: Path) -> None:
    data = schema("s", {"n": INTEGER}) + records("s", [{"\ud800": 1}])
    with pytest.raises(TransformError, match="a column's name has a lone surrogate"):
        push(functions_of(FORMS["rows"], tmp_path), data)


@pytest.mark.parametrize("form", FORMS)
def test_decimals_beside_a_text_that_is_none_keep_their_property(tmp_path: Path, form: str) -> None:
    one = {"type": ["null", "string"], "format": "singer.decimal"}
    rows = [{"d": text} for text in ("0.01", "n/a", "1.10", "")] + [{"d": None}]
    out = push(functions_of(FORMS[form], tmp_path), schema("s", {"d": one}) + records("s", rows))
    assert out.records("s") == rows
    assert out.properties("s") == {"d": one}


def test_decimals_made_beside_a_text_are_texts(tmp_path: Path) -> None:
    one = {"type": ["null", "string"], "format": "singer.decimal"}
    code = "def s(df):\n    return df.assign(d=[d if isinstance(d, str) else d * 2 for d in df['d']])\n"
    data = schema("s", {"d": one}) + records("s", [{"d": "0.01"}, {"d": "n/a"}])
    out = push(functions_of(code, tmp_path), data)
    assert out.records("s") == [{"d": "0.02"}, {"d": "n/a"}]
    assert out.properties("s") == {"d": one}


@pytest.mark.parametrize("text", EDGES["date-time"])
def test_what_a_date_time_shows_as_is_no_matter_of_its_neighbours(text: str) -> None:
    (alone,) = to_datetimes(pa.array([text], pa.large_string()))
    beside, _ = to_datetimes(pa.array([text, "yesterday"], pa.large_string()))
    assert np.isnat(alone) == np.isnat(beside)
    assert np.isnat(alone) or alone == beside


@pytest.mark.parametrize("text", EDGES["date"])
def test_what_a_date_shows_as_is_no_matter_of_its_neighbours(text: str) -> None:
    (alone,) = to_dates(pa.array([text], pa.large_string()))
    beside, _ = to_dates(pa.array([text, "soon"], pa.large_string()))
    assert np.isnat(alone) == np.isnat(beside)
    assert np.isnat(alone) or alone == beside


def test_a_function_that_changes_nothing_may_meet_year_zero(tmp_path: Path) -> None:
    code = "def s(df):\n    return df\n"
    rows = [{"d": "0000-00-00"}, {"d": "0000-01-01"}]
    one = {"type": "string", "format": "date"}
    out = push(functions_of(code, tmp_path), schema("s", {"d": one}) + records("s", rows))
    assert out.records("s") == rows


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("values", [b'{"\xff":1}', b'{},"\xff":1', b'{"o":1,"\xc3":[' + b"[" * 1200])
def test_a_key_that_is_no_utf8_is_rejected(tmp_path: Path, form: str, values: bytes) -> None:
    text = b'{"type":"RECORD","stream":"s","record":%s}' % values
    data = schema("s", {"o": {}}) + text + b"\n" + records("s", [{"o": 1}])
    out = push(functions_of(FORMS[form], tmp_path), data, reject=True)
    assert out.records("s") == [{"o": 1}]
    assert [(one[0], one[2]) for one in out.rejects] == [(2, text)]


@pytest.mark.parametrize("form", FORMS)
def test_no_key_is_taken_for_another_one(tmp_path: Path, form: str) -> None:
    odd = {'a"b': TEXT, "\uffff0": TEXT}
    rows = [{'a"b': "x"}, {"\uffff0": "y"}, {"\uffff1": "z"}, {'a"b': "1", "\uffff0": "2", "\uffff1": "3"}]
    out = push(functions_of(FORMS[form], tmp_path), schema("s", odd) + records("s", rows))
    assert out.records("s") == rows


def test_no_rows_of_integers_past_64_bits(tmp_path: Path) -> None:
    data = schema("s", {"n": INTEGER}) + records("s", [{"n": 10**30}])
    assert push(functions_of("def s(df):\n    return df[df['n'] < 0]\n", tmp_path), data).records("s") == []
