"""What a file of rows is asked to do, whatever its format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column


class Held(NamedTuple):
    """What a file says of a column when it has ended.

    Attributes:
        field_type: its Table Schema type, where that differs from what its property says.
        stored: the format's own type, where it has types.
        instead_of: the format's own type that its property has, where some value did not fit it.
        note: what else a person should hear.
    """

    field_type: str | None
    stored: str | None
    instead_of: str | None = None
    note: str | None = None


@dataclass(frozen=True)
class Split:
    """The files that rows are spread over.

    Attributes:
        paths: each gets at least one row that stays.
        numbers: for each row, which of them it goes to; of a row that does not stay, any number.
    """

    paths: Sequence[Path]
    numbers: npt.NDArray[np.int32]


def rows_by_file(
    numbers: npt.NDArray[np.int32], count: int, keep: npt.NDArray[np.bool_] | None
) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """The rows of a chunk that go to each of the files from 0 to `count`, in their order.

    Args:
        numbers: of the file of each row; those of other files are left out.
        count: how many files there are.
        keep: which rows stay; None keeps all.
    """
    mine = (numbers >= 0) & (numbers < count)
    if keep is not None:
        mine &= keep
    rows = np.flatnonzero(mine)
    if not len(rows):
        return
    rows = rows[np.argsort(numbers[rows], kind="stable")]
    starts = np.flatnonzero(np.diff(numbers[rows], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(rows)], strict=True):
        yield int(numbers[rows[start]]), rows[start:stop]


class RowFile(Protocol):
    """A file of rows in one format; see [`TextFile`][flow_singer.datapackage.textfile.TextFile]."""

    path: Path
    decides: frozenset[str]
    """Table Schema types that `finish` decides on; for all others the values are looked at as they come."""

    def append(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]], count: int
    ) -> None:
        """Write `count` rows."""

    def finish(
        self,
        names: Sequence[str],
        properties: Sequence[Property],
        keep: npt.NDArray[np.bool_] | None,
        split: Split | None = None,
    ) -> dict[str, Held]:
        """End the file, or spread it over several; return what it says of its columns, by their names."""

    @property
    def digests(self) -> list[str]:
        """Hex SHA-256 of the ended file, or of each of those that it was spread over."""

    def close(self) -> None:
        """Let go of the file where it is."""
