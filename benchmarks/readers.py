"""Reading files: commands that take a file or a Data Package from disk, as rows of the table."""

from __future__ import annotations

import json
from typing import Any

from cases import SCRIPTS, Case, Environment, Goal, Input

FLOW = "flow"
DLT = "dlt"
DATAFLOWS = "dataflows"
FRICTIONLESS = "frictionless"
POLARS = "polars"
DUCKDB = "duckdb"
TAP_CSV = "tap-spreadsheets"
TAP_JSONL = "tap-jsonl"

ENVIRONMENTS = (
    Environment(TAP_CSV, ("tap-spreadsheets==1.1.2",)),
    Environment(TAP_JSONL, ("tap-jsonl==0.3.1",)),
    Environment(FRICTIONLESS, ("frictionless[json,pandas]==5.21.0", "pandas==3.1.1", "pyarrow==26.0.1")),
)

_FORMS: dict[str, tuple[Input, str]] = {
    "CSV": ("csv file", "issues.csv"),
    "JSON Lines": ("jsonl file", "issues.jsonl"),
    "Parquet": ("parquet file", "issues.parquet"),
    "package of CSV": ("csv package", "package/"),
    "package of JSON Lines": ("jsonl package", "package/"),
    "package of Parquet": ("parquet package", "package/"),
}
_RATES = {"CSV": 400_000, "JSON Lines": 400_000, "Parquet": 500_000}
_ALL = tuple(_FORMS)
_FILES = _ALL[:3]

_BY_SCRIPT = {
    DLT: _FILES,
    # It cannot read Parquet, and of a package only CSV.
    DATAFLOWS: ("CSV", "JSON Lines", "package of CSV"),
    # A bare Parquet file with a null among its date-times is an error.
    FRICTIONLESS: tuple(form for form in _ALL if form != "Parquet"),
    POLARS: _FILES,
    DUCKDB: _FILES,
}
_SLOW = {(DATAFLOWS, "CSV"), (DATAFLOWS, "JSON Lines"), (FRICTIONLESS, "package of Parquet")}
_WRITERS = (POLARS, DUCKDB)  # these write JSON Lines, and so have nothing more to show


def _name(form: str, reader: str) -> str:
    return f"reading {form}: {reader}"


def _case(form: str, reader: str, stage: tuple[str, ...], environment: str, **settings: Any) -> Case:
    """Of a peer; the package is written by Flow, which must be there."""
    return Case(
        _name(form, reader),
        environment,
        (stage,),
        needs=(FLOW,),
        input=_FORMS[form][0],
        compared="loosely",
        **settings,
    )


def _tap(form: str, tap: str, config: dict[str, object]) -> Case:
    files = {"config.json": json.dumps(config)}
    return _case(form, tap, (tap, "--config", "config.json"), tap, files=files)


def _by_script(form: str, reader: str) -> Case:
    # Not frictionless_read.py: frictionless takes modules that begin with its name for plugins, and runs them.
    stage = ("python", str(SCRIPTS / f"read_{reader}.py"), _FORMS[form][1])
    shown = () if reader in _WRITERS else ("--show",)
    is_slow = (reader, form) in _SLOW
    return _case(form, reader, stage, reader, output="lines", shown=shown, is_slow=is_slow)


PEERS = (
    _tap(
        "CSV",
        TAP_CSV,
        {"files": [{"path": "issues.csv", "format": "csv", "table_name": "issues", "primary_keys": ["id"]}]},
    ),
    _tap("JSON Lines", TAP_JSONL, {"path": "issues.jsonl", "stream_name": "issues"}),
    *(_by_script(form, reader) for reader, forms in _BY_SCRIPT.items() for form in forms),
)


def _flow(form: str) -> Case:
    path = _FORMS[form][1]
    return Case(
        _name(form, f"flow run {path}"),
        FLOW,
        (("flow", "run", path),),
        # An empty project of its own, so that the `meltano.yml` of this checkout is not found.
        {"meltano.yml": "version: 1\n"},
        input=_FORMS[form][0],
        compared="exactly",
        peers=tuple(case.name for case in PEERS if case.name.startswith(_name(form, ""))),
        goals=(Goal("records_per_s", _RATES[form.removeprefix("package of ")]),),
        in_memory_test=True,
    )


FLOW_CASES = tuple(map(_flow, _FORMS))
