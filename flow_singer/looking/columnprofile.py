"""What there is in a column: how many values, which, and how they are spread. Exact where that is cheap, and said where not."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.looking.sketches import DistinctSketch, QuantileSketch, spread
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column, json_texts
from flow_singer.tabular.textarrays import TEXT

_EXACT = 10_000
"""So many different values are counted exactly."""
_KEPT = 2_000
"""So many are counted on where there are more."""
_COMMON = 10
_LONGEST = 200
_BINS = 20
_QUANTILES = (5, 25, 50, 75, 95)
_NUMBERS = frozenset({"integer", "number", "decimal", "decimal-text"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ColumnProfile:
    """One column.

    Args:
        one: its property.
    """

    def __init__(self, one: Property) -> None:
        self._one = one
        self._values = self._nulls = 0
        self._counts: Counter[str] | None = Counter()
        self._is_counted = True
        self._distinct = DistinctSketch()
        self._spread = QuantileSketch()
        self._extremes: dict[str, tuple[Any, str]] = {}
        self._lengths = QuantileSketch(exact=0) if one.kind == "string" else None
        self._is_whole = True

    def take(self, column: Column) -> None:
        """Take the cells of the next records."""
        present = column.values.is_valid()
        values = column.values.filter(present)
        self._values += len(values)
        self._nulls += len(column.values) - len(values)
        if not len(values):
            return
        column = Column(values, column.as_json)
        texts = shown_texts(column)
        self._count(texts, column)
        if self._one.kind in _NUMBERS:
            self._take_numbers(texts)
        elif self._one.kind in ("date", "date-time") and not column.as_json:
            self._take_times(texts)
        if self._lengths is not None:
            self._lengths.take(pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.float64))

    def skip(self, count: int) -> None:
        """Take records that lack the key."""
        self._nulls += count

    # ------------------------------------------------------------------ which values

    def _count(self, texts: pa.Array, column: Column) -> None:
        counted = pc.value_counts(texts)
        values = counted.field("values")
        self._distinct.take(_hashes(values, column))
        if self._counts is None:
            return
        for text, count in zip(values.to_pylist(), counted.field("counts").to_pylist(), strict=True):
            self._counts[_clipped(text)] += count
        if len(self._counts) > _EXACT:
            self._is_counted = False
            common = self._counts.most_common(_KEPT)
            # Keys and the like: no value is common.
            self._counts = None if common[0][1] == 1 else Counter(dict(common))

    # ------------------------------------------------------------------ how they are spread

    def _take_numbers(self, texts: pa.Array) -> None:
        try:
            floats = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
        except pa.ArrowInvalid:  # texts that are no numbers, of a column that should have them
            floats = np.array([_float(text) for text in texts.to_pylist()])
        finite = np.isfinite(floats)
        self._spread.take(floats[finite])
        for name, best in (("min", np.nanmin), ("max", np.nanmax)):
            if not finite.any():
                continue
            rows = np.flatnonzero(floats == best(floats[finite]))
            choose = min if name == "min" else max
            cells = [texts[row].as_py() for row in rows[:_EXACT].tolist()]
            self._extreme(name, *choose((Decimal(cell), cell) for cell in dict.fromkeys(cells)))

    def _take_times(self, texts: pa.Array) -> None:
        micros = _micros(texts)
        known = micros[~np.isnan(micros)]
        self._spread.take(known)
        for name, best in (("min", np.nanargmin), ("max", np.nanargmax)):
            if len(known):
                row = int(best(micros))
                self._extreme(name, micros[row], texts[row].as_py())

    def _extreme(self, name: str, value: Any, text: str) -> None:
        known = self._extremes.get(name)
        if known is None or (value < known[0] if name == "min" else value > known[0]):
            self._extremes[name] = (value, text)

    # ------------------------------------------------------------------ what is told

    def to_json(self) -> dict[str, Any]:
        """What was found; see the guide `show`."""
        common = [] if self._counts is None else self._counts.most_common(_COMMON)
        exact = len(self._counts) if self._counts is not None and self._is_counted else None
        return {
            "values": self._values,
            "nulls": self._nulls,
            "distinct": {
                "count": self._distinct.count() if exact is None else exact,
                "exact": exact is not None,
            },
            "min": self._extremes.get("min", (None, None))[1],
            "max": self._extremes.get("max", (None, None))[1],
            "mean": self._mean(),
            "quantiles": self._quantiles(),
            "quantiles_exact": self._spread.is_exact,
            "common": [{"value": value, "count": count} for value, count in common],
            "common_exact": self._is_counted,
            "lengths": self._length_facts(),
            "histogram": self._histogram(),
        }

    @property
    def _is_time(self) -> bool:
        return self._one.kind in ("date", "date-time")

    def _mean(self) -> float | None:
        spread = self._spread
        return spread.total / spread.count if spread.count and not self._is_time else None

    def _quantiles(self) -> dict[str, str] | None:
        if not self._spread.count:
            return None
        found = self._spread.quantiles(np.array(_QUANTILES) / 100)
        return {str(part): self._told(value) for part, value in zip(_QUANTILES, found.tolist(), strict=True)}

    def _histogram(self) -> dict[str, Any] | None:
        spread = self._spread
        if not spread.count or spread.low == spread.high:
            return None
        counts = spread.histogram(_BINS).tolist()
        kind = "time" if self._is_time else "number"
        return {
            "low": self._told(spread.low),
            "high": self._told(spread.high),
            "counts": counts,
            "kind": kind,
        }

    def _told(self, value: float) -> str:
        if not self._is_time:
            if value.is_integer():
                return repr(int(value)) if abs(value) < 2**53 else f"{value:.3g}"
            return repr(value)
        at = _EPOCH + timedelta(microseconds=round(value))
        if self._one.kind == "date":
            return at.date().isoformat()
        return at.isoformat().replace("+00:00", "Z")

    def _length_facts(self) -> dict[str, Any] | None:
        lengths = self._lengths
        if lengths is None or not lengths.count:
            return None
        return {"min": int(lengths.low), "max": int(lengths.high), "mean": lengths.total / lengths.count}


def shown_texts(column: Column) -> pa.Array:
    """Cells as a person reads them: texts without quotes, all else as JSON; null stays null."""
    if not column.as_json and column.values.type == TEXT:
        return column.values
    return json_texts(column)


def _hashes(values: pa.Array, column: Column) -> npt.NDArray[np.uint64]:
    if not column.as_json and column.values.type == pa.int64():
        return spread(values.cast(pa.int64()).to_numpy().view(np.uint64))
    plain = values.to_pylist()
    return spread(np.fromiter(map(hash, plain), np.int64, len(plain)).view(np.uint64))


def _clipped(text: str) -> str:
    """A text that can be kept thousands of times."""
    return (
        text
        if len(text) <= _LONGEST
        else f"{text[:_LONGEST]}… ({len(text)} characters, {hash(text) & 0xFFFFFF:06x})"
    )


def _float(text: str) -> float:
    try:
        return float(Decimal(text))
    except (InvalidOperation, ValueError, OverflowError):
        return float("nan")


def _micros(texts: pa.Array) -> npt.NDArray[np.float64]:
    """Microseconds since 1970, UTC; NaN where a text is no date or date-time."""
    try:
        stamps = texts.cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid:
        return np.array([_one_micros(text) for text in texts.to_pylist()])
    return np.asarray(stamps.cast(pa.int64()).to_numpy(zero_copy_only=False), dtype=np.float64)


def _one_micros(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return float("nan")
    if not isinstance(found, date):
        return float("nan")
    at = found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return (at - _EPOCH) / timedelta(microseconds=1)
