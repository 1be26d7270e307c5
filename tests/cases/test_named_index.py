"""An index with a name is columns. Source: dask/dask#6875, where a named index was lost without a word."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pushed import INTEGER, TEXT, Pushed, functions_of, push, records, schema

from flow_singer.errors import TransformError

BOOLEAN = {"type": ["null", "boolean"]}
SALES = [
    {"id": 1, "shop": "A", "qty": 3, "ok": True},
    {"id": 2, "shop": "B", "qty": 5, "ok": False},
    {"id": 3, "shop": "A", "qty": 4, "ok": True},
]
PROPERTIES = {"id": {"type": "integer"}, "shop": TEXT, "qty": INTEGER, "ok": BOOLEAN}
FORMS = {
    "batch": "@transform(batch=True, into={{'made': {key}}})\ndef sales(df):\n    return {code}\n",
    "whole": "@transform(whole=True, into={{'made': {key}}})\ndef sales(df):\n    return {code}\n",
    "package": "def transform(package):\n    df = package.pop('sales')\n    return {{'made': {code}}}\n",
}


def made(
    form: str, code: str, folder: Path, *, key: str = "[]", rows: list[Any] = SALES, size: int = 10
) -> Pushed:
    """What a function makes of the sales."""
    data = schema("sales", PROPERTIES, ["id"]) + records("sales", rows)
    return push(functions_of(FORMS[form].format(code=code, key=key), folder), data, batch_records=size)


TABLES = {
    "groupby": ("df.groupby('shop')[['qty']].sum()", [{"shop": "A", "qty": 7}, {"shop": "B", "qty": 5}]),
    "groupby of two": (
        "df.groupby(['shop', 'ok'])[['qty']].sum()",
        [{"shop": "A", "ok": True, "qty": 7}, {"shop": "B", "ok": False, "qty": 5}],
    ),
    "named aggregation": (
        "df.groupby('shop').agg(least=('qty', 'min'), most=('qty', 'max'))",
        [{"shop": "A", "least": 3, "most": 4}, {"shop": "B", "least": 5, "most": 5}],
    ),
    "value_counts": (
        "df['shop'].value_counts().to_frame()",
        [{"shop": "A", "count": 2}, {"shop": "B", "count": 1}],
    ),
    "pivot_table": (
        "df.pivot_table(index='shop', columns='ok', values='qty', aggfunc='sum')",
        [{"shop": "A", "true": 7}, {"shop": "B", "false": 5}],
    ),
    "set_index": ("df.set_index('id')[['qty']]", [{"id": row["id"], "qty": row["qty"]} for row in SALES]),
    "set_index, kept": ("df.set_index('id', drop=False)[['id']]", [{"id": row["id"]} for row in SALES]),
    "rename_axis": (
        "df[['shop']].rename_axis('place')",
        [{"place": i, **{"shop": r["shop"]}} for i, r in enumerate(SALES)],
    ),
    "no index": ("df[['id', 'qty']]", [{"id": row["id"], "qty": row["qty"]} for row in SALES]),
    "as_index": (
        "df.groupby('shop', as_index=False)['qty'].sum()",
        [{"shop": "A", "qty": 7}, {"shop": "B", "qty": 5}],
    ),
    "date index": (
        "df[['qty']].set_index(pd.date_range('2024-01-01', periods=len(df), name='day'))[:1]",
        [{"day": "2024-01-01T00:00:00", "qty": 3}],
    ),
    "no rows": ("df[df['qty'] > 9].groupby('shop')[['qty']].sum()", []),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("table", TABLES)
def test_the_levels_of_a_named_index_are_columns(tmp_path: Path, form: str, table: str) -> None:
    code, expected = TABLES[table]
    out = made(form, code, tmp_path)
    found = [{k: v for k, v in one.items() if v is not None} for one in out.records("made")]
    assert json.loads(json.dumps(found).replace(".000000", "")) == expected
    named = {name for row in expected for name in row}
    assert out.properties("made").keys() >= named
    assert not [note for note in out.notices if "index" in note]


@pytest.mark.parametrize("form", ["batch", "whole"])
def test_a_key_that_lies_in_the_index_is_found_there(tmp_path: Path, form: str) -> None:
    out = made(form, "df.groupby('shop')[['qty']].sum()", tmp_path, key="['shop']")
    assert out.of("SCHEMA", "made")[0]["key_properties"] == ["shop"]


@pytest.mark.parametrize("size", [1, 2, 10])
@pytest.mark.parametrize("columns", ["", "columns=['qty']"])
def test_the_streams_own_key_may_be_the_index(tmp_path: Path, columns: str, size: int) -> None:
    """Its records are found by it: what the frame does not show stays with them."""
    if columns:
        code = f"@transform({columns})\ndef sales(df):\n    return df.set_index('id', append=True)\n"
    else:
        code = "def sales(df):\n    return df.set_index('id')\n"
    rows = [{**row, "more": row["id"]} for row in SALES]
    data = schema("sales", PROPERTIES, ["id"]) + records("sales", rows)
    assert push(functions_of(code, tmp_path), data, batch_records=size).records("sales") == rows


def test_the_rows_of_groups_are_still_records(tmp_path: Path) -> None:
    """groupby.apply has an index of group and row."""
    rows = [{**row, "more": row["id"]} for row in SALES]
    code = "@transform(batch=True)\ndef sales(df):\n    return df.groupby('shop').apply(lambda part: part.head(1))\n"
    data = schema("sales", PROPERTIES, ["id"]) + records("sales", rows)
    assert push(functions_of(code, tmp_path), data).records("sales") == rows[:2]


@pytest.mark.parametrize("form", FORMS)
def test_a_name_that_is_a_column_too_is_told(tmp_path: Path, form: str) -> None:
    with pytest.raises(TransformError, match="index of the result is named 'qty', and so is a column"):
        made(form, "df.rename_axis('qty')", tmp_path)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("df.groupby('shop')['qty'].sum()", "Series"),
        ("df['shop'].value_counts()", "Series"),
        ("df.groupby('shop').size()", "Series"),
        ("df.count()", "Series"),
    ],
)
def test_a_series_is_refused_with_the_way_out(tmp_path: Path, form: str, code: str, kind: str) -> None:
    with pytest.raises(TransformError, match=f"returned .*{kind}, which is no table") as failure:
        made(form, code, tmp_path)
    assert ".reset_index()" in (failure.value.hint or "")
    assert ".to_frame()" in (failure.value.hint or "")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("df.groupby('shop')", ".agg"),
        ("df.groupby('shop')['qty']", ".reset_index()"),
        ("df.columns", ".to_frame"),
        ("df.to_numpy()", "pd.DataFrame"),
        ("{'made': df['qty']}", ".to_frame()"),
        ("(row for _, row in df.iterrows())", ".to_dict()"),
    ],
)
def test_what_is_near_a_table_is_told_what_it_lacks(tmp_path: Path, code: str, hint: str) -> None:
    with pytest.raises(TransformError, match="which is no table") as failure:
        made("batch", code, tmp_path)
    assert hint in (failure.value.hint or "")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("code", ["df[['qty']].T", "df[['qty']].describe()"])
def test_an_index_of_texts_without_a_name_is_left_out_and_told(tmp_path: Path, form: str, code: str) -> None:
    out = made(form, code, tmp_path)
    assert out.records("made")
    (note,) = [note for note in out.notices if "the index of the result has no name and was left out" in note]
    assert "Stream 'made'" in note
    assert '.rename_axis("name")' in note


def test_frames_in_rows_keep_their_index(tmp_path: Path) -> None:
    out = made("batch", "(part[['qty']].set_index(part['id']) for _, part in df.groupby('shop'))", tmp_path)
    assert out.records("made") == [{"id": 1, "qty": 3}, {"id": 3, "qty": 4}, {"id": 2, "qty": 5}]


@pytest.mark.parametrize("code", ["[{1: 'x', 'id': 1}]", "pd.DataFrame({1: ['x'], 'id': [1]})"])
def test_a_number_as_the_name_of_a_column_is_its_text(tmp_path: Path, code: str) -> None:
    assert made("batch", code, tmp_path).records("made") == [{"1": "x", "id": 1}]
