import pandas as pd

from flow_singer import transform


@transform("issues", into={"issues": ["id"], "labels": ["issue_id", "position"]})
def issues(df: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The labels of an issue become rows of a stream of their own."""
    labels = df[["id", "labels"]].explode("labels").dropna(subset="labels")
    return {
        "issues": df[["id", "title", "state", "updated_at"]],
        "labels": pd.DataFrame(
            {
                "issue_id": labels["id"],
                "position": labels.groupby(level=0).cumcount().astype("Int64"),
                "name": labels["labels"].str["name"],
                "color": labels["labels"].str["color"],
            }
        ),
    }
