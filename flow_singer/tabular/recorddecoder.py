"""RECORD lines of one stream to Arrow columns, typed by the SCHEMA, with nothing lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import repeat
from operator import attrgetter
from typing import Any, Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import DataError, MessageError, RecordError
from flow_singer.singer.linenumbers import LineNumbers, count_lines, each_line, take_lines
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import ENVELOPE_KEYS, Batch, concat_batches
from flow_singer.tabular.carriers import MisfitError, carrier, envelope_texts
from flow_singer.tabular.exactlines import keys_of, misfit, read_exactly
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recordtypes import ABSENT, RecordTypes, has_odd_name
from flow_singer.tabular.unreadmembers import Separator, is_worth_it

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
            and not any(map(has_odd_name, schema.properties))
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
        self._types = RecordTypes(self.schema, self.undeclared, self._envelope_keys)

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

    def fits(self, part: Part) -> bool:
        """Whether the lines are records that fit the SCHEMA and have no key beside: they can go on as they are."""
        messages = self._decode_at_once(part)
        if messages is None:
            return False
        try:
            self._batch(messages, part.lines)  # numbers are JSON text until then
        except MisfitError:
            return False
        return True

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
            except MisfitError as misfits:
                positions = [*range(len(messages))] if kept is None else kept
                one = self.schema.properties.get(misfits.name)
                for row, text, reason in misfits.rows:
                    error = misfit(whole.numbers[positions[row]], self.schema.stream, one, reason, text)
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
            messages: list[Any] = self._types.decoder.decode_lines(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        # else there are two messages on one line
        return messages if len(messages) == count_lines(lines) else None

    def _batch(self, messages: list[Any], lines: LineNumbers) -> Batch:
        records = map(msgspec.structs.astuple, map(_record_of, messages))
        cells: Iterable[Any] = zip(*records, strict=True) if messages else repeat(())
        columns = {
            one.name: carrier(one, values) for one, values in zip(self._types.properties, cells, strict=False)
        }
        undeclared = {
            name: column
            for name in self.undeclared  # of other batches, too, and of records that were rejected
            if (column := columns.pop(name)).absent is None or not pc.all(column.absent).as_py()
        }
        envelope = {}
        for i, key in enumerate(self._envelope_keys):
            raw = [*map(attrgetter(f"e{i}"), messages)]
            if raw.count(ABSENT) < len(raw):
                envelope[key] = envelope_texts(key, raw)
        return Batch(self.schema, columns, undeclared, envelope, len(messages), lines)

    def _decode_carefully(self, raw_lines: Sequence[bytes], whole: _Whole) -> tuple[list[Any], list[int]]:
        """Decode line by line, those that the fast reader refuses the exact way."""
        messages: list[Any] = []
        kept: list[int] = []
        for position, (line, number) in enumerate(zip(raw_lines, whole.numbers, strict=True)):
            try:
                try:
                    messages.append(self._types.decoder.decode(line))
                except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                    messages.append(read_exactly(line, number, self._types, self._nan))
            except (RecordError, MessageError) as error:
                self._set_aside(whole, position, error)
                continue
            kept.append(position)
        return messages, kept

    def _learn_keys(self, raw_lines: Iterable[bytes]) -> bool:
        """Take in keys that were not met before; whether there were any."""
        in_record, beside = keys_of(raw_lines)
        new_keys = in_record - {*self.schema.properties, *self.undeclared}
        new_beside = beside - {*self._envelope_keys}
        if not new_keys and not new_beside:
            return False
        self.undeclared += sorted(new_keys)
        self._envelope_keys += sorted(new_beside, key=_place_in_envelope)
        self._compile()
        return True


def _place_in_envelope(key: str) -> tuple[int, str]:
    return (ENVELOPE_KEYS.index(key) if key in ENVELOPE_KEYS else len(ENVELOPE_KEYS)), key


_record_of = attrgetter("record")


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
