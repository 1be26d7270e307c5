"""A sheet that Flow wrote, value for value: unlike other readers, it tells an empty text from no cell at all.

Whether Excel has saved it since does not matter. What a cell is, the descriptor says; a number of a column of dates is
a day.

Source: ECMA-376, part 1, 18.3.1.4 "c", 18.4.8 "si", 22.9.2.19 "ST_Xstring".
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path, PurePosixPath
from typing import Any
from xml.etree import ElementTree
from xml.parsers import expat

import pyarrow as pa

from flow_singer.errors import DataError
from flow_singer.reading.csvrows import ROWS, TextRows
from flow_singer.tabular.textarrays import TEXT

_BLOCK_BYTES = 1 << 18
_FIRST_DAY = date(1899, 12, 30).toordinal()
_DAYS_TO_1904 = 1_462
_NUMBERED = re.compile("_x([0-9A-Fa-f]{4})_")
_WORKBOOK = "xl/workbook.xml"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_MOST_DIGITS = 9


class OwnSheet:
    """The first sheet of a workbook that Flow wrote.

    Args:
        path: of the workbook.
        title: of it, for a person.
    """

    def __init__(self, path: Path, title: str) -> None:
        self._title = title
        try:
            self._archive = zipfile.ZipFile(path)
            book = ElementTree.fromstring(self._archive.read(_WORKBOOK))  # noqa: S314 - expat limits what entities make
            self._sheet = self._first_sheet(book)
            self._shared = self._shared_texts()
        except _UNREADABLE as exc:
            raise self._unreadable(exc) from exc
        properties = book.find("{*}workbookPr")
        from_1904 = properties is not None and properties.get("date1904") in ("1", "true")
        self._first_day = _FIRST_DAY + (_DAYS_TO_1904 if from_1904 else 0)
        self._rows = self._all_rows()

    def close(self) -> None:
        """Let go of it."""
        self._archive.close()

    def header(self) -> list[str]:
        """The names of the columns; to be called first.

        Raises:
            DataError: it cannot be read.
        """
        return [text or "" for text in _texts(next(self._rows, []))]

    def rows(self, width: int, dates: Sequence[int | None]) -> Iterator[TextRows]:
        """The rows below them, some at once.

        Args:
            width: how many columns there are.
            dates: places of those whose numbers are days.

        Raises:
            DataError: it cannot be read.
        """
        days = {place for place in dates if place is not None}
        some: list[list[str | None]] = []
        first = 1
        for cells in self._rows:
            row = _texts(cells)
            for place in days:
                if place < len(cells) and (cell := cells[place]) is not None and not cell[0]:
                    row[place] = self._day(cell[1])
            some.append(row[:width] + [None] * (width - len(row)))
            if len(some) == ROWS:
                yield _columns(some, width, first)
                some, first = [], first + ROWS
        if some:
            yield _columns(some, width, first)

    def _day(self, text: str) -> str:
        """The day of a number; what is none stays as it is."""
        whole = text.removesuffix(".0")
        if not whole.isdecimal() or len(whole) > _MOST_DIGITS:
            return text
        try:
            return date.fromordinal(self._first_day + int(whole)).isoformat()
        except (ValueError, OverflowError):
            return text

    def _first_sheet(self, book: ElementTree.Element) -> str:
        found = book.find("{*}sheets/{*}sheet")
        wanted = None if found is None else found.get(_RELATION)
        place = PurePosixPath(_WORKBOOK)
        relations = self._archive.read(str(place.parent / "_rels" / f"{place.name}.rels"))
        for one in ElementTree.fromstring(relations):  # noqa: S314
            if one.get("Id") == wanted:
                target = one.get("Target", "")
                return target[1:] if target.startswith("/") else str(place.parent / target)
        raise KeyError("it has no sheet")

    def _shared_texts(self) -> list[str]:
        """What Excel keeps apart from the cells, once it has saved a workbook."""
        if "xl/sharedStrings.xml" not in self._archive.namelist():
            return []
        root = ElementTree.fromstring(self._archive.read("xl/sharedStrings.xml"))  # noqa: S314
        return [
            _as_it_was(
                "".join(one.text or "" for one in (*item.iterfind("{*}t"), *item.iterfind("{*}r/{*}t")))
            )
            for item in root.iterfind("{*}si")
        ]

    def _all_rows(self) -> Iterator[list[_Cell | None]]:
        reader = _SheetReader(self._shared)
        try:
            with self._archive.open(self._sheet) as file:
                while block := file.read(_BLOCK_BYTES):
                    reader.parse(block)
                    yield from reader.taken()
                reader.parse(b"", last=True)
                yield from reader.taken()
        except _UNREADABLE as exc:
            raise self._unreadable(exc) from exc

    def _unreadable(self, exc: Exception) -> DataError:
        return DataError(f"{self._title} cannot be read as a workbook: {exc}.", "Get the file again.")


_Cell = tuple[bool, str]
"""Whether a cell holds a text, and what stands in it."""
_UNREADABLE = (
    zipfile.BadZipFile,
    KeyError,
    IndexError,
    ValueError,
    EOFError,
    expat.ExpatError,
    ElementTree.ParseError,
)


class _SheetReader:
    """Cells of a sheet, as its XML comes."""

    def __init__(self, shared: Sequence[str]) -> None:
        self._shared = shared
        self._parser = expat.ParserCreate(namespace_separator=" ")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._characters
        self._rows: list[list[_Cell | None]] = []
        self._row: list[_Cell | None] = []
        self._places: dict[str, int] = {}
        self._place = 0
        self._kind = "n"
        self._texts: list[str] = []
        self._takes = False
        self._has_value = False
        self._is_aloud = False
        """Whether what comes says how a text is read aloud."""

    def parse(self, data: bytes, *, last: bool = False) -> None:
        """Read some more."""
        self._parser.Parse(data, last)

    def taken(self) -> list[list[_Cell | None]]:
        """The rows that have come since."""
        rows, self._rows = self._rows, []
        return rows

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        if name == "c":
            letters = attributes.get("r", "").rstrip("0123456789")
            self._place = self._place_of(letters) if letters else len(self._row)
            self._kind = attributes.get("t", "n")
            self._texts, self._has_value = [], False
        elif name in ("v", "t") and not self._is_aloud:
            self._takes = self._has_value = True
        elif name == "rPh":
            self._is_aloud = True
        elif name == "row":
            self._row = []

    def _characters(self, data: str) -> None:
        if self._takes:
            self._texts.append(data)

    def _end(self, name: str) -> None:
        name = name.rpartition(" ")[2]
        if name in ("v", "t"):
            self._takes = False
        elif name == "rPh":
            self._is_aloud = False
        elif name == "c" and self._has_value:
            self._row += [None] * (self._place + 1 - len(self._row))
            self._row[self._place] = self._cell("".join(self._texts))
        elif name == "row":
            self._rows.append(self._row)

    def _cell(self, text: str) -> _Cell:
        match self._kind:
            case "n":
                return False, text
            case "b":
                return True, "true" if text in ("1", "true") else "false"
            case "s":
                return True, self._shared[int(text)]
        return True, _as_it_was(text)

    def _place_of(self, letters: str) -> int:
        place = self._places.get(letters)
        if place is None:
            place = 0
            for letter in letters:
                place = place * 26 + ord(letter) - ord("A") + 1
            place = self._places[letters] = place - 1
        return place


def _as_it_was(text: str) -> str:
    """A text whose characters that XML does not have stand there by their numbers."""
    return _NUMBERED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text


def _texts(cells: Sequence[_Cell | None]) -> list[str | None]:
    return [None if cell is None else cell[1] for cell in cells]


def _columns(rows: Sequence[Sequence[str | None]], width: int, first: int) -> TextRows:
    columns: list[Any] = [pa.array([row[place] for row in rows], TEXT) for place in range(width)]
    return TextRows(columns, first)
