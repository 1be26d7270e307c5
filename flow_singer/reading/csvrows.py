"""CSV to columns of text, block by block, with nothing read into the cells.

pyarrow reads what it knows; the standard library what it does not (comments, blanks behind a delimiter).

Source: Table Dialect, Data Package v1 and v2.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import itertools
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pv

from flow_singer.errors import ConfigError, DataError
from flow_singer.reading.readsettings import OnError
from flow_singer.tabular.textarrays import TEXT
from flow_singer.wording import count_of

DELIMITERS = (",", ";", "\t", "|")
"""What is looked for between cells, where nothing says it."""

_BLOCK_BYTES = 4 << 20
_MOST_BLOCK_BYTES = 1 << 30
ROWS = 5_000
"""How many rows at once: so many columns of cells fit into the processor's caches."""
_RAGGED = re.compile(r"Expected \d+ columns, got (\d+): (.*)", re.DOTALL)
_FIELD_LIMIT = 1 << 30


class TextRows(NamedTuple):
    """Rows of a file.

    Attributes:
        columns: n texts each, null where a cell says so by itself.
        first: the number of the first of them in its file, from 1, the header not counted.
    """

    columns: list[pa.Array]
    first: int

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.columns[0])


@dataclass(frozen=True)
class CsvDialect:
    """How a file is written.

    Attributes:
        header_rows: how many rows name the columns: the last of them does.
        skip_rows: lines above these.
        null: what stands for null, unquoted; None where cells are looked at later.
    """

    delimiter: str = ","
    quote: str | None = '"'
    double_quote: bool = True
    escape: str | None = None
    header_rows: int = 1
    skip_rows: int = 0
    comment: str | None = None
    skip_space: bool = False
    null: str | None = None

    @classmethod
    def of(cls, dialect: Mapping[str, Any], *, path: str, null: str | None) -> CsvDialect:
        """Read a Table Dialect, or a v1 CSV Dialect.

        Raises:
            ConfigError: the delimiter or a quote is not one character.
        """
        inner = dialect.get("csv")
        if isinstance(inner, Mapping):  # as frictionless writes it
            dialect = {**dialect, **inner}
        tabs = path.lower().removesuffix(".gz").endswith((".tsv", ".tab"))
        delimiter = dialect.get("delimiter", "\t" if tabs else ",")
        quote = dialect.get("quoteChar", '"')
        for name, mark in (("delimiter", delimiter), ("quoteChar", quote)):
            if not (isinstance(mark, str) and len(mark) == 1) and not (
                name == "quoteChar" and mark in (None, "")
            ):
                raise ConfigError(
                    f"The dialect of {path} has the {name} {mark!r}, which is not one character.",
                    "Correct it in the descriptor.",
                )
        rows = dialect.get("headerRows")
        header_rows = 1 if dialect.get("header", True) else 0
        skip = int(dialect.get("flow:skipRows") or 0)
        if header_rows and isinstance(rows, list) and rows:
            skip, header_rows = int(rows[0]) - 1, len(rows)
        return cls(
            delimiter,
            quote or None,
            bool(dialect.get("doubleQuote", True)),
            dialect.get("escapeChar") or None,
            header_rows,
            skip,
            dialect.get("commentChar") or None,
            bool(dialect.get("skipInitialSpace", False)),
            null,
        )

    @property
    def is_plain(self) -> bool:
        """Whether pyarrow knows it all."""
        return self.comment is None and not self.skip_space and ord(self.delimiter) < 128

    def reader(self, lines: Iterator[str]) -> Iterator[list[str]]:
        """The rows of some lines by the standard library."""
        csv.field_size_limit(_FIELD_LIMIT)
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quote,
            doublequote=self.double_quote,
            escapechar=self.escape,
            quoting=csv.QUOTE_NONE if self.quote is None else csv.QUOTE_MINIMAL,
            skipinitialspace=self.skip_space,
        )


