"""The exact, slower way to read a RECORD line, for lines that the fast JSON reader refuses.

A line is refused that is perfectly good: it has a key not met before, an integer written as `1.0`, or a lone
surrogate. Here such a line is read in full, or it is said what is wrong with it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from flow_singer.errors import MessageError, RecordError
from flow_singer.singer.badlines import bad_line, excerpt
from flow_singer.singer.envelope import decode_object
from flow_singer.singer.schema import Property
from flow_singer.tabular.literals import IntegerText, NotANumber, NumberText, dump, json_type
from flow_singer.tabular.recordtypes import PLAIN, RecordTypes

_keys_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_record_keys_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


def keys_of(raw_lines: Iterable[bytes]) -> tuple[set[str], set[str]]:
    """The keys of the records in some lines, and the keys beside `record`; lines that are no messages have none."""
    in_record: set[str] = set()
    beside: set[str] = set()
    for line in raw_lines:
        try:
            message = _keys_decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                message = decode_object(line, 0)
            except MessageError:  # told of in its turn
                continue
        record: Any = message.get("record")
        if isinstance(record, msgspec.Raw):
            try:
                record = _record_keys_decoder.decode(record)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                continue
        if isinstance(record, dict):
            in_record |= record.keys()
        beside |= message.keys()
    return in_record, beside - {"type", "stream", "record"}


def read_exactly(line: bytes, number: int, types: RecordTypes, nan: Literal["error", "null"]) -> Any:
    """Decode one line with the standard library, keeping the text of its numbers.

    Args:
        line: without its newline.
        number: its number.
        types: those of its stream; they know all its keys.
        nan: what to do with NaN and Infinity.

    Returns:
        A message as `types.decoder` gives it.

    Raises:
        RecordError: the record does not fit the SCHEMA; says why.
        MessageError: the line is no message of the stream.
    """
    constant = _null if nan == "null" else NotANumber
    try:
        message = json.loads(
            line.decode(), parse_float=NumberText, parse_int=NumberText, parse_constant=constant
        )
    except (ValueError, RecursionError) as exc:
        raise bad_line(number, line, str(exc)) from exc
    if not isinstance(message, dict):
        raise bad_line(number, line, "not a JSON object")
    if message.get("type") != "RECORD" or message.get("stream") != types.stream:
        raise bad_line(number, line, "'type' or 'stream' stands there twice")
    record = message.get("record")
    if not isinstance(record, dict):
        raise misfit(number, types.stream, None, "'record' is not an object", excerpt(line))
    try:
        cells = {
            position: _cell(one, record[one.name], number, types.stream)
            for position, one in enumerate(types.properties)
            if one.name in record
        }
        beside = {
            position: msgspec.Raw(dump(message[key]).encode("ascii"))
            for position, key in enumerate(types.envelope_keys)
            if key in message
        }
    except (TypeError, RecursionError) as exc:  # NaN beside the record; a value nested hundreds deep
        raise bad_line(number, line, str(exc)) from exc
    return types.message(cells, beside)


def _null(token: str) -> None:
    return None


def _cell(one: Property, value: object, number: int, stream: str) -> Any:
    if isinstance(value, NotANumber):
        raise misfit(
            number,
            stream,
            one,
            f"{value} is not JSON",
            str(value),
            "To read such values as null: --nan null.",
        )
    if value is None and one.kind in PLAIN:
        return None
    expected = PLAIN.get(one.kind)
    if expected is None:
        try:
            return msgspec.Raw(dump(value).encode("ascii"))
        except TypeError as exc:
            raise misfit(number, stream, one, str(exc), repr(value)) from exc
    if expected is int and isinstance(value, NumberText):
        try:
            return IntegerText(value) if not value.lstrip("-").isdigit() else int(value)
        except (ValueError, ArithmeticError):
            pass
    elif type(value) is expected:
        return value
    raise misfit(number, stream, one, f"expected {one.kind}, got {json_type(value)}", dump(value))


def misfit(
    number: int, stream: str, one: Property | None, reason: str, seen: str, hint: str | None = None
) -> RecordError:
    """The error of a record that does not fit its SCHEMA.

    Args:
        number: of its line.
        stream: its stream.
        one: the property that does not fit; None: the whole record.
        reason: what is wrong.
        seen: the value.
        hint: what to do; None: correct the SCHEMA.
    """
    where = f", property '{one.name}'" if one else ""
    return RecordError(
        f"Line {number}: record of stream '{stream}'{where} does not fit its SCHEMA: {reason}. Value: {seen[:200]}",
        hint
        or "Correct the type in the tap's SCHEMA (meltano.yml: schema), or set such records aside with --reject FILE.",
    )
