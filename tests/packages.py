"""Packages as readers that know nothing of Flow see them: the csv module, json, pyarrow, and the descriptor.

Values are compared with the JSON text that they came as; `written` says whether numbers have to keep their
digits (as in a stream that only passes), or their value (as behind a function of rows, which sees numbers).
"""

from __future__ import annotations

import contextlib
import csv
import gc
import gzip
import io
import json
import re
import struct
import warnings
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from flow_singer.datapackage.sink import LoadLimits, load_package
from flow_singer.datapackage.writer import PackageWriter
from flow_singer.errors import FlowError

FORMATS = ("csv", "jsonl", "parquet", "xlsx")
"""Each in its own way; those of text may be packed besides."""
PACKED = ("csv.gz", "jsonl.gz")
ABSENT_TEXT = "null"


class Written(str):
    """A number as it is written."""

    __slots__ = ()


def parsed(text: str, *, written: bool = True) -> Any:
    """A JSON text; numbers stay apart from texts and booleans."""
    number = Written if written else _number
    return json.loads(text, parse_int=number, parse_float=number)


def _number(text: str) -> Decimal | Written:
    """Its value; the text of a number that `Decimal` cannot hold, with an exponent of twenty digits."""
    try:
        return Decimal(text)
    except InvalidOperation:
        return Written(text)


def same(a: Any, b: Any) -> bool:
    """Whether two parsed values are one, with their types."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def write(
    folder: Path,
    blocks: Iterable[bytes],
    form: str,
    *,
    batch: int = 2,
    csv_null: str | None = None,
    rejects: list[tuple[int, str | None, bytes, FlowError]] | None = None,
) -> None:
    """Write messages as a package; small batches, so that columns cross their borders."""
    reject = None if rejects is None else lambda *one: rejects.append(one)
    with PackageWriter(folder, format=form, csv_null=csv_null) as writer:  # type: ignore[arg-type]
        loaded = load_package(blocks, writer, limits=LoadLimits(batch_records=batch), reject=reject)
        assert loaded.incomplete is None
        writer.publish()


Kinds = Mapping[str, str]


def check(
    folder: Path,
    kinds: Kinds,
    rows: list[dict[str, str]],
    *,
    each: list[Kinds] | None = None,
    written: bool = True,
) -> dict[str, Any]:
    """Check that the one stream of a package holds these rows and nothing else.

    Args:
        folder: the package.
        kinds: the kind of each property.
        rows: JSON texts by property; a key that is absent is null.
        each: the kinds that each row came under, where the SCHEMA changed.
        written: see above.

    Returns:
        The descriptor of its resource.
    """
    (resource,) = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))["resources"]
    fields = resource["schema"]["fields"]
    columns = {field.get("flow:property", field["name"]): field["name"] for field in fields}
    assert len(set(columns.values())) == len(fields) == len(columns)
    assert set(columns) == set(kinds)
    assert resource["flow:records"] == len(rows)
    reader = {"csv": _check_csv, "jsonl": _check_jsonl, "parquet": _check_parquet, "xlsx": _check_xlsx}[
        resource["format"]
    ]
    reader(folder / resource["path"], resource, columns, each or [kinds] * len(rows), rows, written)
    return dict(resource)


def frictionless_report(folder: Path) -> Any:
    """What frictionless says of a package."""
    import frictionless

    with _left_open():
        return frictionless.validate(str(folder / "datapackage.json"))


def frictionless_rows(folder: Path, name: str = "s") -> list[dict[str, Any]]:
    """The rows of a resource as frictionless reads them."""
    import frictionless

    with _left_open():
        resource = frictionless.Package(str(folder / "datapackage.json")).get_resource(name)
        return [row.to_dict() for row in resource.read_rows()]


@contextlib.contextmanager
def _left_open() -> Iterator[None]:
    """Frictionless leaves a file that it unpacks open."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()


def sheet_of(path: Path) -> tuple[list[str], list[list[Any]]]:
    """The names of a workbook's columns and its rows, as openpyxl reads them: texts, numbers, booleans, dates, None."""
    import openpyxl
    from openpyxl.utils.escape import unescape

    book = openpyxl.load_workbook(path, read_only=True)  # the other way, it leaves out rows without a cell
    (sheet,) = book.worksheets
    rows = []
    for row in sheet.iter_rows():
        assert not any(cell.data_type in ("f", "e") for cell in row)
        values = [unescape(cell.value) if isinstance(cell.value, str) else cell.value for cell in row]
        rows.append([one.date().isoformat() if isinstance(one, datetime) else one for one in values])
    book.close()
    return ["" if name is None else name for name in rows[0]], rows[1:]


