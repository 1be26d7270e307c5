"""Look at streams without moving them: a message stream, or what lies at a place."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flow_singer.checks.checkset import Checks
from flow_singer.checks.checksink import CheckSink
from flow_singer.checks.expectations import Expectation
from flow_singer.checks.findings import Finding
from flow_singer.datapackage.sink import Loader
from flow_singer.datapackage.validation import Fault, package_faults
from flow_singer.dataplaces import DESCRIPTOR
from flow_singer.errors import DataError, FlowError, IncompleteError
from flow_singer.plugins.datasources import check_data
from flow_singer.reading.readsettings import settings_of
from flow_singer.reading.resource import SourceStream
from flow_singer.reading.source import Source, open_source
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.marks import Header
from flow_singer.singer.messages import MessageReader
from flow_singer.stages.inputstream import InputStream, LoadOptions
from flow_singer.stages.package import EVERY_STREAM
from flow_singer.tabular.memory import set_up_memory
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import other_lines


def descriptor_at(place: str) -> Path | None:
    """The descriptor of a package that lies in a folder of this machine; None where there is none."""
    path = Path(place)
    if path.name != DESCRIPTOR:
        path = path / DESCRIPTOR
    return path if path.is_file() else None


def open_place(place: str, config: Mapping[str, Any], notice: Callable[[str], None]) -> Source:
    """Open what lies at a place, as a context manager; a descriptor that does not fit its data is only told of.

    Args:
        place: a folder, a file, a glob, an address.
        config: how it is to be read, by the settings of tap-datapackage.
        notice: called with what a person should hear.

    Raises:
        ConfigError: nothing is there, or nothing that can be read; or a setting is wrong.
        DataError: what is there is broken.
    """
    check_data(place)
    return open_source(place, replace(settings_of(config), trust=True), notice=notice)


@dataclass
class Validation:
    """What was found.

    Attributes:
        records: how many were looked at, per stream.
        findings: what is not as expected, or as the SCHEMA says.
        notes: what a person should hear besides.
        seconds: how long it took.
        stopped: whether there were so many errors that the rest was not looked at.
        incomplete: why the stream is not complete.
    """

    records: Mapping[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    stopped: bool = False
    incomplete: IncompleteError | None = None

    @property
    def errors(self) -> int:
        """How many errors there are."""
        return sum(one.errors for one in self.findings if one.is_error)

    @property
    def warnings(self) -> int:
        """How many warnings there are."""
        return sum(one.errors for one in self.findings if not one.is_error)

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {
            "valid": not self.errors and self.incomplete is None and not self.stopped,
            "errors": self.errors,
            "warnings": self.warnings,
            "records": dict(self.records),
            "stopped": self.stopped,
            "incomplete": None if self.incomplete is None else self.incomplete.message,
            "findings": [one.to_json() for one in self.findings],
            "notes": self.notes,
        }


class _Look:
    """One look at several streams, up to a number of errors."""

    def __init__(
        self,
        expectations: Sequence[Expectation],
        limit: int | None,
        *,
        is_place: bool,
        header: Header | None = None,
    ) -> None:
        self._started = time.monotonic()
        self._limit = limit
        self._checks = Checks(expectations, judges=True, resumed=header.resumed if header else ())
        self.sink = CheckSink(self._checks, repeated_keys="raise" if is_place else "warn")
        self.result = Validation()

    @property
    def is_enough(self) -> bool:
        """Whether there are as many errors as were asked for."""
        if self._limit is not None and self.sink.errors >= self._limit:
            self.result.stopped = True
        return self.result.stopped

    def finish(self, *, complete: bool) -> Validation:
        """Look at each stream as a whole, where all of it came."""
        result = self.result
        if complete and not result.stopped:
            self._checks.finish()
            self._checks.close()
            notices = self._checks.notices(findings=False)
        else:
            self._checks.close()
            notices = []
        result.records = self.sink.records
        place = {stream: number for number, stream in enumerate(result.records)}
        result.findings = sorted(
            self.sink.findings,
            key=lambda one: (not one.is_error, place.get(one.stream, -1), one.column or "", one.expectation),
        )
        result.notes += [*self.sink.notes, *notices]
        result.seconds = time.monotonic() - self._started
        return result


def validate_stream(
    source: int,
    expected: Callable[[str | None], Sequence[Expectation]],
    *,
    limit: int | None = None,
    options: LoadOptions | None = None,
    batch_paths: BatchPaths | None = None,
    parallel: ParallelDecoder,
    progress: Callable[[MessageReader], None] = lambda _: None,
) -> Validation:
    """Look at the message stream on a file descriptor.

    Args:
        source: where it comes.
        expected: what is expected, given the name of the tap where the stream says it.
        limit: how many errors are enough.
        options: how the stream is read.
        batch_paths: which files a BATCH may name.
        parallel: decodes the records.
        progress: called about twice a second.

    Raises:
        IncompleteError: nothing came at all.
        DataError, ConfigError: an expectation has no meaning for its stream; a SCHEMA cannot be read.
    """
    set_up_memory()
    rejected: list[tuple[int, bytes, FlowError]] = []
    stream = InputStream(
        source,
        options or LoadOptions(),
        wanted=EVERY_STREAM,
        find_other_lines=other_lines,
        reject=lambda number, line, error: rejected.append((number, line, error)),
    )
    stream.begin()
    header = stream.header
    look = _Look(expected(header.tap if header else None), limit, is_place=False, header=header)

    def reject_lines() -> None:
        for number, line, error in rejected:
            look.sink.reject(number, None, line, error)
        rejected.clear()

    loader = Loader(
        look.sink, reject=look.sink.reject, nan="error", parallel=parallel, batch_paths=batch_paths
    )
    with contextlib.closing(loader):
        shown = 0.0
        for run in stream.runs(idle=lambda: progress(stream.reader)):
            loader.handle(run)
            reject_lines()
            if look.is_enough:
                break
            if (now := time.monotonic()) - shown > _SHOW_S:
                shown = now
                progress(stream.reader)
        reject_lines()
        if not look.result.stopped:
            loader.flush()
            look.result.incomplete = _incomplete(stream)
    return look.finish(complete=look.result.incomplete is None)


_SHOW_S = 0.5


def _incomplete(stream: InputStream) -> IncompleteError | None:
    try:
        stream.check_end()
    except IncompleteError as error:
        return error
    return None


def validate_place(
    streams: Sequence[SourceStream],
    expectations: Sequence[Expectation],
    *,
    limit: int | None = None,
    progress: Callable[[Mapping[str, int]], None] = lambda _: None,
) -> Validation:
    """Look at what lies at a place.

    Args:
        streams: as [`open_source`][flow_singer.reading.source.open_source] gives them.
        expectations: of them.
        limit: how many errors are enough.
        progress: called with the numbers of records after each batch.

    Raises:
        DataError, ConfigError: an expectation has no meaning for its stream.
    """
    set_up_memory()
    look = _Look(expectations, limit, is_place=True)
    for stream in streams:
        look.sink.schema(stream.schema)
        try:
            for batch in stream.batches():
                look.sink.batch(batch)
                progress(look.sink.records)
                if look.is_enough:
                    break
        except DataError as error:
            look.sink.unreadable(stream.name, error)
        if look.is_enough:
            break
    return look.finish(complete=True)


def frictionless_findings(descriptor: Path, most: int | None) -> tuple[list[Finding], str | None]:
    """What frictionless finds wrong with a package on the disk; and why it was not asked.

    Args:
        descriptor: its `datapackage.json`.
        most: how many faults of each resource are enough.
    """
    try:
        resources = json.loads(descriptor.read_bytes()).get("resources", [])
        paths = [str(path) for one in resources for path in _paths_of(one)]
    except (OSError, ValueError, AttributeError):
        return _findings_of(package_faults(descriptor, most)), None
    other = sorted({Path(path.removesuffix(".gz")).suffix for path in paths} - _KNOWN)
    if other:
        return [], f"frictionless was not asked, as it does not read {', '.join(other)} here."
    return _findings_of(package_faults(descriptor, most)), None


def _findings_of(faults: Sequence[Fault]) -> list[Finding]:
    """One finding for each resource, field and kind of fault."""
    found: dict[tuple[str | None, str | None, str], Finding] = {}
    for one in faults:
        key = (one.resource, one.field, one.kind)
        if key not in found:
            title = f"frictionless: {one.kind.replace('-', ' ')}"
            found[key] = Finding(one.resource or "", one.field, title, "raise")
        if one.row is None:
            found[key].said = one.message
        else:
            cell = "" if one.cell is None else f"{json.dumps(one.cell, ensure_ascii=False)}: "
            found[key].add([one.row], [cell + one.note], 1)
    return list(found.values())


_KNOWN = {".csv", ".tsv", ".jsonl", ".ndjson", ".json", ""}


def _paths_of(resource: Mapping[str, Any]) -> Iterator[object]:
    path = resource.get("path", ())
    yield from path if isinstance(path, list) else [path]
    yield from resource.get("extrapaths", ())
