"""The type of a column of CSV, from all of its cells.

A cell stays what it is: `007` and `+49 30 …` are texts, as a number would not give them back.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.reading.readsettings import ReadSettings
from flow_singer.tabular.textarrays import TEXT

NULL_WORDS = ("NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN", "-", "--", "#N/A", "?")
"""Texts that stand for null in a column whose other cells are numbers, dates or booleans."""

_ENOUGH = 4
"""So many cells in a column make one that is of another type at its end odd."""

_INTEGER = r"^-?(0|[1-9]\d*)$"
_POINT = r"^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$"
_POINT_GROUPED = r"^-?([1-9]\d{0,2}(,\d{3})+|0|[1-9]\d*)(\.\d+)?$"
_COMMA = r"^-?(0|[1-9]\d*)(,\d+)?$"
_COMMA_GROUPED = r"^-?([1-9]\d{0,2}(\.\d{3})+|0|[1-9]\d*)(,\d+)?$"
_THOUSANDS = r"^-?([1-9]\d{0,2},\d{3}|0|[1-9]\d{0,2})$"
_BOOLEAN = r"^(true|false|True|False|TRUE|FALSE)$"
_ISO_DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
_ISO_STAMP = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[T ]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?$"
_DOTTED = r"^(0?[1-9]|[12]\d|3[01])\.(0?[1-9]|1[0-2])\.\d{4}$"
_SLASHED = r"^(0?[1-9]|[12]\d|3[01])/(0?[1-9]|[12]\d|3[01])/\d{4}$"

_PATTERNS: Mapping[str, str] = {
    "integer": _INTEGER,
    "number": _POINT,
    "number,": _COMMA,
    "number grouped": _POINT_GROUPED,
    "number, grouped": _COMMA_GROUPED,
    "boolean": _BOOLEAN,
    "date": _ISO_DATE,
    "datetime": _ISO_STAMP,
    "date dotted": _DOTTED,
    "date slashed": _SLASHED,
}
"""What a column may be, the best first."""

_FIELDS: Mapping[str, dict[str, Any]] = {
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "number,": {"type": "number", "decimalChar": ","},
    "number grouped": {"type": "number", "groupChar": ","},
    "number, grouped": {"type": "number", "decimalChar": ",", "groupChar": "."},
    "boolean": {
        "type": "boolean",
        "trueValues": ["true", "True", "TRUE"],
        "falseValues": ["false", "False", "FALSE"],
    },
    "date": {"type": "date"},
    "datetime": {"type": "datetime"},
    "date dotted": {"type": "date", "format": "%d.%m.%Y"},
    "date said": {"type": "date"},
}


@dataclass
class ColumnType:
    """What the cells of one column can be.

    Args:
        name: of the column.
        settings: what a person said.

    Attributes:
        alive: what all cells so far can be; of `_PATTERNS`.
        but_last: what they can be without the very last row.
        used: words that stand for null in it.
    """

    name: str
    settings: ReadSettings
    alive: list[str] = field(default_factory=list)
    but_last: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    values: int = 0
    last: str | None = None
    largest: list[int] = field(default_factory=lambda: [0, 0])
    """The greatest first and second number of dates with slashes."""
    is_thousands: bool = True
    """Whether each number with a comma may be one in thousands."""

    def __post_init__(self) -> None:
        self.alive = ["date said"] if self.settings.date_format else []
        self.alive += list(_PATTERNS)
        self.but_last = list(self.alive)

    def take(self, cells: pa.Array) -> None:
        """Take the next cells; an empty one says nothing."""
        self.but_last = list(self.alive)
        self.last = cells[len(cells) - 1].as_py() if len(cells) else self.last
        if not self.alive:
            return
        head, tail = cells[: len(cells) - 1], cells[len(cells) - 1 :]
        self.but_last = self._judged(head, self.alive)
        self.alive = self._judged(tail, self.but_last)

    def _judged(self, cells: pa.Array, alive: list[str]) -> list[str]:
        """What of `alive` all these cells can be; those that are empty or stand for null can be all of it."""
        present = cells.filter(pc.fill_null(pc.not_equal(cells, ""), False))
        nulls = self.settings.null_values
        if nulls is None:
            left = self._left(present, alive)
            if left == alive:
                self.values += len(present)
                return alive
        is_word = pc.is_in(present, value_set=pa.array(NULL_WORDS if nulls is None else nulls, TEXT))
        if pc.any(is_word).as_py():
            self.used |= set(pc.unique(present.filter(is_word)).to_pylist())
            present = present.filter(pc.invert(is_word))
            left = self._left(present, alive)
        elif nulls is not None:
            left = self._left(present, alive)
        self.values += len(present)
        return left

    def _left(self, present: pa.Array, alive: list[str]) -> list[str]:
        if not len(present):
            return alive
        if alive[:1] == ["integer"] and _are_plain_integers(present):  # then they are numbers of all forms
            return [one for one in alive if one.startswith(("integer", "number"))]
        return [one for one in alive if self._can_be(one, present)]

    def _can_be(self, one: str, cells: pa.Array) -> bool:
        if one == "date said":
            return all(_reads(text, self.settings.date_format or "") for text in pc.unique(cells).to_pylist())
        if not pc.all(pc.match_substring_regex(cells, _PATTERNS[one])).as_py():
            return False
        if one in ("date", "datetime"):
            return _are_days(pc.utf8_slice_codeunits(cells, 0, 10))
        if one == "date dotted":
            return all(_reads(text, "%d.%m.%Y") for text in pc.unique(cells).to_pylist())
        if one == "date slashed":
            parts = [text.split("/") for text in pc.unique(cells).to_pylist()]
            self.largest = [max(self.largest[at], *(int(part[at]) for part in parts)) for at in (0, 1)]
            return min(self.largest) <= 12
        if one == "number,":
            self.is_thousands = self.is_thousands and bool(
                pc.all(pc.match_substring_regex(cells, _THOUSANDS)).as_py()
            )
        return True

    def field(self, delimiter: str, title: str, notice: Callable[[str], None]) -> dict[str, Any]:
        """The Table Schema field, once all cells were taken.

        Args:
            delimiter: of the file: where it is a semicolon, a comma is in decimals.
            title: the file.
            notice: told of what is guessed and could be wrong.
        """
        said = self.settings.types.get(self.name)
        if said is not None:
            return self._as_said(said)
        if not self.values:
            return {"name": self.name, "type": "string", **self._missing(set())}
        chosen = self._chosen(delimiter, title, notice)
        if chosen is None and self.but_last and not self.alive and self.values >= _ENOUGH:
            chosen = self._but_for_last(title, notice)
        if chosen is None:
            return {"name": self.name, "type": "string", **self._missing(set())}
        if self.used and self.settings.null_values is None:
            words = ", ".join(map(repr, sorted(self.used)))
            notice(f"{title}: {words} in '{self.name}' is null. 'null_values' says otherwise.")
        return {"name": self.name, **chosen, **self._missing(self.used)}

    def _missing(self, used: set[str]) -> dict[str, Any]:
        nulls = self.settings.null_values
        if nulls is not None:
            return {"missingValues": list(nulls)}
        return {"missingValues": ["", *sorted(used)]} if used else {}

    def _as_said(self, said: str) -> dict[str, Any]:
        """The field of a column whose type a person said; how numbers and dates are written is still found out."""
        made: dict[str, Any] = {"name": self.name, "type": said}
        fits = [one for one in self.alive if _FIELDS.get(one, {}).get("type") == said]
        if fits and said in ("number", "boolean"):
            made |= _FIELDS[fits[0]]
        if said in ("date", "datetime", "time") and self.settings.date_format:
            made["format"] = self.settings.date_format
        elif fits and said == "date":
            made |= _FIELDS[fits[0]]
        return made | self._missing(
            self.used if said != "string" and self.settings.null_values is None else set()
        )

    def _chosen(self, delimiter: str, title: str, notice: Callable[[str], None]) -> dict[str, Any] | None:
        if not self.alive:
            return None
        best = self.alive[0]
        if best == "date said":
            return {"type": "date", "format": self.settings.date_format}
        if best == "date slashed":
            return self._slashed(title, notice)
        if best == "number," and self.is_thousands and delimiter != ";" and "number grouped" in self.alive:
            best = "number grouped"
        if best not in ("integer", "number", "boolean", "date", "datetime"):
            notice(f"{title}: '{self.name}' is read as {_SAID[best]}. 'types' says otherwise.")
        return _FIELDS[best]

    def _slashed(self, title: str, notice: Callable[[str], None]) -> dict[str, Any] | None:
        first, second = self.largest
        if first <= 12 and second <= 12:
            notice(
                f"{title}: in the dates of '{self.name}', such as {self.last!r}, day or month could come first; they "
                "stay texts. 'date_format' decides: %d/%m/%Y or %m/%d/%Y."
            )
            return None
        form = "%d/%m/%Y" if first > 12 else "%m/%d/%Y"
        notice(f"{title}: the dates of '{self.name}' are read as {form}. 'date_format' says otherwise.")
        return {"type": "date", "format": form}

    def _but_for_last(self, title: str, notice: Callable[[str], None]) -> dict[str, Any] | None:
        """A column that only the last row keeps from having a type: that may be a total."""
        best = self.but_last[0]
        kind = _FIELDS.get(best)
        if kind is None or self.settings.on_error != "skip":
            notice(
                f"{title}: '{self.name}' would be of type {(kind or {'type': 'date'})['type']} but for the last row, which "
                f"has {self.last!r}; it stays text. If that is a total, leave it out: 'on_error': 'skip'."
            )
            return None
        return kind


_SAID = {
    "number,": "numbers with a decimal comma",
    "number grouped": "numbers with commas between thousands",
    "number, grouped": "numbers with a decimal comma and points between thousands",
    "date dotted": "dates, day first",
}


def _are_plain_integers(cells: pa.Array) -> bool:
    """Whether all are integers as this machine writes them: without a look at each."""
    try:
        return bool(cells.cast(pa.int64()).cast(TEXT).equals(cells))
    except pa.ArrowInvalid:
        return False


def _are_days(cells: pa.Array) -> bool:
    try:
        cells.cast(pa.date32())
    except pa.ArrowInvalid:
        return False
    return True


def _reads(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except (ValueError, re.error):
        return False
    return True


def unknown_types(settings: ReadSettings, names: Sequence[str]) -> list[str]:
    """Columns that a person gave a type and that are not there."""
    return [name for name in settings.types if name not in names]
