"""The type of a column of CSV, from all of its cells: what nobody could tell from them stays text."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.cellforms import COMMA, GROUPED, INTEGER, NUMBERS, POINT, THOUSANDS, Form
from flow_singer.reading.columncells import ColumnCells
from flow_singer.reading.guesses import Guesses
from flow_singer.reading.readsettings import ReadSettings

_ENOUGH = 4
"""So many cells in a column make one that is of another type at its end odd."""
_BETWEEN = {",": "commas", ".": "points", "'": "apostrophes", "\u2019": "apostrophes"} | dict.fromkeys(
    " \u00a0\u202f", "blanks"
)


class ColumnType:
    """One column.

    Args:
        name: of the column.
        settings: what a person said.

    Attributes:
        name: of the column.
        cells: what its cells can be.
        is_last_odd: whether its type is that of all cells but the last.
        is_empty_once: whether a cell of a key is empty.
    """

    def __init__(self, name: str, settings: ReadSettings) -> None:
        self.name = name
        self.settings = settings
        self.cells = ColumnCells(settings)
        self.is_last_odd = False
        self.is_empty_once = False

    def take(self, cells: pa.Array) -> None:
        """Take the next cells; an empty one says nothing."""
        self.cells.take(cells)
        if self.name in self.settings.key:
            self.is_empty_once = self.is_empty_once or bool(pc.any(pc.equal(cells, "")).as_py())

    def field(self, delimiter: str, marks: set[str], title: str, guesses: Guesses) -> dict[str, Any]:
        """The Table Schema field, once all cells were taken.

        Args:
            delimiter: of the file: where it is a semicolon, a comma is in decimals.
            marks: what divides the fractions of other columns.
            title: of the file.
            guesses: told of what is guessed and could be wrong.

        Raises:
            ConfigError: a person says that it holds dates, and it does not show how they are written.
            DataError: a person says that it is of the key, and there is not a value in each row.
        """
        made = self._field(delimiter, marks, title, guesses)
        if self.name in self.settings.key:
            nulls = self.cells.used & set(made.get("missingValues", ()))
            if self.is_empty_once or nulls:
                raise empty_key(title, self.name, None if self.is_empty_once else min(nulls))
        return made

    def _field(self, delimiter: str, marks: set[str], title: str, guesses: Guesses) -> dict[str, Any]:
        said = self.settings.types.get(self.name)
        if said is not None:
            return {"name": self.name, **self._as_said(said, delimiter, marks, title)}
        chosen = self._chosen(delimiter, marks, guesses) if self.cells.values else None
        if chosen is None and self.cells.values >= _ENOUGH and self.cells.but_last and not self.cells.alive:
            chosen = self._but_for_last(guesses)
        elif chosen is None:
            self._tell_of_odd(guesses)
        if chosen is None:
            return {"name": self.name, "type": "string", **self._missing(set(), "string")}
        words = sorted(one for one in self.cells.used if one.strip())
        if words and self.settings.null_values is None:
            shown = ", ".join(map(repr, words))
            guesses.add(f"{shown} in {{names}} is null. 'null_values' says otherwise.", self.name)
        return {"name": self.name, **chosen, **self._missing(self.cells.used, chosen["type"])}

    def _missing(self, used: set[str], kind: str) -> dict[str, Any]:
        nulls = self.settings.null_values
        if nulls is None:
            return {"missingValues": ["", *sorted(used)]} if used else {}
        if kind in ("string", "any"):
            return {"missingValues": list(nulls)}
        return {"missingValues": list(dict.fromkeys(["", *nulls, *sorted(used)]))}

    def _number(self, name: str) -> dict[str, Any]:
        """The field of a form of numbers: integers, where thousands are divided and none has a fraction."""
        form = self.cells.forms[name]
        made = dict(form.field)
        if form.group and name not in self.cells.fractions:
            made = {"type": "integer", "groupChar": form.group}
        if self.cells.is_padded:
            made["format"] = "default"  # says that a cell is not as JSON has it
        return made

    def _chosen(self, delimiter: str, marks: set[str], guesses: Guesses) -> dict[str, Any] | None:
        if not self.cells.alive:
            return None
        best = self.cells.alive[0]
        form = self.cells.forms[best]
        if best in NUMBERS:
            name = self._number_form(best, delimiter, marks)
            if name is None:
                guesses.add(
                    f"{{names}} {{are}} text: of numbers such as {self._example()}, nobody can say whether {form.decimal!r} "
                    "divides thousands. 'types' decides: integer or number.",
                    self.name,
                )
                return None
            made, told = self._number(name), self.cells.forms[name].told
            if made["type"] == "integer" and told:
                told = f"integers with {_BETWEEN[self.cells.forms[name].group]} between thousands"
            if told:
                guesses.add(f"{{names}} {{are}} read as {told}. 'types' says otherwise.", self.name)
            return made
        if len(form.orders) > 1:
            return self._by_order(best, form, guesses)
        if form.told:
            guesses.add(f"{{names}} {{are}} read as {form.told}. 'types' says otherwise.", self.name)
        return dict(form.field)

    def _number_form(self, best: str, delimiter: str, marks: set[str]) -> str | None:
        """The form of numbers, where the same cells could be of several; None where nothing tells."""
        form = self.cells.forms[best]
        if form.group == " " and best not in self.cells.fractions:
            return None  # telephone numbers are written so
        if form.group or best not in (POINT, COMMA) or not self.cells.may_be_thousands(form.decimal):
            return best
        mark, other = form.decimal, "," if form.decimal == "." else "."
        if mark in marks:
            return best
        if other in marks:
            return GROUPED[mark]
        if delimiter == ",":  # there, a comma in a number is quoted: it divides thousands
            return best if mark == "." else GROUPED[","]
        if delimiter == ";":  # there, a comma is in decimals
            return best if mark == "," else None
        return best if mark == "." else None

    def _by_order(self, name: str, form: Form, guesses: Guesses) -> dict[str, Any] | None:
        """A column of dates in which day or month may come first."""
        orders = self.cells.orders.left[name]
        if len(orders) > 1:
            guesses.add(
                f"{{names}} {{are}} text: in dates such as {self._example()}, day or month could come first. "
                f"'date_format' decides: {' or '.join(one + form.time for one in orders)}.",
                self.name,
            )
            return None
        made = {**form.field, "format": orders[0] + form.time}
        guesses.add(
            f"{{names}} {{are}} read as {form.told} of the form {made['format']}. 'date_format' says otherwise.",
            self.name,
        )
        return made

    def _example(self) -> str:
        return repr(self.cells.last) if self.cells.last else "these"

    def _as_said(self, said: str, delimiter: str, marks: set[str], title: str) -> dict[str, Any]:
        """The field of a column whose type a person said; how numbers and dates are written is still found out."""
        missing = self._missing(self.cells.used if said not in ("string", "any") else set(), said)
        fits = [name for name in self.cells.alive if self.cells.values]
        made: dict[str, Any] = {}
        if said in ("date", "datetime", "time") and self.settings.date_format:
            made = {"format": self.settings.date_format}
        elif said == "integer":
            grouped = [
                name for name in fits if self.cells.forms[name].group and name not in self.cells.fractions
            ]
            made = {} if INTEGER in fits or not grouped else self._number(self._thousands_first(grouped))
        elif said == "number" and (numbers := [name for name in fits if name in NUMBERS]):
            name = self._number_form(numbers[0], delimiter, marks) or numbers[0]
            made = self._number(name)
        elif said in ("date", "datetime", "boolean"):
            form = next(
                (self.cells.forms[one] for one in fits if self.cells.forms[one].field["type"] == said), None
            )
            made = dict(form.field) if form else {}
            if form and len(form.orders) > 1:
                made = self._order_as_said(fits, form, title)
        return made | {"type": said} | missing

    def _thousands_first(self, grouped: list[str]) -> str:
        known = [GROUPED[mark] for mark in THOUSANDS if mark in self.cells.only_thousands]
        return next((name for name in known if name in grouped), grouped[0])

    def _order_as_said(self, fits: list[str], form: Form, title: str) -> dict[str, Any]:
        name = next(one for one in fits if self.cells.forms[one] is form)
        orders = self.cells.orders.left[name]
        if len(orders) > 1:
            raise ConfigError(
                f"{title}: in the dates of '{self.name}', such as {self._example()}, day or month could come first.",
                f"Set 'date_format': {' or '.join(one + form.time for one in orders)}.",
            )
        return {**form.field, "format": orders[0] + form.time}

    def _tell_of_odd(self, guesses: Guesses) -> None:
        """Say that a column is text for the sake of few cells."""
        odd = self.cells.odd
        if odd is None or odd.form is None or odd.of < _ENOUGH:
            return
        guesses.add(
            f"{{names}} {{are}} text, but would be of type {odd.form.field['type']} without {odd.count:,} of "
            f"{odd.of:,} cells, as {odd.example!r}. 'types' says otherwise; then 'on_error' says what becomes of "
            "such a cell.",
            self.name,
        )

    def _but_for_last(self, guesses: Guesses) -> dict[str, Any] | None:
        """A column that only the last row keeps from having a type: that may be a total."""
        form = self.cells.forms[self.cells.but_last[0]]
        kind = None if len(form.orders) > 1 else dict(form.field)
        if kind is None or self.settings.on_error != "skip":
            kind_name = form.field["type"]
            guesses.add(
                f"{{names}} {{are}} text, but would be of type {kind_name} without the last row, which has {self.cells.last!r}. If "
                "that is a total, leave it out: 'on_error': 'skip'.",
                self.name,
            )
            return None
        self.is_last_odd = True
        return kind


def empty_key(title: str, name: str, word: str | None = None) -> DataError:
    """The error of a column of the key that lacks a value; `word` is a text that stands for null."""
    what = "is empty" if word is None else f"is {word!r}, which stands for null,"
    return DataError(
        f"{title}: '{name}', which 'key' names, {what} in some row.",
        "Name columns that have a value in each row, or correct the file.",
    )
