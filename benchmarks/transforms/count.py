"""Need every row: how many issues there are in each state."""

from flow_singer import transform


@transform("issues", whole=True, into={"states": ["state"]})
def states(df):
    return df.groupby("state").size().rename("issues").reset_index()
