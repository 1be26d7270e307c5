"""A package that grows: what a run brought, as a package of its own, is joined to the one that stands there.

Where the rows of a stream have the columns and types of those that are there, they become a further file of its
resource, and no file is written again. Otherwise, and to replace rows by their key, the stream's files are read back
and become one with the new rows; the files of all other streams stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from flow_singer.datapackage.descriptor import resource_descriptor
from flow_singer.datapackage.formats import FORMATS, Format, format_said, open_file
from flow_singer.datapackage.formerpackage import FormerPackage, WriteMode, paths_of
from flow_singer.datapackage.formerresource import (
    appended,
    columns_of,
    extras_of,
    is_alike,
    renamed,
    schema_with_extras,
    stored_types,
)
from flow_singer.datapackage.names import column_name, slug, with_digest
from flow_singer.datapackage.partitionby import PartitionBy, partition_of
from flow_singer.datapackage.partitions import EARLIER, PartitionLog, partition_stems
from flow_singer.datapackage.streamtable import StreamTable
from flow_singer.datapackage.tablecolumn import TableColumn
from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.source import open_source
from flow_singer.singer.schema import StreamSchema


@dataclass(frozen=True)
class NewRows:
    """The rows of one stream that a run brought.

    Attributes:
        table: they were written by it; finished.
        resource: their resource in the run's own package.
        seed: the resource whose columns the table began with; None where it began with none.
    """

    table: StreamTable
    resource: dict[str, Any]
    seed: Mapping[str, Any] | None

    def built(self, folder: Path) -> list[tuple[Path, str | None]]:
        """Where its files lie in the run's own package, and the partition of each."""
        parts = zip(paths_of(self.resource), self.table.parts, strict=True)
        return [(folder / path, part.partition) for path, part in parts]


