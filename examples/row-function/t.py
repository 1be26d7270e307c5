from collections.abc import Iterator

from flow_singer import transform


@transform("events", rows=True, into={"commits": ["event_id", "position"]})
def commits(row: dict) -> Iterator[dict]:
    """A push has any number of commits; the other events have none."""
    if row["type"] != "Push":
        return
    for position, commit in enumerate(row["payload"]["commits"]):
        yield {
            "event_id": row["id"],
            "position": position,
            "author": row["actor"]["login"],
            "message": commit["message"].splitlines()[0],
            "pushed_at": row["updated_at"],
        }
