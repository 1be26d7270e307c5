"""Join two streams: to each issue the one that came after it, which is in the other stream."""

from flow_singer import transform


@transform("issues", "issues_1", whole=True, into={"pairs": ["id"]})
def pairs(issues, others):
    others = others[["id", "comments"]].rename(columns={"comments": "next_comments"})
    others["id"] = others["id"] - 1
    return issues.merge(others, on="id")
