"""Message streams to load, and what became of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from flow_singer.singer.marks import Header, MessageWriter
from flow_singer.state.systemdb import SqliteStore

BOOKMARK = "tap-x-to-target-x"


def messages(count: int, *, first: int = 1, every: int = 1, stream: str = "s", width: int = 0) -> list[bytes]:
    """SCHEMA, then records with the ids from `first` on, a STATE after every `every` of them."""
    schema = {"properties": {"id": {"type": "integer"}, "text": {"type": ["null", "string"]}}}
    lines: list[dict[str, Any]] = [
        {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["id"]}
    ]
    for number in range(first, first + count):
        lines.append({"type": "RECORD", "stream": stream, "record": {"id": number, "text": "x" * width}})
        if number % every == 0:
            lines.append({"type": "STATE", "value": {"bookmarks": {stream: {"id": number}}}})
    return [json.dumps(line).encode() for line in lines]


def plain(lines: list[bytes]) -> bytes:
    """A stream as a foreign tap writes it."""
    return b"".join(line + b"\n" for line in lines)


def framed(lines: list[bytes], *, ok: bool = True, end: bool = True, **header: Any) -> bytes:
    """A stream as `flow run tap-x` writes it.

    Args:
        lines: messages.
        ok: how its trailer says that it ended.
        end: whether it has a trailer.
        **header: fields of its header.
    """
    written = bytearray()
    writer = MessageWriter(written.extend, Header("run-1", **{"tap": "tap-x", **header}))
    for line in lines:
        message = json.loads(line)
        if message["type"] == "SCHEMA":
            writer.schema(line)
        elif message["type"] == "STATE":
            writer.state(line)
        elif message["type"] == "RECORD":
            writer.stream_records(message["stream"], line + b"\n", 1)
        else:
            writer.other(line + b"\n", 1)
    if end:
        writer.finish(ok=ok, code=0 if ok else 69, reason=None if ok else "tap-x exited with code 3")
    return bytes(written)


def bookmark(root: Path, state_id: str = BOOKMARK) -> Any:
    """The value of a bookmark of the project in `root`; None where there is none."""
    value = SqliteStore(root / ".meltano" / "meltano.db").get(state_id)
    return None if value is None else json.loads(value)


def bookmarked_id(root: Path, state_id: str = BOOKMARK) -> int:
    """The last id that a bookmark of `fixtures/taps/counts.py` covers; 0 without a bookmark."""
    value = bookmark(root, state_id)
    return 0 if value is None else int(value["bookmarks"]["s"]["id"])


def ids(rows: Path) -> list[int]:
    """The ids that `fixtures/targets/durable.py` holds, in the order of their arrival."""
    return [json.loads(line)["id"] for line in rows.read_text().splitlines()] if rows.exists() else []
