"""Plain Python: a function named like a stream gets it as a DataFrame, batch by batch.

Run:   flow run tap-demo transforms/issues.py output/
Look:  flow run tap-demo --limit 5 | flow transform transforms/issues.py
Test:  pytest
"""

import pandas as pd


def issues(df: pd.DataFrame) -> pd.DataFrame:
    """Open issues, with their age in days at the last update."""
    df = df[df["state"] == "open"].copy()
    df["age_days"] = (df["updated_at"] - df["created_at"]).dt.days.astype("Int64")
    return df
