"""RECORD lines as dicts, for functions of one record, and such dicts as RECORD lines again."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import msgspec
import pyarrow as pa

from flow_singer.errors import DataError, RecordError, TransformError
from flow_singer.singer.badlines import bad_line, excerpt
from flow_singer.singer.envelope import check_text
from flow_singer.singer.linenumbers import count_lines, each_line, line_of, take_lines
from flow_singer.singer.schema import read_property
from flow_singer.tabular.batch import ENVELOPE_KEYS
from flow_singer.tabular.jsonvalues import written_float
from flow_singer.tabular.parts import Part
from flow_singer.tabular.plainvalues import json_hook
from flow_singer.tabular.recordtypes import field_name
from flow_singer.tabular.textarrays import TEXT

_Beside = msgspec.Raw | msgspec.UnsetType


class Message(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A RECORD message; its values are as JSON has them: dates are text, too many digits make a Decimal."""

    type: Literal["RECORD"]
    stream: str
    record: dict[str, Any]
    time_extracted: _Beside = msgspec.UNSET
    version: _Beside = msgspec.UNSET
    sequence: _Beside = msgspec.UNSET


_decoder = msgspec.json.Decoder(Message, float_hook=written_float)
_encoder = msgspec.json.Encoder(enc_hook=json_hook, decimal_format="number")


class RowBatch:
    """Consecutive records of one stream.

    Args:
        messages: n messages.
        part: the lines they came from, and perhaps others.
        kept: positions of the lines of `messages`; None: it has all of them.
        beside: by row, JSON texts of what else stood beside `record`.
    """

    def __init__(
        self,
        messages: list[Message],
        part: Part,
        kept: Sequence[int] | None,
        beside: Mapping[int, dict[str, str]],
    ) -> None:
        self.messages = messages
        self.beside = beside
        self._part = part
        self._kept = kept
        self._lines = part.lines if kept is None else take_lines(part.lines, kept)

    def line_of(self, row: int) -> int:
        """The number of the line that row `row` (from 0) came from."""
        return line_of(self._lines, row)

    def text_of(self, row: int) -> bytes:
        """The line that a row came from."""
        return self._texts[row]

    @cached_property
    def _texts(self) -> list[bytes]:
        texts = self._part.data[:-1].split(b"\n")
        return texts if self._kept is None else [texts[position] for position in self._kept]

    def names(self, rows: Iterable[int]) -> set[str]:
        """The keys in the lines of these rows, whatever a function did with its records since."""
        records = (_decode_carefully(self._texts[row], 0, "null")[0].record for row in rows)
        return {name for record in records for name in record}

    def had(self, row: int, name: str) -> bool | None:
        """True where the line of a row has a value for this property, else None."""
        value = json.loads(self.text_of(row))["record"].get(name)
        return None if value is None else True

    def envelope(self, rows: Iterable[int]) -> dict[str, pa.Array]:
        """What stands beside the records that came from `rows`, per key; null where a line lacked it."""
        texts = [self._beside_of(row) for row in rows]
        keys = dict.fromkeys(key for one in texts for key in one)
        return {key: pa.array([one.get(key) for one in texts], TEXT) for key in keys}

    def _beside_of(self, row: int) -> dict[str, str]:
        message = self.messages[row]
        known = ((key, getattr(message, key)) for key in ENVELOPE_KEYS)
        return {key: bytes(raw).decode() for key, raw in known if raw is not msgspec.UNSET} | self.beside.get(
            row, {}
        )


def decode_rows(
    part: Part,
    nan: Literal["error", "null"],
    reject: Callable[[int, bytes, DataError], None] | None = None,
) -> RowBatch:
    """Decode RECORD lines.

    Args:
        part: n lines.
        nan: what to do with NaN and Infinity.
        reject: see [`RecordDecoder`][flow_singer.tabular.recorddecoder.RecordDecoder].

    Raises:
        RecordError: a line's record is not an object, or holds NaN.
        MessageError: a line is no message.
    """
    data, lines = part
    try:
        check_text(data)
        messages = _decoder.decode_lines(data)
        if len(messages) == count_lines(lines):
            return RowBatch(messages, part, None, {})
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    messages, kept = [], []
    beside: dict[int, dict[str, str]] = {}
    for position, (text, number) in enumerate(zip(data[:-1].split(b"\n"), each_line(lines), strict=True)):
        try:
            message, more = _decode_carefully(text, number, nan)
        except DataError as error:
            if reject is None:
                raise
            reject(number, text, error)
            continue
        if more:
            beside[len(messages)] = more
        messages.append(message)
        kept.append(position)
    return RowBatch(messages, part, kept, beside)