@dataclass
class CsvFile:
    """One file.

    Args:
        path: on the disk.
        title: as a person knows it.
        is_gzip: whether it is packed.
        encoding: as Python names it.
        dialect: how it is written.
        on_error: what becomes of a row that has more or fewer cells than the header.
        most_rows: how many rows at once.
    """

    path: Path
    title: str
    is_gzip: bool
    encoding: str
    dialect: CsvDialect
    on_error: OnError = "error"
    most_rows: int = ROWS
    skipped: int = field(default=0, init=False)
    """Rows that were left out, as they have more or fewer cells than the header."""

    def header(self) -> list[str] | None:
        """The names of the columns; None where the file has none."""
        if not self.dialect.header_rows:
            return None
        with self._text() as text:
            rows = self._rows_of(text)
            try:
                found = list(itertools.islice(rows, self.dialect.header_rows))
            except (UnicodeError, EOFError, OSError, csv.Error) as exc:
                raise self._wrong(exc) from exc
        if not found:
            return []
        return found[-1]

    def rows(self, width: int) -> Iterator[TextRows]:
        """The rows below the header, with `width` cells each.

        Raises:
            DataError: a row has more or fewer; the file is not of its encoding, or is cut.
        """
        yield from self._by_arrow(width) if self._is_for_arrow else self._by_library(width)

    @property
    def _is_for_arrow(self) -> bool:
        """Whether Arrow reads it without Python in its threads: those may outlive the interpreter, and then abort.

        They would need it for other encodings than UTF-8, and to be asked about rows of another length.
        """
        is_utf8 = self.encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig", "ascii")
        return (
            self.dialect.is_plain and is_utf8 and (self.on_error == "error" or self.dialect.null is not None)
        )

    # ------------------------------------------------------------------ pyarrow

    def _by_arrow(self, width: int) -> Iterator[TextRows]:
        done = 0
        block = _BLOCK_BYTES
        while True:
            try:
                for rows in self._arrow_blocks(width, block, done):
                    done += rows.size
                    yield rows
                return
            except pa.ArrowInvalid as exc:
                if "straddling" in str(exc) and block < _MOST_BLOCK_BYTES:
                    block *= 8  # a row is larger than a block
                    continue
                if (found := _RAGGED.search(str(exc))) is not None:
                    raise self._ragged(self._line_of_ragged(width), int(found[1]), width, found[2]) from exc
                raise self._wrong(exc) from exc

    def _arrow_blocks(self, width: int, block: int, done: int) -> Iterator[TextRows]:
        dialect = self.dialect
        names = [str(number) for number in range(width)]
        null = dialect.null
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(
                pa.input_stream(str(self.path), compression="gzip" if self.is_gzip else None)
            )
            try:
                reader = pv.open_csv(
                    file,
                    pv.ReadOptions(
                        block_size=block,
                        column_names=names,
                        skip_rows=dialect.skip_rows,
                        skip_rows_after_names=dialect.header_rows + done,
                        use_threads=False,
                    ),
                    pv.ParseOptions(
                        delimiter=dialect.delimiter,
                        quote_char=dialect.quote or False,
                        double_quote=dialect.double_quote,
                        escape_char=dialect.escape or False,
                        newlines_in_values=True,
                    ),
                    pv.ConvertOptions(
                        column_types=dict.fromkeys(names, TEXT),
                        strings_can_be_null=null is not None,
                        quoted_strings_can_be_null=False,
                        null_values=[] if null is None else [null],
                        check_utf8=True,
                    ),
                )
            except pa.ArrowInvalid as exc:
                if "Empty CSV" in str(exc) or ("skip" in str(exc) and "rows" in str(exc)):
                    return
                raise
            stack.enter_context(reader)
            first = done + 1
            while True:
                try:
                    batch = reader.read_next_batch()
                except StopIteration:
                    return
                for start in range(0, batch.num_rows, self.most_rows):
                    part = batch.slice(start, self.most_rows)
                    yield TextRows(list(part.columns), first + start)
                first += batch.num_rows

    # ------------------------------------------------------------------ standard library

    def _by_library(self, width: int) -> Iterator[TextRows]:
        null = self.dialect.null
        with self._text() as text:
            rows = self._rows_of(text)
            for _ in range(self.dialect.header_rows):
                next(rows, None)
            first = 1
            while True:
                taken: list[list[str]] = []
                try:
                    for row in itertools.islice(rows, self.most_rows):
                        if len(row) == width:
                            taken.append(row)
                        elif self.on_error == "error":
                            text_of_row = self.dialect.delimiter.join(row)
                            raise self._ragged(self._line_of_ragged(width), len(row), width, text_of_row)
                        else:
                            self.skipped += 1
                except (UnicodeError, EOFError, OSError, csv.Error) as exc:
                    raise self._wrong(exc) from exc
                if not taken:
                    return
                columns = [
                    pa.array([None if cell == null else cell for cell in column], TEXT)
                    for column in zip(*taken, strict=True)
                ]
                yield TextRows(columns, first)
                first += len(taken)

    def _rows_of(self, text: IO[str]) -> Iterator[list[str]]:
        for _ in range(self.dialect.skip_rows):
            text.readline()
        comment = self.dialect.comment
        lines: Iterator[str] = iter(text)
        if comment is not None:
            lines = (line for line in text if not line.startswith(comment))
        return (row for row in self.dialect.reader(lines) if row)

    # ------------------------------------------------------------------ both

    def _bytes(self) -> IO[bytes]:
        return gzip.open(self.path) if self.is_gzip else self.path.open("rb")  # type: ignore[return-value]

    def _text(self) -> io.TextIOWrapper:
        encoding = "utf-8-sig" if self.encoding.lower() in ("utf-8", "utf8") else self.encoding
        try:
            return io.TextIOWrapper(self._bytes(), encoding=encoding, newline="")
        except LookupError as exc:
            raise ConfigError(
                f"{self.title} is said to be in the encoding {self.encoding!r}, which Python does not know.",
                "Common ones are utf-8, cp1252 and utf-16: set 'encoding'.",
            ) from exc

    def _line_of_ragged(self, width: int) -> int | None:
        """The number of the line of the first row that has more or fewer cells: those above the header count, too."""
        dialect = self.dialect
        comments = 0
        with self._text() as text:
            for _ in range(dialect.skip_rows):
                text.readline()
            lines: Iterator[str] = iter(text)
            reader = dialect.reader(lines)
            begin = 1
            for number, row in enumerate(reader):
                is_comment = dialect.comment is not None and row and row[0].startswith(dialect.comment)
                comments += bool(is_comment)
                if row and not is_comment and len(row) != width and number - comments >= dialect.header_rows:
                    return dialect.skip_rows + begin
                begin = reader.line_num + 1  # type: ignore[attr-defined]
        return None

    def _ragged(self, number: int | None, got: int, width: int, text: str) -> DataError:
        where = "" if number is None else f", line {number}"
        shown = text if len(text) <= 80 else f"{text[:80]}…"
        return DataError(
            f"{self.title}{where}: {count_of(got, 'cell')} instead of {width}: {shown!r}",
            "Correct the row, name another 'delimiter', or leave such rows out with 'on_error': 'skip'.",
        )

    def _wrong(self, exc: Exception) -> DataError:
        text = str(exc)
        if isinstance(exc, UnicodeError) or "UTF8" in text or "codec can't" in text:
            return DataError(
                f"{self.title} is not in the encoding {self.encoding}.",
                "Name the one it is in: 'encoding', such as cp1252, latin-1 or utf-16.",
            )
        if isinstance(exc, EOFError | gzip.BadGzipFile) or "Compressed file ended" in text:
            return DataError(f"{self.title} is cut or no gzip file: {text}.", "Get the file again.")
        return DataError(
            f"{self.title} cannot be read as CSV: {text}.", "Is the 'delimiter' right, and the quotes?"
        )


