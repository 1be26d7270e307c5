"""RECORD lines of one stream, held to what is expected of them: what becomes of each line."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Literal, TypeAlias

from flow_singer.checks.checkset import Checks
from flow_singer.checks.findings import Finding
from flow_singer.checks.streamchecks import Verdict
from flow_singer.errors import DataError, FlowError, RecordError
from flow_singer.singer.linenumbers import each_line
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.literals import NotANumber, NumberText, dump
from flow_singer.tabular.parts import Part, parts_of
from flow_singer.tabular.recorddecoder import RecordDecoder

Reject: TypeAlias = Callable[[int, str | None, bytes, FlowError], None]
"""Called as `reject(line_number, stream, line, error)`."""


class RecordLook:
    """Looks at the records that come under one SCHEMA.

    Args:
        schema: reads the columns that something is expected of.
        reject: gets records that are dropped, and those that do not fit the SCHEMA; without it, the first of the
            latter raises.
        nan: see [`RecordDecoder`][flow_singer.tabular.recorddecoder.RecordDecoder].
    """

    def __init__(
        self, schema: StreamSchema, *, reject: Reject | None, nan: Literal["error", "null"] = "error"
    ) -> None:
        self.schema = schema
        self._reject = reject
        self._nan: Literal["error", "null"] = nan
        self._set_aside: Counter[tuple[int, bytes]] = Counter()
        self._decoder = RecordDecoder(schema, nan=nan, reject=None if reject is None else self._put_aside)

    def look(self, checks: Checks, parts: Sequence[Part]) -> Iterator[bytes | None] | None:
        """Look at records.

        Args:
            checks: know what is expected of the stream.
            parts: the lines.

        Returns:
            What becomes of each line, None where it is gone; None where all stay as they are.

        Raises:
            DataError: a record is not as expected, or does not fit its SCHEMA.
        """
        made: list[tuple[Part, list[bytes | None] | None]] = []
        for part in parts_of(parts):
            self._set_aside.clear()
            batch = self._decoder.decode([part])
            for number, _ in self._set_aside.elements():
                checks.of(self.schema.stream).skip(number)
            verdict = checks.look(batch)
            changed = verdict.dropped is not None or verdict.cleared or self._set_aside
            made.append((part, self._changed(verdict, part) if changed else None))
        if all(lines is None for _, lines in made):
            return None
        return (line for part, lines in made for line in (_texts(part) if lines is None else lines))

    def _changed(self, verdict: Verdict, part: Part) -> list[bytes | None]:
        lines = _texts(part)
        made: list[bytes | None] = [None] * len(lines)
        row = 0
        for place, (number, line) in enumerate(zip(each_line(part.lines), lines, strict=True)):
            if self._was_set_aside(number, line):
                continue
            if verdict.dropped is not None and verdict.dropped[row]:
                self._drop(number, line, verdict.reasons[row])
            else:
                empty = [name for name, mask in verdict.cleared.items() if mask[row]]
                made[place] = self._cleared(line, empty) if empty else line
            row += 1
        return made

    def _put_aside(self, number: int, line: bytes, error: DataError) -> None:
        self._set_aside[number, line] += 1
        if self._reject is not None:
            self._reject(number, self.schema.stream if isinstance(error, RecordError) else None, line, error)

    def _was_set_aside(self, number: int, line: bytes) -> bool:
        if not self._set_aside[number, line]:
            return False
        self._set_aside[number, line] -= 1
        return True

    def _drop(self, number: int, line: bytes, finding: Finding) -> None:
        if self._reject is None:
            return
        stream = self.schema.stream
        column = f", column '{finding.column}'" if finding.column else ""
        error = DataError(
            f"Stream '{stream}'{column}: the row breaks {finding.expectation}.",
            "Correct the data, or what is expected of them.",
        )
        self._reject(number, stream, line, error)

    def _cleared(self, line: bytes, names: Sequence[str]) -> bytes:
        """The line with null in some cells; all else in it stays as it is."""
        constant = _null if self._nan == "null" else NotANumber
        message = json.loads(line, parse_float=NumberText, parse_int=NumberText, parse_constant=constant)
        message["record"].update(dict.fromkeys(names))
        return dump(message).encode()


def _texts(part: Part) -> list[bytes]:
    return part.data[:-1].split(b"\n")


def _null(_: str) -> None:
    return None
