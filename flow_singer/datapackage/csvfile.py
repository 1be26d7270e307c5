r"""CSV: `\r\n` at the end of rows, quotes where they are needed, UTF-8 without a mark.

A null is an empty cell and an empty text is `""`, which PostgreSQL, DuckDB and Flow tell apart, and Table
Schema does not: where one column holds both, say so, or write nulls as `\N`.

Source: Table Dialect, Data Package v2 (its defaults); RFC 4180.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from flow_singer.datapackage.texts import plain_texts
from flow_singer.schema import Property
from flow_singer.tabular.batch import Column
from flow_singer.tabular.text import TEXT, text_bytes

LINE_END = "\r\n"
_SPECIAL = '",\r\n'
"""A lone \\r is quoted too: readers that accept it as the end of a row would split the row there."""


class CsvLayout:
    """How rows become lines.

    Args:
        null: what stands for null.
    """

    end_characters = len(LINE_END)

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
            null = self._null_of_row(len(names))
            return pa.array([",".join([null] * len(names)) + LINE_END] * count, TEXT)
        parts = [
            pa.scalar(None, TEXT) if column is None else self._cells(one, column) for one, column in cells
        ]
        null = self._null_of_row(len(names))
        end = parts.pop()
        last = pa.scalar(null, TEXT) if isinstance(end, pa.Scalar) else end.fill_null(null)
        ended = pc.binary_join_element_wise(last, pa.scalar(LINE_END, TEXT), pa.scalar("", TEXT))
        if not parts:
            return ended
        return pc.binary_join_element_wise(
            *parts, ended, pa.scalar(",", TEXT), null_handling="replace", null_replacement=null
        )

    def padding(self, names: Sequence[str], first: bool) -> str:
        """What ends a row that was written before the columns `names` were known."""
        joined = ",".join([self.null] * len(names))
        return (joined if first else "," + joined) + LINE_END

    def _null_of_row(self, columns: int) -> str:
        # Readers skip a line that is empty altogether.
        return self.null if self.null or columns > 1 else '""'

    def _cells(self, one: Property, column: Column) -> pa.Array:
        texts = plain_texts(one, column)
        if one.kind in ("integer", "number", "decimal", "boolean"):
            return texts
        special = self._special(texts)
        if special is None:
            return texts
        mark = pa.scalar('"', TEXT)
        quoted = pc.binary_join_element_wise(
            mark, pc.replace_substring(texts, '"', '""'), mark, pa.scalar("", TEXT)
        )
        return pc.if_else(special, quoted, texts)

    def _special(self, texts: pa.Array) -> pa.Array | None:
        """The cells that need quotes, or could be read as null; None where there are none.

        A look at the bytes of all cells tells which character need be looked for in each of them.
        """
        data = bytes(text_bytes(texts))
        found = [pc.match_substring(texts, character) for character in _SPECIAL if character.encode() in data]
        if not self.null or self.null.encode() in data:
            found.append(pc.equal(texts, self.null))
        if self.null:  # a row of one empty cell would be an empty line, which readers skip
            found.append(pc.equal(texts, ""))
        special = functools.reduce(pc.or_, found) if found else None
        return special if special is not None and pc.any(special, min_count=0).as_py() else None

    def _quoted_name(self, name: str) -> str:
        return '"' + name.replace('"', '""') + '"' if re.search('[",\r\n]', name) or not name else name
