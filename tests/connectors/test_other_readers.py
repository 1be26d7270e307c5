"""What Flow wrote is what others read: Frictionless, pandas, DuckDB and polars, value for value, in every format.

Each reader is a process of its own, in which the expression of a test stands, as a person writes it. DuckDB and
polars are installed for these tests alone, beside Flow's environment; the other two come with Flow.

Types that a reader is told are those of the Table Schema. Where a reader knows no better, its test says so.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from command import Result

from .publisheddata import install

Flow = Callable[..., Result]

INSTALLED = ["duckdb==2.0.1", "polars==2.1.0", "polars-runtime-32==2.1.0"]
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "load.md"

NULLABLE: dict[str, dict[str, Any]] = {
    "big": {"type": "integer"},
    "huge": {"type": "integer", "maximum": 2**70},
    "amount": {"type": "number", "multipleOf": 0.01},
    "exact": {"type": "string", "format": "singer.decimal"},
    "ratio": {"type": "number"},
    "flag": {"type": "boolean"},
    "day": {"type": "string", "format": "date"},
    "at": {"type": "string", "format": "date-time"},
    "clock": {"type": "string", "format": "time"},
    "note": {"type": "string"},
    "nested": {"type": "object"},
    "tags": {"type": "array"},
    "mixed": {"type": ["integer", "string", "boolean"]},
}
SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        **{
            name: {**one, "type": ["null", *([one["type"]] if isinstance(one["type"], str) else one["type"])]}
            for name, one in NULLABLE.items()
        },
    },
}
RECORDS = [
    {
        "id": 1,
        "big": 2**53 + 1,
        "huge": 2**63,
        "amount": Decimal("12.30"),
        "exact": "0.10",
        "ratio": 0.1,
        "flag": True,
        "day": "2024-02-29",
        "at": "2024-02-29T12:30:00.123456+02:00",
        "clock": "12:30:00",
        "note": 'say "x", a\nb\r\nc',
        "nested": {"a": [1, {"b": None}], "c": "é"},
        "tags": ["x", "y, z"],
        "mixed": "5",
    },
    {
        "id": 2**53 + 1,
        "big": -(2**63),
        "huge": -(2**65),
        "amount": Decimal("-0.01"),
        "exact": "12345678901234567890.123456789",
        "ratio": 1e300,
        "flag": False,
        "day": "1969-12-31",
        "at": "1999-12-31T23:59:59Z",
        "clock": "00:00:00",
        "note": "",
        "nested": {},
        "tags": [],
        "mixed": 5,
    },
    {"id": 3, **dict.fromkeys(NULLABLE)},
    {
        "id": 4,
        "big": 0,
        "huge": 0,
        "amount": Decimal("9999999999.99"),
        "exact": "-1",
        "ratio": -2.5,
        "flag": True,
        "day": "9999-12-31",
        "at": "2024-06-30T00:00:00-07:00",
        "clock": "23:59:59",
        "note": " NA ",
        "nested": {"": ""},
        "tags": ["", None],
        "mixed": True,
    },
    {"id": 5, **dict.fromkeys(NULLABLE), "big": 7, "note": "NA"},
]
DUCKDB_TYPES = {
    "id": "BIGINT",
    "big": "BIGINT",
    "huge": "DECIMAL(38, 0)",
    "amount": "DECIMAL(38, 2)",
    "exact": "DECIMAL(38, 18)",
    "ratio": "DOUBLE",
    "flag": "BOOLEAN",
    "day": "DATE",
    "at": "TIMESTAMPTZ",
    "clock": "TIME",
    "note": "VARCHAR",
    "nested": "JSON",
    "tags": "JSON",
    "mixed": "JSON",
}
POLARS_TYPES = (
    '{"id": pl.Int64, "big": pl.Int64, "huge": pl.Decimal(38, 0), "amount": pl.Decimal(38, 2), '
    '"exact": pl.Decimal(38, 18), "ratio": pl.Float64, "flag": pl.Boolean, "day": pl.Date, '
    '"at": pl.Datetime("us", "UTC"), "clock": pl.Time, "note": pl.String, "nested": pl.String, '
    '"tags": pl.String, "mixed": pl.String}'
)

READ = r"""
import json, sys
from datetime import date, datetime, time
from decimal import Decimal

sys.path.append(sys.argv[2])
names = {"json": json, "Decimal": Decimal}
for name, called in (("duckdb", "duckdb"), ("frictionless", "frictionless"), ("pandas", "pd"), ("polars", "pl")):
    if f"{called}." in sys.argv[1]:
        names[called] = __import__(name)