def by_unsaid_delimiter(
    file: CsvFile, columns: Sequence[str], said: Mapping[str, Any], notice: Callable[[str], None]
) -> CsvFile:
    """The file, divided by the one mark by which its header has the columns of its schema, where no mark is said.

    Args:
        file: as the standard has it: divided by commas, or by tabs where its name ends so.
        columns: that the schema names; of a single one, nothing would tell.
        said: the dialect of its descriptor.
        notice: told of another mark.
    """
    inner = said.get("csv")
    if len(columns) < 2 or "delimiter" in said or (isinstance(inner, Mapping) and "delimiter" in inner):
        return file
    if not file.dialect.header_rows or _are_named(file.header(), columns):
        return file
    others = [
        replace(file, dialect=replace(file.dialect, delimiter=one))
        for one in DELIMITERS
        if one != file.dialect.delimiter
    ]
    found = next((one for one in others if _are_named(one.header(), columns)), None)
    if found is None:
        return file
    mark = shown_delimiter(found.dialect.delimiter)
    notice(f"{file.title}: its cells are divided by {mark}, which its descriptor does not say.")
    return found


def _are_named(header: Sequence[str] | None, columns: Sequence[str]) -> bool:
    """Whether a header has just the columns of a schema, in any order."""
    names = [name.strip() for name in _without_mark(header or [])]
    return sorted(names) == sorted(name.strip() for name in columns)


def shown_delimiter(mark: str) -> str:
    """A delimiter as a message has it."""
    return "a tab" if mark == "\t" else mark


def _without_mark(names: Sequence[str]) -> list[str]:
    """Names without the byte order mark that a file may begin with: the first of them may have it itself."""
    return [name.lstrip("\ufeff") if not at else name for at, name in enumerate(names)]


def check_header(
    header: Sequence[str] | None,
    columns: Sequence[str],
    *,
    title: str,
    trust: bool,
    notice: Callable[[str], None],
) -> list[int | None]:
    """Find the columns of a schema in a file.

    Args:
        header: of the file; None where it has none.
        columns: that the schema names, in order.
        title: the file.
        trust: whether columns may be missing, or be there in addition.
        notice: called with what a person should hear.

    Returns:
        The position of each column in the file; None where it lacks it.

    Raises:
        DataError: the file has other columns.
    """
    if header is None:
        return list(range(len(columns)))
    if _without_mark(header) == _without_mark(columns):
        return list(range(len(columns)))
    stripped = [name.strip() for name in header]
    places = {name: place for place, name in reversed(list(enumerate(stripped)))}
    missing = [name for name in columns if name.strip() not in places]
    more = [name for name in stripped if name not in {column.strip() for column in columns}]
    if missing or more:
        said = "; ".join(
            filter(
                None,
                [
                    f"it lacks {', '.join(map(repr, missing[:5]))}" if missing else "",
                    f"it also has {', '.join(map(repr, more[:5]))}" if more else "",
                ],
            )
        )
        if not trust:
            raise DataError(
                f"The header of {title} is not what its schema says: {said}.",
                "Correct the schema, or go on with 'trust': what is missing is null, what is more is left out.",
            )
        notice(f"the header of {title} is not what its schema says: {said}.")
    return [places.get(name.strip()) for name in columns]
