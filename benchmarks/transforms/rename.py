"""Rename a column and drop another."""


def issues(df):
    return df.rename(columns={"comments": "comment_count"}).drop(columns="node_id")
