"""RECORD lines of one stream to Arrow columns, typed by the SCHEMA, with nothing lost."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import repeat
from operator import attrgetter
from typing import Any, Literal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import DataError, MessageError, RecordError
from flow_singer.singer.badlines import bad_line, excerpt
from flow_singer.singer.envelope import decode_object
from flow_singer.singer.linenumbers import LineNumbers, count_lines, each_line, take_lines
from flow_singer.singer.schema import Kind, Property, StreamSchema
from flow_singer.tabular.batch import CARRIERS, ENVELOPE_KEYS, Batch, Column, concat_batches
from flow_singer.tabular.literals import IntegerText, NotANumber, NumberText, dump, json_type
from flow_singer.tabular.parts import Part
from flow_singer.tabular.text import TEXT, texts_of
from flow_singer.tabular.unread import Separator, is_worth_it

_ABSENT = msgspec.Raw(b"")
Reject = Callable[[int, bytes, DataError], None]


class RecordDecoder:
    """Decodes RECORD lines of one stream.

    Args:
        schema: decides the columns; records are never used for inference.
        nan: what to do with the tokens NaN and Infinity, which are not JSON but which taps write.
        reject: called as `reject(line_number, line, error)` for a record that does not fit (`RecordError`)
            and a line that is no message (`MessageError`); without it, the error is raised.
    """

    def __init__(
        self, schema: StreamSchema, *, nan: Literal["error", "null"] = "error", reject: Reject | None = None
    ) -> None:
        self.schema = schema
        self._separator: Separator | None = None
        if (
            schema.unread
            and is_worth_it(len(schema.properties), len(schema.unread))
            and not any(map(_ODD_NAME.search, schema.properties))
        ):
            self._separator = Separator(schema.properties)
        self.undeclared: list[str] = [] if self._separator else list(schema.unread)
        """Keys that are no properties of the schema, or none that is read."""
        self._envelope_keys: list[str] = []
        self._nan = nan
        self._reject = reject
        self._compile()

    @property
    def raises(self) -> bool:
        """Whether a line that does not fit raises; else it is set aside."""
        return self._reject is None

    def _compile(self) -> None:
        properties = list(self.schema.properties.values())
        properties += [Property(name, "json", {}, True, frozenset()) for name in self.undeclared]
        self._properties = properties
        self._record_type = msgspec.defstruct(
            "Record",
            [(f"f{i}", *_struct_field(one, i)) for i, one in enumerate(properties)],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._message_type = msgspec.defstruct(
            "Message",
            [
                ("type", Literal["RECORD"]),
                ("stream", Literal[self.schema.stream]),
                ("record", self._record_type),
                *(
                    (f"e{i}", msgspec.Raw, msgspec.field(name=field_name(key, i), default=_ABSENT))
                    for i, key in enumerate(self._envelope_keys)
                ),
            ],
            forbid_unknown_fields=True,
            gc=False,
        )
        self._decoder = msgspec.json.Decoder(self._message_type)
        self._fields = {
            one.name: name for one, name in zip(properties, self._record_type.__struct_fields__, strict=True)
        }

    def decode(self, parts: Sequence[Part]) -> Batch:
        """Decode RECORD lines.

        Args:
            parts: n lines in all, none of them blank.

        Returns:
            A batch of n records, less those that were rejected.

        Raises:
            RecordError: a record does not fit the SCHEMA; names stream, line and property.
            MessageError: a line is no message.
        """
        batches = [self._decode_whole(part) for part in parts]
        return batches[0] if len(batches) == 1 else concat_batches(self.schema, batches)

    def _decode_whole(self, part: Part) -> Batch:
        if self._separator is None:
            return self._decode_part(part, _Whole(part))[0]
        read, rest = self._separator.separate(part)
        batch, kept = self._decode_part(read, _Whole(part))
        if rest is not None:
            batch.rest = rest if kept is None else rest.take(pa.array(kept, pa.int64()))
        if self.undeclared:
            # Of lines that could not be taken apart: in all others these would be empty columns.
            self.undeclared = []
            self._compile()
        return batch

    def _decode_part(self, part: Part, whole: _Whole) -> tuple[Batch, list[int] | None]:
        """Decode the lines of `part`, which are those of `whole`, or what is left of them.

        Returns:
            The batch, and the positions of its records among the lines; None: it has all of them.
        """
        data, lines = part
        messages = self._decode_at_once(part)
        if messages is None and self._learn_keys([data[: data.index(b"\n")]]):  # mostly, one line knows all
            messages = self._decode_at_once(part)
        kept: list[int] | None = None
        if messages is None:
            raw_lines = data[:-1].split(b"\n")
            if self._learn_keys(raw_lines):
                messages = self._decode_at_once(part)
            if messages is None:
                messages, kept = self._decode_carefully(raw_lines, whole)
        while True:
            try:
                return self._batch(messages, lines if kept is None else take_lines(lines, kept)), kept
            except _MisfitError as misfits:
                positions = [*range(len(messages))] if kept is None else kept
                one = self.schema.properties.get(misfits.name)
                for row, text, reason in misfits.rows:
                    error = self._error(whole.numbers[positions[row]], one, reason, text)
                    self._set_aside(whole, positions[row], error)
                bad = {row for row, _, _ in misfits.rows}
                kept = [position for row, position in enumerate(positions) if row not in bad]
                messages = [message for row, message in enumerate(messages) if row not in bad]

    def _set_aside(self, whole: _Whole, position: int, error: DataError) -> None:
        """Reject a line, or raise where nobody takes it."""
        if self._reject is None:
            raise error from None
        self._reject(whole.numbers[position], whole.texts[position], error)

    def _decode_at_once(self, part: Part) -> list[Any] | None:
        data, lines = part
        try:
            messages: list[Any] = self._decoder.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        # else there are two messages on one line
        return messages if len(messages) == count_lines(lines) else None

    def _batch(self, messages: list[Any], lines: LineNumbers) -> Batch:
        records = map(msgspec.structs.astuple, map(_record_of, messages))
        cells: Iterable[Any] = zip(*records, strict=True) if messages else repeat(())
        columns = {
            one.name: _column(one, values) for one, values in zip(self._properties, cells, strict=False)
        }
        undeclared = {
            name: column
            for name in self.undeclared  # of other batches, too, and of records that were rejected
            if (column := columns.pop(name)).absent is None or not pc.all(column.absent).as_py()
        }
        envelope = {}
        for i, key in enumerate(self._envelope_keys):
            raw = [*map(attrgetter(f"e{i}"), messages)]
            if raw.count(_ABSENT) < len(raw):
                texts = texts_of(*_raw_bytes(key, raw))
                envelope[key] = pc.if_else(pc.equal(texts, ""), pa.scalar(None, TEXT), texts)
        return Batch(self.schema, columns, undeclared, envelope, len(messages), lines)

    # -- the exact slow path: finds what the fast one refused, and takes what is legal --------------------

    def _decode_carefully(self, raw_lines: Sequence[bytes], whole: _Whole) -> tuple[list[Any], list[int]]:
        messages: list[Any] = []
        kept: list[int] = []
        for position, (line, number) in enumerate(zip(raw_lines, whole.numbers, strict=True)):
            try:
                try:
                    messages.append(self._decoder.decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    messages.append(self._decode_leniently(line, number))
            except (RecordError, MessageError) as error:
                self._set_aside(whole, position, error)
                continue
            kept.append(position)
        return messages, kept

    def _learn_keys(self, raw_lines: Iterable[bytes]) -> bool:
        """Take in keys that were not met before; whether there were any."""
        known = {*self.schema.properties, *self.undeclared}
        beside = {"type", "stream", "record", *self._envelope_keys}
        new_keys: dict[str, None] = {}
        new_beside: dict[str, None] = {}
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
                new_keys.update(dict.fromkeys(record.keys() - known))
            new_beside.update(dict.fromkeys(message.keys() - beside))
        if not new_keys and not new_beside:
            return False
        self.undeclared += sorted(new_keys)
        self._envelope_keys += sorted(new_beside, key=_place_in_envelope)
        self._compile()
        return True

    def _decode_leniently(self, line: bytes, number: int) -> Any:
        """Decode one line with the standard library, keeping number text; raise a `RecordError` that says why."""
        try:
            message = json.loads(
                line.decode(), parse_float=NumberText, parse_int=NumberText, parse_constant=self._constant
            )
        except (ValueError, RecursionError) as exc:
            raise bad_line(number, line, str(exc)) from exc
        if not isinstance(message, dict):
            raise bad_line(number, line, "not a JSON object")
        if message.get("type") != "RECORD" or message.get("stream") != self.schema.stream:
            raise bad_line(number, line, "'type' or 'stream' stands there twice")
        record = message.get("record")
        if not isinstance(record, dict):
            raise self._error(number, None, "'record' is not an object", excerpt(line))
        try:
            values = {
                self._fields[one.name]: self._value(one, record[one.name], number)
                for one in self._properties
                if one.name in record
            }
            beside = {
                f"e{i}": msgspec.Raw(dump(message[key]).encode("ascii"))
                for i, key in enumerate(self._envelope_keys)
                if key in message
            }
        except (TypeError, RecursionError) as exc:  # NaN beside the record; a value nested hundreds deep
            raise bad_line(number, line, str(exc)) from exc
        return self._message_type("RECORD", self.schema.stream, self._record_type(**values), **beside)

    def _constant(self, token: str) -> Any:
        return None if self._nan == "null" else NotANumber(token)

    def _value(self, one: Property, value: object, number: int) -> Any:
        if isinstance(value, NotANumber):
            raise self._error(
                number, one, f"{value} is not JSON", str(value), "To read such values as null: --nan null."
            )
        if value is None and one.kind in _PLAIN:
            return None
        expected = _PLAIN.get(one.kind)
        if expected is None:
            try:
                return msgspec.Raw(dump(value).encode("ascii"))
            except TypeError as exc:
                raise self._error(number, one, str(exc), repr(value)) from exc
        if expected is int and isinstance(value, NumberText):
            try:
                return IntegerText(value) if not value.lstrip("-").isdigit() else int(value)
            except (ValueError, ArithmeticError):
                pass
        elif type(value) is expected:
            return value
        raise self._error(number, one, f"expected {one.kind}, got {json_type(value)}", dump(value))

    def _error(
        self, number: int, one: Property | None, reason: str, seen: str, hint: str | None = None
    ) -> RecordError:
        where = f", property '{one.name}'" if one else ""
        return RecordError(
            f"Line {number}: record of stream '{self.schema.stream}'{where} does not fit its SCHEMA: {reason}. "
            f"Value: {seen[:200]}",
            hint
            or "Correct the type in the tap's SCHEMA (meltano.yml: schema), or set such records aside with --reject FILE.",
        )


def _place_in_envelope(key: str) -> tuple[int, str]:
    return (ENVELOPE_KEYS.index(key) if key in ENVELOPE_KEYS else len(ENVELOPE_KEYS)), key


_record_of = attrgetter("record")
_keys_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
_record_keys_decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])


_PLAIN: dict[Kind, type] = {
    "integer": int,
    "boolean": bool,
    "string": str,
    "date-time": str,
    "date": str,
    "decimal-text": str,
}
"""Kinds that are decoded to a Python value; the others are kept as JSON text."""


def _struct_field(one: Property, position: int) -> tuple[Any, Any]:
    name = field_name(one.name, position)
    plain = _PLAIN.get(one.kind)
    if plain is None:
        return msgspec.Raw, msgspec.field(name=name, default=_ABSENT)
    return plain | None | msgspec.UnsetType, msgspec.field(name=name, default=msgspec.UNSET)


def field_name(name: str, position: int) -> str:
    """The name of a field for msgspec, which takes none with quotes, backslashes or control characters.

    Such a key then is an unknown one to the fast path, and its record goes the slow one.
    """
    return f"{_NO_NAME}{position}" if _ODD_NAME.search(name) else name


_NO_NAME = secrets.token_hex(16)  # what no record has for a key
_ODD_NAME = re.compile('["\\\\\x00-\x1f\ud800-\udfff]')


class _MisfitError(Exception):
    """Values that were taken as JSON text turn out to be none that their column can hold.

    Attributes:
        name: the property.
        rows: the row, the text and what is wrong of each, at least one.
    """

    def __init__(self, name: str, rows: Sequence[tuple[int, str, str]]) -> None:
        super().__init__(name)
        self.name, self.rows = name, rows


class _Whole:
    """Lines as they came, for those that are set aside."""

    def __init__(self, part: Part) -> None:
        self._part = part

    @cached_property
    def texts(self) -> list[bytes]:
        """The lines without their newlines."""
        return self._part.data[:-1].split(b"\n")

    @cached_property
    def numbers(self) -> list[int]:
        """Their numbers."""
        return [*each_line(self._part.lines)]


def _column(one: Property, cells: Sequence[Any]) -> Column:
    kind = one.kind
    if kind not in _PLAIN:
        return _json_column(one.name, cells, numbers=kind in ("number", "decimal"))
    absent = None
    try:
        return Column(pa.array(cells, CARRIERS[kind]), as_json=False)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        pass
    missing = [cell is msgspec.UNSET for cell in cells]
    if any(missing):
        absent = pa.array(missing, pa.bool_())
        cells = [None if cell is msgspec.UNSET else cell for cell in cells]
    try:
        return Column(pa.array(cells, CARRIERS[kind]), as_json=False, absent=absent)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError, UnicodeEncodeError):
        texts = [
            None if cell is None else cell if isinstance(cell, IntegerText) else json.dumps(cell)
            for cell in cells
        ]
        return Column(pa.array(texts, TEXT), as_json=True, absent=absent)


def _json_column(name: str, cells: Sequence[msgspec.Raw], *, numbers: bool) -> Column:
    data, offsets = _raw_bytes(name, cells)
    missing = offsets[1:] == offsets[:-1]
    text = np.frombuffer(data or b"n", dtype="uint8")
    firsts = text[np.minimum(offsets[:-1], len(text) - 1)]  # enough: the JSON reader has read them
    null = (firsts == ord("n")) | missing
    if numbers and (others := np.flatnonzero(~(null | _BEGINS_NUMBER[firsts]))).size:
        texts = [(row, bytes(cells[row]).decode()) for row in others.tolist()]
        raise _MisfitError(
            name, [(row, text, f"expected number, got {json_type(json.loads(text))}") for row, text in texts]
        )
    valid = pa.array(~null) if null.any() else None
    return Column(texts_of(data, offsets, valid), True, pa.array(missing) if missing.any() else None)


_BEGINS_NUMBER = np.isin(np.arange(256), list(b"-0123456789"))


def _raw_bytes(name: str, cells: Sequence[msgspec.Raw]) -> tuple[bytes, np.ndarray]:
    """Raw cells side by side, and where each begins and ends; an object per cell would cost three times as much."""
    data = b"".join(cells)
    if not data.isascii():
        try:
            data.decode()  # the JSON reader checks the text that it decodes, but not what it leaves raw
        except UnicodeDecodeError:
            rows = [(row, excerpt(bytes(cells[row])), reason) for row, reason in _not_utf8(cells)]
            raise _MisfitError(name, rows) from None
    offsets = np.zeros(len(cells) + 1, dtype="int64")
    np.cumsum(np.fromiter(map(len, cells), dtype="int64", count=len(cells)), out=offsets[1:])
    return data, offsets


def _not_utf8(cells: Sequence[msgspec.Raw]) -> Iterator[tuple[int, str]]:
    for row, cell in enumerate(cells):
        try:
            bytes(cell).decode()
        except UnicodeDecodeError as exc:
            yield row, f"not UTF-8 ({exc.reason})"
