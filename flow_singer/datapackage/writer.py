"""Writes a Data Package: built beside, made durable, and put in place by one rename."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from flow_singer.datapackage.buildfolders import PartialFolder, remove_leftovers
from flow_singer.datapackage.descriptor import package_descriptor, resource_descriptor
from flow_singer.datapackage.formats import FORMATS, open_file
from flow_singer.datapackage.names import resource_names, slug, with_digest
from flow_singer.datapackage.packageplace import DESCRIPTOR, PackagePlace
from flow_singer.datapackage.streamtable import StreamTable
from flow_singer.datapackage.validation import check_package
from flow_singer.errors import ConfigError, DataError, TargetError
from flow_singer.files import fsync_folder
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch

FormatName = Literal["csv", "jsonl", "parquet"]
"""The formats that a package's files may have."""


@dataclass(frozen=True)
class Published:
    """What was published.

    Attributes:
        path: the package's folder or zip file.
        descriptor: what stands in its `datapackage.json`.
        records: rows of each stream.
    """

    path: Path
    descriptor: dict[str, Any]
    records: dict[str, int]


class PackageWriter:
    """Writes the streams of one run as a Data Package.

    Until [`publish`][] nothing at the package's place is touched; an earlier package is replaced whole. Of
    several that are written for one place at once, each is published whole, and the last one stays.
    Used as a context manager it is abandoned where it was not published.

    Args:
        target: the package's folder, or a file that ends in `.zip`.
        format: the format of its files.
        csv_null: what stands for null in CSV, for example `\\N`; None for an empty cell, which Table Schema
            cannot tell from an empty text.
        run: what is known of the run: `id`, `tap`, `environment`; may be completed until it is published.
        notice: called with what a person should hear, for example that a value did not fit its type.

    Raises:
        ConfigError: something else than a package of Flow's stands at `target`.
        TargetError: nothing can be written there.
        BusyError: another process has been publishing there for a minute.
    """

    keeps_earlier_runs = False

    def __init__(
        self,
        target: Path,
        *,
        format: FormatName = "csv",
        csv_null: str | None = None,
        run: Mapping[str, str] | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        if format not in FORMATS:
            raise ConfigError(
                f"'{format}' is no format of a Data Package.", f"Use one of {', '.join(FORMATS)}."
            )
        self._place = PackagePlace(target, self._say)
        self.path = self._place.path
        self.run: dict[str, str] = dict(run or {})
        self.notices: list[str] = []
        self._format = FORMATS[format]
        self._csv_null = csv_null if format == "csv" else None
        self._notice = notice
        self._tables: dict[str, StreamTable] = {}
        self._done = False
        with self._writing():
            self._place.prepare()
            self._building = PartialFolder(self.path.parent, f".{self.path.name}")
            self.partial = self._building.path
            (self.partial / "data").mkdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self.abandon()

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: a new stream, or new columns of a known one."""
        table = self._tables.get(schema.stream)
        with self._writing():
            if table is not None:
                table.extend(schema)
                return
            path = self.partial / "data" / f"{self._first_name(schema.stream)}.{self._format.extension}"
            self._tables[schema.stream] = StreamTable(
                schema,
                open_file(self._format.name, path, csv_null=self._csv_null),
                null_text=(self._csv_null or "") if self._format.name == "csv" else None,
                notice=self._say,
            )

    def batch(self, batch: Batch) -> None:
        """Write the next records of a stream whose SCHEMA came."""
        with self._writing():
            self._tables[batch.schema.stream].append(batch)

    def activate_version(self, stream: str, version: int) -> None:
        """Keep only rows of this version, or of none."""
        if stream in self._tables:
            self._tables[stream].activate_version(version)

    def checkpoint(self) -> bool:
        """Nothing is safe before the package is published."""
        return False

    def publish(self, *, check: bool = False) -> Published:
        """Put the package in its place.

        Args:
            check: whether it must be valid by its own schema (see [`validation`][flow_singer.datapackage.validation]).

        Raises:
            DataError: no stream has any column, so that there is nothing to publish; or the package is not valid.
            ConfigError: meanwhile something else has come to its place.
            TargetError: the package cannot be written.
            BusyError: another process has been publishing there for a minute.
        """
        with self._writing():
            names = resource_names(stream for stream, table in self._tables.items() if table.columns)
            resources = [
                resource for table in self._tables.values() if (resource := self._finish(table, names))
            ]
            if not resources:
                raise DataError(
                    f"No stream came, so there is no package to write at {self.path}.",
                    "A Data Package has at least one stream; is anything selected in the tap?",
                )
            descriptor = package_descriptor(
                name=slug(self.path.stem if self._place.is_zip else self.path.name, default="package"),
                created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                run=self.run,
                resources=resources,
            )
            _write(self.partial / DESCRIPTOR, msgspec.json.format(msgspec.json.encode(descriptor), indent=2))
            fsync_folder(self.partial / "data")
            fsync_folder(self.partial)
            if check:
                check_package(self.partial)
            self._place.put(self.partial)
        self._done = True
        self._building.remove()
        remove_leftovers(self.path.parent, f".{self.path.name}")
        records = {r["flow:stream"]: r["flow:records"] for r in resources}
        return Published(self.path, descriptor, records)

    def abandon(self) -> None:
        """Publish nothing; what was written stays beside, as `.NAME.partial-PID`, unless there is none."""
        self._done = True
        for table in self._tables.values():
            with contextlib.suppress(OSError):
                table.close()
        if any(table.rows for table in self._tables.values()):
            self._building.release()
        else:
            self._building.remove()

    def _first_name(self, stream: str) -> str:
        """The name of a stream's file until all streams are known."""
        plain = slug(stream)
        is_free = all(table.file.path.stem != plain for table in self._tables.values())
        return plain if is_free else with_digest(stream, plain)

    def _finish(self, table: StreamTable, names: Mapping[str, str]) -> dict[str, Any] | None:
        stream = table.schema.stream
        if not table.columns:
            self._say(f"stream '{stream}' is left out: its SCHEMA has no properties, and it had no records.")
            table.discard()
            return None
        table.finish()
        sha256 = table.file.sha256
        path = table.file.path.with_stem(names[stream])
        os.rename(
            table.file.path, path
        )  # the stream that took another's name came first, and gives it back first
        return resource_descriptor(
            table,
            name=names[stream],
            path=f"data/{path.name}",
            form=self._format,
            size_bytes=path.stat().st_size,
            sha256=sha256,
            csv_null=self._csv_null,
        )

    def _say(self, notice: str) -> None:
        if notice not in self.notices:
            self.notices.append(notice)
            if self._notice is not None:
                self._notice(notice)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            raise TargetError(
                f"The package {self.path} cannot be written: {exc.strerror or exc} "
                f"({exc.filename or self.partial}).",
                "Check free space and permissions; what was there before is untouched.",
            ) from exc


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())
