"""Compute one column for the whole batch, in every stream."""

from flow_singer import transform


@transform("issues*")
def plus_one(df):
    df["comments"] = df["comments"] + 1
    return df
