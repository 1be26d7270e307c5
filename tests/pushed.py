"""Functions run in this process over messages that are pushed in, and what came out."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flow_singer.errors import FlowError
from flow_singer.singer.marks import MessageWriter
from flow_singer.transforms.functions import StreamFunction, load_functions
from flow_singer.transforms.transformer import Transformer
from flow_singer.transforms.waitingrecords import Limits

INTEGER = {"type": ["null", "integer"]}
TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "number"]}
STAMP = {"type": ["null", "string"], "format": "date-time"}


def line(message: Mapping[str, Any]) -> bytes:
    """A message as its line."""
    return json.dumps(message).encode() + b"\n"


def schema(
    stream: str,
    properties: Mapping[str, Any],
    key: Sequence[str] = (),
    *,
    beside: Mapping[str, Any] | None = None,
    **words: Any,
) -> bytes:
    """A SCHEMA line; `words` stand in its JSON Schema, `beside` in the message."""
    message = {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": properties, **words},
    }
    return line({**message, "key_properties": list(key), **(beside or {})})


def record(stream: str, values: Mapping[str, Any], **beside: Any) -> bytes:
    """A RECORD line."""
    return line({"type": "RECORD", "stream": stream, "record": values, **beside})


def records(stream: str, rows: Iterable[Mapping[str, Any]]) -> bytes:
    """RECORD lines."""
    return b"".join(record(stream, row) for row in rows)


def state(value: object) -> bytes:
    """A STATE line."""
    return line({"type": "STATE", "value": value})


@dataclass
class Pushed:
    """What a transform wrote, block by block, and what it said."""

    blocks: list[bytes] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    rejects: list[tuple[int, str | None, bytes, FlowError]] = field(default_factory=list)

    @property
    def lines(self) -> list[bytes]:
        return b"".join(self.blocks).split(b"\n")[:-1]

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(one) for one in self.lines]

    def of(self, kind: str, stream: str | None = None) -> list[dict[str, Any]]:
        """Messages of one type, and of one stream."""
        return [m for m in self.messages if m["type"] == kind and stream in (None, m.get("stream"))]

    def records(self, stream: str) -> list[dict[str, Any]]:
        return [message["record"] for message in self.of("RECORD", stream)]

    def schemas(self, stream: str) -> list[dict[str, Any]]:
        return [message["schema"] for message in self.of("SCHEMA", stream)]

    def properties(self, stream: str) -> dict[str, Any]:
        """The properties of the last SCHEMA."""
        found: dict[str, Any] = self.schemas(stream)[-1]["properties"]
        return found


def functions_of(code: str, folder: Path) -> list[StreamFunction]:
    """The functions of a file with this code."""
    path = folder / "t.py"
    path.write_text("import pandas as pd\nfrom flow_singer import transform\n" + code)
    return load_functions(str(path))


def transformer(
    functions: Sequence[StreamFunction],
    *,
    limits: Limits | None = None,
    reject: bool = False,
    clock: Callable[[], float] | None = None,
    **options: Any,
) -> tuple[Transformer, Pushed]:
    """A transform, and where it writes to."""
    out = Pushed()
    if reject:
        options["reject"] = lambda *one: out.rejects.append(one)
    if clock is not None:
        options["clock"] = clock
    writer = MessageWriter(lambda data: out.blocks.append(bytes(data)))
    return Transformer(functions, writer, limits=limits, **options), out


def push(
    functions: Sequence[StreamFunction],
    data: bytes | Iterable[bytes],
    *,
    complete: bool = True,
    batch_records: int = 10_000,
    **options: Any,
) -> Pushed:
    """Run functions over messages to the end."""
    one, out = transformer(functions, limits=Limits(batch_records=batch_records), **options)
    for block in [data] if isinstance(data, bytes) else data:
        one.push(block)
    one.read_rest()
    one.finish(complete=complete)
    out.notices = one.notices
    return out
