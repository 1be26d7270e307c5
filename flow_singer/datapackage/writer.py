"""Writes a Data Package, or adds to one: built beside, made durable, and made visible by one rename."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import msgspec

from flow_singer.datapackage.buildfolders import PartialFolder, remove_leftovers
from flow_singer.datapackage.descriptor import grown_descriptor, package_descriptor
from flow_singer.datapackage.draft import Draft
from flow_singer.datapackage.formats import FORMATS
from flow_singer.datapackage.formerpackage import FormerPackage, StateMove, WriteMode, read_former
from flow_singer.datapackage.names import slug
from flow_singer.datapackage.owndescriptor import OwnDescriptor
from flow_singer.datapackage.packagegrowth import (
    Joiner,
    NewRows,
    check_format,
    former_format,
)
from flow_singer.datapackage.packageplace import Change, PackagePlace, write_durably
from flow_singer.datapackage.partitionby import PartitionBy
from flow_singer.datapackage.relations import related
from flow_singer.datapackage.validation import check_package
from flow_singer.dataplaces import DESCRIPTOR
from flow_singer.errors import ConfigError, DataError, TargetError
from flow_singer.files import fsync_folder
from flow_singer.reading.ownsheets import check_openpyxl
from flow_singer.singer.foreignkeys import ForeignKey
from flow_singer.singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch

FormatName = Literal["csv", "csv.gz", "jsonl", "jsonl.gz", "parquet", "xlsx"]
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
    """Writes the streams of one run as a Data Package, or adds them to the one that is there.

    Until [`publish`][] nothing at the package's place is touched; an earlier package is replaced whole, or it grows.
    Of several that replace it at once, each is published whole, and the last one stays; of several that add to it,
    the rows of each are there in the end.
    Used as a context manager it is abandoned where it was not published.

    Args:
        target: the package's folder, or a file that ends in `.zip`.
        format: the format of its files; None for that of the package that it adds to, else CSV.
        csv_null: what stands for null in CSV, for example `\\N`; None for that of the package that it adds to, else
            an empty cell, which Table Schema cannot tell from an empty text.
        mode: replace, append or upsert.
        run: what is known of the run: `id`, `tap`, `environment`; may be completed until it is published.
        partition_by: `COLUMN`, `COLUMN:UNIT` or `run`: the rows of a stream are spread over files; None for what the
            package that it adds to has, else one file for each stream.
        own: what a person says of the package.
        foreign_keys: what streams refer to, by stream, beside what their SCHEMAs say.
        notice: called with what a person should hear, for example that a value did not fit its type.

    Attributes:
        standing: the package that stood there at first; None where there was none.
        former: the same where it is added to; None where it is replaced.

    Raises:
        ConfigError: something else than a package of Flow's stands at `target`, or one of another format; or
            what writes this one is not installed.
        TargetError: nothing can be written there.
        BusyError: another process has been publishing there for a minute.
    """

    commits_parts = False

    def __init__(
        self,
        target: Path,
        *,
        format: FormatName | None = None,
        csv_null: str | None = None,
        mode: WriteMode = "replace",
        run: Mapping[str, str] | None = None,
        partition_by: str | None = None,
        own: OwnDescriptor | None = None,
        foreign_keys: Mapping[str, Sequence[ForeignKey]] | None = None,
        notice: Callable[[str], None] | None = None,
    ) -> None:
        if format not in {*FORMATS, None}:
            raise ConfigError(
                f"'{format}' is no format of a Data Package.", f"Use one of {', '.join(FORMATS)}."
            )
        self._place = PackagePlace(target, self._say)
        self.path = self._place.path
        self.run: dict[str, str] = dict(run or {})
        self.notices: list[str] = []
        self._mode, self._notice = mode, notice
        self._own, self._foreign_keys = own, foreign_keys or {}
        self.standing: FormerPackage | None = None
        self._created = datetime.now(UTC)
        by = None if partition_by is None else PartitionBy.parse(partition_by)
        self._done = False
        with self._writing():
            self._place.prepare()
            self.standing = read_former(self.path)
            self.former = None if mode == "replace" else self.standing
            found = None if self.former is None else former_format(self.former)
            own_format, own_null = found or ("csv", None)
            self._format = FORMATS[format or own_format]
            if self._format.kind == "xlsx":
                check_openpyxl(f"{self.path} cannot be written as xlsx")
            self._csv_null = (csv_null or own_null) if self._format.kind == "csv" else None
            if self.former is not None:
                check_format(self.former, self._format.name, self._csv_null)
            self._building = PartialFolder(self.path.parent, f".{self.path.name}")
            self.partial = self._building.path
            try:
                (self.partial / "data").mkdir()
            except OSError:
                self._building.remove()
                raise
        self._draft = Draft(
            self.partial,
            form=self._format,
            csv_null=self._csv_null,
            mode=mode,
            former=self.former,
            partition_by=by,
            created=self._created,
            notice=self._say,
        )

    @property
    def keeps_earlier_runs(self) -> bool:
        """Whether what earlier runs brought stays."""
        return self._mode != "replace"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._done:
            self.abandon()

    def schema(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: a new stream, or new columns of a known one."""
        with self._writing():
            self._draft.schema(schema)

    def batch(self, batch: Batch) -> None:
        """Write the next records of a stream whose SCHEMA came."""
        with self._writing():
            self._draft.batch(batch)

    def activate_version(self, stream: str, version: int) -> None:
        """Keep only rows of this version, or of none, of those that this run brings."""
        if self._mode != "replace":
            self._say(
                f"stream '{stream}': a new version does not remove rows of earlier runs from the package."
            )
        self._draft.activate_version(stream, version)

    def checkpoint(self) -> bool:
        """Nothing is safe before the package is published."""
        return False

    def publish(self, *, check: bool = False, state: StateMove | None = None) -> Published:
        """Put the package in its place, or what came into the one that is there.

        Args:
            check: whether what came must be valid by its own schema (see
                [`validation`][flow_singer.datapackage.validation]).
            state: the bookmark that moves with the rows; None keeps those that the package has.

        Raises:
            DataError: no stream has any column, so that there is nothing to publish; or what came is not valid.
            ConfigError: it cannot be checked; meanwhile something else has come to its place, or what came does not go with what is there.
            TargetError: the package cannot be written.
            BusyError: another process has been publishing there for too long, or has moved the same bookmark.
        """
        if check and not self._format.is_text:
            raise ConfigError(
                f"--check reads CSV and JSON Lines, and {self.path} holds {self._format.name}. Nothing was published.",
                "Leave it out.",
            )
        self._draft.check_partitions()
        with self._writing():
            new = self._draft.finish()
            if new:
                write_durably(self.partial / DESCRIPTOR, self._text(new, {}, whole=self.former is None))
            fsync_folder(self.partial / "data")
            if check and new:
                check_package(self.partial)
            text = self._put(new, state) if self._mode == "replace" else self._grow(new, state)
        self._done = True
        self._building.remove()
        remove_leftovers(self.path.parent, f".{self.path.name}")
        records = {one.resource["flow:stream"]: one.resource["flow:records"] for one in new}
        return Published(self.path, msgspec.json.decode(text), records)

    def _put(self, new: list[NewRows], state: StateMove | None) -> bytes:
        text = self._text(new, {} if state is None else state.applied(None))
        write_durably(self.partial / DESCRIPTOR, text)
        fsync_folder(self.partial)
        self._place.put(self.partial)
        return text

    def _grow(self, new: list[NewRows], state: StateMove | None) -> bytes:
        joiner = Joiner(self._mode, self._format, self._csv_null, self.partial, self._say)
        text = b""

        def change(former: FormerPackage | None) -> Change:
            nonlocal text
            states = former.states if former else {}
            states = states if state is None else state.applied(former)
            if former is None:
                text = self._text(new, states)
                return Change(text, (), ())
            growth = joiner.join(former, new)
            resources = related(growth.resources, self._foreign_keys)
            text = self._as_text(grown_descriptor(former.descriptor, self.run, resources, states))
            return Change(text, growth.added, growth.gone)

        self._place.grow(self.partial, change)
        return text

    def _text(self, new: list[NewRows], states: Mapping[str, bytes], *, whole: bool = True) -> bytes:
        """The descriptor of what came alone; `whole` where it is to be that of the package."""
        if not new:
            raise DataError(
                f"No stream came, so there is no package to write at {self.path}.",
                "A Data Package has at least one stream; is anything selected in the tap?",
            )
        resources = [one.resource for one in new]
        return self._as_text(
            package_descriptor(
                name=slug(self.path.stem if self._place.is_zip else self.path.name, default="package"),
                created=self._created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                run=self.run,
                resources=related(resources, self._foreign_keys) if whole else resources,
                states=states,
            ),
            whole=whole,
        )

    def _as_text(self, descriptor: dict[str, Any], *, whole: bool = True) -> bytes:
        if self._own is not None:
            descriptor = self._own.laid_over(descriptor, whole=whole)
        return msgspec.json.format(msgspec.json.encode(descriptor), indent=2) + b"\n"

    def abandon(self) -> None:
        """Publish nothing; what was written stays beside, as `.NAME.partial-PID`, unless there is none."""
        self._done = True
        self._draft.close()
        if self._draft.has_rows:
            self._building.release()
        else:
            self._building.remove()

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
