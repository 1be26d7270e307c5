"""The split check: whether a function of batches depends on where a batch ends.

What is compared is what the rows say, not how their text happens to be written: pandas gives a column another
dtype where a half has no null, and so another spelling of the same value.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from flow_singer.errors import DataError, TransformError
from flow_singer.tabular.batch import Batch, slice_batch
from flow_singer.tabular.outputstream import OutputStream
from flow_singer.transforms.calls import call_on_frame, naming
from flow_singer.transforms.drops import ForgottenReturnError
from flow_singer.transforms.functions import StreamFunction

SPLIT_CHECK_RECORDS = 4096
SPLIT_CHECK_CELLS = 100_000
"""The split check looks at the head of the first batch: enough to see a group or a sort, cheap to repeat."""

SPLIT_CHECK_STREAMS = 20
"""How many streams of one function are checked: for one that takes hundreds, the rest would tell nothing new."""

Records = dict[str, list[dict[str, Any]]]
"""Records per output stream."""


def check_split(function: StreamFunction, batch: Batch, turn: int = 1) -> None:
    """Refuse a batch function whose result depends on where the batch ends.

    Args:
        function: one of mode `batch`.
        batch: the first batch; its head is looked at.
        turn: the how manyth stream of the function this is: the later, the less of it is looked at.

    Raises:
        TransformError: the results of two halves are not the result of the whole, twice in a row.
    """
    enough = min(SPLIT_CHECK_RECORDS, SPLIT_CHECK_CELLS // max(1, len(batch.columns)) // turn)
    head = slice_batch(batch, 0, min(batch.count, max(2, enough)))
    if head.count < 2:
        return
    middle = head.count // 2
    whole = _records(function, head)
    failure: DataError | None = None
    joined: Records = {}
    try:
        first = _records(function, slice_batch(head, 0, middle))
        second = _records(function, slice_batch(head, middle, head.count))
        joined = {name: first.get(name, []) + second.get(name, []) for name in [*first, *second]}
    except ForgottenReturnError:
        raise
    except DataError as exc:
        failure = exc
    if failure is None and is_same(joined, whole):
        return
    if not is_same(_records(function, head), whole):  # random, a clock, a counter
        return
    stream = batch.schema.stream
    if failure is not None:
        raise TransformError(
            f"{function.where} can be called with a batch of stream '{stream}', but not with each half of it: "
            f"{failure.message}",
            _HINT,
        ) from failure
    if is_same_in_another_order(joined, whole):
        raise TransformError(
            f"{function.where} gives the same rows for a batch of stream '{stream}' as for its two halves, but in "
            "another order: it arranges rows, but sees one batch at a time.",
            "If that order is what you want (a sort), declare it @transform(whole=True); if any order will do (a "
            "melt), @transform(batch=True).",
        )
    raise TransformError(
        f"{function.where} gives another result for a batch of stream '{stream}' than for its "
        "two halves: it looks across rows, but sees one batch at a time.",
        _HINT,
    )


_HINT = (
    "If it needs every row, declare it @transform(whole=True); if a batch is all it means to see, "
    "@transform(batch=True)."
)


def _records(function: StreamFunction, batch: Batch) -> Records:
    """The records that the function's results would become, without nulls, per output stream."""
    found: Records = {}
    for output in call_on_frame(function, batch):
        if output.dropped:
            continue
        name = output.stream or batch.schema.stream
        writer = OutputStream(name, key=[])
        # Without the batch: the values alone, not the text that they came with.
        try:
            blocks = writer.write_frame(output.frame, batch.schema, None)
        except TransformError as exc:
            raise naming(function, exc) from exc
        for block in blocks:
            for message in _decode_lines(bytes(block)):
                if message["type"] == "RECORD":
                    found.setdefault(name, []).append(_without_nulls(message["record"]))
    return found


def _decode_lines(block: bytes) -> list[dict[str, Any]]:
    try:
        return _any_decoder.decode_lines(block)
    except msgspec.DecodeError:  # lone surrogates
        return [json.loads(line) for line in block.splitlines()]


_any_decoder: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def _without_nulls(record: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if value is not None}


def is_same(one: Records, other: Records) -> bool:
    """Whether records say the same, in the same order, however they are spelt."""
    return one == other or _says_the_same(one, other)


def _says_the_same(one: Any, other: Any) -> bool:
    """Floats to the last digits but three, instants, and what is in lists and objects."""
    if one == other:
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        one, other = _without_nulls(one), _without_nulls(other)
        return one.keys() == other.keys() and all(_says_the_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_says_the_same, one, other))
    if isinstance(one, str) and isinstance(other, str):
        instant = _instant(one)
        return instant is not None and instant == _instant(other)
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-12)  # vectorised arithmetic rounds by position
    return False


def _instant(text: str) -> datetime | None:
    """The instant of a date or date-time in UTC, which pandas writes as `2026-01-01`, with `T00:00:00`, `Z`, `+00:00`."""
    if text[4:5] != "-":
        return None
    try:
        found = datetime.fromisoformat(text)
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def is_same_in_another_order(one: Records, other: Records) -> bool:
    """Whether each stream has the same records, counted."""
    return one.keys() == other.keys() and all(_sorted(one[name]) == _sorted(other[name]) for name in one)


def _sorted(records: Iterable[dict[str, Any]]) -> list[str]:
    return sorted(json.dumps(_plain(record), sort_keys=True) for record in records)


def _plain(value: Any) -> Any:
    """One spelling for all values that say the same, so that their texts can be compared."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items() if one is not None}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, str):
        instant = _instant(value)
        return value if instant is None else instant.isoformat()
    return float(f"{value:.11g}") if isinstance(value, float) else value
