"""The tap: what the reader gives, as messages."""

from __future__ import annotations

import atexit
import json
import logging
import sys
from collections.abc import Generator, Iterable, Iterator
from typing import Any, ClassVar

from singer_sdk import Stream
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.json import deserialize_json

from flow_singer.datapackage.sdktap import BlockTap, is_unmapped, write_whole
from flow_singer.errors import ConfigError
from flow_singer.reading.newerthan import ReplicationKey
from flow_singer.reading.readsettings import settings_of
from flow_singer.reading.source import Source, SourceStream, open_source
from flow_tap_datapackage.settings import CONFIG

logger = logging.getLogger("tap-datapackage")


class FileStream(Stream):
    """A stream of the source."""

    check_sorted = False  # texts of instants have another order than the instants

    def __init__(self, tap: TapDataPackage, source: SourceStream, replication_key: str | None) -> None:
        self._source, self._owner = source, tap
        super().__init__(tap, schema=dict(source.schema.json_schema), name=source.name)
        self.logger.addFilter(_is_no_error_of_ours)
        self.primary_keys = source.schema.key_properties
        self.replication_key = replication_key

    @property
    def is_sorted(self) -> bool:
        """Rows come in any order; but where the bookmark moves behind the last of them, that does not matter."""
        return self._writes_blocks()

    def get_replication_key_signpost(self, context: Any = None) -> None:
        """No signpost: files do not change while they are read."""

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and replication from the catalog.

        Raises:
            ConfigError: the replication key is no column, or the method is none for files.
        """
        super().apply_catalog(catalog)
        if not self.selected or self.replication_method == "FULL_TABLE":
            return
        if (
            self.replication_method != "INCREMENTAL"
            or self.replication_key not in self._source.schema.properties
        ):
            raise ConfigError(
                f"Stream '{self.name}' cannot be read by {self.replication_method} with the replication key "
                f"{self.replication_key!r}.",
                "Use INCREMENTAL with one of its columns, or FULL_TABLE.",
            )

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Records as the SDK's own path takes them, decimals exact."""
        key = self._key(context)
        for lines, _ in self._lines(key):
            for line in bytes(lines).split(b"\n")[:-1]:
                yield deserialize_json(line)["record"]

    def _write_schema_message(self) -> None:
        """The SCHEMA as the source has it: the SDK would leave out the words that it does not know."""
        if not is_unmapped(self):
            super()._write_schema_message()
            return
        message = {**self._source.schema.message, "key_properties": list(self.primary_keys or ())}
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
        if key is None and chosen is None:
            yield from self._source.lines()
        else:
            yield from self._source.chosen_lines(key, chosen)

    def _key(self, context: Any) -> ReplicationKey | None:
        if self.replication_method != "INCREMENTAL" or not self.replication_key:
            return None
        one = self._source.schema.properties[self.replication_key]
        return ReplicationKey(one, self.get_starting_replication_key_value(context))

    def _chosen(self) -> frozenset[str] | None:
        """The columns that the catalog selects; None: all."""
        names = self._source.schema.properties
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


def _is_no_error_of_ours(record: logging.LogRecord) -> bool:
    """Whether a log record is to be written: what ends the tap is said once, at its end."""
    return not record.getMessage().startswith("An unhandled error occurred while syncing")


class TapDataPackage(BlockTap):
    """Data Packages and bare files (CSV, JSON Lines, JSON, Parquet, Excel), from disk and http(s)."""

    name = "tap-datapackage"
    package_name = "flow-singer"
    config_jsonschema: ClassVar[dict[str, Any]] = CONFIG

    _source: Source | None = None

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
