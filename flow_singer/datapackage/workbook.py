"""One workbook of one sheet, written row by row.

The libraries for it write a double with 16 digits, so that 0.30000000000000004 would come back as 0.3; and they take
cells one by one. What is needed of the format is little.

Source: ECMA-376, parts 1 and 2 (SpreadsheetML, Open Packaging Conventions).
"""

from __future__ import annotations

import contextlib
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow as pa

from flow_singer.datapackage.sheetcells import SheetCells, cell_texts
from flow_singer.tabular.textarrays import TEXT, join, text_bytes

SHEET = "data"
MOST_BYTES = (1 << 31) - (1 << 20)
"""Of a sheet before it is packed: past 2 GiB a zip file needs an extension that not every reader knows."""

_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_SHEET_PATH = "xl/worksheets/sheet1.xml"
_PARTS = {
    "[Content_Types].xml": (
        '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_TYPE}.sheet.main+xml"/>'
        f'<Override PartName="/{_SHEET_PATH}" ContentType="{_TYPE}.worksheet+xml"/>'
        f'<Override PartName="/xl/styles.xml" ContentType="{_TYPE}.styles+xml"/></Types>'
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_DOCUMENT}/officeDocument" '
        'Target="xl/workbook.xml"/></Relationships>'
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_DOCUMENT}"><bookViews><workbookView/></bookViews>'
        f'<sheets><sheet name="{SHEET}" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_DOCUMENT}/worksheet" '
        f'Target="worksheets/sheet1.xml"/><Relationship Id="rId2" Type="{_DOCUMENT}/styles" '
        'Target="styles.xml"/></Relationships>'
    ),
    # The second of `cellXfs` is `DATE_STYLE`; the rest is what a workbook has to have.
    "xl/styles.xml": (
        f'<styleSheet xmlns="{_MAIN}">'
        '<numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
        '<fonts count="1"><font><sz val="11"/><name val="Calibri"/><family val="2"/></font></fonts>'
        '<fills count="2"><fill><patternFill patternType="none"/></fill>'
        '<fill><patternFill patternType="gray125"/></fill></fills>'
        '<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
        '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
        '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
        '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
        '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
    ),
}


def column_letters(number: int) -> str:
    """The name of a column, from 0: A, B, …, Z, AA."""
    letters = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        letters = chr(ord("A") + rest) + letters
    return letters


class Workbook:
    """A new workbook; leaving the block ends it.

    Args:
        path: where there is nothing yet.
        names: of the columns.
        rows: how many rows come below their names.

    Attributes:
        size_bytes: of the sheet so far, before it is packed.
    """

    def __init__(self, path: Path, names: Sequence[str], rows: int) -> None:
        self.size_bytes = 0
        self._letters = [column_letters(i) for i in range(len(names))]
        self._row = 1
        self._stack = contextlib.ExitStack()
        with contextlib.ExitStack() as stack:
            self._file = stack.enter_context(path.open("xb"))
            stack.callback(self._sync)
            archive = stack.enter_context(zipfile.ZipFile(self._file, "w"))
            for name, text in _PARTS.items():
                archive.writestr(_member(name), _HEAD + text)
            self._sheet = stack.enter_context(archive.open(_member(_SHEET_PATH), "w"))
            stack.callback(self._write, b"</sheetData></worksheet>")
            last = f"{self._letters[-1]}{rows + 1}" if names else "A1"
            self._write(
                f'{_HEAD}<worksheet xmlns="{_MAIN}"><dimension ref="A1:{last}"/><sheetViews>'
                '<sheetView workbookViewId="0"><pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" '
                'state="frozen"/></sheetView></sheetViews><sheetData>\n'.encode()
            )
            self.append([SheetCells(None, pa.array([name], TEXT)) for name in names], 1)
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def append(self, columns: Sequence[SheetCells | None], count: int) -> None:
        """Write rows.

        Args:
            columns: n cells each; None where all are null.
            count: n.
        """
        rows = pa.array(range(self._row, self._row + count), pa.int64()).cast(TEXT)
        self._row += count
        cells = [
            cell_texts(column, letters, rows)
            for column, letters in zip(columns, self._letters, strict=True)
            if column is not None
        ]
        lines: pa.Array = join('<row r="', rows, '">', *cells, "</row>\n")
        self._write(text_bytes(lines))

    def _write(self, data: bytes | memoryview) -> None:
        self._sheet.write(data)
        self.size_bytes += len(data)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())


def _member(name: str) -> zipfile.ZipInfo:
    """Of no time, so that the same rows give the same bytes."""
    made = zipfile.ZipInfo(name)
    made.compress_type = zipfile.ZIP_DEFLATED
    return made
