"""What alarms the split check, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pushed import INTEGER, NUMBER, STAMP, TEXT, functions_of, push, record, schema

from flow_singer.errors import TransformError
from flow_singer.transforms.splitcheck import is_same, is_same_in_another_order

PROPERTIES = {
    "id": {"type": "integer"},
    "n": INTEGER,
    "x": NUMBER,
    "name": TEXT,
    "at": STAMP,
    "due": {"type": ["null", "string"], "format": "date"},
    "flag": {"type": ["null", "boolean"]},
    "big": INTEGER,
    "price": {"type": ["null", "string"], "format": "singer.decimal"},
    "obj": {"type": ["null", "object"], "properties": {"a": INTEGER}},
    "list": {"type": ["null", "array"], "items": TEXT},
}
SCHEMA = schema("s", PROPERTIES, ["id"])


def row(number: int, *, nulls: bool) -> dict[str, Any]:
    values = {
        "id": number,
        "n": (number * 7) % 10,
        "x": number / 4,
        "name": "odd" if number % 2 else "even",
        "at": f"2026-01-01T00:00:{number:02}.5+02:00",
        "due": f"2026-01-{number + 1:02}",
        "flag": bool(number % 2),
        "big": 2**60 + number,
        "price": f"{number}.10",
        "obj": {"a": number},
        "list": ["p", str(number)],
    }
    return {name: None if nulls and name != "id" else value for name, value in values.items()}


def rows(nulls_in: str) -> list[dict[str, Any]]:
    """Ten rows; some of the first or the second five have nulls, the fifth and sixth never."""
    null = {"first": (1, 3), "second": (7, 9), "neither": ()}[nulls_in]
    return [row(number, nulls=number in null) for number in range(10)]


def run(tmp_path: Path, body: str, nulls_in: str) -> list[dict[str, Any]]:
    text = f"import io\nimport numpy as np\n@transform(key=[])\ndef s(df):\n    return {body}\n"
    lines = [SCHEMA, *(record("s", one) for one in rows(nulls_in))]
    return push(functions_of(text, tmp_path), lines).records("s")


ROW_BY_ROW = [
    "df",
    "df.copy()",
    "df.replace({np.nan: None})",
    "df.where(df.notna(), None)",
    "df.astype(object)",
    "df.astype(object).where(df.notna(), None)",
    "df.convert_dtypes()",
    "df.infer_objects()",
    "df.fillna({'n': 0, 'x': 0, 'name': ''})",
    "df.dropna()",
    "df.dropna(axis=1, how='all')",
    "df[df['n'] > 3]",
    "df.assign(n=df['n'].astype('float64'))",
    "df.assign(n=df['n'].where(df['n'] > 3))",
    "df.assign(n=df['n'] / 2)",
    "df.assign(x=df['x'] * -0.0)",
    "df.assign(y=np.exp(df['x'].astype(float)), z=np.sin(df['x'].astype(float)))",
    "df.assign(name=df['name'].astype('category'))",
    "df.assign(name=df['name'].astype('string'))",
    "df.assign(at=df['at'].dt.tz_convert('Europe/Paris'))",
    "df.assign(at=df['at'].astype(object))",
    "df.assign(at=df['at'].map(lambda v: None if pd.isna(v) else v.isoformat()))",
    "df.assign(due=df['due'].astype(object))",
    "df.assign(due=df['due'].replace({pd.NaT: None}))",
    "df.assign(y=df['due'].dt.year)",
    "df.assign(y=df['due'].dt.date)",
    "df.assign(y=df['at'] - df['at'].dt.normalize())",
    "df.assign(y=pd.to_numeric(df['price']))",
    "df.assign(y=pd.to_datetime(df['due']))",
    "df.assign(y=df['n'].apply(lambda v: None if pd.isna(v) else int(v)))",
    "df.assign(y=[{'a': 1, 'b': v} if v % 2 else {'b': v, 'a': 1.0} for v in df['id']])",
    "df.explode('list')",
    "df.explode('list', ignore_index=True)",
    "df.set_index('id').reset_index()",
    "df.to_dict('records')",
    "list(df.itertuples(index=False))",
    "pd.DataFrame(df.drop(columns='big').to_dict('records'))",
    "pd.DataFrame.from_records(df.drop(columns='big').to_dict('records'))",
    "pd.read_csv(io.StringIO(df[['id', 'n', 'x', 'name']].to_csv(index=False)))",
    "df.map(lambda v: v)",
    "df.apply(lambda one: one, axis=1)",
    "df.merge(pd.DataFrame({'n': pd.array([1, 2, 3], dtype='Int64'), 'w': [1, 2, 3]}), on='n', how='left')",
    "df.groupby('id', as_index=False).first()",
    "df.sort_values('id')",
]

ACROSS_ROWS = [
    "df.groupby('name', as_index=False)['n'].sum()",
    "df.drop_duplicates('name')",
    "df.head(3)",
    "df.tail(2)",
    "df.nlargest(3, 'id')",
    "df.describe().reset_index()",
    "df.assign(y=df['id'].cumsum())",
    "df.assign(y=df['id'].rank())",
    "df.assign(y=df['id'].shift())",
    "df.assign(y=df['id'].diff())",
    "df.assign(y=df['id'].pct_change())",
    "df.assign(y=df['x'] - df['x'].mean())",
    "df.assign(y=df['x'].fillna(df['x'].mean()), z=df['x'].max())",
    "df.assign(y=df['id'].rolling(3).sum())",
    "df.assign(y=range(len(df)))",
    "df.assign(y=len(df))",
    "df.assign(big=df['big'] + len(df))",
    "df.assign(y=df['at'].min())",
    "df.assign(y=pd.qcut(df['id'], 2, labels=False))",
    "df.assign(y=df['id'].astype('category').cat.codes)",
    "pd.get_dummies(df[['id', 'x']], columns=['x'])",
    "df.set_index('id').index.to_frame(index=False).assign(y=lambda one: one['id'].sum())",
]

IN_ANOTHER_ORDER = [
    "df.melt(id_vars='id', value_vars=['n', 'x'])",
    "df.sort_values('n')",
    "df.sort_values('id', ascending=False)",
    "df.iloc[::-1]",
    "pd.concat([df[df['n'] > 4], df[df['n'] <= 4]])",
    "pd.concat([df, df])",
]


@pytest.mark.parametrize("nulls_in", ["first", "second", "neither"])
@pytest.mark.parametrize("body", ROW_BY_ROW)
def test_what_goes_row_by_row_raises_no_alarm(tmp_path: Path, body: str, nulls_in: str) -> None:
    assert run(tmp_path, body, nulls_in)


@pytest.mark.parametrize("nulls_in", ["first", "second", "neither"])
@pytest.mark.parametrize("body", ACROSS_ROWS)
def test_what_looks_across_rows_is_refused(tmp_path: Path, body: str, nulls_in: str) -> None:
    with pytest.raises(TransformError, match="gives another result for a batch of stream 's'") as raised:
        run(tmp_path, body, nulls_in)
    assert "@transform(whole=True)" in str(raised.value.hint)
    assert "@transform(batch=True)" in str(raised.value.hint)


@pytest.mark.parametrize("nulls_in", ["first", "neither"])
@pytest.mark.parametrize("body", IN_ANOTHER_ORDER)
def test_what_only_arranges_rows_is_told_so(tmp_path: Path, body: str, nulls_in: str) -> None:
    with pytest.raises(TransformError, match=r"gives the same rows .* but in another order") as raised:
        run(tmp_path, body, nulls_in)
    assert "any order will do (a melt), @transform(batch=True)" in str(raised.value.hint)


def test_a_half_that_the_function_fails_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(TransformError, match=r"not with each half of it: .*IndexError"):
        run(tmp_path, "df.assign(y=df['id'].iloc[7])", "neither")


SAME = {
    "integer": (1, 1.0),
    "zero": (0.0, -0.0),
    "rounded": (0.1 + 0.2, 0.3),
    "zone": ("2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00"),
    "no-zone": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00"),
    "space": ("2026-01-01 00:00:00+00:00", "2026-01-01T00:00:00.000000Z"),
    "date": ("2026-01-01", "2026-01-01T00:00:00"),
    "inside": ([{"a": 1, "b": None}], [{"a": 1.0}]),
}
OTHERS = {
    "text": ("1", 1),
    "null": (None, 0),
    "integers": (2**60, 2**60 + 1),
    "numbers": (1.0, 1.0000001),
    "case": ("a", "A"),
    "instants": ("2026-01-01T00:00:00Z", "2026-01-01T00:00:01Z"),
    "dates": ("2026-01-01", "2026-01-02"),
    "words": ("2026-no-date", "2026-no-dates"),
    "longer": ([1], [1, 1]),
}


@pytest.mark.parametrize(("one", "other"), SAME.values(), ids=SAME)
def test_values_that_say_the_same(one: object, other: object) -> None:
    assert is_same({"s": [{"v": one}]}, {"s": [{"v": other}]})


@pytest.mark.parametrize(("one", "other"), OTHERS.values(), ids=OTHERS)
def test_values_that_differ(one: object, other: object) -> None:
    assert not is_same({"s": [{"v": one}]}, {"s": [{"v": other}]})
    assert not is_same_in_another_order({"s": [{"v": one}]}, {"s": [{"v": other}]})


def test_another_order_counts_each_record_of_each_stream() -> None:
    first, second = {"v": 1, "w": "2026-01-01T00:00:00Z"}, {"v": 2}
    assert is_same_in_another_order({"s": [first, second]}, {"s": [second, {**first, "w": "2026-01-01"}]})
    assert not is_same_in_another_order({"s": [first, first, second]}, {"s": [first, second, second]})
    assert not is_same_in_another_order({"s": [first]}, {"t": [first]})
