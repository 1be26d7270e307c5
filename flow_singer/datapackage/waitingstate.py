"""The newest STATE of a stream, which may not be emitted before all records that came before it are durable."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from flow_singer.singer.envelope import decode_object


class WaitingState:
    """At most one STATE: a newer one takes the place of the one that waits, but not its age.

    Args:
        clock: seconds.

    Attributes:
        line: the number of the line that it came in.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.line = 0
        self._clock = clock
        self._value: bytes | None = None
        self._since = 0.0

    def __bool__(self) -> bool:
        return self._value is not None

    def put(self, value: bytes, line: int) -> None:
        """Let a STATE wait."""
        if self._value is None:
            self._since = self._clock()
        self._value, self.line = value, line

    def is_older_than(self, age_s: float) -> bool:
        """Whether a STATE has been waiting for so many seconds."""
        return self._value is not None and self._clock() - self._since >= age_s

    def restart(self) -> None:
        """Count its age from now on."""
        self._since = self._clock()

    def take(self) -> bytes | None:
        """The STATE, which no longer waits; None where none did."""
        value, self._value = self._value, None
        return value


class _State(msgspec.Struct):
    value: msgspec.Raw


_state_decoder = msgspec.json.Decoder(_State)


def state_value(line: bytes, number: int) -> bytes | None:
    """The JSON text of a STATE's value, byte for byte; None where the message has no value.

    Raises:
        MessageError: line `number` is no message.
    """
    try:
        return bytes(_state_decoder.decode(line).value)
    except (msgspec.DecodeError, RecursionError):
        if "value" not in decode_object(line, number):
            return None
        return _value_text(line)


def _value_text(line: bytes) -> bytes:
    """The value of a STATE that is not strict JSON, as Python writes it."""
    import json

    return json.dumps(json.loads(line)["value"]).encode("ascii")
