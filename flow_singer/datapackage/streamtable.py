"""One stream on its way into a file: the union of its columns, its keys and versions, what its values are."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flow_singer.datapackage.names import column_name
from flow_singer.datapackage.partitions import EARLIER, PartitionLog, partition_stems
from flow_singer.datapackage.rowfile import RowFile, Split
from flow_singer.datapackage.rowkeys import KeyLog, VersionLog
from flow_singer.datapackage.tablecolumn import TableColumn
from flow_singer.errors import RecordError
from flow_singer.singer.schema import Property, StreamSchema, read_property
from flow_singer.tabular.batch import Batch, Column, json_texts
from flow_singer.wording import count_of


@dataclass(frozen=True)
class FilePart:
    """One file of a finished stream.

    Attributes:
        path: where it was written.
        sha256: its hex digest.
        rows: how many it has.
        partition: what its rows have in common; None where nothing.
    """

    path: Path
    sha256: str
    rows: int
    partition: str | None = None


class StreamTable:
    """Writes the batches of one stream to a file.

    Args:
        schema: the first SCHEMA of the stream.
        file: takes the rows.
        null_text: the text that stands for null; None where the format has a null of its own.
        notice: called with what a person should hear, once each.
        columns: those that the file begins with, by property: what other files of the stream have.
        keyed: whether of several rows with one key only the last one stays.
        tells_replaced: whether it is told how many rows do not.
        partitions: takes note of the partition of each row; None where the file stays one.

    Attributes:
        parts: its files, once it is finished.
    """

    def __init__(
        self,
        schema: StreamSchema,
        file: RowFile,
        *,
        null_text: str | None = None,
        notice: Callable[[str], None],
        columns: Mapping[str, TableColumn] | None = None,
        keyed: bool = True,
        tells_replaced: bool = True,
        partitions: PartitionLog | None = None,
    ) -> None:
        self.schema = schema
        self.file = file
        self.columns: dict[str, TableColumn] = dict(columns or {})
        self.rows = 0
        self.dropped = 0
        self.parts: list[FilePart] = []
        self.partitions = partitions
        self._null_text = null_text
        self._notice = notice
        self._keyed, self._tells_replaced = keyed, tells_replaced
        self._keys: KeyLog | None = None
        self._key_changed = False
        self._versions = VersionLog()
        self.extend(schema)

    def extend(self, schema: StreamSchema) -> None:
        """Take a SCHEMA: add its columns, widen those that it declares otherwise."""
        if schema.key_properties != self.schema.key_properties:
            self._key_changed = True
            self._notice(
                f"stream '{schema.stream}': key_properties changed from {self.schema.key_properties} to "
                f"{schema.key_properties} midway; rows under one key do not replace those under the other."
            )
        if schema.key_properties and self._keys is None and self._keyed:
            self._keys = KeyLog(self.file.path.with_name(self.file.path.name + ".keys"), self.rows)
        self.schema = schema
        for one in schema.properties.values():
            column = self.columns.get(one.name)
            if column is None:
                self._add(one, declared=True)
            else:
                column.declare(one)

    def append(self, batch: Batch) -> None:
        """Write a batch.

        Raises:
            RecordError: a record lacks its key, or a text that the format has no place for.
        """
        for name, undeclared in batch.undeclared.items():
            if name in self.columns:
                if undeclared.values.null_count < batch.count:
                    self._allow_any(self.columns[name])
            else:
                self._notice(
                    f"stream '{self.schema.stream}': records have '{name}', which the SCHEMA does not "
                    "declare; it is written as a column of any type."
                )
                self._add(read_property(name, {}), declared=False)
        cells = []
        for name, column in self.columns.items():
            carrier = batch.columns.get(name) or batch.undeclared.get(name)
            # A carrier is read by the SCHEMA that it came under, not by what the column became.
            one = batch.schema.properties.get(name, column.source)
            if carrier is not None and column.source.kind == "json" != one.kind:
                one, carrier = column.source, Column(json_texts(carrier), as_json=True)
            told = column.learn(
                one, carrier, batch.count, decides=self.file.decides, null_text=self._null_text
            )
            self._tell(column, told)
            cells.append((one, carrier))
        if self._keys is not None:
            self._keys.append(batch)
        self._versions.append(batch)
        if self.partitions is not None:
            self.partitions.append(batch, {name: one.source for name, one in self.columns.items()})
        self.file.append([column.name for column in self.columns.values()], cells, batch.count)
        self.rows += batch.count

    def activate_version(self, version: int) -> None:
        """Drop the rows of older versions, at the end."""
        self._versions.activated = version

    def finish(self) -> None:
        """End the file."""
        keep = np.ones(self.rows, dtype=np.bool_)
        self._versions.mark_replaced(keep)
        if self._keys is not None:
            self._keys.mark_superseded(keep)
            self._keys.close()
        kept = int(np.count_nonzero(keep))
        self.dropped = self.rows - kept
        columns = list(self.columns.values())
        values, split = self._split(keep)
        ended = self.file.finish(
            [column.name for column in columns],
            [column.source for column in columns],
            keep if self.dropped else None,
            split,
        )
        if split is None:
            self.parts = [FilePart(self.file.path, self.file.digests[0], kept, *values[:1])]
        else:
            rows = np.bincount(split.numbers[keep], minlength=len(values)).tolist()
            parts = zip(split.paths, self.file.digests, rows, values, strict=True)
            self.parts = [FilePart(*one) for one in parts]
        if self.partitions is not None:
            self.partitions.close()
        self.rows = kept
        if self.dropped and self._tells_replaced:
            self._notice(
                f"stream '{self.schema.stream}': {count_of(self.dropped, 'row was', 'rows were')} replaced by later rows of the "
                "same key, or by another version."
            )
        for column in columns:
            self._tell(column, column.ambiguity(self._null_text))
            if (held := ended.get(column.name)) is not None:
                self._tell(column, column.end(held))

    def _split(self, keep: npt.NDArray[np.bool_]) -> tuple[list[str], Split | None]:
        """The partitions that have rows, in order, and how the rows are spread over them where they are several."""
        if self.partitions is None:
            return [], None
        numbers = self.partitions.numbers()
        used = np.unique(numbers[keep])
        values = [self.partitions.values[number] for number in used]
        order = sorted(range(len(values)), key=lambda at: (values[at] != EARLIER, values[at]))
        values = [values[at] for at in order]
        if len(values) < 2:
            return values, None
        places = np.full(len(self.partitions.values), -1, dtype=np.int32)
        places[used[order]] = np.arange(len(values))
        path = self.file.path
        paths = [path.with_name(f"{path.name}.{stem}.part") for stem in partition_stems(values)]
        return values, Split(paths, places[numbers])

    def close(self) -> None:
        """Let go of the files where they are."""
        self.file.close()
        if self._keys is not None:
            self._keys.close()
        if self.partitions is not None:
            self.partitions.close()

    def discard(self) -> None:
        """Remove the file, and what stands beside it while it is written."""
        self.close()
        beside = self.file.path
        for suffix in ("", ".lengths", ".columns", ".new"):
            beside.with_name(beside.name + suffix).unlink(missing_ok=True)

    @property
    def primary_key(self) -> list[str]:
        """Names of the key columns; empty where a key may stand in several rows."""
        return self.key_columns if self._keyed else []

    @property
    def key_columns(self) -> list[str]:
        """Names of the key columns; empty where rows have no key, or not one key."""
        names = self.schema.key_properties
        if self._key_changed or not all(name in self.columns for name in names):
            return []
        return [self.columns[name].name for name in names]

    def _add(self, one: Property, *, declared: bool) -> None:
        if _SURROGATE.search(one.name):
            raise RecordError(
                f"Stream '{self.schema.stream}' has records with the key {one.name!a}, whose lone surrogate is "
                "not Unicode and cannot be the name of a column.",
                "Rename it in a transform.",
            )
        taken = {column.name for column in self.columns.values()} | self.schema.properties.keys() - {one.name}
        name = column_name(one.name, taken)
        self.columns[one.name] = TableColumn.of(one, name, declared=declared, rows=self.rows)

    def _allow_any(self, column: TableColumn) -> None:
        """An earlier SCHEMA declared the column, this one does not: its values may be of any type."""
        if column.source.kind == "json":
            return
        self._notice(
            f"stream '{self.schema.stream}': records have '{column.source.name}', which the SCHEMA no longer "
            "declares; its column becomes one of any type."
        )
        column.allow_any()

    def _tell(self, column: TableColumn, text: str | None) -> None:
        if text is not None:
            self._notice(f"stream '{self.schema.stream}', column '{column.name}': {text}")


_SURROGATE = re.compile("[\ud800-\udfff]")
