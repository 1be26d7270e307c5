"""A package's streams held to the SCHEMA that they have there, on their way into it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.checks.cellvalues import Mask, shown
from flow_singer.checks.contract import (
    FROZEN,
    ColumnChange,
    compare_schemas,
    hold_to,
    misfits,
    sentences,
)
from flow_singer.checks.contractchoice import Contract, ContractChoice
from flow_singer.datapackage.formerpackage import FormerPackage, FormerSchema
from flow_singer.datapackage.sink import Sink
from flow_singer.errors import DataError, RecordError
from flow_singer.singer.schema import StreamSchema, with_null
from flow_singer.tabular.batch import Batch, Column, filtered, json_texts
from flow_singer.tabular.parts import Part
from flow_singer.tabular.recorddecoder import RecordDecoder
from flow_singer.tabular.recordlines import batch_lines
from flow_singer.tabular.textarrays import join, text_bytes
from flow_singer.wording import count_of

if TYPE_CHECKING:
    from flow_singer.checks.recordlook import Reject


class PackageSink(Sink, Protocol):
    """A sink whose rows come to stand where a package may be."""

    @property
    def standing(self) -> FormerPackage | None:
        """The package that is there; None where there is none."""

    @property
    def keeps_earlier_runs(self) -> bool:
        """Whether its rows stay."""


@dataclass
class _Held:
    """A stream that is there already.

    Attributes:
        former: what it holds there.
        contract: what it is held to.
        schema: what it is written by.
        changed: the columns whose values may be others than before.
    """

    former: FormerSchema
    contract: Contract
    schema: StreamSchema
    changed: frozenset[str]
    left_out: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    example: str = ""


class ContractSink:
    """Lets through to a package what its contracts allow, and tells what is other than before.

    Args:
        sink: writes the package.
        choice: the contract of each stream.
        notice: called with what a person should hear.
        reject: called as `reject(line_number, stream, line, error)` for each row that is left out.
    """

    def __init__(
        self,
        sink: PackageSink,
        choice: ContractChoice,
        *,
        notice: Callable[[str], None],
        reject: Reject | None = None,
    ) -> None:
        self._sink = sink
        self._choice = choice
        self._notice, self._reject = notice, reject
        self._held: dict[str, _Held] = {}
        self._came: dict[str, None] = {}

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA.

        Raises:
            DataError: its contract is freeze, and it is other than that of what is there.
        """
        stream = schema.stream
        self._came[stream] = None
        contract = self._choice.of(stream)
        former = None if self._sink.standing is None else self._sink.standing.schema_of(stream)
        if former is None:
            self._sink.schema(schema)
            return
        changes = [
            one
            for one in compare_schemas(former.schema, schema)
            if not (one.kind == "removed" and one.column in former.absent)
        ]
        self._compare_keys(contract, former.schema, schema)
        hold_to(contract, stream, changes)
        self._tell(contract, stream, changes)
        changed = frozenset(one.column for one in changes if one.breaks)
        kept = former.schema if contract.startswith("discard") else None
        written = schema if kept is None else _kept(kept, schema, nullable=contract == "discard-value")
        before = self._held.get(stream)
        self._held[stream] = held = _Held(former, contract, written, changed)
        if before is not None:
            held.left_out, held.rows, held.example = before.left_out, before.rows, before.example
        self._sink.schema(written)

    def batch(self, batch: Batch) -> None:
        """Take the next records of a stream.

        Raises:
            DataError: its contract is freeze, and a record has a column that is not there.
        """
        held = self._held.get(batch.schema.stream)
        if held is None or held.contract == "evolve":
            self._sink.batch(batch)
            return
        known = held.former.schema.properties
        beside = {name for name, one in batch.undeclared.items() if one.values.null_count < batch.count}
        if held.contract == "freeze":
            if more := sorted(beside - known.keys()):
                raise DataError(
                    f"Records of stream '{batch.schema.stream}' have '{more[0]}', a column that is not there.",
                    FROZEN,
                )
            self._sink.batch(batch)
            return
        if kept := self._fitting(held, batch, held.changed | beside):
            self._sink.batch(kept)

    def activate_version(self, stream: str, version: int) -> None:
        """Take an ACTIVATE_VERSION."""
        self._sink.activate_version(stream, version)

    def checkpoint(self) -> bool:
        """Whether all that came so far is durable."""
        return self._sink.checkpoint()

    def tell(self) -> None:
        """Tell what was left out, and what did not come; call it at the end of a complete run."""
        for stream, held in self._held.items():
            if held.left_out:
                self._notice(_told(stream, held))
        for sentence in self._choice.unmet(self._came):
            self._notice(sentence)
        standing = self._sink.standing
        if standing is not None and not self._sink.keeps_earlier_runs:
            for one in standing.resources:
                if (name := one.get("flow:stream")) is not None and name not in self._came:
                    self._notice(
                        f"stream '{name}' was in the package and did not come: it is not in the new one."
                    )

    # ------------------------------------------------------------------------------------------ SCHEMAs

    def _compare_keys(self, contract: Contract, before: StreamSchema, after: StreamSchema) -> None:
        if before.key_properties == after.key_properties:
            return
        old, new = (", ".join(one.key_properties) or "none" for one in (before, after))
        said = f"The key of stream '{after.stream}' was {old}, and is {new} now"
        if contract == "freeze":
            raise DataError(f"{said}.", FROZEN)
        if not self._sink.keeps_earlier_runs:
            self._notice(f"{said[0].lower()}{said[1:]}.")

    def _tell(self, contract: Contract, stream: str, changes: list[ColumnChange]) -> None:
        if not changes:
            return
        then = ""
        if any(one.breaks for one in changes):
            then = {
                "discard-row": " Rows with other values are left out.",
                "discard-value": " Other values are left out.",
            }.get(contract, "")
        self._notice(f"stream '{stream}': its SCHEMA is other than before: {sentences(changes)}.{then}")

    # ------------------------------------------------------------------------------------------ records

    def _fitting(self, held: _Held, batch: Batch, names: frozenset[str]) -> Batch | None:
        """What of a batch the former SCHEMA allows, under it; None where nothing is left."""
        columns = {**batch.columns, **{k: v for k, v in batch.undeclared.items() if k in names}}
        if not names & columns.keys():
            return _under(held.schema, batch, columns)
        bad = misfits(batch, held.former.schema, names)
        for name in names & columns.keys() & held.former.schema.properties.keys():
            mask = bad.get(name, np.zeros(batch.count, dtype=np.bool_))
            columns[name], unread = _read_again(held.former.schema, name, columns[name], mask)
            if unread.any():
                bad[name] = mask | unread
        for name, mask in bad.items():
            held.left_out[name] += int(np.count_nonzero(mask))
        keys = set(held.schema.key_properties)
        gone = np.zeros(batch.count, dtype=np.bool_)
        for name, mask in bad.items():
            if held.contract == "discard-row" or name in keys:
                gone |= mask
        self._note(held, batch, bad, gone)
        made = _under(held.schema, batch, columns)
        return filtered(made, pa.array(~gone)) if gone.any() else made

    def _note(self, held: _Held, batch: Batch, bad: dict[str, Mask], gone: Mask) -> None:
        if not bad:
            return
        if not held.example:
            name = next(iter(bad))
            row = int(np.argmax(bad[name]))
            cell = shown(batch.columns.get(name) or batch.undeclared.get(name), row)
            held.example = f"line {batch.line_of(row)}, column '{name}': {cell}"
        held.rows += int(np.count_nonzero(gone))
        if self._reject is None or not gone.any():
            return
        left = filtered(batch, pa.array(gone))
        lines = bytes(batch_lines(left))[:-1].split(b"\n")
        for row, (place, line) in enumerate(zip(np.flatnonzero(gone).tolist(), lines, strict=True)):
            name = next(name for name, mask in bad.items() if mask[place])
            error = RecordError(
                f"Stream '{batch.schema.stream}', column '{name}': the value is none that the SCHEMA of what is "
                f"there allows, and its contract is {held.contract}.",
                "Let the stream evolve (--contract evolve), or correct the data.",
            )
            self._reject(left.line_of(row), batch.schema.stream, line, error)


