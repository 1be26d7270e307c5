"""Cells that became Python objects keep what they came with. Sources: pandas-dev/pandas#44498 and #50795.

`astype(object)`, `to_dict("records")` and their like give dates as Timestamps, date-times in UTC, and numbers as
floats; beside floats, or to hold NaN, pandas makes floats of integers.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pushed import INTEGER, NUMBER, STAMP, TEXT, functions_of, push, schema

DATE = {"type": ["null", "string"], "format": "date"}
PROPERTIES = {
    "id": {"type": "integer"},
    "due": DATE,
    "at": STAMP,
    "big": INTEGER,
    "n": NUMBER,
    "price": {"type": ["null", "number"], "multipleOf": 0.01},
    "amount": {"type": ["null", "string"], "format": "singer.decimal"},
    "s": TEXT,
    "ok": {"type": ["null", "boolean"]},
    "o": {"type": ["null", "object"]},
    "mix": {"type": ["null", "string", "integer"]},
}
FULL = (
    '{"id":1,"due":"2024-02-29","at":"2024-01-01T23:30:00+02:00","big":9007199254740993,'
    '"n":0.12345678901234567891,"price":12.30,"amount":"5.00","s":"x","ok":true,"o":{"a": 1},"mix":5}'
)
EMPTY = (
    '{"id":2,"due":null,"at":null,"big":null,"n":null,"price":null,"amount":null,"s":null,"ok":null,"o":null,'
    '"mix":null}'
)
ODD = (
    '{"id":3,"due":"0000-00-00","at":"yesterday","big":12345678901234567890123,"n":1,"price":1e2,'
    '"amount":"n/a","s":"","ok":false,"o":{},"mix":"5"}'
)
OTHER = (
    '{"id":4,"due":"2024-03-02","at":"2024-01-03T23:30:00.123456-05:00","big":2,"n":1.50,'
    '"price":12345678901234567890.12,"amount":"1","s":"é","ok":true,"o":{"b":[1.50]},"mix":7}'
)
STREAMS = {
    "plain": [FULL, EMPTY, OTHER],
    "odd": [FULL, EMPTY, ODD, OTHER],
    "nulls": [EMPTY.replace('"id":2', f'"id":{n}') for n in range(3)],
    "none": [],
}
FORMS = {
    "astype": "return df.astype(object)",
    "to_dict": "return df.to_dict('records')",
    "frame of dicts": "return pd.DataFrame(df.to_dict('records'))",
    "itertuples": "return [{name: getattr(row, name) for name in df.columns} for row in df.itertuples()]",
    "tuples": "return list(df.itertuples(index=False))",
    "iterrows": "return [row.to_dict() for _, row in df.iterrows()]",
    "frame of iterrows": "return pd.DataFrame([row for _, row in df.iterrows()])",
    "apply": "return df.apply(lambda row: row, axis=1)",
    "frame of values": "return pd.DataFrame(df.values, columns=df.columns)",
    "values": "return [dict(zip(df.columns, row)) for row in df.values]",
    "map": "return df.assign(**{name: df[name].map(lambda v: v) for name in df.columns})",
    "transposed": "return df.T.T",
    "lists": "return pd.DataFrame({name: df[name].tolist() for name in df.columns})",
    "sorted anew": "return df.sort_values('id').reset_index(drop=True)",
}


def exact(text: str | bytes) -> Any:
    """JSON with its numbers as they are written."""
    return json.loads(text, parse_float=lambda n: ("number", n), parse_int=lambda n: ("number", n))


def through(
    code: str, lines: list[str], folder: Path, key: list[str], size: int = 10
) -> tuple[list[Any], Any]:
    """Records and properties behind a function of this body."""
    data = schema("s", PROPERTIES, key)
    data += "".join(f'{{"type":"RECORD","stream":"s","record":{one}}}\n' for one in lines).encode()
    functions = functions_of(f"@transform(batch=True)\ndef s(df):\n    {code}\n", folder)
    out = push(functions, data, batch_records=size)
    return [exact(one)["record"] for one in out.lines if b'"RECORD"' in one], out.properties("s")


@pytest.mark.parametrize("key", [["id"], []], ids=["key", "no key"])
@pytest.mark.parametrize("size", [1, 2, 10])
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("form", FORMS)
def test_an_unchanged_cell_goes_out_as_it_came(
    tmp_path: Path, form: str, stream: str, size: int, key: list[str]
) -> None:
    lines = STREAMS[stream]
    found, properties = through(FORMS[form], lines, tmp_path, key, size)
    assert found == [exact(one) for one in lines]
    assert properties == PROPERTIES


@pytest.mark.parametrize("key", [["id"], []], ids=["key", "no key"])
@pytest.mark.parametrize("form", FORMS)
def test_so_it_does_where_rows_are_filtered(tmp_path: Path, form: str, key: list[str]) -> None:
    code = f"df = df[df['id'] != 1]; {FORMS[form]}"
    found, properties = through(code, STREAMS["odd"], tmp_path, key)
    assert found == [exact(one) for one in STREAMS["odd"][1:]]
    assert properties == PROPERTIES


CHANGED = [FULL, OTHER]


@pytest.mark.parametrize("key", [["id"], []], ids=["key", "no key"])
@pytest.mark.parametrize(
    ("change", "column", "expected"),
    [
        ("row['due'] + pd.Timedelta(days=1)", "due", ["2024-03-01", "2024-03-03"]),
        (
            "row['at'] + pd.Timedelta(hours=1)",
            "at",
            ["2024-01-01T22:30:00.000000Z", "2024-01-04T05:30:00.123456Z"],
        ),
        ("row['n'] + 1", "n", [("number", "1.1234567890123457"), ("number", "2.5")]),
        ("row['big'] + 1", "big", [("number", "9007199254740994"), ("number", "3")]),
        ("row['price'] * 2", "price", [("number", "24.60"), ("number", "24691357802469135780.24")]),
        ("None", "due", [None, None]),
        ("None", "at", [None, None]),
    ],
)
def test_a_changed_cell_never_gets_the_old_text(
    tmp_path: Path, change: str, column: str, expected: list[Any], key: list[str]
) -> None:
    code = f"return [{{**row, {column!r}: {change}}} for row in df.to_dict('records')]"
    found, properties = through(code, CHANGED, tmp_path, key)
    assert [one[column] for one in found] == expected
    assert properties == PROPERTIES
    others = [{k: v for k, v in exact(one).items() if k != column} for one in CHANGED]
    if key:
        assert [{k: v for k, v in one.items() if k != column} for one in found] == others


def test_none_in_place_of_a_text_that_is_no_date_is_null(tmp_path: Path) -> None:
    for code in (
        "return df.assign(due=None, at=None)",
        "return [{**r, 'due': None, 'at': None} for r in df.to_dict('records')]",
    ):
        found, properties = through(code, [ODD], tmp_path, ["id"])
        assert (found[0]["due"], found[0]["at"]) == (None, None)
        assert properties == PROPERTIES


@pytest.mark.parametrize("other", ["'soon'", "row['due'].isoformat()[:4]"])
def test_dates_beside_texts_stay_dates(tmp_path: Path, other: str) -> None:
    code = f"return [{{**row, 'due': {other} if row['id'] == 1 else row['due']}} for row in df.to_dict('records')]"
    found, _ = through(code, [FULL, ODD, OTHER], tmp_path, ["id"])
    assert [one["due"] for one in found][1:] == ["0000-00-00", "2024-03-02"]


def test_rows_of_which_nothing_tells_the_record_keep_date_and_offset(tmp_path: Path) -> None:
    code = "return [{'due': row.due, 'at': row.at} for row in df.itertuples() if row.id != 1]"
    found, properties = through(code, [FULL, EMPTY, OTHER], tmp_path, [])
    assert found == [
        {"due": None, "at": None},
        {"due": "2024-03-02", "at": "2024-01-03T23:30:00.123456-05:00"},
    ]
    assert properties == {"due": DATE, "at": STAMP}


def test_two_spellings_of_one_instant_are_told_apart_or_written_in_utc(tmp_path: Path) -> None:
    same = FULL.replace("23:30:00+02:00", "22:30:00+01:00").replace('"id":1', '"id":5')
    code = "return [{'id': row.id, 'at': row.at} for row in df.itertuples() if row.id != 9]"
    found, _ = through(code, [FULL, same], tmp_path, ["id"])
    assert [one["at"] for one in found] == ["2024-01-01T23:30:00+02:00", "2024-01-01T22:30:00+01:00"]
    found, _ = through(
        "return [{'at': row.at} for row in df.itertuples() if row.id == 5]", [FULL, same], tmp_path, []
    )
    assert [one["at"] for one in found] == ["2024-01-01T21:30:00.000000Z"]


def test_a_nanosecond_is_not_cut(tmp_path: Path) -> None:
    code = "return df.assign(at=[one + pd.Timedelta(1, 'ns') for one in df['at']])"
    found, _ = through(code, [FULL], tmp_path, ["id"])
    assert found[0]["at"] == "2024-01-01T21:30:00.000000001Z"


def test_datetime64_of_numpy_are_dates_and_no_integers(tmp_path: Path) -> None:
    code = "import numpy as np; return df.assign(due=[np.datetime64('2024-01-05', 'ns')], new=[[np.datetime64(1, 'ns')]])"
    found, properties = through(code, [FULL], tmp_path, ["id"])
    assert found[0]["due"] == "2024-01-05"
    assert properties["due"] == DATE


def test_half_a_batch_of_dates_with_nulls_is_no_other_result(tmp_path: Path) -> None:
    """Source: pandas-dev/pandas#29024; the split check compares what the two halves give."""
    code = "import numpy as np\ndef s(df):\n    return df.replace({np.nan: None})\n"
    lines = [FULL, OTHER.replace('"id":4', '"id":5'), EMPTY, OTHER]
    data = schema("s", PROPERTIES, ["id"])
    data += "".join(f'{{"type":"RECORD","stream":"s","record":{one}}}\n' for one in lines).encode()
    out = push(functions_of(code, tmp_path), data)
    assert [exact(one)["record"] for one in out.lines[1:]] == [exact(one) for one in lines]


def test_a_text_that_is_no_date_and_is_lost_is_told(tmp_path: Path) -> None:
    code = "@transform(batch=True)\ndef s(df):\n    return [{'due': row.due} for row in df.itertuples() if row.id != 1]\n"
    data = schema("s", PROPERTIES)
    data += "".join(
        f'{{"type":"RECORD","stream":"s","record":{one}}}\n' for one in [FULL, ODD, OTHER]
    ).encode()
    out = push(functions_of(code, tmp_path), data)
    assert out.records("s") == [{"due": None}, {"due": "2024-03-02"}]
    assert any("column 'due': texts that are no date became null" in note for note in out.notices)
