"""Keep some rows."""


def issues(df):
    return df[df["state"] == "open"]
