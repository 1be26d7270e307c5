"""Nested columns: dicts and lists to the user, text to everybody else."""

import json
import operator

import pandas as pd
import pyarrow as pa
import pytest

from flow_singer.tabular.nested import JsonArray
from flow_singer.tabular.textarrays import TEXT

USERS = ['{"login": "a", "id": 1.10}', None, '{"login":"c","id":3}']
LABELS = ['[{"n": 1}, {"n": 2}]', "[]", None]


def array(texts):
    return JsonArray(pa.array(texts, TEXT))


@pytest.fixture
def df():
    return pd.DataFrame(
        {
            "id": pd.array([1, 2, 3], dtype="Int64"),
            "user": pd.Series(array(USERS)),
            "labels": pd.Series(array(LABELS)),
        }
    )


def objects(texts):
    return [None if text is None else json.loads(text) for text in texts]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda df: df[df["id"] > 1], id="filter"),
        pytest.param(lambda df: df.sort_values("id", ascending=False), id="sort"),
        pytest.param(lambda df: df.reset_index(drop=True).iloc[1:], id="slice"),
        pytest.param(lambda df: df.copy(), id="copy"),
        pytest.param(lambda df: df.merge(pd.DataFrame({"id": [1, 4]}), on="id", how="right"), id="merge"),
        pytest.param(lambda df: df[df["user"].notna()].drop(columns="labels"), id="notna"),
    ],
)
def test_what_only_moves_rows_never_decodes_them(df, change):
    result = change(df)["user"].array
    assert isinstance(result, JsonArray)
    assert result.is_untouched
    assert set(result.texts.to_pylist()) <= set(USERS)


@pytest.mark.parametrize(
    ("look", "expected"),
    [
        pytest.param(
            lambda df: df["user"].map(lambda u: u and u["login"]).tolist(), ["a", None, "c"], id="map"
        ),
        pytest.param(lambda df: df["user"].str["login"].tolist(), ["a", None, "c"], id="str-item"),
        pytest.param(lambda df: df["user"].str.get("id").dropna().tolist(), [1.1, 3], id="str-get"),
        pytest.param(lambda df: df["labels"].str.len().fillna(-1).tolist(), [2, 0, -1], id="str-len"),
        pytest.param(lambda df: list(df["user"]), objects(USERS), id="iterate"),
        pytest.param(lambda df: [row["user"] for _, row in df.iterrows()], objects(USERS), id="iterrows"),
        pytest.param(lambda df: [row.user for row in df.itertuples()], objects(USERS), id="itertuples"),
        pytest.param(lambda df: [r["user"] for r in df.to_dict("records")], objects(USERS), id="to-dict"),
        pytest.param(lambda df: df["user"].astype(object).tolist(), objects(USERS), id="object"),
        pytest.param(lambda df: df["user"].isna().tolist(), [False, True, False], id="isna"),
        pytest.param(
            lambda df: (df["user"] == {"login": "c", "id": 3}).tolist(), [False, False, True], id="equal"
        ),
        pytest.param(
            lambda df: pd.json_normalize(df["user"].dropna().tolist())["login"].tolist(),
            ["a", "c"],
            id="normalize",
        ),
        pytest.param(
            lambda df: df.explode("labels")["labels"].tolist(), [{"n": 1}, {"n": 2}, None, None], id="explode"
        ),
        pytest.param(lambda df: df.explode("labels")["id"].tolist(), [1, 1, 2, 3], id="explode-others"),
        pytest.param(lambda df: df.groupby("id")["labels"].agg(list).tolist()[1], [[]], id="group"),
    ],
)
def test_a_function_sees_dicts_and_lists(df, look, expected):
    assert look(df) == expected


def test_cells_can_be_set(df):
    df.at[0, "user"] = {"new": True}
    df.loc[df["id"] == 3, "user"] = None
    assert df["user"].tolist() == [{"new": True}, None, None]
    assert df["user"].isna().tolist() == [False, True, True]


def test_a_copy_does_not_see_cells_set_later(df):
    copy = df.copy()
    df.at[0, "user"] = None
    assert copy["user"][0] == {"login": "a", "id": 1.1}


def test_frames_can_be_joined_end_to_end(df):
    joined = pd.concat([df, df])["user"]
    assert isinstance(joined.array, JsonArray)
    assert joined.array.texts.to_pylist() == USERS * 2


def test_it_joins_with_a_column_of_objects(df):
    joined = pd.concat([df["user"], pd.Series([{"x": 1}])])
    assert joined.tolist() == [*objects(USERS), {"x": 1}]


@pytest.mark.parametrize(
    "show", [repr, operator.methodcaller("info", buf=None), operator.methodcaller("to_csv")]
)
def test_it_can_be_shown(df, show, capsys):
    show(df)


def test_integers_past_64_bits_and_long_decimals_are_exact():
    cells = array(['{"i": 18446744073709551617, "d": 0.1234567890123456789012345}']).objects
    assert cells[0]["i"] == 2**64 + 1
    assert str(cells[0]["d"]) == "0.1234567890123456789012345"