found = eval(sys.argv[1], names)
if hasattr(found, "to_dicts"):
    rows = found.to_dicts()
elif hasattr(found, "fetchall"):
    rows = [dict(zip(found.columns, row)) for row in found.fetchall()]
elif hasattr(found, "iloc"):
    rows = found.astype(object).to_dict("records")
else:
    rows = [row.to_dict() for row in found]

def is_null(value):
    return value is None or type(value).__name__ == "NAType" or (not isinstance(value, (list, dict)) and value != value)

def told(value):
    if isinstance(value, Decimal):
        return {"Decimal": str(value)}
    return {type(value).__name__.replace("Timestamp", "datetime"): value.isoformat()}

print(json.dumps([{n: None if is_null(v) else v for n, v in row.items()} for row in rows], default=told))
"""


def lines(records: list[dict[str, Any]], schema: dict[str, Any], stream: str) -> bytes:
    """Messages; a decimal keeps its digits."""
    messages: list[Any] = [{"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["id"]}]
    messages += [{"type": "RECORD", "stream": stream, "record": one} for one in records]
    text = "\n".join(json.dumps(one, default=lambda value: f"Decimal {value}") for one in messages)
    return re.sub(r'"Decimal ([^"]*)"', r"\1", text + "\n").encode()


def read(expression: str, folder: Path, readers: Path | str = "") -> list[dict[str, Any]]:
    """The rows that an expression gives in a process of its own, in which the reader's name is known."""
    done = subprocess.run(
        [sys.executable, "-c", READ, expression, str(readers)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout, object_hook=_value)
    assert isinstance(found, list)
    return found


_TAGS: dict[str, Callable[[str], Any]] = {
    "Decimal": Decimal,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
}


def _value(found: dict[str, Any]) -> Any:
    if len(found) == 1 and (tag := next(iter(found))) in _TAGS:
        return _TAGS[tag](found[tag])
    return found


def compare(
    found: list[dict[str, Any]],
    *,
    mixed_is_json: bool,
    doubles: tuple[str, ...] = (),
    records: list[dict[str, Any]] = RECORDS,
    schema: dict[str, Any] = SCHEMA,
) -> None:
    """Compare rows with the records that Flow was given.

    Args:
        found: the rows.
        mixed_is_json: whether a cell of a column of several types is JSON, in which `"5"` is a text.
        doubles: decimals that the reader knows as doubles only.
        records: what was written.
        schema: of the records.
    """
    properties = schema["properties"]
    assert len(found) == len(records)
    for row, record in zip(found, records, strict=True):
        assert list(row) == list(properties)
        for name, value in record.items():
            cell = row[name]
            if name == "mixed" and mixed_is_json and cell is not None:
                assert isinstance(cell, str)
                cell = json.loads(cell)
                assert type(cell) is type(value)
            kind = "decimal" if name in ("amount", "exact") else _kind(properties[name])
            is_double = name in doubles
            assert is_same(cell, value, kind, is_double=is_double), (name, cell, value)


def _kind(one: dict[str, Any]) -> str:
    types = [
        kind for kind in ([one["type"]] if isinstance(one["type"], str) else one["type"]) if kind != "null"
    ]
    return str(one.get("format") or (types[0] if len(types) == 1 else "any"))


def is_same(cell: Any, value: Any, kind: str, *, is_double: bool) -> bool:
    """Whether a reader's value is the one that was written; a float is never an integer or a decimal."""
    if value is None or cell is None:
        return cell is value
    match kind:
        case "integer":
            return type(cell) in (int, Decimal) and cell == value
        case "decimal":
            if is_double:
                return type(cell) in (float, int) and cell == float(value)
            return type(cell) in (Decimal, str, int) and Decimal(cell) == Decimal(value)
        case "number":
            return type(cell) in (float, Decimal, int) and float(cell) == value
        case "date":
            return (cell if isinstance(cell, date) else date.fromisoformat(cell)) == date.fromisoformat(value)
        case "date-time":
            instant = cell if isinstance(cell, datetime) else datetime.fromisoformat(cell)
            return instant == datetime.fromisoformat(value)
        case "time":
            return (cell if isinstance(cell, time) else time.fromisoformat(cell)) == time.fromisoformat(value)
        case "object" | "array":
            return bool((json.loads(cell) if isinstance(cell, str) else cell) == value)
    return type(cell) is type(value) and cell == value


@pytest.fixture
def written(tmp_path: Path, flow: Flow) -> Path:
    """The folders `csv`, `jsonl` and `parquet`, each a package that `flow load` wrote; nulls are `\\N` in CSV."""
    for form in ("csv", "jsonl", "parquet"):
        null = ["--csv-null", "\\N"] if form == "csv" else []
        done = flow("load", f"{form}/", "--format", form, *null, stdin=lines(RECORDS, SCHEMA, "every"))
        assert done.code == 0, done.stderr
    return tmp_path


@pytest.fixture(scope="session")
def readers(connectors_folder: Path) -> Path:
    """Where DuckDB and polars are installed, once for all tests."""
    place = connectors_folder / "readers" / "-".join(INSTALLED)
    if not (place / ".whole").exists():
        install(INSTALLED, place)
        (place / ".whole").touch()
    return place


# -------------------------------------------------------------------------------------------- Frictionless


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_frictionless(written: Path, form: str) -> None:
    """Is told nothing: the descriptor has the types. Parquet it reads through pandas: a null number is NaN, which
    counts as null here."""
    found = read(
        f"frictionless.Package('{form}/datapackage.json').get_resource('every').read_rows()", written
    )
    compare(found, mixed_is_json=form != "jsonl")


# ------------------------------------------------------------------------------------------------- pandas


def test_pandas_reads_csv(written: Path) -> None:
    """Is told the types but text, and what is null; decimals, dates and what is past 2^63 come as their texts."""
    types = {"id": "Int64", "big": "Int64", "huge": "str", "amount": "str", "exact": "str", "flag": "boolean"}
    found = read(
        f"pd.read_csv('csv/data/every.csv', dtype={types}, keep_default_na=False, na_values=['\\\\N'])",
        written,
    )
    for row in found:  # texts are all that pandas has for these
        row["huge"] = row["huge"] and int(row["huge"])
    compare(found, mixed_is_json=True)


def test_pandas_reads_json_lines(written: Path) -> None:
    """Is given what the json module reads: `pd.read_json` makes floats of integers beside nulls, of decimals, too."""
    parse = "json.loads(line, parse_float=Decimal)"
    found = read(f"pd.DataFrame([{parse} for line in open('jsonl/data/every.jsonl')], dtype=object)", written)
    compare(found, mixed_is_json=False)


@pytest.mark.parametrize("more", ["", ", dtype_backend='pyarrow'", ", dtype_backend='numpy_nullable'"])
def test_pandas_reads_parquet(written: Path, more: str) -> None:
    """Is told nothing: an integer beside a null stays one, as the file says of which dtypes a frame is made."""
    compare(read(f"pd.read_parquet('parquet/data/every.parquet'{more})", written), mixed_is_json=True)


def test_a_frame_of_a_parquet_file_has_the_dtypes_of_the_frame_of_a_function(written: Path) -> None:
    kinds = (
        "pd.read_parquet('parquet/data/every.parquet').dtypes.astype('str').to_frame('dtype').reset_index()"
    )
    found = {row["index"]: row["dtype"] for row in read(kinds, written)}
    assert {name: found[name] for name in ("id", "big", "flag", "ratio", "at", "huge", "day")} == {
        "id": "Int64",
        "big": "Int64",
        "flag": "boolean",
        "ratio": "float64",
        "at": "datetime64[us, UTC]",
        "huge": "object",
        "day": "object",
    }


# ------------------------------------------------------------------------------------------------- DuckDB


@pytest.mark.connectors
def test_duckdb_reads_csv(written: Path, readers: Path) -> None:
    """Is told the types of all columns, and what is null."""
    call = f"read_csv('csv/data/every.csv', header = true, columns = {DUCKDB_TYPES}, nullstr = '\\N')"
    compare(read(f"duckdb.sql({f'SELECT * FROM {call}'!r})", written, readers), mixed_is_json=True)


@pytest.mark.connectors
def test_duckdb_reads_json_lines(written: Path, readers: Path) -> None:
    """Is told the types of all columns."""
    call = f"read_json('jsonl/data/every.jsonl', columns = {DUCKDB_TYPES})"
    compare(read(f"duckdb.sql({f'SELECT * FROM {call}'!r})", written, readers), mixed_is_json=True)


@pytest.mark.connectors
def test_duckdb_reads_parquet(written: Path, readers: Path) -> None:
    """Is told nothing."""
    found = read("duckdb.sql(\"SELECT * FROM 'parquet/data/every.parquet'\")", written, readers)
    compare(found, mixed_is_json=True)


# ------------------------------------------------------------------------------------------------- polars


@pytest.mark.connectors
def test_polars_reads_csv(written: Path, readers: Path) -> None:
    """Is told the types of all columns, and what is null."""
    call = f"pl.read_csv('csv/data/every.csv', schema={POLARS_TYPES}, null_values='\\\\N')"
    compare(read(call, written, readers), mixed_is_json=True)


@pytest.mark.connectors
def test_polars_reads_json_lines(written: Path, readers: Path) -> None:
    """Is told the types of what it would guess otherwise.

    It knows the numbers of JSON as doubles, and as integers of 128 bits; a decimal that is text stays exact. Times
    it reads as texts. A column of several types is text, in which `"5"` and `5` are one: not compared.
    """
    types = '{"at": pl.Datetime("us", "UTC"), "day": pl.Date, "nested": pl.String, "tags": pl.String}'
    found = read(f"pl.read_ndjson('jsonl/data/every.jsonl', schema_overrides={types})", written, readers)
    assert [row["mixed"] for row in found] == ["5", "5", None, "true", None]
    for row, record in zip(found, RECORDS, strict=True):
        row["mixed"] = record["mixed"]
    compare(found, mixed_is_json=False, doubles=("amount",))


@pytest.mark.connectors
def test_polars_reads_parquet(written: Path, readers: Path) -> None:
    """Is told nothing."""
    compare(read("pl.read_parquet('parquet/data/every.parquet')", written, readers), mixed_is_json=True)


# ------------------------------------------------------- an empty text beside a null, where null is an empty cell


@pytest.mark.connectors
@pytest.mark.parametrize(
    "call",
    [
        "duckdb.sql(\"SELECT * FROM read_csv('out/data/s.csv', allow_quoted_nulls = false)\")",
        "pl.read_csv('out/data/s.csv')",
    ],
    ids=["duckdb", "polars"],
)
def test_an_empty_text_and_a_null_are_told_apart_by_quotes(
    tmp_path: Path, flow: Flow, readers: Path, call: str
) -> None:
    records = [{"id": 1, "note": ""}, {"id": 2, "note": None}, {"id": 3, "note": "x"}]
    schema = {"properties": {"id": {"type": "integer"}, "note": {"type": ["null", "string"]}}}
    assert flow("load", "out/", stdin=lines(records, schema, "s")).code == 0
    assert read(call, tmp_path, readers) == records


# ------------------------------------------------------------------------------------------------- the guide


ORDERS: list[dict[str, Any]] = [
    {
        "id": 2**53 + 1,
        "amount": Decimal("12.30"),
        "at": "2024-02-29T12:30:00.5+02:00",
        "note": 'say "x",\nb',
        "items": [1, "x"],
    },
    {"id": 2, "amount": None, "at": None, "note": None, "items": None},
    {"id": 3, "amount": Decimal("-0.01"), "at": "1999-12-31T23:59:59Z", "note": "", "items": []},
    {
        "id": 4,
        "amount": Decimal("99999999.99"),
        "at": "2024-06-30T00:00:00-07:00",
        "note": "NA",
        "items": [[]],
    },
]
ORDERS_SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": "integer"},
        "amount": {"type": ["null", "number"], "multipleOf": 0.01},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "note": {"type": ["null", "string"]},
        "items": {"type": ["null", "array"]},
    },
}
HEADINGS = {
    "# Any format": ("csv", "jsonl", "parquet"),
    "# Parquet": ("parquet",),
    "# CSV, written with --csv-null '\\N'": ("csv",),
    "# JSON Lines": ("jsonl",),
}


@pytest.mark.connectors
def test_the_lines_of_the_guide_read_every_value(tmp_path: Path, flow: Flow, readers: Path) -> None:
    for form in ("csv", "jsonl", "parquet"):
        null = ["--csv-null", "\\N"] if form == "csv" else []
        data = lines(ORDERS, ORDERS_SCHEMA, "orders")
        done = flow("load", f"{form}/out/", "--format", form, *null, stdin=data)
        assert done.code == 0, done.stderr
    section = GUIDE.read_text(encoding="utf-8").partition("## What others read")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    counts = {}
    for heading, code in re.findall(r"^(# .*)\n((?:[^#\n].*\n)*)", block, re.MULTILINE):
        statements = [ast.unparse(one) for one in ast.parse(code).body]
        counts[heading] = len(statements)
        for statement in statements:
            doubles = ("amount",) if statement.startswith("pl.read_ndjson") else ()
            for form in HEADINGS[heading]:
                found = read(statement, tmp_path / form, readers)
                compare(found, mixed_is_json=False, doubles=doubles, records=ORDERS, schema=ORDERS_SCHEMA)
    assert list(counts) == list(HEADINGS)
    assert list(counts.values()) == [1, 3, 3, 3]
