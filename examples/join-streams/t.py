import pandas as pd

from flow_singer import transform


@transform("issues", "users", whole=True, into={"authors": ["login"]})
def authors(issues: pd.DataFrame, users: pd.DataFrame) -> pd.DataFrame:
    """Open and closed issues of each user who wrote any."""
    written = issues.assign(id=issues["user"].str["id"].astype("Int64"))
    counts = pd.crosstab(written["id"], written["state"]).astype("Int64").reset_index()
    table = users[["id", "login", "name"]].merge(counts, on="id")
    return table[["login", "name", "open", "closed"]].sort_values("login")
