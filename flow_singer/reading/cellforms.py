"""The forms in which cells of CSV write numbers, booleans, dates and times: a pattern, and the field that reads it.

A cell stays what it is: `007` and `+49 30 …` are of no form, as a number would not give them back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

DAY_OR_MONTH = ("%d/%m/%Y", "%m/%d/%Y")
"""The orders that a date with slashes may have."""


@dataclass(frozen=True)
class Form:
    """One way of writing values of one type.

    Attributes:
        pattern: that a whole cell matches.
        field: of Table Schema, for such a column.
        told: how a person is told of it; empty where there is nothing to guess.
        orders: forms of `strptime` that the first word of a cell may have; empty where it is no such date.
        time: the form of what follows that word.
        decimal: what stands before the fraction of a number, if it is one.
        group: what stands between its thousands.
    """

    pattern: str
    field: Mapping[str, Any]
    told: str = ""
    orders: tuple[str, ...] = ()
    time: str = ""
    decimal: str = ""
    group: str = ""

    def matches(self, cells: pa.Array) -> bool:
        """Whether all cells have the form; of dates, their numbers only."""
        return bool(pc.all(pc.match_substring_regex(cells, self.pattern), min_count=0).as_py())

    def has_fraction(self, cells: pa.Array) -> bool:
        """Whether some of its numbers have a fraction."""
        return bool(pc.any(pc.match_substring_regex(cells, rf"{re.escape(self.decimal)}\d+$")).as_py())


def _numbers() -> Iterator[tuple[str, Form]]:
    exponent = r"([eE][+-]?\d+)?"
    for decimal, group, told in (
        (".", "", ""),
        (",", "", "numbers with a decimal comma"),
        (".", ",", "numbers with commas between thousands"),
        (",", ".", "numbers with a decimal comma and points between thousands"),
        (".", "'", "numbers with apostrophes between thousands"),
        (".", "\u2019", "numbers with apostrophes between thousands"),
        (",", " ", "numbers with a decimal comma and blanks between thousands"),
        (",", "\u00a0", "numbers with a decimal comma and blanks between thousands"),
        (",", "\u202f", "numbers with a decimal comma and blanks between thousands"),
        (".", " ", "numbers with blanks between thousands"),
    ):
        whole = r"0|[1-9]\d*"
        made: dict[str, Any] = {"type": "number"}
        if decimal != ".":
            made["decimalChar"] = decimal
        if group:
            whole = rf"[1-9]\d{{0,2}}({re.escape(group)}\d{{3}})+|{whole}"
            made["groupChar"] = group
        pattern = rf"^-?({whole})({re.escape(decimal)}\d+)?{'' if told else exponent}$"
        yield number_form(decimal, group), Form(pattern, made, told, decimal=decimal, group=group)
    pattern = rf"^-?((0|[1-9]\d*)(\.\d+)?|\.\d+){exponent}$"
    made = {"type": "number", "format": "default"}  # says that a cell is not as JSON has it
    yield "number .5", Form(pattern, made, "numbers without a zero before the point", decimal=".")


def number_form(decimal: str, group: str = "") -> str:
    """The name of a form of numbers."""
    return f"number {decimal}{group}"


INTEGER = "integer"
POINT, COMMA = number_form("."), number_form(",")
GROUPED = {".": number_form(",", "."), ",": number_form(".", ",")}
"""Forms whose thousands are divided by a mark that may divide a fraction, too."""

THOUSANDS = {
    mark: Form(
        rf"^-?([1-9]\d{{0,2}}{re.escape(mark)}\d{{3}}|0|[1-9]\d{{0,2}})$", {}, decimal=mark, group=mark
    )
    for mark in ".,"
}
"""Numbers of which nobody can say whether `mark` divides thousands or a fraction."""

_DAY = r"(0?[1-9]|[12]\d|3[01])"
_MONTH = r"(0?[1-9]|1[0-2])"
_HOUR, _HALF = r"([01]?\d|2[0-3])", r"(0?[1-9]|1[0-2])"
_TIMES = {
    "": "",
    " %H:%M": rf" {_HOUR}:[0-5]\d",
    " %H:%M:%S": rf" {_HOUR}:[0-5]\d:[0-5]\d",
    " %I:%M %p": rf" {_HALF}:[0-5]\d (AM|PM|am|pm)",
    " %I:%M:%S %p": rf" {_HALF}:[0-5]\d:[0-5]\d (AM|PM|am|pm)",
}


def _dates() -> Iterator[tuple[str, Form]]:
    iso = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    clock = r"([01]\d|2[0-3]):[0-5]\d"
    yield "date", Form(rf"^{iso}$", {"type": "date"})
    yield "datetime", Form(rf"^{iso}[T ]{clock}:[0-5]\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?$", {"type": "datetime"})
    for between in " T":  # without seconds, no reader of date-times takes it
        stamp = {"type": "datetime", "format": f"%Y-%m-%d{between}%H:%M"}
        yield f"datetime{between}", Form(rf"^{iso}{between}{clock}$", stamp)
    for time, pattern in _TIMES.items():
        kind = {"type": "datetime" if time else "date"}
        name = "times" if time else "dates"
        for order, day, told in (
            ("%d.%m.%Y", rf"{_DAY}\.{_MONTH}\.\d{{4}}", f"{name}, day first"),
            ("%Y/%m/%d", rf"\d{{4}}/{_MONTH}/{_DAY}", ""),
        ):
            made = kind | {"format": order + time}
            yield order + time, Form(rf"^{day}{pattern}$", made, told, (order,), time)
        for mark in "/-":
            orders = tuple(one.replace("/", mark) for one in DAY_OR_MONTH)
            pair = rf"{_DAY}{mark}{_DAY}{mark}\d{{4}}"
            yield f"{mark}{time}", Form(rf"^{pair}{pattern}$", kind, f"{name}", orders, time)


FORMS: Mapping[str, Form] = {
    INTEGER: Form(r"^-?(0|[1-9]\d*)$", {"type": "integer"}),
    **dict(_numbers()),
    "boolean": Form(
        r"^(true|false|True|False|TRUE|FALSE)$",
        {
            "type": "boolean",
            "trueValues": ["true", "True", "TRUE"],
            "falseValues": ["false", "False", "FALSE"],
        },
    ),
    **dict(_dates()),
}
"""By name, the plainest first."""

NUMBERS = [name for name, one in FORMS.items() if name == INTEGER or one.decimal]


def said_form(date_format: str) -> Form:
    """The form that a person gave to dates; with a time of day where it has one."""
    has_time = re.search(r"%[-#]?[HIMSpfXcTRs]", date_format) is not None
    made = {"type": "datetime" if has_time else "date", "format": date_format}
    return Form("", made, orders=(date_format,))


@dataclass
class Orders:
    """Which of the orders of a form all dates so far can have.

    Attributes:
        left: by name of the form.
    """

    left: dict[str, list[str]] = field(default_factory=dict)

    def narrow(self, name: str, form: Form, cells: pa.Array) -> bool:
        """Leave out what some of these cells cannot have; whether any is left."""
        left = self.left.get(name) or list(form.orders)
        if form.pattern:
            cells = pc.replace_substring_regex(cells, r"[ T].*$", "")
        texts = pc.unique(cells).to_pylist()
        self.left[name] = [one for one in left if all(reads(text, one) for text in texts)]
        return bool(self.left[name])


def are_days(cells: pa.Array) -> bool:
    """Whether what cells begin with, as `2024-02-30`, are in the calendar."""
    try:
        pc.utf8_slice_codeunits(cells, 0, 10).cast(pa.date32())
    except pa.ArrowInvalid:
        return False
    return True


@lru_cache(maxsize=1 << 16)
def reads(text: str, form: str) -> bool:
    """Whether a text has a form of `strptime`, and is in the calendar."""
    try:
        datetime.strptime(text, form)
    except (ValueError, re.error):
        return False
    return True
