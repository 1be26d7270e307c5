import pandas as pd


def issues(df: pd.DataFrame) -> pd.DataFrame:
    df = df[df["state"] == "open"].copy()
    df["author"] = df["user"].map(lambda user: user["login"])
    df["age_days"] = (df["updated_at"] - df["created_at"]).dt.days.astype("Int64")
    return df[["id", "title", "author", "age_days", "labels", "updated_at"]]
