"""A column of nested values that stays JSON text until somebody looks into it.

Most functions never touch most nested columns: their cells are filtered, sorted and joined as text, and leave
as the text they came with. To a function the column holds dicts and lists, like one of dtype object; the
first look decodes it whole.

Source: pandas, "Extension types".
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from typing import Any, Self

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionArray, ExtensionDtype, register_extension_dtype
from pandas.api.indexers import check_array_indexer
from pandas.core.strings.object_array import ObjectStringArrayMixin  # type: ignore[import-not-found]

from flow_singer.tabular.jsonvalues import decode_texts, object_array
from flow_singer.tabular.plainvalues import is_missing
from flow_singer.tabular.textarrays import TEXT


@register_extension_dtype
class JsonDtype(ExtensionDtype):
    """The dtype of [`JsonArray`][flow_singer.tabular.nested.JsonArray]: `json`."""

    name = "json"
    type = object
    # Of all kinds only those of text may use the .str accessor, with which users reach into dicts and lists
    # of object columns: df["user"].str["login"].
    kind = "U"
    na_value = None

    @classmethod
    def construct_array_type(cls) -> builtins.type[JsonArray]:
        """The array of this dtype."""
        return JsonArray


class JsonArray(ExtensionArray, ObjectStringArrayMixin):  # type: ignore[misc]
    """Nested values, decoded when they are first looked at.

    Args:
        texts: JSON text of n cells; null for a missing one.
        cells: the same n cells decoded, where they are.
    """

    _str_na_value = None
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, texts: pa.Array, cells: np.ndarray | None = None) -> None:
        self._texts = texts
        self._cells = cells

    @property
    def texts(self) -> pa.Array:
        """JSON text of each cell as it came; says nothing of what was changed since."""
        return self._texts

    @property
    def is_untouched(self) -> bool:
        """Whether nobody has looked, so that the texts are the cells."""
        return self._cells is None

    @property
    def objects(self) -> np.ndarray:
        """The cells as Python objects, shape (n,)."""
        if self._cells is None:
            self._cells = object_array(decode_texts(self._texts))
        return self._cells

    @classmethod
    def _from_sequence(cls, scalars: Sequence[Any], *, dtype: object = None, copy: bool = False) -> Self:
        if isinstance(scalars, cls):
            return scalars.copy() if copy else scalars
        cells = object_array([None if is_missing(cell) else cell for cell in scalars])
        return cls(pa.array([None if cell is None else _text_of(cell) for cell in cells], TEXT), cells)

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence[Self]) -> Self:
        cells = None
        if not all(part.is_untouched for part in to_concat):
            cells = np.concatenate([part.objects for part in to_concat])
        return cls(pa.concat_arrays([part.texts for part in to_concat]), cells)

    @property
    def dtype(self) -> JsonDtype:
        """`json`."""
        return JsonDtype()

    @property
    def nbytes(self) -> int:
        """Bytes of the texts."""
        return int(self._texts.nbytes)

    def __len__(self) -> int:
        return len(self._texts)

    def __getitem__(self, item: Any) -> Any:
        if isinstance(item, int | np.integer):
            return self.objects[item]
        item = check_array_indexer(self, item)
        if isinstance(item, slice):
            rows = np.arange(len(self))[item]
        else:
            rows = np.flatnonzero(item) if item.dtype == bool else item
        return self._at(rows)

    def __setitem__(self, key: Any, value: Any) -> None:
        key = check_array_indexer(self, key)
        if is_missing(value):
            value = None
        if isinstance(value, dict | list) and not isinstance(key, int | np.integer):
            for row in np.arange(len(self))[key]:
                self.objects[row] = value
            return
        self.objects[key] = value

    def __eq__(self, other: object) -> Any:
        if isinstance(other, pd.Series | pd.Index | pd.DataFrame):
            return NotImplemented
        if isinstance(other, dict | list) and len(other) != len(self):
            return np.array([cell == other for cell in self.objects], dtype=bool)
        others = other.objects if isinstance(other, JsonArray) else other
        if isinstance(others, np.ndarray | list):
            return np.array([a == b for a, b in zip(self.objects, others, strict=True)], dtype=bool)
        return np.array([cell == other for cell in self.objects], dtype=bool)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        cells = self.objects
        return cells.astype(dtype) if dtype is not None else cells.copy() if copy else cells

    def isna(self) -> np.ndarray:
        """Where a cell is missing."""
        if self._cells is not None:
            return np.array([cell is None for cell in self._cells], dtype=bool)
        return np.asarray(self._texts.is_null().to_numpy(zero_copy_only=False))

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> Self:
        """The cells at `indices`; with `allow_fill`, -1 is a missing one."""
        rows = np.asarray(indices, dtype="int64")
        if not allow_fill:
            return self._at(np.where(rows < 0, rows + len(self), rows))
        if (rows < -1).any():
            raise ValueError("an index below -1")
        if len(self) == 0 and (rows >= 0).any():
            raise IndexError("cannot do a non-empty take from an empty axes.")
        missing = rows < 0
        texts = self._texts.take(pa.array(rows, pa.int64(), mask=missing))
        cells = None
        if self._cells is not None:
            cells = np.empty(len(rows), dtype=object)
            cells[~missing] = self._cells[rows[~missing]]
        return type(self)(texts, cells)

    def copy(self) -> Self:
        """A copy; the objects inside are shared, as those of an object column are."""
        return type(self)(self._texts, None if self._cells is None else self._cells.copy())

    def value_counts(self, dropna: bool = True) -> pd.Series[int]:
        """As for a column of dtype object: dicts and lists cannot be counted."""
        return pd.Series(self.objects, dtype=object).value_counts(dropna=dropna)

    def _explode(self) -> tuple[np.ndarray, np.ndarray]:
        """For DataFrame.explode: the items of each list in order, and how many each cell gives."""
        items: list[Any] = []
        counts = np.ones(len(self), dtype="uint64")
        for row, cell in enumerate(self.objects):
            if isinstance(cell, list):
                items += cell or [None]
                counts[row] = len(cell) or 1
            else:
                items.append(cell)
        return object_array(items), counts

    def _at(self, rows: np.ndarray) -> Self:
        cells = None if self._cells is None else self._cells[rows]
        return type(self)(self._texts.take(pa.array(rows, pa.int64())), cells)

    def _formatter(self, boxed: bool = False) -> Any:
        return str

    def _str_map(self, *args: Any, **kwargs: Any) -> Any:
        strings: Any = pd.Series(self.objects, dtype=object).array
        return strings._str_map(*args, **kwargs)


_encoder = msgspec.json.Encoder(decimal_format="number")


def _text_of(cell: Any) -> str | None:
    """JSON of a cell, by which only its size and whether it is missing are known: it is written from the object."""
    try:
        return _encoder.encode(cell).decode()
    except (TypeError, UnicodeEncodeError, OverflowError, ValueError):
        return "0"
