"""What a run brings, as files of a package that nobody sees yet: the streams, in a folder of their own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from flow_singer.datapackage.descriptor import resource_descriptor
from flow_singer.datapackage.formats import Format, open_file
from flow_singer.datapackage.formerpackage import FormerPackage, WriteMode
from flow_singer.datapackage.formerresource import columns_of, stored_types
from flow_singer.datapackage.names import resource_names, slug, with_digest
from flow_singer.datapackage.packagegrowth import NewRows, partitions_of_stream, seed_of
from flow_singer.datapackage.partitionby import PartitionBy
from flow_singer.datapackage.partitions import PartitionLog, partition_stems
from flow_singer.datapackage.streamtable import StreamTable
from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names, suggest
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch


class Draft:
    """The streams of one run on their way into files.

    Args:
        folder: has an empty folder `data`.
        form: of the files.
        csv_null: what stands for null in CSV; None for an empty cell.
        mode: replace, append or upsert.
        former: the package that is added to; None where there is none.
        partition_by: what decides on the file of a row; None for what the former package has.
        created: when the run began.
        notice: called with what a person should hear.
    """

    def __init__(
        self,
        folder: Path,
        *,
        form: Format,
        csv_null: str | None,
        mode: WriteMode,
        former: FormerPackage | None,
        partition_by: PartitionBy | None,
        created: datetime,
        notice: Callable[[str], None],
    ) -> None:
        self.folder = folder
        self._form = form
        self._csv_null = csv_null
        self._mode, self._former = mode, former
        self._partition_by, self._created = partition_by, created
        self._notice = notice
        self._tables: dict[str, StreamTable] = {}
        self._seeds: dict[str, dict[str, Any] | None] = {}

    @property
    def has_rows(self) -> bool:
        """Whether any came."""
        return any(table.rows for table in self._tables.values())

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: a new stream, or new columns of a known one."""
        table = self._tables.get(schema.stream)
        if table is not None:
            table.extend(schema)
            return
        seed = seed_of(self._mode, self._former, schema, self._notice)
        path = self.folder / "data" / f"{self._first_name(schema.stream)}.{self._form.extension}"
        partitions = self._partitions(schema, seed, path)
        self._seeds[schema.stream] = seed
        self._tables[schema.stream] = StreamTable(
            schema,
            open_file(self._form, path, schema.stream, csv_null=self._csv_null, stored=stored_types(seed)),
            null_text=(self._csv_null or "") if self._form.kind == "csv" else None,
            notice=self._notice,
            columns=columns_of(seed),
            partitions=partitions,
        )

    def batch(self, batch: Batch) -> None:
        """Write the next records of a stream whose SCHEMA came."""
        self._tables[batch.schema.stream].append(batch)

    def activate_version(self, stream: str, version: int) -> None:
        """Keep only rows of this version, or of none, of those that came."""
        if stream in self._tables:
            self._tables[stream].activate_version(version)

    def finish(self) -> list[NewRows]:
        """End all files, and give them the names that they have in a package of their own."""
        names = resource_names(stream for stream, table in self._tables.items() if table.columns)
        return [
            NewRows(table, resource, self._seeds[stream])
            for stream, table in self._tables.items()
            if (resource := self._finish(table, names))
        ]

    def check_partitions(self) -> None:
        """Make sure that some stream has what it is to be partitioned by.

        Raises:
            ConfigError: none has.
        """
        by, tables = self._partition_by, self._tables.values()
        if by is not None and tables and all(table.partitions is None for table in tables):
            names = {name for table in tables for name in table.schema.properties}
            raise ConfigError(
                f"--partition-by {by}: no stream has a column '{by.column}', so that nothing was published.",
                suggest(by.column or "", names),
            )

    def close(self) -> None:
        """Let go of the files where they are."""
        for table in self._tables.values():
            with contextlib.suppress(OSError):
                table.close()

    def _partitions(
        self, schema: StreamSchema, seed: Mapping[str, Any] | None, path: Path
    ) -> PartitionLog | None:
        asked = self._partition_by
        by = partitions_of_stream(self._mode, self._former, asked, schema, seed)
        if by is None:
            if asked is not None and asked.column is not None:
                near = did_you_mean(near_names(asked.column, schema.properties))
                self._notice(
                    f"stream '{schema.stream}' has no column '{asked.column}' to be partitioned by: it is "
                    f"written as one file. {near}".rstrip()
                )
            return None
        run = self._created.strftime("%Y-%m-%dT%H%M%SZ")
        return PartitionLog(by, path.with_name(path.name + ".parts"), run)

    def _first_name(self, stream: str) -> str:
        """The name of a stream's file until all streams are known."""
        plain = slug(stream)
        is_free = all(self._form.stem(table.file.path) != plain for table in self._tables.values())
        return plain if is_free else with_digest(stream, plain)

    def _finish(self, table: StreamTable, names: Mapping[str, str]) -> dict[str, Any] | None:
        stream = table.schema.stream
        if not table.columns:
            self._notice(
                f"stream '{stream}' is left out: its SCHEMA has no properties, and it had no records."
            )
            table.discard()
            return None
        table.finish()
        stems = partition_stems([part.partition or "" for part in table.parts])
        paths, sizes = [], []
        for part, stem in zip(table.parts, stems, strict=True):
            name = names[stream] if part.partition is None else f"{names[stream]}-{stem}"
            path = self._free(name, () if part.partition is None else names.values())
            os.rename(
                part.path, path
            )  # the stream that took another's name came first, and gives it back first
            paths.append(f"data/{path.name}")
            sizes.append(path.stat().st_size)
        return resource_descriptor(
            table,
            name=names[stream],
            paths=paths,
            sizes=sizes,
            form=self._form,
            csv_null=self._csv_null,
        )

    def _free(self, name: str, taken: Collection[str]) -> Path:
        """Where a file comes to lie; that of a partition where no other stream's is or will be."""
        one, number = name, 2
        while True:
            path = self.folder / "data" / f"{one}.{self._form.extension}"
            if not taken or not (one in taken or path.exists()):
                return path
            one, number = f"{name}-{number}", number + 1
