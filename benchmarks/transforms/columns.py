"""Compute one column for the whole batch, and see no other."""

from flow_singer import transform


@transform("issues*", columns=["comments"])
def plus_one(df):
    df["comments"] = df["comments"] + 1
    return df
