r"""CSV: `\r\n` at the end of rows, quotes where they are needed, UTF-8 without a mark.

A null is an empty cell and an empty text is `""`. PostgreSQL (COPY) and polars tell the two apart, DuckDB with
`allow_quoted_nulls = false` only, pandas, spreadsheets and Table Schema do not: where one column holds both,
say so, or write nulls as `\N`.

A column of several types, or of any, is JSON in each cell: `"5"` is a text and `5` a number.

Source: Table Dialect, Data Package v2 (its defaults); RFC 4180.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.datapackage.textcells import offsets_of, plain_texts
from flow_singer.singer.schema import Kind, Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.textarrays import TEXT, join, text_bytes

LINE_END = "\r\n"
_SPECIAL = '",\r\n'
"""A lone \\r is quoted too: readers that accept it as the end of a row would split the row there."""
_CELL = re.compile(r'("(?:[^"]|"")*"|[^",\r\n]*)(?:,|\r\n)')


class CsvLayout:
    """How rows become lines.

    Args:
        null: what stands for null.
    """

    end_characters = len(LINE_END)
    bare_kinds: frozenset[Kind] = frozenset({"string", "date", "date-time", "decimal-text"})

    def __init__(self, null: str = "") -> None:
        self.null = null

    def header(self, names: Sequence[str]) -> bytes:
        """The first line of the file."""
        return (",".join(map(self._quoted_name, names)) + LINE_END).encode()

    def lines(
        self, names: Sequence[str], cells: Sequence[tuple[Property, Column | None]], count: int
    ) -> pa.Array:
        """One line per row; a column that is None is null in every row."""
        if not any(column is not None for _, column in cells):
            return pa.array([",".join([self.null] * len(names)) + LINE_END] * count, TEXT)
        parts = [_cells(one, column, self.null) for one, column in cells[:-1]]
        last = _cells(*cells[-1], self.null, end=LINE_END)
        if isinstance(last, pa.Scalar):
            last = pa.scalar(self.null + LINE_END, TEXT)
        elif last.null_count:
            last = last.fill_null(self.null + LINE_END)
        if not parts:
            return last
        return pc.binary_join_element_wise(
            *parts, last, pa.scalar(",", TEXT), null_handling="replace", null_replacement=self.null
        )

    def padding(self, names: Sequence[str], first: bool) -> str:
        """What ends a row that was written before the columns `names` were known."""
        joined = ",".join([self.null] * len(names))
        return (joined if first else "," + joined) + LINE_END

    def visible(self, lines: pa.Array) -> pa.Array:
        """The lines of a file of one column, its nulls quoted: readers skip a line that is empty altogether."""
        return pc.if_else(pc.equal(lines, LINE_END), '""' + LINE_END, lines)

    def as_json(self, lines: pa.Array, positions: Sequence[int]) -> pa.Array:
        """The lines with the texts of some columns as JSON."""
        return pa.array([self._line_as_json(line, positions) for line in lines.to_pylist()], TEXT)

    def _line_as_json(self, line: str, positions: Sequence[int]) -> str:
        cells = [match[1] for match in _CELL.finditer(line)]
        for position in positions:
            cell = cells[position]
            if cell != self.null:  # quoted it is a text
                text = cell[1:-1].replace('""', '"') if cell.startswith('"') else cell
                cells[position] = '"' + json.dumps(text, ensure_ascii=False).replace('"', '""') + '"'
        return ",".join(cells) + LINE_END

    def _quoted_name(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"' if re.search('[",\r\n]', name) or not name else name


def _cells(one: Property, column: Column | None, null: str, *, end: str = "") -> pa.Array | pa.Scalar:
    """The cells of a column as they stand in the file, with `end` behind each; null stays null."""
    if column is None:
        return pa.scalar(None, TEXT)
    texts = plain_texts(one, column)
    if one.kind == "json" and _all_nested(texts):
        return join('"', pc.replace_substring(texts, '"', '""'), '"' + end)
    if (
        one.kind not in ("integer", "number", "decimal", "boolean")
        and (special := _special(texts, null)).any()
    ):
        chosen = pa.array(special)
        doubled = pc.replace_substring(texts.filter(chosen), '"', '""')
        texts = pc.replace_with_mask(texts, chosen, join('"', doubled, '"'))
    return join(texts, end) if end else texts


def _all_nested(texts: pa.Array) -> bool:
    """Whether all cells are objects or arrays, hardly any of which goes without quotes."""
    nested = pc.or_(pc.starts_with(texts, "{"), pc.starts_with(texts, "["))
    return bool(pc.all(nested, min_count=0).as_py())


def _special(texts: pa.Array, null: str) -> npt.NDArray[np.bool_]:
    """The cells that need quotes, or could be read as null."""
    data = np.frombuffer(text_bytes(texts), dtype="uint8")
    marks = np.zeros(len(data), dtype=bool)
    for character in _SPECIAL:
        marks |= data == ord(character)
    offsets = offsets_of(texts)
    special = np.zeros(len(texts), dtype=bool)
    special[np.searchsorted(offsets - offsets[0], np.flatnonzero(marks), side="right") - 1] = True
    # A row of one empty cell would be an empty line, which readers skip.
    special |= np.diff(offsets) == 0
    if null:
        special |= pc.equal(texts, null).fill_null(False).to_numpy(zero_copy_only=False)
    if texts.null_count:
        special &= texts.is_valid().to_numpy(zero_copy_only=False)
    return special