def _kept(former: StreamSchema, new: StreamSchema, *, nullable: bool) -> StreamSchema:
    """The former SCHEMA with the key of the new one; `nullable` where its columns may become null."""
    message: dict[str, Any] = {**new.message, "schema": former.json_schema}
    if nullable:
        keys = set(new.key_properties)
        properties = {
            name: one.json_schema if name in keys else with_null(one.json_schema, former.json_schema)
            for name, one in former.properties.items()
        }
        required = [name for name in former.required if name in keys]
        message["schema"] = {**former.json_schema, "properties": properties, "required": required}
    return StreamSchema(message)


def _under(schema: StreamSchema, batch: Batch, columns: dict[str, Column]) -> Batch:
    """The records under a SCHEMA, with the columns of it that they have."""
    mine = {name: columns[name] for name in schema.properties if name in columns}
    return Batch(schema, mine, {}, batch.envelope, batch.count, batch.lines, batch.rest)


def _read_again(former: StreamSchema, name: str, column: Column, bad: Mask) -> tuple[Column, Mask]:
    """A column as the former SCHEMA carries it, null where it is bad, and what of the rest it cannot carry."""
    root = former.json_schema
    properties = {**root.get("properties", {}), name: with_null(former.properties[name].json_schema, root)}
    message = {**former.message, "schema": {**root, "properties": properties}, "key_properties": []}
    unread = np.zeros(len(bad), dtype=np.bool_)

    def note(number: int, line: bytes, error: DataError) -> None:
        unread[number - 1] = True

    decoder = RecordDecoder(StreamSchema(message, read={name}), reject=note)
    texts = json_texts(column)
    begin = (
        json.dumps({"type": "RECORD", "stream": former.stream})[:-1] + f', "record": {{{json.dumps(name)}: '
    )
    while True:
        given = pc.if_else(pa.array(bad | unread), None, texts).fill_null("null")
        lines = bytes(text_bytes(join(begin, given, "}}\n")))
        before = int(np.count_nonzero(unread))
        read = decoder.decode([Part(lines, [(1, len(bad))])]) if len(bad) else None
        if read is None or int(np.count_nonzero(unread)) == before:
            made = column if read is None else read.columns[name]
            return Column(made.values, made.as_json, column.absent), unread


def _told(stream: str, held: _Held) -> str:
    columns = ", ".join(f"'{name}' ({count})" for name, count in held.left_out.most_common(5))
    cells = sum(held.left_out.values())
    what = (
        f"{count_of(held.rows, 'row was', 'rows were')} left out"
        if held.contract == "discard-row"
        else f"{count_of(cells, 'value was', 'values were')} left out"
    )
    if held.contract == "discard-value" and held.rows:
        what += f", and {count_of(held.rows, 'row')} whose key was among them"
    return (
        f"stream '{stream}': {what}, as the SCHEMA of what is there does not allow them (contract "
        f"{held.contract}), in column {columns}; the first: {held.example}."
    )
