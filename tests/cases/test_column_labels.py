"""Labels of columns that are no text. Source: pandas-dev/pandas#10113, columns of two levels."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_named_index import FORMS, made

from flow_singer.errors import TransformError


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "code",
    [
        "df.groupby('shop').agg({'qty': ['min', 'max']})",
        "df.groupby('shop', as_index=False).agg({'qty': ['min', 'max']})",
        "df.groupby('shop')[['qty']].agg(['min', 'max']).reset_index()",
        "df.pivot_table(index='shop', columns='ok', values=['qty'], aggfunc=['min', 'max'])",
        "pd.DataFrame([[1, 2]], columns=pd.Index([('qty', 'min'), ('qty', 'max')], tupleize_cols=False))",
        "df.assign(**{'x': 1}).rename(columns={'x': ('qty', 'min')})",
        "df[df['qty'] > 99].groupby('shop').agg({'qty': ['min', 'max']})",
    ],
)
def test_names_of_two_levels_are_refused_with_the_way_out(tmp_path: Path, form: str, code: str) -> None:
    with pytest.raises(
        TransformError, match=r"names of several levels: .*'qty'.*'min'|names of several levels"
    ) as failure:
        made(form, code, tmp_path)
    assert "qty_min" in f"{failure.value.message} {failure.value.hint}"
    assert ".agg(" in (failure.value.hint or "")


def test_the_way_out_is_one(tmp_path: Path) -> None:
    code = "(lambda t: t.set_axis(['_'.join(map(str, c)) for c in t.columns], axis=1))(df.groupby('shop')[['qty']].agg(['min', 'max']))"
    assert made("batch", code, tmp_path).records("made") == [
        {"shop": "A", "qty_min": 3, "qty_max": 4},
        {"shop": "B", "qty_min": 5, "qty_max": 5},
    ]


@pytest.mark.parametrize(
    ("label", "text"),
    [
        ("1", "1"),
        ("np.int64(7)", "7"),
        ("1.5", "1.5"),
        ("True", "true"),
        ("pd.Timestamp('2024-02-29')", "2024-02-29"),
        ("pd.Timestamp('2024-02-29 12:00', tz='UTC')", "2024-02-29T12:00:00Z"),
        ("__import__('datetime').date(2024, 2, 29)", "2024-02-29"),
        ("pd.Interval(0, 5)", "(0, 5]"),
        ("pd.Period('2024-02')", "2024-02"),
    ],
)
def test_any_other_label_is_the_text_of_a_cell_and_told(tmp_path: Path, label: str, text: str) -> None:
    code = f"(lambda np: pd.DataFrame([[1, 2]], columns=pd.Index(['id', {label}], dtype=object)))(__import__('numpy'))"
    out = made("batch", code, tmp_path)
    assert out.records("made") == [{"id": 1, text: 2}]
    assert [
        note
        for note in out.notices
        if "labels of columns that are no text became text" in note and text in note
    ]


@pytest.mark.parametrize("label", ["None", "float('nan')", "pd.NaT", "pd.NA"])
def test_a_column_without_a_name_is_refused(tmp_path: Path, label: str) -> None:
    code = f"pd.DataFrame([[1, 2]], columns=pd.Index(['id', {label}], dtype=object))"
    with pytest.raises(TransformError, match="a column of the result has no name"):
        made("batch", code, tmp_path)


@pytest.mark.parametrize("labels", ["['a', 'a']", "['1', 1]", "['a', 'b', 'a']", "[None, None]"])
def test_two_columns_of_one_name_are_refused(tmp_path: Path, labels: str) -> None:
    code = f"pd.DataFrame([[1] * len({labels})], columns=pd.Index({labels}, dtype=object))"
    with pytest.raises(TransformError, match=r"two columns named|has no name"):
        made("batch", code, tmp_path)
