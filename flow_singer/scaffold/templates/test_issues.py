"""A transform is a function of a frame: it is tested without Flow."""

import sys
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parent.parent / "transforms"))

from issues import issues


def test_only_open_issues_stay() -> None:
    day = pd.Timestamp("2024-01-01", tz="UTC")
    df = pd.DataFrame(
        {
            "id": [1, 2],
            "state": ["open", "closed"],
            "created_at": [day, day],
            "updated_at": [day + pd.Timedelta(days=3), day],
        }
    )
    result = issues(df)
    assert result["id"].tolist() == [1]
    assert result["age_days"].tolist() == [3]
