"""Which file of its stream each row goes to."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.datapackage.names import slug, with_digest
from flow_singer.datapackage.partitionby import PartitionBy, Unit
from flow_singer.datapackage.textcells import plain_texts
from flow_singer.errors import ConfigError
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Batch, Column
from flow_singer.tabular.textarrays import TEXT

_CHARACTERS: dict[Unit, int] = {"year": 4, "month": 7, "day": 10, "hour": 13}
"""How much of an ISO 8601 time names its unit."""

EARLIER = "earlier"
"""Stands for all former runs, where their rows had to be written again."""
NO_VALUE, NO_TIME = "null", "other"
MAX_PARTITIONS = 5_000


class PartitionLog:
    """The partition of each row, in the order of rows; 4 bytes a row, in a file.

    Args:
        by: what decides.
        path: the file that it goes to.
        run: what stands for the run.

    Attributes:
        run: what stands for the run of the rows that come next.
        values: the partitions that there are.
    """

    def __init__(self, by: PartitionBy, path: Path, run: str) -> None:
        self.by, self.run = by, run
        self.values: list[str] = []
        self._path = path
        self._file = path.open("xb")
        self._numbers: dict[str, int] = {}

    def append(self, batch: Batch, columns: Mapping[str, Property]) -> None:
        """Note the partitions of a batch.

        Args:
            batch: the next rows.
            columns: what the stream's columns hold.

        Raises:
            ConfigError: these are far too many.
        """
        if self.by.column is None:
            numbers = np.full(batch.count, self._number(self.run, batch.schema.stream), dtype=np.int32)
        else:
            encoded = self._texts(batch, columns).dictionary_encode()
            known = [self._number(text, batch.schema.stream) for text in encoded.dictionary.to_pylist()]
            numbers = np.array(known, dtype=np.int32)[encoded.indices.to_numpy()]
        self._file.write(numbers.tobytes())

    def numbers(self) -> npt.NDArray[np.int32]:
        """The position of each row's partition in `values`."""
        self._file.flush()
        if not self._path.stat().st_size:
            return np.zeros(0, dtype=np.int32)
        return np.memmap(self._path, dtype=np.int32, mode="r")

    def close(self) -> None:
        """Forget everything."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _texts(self, batch: Batch, columns: Mapping[str, Property]) -> pa.Array:
        name = self.by.column or ""
        column = batch.columns.get(name) or batch.undeclared.get(name)
        one = batch.schema.properties.get(name) or columns.get(name)
        if column is None or one is None:
            return pa.array([NO_VALUE] * batch.count, TEXT)
        texts = plain_texts(one, column)
        if self.by.unit != "value":
            texts = _times(texts, column, _CHARACTERS[self.by.unit])
        return texts.fill_null(NO_VALUE)

    def _number(self, text: str, stream: str) -> int:
        number = self._numbers.get(text)
        if number is None:
            number = self._numbers[text] = len(self.values)
            self.values.append(text)
            if number == MAX_PARTITIONS:
                raise ConfigError(
                    f"--partition-by {self.by} makes more than {MAX_PARTITIONS} files of stream '{stream}'.",
                    "Name a column with fewer values, or a longer unit: COLUMN:month. Nothing was published.",
                )
        return number


def partition_stems(values: Sequence[str]) -> list[str]:
    """The part of a file's name that says its partition: slugs, each of its own."""
    stems: list[str] = []
    taken: set[str] = set()
    for value in values:
        stem = slug(value, default="value")
        if stem in taken:
            stem = with_digest(value, stem)
        taken.add(stem)
        stems.append(stem)
    return stems


_ISO = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:|$)"
_WITH_OFFSET = r"[+-][0-9]{2}:?[0-9]{2}$"


def _times(texts: pa.Array, column: Column, characters: int) -> pa.Array:
    """The beginnings of times, in UTC; `other` where a text is no time."""
    if column.as_json:  # some of these are no texts
        texts = pc.if_else(pc.starts_with(column.values, '"'), texts, pa.scalar("", TEXT))
    offset = pc.and_(pc.match_substring_regex(texts, _WITH_OFFSET), pc.match_substring(texts, ":"))
    if pc.any(offset, min_count=0).as_py():
        moved = pa.array([_in_utc(text) for text in texts.filter(offset.fill_null(False)).to_pylist()], TEXT)
        texts = pc.replace_with_mask(texts, offset.fill_null(False), moved)
    begun = pc.replace_substring(pc.utf8_slice_codeunits(texts, 0, characters), " ", "T")
    if characters == _CHARACTERS["hour"]:
        begun = pc.if_else(
            pc.equal(pc.binary_length(begun), _CHARACTERS["day"]),
            pc.binary_join_element_wise(begun, pa.scalar("T00", TEXT), pa.scalar("", TEXT)),
            begun,
        )
    is_time = pc.match_substring_regex(texts, _ISO)
    return pc.if_else(is_time, begun, pa.scalar(NO_TIME, TEXT))


def _in_utc(text: str) -> str:
    try:
        return datetime.fromisoformat(re.sub("[zZ]$", "+00:00", text)).astimezone(UTC).isoformat()
    except (ValueError, OverflowError):
        return ""