@dataclass
class Growth:
    """What makes of a package the grown one.

    Attributes:
        resources: of the grown package.
        added: files that are to be in it: where each was built, and its path in the package.
        gone: paths of files that are in it no more.
    """

    resources: list[dict[str, Any]]
    added: list[tuple[Path, str]] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class Joiner:
    """Joins what a run brought to a package.

    Args:
        mode: append or upsert.
        form: of the package's files.
        csv_null: what stands for null in CSV.
        folder: the run's own package, with its descriptor; what is written goes here.
        notice: called with what a person should hear.
    """

    def __init__(
        self,
        mode: WriteMode,
        form: Format,
        csv_null: str | None,
        folder: Path,
        notice: Callable[[str], None],
    ) -> None:
        self._mode, self._form, self._csv_null = mode, form, csv_null
        self._folder, self._notice = folder, notice

    def join(self, former: FormerPackage, streams: Sequence[NewRows]) -> Growth:
        """Work out the grown package; nothing of the former one is touched.

        Raises:
            ConfigError: they do not go together.
            DataError: the former rows cannot be read back.
        """
        growth = Growth([dict(one) for one in former.resources])
        for new in streams:
            check_format(former, self._form.name, self._csv_null)
            stream = new.table.schema.stream
            at = next((i for i, r in enumerate(growth.resources) if r.get("flow:stream") == stream), None)
            if at is None:
                growth.resources.append(self._first(growth, new))
            elif new.resource["flow:records"]:
                growth.resources[at] = self._grown(growth, former, growth.resources[at], new)
        return growth

    def _first(self, growth: Growth, new: NewRows) -> dict[str, Any]:
        """A stream that the package did not have."""
        stream = new.table.schema.stream
        names = {str(one.get("name")) for one in growth.resources}
        name = slug(stream)
        if name in names:
            name = with_digest(stream, name)
        paths = self._place(growth, new.built(self._folder), name, first=1)
        return renamed({**new.resource, "name": name}, paths)

    def _grown(
        self, growth: Growth, former: FormerPackage, old: dict[str, Any], new: NewRows
    ) -> dict[str, Any]:
        check_key(self._mode, former.path, old, new.table.schema.key_properties, self._notice)
        parts = paths_of(old)
        stem = self._form.stem(Path(parts[0])) if parts else slug(new.table.schema.stream)
        if self._mode == "append" and is_alike(old, new.resource, new.seed, self._form.kind):
            paths = self._place(growth, new.built(self._folder), str(old["name"]), first=len(parts) + 1)
            return appended(old, new.resource, paths)
        table = self._rewritten(former, old, new)
        built = [(part.path, part.partition) for part in table.parts]
        sizes = [path.stat().st_size for path, _ in built]
        paths = self._place(growth, built, str(old.get("name", stem)), first=1)
        growth.gone += parts
        made = resource_descriptor(
            table,
            name=str(old["name"]),
            paths=paths,
            sizes=sizes,
            form=self._form,
            csv_null=self._csv_null,
        )
        return {**made, **extras_of(old, made), "schema": schema_with_extras(old, made)}

    def _rewritten(self, former: FormerPackage, old: Mapping[str, Any], new: NewRows) -> StreamTable:
        """The former rows and the new ones, written anew."""
        stream = new.table.schema.stream
        built = self._folder / "data" / f"{old['name']}.joined.{self._form.extension}"
        own = new.table.partitions
        log = None if own is None else PartitionLog(own.by, built.with_name(built.name + ".parts"), EARLIER)
        is_upsert = self._mode == "upsert"
        table = StreamTable(
            new.table.schema,
            open_file(self._form, built, stream, csv_null=self._csv_null, stored=stored_types(old)),
            null_text=(self._csv_null or "") if self._form.kind == "csv" else None,
            notice=self._notice,
            columns=_united(columns_of(old), new.table.columns),
            keyed=is_upsert,
            tells_replaced=False,
            partitions=log,
        )
        try:
            self._copy(str(former.path), stream, table, hint=True)
            if log is not None and own is not None:
                log.run = own.run
            self._copy(str(self._folder), stream, table, hint=False)
            table.finish()
        except BaseException:
            table.discard()
            raise
        return table

    def _copy(self, place: str, stream: str, table: StreamTable, *, hint: bool) -> None:
        try:
            with open_source(place, notice=self._notice) as source:
                for batch in source.stream(stream).batches():
                    table.append(batch)
        except (DataError, ConfigError) as exc:
            if not hint:
                raise
            raise DataError(
                f"The rows that stream '{stream}' has in the package cannot be read back: {exc.message}",
                "Nothing was changed. Get the package again, or write it anew with --write-mode replace.",
            ) from exc

    def _place(
        self, growth: Growth, built: Sequence[tuple[Path, str | None]], name: str, *, first: int
    ) -> list[str]:
        """Paths for new files of a resource, in their order; the first one that has no partition gets this number."""
        stems = partition_stems([partition or "" for _, partition in built])
        paths = []
        for (path, partition), stem in zip(built, stems, strict=True):
            one = name if partition is None else f"{name}-{stem}"
            paths.append(self._free_path(growth, one, first if partition is None else 1))
            growth.added.append((path, paths[-1]))
        return paths

    def _free_path(self, growth: Growth, name: str, number: int) -> str:
        """The path of a further file: no resource has it, nor had one until now."""
        taken = {path for one in growth.resources for path in paths_of(one)} | set(growth.gone)
        taken |= {path for _, path in growth.added}
        while True:
            path = f"data/{name}.{self._form.extension}"
            if number > 1:
                path = f"data/{name}-{number}.{self._form.extension}"
            if path not in taken:
                return path
            number += 1


def check_format(former: FormerPackage, format_name: str, csv_null: str | None) -> None:
    """Make sure that new files are written as those of the package are.

    Raises:
        ConfigError: they are not.
    """
    found = former_format(former)
    if found is None:
        return
    has, null = found
    if has != format_name:
        raise ConfigError(
            f"{former.path} holds {has}, and what is to be added is {format_name}.",
            f"Add it as --format {has}, or write the package anew with --write-mode replace.",
        )
    if FORMATS[has].kind == "csv" and (csv_null or "") != (null or ""):
        raise ConfigError(
            f"In {former.path} null is {_spelt(null)}, and in what is to be added it is {_spelt(csv_null)}.",
            "Leave --csv-null out to have it as it is there, or write the package anew with --write-mode replace.",
        )


