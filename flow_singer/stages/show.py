"""What there is in a message stream, or in what lies at a place: nothing is moved."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from flow_singer import __version__
from flow_singer.datapackage.sink import Loader
from flow_singer.errors import ConfigError
from flow_singer.looking.streamlook import LookSink
from flow_singer.nearnames import suggest
from flow_singer.plugins.datasources import check_data
from flow_singer.reading.readsettings import settings_of
from flow_singer.reading.source import open_source
from flow_singer.singer.batchpaths import BatchPaths
from flow_singer.singer.messages import MessageReader
from flow_singer.stages.inputstream import InputStream, LoadOptions
from flow_singer.stages.package import EVERY_STREAM
from flow_singer.tabular.memory import set_up_memory
from flow_singer.tabular.parallel import ParallelDecoder
from flow_singer.tabular.parts import other_lines

_SHOW_S = 0.5


@dataclass
class Shown:
    """What was found.

    Attributes:
        title: what was looked at.
        streams: what there is in each: see [`StreamLook.to_json`][flow_singer.looking.streamlook.StreamLook].
        schemas: the JSON Schema of each.
        notes: what a person should hear, such as what was guessed.
    """

    title: str
    streams: list[dict[str, Any]] = field(default_factory=list)
    schemas: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """For machines, and for the page."""
        return {
            "title": self.title,
            "flow": __version__,
            "created": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "notes": self.notes,
            "streams": self.streams,
        }

    def only(self, name: str) -> None:
        """Leave out all streams but one.

        Raises:
            ConfigError: there is none of that name; with near names.
        """
        if name not in self.schemas:
            raise ConfigError(f"{self.title} has no stream {name!r}.", suggest(name, self.schemas))
        self.streams = [one for one in self.streams if one["name"] == name]
        self.schemas = {name: self.schemas[name]}


@dataclass(frozen=True)
class ShowOptions:
    """What is looked at.

    Attributes:
        rows: of the head.
        profiles: whether columns are profiled.
        limit: how many records of each stream are looked at; None: all.
        stream: the only one that is looked at; None: all.
    """

    rows: int = 10
    profiles: bool = False
    limit: int | None = None
    stream: str | None = None


def show_place(
    place: str,
    config: Mapping[str, Any],
    options: ShowOptions,
    progress: Callable[[Mapping[str, int]], None] = lambda _: None,
) -> Shown:
    """Look at what lies at a place.

    Args:
        place: a folder, a file, a glob, an address.
        config: how it is to be read, by the settings of tap-datapackage.
        options: what is looked at.
        progress: called with the numbers of records after each batch.

    Raises:
        ConfigError: nothing is there, or nothing that can be read; or a setting is wrong.
        DataError: what is there is broken.
    """
    set_up_memory()
    check_data(place)
    shown = Shown(place)
    sink = LookSink(rows=options.rows, profiles=options.profiles, most=options.limit)
    with open_source(place, settings_of(config), notice=shown.notes.append) as source:
        wanted = source.streams if options.stream is None else [source.stream(options.stream)]
        for stream in wanted:
            sink.schema(stream.schema)
            look = sink.streams[stream.name]
            look.known_records = stream.rows if options.limit is None else None
            if look.is_enough:
                continue
            with contextlib.closing(stream.batches()) as batches:
                for batch in batches:
                    sink.batch(batch)
                    progress(sink.records)
                    if look.is_enough:
                        break
    return _told(shown, sink)


def show_stream(
    source: int,
    title: str,
    options: ShowOptions,
    *,
    forward_noise: bool,
    batch_paths: BatchPaths | None = None,
    parallel: ParallelDecoder,
    progress: Callable[[MessageReader], None] = lambda _: None,
) -> Shown:
    """Look at the message stream on a file descriptor, to its end: the stage before is not cut off.

    Args:
        source: where it comes.
        title: what a person calls it.
        options: what is looked at.
        forward_noise: send lines that are no messages to stderr.
        batch_paths: which files a BATCH may name.
        parallel: decodes the records.
        progress: called about twice a second.

    Raises:
        IncompleteError: the stream is cut short, or nothing came at all.
        DataError: a line is no message, or a record does not fit its SCHEMA.
    """
    set_up_memory()
    stream = InputStream(
        source,
        LoadOptions(forward_noise=forward_noise),
        wanted=EVERY_STREAM,
        find_other_lines=other_lines,
    )
    stream.begin()
    sink = LookSink(rows=options.rows, profiles=options.profiles, most=options.limit)
    loader = Loader(sink, nan="null", parallel=parallel, batch_paths=batch_paths)
    with contextlib.closing(loader):
        shown = 0.0
        for run in stream.runs(idle=lambda: progress(stream.reader)):
            loader.handle(run)
            if (now := time.monotonic()) - shown > _SHOW_S:
                shown = now
                progress(stream.reader)
        loader.flush()
        stream.check_end()
    found = _told(Shown(title), sink)
    if options.stream is not None:
        found.only(options.stream)
    return found


def _told(shown: Shown, sink: LookSink) -> Shown:
    shown.streams = [one.to_json() for one in sink.streams.values()]
    shown.schemas = {name: one.schema.json_schema for name, one in sink.streams.items()}
    return shown
