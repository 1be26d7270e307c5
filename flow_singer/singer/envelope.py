"""Decode single messages: only their `type` and `stream`, or the whole.

The strict and fast reader comes first. It refuses NaN and lone surrogates, which Python taps do write, so what it
refuses is tried again with Python's own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container
from typing import Any

import msgspec

from flow_singer.singer.badlines import bad_line


class Envelope(msgspec.Struct, gc=False):
    """The `type` and `stream` of a message."""

    type: str = ""
    stream: str | None = None


_decoder = msgspec.json.Decoder(Envelope)
_REFUSALS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)

_NEEDS_STREAM = frozenset({"RECORD", "SCHEMA", "ACTIVATE_VERSION", "BATCH"})


def decode_envelopes(data: bytes) -> list[Envelope] | None:
    """The envelopes of many lines at once.

    Args:
        data: whole lines.

    Returns:
        As many as there are lines; None where there are more or fewer, or a line is none that the strict reader
        takes. As many do not prove that each line has one: two messages on one line make up for a blank line.
    """
    try:
        envelopes = _decoder.decode_lines(data)
        check_text(data)
    except _REFUSALS:
        return None
    return envelopes if len(envelopes) == data.count(b"\n") else None


def decode_envelope(
    line: bytes,
    number: int,
    *,
    checked_later: Container[str] = (),
    hide: Callable[[str], str] | None = None,
) -> Envelope:
    """The envelope of one line.

    Args:
        line: without its newline.
        number: its number, for the error.
        checked_later: streams whose records the caller decodes: it finds by itself what is not UTF-8 in them.
        hide: takes secrets out of a text before it is shown in an error.

    Raises:
        MessageError: it is no JSON object, or its `type` or `stream` is not text.
    """
    try:
        envelope = _decoder.decode(line)
        if not (envelope.type == "RECORD" and envelope.stream in checked_later):
            check_text(line)
        return envelope
    except _REFUSALS:
        pass
    try:
        message = json.loads(line.decode())  # of bytes it would guess the encoding
    except (ValueError, RecursionError) as exc:
        raise bad_line(number, line, str(exc), hide=hide) from exc
    if not isinstance(message, dict):
        raise bad_line(number, line, "not a JSON object", hide=hide)
    kind, stream = message.get("type"), message.get("stream")
    if not isinstance(kind, str) or not isinstance(stream, str | None):
        raise bad_line(number, line, "'type' and 'stream' must be text", hide=hide)
    return Envelope(kind, stream)


def lack_of(envelope: Envelope) -> str | None:
    """What a message needs and lacks, in words for an error; None where it has all."""
    if not envelope.type:
        return "the message has no 'type'"
    if envelope.type in _NEEDS_STREAM and envelope.stream is None:
        return f"the {envelope.type} message has no 'stream'"
    return None


def check_text(data: bytes) -> None:
    """Raise `UnicodeDecodeError` where it is not UTF-8: the JSON reader looks at no text that it skips."""
    if not data.isascii():
        data.decode()


def decode_object(line: bytes, number: int) -> dict[str, Any]:
    """Decode a whole message; integers exact, floats as Python floats.

    Raises:
        MessageError: the line is not a JSON object.
    """
    try:
        message = msgspec.json.decode(line)
    except _REFUSALS:
        try:
            message = json.loads(line.decode())
        except (ValueError, RecursionError) as exc:
            raise bad_line(number, line, str(exc)) from exc
    if not isinstance(message, dict):
        raise bad_line(number, line, "not a JSON object")
    return message
