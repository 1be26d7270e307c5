"""Cells of a sheet: a number where a workbook holds it exactly, a date, a truth value, else a text.

Excel knows one type of number, the double, of which openpyxl writes 16 digits: what they would change is a text.

Source: ECMA-376, part 1, 18.17.4 "Dates and Times", 22.9.2.19 "ST_Xstring".
"""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from flow_singer.datapackage.textcells import plain_texts
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column

MOST_CHARACTERS = 32_767
_MOST_INTEGER = 2**53
_JSON_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_FIRST_DAY = "1900-03-01"
"""Before it, Excel counts a day that there was not: 1900-02-29."""
_TRUTH: dict[str | None, bool] = {"true": True, "false": False}

# What XML has no character for, what it would read as another, and what looks like one of these by its number.
_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}(?:_|[\x00-\x08\x0b-\x1f\ufffe\uffff]))"
)


def sheet_values(one: Property, column: Column, *, typed: bool) -> tuple[list[Any], int]:
    """What stands in the cells of a column: a number, a date, a truth value, a text, or None.

    Args:
        one: what the column has come to hold.
        column: n cells.
        typed: whether a date is a date of Excel, and a decimal that came as a text a number.

    Returns:
        n values, and how many of them are texts because they would change as numbers.

    Raises:
        RecordError: a text is no Unicode.
    """
    texts = plain_texts(one, column).to_pylist()
    match one.kind:
        case "boolean":
            return [_TRUTH.get(text, text) for text in texts], 0
        case "date" if typed:
            return [date.fromisoformat(text) if text and text >= _FIRST_DAY else text for text in texts], 0
        case "integer" | "number" | "decimal":
            most = _MOST_INTEGER if one.kind == "integer" else float("inf")
            return _numbers(texts, most)
        case "decimal-text" if typed:
            return _numbers(texts, float("inf"))
    return texts, 0


def _numbers(texts: list[str | None], most: float) -> tuple[list[Any], int]:
    values: list[Any] = list(texts)
    changed = 0
    for row, text in enumerate(texts):
        if text is not None and _JSON_NUMBER.fullmatch(text):
            number = float(text)
            if abs(number) <= most and _is_kept(text, number):
                values[row] = number
            else:
                changed += 1
    return values, changed


def _is_kept(text: str, number: float) -> bool:
    """Whether a number is the same as openpyxl writes it, and as Python reads that."""
    try:
        return Decimal(text) == Decimal(f"{number:.16g}") == Decimal(repr(number))
    except InvalidOperation:  # an exponent of some twenty digits
        return False


def text_cell(sheet: Any, text: str) -> Any:
    """A cell of a text, whatever it looks like: never a formula, an error or nothing.

    Args:
        sheet: of openpyxl, to be written only.
        text: any; what XML has no character for stands there by its number.
    """
    from openpyxl.cell import WriteOnlyCell
    from openpyxl.cell.rich_text import CellRichText

    written = _UNFIT.sub(lambda found: _by_number(found[0]), text)
    if written.isspace():  # openpyxl marks blanks as part of a text only where they stand around something
        written = _by_number(written[0]) + written[1:]
    # openpyxl writes a cell without a text for an empty one, and cuts what is too long with such numbers.
    is_rich = not written or len(written) > MOST_CHARACTERS
    cell = WriteOnlyCell(sheet, CellRichText(written) if is_rich else written)
    cell.data_type = "s"
    return cell


def _by_number(character: str) -> str:
    return f"_x{ord(character):04X}_"


def characters(text: str) -> int:
    """How many characters a text has, as Excel counts them: in UTF-16."""
    return len(text.encode("utf-16-le")) // 2
