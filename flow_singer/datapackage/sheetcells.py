"""Cells of a sheet: a number where Excel holds it exactly, a date, a truth value, else a text.

Excel knows one type of number, the double: what it would change is a text. The digits of a number stay as they came,
as a reader of XML takes `1.50` for what it is.

Source: ECMA-376, part 1, 18.3.1.4 "c", 18.17.4 "Dates and Times", 22.9.2.19 "ST_Xstring".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.datapackage.textcells import plain_texts
from flow_singer.singer.schema import Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT, join, text_bytes

MOST_CHARACTERS = 32_767
_EXACT_INTEGER = 2**53
_EXACT_DIGITS = 15
"""Two numbers of so many digits that differ are two doubles that differ."""
_JSON_NUMBER = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$"
_FIRST_DAY = "1900-03-01"
"""Before it, Excel counts a day that there was not: 1900-02-29."""
_DAYS_TO_1970 = 25_569
DATE_STYLE = 1
"""The number of the style that shows a number as a date."""

_UNFIT = re.compile(
    "[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}(?:_|[\x00-\x08\x0b-\x1f\ufffe\uffff]))"
)
_MAY_BE_UNFIT = r"[\x00-\x08\x0b-\x1f\x{FFFE}\x{FFFF}]|_x[0-9A-Fa-f]{4}"


class SheetCells(NamedTuple):
    """The cells of a column; each is in one of the arrays at most, and null in the others.

    Attributes:
        values: what stands in a cell that is no text: a number, the number of a day, 1 or 0.
        texts: the texts.
        attributes: of the cells with values.
        exact_texts: how many of the texts are numbers that Excel would change.
    """

    values: pa.Array | None
    texts: pa.Array | None
    attributes: str = ""
    exact_texts: int = 0


def sheet_cells(one: Property, column: Column, *, typed: bool) -> SheetCells:
    """The cells of a column.

    Args:
        one: what the column has come to hold.
        column: n cells.
        typed: whether a date is a date of Excel, and a decimal that came as a text a number.

    Raises:
        RecordError: a text is no Unicode.
    """
    texts = plain_texts(one, column)
    match one.kind:
        case "boolean":
            true = pc.equal(texts, "true")
            values = pc.if_else(true, "1", pc.if_else(pc.equal(texts, "false"), "0", pa.scalar(None, TEXT)))
            return SheetCells(values.cast(TEXT), _rest(texts, values), ' t="b"')
        case "integer":
            return _numbers(texts, _is_exact_integer)
        case "number" | "decimal":
            return _numbers(texts, _is_double)
        case "decimal-text" if typed:
            return _numbers(texts, _is_double)
        case "date" if typed:
            late = pc.greater_equal(texts, pa.scalar(_FIRST_DAY, TEXT))
            days = pc.if_else(late, texts, pa.scalar(None, TEXT)).cast(pa.date32()).cast(pa.int32())
            values = pc.add(days.cast(pa.int64()), _DAYS_TO_1970).cast(TEXT)
            return SheetCells(values, _rest(texts, values), f' s="{DATE_STYLE}"')
    return SheetCells(None, texts)


def _rest(texts: pa.Array, values: pa.Array) -> pa.Array | None:
    """The texts of the cells that have no value."""
    if values.null_count == texts.null_count:
        return None
    return pc.if_else(values.is_valid(), pa.scalar(None, TEXT), texts)


def _numbers(texts: pa.Array, is_exact: Callable[[str], bool]) -> SheetCells:
    form = pc.match_substring_regex(texts, _JSON_NUMBER)
    short = pc.and_(
        pc.less_equal(pc.binary_length(texts), _EXACT_DIGITS),
        pc.invert(pc.match_substring(texts, "e", ignore_case=True)),
    )
    held = pc.and_(form, short)
    doubtful = pc.and_not(form, short).fill_null(False)
    if pc.any(doubtful).as_py():
        looked_at = pa.array([is_exact(text) for text in texts.filter(doubtful).to_pylist()], pa.bool_())
        held = pc.replace_with_mask(held, doubtful, looked_at)
    values = pc.if_else(held, texts, pa.scalar(None, TEXT))
    rest = _rest(texts, values)
    exact = pc.sum(pc.and_not(form, held), min_count=0).as_py()
    return SheetCells(values, rest, "", int(exact))


def _is_exact_integer(text: str) -> bool:
    return len(text) <= _EXACT_DIGITS + 5 and abs(Decimal(text)) <= _EXACT_INTEGER


def _is_double(text: str) -> bool:
    """Whether a number comes back from a double with the digits that it had."""
    try:
        return Decimal(text) == Decimal(repr(float(text)))
    except InvalidOperation:  # an exponent of some twenty digits
        return False


def cell_texts(cells: SheetCells, letters: str, rows: pa.Array) -> pa.Array:
    """The cells as XML; an empty text where there is none.

    Args:
        cells: of n rows.
        letters: the name of the column.
        rows: the numbers of the rows, as texts.
    """
    found = []
    if cells.values is not None:
        found.append(join(f'<c r="{letters}', rows, f'"{cells.attributes}><v>', cells.values, "</v></c>"))
    if cells.texts is not None:
        found.append(
            join(
                f'<c r="{letters}',
                rows,
                '" t="inlineStr"><is><t xml:space="preserve">',
                escaped_text(cells.texts),
                "</t></is></c>",
            )
        )
    return pc.coalesce(*found, pa.scalar("", TEXT))


def escaped_text(texts: pa.Array) -> pa.Array:
    """Texts as they stand in the XML of a sheet; what XML has no character for by its number."""
    data = bytes(text_bytes(texts))
    for character, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        if character.encode() in data:
            texts = pc.replace_substring(texts, character, name)
    unfit = pc.match_substring_regex(texts, _MAY_BE_UNFIT).fill_null(False)
    if pc.any(unfit).as_py():
        mended = [_UNFIT.sub(_by_number, text) for text in texts.filter(unfit).to_pylist()]
        texts = pc.replace_with_mask(texts, unfit, pa.array(mended, TEXT))
    return texts


def _by_number(found: re.Match[str]) -> str:
    return f"_x{ord(found[0]):04X}_"


def longest_text(texts: pa.Array) -> int:
    """How many characters the longest text has, as Excel counts them: in UTF-16; no more than it has bytes."""
    longest = pc.max(pc.binary_length(texts)).as_py() or 0
    if longest <= MOST_CHARACTERS:
        return int(longest)
    long = texts.filter(pc.greater(pc.binary_length(texts), MOST_CHARACTERS).fill_null(False)).to_pylist()
    return max(len(text.encode("utf-16-le")) // 2 for text in long)
