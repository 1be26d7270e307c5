"""Writes a Data Package: built beside, made durable, and put in place by one rename."""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from flow_singer.datapackage.descriptor import RUN_PROPERTY, package_descriptor, resource_descriptor
from flow_singer.datapackage.formats import FORMATS, FormatName, open_file
from flow_singer.datapackage.names import slug
from flow_singer.datapackage.partials import partial_name, remove_leftovers
from flow_singer.datapackage.table import StreamTable
from flow_singer.errors import ConfigError, DataError, TargetError
from flow_singer.files import fsync_folder, publish_folder, recover_folder
from flow_singer.schema import StreamSchema
from flow_singer.tabular.batch import Batch

DESCRIPTOR = "datapackage.json"
_LITTER = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})


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

    Until [`publish`][] nothing at the package's place is touched; an earlier package is replaced whole.
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
        self.path = Path(os.path.realpath(target))  # unlike resolve(), gives symlinks in a circle back
        if not self.path.name or os.path.islink(self.path):
            raise ConfigError(f"There can be no Data Package at {target}.", "Name a folder of its own.")
        self.run: dict[str, str] = dict(run or {})
        self.notices: list[str] = []
        self._format = FORMATS[format]
        self._csv_null = csv_null if format == "csv" else None
        self._notice = notice
        self._tables: dict[str, StreamTable] = {}
        self._slugs: dict[str, str] = {}
        self._done = False
        self.partial = self.path.with_name(partial_name(f".{self.path.name}"))
        with self._writing():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self._zip:
                _check_zip(self.path)
            else:
                recover_folder(self.path)
                _check_folder(self.path)
            if self.partial.exists():  # of an earlier process with our number, or an earlier try in this one
                shutil.rmtree(self.partial)
            (self.partial / "data").mkdir(parents=True)

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
            name = slug(schema.stream, set(self._slugs.values()))
            self._slugs[schema.stream] = name
            path = self.partial / "data" / f"{name}.{self._format.extension}"
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

    def publish(self, check: Callable[[Path], None] | None = None) -> Published:
        """Put the package in its place.

        Args:
            check: called with the folder of the finished package before it is; what it raises keeps the
                package from its place.

        Raises:
            DataError: no stream has any column, so that there is nothing to publish.
            TargetError: the package cannot be written.
        """
        with self._writing():
            resources = [resource for table in self._tables.values() if (resource := self._finish(table))]
            if not resources:
                raise DataError(
                    f"No stream came, so there is no package to write at {self.path}.",
                    "A Data Package has at least one stream; is anything selected in the tap?",
                )
            descriptor = package_descriptor(
                name=slug(self.path.stem if self._zip else self.path.name, default="package"),
                created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                run=self.run,
                resources=resources,
            )
            _write(self.partial / DESCRIPTOR, msgspec.json.format(msgspec.json.encode(descriptor), indent=2))
            fsync_folder(self.partial / "data")
            fsync_folder(self.partial)
            if check is not None:
                check(self.partial)
            self._put_in_place()
        self._done = True
        remove_leftovers(self.path.parent, f".{self.path.name}")
        records = {r["flow:stream"]: r["flow:records"] for r in resources}
        return Published(self.path, descriptor, records)

    def abandon(self) -> None:
        """Publish nothing; what was written stays beside, as `.NAME.partial-PID`, unless there is none."""
        self._done = True
        for table in self._tables.values():
            with contextlib.suppress(OSError):
                table.close()
        if not any(table.rows for table in self._tables.values()):
            shutil.rmtree(self.partial, ignore_errors=True)

    @property
    def _zip(self) -> bool:
        return self.path.suffix.lower() == ".zip"

    def _finish(self, table: StreamTable) -> dict[str, Any] | None:
        stream = table.schema.stream
        if not table.columns:
            self._say(f"stream '{stream}' is left out: its SCHEMA has no properties, and it had no records.")
            table.close()
            for path in (self.partial / "data").glob(f"{table.file.path.name}*"):
                path.unlink()
            return None
        table.finish()
        path = table.file.path
        return resource_descriptor(
            table,
            name=self._slugs[stream],
            path=f"data/{path.name}",
            form=self._format,
            size_bytes=path.stat().st_size,
            sha256=table.file.sha256,
            csv_null=self._csv_null,
        )

    def _put_in_place(self) -> None:
        if not self._zip:
            _check_folder(self.path)
            publish_folder(self.partial, self.path)
            return
        packed = self.partial.with_name(self.partial.name + ".zip")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in [self.partial / DESCRIPTOR, *sorted((self.partial / "data").iterdir())]:
                archive.write(path, path.relative_to(self.partial).as_posix())
        with packed.open("rb") as file:
            os.fsync(file.fileno())
        _check_zip(self.path)
        os.replace(packed, self.path)
        fsync_folder(self.path.parent)
        shutil.rmtree(self.partial)

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


def _check_folder(folder: Path) -> None:
    """Refuse to replace what Flow did not write.

    Raises:
        ConfigError: `folder` is a file, or holds anything but a package that Flow wrote.
    """
    if not folder.exists():
        return
    if not folder.is_dir():
        raise ConfigError(f"{folder} is a file; a Data Package needs a folder, or a name that ends in .zip.")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    found = {path for path in found if path.rpartition("/")[2] not in _LITTER}
    if not found:
        return
    text = (folder / DESCRIPTOR).read_bytes() if DESCRIPTOR in found else b""
    foreign = found - _own_files(text)
    if foreign:
        raise _refusal(folder, f"it holds {', '.join(sorted(foreign)[:3])}")


def _check_zip(path: Path) -> None:
    if not path.exists():
        return
    if not path.is_file():  # a pipe would be waited for
        raise _refusal(path, "it is no zip file")
    try:
        with zipfile.ZipFile(path) as archive:
            found = {name for name in archive.namelist() if not name.endswith("/")}
            text = archive.read(DESCRIPTOR) if DESCRIPTOR in found else b""
    except (zipfile.BadZipFile, IsADirectoryError):
        raise _refusal(path, "it is no zip file") from None
    foreign = found - _own_files(text)
    if foreign:
        raise _refusal(path, f"it holds {', '.join(sorted(foreign)[:3])}")


def _own_files(descriptor: bytes) -> set[str]:
    """The files of a package that Flow wrote; none where the descriptor is not Flow's."""
    try:
        package = msgspec.json.decode(descriptor)
    except msgspec.DecodeError:
        return set()
    if not isinstance(package, dict) or RUN_PROPERTY not in package:
        return set()
    resources = [one for one in package.get("resources") or () if isinstance(one, dict)]
    return {DESCRIPTOR, *(str(one.get("path")) for one in resources)}


def _refusal(path: Path, reason: str) -> ConfigError:
    return ConfigError(
        f"{path} is not replaced: {reason}, which is not of a package that Flow wrote.",
        "Name another folder, or move what is there.",
    )


def _write(path: Path, data: bytes) -> None:
    with path.open("xb") as file:
        file.write(data)
        file.write(b"\n")
        file.flush()
        os.fsync(file.fileno())
