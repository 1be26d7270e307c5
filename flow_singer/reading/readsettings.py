"""What a person may say about data that is to be read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

OnError = Literal["error", "skip", "null"]


@dataclass(frozen=True)
class ReadSettings:
    """How data are to be read; what is None is found out.

    Attributes:
        encoding: of text files, as Python names it.
        delimiter: between the cells of CSV.
        header_row: which row of CSV or of a sheet names the columns, from 1; 0: none does.
        types: Table Schema types of columns, by name.
        null_values: texts that stand for null.
        date_format: of dates in CSV, as `%d.%m.%Y`.
        sheet: of a workbook; None for all.
        sample_rows: how many rows of a file types are inferred from; None for all.
        on_error: what becomes of a cell that does not fit, or a row of another length: the read stops; the row is
            left out; the cell is null (a row is left out).
        key: the columns that identify a row.
        stream: the name of the stream of a file.
        trust: go on where a descriptor does not fit its data.
        replication_key: the column that incremental runs go by.
        format: of files whose names do not tell.
    """

    encoding: str | None = None
    delimiter: str | None = None
    header_row: int | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    null_values: Sequence[str] | None = None
    date_format: str | None = None
    sheet: str | None = None
    sample_rows: int | None = None
    on_error: OnError = "error"
    key: Sequence[str] = ()
    stream: str | None = None
    trust: bool = False
    replication_key: str | None = None
    format: str | None = None
