"""What all cells of a column of CSV can be, found out block by block.

Source of what stands for null: the words that pandas, R and spreadsheets write.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.reading.cellforms import (
    FORMS,
    GROUPED,
    INTEGER,
    NUMBERS,
    THOUSANDS,
    Form,
    Orders,
    are_days,
    said_form,
)
from flow_singer.reading.oddcells import OddCells
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.tabular.textarrays import TEXT

NULL_WORDS = ("NA", "N/A", "n/a", "NULL", "null", "None", "nan", "NaN", "-", "--", "#N/A", "?")
"""Texts that stand for null in a column whose other cells are numbers, dates or booleans."""

_SAID = "as date_format says"
_PROBE = 16
"""So many cells are looked at first: most forms do not survive them."""
_MOST_BLANKS = 8
_LONGEST_GROUP = 999


@dataclass
class ColumnCells:
    """What the cells of one column can be.

    Args:
        settings: what a person said.

    Attributes:
        alive: what all cells so far can be; of `FORMS`, the plainest first.
        but_last: what they can be without the very last of all.
        used: words and blanks that stand for null in it.
        values: how many cells were neither empty nor null.
        last: the last cell of all.
        orders: which orders of day and month its dates can have, by form.
        fractions: forms in which some number has a fraction.
        is_padded: whether there are blanks around numbers.
        only_thousands: marks that may divide the thousands of each number that has one.
        odd: what keeps it from having a form; None where it has one.
    """

    settings: ReadSettings
    alive: list[str] = field(default_factory=list)
    but_last: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    values: int = 0
    last: str | None = None
    is_padded: bool = False
    orders: Orders = field(default_factory=Orders)
    fractions: set[str] = field(default_factory=set)
    only_thousands: set[str] = field(default_factory=lambda: set(THOUSANDS))
    odd: OddCells | None = None
    _waiting: pa.Array | None = None
    """The last cells that came: only behind them it shows whether they were the very last."""
    _has_long: bool = False
    """Whether an integer of more than three digits has its thousands not divided."""

    def __post_init__(self) -> None:
        said = self.settings.date_format
        self.forms = {_SAID: said_form(said)} | dict(FORMS) if said else FORMS
        self.alive = list(self.forms)

    def take(self, cells: pa.Array) -> None:
        """Take the next cells; an empty one says nothing."""
        if not len(cells):
            return
        if self._waiting is not None:
            self._judge(self._waiting)
        self._waiting = cells

    def finish(self) -> None:
        """All cells were taken."""
        if self._waiting is None:
            return
        cells, self._waiting = self._waiting, None
        self.last = cells[len(cells) - 1].as_py()
        self._judge(cells[: len(cells) - 1])
        self.but_last = list(self.alive)
        self._judge(cells[len(cells) - 1 :])

    def _judge(self, cells: pa.Array) -> None:
        if not len(cells) or (self.odd is not None and self.odd.form is None):
            return
        filled = pc.not_equal(cells, "")
        present = cells if pc.all(filled).as_py() else cells.filter(filled)
        nulls = self.settings.null_values
        if nulls is not None:
            present = self._without(present, nulls)
        if self.odd is not None:
            self.odd.take(present if nulls is not None else _without_words(present, NULL_WORDS))
            return
        left = self._left(present)
        if not left and nulls is None:
            without = self._without(present, NULL_WORDS)
            if len(without) < len(present):
                present, left = without, self._left(without)
        if not left and (trimmed := self._trimmed(present)) is not None:
            present, left = trimmed, [one for one in self._left(trimmed) if one in NUMBERS]
            self.is_padded = True
        if not left:
            self.odd = OddCells(self.forms, self.alive, self.values, present)
        self.values += len(present)
        self.alive = left

    def _without(self, present: pa.Array, words: Iterable[str]) -> pa.Array:
        """Those that do not stand for null."""
        left = _without_words(present, words)
        if len(left) < len(present):
            found = present.filter(pc.is_in(present, value_set=pa.array(list(words), TEXT)))
            self.used |= set(pc.unique(found).to_pylist())
        return left

    def _trimmed(self, present: pa.Array) -> pa.Array | None:
        """Cells without blanks around them, and without those that are but blanks; None where none has any."""
        trimmed = pc.utf8_trim_whitespace(present)
        if trimmed.equals(present):
            return None
        blank = pc.equal(trimmed, "")
        blanks = pc.unique(present.filter(blank)).to_pylist()
        if len(blanks) > _MOST_BLANKS:
            return None
        self.used |= set(blanks)
        return trimmed.filter(pc.invert(blank))

    def _left(self, present: pa.Array) -> list[str]:
        """What of `alive` all these cells can be."""
        if not len(present):
            return self.alive
        if INTEGER in self.alive and (numbers := _plain_integers(present)) is not None:
            self._has_long = self._has_long or pc.max(pc.abs(numbers)).as_py() > _LONGEST_GROUP
            said = _SAID in self.alive and self._can_be(_SAID, self.forms[_SAID], present)
            return [one for one in self.alive if one in NUMBERS or (said and one == _SAID)]  # of all forms
        left = [name for name in self.alive if self.forms[name].matches(present[:_PROBE])]
        left = [name for name in left if self._can_be(name, self.forms[name], present)]
        if left:
            self.only_thousands = {mark for mark in self.only_thousands if THOUSANDS[mark].matches(present)}
        return left

    def _can_be(self, name: str, form: Form, cells: pa.Array) -> bool:
        if not form.matches(cells):
            return False
        if form.orders:
            return self.orders.narrow(name, form, cells)
        if name.startswith("date"):
            return are_days(cells)
        if form.group and name not in self.fractions and form.has_fraction(cells):
            self.fractions.add(name)
        return True

    def decimal_mark(self) -> str | None:
        """What divides the fractions of its numbers, where that is beyond doubt."""
        best = self.alive[0] if self.alive and self.values else None
        if best not in NUMBERS or best == INTEGER:
            return None
        form = self.forms[best]
        return None if not form.group and self.may_be_thousands(form.decimal) else form.decimal

    def may_be_thousands(self, mark: str) -> bool:
        """Whether `mark`, in each number that has it, may divide thousands as well as a fraction."""
        return mark in self.only_thousands and not self._has_long and GROUPED[mark] in self.alive


def _without_words(cells: pa.Array, words: Iterable[str]) -> pa.Array:
    """Those that are none of some words."""
    found = pc.is_in(cells, value_set=pa.array(list(words), TEXT))
    return cells.filter(pc.invert(found)) if pc.any(found).as_py() else cells


def _plain_integers(cells: pa.Array) -> pa.Array | None:
    """The cells as integers, where all are written as this machine writes them: without a look at each."""
    try:
        numbers = cells.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    return numbers if numbers.cast(TEXT).equals(cells) else None
