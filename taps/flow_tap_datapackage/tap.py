"""The tap: what the reader gives, as messages."""

from __future__ import annotations

import atexit
import json
import logging
import sys
from collections.abc import Generator, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from singer_sdk import Stream
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.json import deserialize_json

from flow_singer.datapackage.sdktap import BlockTap, is_unmapped, write_whole
from flow_singer.errors import ConfigError
from flow_singer.reading.newerthan import ReplicationKey
from flow_singer.reading.newfiles import FILES, NewFile, NewFiles, find_new_files
from flow_singer.reading.readsettings import settings_of
from flow_singer.reading.source import Source, SourceStream, open_source
from flow_tap_datapackage.settings import CONFIG

logger = logging.getLogger("tap-datapackage")

_SMALL_STATE_BYTES = 64 << 10
"""A STATE below this follows each file; a larger one, as many bytes of records as it has itself."""


class FileStream(Stream):
    """A stream of the source."""

    check_sorted = False  # texts of instants have another order than the instants

    def __init__(self, tap: TapDataPackage, source: SourceStream, replication_key: str | None) -> None:
        self.source, self._owner = source, tap
        self._is_silent = False
        super().__init__(tap, schema=dict(source.schema.json_schema), name=source.name)
        self.logger.addFilter(_is_no_error_of_ours)
        self.primary_keys = source.schema.key_properties
        self.replication_key = replication_key
        if tap.config.get("new_files") is not None:
            self.forced_replication_method = "INCREMENTAL"

    @property
    def is_sorted(self) -> bool:
        """Rows come in any order; but where the bookmark moves behind the last of them, that does not matter."""
        return self._writes_blocks()

    def get_replication_key_signpost(self, context: Any = None) -> None:
        """No signpost: files do not change while they are read."""

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and replication from the catalog.

        Raises:
            ConfigError: the replication key is no column, or the method is none for files, or not for new ones.
        """
        super().apply_catalog(catalog)
        if self.selected and self.config.get("new_files") is not None:
            if self.replication_method != "INCREMENTAL" or self.replication_key:
                by = f" with the replication key {self.replication_key!r}" if self.replication_key else ""
                raise ConfigError(
                    f"Stream '{self.name}' cannot be read by {self.replication_method}{by}: 'new_files' says what is new.",
                    "Use INCREMENTAL without a replication key, or leave 'new_files' out.",
                )
            return
        if not self.selected or self.replication_method == "FULL_TABLE":
            return
        if (
            self.replication_method != "INCREMENTAL"
            or self.replication_key not in self.source.schema.properties
        ):
            raise ConfigError(
                f"Stream '{self.name}' cannot be read by {self.replication_method} with the replication key "
                f"{self.replication_key!r}.",
                "Use INCREMENTAL with one of its columns, or FULL_TABLE.",
            )

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Records as the SDK's own path takes them, decimals exact."""
        for lines, _ in self._lines(self._key(context)):
            for line in bytes(lines).split(b"\n")[:-1]:
                yield deserialize_json(line)["record"]

    def _write_schema_message(self) -> None:
        """The SCHEMA as the source has it: the SDK would leave out the words that it does not know."""
        if not is_unmapped(self):
            super()._write_schema_message()
            return
        message = {**self.source.schema.message, "key_properties": list(self.primary_keys or ())}
        schema = dict(message["schema"])
        chosen = self._chosen()
        if chosen is not None:
            schema["properties"] = {
                name: one for name, one in schema.get("properties", {}).items() if name in chosen
            }
            if "required" in schema:
                schema["required"] = [name for name in schema["required"] if name in chosen]
        message["schema"] = schema
        if self.replication_key:
            message["bookmark_properties"] = [self.replication_key]
        with self._owner.uninterrupted():
            write_whole(json.dumps(message).encode() + b"\n")
            sys.stdout.buffer.flush()

    def _sync_records(
        self, context: Any = None, *, write_messages: bool = True
    ) -> Generator[dict[str, Any], Any, Any]:
        self._is_silent = not write_messages
        if write_messages and self._writes_blocks():
            self._write_records(context)
            return
        yield from super()._sync_records(context, write_messages=write_messages)

    def _write_records(self, context: Any) -> None:
        with self.get_record_counter() as counter, self.get_sync_timer():
            self._write_starting_replication_value(context)
            key = self._key(context)
            written = 0
            limit = self.ABORT_AT_RECORD_COUNT
            for lines, count in self._lines(key, self._chosen()):
                with self._owner.uninterrupted():
                    write_whole(lines)
                    sys.stdout.buffer.flush()
                counter.increment(count)
                written += count
                if limit is not None and written >= limit:
                    self._check_max_record_limit(current_record_index=written)
            with self._owner.uninterrupted():
                if key is not None and key.newest is not None:
                    self._increment_stream_state({key.name: key.newest}, context=context)
                    self.state_manager.is_flushed = False
                self._finalize_state(self.stream_state)
                self._write_state_message()

    def _lines(
        self, key: ReplicationKey | None, chosen: frozenset[str] | None = None
    ) -> Iterator[tuple[bytes | memoryview, int]]:
        """RECORD lines of the rows that are new, with the columns that were chosen; None: all."""
        new = self._owner.new_files.get(self.name)
        if new is None:
            yield from _lines_of(self.source, key, chosen)
            return
        self.stream_state[FILES] = dict(new.noted)
        self.state_manager.is_flushed = False
        size = sum(map(_size_noted, new.noted, new.noted.values()))
        sent = 0  # bytes of records since the last STATE
        for file in new.unread():
            for lines, count in _lines_of(file.rows, key, chosen):
                yield lines, count
                sent += len(lines)
            # Who takes the lines asks for more when they are written.
            size += _size_noted(file.name, file.fingerprint)
            is_due = size < _SMALL_STATE_BYTES or sent > size
            self._note(file, tell=is_due)
            sent = 0 if is_due else sent

    def _note(self, file: NewFile, *, tell: bool) -> None:
        """Note that a file was read, all of it; tell: in a STATE, now."""
        with self._owner.uninterrupted():
            self.stream_state[FILES][file.name] = file.fingerprint
            self.state_manager.is_flushed = False
            if tell and not self._is_silent:
                self._write_state_message()

    def _increment_stream_state(self, latest_record: dict[str, Any], *, context: Any = None) -> None:
        """What the SDK does, but where it is files that are new: then records move nothing."""
        if self.replication_key:
            super()._increment_stream_state(latest_record, context=context)

    def _write_starting_replication_value(self, context: Any) -> None:
        if self.replication_key:
            super()._write_starting_replication_value(context)

    def _key(self, context: Any) -> ReplicationKey | None:
        if self.replication_method != "INCREMENTAL" or not self.replication_key:
            return None
        one = self.source.schema.properties[self.replication_key]
        return ReplicationKey(one, self.get_starting_replication_key_value(context))

    def _chosen(self) -> frozenset[str] | None:
        """The columns that the catalog selects; None: all."""
        names = self.source.schema.properties
        chosen = frozenset(name for name in names if self.mask[("properties", name)])
        return None if len(chosen) == len(names) else chosen

    def _writes_blocks(self) -> bool:
        """Whether rows go out by the block: nothing is asked of them that only the SDK does."""
        return is_unmapped(self) and not self._is_nested_choice()

    def _is_nested_choice(self) -> bool:
        """Whether the catalog leaves out a part of a nested value, which only the SDK's own path does."""
        return any(
            not chosen and len(breadcrumb) > 2 and self.mask[breadcrumb[:2]]
            for breadcrumb, chosen in self.mask.items()
        )

    def post_process(self, row: dict[str, Any], context: Any = None) -> dict[str, Any]:
        """Leave out what is not selected; the SDK's own path does the same once more."""
        pop_deselected_record_properties(row, self.schema, self.mask)
        return row


