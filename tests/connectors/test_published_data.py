"""Data that packages of PyPI and npm bring along go into a package and out of it again, value for value.

What Flow makes of them is compared with what readers find that know nothing of Flow: the csv module, json, openpyxl
and pyarrow. What comes out is valid under both official profiles of Data Package and under frictionless.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from importlib.resources import files
from pathlib import Path
from typing import Any

import frictionless
import openpyxl
import pyarrow.parquet as pq
import pytest
from command import Result
from jsonschema import Draft7Validator

from .publisheddata import BARE_FILES, PUBLISHED, BareFile, published

pytestmark = pytest.mark.connectors

Flow = Callable[..., Result]
PROFILES = {
    version: Draft7Validator(json.loads((files("dplib.profiles") / version / "datapackage.json").read_text()))
    for version in ("1.0", "2.0")
}


def through(flow: Flow, place: Path, folder: Path, **config: Any) -> tuple[Path, list[str]]:
    """Read a place into the package `out/` and that into `again/`, which must be alike; what was told of the place."""
    said = ["--config", json.dumps(config)] if config else []
    result = flow("run", place, f"{folder}/out/", *said)
    assert result.code == 0, result.stderr
    again = flow("run", f"{folder}/out/", f"{folder}/again/")
    assert again.code == 0, again.stderr
    one, other = descriptor(folder / "out"), descriptor(folder / "again")
    assert list(one) == list(other)
    for name, resource in one.items():
        assert fields(resource) == fields(other[name])
        assert (folder / "out" / resource["path"]).read_bytes() == (
            folder / "again" / other[name]["path"]
        ).read_bytes()
    check(folder / "out")
    told = [line.partition("Warning: ")[2] for line in result.stderr.splitlines()]
    return folder / "out", [line for line in told if line]


def descriptor(folder: Path) -> dict[str, Any]:
    """The resources of a package, by stream."""
    found = json.loads((folder / "datapackage.json").read_text())
    return {one["flow:stream"]: one for one in found["resources"]}


def fields(resource: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """What a schema says of its columns."""
    return [
        (one["name"], one["type"], one.get("missingValues"), one["flow:jsonSchema"])
        for one in resource["schema"]["fields"]
    ]


def check(folder: Path) -> None:
    """Valid under both official profiles, and, but for Parquet, under frictionless, data included."""
    found = json.loads((folder / "datapackage.json").read_text())
    for profile in PROFILES.values():
        assert [error.message for error in profile.iter_errors(found)] == []
    if all(one["format"] != "parquet" for one in found["resources"]):
        report = frictionless.validate(str(folder / "datapackage.json"))
        assert report.valid, report.to_summary()


def cells(folder: Path, resource: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """The rows of a CSV file that Flow wrote, as the standard library reads them."""
    with (folder / resource["path"]).open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file, strict=True)


def compare(
    folder: Path,
    stream: str,
    rows: Sequence[Mapping[str, Any]],
    dates: Mapping[str, str] | None = None,
    nulls: Sequence[str] = ("",),
) -> None:
    """Compare each value of a stream with what another reader found in its source."""
    resource = descriptor(folder)[stream]
    types = {one["name"]: one["type"] for one in resource["schema"]["fields"]}
    found = list(cells(folder, resource))
    assert len(found) == len(rows) == resource["rows"]
    for number, (cell_of, row) in enumerate(zip(found, rows, strict=True), 1):
        assert set(row) <= set(cell_of)
        for name, cell in cell_of.items():
            form = (dates or {}).get(name)
            value = row.get(name)
            assert is_same(cell, value, types[name], form, nulls), (stream, number, name, cell, value)


def is_same(cell: str, value: Any, kind: str, form: str | None, nulls: Sequence[str]) -> bool:
    """Whether a cell that Flow wrote says a value of its source: a text of CSV, or a value of JSON or Excel."""
    if value is None or (isinstance(value, str) and kind not in ("string", "any") and value.strip() in nulls):
        return cell == ""
    if form is not None:
        return cell == datetime.strptime(value, form).date().isoformat()
    if kind in ("object", "array") and isinstance(value, str):  # in CSV
        value = json.loads(value, parse_float=Decimal)
    if kind in ("any", "object", "array"):
        return bool(cell != "" and json.loads(cell, parse_float=Decimal) == value)
    if kind == "boolean":
        return cell == (value.strip().lower() if isinstance(value, str) else json.dumps(value))
    if kind in ("integer", "number"):
        assert kind == "number" or "." not in cell
        try:
            # Thousands are divided in one file only; its commas stand in no text.
            return Decimal(cell) == Decimal(str(value).strip().replace(",", ""))
        except InvalidOperation:
            return False
    if isinstance(value, datetime) and kind == "date":
        return cell == value.date().isoformat() and value.time() == time()
    return cell == (value.isoformat() if isinstance(value, date) else value)


def rows_of_csv(file: Path, one: BareFile) -> list[dict[str, Any]]:
    """The rows of a file as the standard library reads them."""
    data = file.read_bytes()
    text = (gzip.decompress(data) if file.suffix == ".gz" else data).decode("utf-8-sig")
    is_spaced = any("a blank behind" in told for told in one.told)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=one.delimiter, skipinitialspace=is_spaced)
    rows = [row for row in reader if any(cell.strip() for cell in row)]
    width = len(rows[-1])
    names = rows[one.above - 1][:width] if one.above else [f"column_{n}" for n in range(1, width + 1)]
    return [dict(zip(names, row, strict=True)) for row in rows[one.above :]]


def sheets(file: Path) -> dict[str, list[dict[str, Any]]]:
    """The rows of each sheet of a workbook, as openpyxl reads them."""
    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    found = {}
    for sheet in book:
        filled = [row for row in sheet.iter_rows(values_only=True) if any(cell is not None for cell in row)]
        columns = [column for column in zip(*filled, strict=True) if any(cell is not None for cell in column)]
        names, *rows = zip(*columns, strict=True)
        found[sheet.title] = [dict(zip(names, row, strict=True)) for row in rows]
    book.close()
    return found


# ---------------------------------------------------------------------------------------------- bare files


@pytest.mark.parametrize("one", BARE_FILES, ids=lambda one: one.name)
def test_a_file_as_its_publisher_wrote_it(
    flow: Flow, tmp_path: Path, connectors_folder: Path, one: BareFile
) -> None:
    file = published(one.package, connectors_folder) / one.path
    out, told = through(flow, file, tmp_path, **one.config)
    assert len(told) == len(one.told), told
    assert all(any(words in line for line in told) for words in one.told), told
    found = descriptor(out)
    types = [" ".join(field["type"] for field in resource["schema"]["fields"]) for resource in found.values()]
    assert tuple(types) == one.types
    assert tuple(resource["rows"] for resource in found.values()) == one.rows
    if file.suffix == ".xlsx":
        read = sheets(file)
        assert list(found) == (list(read) if len(read) > 1 else [file.stem])
    elif file.suffix == ".json":
        read = {file.stem: json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)}
    else:
        read = {file.name.partition(".")[0]: rows_of_csv(file, one)}
    for stream, rows in zip(found, read.values(), strict=True):
        compare(out, stream, rows, one.dates, one.nulls)


def test_a_parquet_file(flow: Flow, tmp_path: Path, connectors_folder: Path) -> None:
    file = published("vega-datasets", connectors_folder) / "data" / "flights-3m.parquet"
    for place, name in ((file, "out"), (tmp_path / "out", "again")):
        result = flow("run", place, f"{name}/", "--format", "parquet", "--limit", "100000")
        assert result.code == 0, result.stderr
    source = pq.read_table(file).slice(0, 100_000)
    for name in ("out", "again"):
        check(tmp_path / name)
        (resource,) = descriptor(tmp_path / name).values()
        found = pq.read_table(tmp_path / name / resource["path"])
        assert found.column_names == source.column_names
        for column in source.column_names:
            assert found[column].cast(source[column].type).equals(source[column]), column


# ----------------------------------------------------------------------------------------------- packages


@pytest.mark.parametrize(
    ("name", "is_packed"), [("dispatch", True), ("emission_constraint", False), ("foreignkeys", False)]
)
def test_packages_of_version_1(
    flow: Flow, tmp_path: Path, connectors_folder: Path, name: str, is_packed: bool
) -> None:
    """Packages of an energy model: keys, references; the cells of some files divided by `;`, which no dialect says."""
    place = published("oemof.tabular", connectors_folder) / "oemof/tabular/examples/datapackages" / name
    source = json.loads((place / "datapackage.json").read_text())
    read = place
    if is_packed:
        read = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(read, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in place.rglob("*"):
                archive.write(file, file.relative_to(place))
    out, told = through(flow, read, tmp_path)
    divided, not_finite = [], 0
    found = descriptor(out)
    assert sorted(found) == sorted(one["name"] for one in source["resources"])
    for one in source["resources"]:
        text = (place / one["path"]).read_text(encoding="utf-8")
        mark = ";" if ";" in text.partition("\n")[0] else ","
        divided += [one["path"]] if mark == ";" else []
        not_finite += len(re.findall(r"\binf(?:inity)?\b", text, re.I))
        rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=mark))
        compare(out, one["name"], rows, nulls=("", "inf", "Infinity"))
        kinds = [(field["name"], field["type"]) for field in one["schema"]["fields"]]
        made = found[one["name"]]["schema"]
        assert [(field["name"], field["type"]) for field in made["fields"]] == kinds
        key = one["schema"].get("primaryKey")
        assert made.get("primaryKey") == ([key] if isinstance(key, str) else key)
    assert divided
    for path in divided:
        words = f"{path} of {read}: its cells are divided by ;, which its descriptor does not say."
        assert words in told
    others = [line for line in told if "are divided by" not in line]
    assert all("that JSON does not have: NaN or infinite" in line for line in others)
    assert bool(others) == bool(not_finite)


def test_a_package_that_names_a_field_twice_is_refused(
    flow: Flow, tmp_path: Path, connectors_folder: Path
) -> None:
    place = published("oemof.tabular", connectors_folder) / "oemof/tabular/examples/datapackages/investment"
    result = flow("run", place, "out/")
    assert result.code == 2
    assert f"The resource 'storage' of {place} has the field 'tech' twice." in result.stderr
    assert not (tmp_path / "out").exists()
    result = flow("run", place / "data/elements/storage.csv", "out/")
    assert result.code == 0
    assert "column 12 (tech) is 'tech_2'" in result.stderr


VEGA_LEFT_OUT = ("flights_3m", "flights_200k_json", "flights_20k", "flights_10k", "zipcodes", "species")
"""Tables that are like others of it, but large."""
VEGA_TYPES = {"Miles_per_Gallon": "number", "Title": "any", "date": "string"}
"""Where its descriptor is wrong: 17.5 is no integer, 1776 no text, `Jan 1 2000` no date of the default form."""
VEGA_OTHERS = {
    ("movies", "Release Date"): "string",  # "Jun 12 1998"
    ("political_contributions", "Coverage_End_Date"): "string",
}


@pytest.fixture
def vega(connectors_folder: Path) -> Path:
    """The package of version 2: its descriptor is in a folder above the one that its paths begin in."""
    place = published("vega-datasets", connectors_folder)
    inner = place / "data" / "datapackage.json"
    inner.write_bytes((place / "datapackage.json").read_bytes())
    return place / "data"


def test_a_package_of_version_2_with_fifty_tables(flow: Flow, tmp_path: Path, vega: Path) -> None:
    source = json.loads((vega / "datapackage.json").read_text())
    selected = ["--select", "*.*", *(word for name in VEGA_LEFT_OUT for word in ("--select", f"!{name}"))]
    result = flow("run", vega, "out/", "--config", json.dumps({"types": VEGA_TYPES}), *selected)
    assert result.code == 0, result.stderr
    assert flow("run", "out/", "again/").code == 0
    check(tmp_path / "out")
    found, again = descriptor(tmp_path / "out"), descriptor(tmp_path / "again")
    tables = [
        one
        for one in source["resources"]
        if one["type"] == "table" and one["name"] not in VEGA_LEFT_OUT and not one["path"].endswith(".arrow")
    ]
    assert sorted(found) == sorted(again) == sorted(one["name"] for one in tables)
    assert len(found) > 50
    for one in tables:
        made = found[one["name"]]
        data = (tmp_path / "out" / made["path"]).read_bytes()
        assert data == (tmp_path / "again" / again[one["name"]]["path"]).read_bytes()
        assert fields(made) == fields(again[one["name"]])
        said = {
            field["name"]: VEGA_OTHERS.get(
                (one["name"], field["name"]), VEGA_TYPES.get(field["name"], field["type"])
            )
            for field in one["schema"]["fields"]
        }
        kinds = {field["name"]: field["type"] for field in made["schema"]["fields"]}
        assert {name: kinds[name] for name in said} == said
        assert all(kinds[name] == "any" for name in kinds.keys() - said.keys())
        text = (vega / one["path"]).read_text(encoding="utf-8")
        if one["path"].endswith(".json"):
            rows = json.loads(text, parse_float=Decimal)
        else:
            mark = "\t" if one["path"].endswith(".tsv") else ","
            rows = list(csv.DictReader(io.StringIO(text, newline=""), delimiter=mark))
        compare(tmp_path / "out", one["name"], rows)


def test_a_descriptor_that_is_wrong_names_file_row_column_and_what_to_say(flow: Flow, vega: Path) -> None:
    result = flow("run", vega, "--select", "stocks.*")
    assert result.code == 65
    assert (
        f"stocks.csv of {vega}, row 1, column 'date': 'Jan 1 2000' is not of its type, date." in result.stderr
    )
    assert "say the column's type with 'types'" in result.stderr
    result = flow("run", vega, "--select", "cars.*")
    assert result.code == 65
    assert (
        "property 'Miles_per_Gallon' does not fit its SCHEMA: expected integer, got number" in result.stderr
    )


def test_files_that_are_not_where_the_descriptor_says(flow: Flow, connectors_folder: Path) -> None:
    place = published("vega-datasets", connectors_folder)
    result = flow("run", place)
    assert result.code in (2, 65)
    assert f"{place} names the file 'airports.csv', which is not there." in result.stderr


def test_each_package_is_used() -> None:
    used = {one.package for one in BARE_FILES} | {"oemof.tabular", "vega-datasets"}
    assert used == set(PUBLISHED)