def data_of(path: Path) -> bytes:
    """What is in a file, which may be packed."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


# -------------------------------------------------------------------------------------------- JSON Lines


def _check_jsonl(
    path: Path,
    resource: Mapping[str, Any],
    columns: Mapping[str, str],
    each: list[Kinds],
    rows: list[dict[str, str]],
    written: bool,
) -> None:
    lines = data_of(path).decode().split("\n")
    assert lines.pop() == ""
    assert len(lines) == len(rows)
    for line, row, kinds in zip(lines, rows, each, strict=True):
        found = parsed(line, written=written)
        assert list(found) == [field["name"] for field in resource["schema"]["fields"]]
        for name, column in columns.items():
            value, expected = found[column], parsed(row.get(name, ABSENT_TEXT), written=written)
            if kinds.get(name) == "integer" and isinstance(expected, Written):
                assert isinstance(value, Written)
                value, expected = Decimal(value), Decimal(expected)
            assert same(value, expected), (name, value, expected)


# --------------------------------------------------------------------------------------------------- CSV

_CELL = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)')


def csv_cells(text: str) -> list[list[tuple[str, bool]]]:
    """Cells as (text, whether it is quoted): the csv module does not tell the empty ones apart.

    Source: RFC 4180.
    """
    rows: list[list[tuple[str, bool]]] = [[]]
    position = 0
    while position < len(text):
        found = _CELL.match(text, position)
        assert found is not None, text[position : position + 80]
        quoted = found[1] is not None
        rows[-1].append((found[1].replace('""', '"') if quoted else found[2], quoted))
        if found[3] != ",":
            rows.append([])
        position = found.end()
    assert rows.pop() == []
    return rows


def _check_csv(
    path: Path,
    resource: Mapping[str, Any],
    columns: Mapping[str, str],
    each: list[Kinds],
    rows: list[dict[str, str]],
    written: bool,
) -> None:
    text = data_of(path).decode("utf-8")
    head, *cells = csv_cells(text)
    assert [[text for text, _ in row] for row in [head, *cells]] == list(
        csv.reader(io.StringIO(text, newline=""))
    )
    names = [name for name, _ in head]
    types = {field["name"]: field["type"] for field in resource["schema"]["fields"]}
    assert names == list(types)
    (null,) = resource["schema"]["missingValues"]
    assert len(cells) == len(rows)
    for found, row, kinds in zip(cells, rows, each, strict=True):
        for name, column in columns.items():
            cell, quoted = found[names.index(column)]
            expected = row.get(name, ABSENT_TEXT)
            if expected == "null":
                # A line without a character would be no row.
                assert (cell, quoted) == (null, null == "" and len(columns) == 1), name
                continue
            assert (cell, quoted) != (null, False), name
            kind = kinds.get(name, "json")
            if types[column] in ("any", "object", "array"):
                assert _is_json(cell), (name, cell, expected)
                if cell == expected or same(parsed(cell, written=written), parsed(expected, written=written)):
                    continue
                # Rows from before it became such a column: a number may be spelt otherwise.
                assert kind in _BARE_JSON, (name, cell, expected)
            assert _is_text_of(cell, expected, kind, written), (name, cell, expected)


_BARE_JSON = ("integer", "number", "decimal", "boolean")
"""Kinds whose cells are JSON in any column, but for how a number is spelt."""


def _is_text_of(cell: str, expected: str, kind: str, written: bool) -> bool:
    """Whether a cell of plain text says what a JSON text says."""
    if kind == "integer":
        return re.fullmatch(r"-?[0-9]+", cell) is not None and Decimal(cell) == Decimal(expected)
    if kind in ("number", "decimal") and _NUMBER.fullmatch(expected) and _NUMBER.fullmatch(cell):
        # Python's Decimal has no exponents of twenty digits; the same text is the same number.
        return cell == expected or (not written and Decimal(cell) == Decimal(expected))
    if kind == "boolean":
        return cell == expected
    value = parsed(expected, written=written)
    if isinstance(value, str) and not isinstance(value, Written):
        return cell == value
    return kind == "json" and _is_json(cell) and same(parsed(cell, written=written), value)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


# ----------------------------------------------------------------------------------------------- Parquet


def _check_parquet(
    path: Path,
    resource: Mapping[str, Any],
    columns: Mapping[str, str],
    each: list[Kinds],
    rows: list[dict[str, str]],
    written: bool,
) -> None:
    table = pq.read_table(path)
    assert table.column_names == [field["name"] for field in resource["schema"]["fields"]]
    assert table.num_rows == len(rows)
    for name, column in columns.items():
        found = table.column(table.column_names.index(column))
        kind = found.type
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):  # as numbers: Python has no year 10000
            assert kind.unit == "us" if pa.types.is_timestamp(kind) else kind == pa.date32()
            found = found.cast(pa.int64() if pa.types.is_timestamp(kind) else pa.int32())
        changed = len(set(map(id, each))) > 1
        for value, row, kinds in zip(found.to_pylist(), rows, each, strict=True):
            expected = row.get(name, ABSENT_TEXT)
            if expected == "null":
                assert value is None, name
            else:
                assert value is not None, (name, expected)
                # A column that changed its property is of the wider kind: all JSON, say.
                possible = {kinds.get(name, "json"), *(("json", "number") if changed else ())}
                if not any(_is_value_of(value, kind, expected, one, written) for one in possible):
                    raise AssertionError(name, kind, value, expected)


_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


def _is_value_of(value: Any, type_: pa.DataType, expected: str, kind: str, written: bool) -> bool:
    """Whether a cell of a Parquet column is what a JSON text says, to the last bit."""
    if pa.types.is_large_string(type_):
        if kind == "json":
            return _is_json(value) and same(parsed(value, written=written), parsed(expected, written=written))
        return _is_text_of(value, expected, kind, written)
    plain = parsed(expected)
    if pa.types.is_boolean(type_):
        return bool(value is plain)
    if pa.types.is_timestamp(type_):
        return bool(value == microseconds(plain, zoned=type_.tz == "UTC"))
    if pa.types.is_date(type_):
        assert re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", plain)
        return bool(value == date.fromisoformat(plain).toordinal() - _EPOCH)
    if not _NUMBER.fullmatch(plain) or isinstance(plain, Written) == (kind == "decimal-text"):
        return False
    if pa.types.is_floating(type_):
        bits = struct.pack("d", value) == struct.pack("d", float(plain))
        return bits and Decimal(repr(value)) == Decimal(plain)
    return Decimal(value) == Decimal(plain)


# ------------------------------------------------------------------------------------------------- Excel


def _check_xlsx(
    path: Path,
    resource: Mapping[str, Any],
    columns: Mapping[str, str],
    each: list[Kinds],
    rows: list[dict[str, str]],
    written: bool,
) -> None:
    names, cells = sheet_of(path)
    types = {field["name"]: field["type"] for field in resource["schema"]["fields"]}
    assert names == list(types)
    assert len(cells) == len(rows)
    for found, row, kinds in zip(cells, rows, each, strict=True):
        for name, column in columns.items():
            value, expected = found[names.index(column)], row.get(name, ABSENT_TEXT)
            if expected == "null":
                assert value is None, name
                continue
            assert value is not None, (name, expected)
            kind = kinds.get(name, "json")
            if isinstance(value, bool):
                assert value is parsed(expected), (name, value, expected)
            elif isinstance(value, int | float):
                number = json.loads(expected) if kind == "decimal-text" else expected
                assert Decimal(repr(value)) == Decimal(number), (name, value, expected)
            elif types[column] in ("any", "object", "array") and _is_json(value):
                same_json = same(parsed(value, written=written), parsed(expected, written=written))
                assert same_json or kind in _BARE_JSON, (name, value, expected)
            else:
                assert _is_text_of(value, expected, kind, written), (name, value, expected)


_EPOCH = date(1970, 1, 1).toordinal()
_STAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[T ]([0-9]{2})(?::([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?)?(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


def microseconds(text: str, *, zoned: bool) -> int | None:
    """Microseconds since 1970 of an RFC 3339 text, in UTC where it has a zone; None where it is no such time."""
    found = _STAMP.fullmatch(text)
    if found is None:
        return None
    day, hour, minute, second, fraction, offset = found.groups()
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    nanoseconds = int((fraction or "").ljust(9, "0"))
    try:
        days = date.fromisoformat(day).toordinal() - _EPOCH
    except ValueError:
        return None
    if hours > 23 or minutes > 59 or seconds > 59 or nanoseconds % 1000 or zoned != (offset is not None):
        return None
    shift = 0
    if offset and offset != "Z":
        digits = offset[1:].replace(":", "").ljust(4, "0")
        if int(digits[:2]) > 23 or int(digits[2:]) > 59:
            return None
        shift = (int(digits[:2]) * 60 + int(digits[2:])) * (-60 if offset[0] == "-" else 60)
    return (days * 86_400 + hours * 3600 + minutes * 60 + seconds - shift) * 10**6 + nanoseconds // 1000
