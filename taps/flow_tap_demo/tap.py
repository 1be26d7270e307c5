"""The tap: command line, config, catalog and state by the Singer SDK, records by the block."""

from __future__ import annotations

import copy
import sys
from collections.abc import Generator as Yields
from collections.abc import Iterable
from typing import Any

from singer_sdk import Stream
from singer_sdk import typing as th
from singer_sdk.helpers._catalog import pop_deselected_record_properties
from singer_sdk.singerlib import Catalog
from singer_sdk.singerlib.json import deserialize_json

from flow_singer.datapackage.sdktap import BlockTap, is_unmapped, write_whole
from flow_singer.errors import ConfigError
from flow_tap_demo.generator import ABSENT, Generator
from flow_tap_demo.streams import DEFINITIONS, StreamDefinition


class DemoStream(Stream):
    """One of the streams of the tap."""

    def __init__(self, tap: TapDemo, definition: StreamDefinition) -> None:
        self.definition = definition
        self._demo = tap
        super().__init__(tap, schema=copy.deepcopy(definition.schema), name=definition.name)
        self.primary_keys = ["id"]
        self.replication_key = definition.replication_key

    @property
    def is_sorted(self) -> bool:
        """Records come in the order of `updated_at`: a run that was cut short resumes."""
        return True

    def get_replication_key_signpost(self, context: Any = None) -> None:
        """No signpost: nothing is updated while we read, and equal configs give equal output."""

    def apply_catalog(self, catalog: Catalog) -> None:
        """Take selection and replication method from the catalog.

        Raises:
            ConfigError: the catalog names a replication key that the stream cannot be read by.
        """
        super().apply_catalog(catalog)
        if not self.selected or self.replication_method == "FULL_TABLE":
            return
        if self.replication_key != "updated_at" or self.replication_method != "INCREMENTAL":
            raise ConfigError(
                f"Stream '{self.name}' cannot be read by {self.replication_method} with replication key "
                f"'{self.replication_key}'.",
                "Use INCREMENTAL with 'updated_at', or FULL_TABLE, in the catalog.",
            )

    def get_records(self, context: Any) -> Iterable[dict[str, Any]]:
        """Records as the SDK's own path takes them, decimals exact."""
        generator = self._generator()
        for block in generator.lines(*self._span(generator, context)):
            for line in block.split(b"\n")[:-1]:
                yield deserialize_json(line)["record"]

    def _sync_records(
        self, context: Any = None, *, write_messages: bool = True
    ) -> Yields[dict[str, Any], Any, Any]:
        if write_messages and is_unmapped(self):
            self._write_records(context)
            return
        yield from super()._sync_records(context, write_messages=write_messages)

    def _write_records(self, context: Any) -> None:
        generator = self._generator()
        with self.get_record_counter() as counter, self.get_sync_timer():
            self._write_starting_replication_value(context)
            start, stop = self._span(generator, context)
            limit = self.ABORT_AT_RECORD_COUNT
            end = stop if limit is None else min(stop, start + limit)
            for first in range(start, end, self.STATE_MSG_FREQUENCY):
                after = min(first + self.STATE_MSG_FREQUENCY, end)
                with self._demo.uninterrupted():
                    for block in generator.lines(first, after):
                        write_whole(block)
                    sys.stdout.buffer.flush()
                    self._increment_stream_state(
                        {"updated_at": generator.clock.text(after - 1)}, context=context
                    )
                    self.state_manager.is_flushed = False
                    if after - first == self.STATE_MSG_FREQUENCY:
                        self._write_state_message()
                counter.increment(after - first)
            if end < stop:
                self._check_max_record_limit(current_record_index=end - start)
            with self._demo.uninterrupted():
                self._finalize_state(self.stream_state)
                self._write_state_message()

    def _generator(self) -> Generator:
        fields = self.definition.fields(self.config["seed"], self.config["hard"])
        return Generator(self.name, fields, self._selected, self._stream_version)

    def _selected(self, name: str, value: Any) -> Any:
        """What the catalog's selection leaves of a value of the property, or ABSENT."""
        record = {name: copy.deepcopy(value)}
        pop_deselected_record_properties(record, self.schema, self.mask)
        return record.get(name, ABSENT)

    def _span(self, generator: Generator, context: Any) -> tuple[int, int]:
        """The first record to send, by bookmark or start date, and the number of records there are."""
        count = self.definition.count(self.config["records"])
        try:
            bookmark = self.get_starting_timestamp(context)
        except (TypeError, ValueError) as exc:
            value = self.get_starting_replication_key_value(context)
            raise ConfigError(
                f"Stream '{self.name}' cannot start at {value!r}, which is not a date-time.",
                "Correct the setting start_date or the bookmark in the state, e.g. 2020-01-01T00:00:00Z.",
            ) from exc
        return (0 if bookmark is None else generator.clock.first_from(bookmark, count)), count


class TapDemo(BlockTap):
    """GitHub-like streams, generated from a seed: offline, deterministic, from ten records to ten million."""

    name = "tap-demo"
    package_name = "flow-singer"

    config_jsonschema = th.PropertiesList(
        th.Property(
            "records",
            th.IntegerType(minimum=1),
            default=1000,
            title="Records",
            description="Number of issues; the other streams are in proportion to it.",
        ),
        th.Property(
            "seed",
            th.IntegerType,
            default=1,
            title="Seed",
            description="Another seed gives other values; the same one always the same.",
        ),
        th.Property(
            "start_date",
            th.DateTimeType,
            title="Start date",
            description="Where incremental streams start that have no later bookmark; data begin in 2020.",
        ),
        th.Property(
            "hard",
            th.BooleanType,
            default=False,
            title="Hard values",
            description="Add legal values that break readers: huge integers and decimals, odd text, year 1.",
        ),
    ).to_dict()

    def discover_streams(self) -> list[DemoStream]:
        """The four streams, which are always the same."""
        return [DemoStream(self, definition) for definition in DEFINITIONS]
