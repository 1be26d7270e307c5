"""Compute one column, record by record."""

from flow_singer import transform


@transform("issues", rows=True)
def plus_one(row):
    if row["comments"] is not None:
        row["comments"] += 1
    return row
