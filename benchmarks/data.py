"""Generated messages of one stream, `issues`: 13 fields, nested values, nulls, dates, ~490 bytes a line.

`python benchmarks/data.py 100000 > issues.jsonl`

Other shapes of records, and several streams one record each in turn, are for `run.py --shapes` and `growth.py`.
Every shape has the integers `id` and `comments` (with nulls), so that one transform fits all.

The same number of records gives the same bytes on every machine and Python. It imports nothing of Flow, so
that a fault in Flow cannot change what Flow is measured with.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable, Iterator
from typing import IO, Any

STREAM = "issues"
ISSUES = "issues"  # the shape that everything is measured with where nothing else is said
TEXT = "4 kB text"
NESTED = "nested objects"
SHAPES = {"3 columns": 1.0, "200 columns": 0.1, TEXT: 0.25, NESTED: 0.25}
"""What `--shapes` runs, with the share of `--records` that is measured: large records are fewer."""
OPEN_SHARE = 0.75  # of the records have state "open"; what a filter should keep
RECORDS_PER_STATE = 10_000  # taps send a bookmark now and then, not only at the end

_DATE_TIME = {"type": ["null", "string"], "format": "date-time"}
_PROPERTIES = {
    "id": {"type": "integer"},
    "node_id": {"type": ["null", "string"]},
    "number": {"type": ["null", "integer"]},
    "title": {"type": ["null", "string"]},
    "state": {"type": ["null", "string"]},
    "comments": {"type": ["null", "integer"]},
    "score": {"type": ["null", "number"]},
    "locked": {"type": ["null", "boolean"]},
    "created_at": _DATE_TIME,
    "updated_at": _DATE_TIME,
    "closed_at": _DATE_TIME,
    "user": {
        "type": ["null", "object"],
        "properties": {
            "login": {"type": ["null", "string"]},
            "id": {"type": ["null", "integer"]},
            "site_admin": {"type": ["null", "boolean"]},
        },
    },
    "labels": {
        "type": ["null", "array"],
        "items": {
            "type": "object",
            "properties": {
                "id": {"type": ["null", "integer"]},
                "name": {"type": ["null", "string"]},
                "color": {"type": ["null", "string"]},
            },
        },
    },
}
_LABELS = (
    "",
    '{"id": 11, "name": "bug", "color": "d73a4a"}',
    '{"id": 11, "name": "bug", "color": "d73a4a"}, {"id": 12, "name": "docs", "color": "0075ca"}',
)


_WORDS = (
    "The quick brown fox",
    "jumps over",
    "a lazy \\u00e4\\u00f6\\u00fc",
    'and \\"says\\" so,\\n',
    "then \\ud83d\\ude80",
)
_TEXT_CHARACTERS = 4096
_DEPTH = 8  # objects within objects


def columns(count: int) -> str:
    """The shape with so many flat columns of five types in turn; at least 2: `id` and `comments`."""
    return f"{count} columns"


def stream_names(streams: int) -> list[str]:
    """`issues`, `issues_1`, `issues_2`, ..."""
    return [STREAM, *(f"{STREAM}_{number}" for number in range(1, streams))]


def schema_message(shape: str = ISSUES, stream: str = STREAM) -> str:
    """The SCHEMA message of the stream, one line without its end."""
    message: dict[str, Any] = {
        "type": "SCHEMA",
        "stream": stream,
        "schema": {"type": "object", "properties": _properties(shape)},
        "key_properties": ["id"],
    }
    if shape == ISSUES:
        message["bookmark_properties"] = ["updated_at"]
    return json.dumps(message)


def messages(records: int, *, shape: str = ISSUES, streams: int = 1, seed: int = 1) -> Iterator[str]:
    """Yield the lines without their ends: SCHEMAs, `records` RECORDs, a STATE now and then and at the end.

    Args:
        records: of all streams together; stream after stream gets one in turn.
        shape: `issues`, a word of SHAPES, or what `columns` says.
        streams: how many, all of the same shape.
        seed: other seeds give other numbers.
    """
    # Of `random` only random() promises the same numbers in every version of Python.
    draw = random.Random(seed).random
    names = stream_names(streams)
    starts = [f'{{"type": "RECORD", "stream": "{name}", "record": {{' for name in names]
    fields = _fields(shape)
    for name in names:
        yield schema_message(shape, name)
    updated = ""
    for i in range(records):
        updated = f"2025-{i % 12 + 1:02}-{i % 28 + 1:02}T{i % 24:02}:{i % 60:02}:{i % 59:02}Z"
        yield f'{starts[i % streams]}{fields(i, updated, draw)}}}, "time_extracted": "2026-01-01T00:00:00Z"}}'
        if (i + 1) % RECORDS_PER_STATE == 0 and i + 1 < records:
            yield _state_message(updated)
    yield _state_message(updated)


def _properties(shape: str) -> dict[str, Any]:
    if shape == ISSUES:
        return _PROPERTIES
    properties: dict[str, Any] = {"id": {"type": "integer"}, "comments": {"type": ["null", "integer"]}}
    if shape == TEXT:
        return {**properties, "body": {"type": ["null", "string"]}}
    if shape == NESTED:
        return {**properties, "payload": _nested_schema(_DEPTH)}
    kinds = (
        {"type": ["null", "string"]},
        _DATE_TIME,
        {"type": ["null", "boolean"]},
        {"type": ["null", "integer"]},
        {"type": ["null", "number"]},
    )
    return properties | {f"c{k}": kinds[(k - 2) % 5] for k in range(2, _column_count(shape))}


def _nested_schema(depth: int) -> dict[str, Any]:
    properties: dict[str, Any] = {
        "name": {"type": ["null", "string"]},
        "value": {"type": ["null", "integer"]},
        "points": {
            "type": ["null", "array"],
            "items": {"type": "object", "properties": {"x": {"type": "number"}, "y": {"type": "number"}}},
        },
    }
    if depth > 1:
        properties["child"] = _nested_schema(depth - 1)
    return {"type": ["null", "object"], "properties": properties}


def _fields(shape: str) -> Callable[[int, str, Callable[[], float]], str]:
    """What writes the fields of record i, as JSON without the braces."""
    if shape == ISSUES:
        return _issue
    if shape == TEXT:
        return lambda i, _, draw: f'{_first_fields(i, draw)}, "body": "{_text(draw)}"'
    if shape == NESTED:
        return lambda i, _, draw: f'{_first_fields(i, draw)}, "payload": {_nested(i, draw, _DEPTH)}'
    count = _column_count(shape)
    return lambda i, updated, draw: ", ".join([_first_fields(i, draw), *_flat_cells(i, updated, draw, count)])


def _issue(i: int, updated: str, draw: Callable[[], float]) -> str:
    number = i + 1
    state = "closed" if i % 4 == 3 else "open"
    title = (
        f'Umlaute \\u00fc\\u00f6, \\"quotes\\" and a \\ud83d\\ude80 in title {number}'
        if i % 10 == 0
        else f"Some title of issue {number}"
    )
    created = f"2024-{i % 12 + 1:02}-{i % 28 + 1:02}T{i % 24:02}:{i % 60:02}:{i % 59:02}Z"
    closed = "null" if state == "open" else f'"{updated}"'
    comments = "null" if i % 50 == 49 else int(draw() * 50)
    return (
        f'"id": {number + 2**40}, '
        f'"node_id": "I_{number}", "number": {number}, "title": "{title}", "state": "{state}", '
        f'"comments": {comments}, "score": {draw()!r}, "locked": {"true" if i % 2 else "false"}, '
        f'"created_at": "{created}", "updated_at": "{updated}", "closed_at": {closed}, '
        f'"user": {{"login": "user{int(draw() * 5000)}", "id": {number}, "site_admin": false}}, '
        f'"labels": [{_LABELS[i % 3]}]'
    )


def _first_fields(i: int, draw: Callable[[], float]) -> str:
    return f'"id": {i + 1}, "comments": {"null" if i % 50 == 49 else int(draw() * 50)}'


def _flat_cells(i: int, updated: str, draw: Callable[[], float], count: int) -> Iterator[str]:
    drawn = draw()
    for k in range(2, count):
        kind = (k - 2) % 5
        if (i + k) % 20 == 0:
            cell = "null"
        elif kind == 0:
            cell = f'"text {i % 1000} of {k}"'
        elif kind == 1:
            cell = f'"{updated}"'
        elif kind == 2:
            cell = "true" if (i + k) % 2 else "false"
        elif kind == 3:
            cell = str(i * k)
        else:
            cell = repr(drawn * k)
        yield f'"c{k}": {cell}'


def _text(draw: Callable[[], float]) -> str:
    """About 4 kB: words until there are enough characters."""
    words: list[str] = []
    length = 0
    while length < _TEXT_CHARACTERS:
        words.append(_WORDS[int(draw() * len(_WORDS))])
        length += len(words[-1]) + 1
    return " ".join(words)


def _nested(i: int, draw: Callable[[], float], depth: int) -> str:
    points = ", ".join(f'{{"x": {draw()!r}, "y": {k}.5}}' for k in range(i % 3))
    child = f', "child": {_nested(i, draw, depth - 1)}' if depth > 1 else ""
    return f'{{"name": "level {depth} of {i}", "value": {i * depth}, "points": [{points}]{child}}}'


def _column_count(shape: str) -> int:
    return int(shape.removesuffix(" columns"))


def write(file: IO[str], records: int, *, shape: str = ISSUES, streams: int = 1) -> None:
    """Write the messages of `records` records to a text file."""
    file.writelines(f"{line}\n" for line in messages(records, shape=shape, streams=streams))


def _state_message(updated: str) -> str:
    return f'{{"type": "STATE", "value": {{"bookmarks": {{"{STREAM}": {{"updated_at": "{updated}"}}}}}}}}'


if __name__ == "__main__":
    write(sys.stdout, int(sys.argv[1]))
