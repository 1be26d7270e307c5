"""`df.replace({np.nan: None})` gives a date column another dtype where it has a null: pandas-dev/pandas#29024.

One half of the first batch has nulls there and the other has none, so that the same dates are spelt in two ways.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from pushed import STAMP, functions_of, push, record, schema

DATE = {"type": ["null", "string"], "format": "date"}
SCHEMA = schema("s", {"id": {"type": "integer"}, "due": DATE, "at": STAMP}, ["id"])


@pytest.mark.parametrize("half", [0, 1])
@pytest.mark.parametrize(
    "body",
    [
        "df.replace({np.nan: None})",
        "df.astype(object).where(df.notna(), None)",
        "pd.DataFrame(df.to_dict('records'))",
    ],
)
def test_the_split_check_is_not_alarmed_by_nulls_in_one_half(tmp_path: Path, body: str, half: int) -> None:
    rows = [
        {
            "id": number,
            "due": None if number % 2 and (number < 5) == (half == 0) else f"2026-03-{number + 1:02}",
            "at": None
            if number % 3 and (number < 5) == (half == 0)
            else f"2026-03-01T00:00:{number:02}+02:00",
        }
        for number in range(10)
    ]
    lines = [SCHEMA, *(record("s", row) for row in rows)]
    out = push(functions_of(f"import numpy as np\ndef s(df):\n    return {body}\n", tmp_path), lines)
    assert [row["id"] for row in out.records("s")] == list(range(10))
