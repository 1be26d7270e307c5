import pandas as pd


def issues(df: pd.DataFrame) -> pd.DataFrame:
    df["author"] = df["user"].str["login"]
    return df.drop(columns=["user", "body", "milestone"])