def former_format(former: FormerPackage) -> tuple[str, str | None] | None:
    """The format of a package's files, and what stands for null in CSV; None where it has no file."""
    for one in former.resources:
        schema = one.get("schema")
        if isinstance(schema, dict) and isinstance(one.get("format"), str):
            missing = schema.get("missingValues") or [""]
            return format_said(one), str(missing[0]) or None
    return None


def seed_of(
    mode: WriteMode, former: FormerPackage | None, schema: StreamSchema, notice: Callable[[str], None]
) -> dict[str, Any] | None:
    """The resource that a stream has already, whose columns a further file of it begins with.

    Raises:
        ConfigError: the stream's rows cannot be told apart, and they are to replace others.
    """
    if mode == "upsert" and not schema.key_properties:
        raise ConfigError(
            f"Stream '{schema.stream}' has no key, so that no row of it can replace another.",
            "Load it with --write-mode append, leave it out (--select), or give it a key: table-key-properties in "
            "meltano.yml, or key= in a transform.",
        )
    seed = None if former is None else former.resource_of(schema.stream)
    if former is not None and seed is not None:
        check_key(mode, former.path, seed, schema.key_properties, notice)
    return seed


def partitions_of_stream(
    mode: WriteMode,
    former: FormerPackage | None,
    asked: PartitionBy | None,
    schema: StreamSchema,
    seed: Mapping[str, Any] | None,
) -> PartitionBy | None:
    """What decides on the file of a stream's rows: what was asked, else what its resource has; None for nothing.

    Raises:
        ConfigError: rows would be added to files of another kind.
    """
    before = partition_of(seed)
    if asked is None:
        return before if before is not None and before.suits(schema) else None
    if not asked.suits(schema):
        return None
    if mode == "append" and former is not None and seed is not None and before != asked:
        raise ConfigError(
            f"Stream '{schema.stream}' in {former.path} is "
            f"{f'partitioned by {before}' if before else 'not partitioned'}, and what is to be added by {asked}.",
            "Leave --partition-by out to have it as it is there, or write the package anew with --write-mode replace.",
        )
    return asked


def check_key(
    mode: WriteMode,
    path: Path,
    old: Mapping[str, Any],
    key: Sequence[str],
    notice: Callable[[str], None],
) -> None:
    """Make sure that rows are told apart by the key that they had.

    Raises:
        ConfigError: a changed key cannot tell which rows are replaced.
    """
    before = list(old.get("flow:keyProperties") or [])
    if before == list(key):
        return
    stream = old.get("flow:stream")
    if mode == "upsert":
        raise ConfigError(
            f"The key of stream '{stream}' in {path} is {_key(before)}, and now it is {_key(key)}: nobody can tell "
            "which rows the new ones replace.",
            "Write the package anew with --write-mode replace, or give the stream its key of before "
            "(table-key-properties in the catalog).",
        )
    notice(
        f"stream '{stream}': its key was {_key(before)} and is {_key(key)} now; rows are added as they are."
    )


def _key(names: Sequence[str]) -> str:
    return ", ".join(names) or "none"


def _spelt(null: str | None) -> str:
    return f"'{null}'" if null else "an empty cell"


def _united(old: dict[str, TableColumn], new: Mapping[str, TableColumn]) -> dict[str, TableColumn]:
    """The columns of both, before a row of either is written."""
    for name, column in new.items():
        if name in old:
            was_declared = old[name].declared
            old[name].declare(column.source)
            old[name].declared = was_declared or column.declared
        else:
            taken = {one.name for one in old.values()}
            free = column.name if column.name not in taken else column_name(column.source.name, taken)
            old[name] = replace(column, name=free, stored_type=None, nulls=0, empties=0, like_null=0)
    return old