def _decode_carefully(
    text: bytes, number: int, nan: Literal["error", "null"]
) -> tuple[Message, dict[str, str]]:
    try:
        check_text(text)
        return _decoder.decode(text), {}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass

    def constant(token: str) -> None:
        if nan == "error":
            raise RecordError(
                f"Line {number}: {token} is not JSON: {excerpt(text)}",
                "To read such values as null: --nan null.",
            )

    try:
        message = json.loads(text.decode(), parse_float=written_float, parse_constant=constant)
    except (ValueError, RecursionError) as exc:
        raise bad_line(number, text, str(exc)) from exc
    if not isinstance(message, dict) or message.get("type") != "RECORD":
        raise bad_line(number, text, "not a RECORD message")
    record = message.get("record")
    if not isinstance(record, dict):
        raise RecordError(
            f"Line {number}: 'record' is not an object: {excerpt(text)}",
            "Tell the tap's authors, or set such records aside with --reject FILE.",
        )
    beside = {k: json.dumps(v) for k, v in message.items() if k not in ("type", "stream", "record")}
    return Message("RECORD", message["stream"], record), beside


class RowWriter:
    """Writes records that are as their SCHEMA says, without a look at each value.

    The whole batch is encoded, and then read once with a decoder that takes nothing but what the SCHEMA
    promises. Where that fails, nothing is written: the columns have to be looked at.

    Args:
        stream: name of the stream.
        schema: the JSON Schema that was sent for it.
        key: its key properties.
    """

    def __init__(self, stream: str, schema: Mapping[str, Any], key: Collection[str]) -> None:
        required = {*schema.get("required", ()), *key}
        fields = []
        for position, (name, one) in enumerate(schema["properties"].items()):
            kind = _python_type(name, one, schema, never_null=name in key)
            key_name = field_name(name, position)
            if name in required:
                field = msgspec.field(name=key_name)
            else:
                kind, field = kind | msgspec.UnsetType, msgspec.field(name=key_name, default=msgspec.UNSET)
            fields.append((f"f{position}", kind, field))
        record = msgspec.defstruct("Record", fields, kw_only=True, forbid_unknown_fields=True, gc=False)
        envelope = [(name, msgspec.Raw, msgspec.Raw(b"")) for name in ENVELOPE_KEYS]
        message = msgspec.defstruct(
            "Checked",
            [("type", Literal["RECORD"]), ("stream", Literal[stream]), ("record", record), *envelope],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._stream = stream
        self._checker = msgspec.json.Decoder(message)

    def write(self, records: Sequence[dict[str, Any]], sources: Iterable[Message]) -> bytes | None:
        """RECORD lines of n records that came from n messages; None where one is not as the SCHEMA says."""
        stream = self._stream
        try:
            lines = _encoder.encode_lines(
                [
                    Message("RECORD", stream, record, source.time_extracted, source.version, source.sequence)
                    for record, source in zip(records, sources, strict=True)
                ]
            )
            self._checker.decode_lines(lines)
        except (msgspec.MsgspecError, TypeError, ValueError, OverflowError, RecursionError, TransformError):
            return None
        return lines


def _python_type(name: str, json_schema: Any, root: Mapping[str, Any], *, never_null: bool) -> Any:
    """The Python types of the values that a property allows."""
    one = read_property(name, json_schema, root)
    kind: Any = None
    for word in one.types or _PYTHON_TYPES:
        kind = _PYTHON_TYPES[word] if kind is None else kind | _PYTHON_TYPES[word]
    return kind | None if one.nullable and not never_null else kind


_PYTHON_TYPES: dict[str, Any] = {
    "string": str,
    "integer": int,
    "number": float,
    "boolean": bool,
    "object": dict[str, msgspec.Raw],
    "array": list[msgspec.Raw],
}
