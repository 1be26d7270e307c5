"""Streams that are only looked at: what their SCHEMAs say and what is expected, all of it found and counted."""

from __future__ import annotations

import re

from flow_singer.checks.checkset import Checks
from flow_singer.checks.expectations import Action, Expectation
from flow_singer.checks.findings import EXAMPLES, Finding
from flow_singer.checks.schemarules import schema_rules, unread_patterns
from flow_singer.errors import FlowError, RecordError
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch


class CheckSink:
    """A [`Sink`][flow_singer.datapackage.sink.Sink] that keeps nothing.

    Args:
        checks: judge; they get the streams.
        repeated_keys: what a key that comes again is: a fault of rows that lie somewhere; of messages, which
            targets merge by key, something to be told.

    Attributes:
        records: how many came, per stream.
        notes: what could not be looked at.
    """

    def __init__(self, checks: Checks, *, repeated_keys: Action) -> None:
        self.records: dict[str, int] = {}
        self.notes: dict[str, None] = {}
        self._checks = checks
        self._repeated_keys: Action = repeated_keys
        self._misfits: dict[tuple[str, str | None], Finding] = {}

    @property
    def findings(self) -> list[Finding]:
        """All that was found."""
        return [*self._misfits.values(), *self._checks.findings]

    @property
    def errors(self) -> int:
        """How many errors were found."""
        return sum(one.errors for one in self.findings if one.is_error)

    @property
    def warnings(self) -> int:
        """How many warnings."""
        return sum(one.errors for one in self.findings if not one.is_error)

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA."""
        stream = schema.stream
        self.records.setdefault(stream, 0)
        self._checks.schema(schema)
        keys = []
        if schema.key_properties:
            columns = tuple(schema.key_properties)
            label = "key unique" if len(columns) == 1 else f"key unique ({', '.join(columns)})"
            keys.append(Expectation(stream, "unique", columns, on_failure=self._repeated_keys, label=label))
        self._checks.of(stream).hold_to(schema_rules(schema), keys)
        for name, pattern, fault in unread_patterns(schema):
            self.notes[
                f"Stream '{stream}', column '{name}': its pattern {pattern} is not looked for, as it is none of RE2 ({fault})."
            ] = None

    def batch(self, batch: Batch) -> None:
        """Look at the next records of a stream."""
        self.records[batch.schema.stream] += batch.count
        self._checks.look(batch)

    def activate_version(self, stream: str, version: int) -> None:
        """Take an ACTIVATE_VERSION, which changes nothing here."""

    def checkpoint(self) -> bool:
        """Nothing is kept, so nothing is safe."""
        return False

    def reject(self, number: int, stream: str | None, line: bytes, error: FlowError) -> None:
        """Find a record that does not fit its SCHEMA, or a line that is no message."""
        said = _MISFIT.search(error.message)
        column, reason = said.groups() if said else (None, error.message)
        if stream is not None and isinstance(error, RecordError):
            self._checks.of(stream).skip(number)
            self.records[stream] = self.records.get(stream, 0) + 1
        what = "type" if stream is not None else "message"
        key = (stream or "", column)
        if key not in self._misfits:
            self._misfits[key] = Finding(stream or "", column, what, "raise", unit="line")
        finding = self._misfits[key]
        finding.add([number], [reason] if len(finding.examples) < EXAMPLES else [], 1)

    def unreadable(self, stream: str, error: FlowError) -> None:
        """Find that the rest of a stream cannot be read."""
        self._misfits[stream, ""] = Finding(
            stream, None, "readable", "raise", said=error.message.removesuffix(".")
        )


_MISFIT = re.compile(r"(?:, property '(.*)')? does not fit its SCHEMA: (.*)", re.DOTALL)
