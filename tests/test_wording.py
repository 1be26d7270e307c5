"""Words that messages share."""

from __future__ import annotations

import pandas as pd
import pytest

from flow_singer.wording import count_of, type_name


@pytest.mark.parametrize(
    ("number", "noun", "plural", "text"),
    [
        (0, "record", None, "0 records"),
        (1, "record", None, "1 record"),
        (3100, "record", None, "3,100 records"),
        (1, "row was", "rows were", "1 row was"),
        (2, "row was", "rows were", "2 rows were"),
    ],
)
def test_a_number_stands_with_its_noun(number: int, noun: str, plural: str | None, text: str) -> None:
    assert count_of(number, noun, plural) == text


def test_a_type_is_named_with_its_library() -> None:
    assert type_name("text") == "str"
    assert type_name(pd.Series([1])) == "pandas.Series"