def _lines_of(
    source: SourceStream, key: ReplicationKey | None, chosen: frozenset[str] | None
) -> Iterator[tuple[bytes | memoryview, int]]:
    if key is None and chosen is None:
        yield from source.lines()
    else:
        yield from source.chosen_lines(key, chosen)


def _size_noted(name: str, fingerprint: str) -> int:
    """How many bytes a file takes in a STATE, about."""
    return len(name) + len(fingerprint) + 8


def _is_no_error_of_ours(record: logging.LogRecord) -> bool:
    """Whether a log record is to be written: what ends the tap is said once, at its end."""
    return not record.getMessage().startswith("An unhandled error occurred while syncing")


class TapDataPackage(BlockTap):
    """Data Packages and bare files (CSV, JSON Lines, JSON, Parquet, Excel), from disk and http(s)."""

    name = "tap-datapackage"
    package_name = "flow-singer"
    config_jsonschema: ClassVar[dict[str, Any]] = CONFIG

    _source: Source | None = None
    new_files: Mapping[str, NewFiles] = MappingProxyType({})
    """By stream; empty where all files are read each time."""

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a STATE, and find out which files it leaves to be read; a file may have come since the catalog.

        Raises:
            ConfigError: the STATE is wrong, or it cannot be told which files are new.
            DataError: a file cannot be read.
        """
        super().load_state(state)
        streams = list(self.streams.values())
        catalog = self.input_catalog
        if left_out := [one.name for one in streams if catalog is not None and one.name not in catalog]:
            self._tell(f"{', '.join(left_out)}: left out, as the catalog does not have it; discover it anew.")
        self.new_files = find_new_files(
            [one.source for one in streams],
            [one.name for one in streams if one.selected],
            self.config.get("new_files"),
            self.state.get("bookmarks", {}),
            trust=bool(self.config.get("trust")),
            notice=self._tell,
        )

    def discover_streams(self) -> list[FileStream]:
        """The streams of the source, which stays open until this process ends."""
        if self._source is None:
            settings = settings_of(self.config)
            self._source = open_source(self.config["path"], settings, notice=self._tell)
            atexit.register(self._source.close)  # what was downloaded or unpacked goes
        key = self.config.get("replication_key")
        return [FileStream(self, one, key) for one in self._source.streams]

    def _tell(self, text: str) -> None:
        logger.warning("%s", text)
