"""What a file of rows is asked to do, whatever its format."""

from __future__ import annotations

from collections.abc import Sequence
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
    """

    field_type: str | None
    stored: str
    instead_of: str | None


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
        self, names: Sequence[str], properties: Sequence[Property], keep: npt.NDArray[np.bool_] | None
    ) -> dict[str, Held]:
        """End the file; return what it says of its columns, by their names."""

    @property
    def sha256(self) -> str:
        """Hex digest of the ended file."""

    def close(self) -> None:
        """Let go of the file where it is."""
