"""What a bundled tap writes, run in the process of the test."""

from __future__ import annotations

import io
import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from typing import Any

from singer_sdk import Tap

Message = dict[str, Any]


@contextmanager
def own_signal_handlers() -> Iterator[None]:
    """Give back the signals that a tap takes over when it is made."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def messages_of(
    tap: type[Tap], config: Mapping[str, Any], *, catalog: Any = None, state: Any = None
) -> list[Message]:
    """The messages that a tap writes; those before an error are its `messages`."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    try:
        with redirect_stdout(output):
            tap(config=dict(config), catalog=catalog, state=state).sync_all()
    except Exception as exc:
        exc.messages = _decoded(output)  # type: ignore[attr-defined]
        raise
    return _decoded(output)


def _decoded(output: io.TextIOWrapper) -> list[Message]:
    output.flush()
    assert isinstance(output.buffer, io.BytesIO)
    return [json.loads(line) for line in output.buffer.getvalue().splitlines()]


def records(messages: list[Message]) -> list[dict[str, Any]]:
    return [one["record"] for one in messages if one["type"] == "RECORD"]


def bookmark(messages: list[Message]) -> Any:
    """The value of the last STATE."""
    return [one for one in messages if one["type"] == "STATE"][-1]["value"]
