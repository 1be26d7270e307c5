"""What is measured: the environments, the commands in them, what is compared with what, and the goals."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import data
import readers
from cases import HERE, ROOT, SCRIPTS, WORK, Case, Environment, Goal, Output

FLOW = "flow"
CAT = "cat"
ORJSON = "orjson loop"
MAP_TRANSFORM = "meltano-map-transform"
TRANSFORM_FIELD = "pipelinewise-transform-field"
TARGET_CSV = "meltanolabs-target-csv"
TARGET_JSONL = "target-jsonl"
NOOP_TARGET = "SDK no-op target"
MELTANO = "meltano"
DLT = "dlt"
DATAFLOWS = "dataflows"
GLUESTICK = "gluestick"
POLARS = "polars"
DUCKDB = "duckdb"
PLOT = "plot"

_SDK = "singer-sdk==0.54.9"

ENVIRONMENTS = (
    Environment(FLOW, (str(ROOT),)),
    Environment("orjson", ("orjson==3.13.0",)),
    Environment(MAP_TRANSFORM, ("meltano-map-transform==0.12.3", _SDK)),
    Environment(TRANSFORM_FIELD, ("pipelinewise-transform-field==2.3.0",)),
    Environment(TARGET_CSV, ("meltanolabs-target-csv==0.5.0", _SDK)),
    Environment(TARGET_JSONL, ("target-jsonl==0.1.4",)),
    Environment("singer-sdk", (_SDK,)),
    Environment(MELTANO, ("meltano==4.4.1",)),
    # pandas: its read_csv needs it
    Environment(DLT, ("dlt[duckdb,parquet]==1.31.0", "duckdb==2.0.0", "pyarrow==26.0.1", "pandas==3.1.1")),
    # tabulator, which other requirements bring, has the same module as its own fork, and cannot read a file for it
    Environment(DATAFLOWS, ("dataflows==0.5.12",), last=("dataflows-tabulator==1.54.3",)),
    Environment(GLUESTICK, ("gluestick==3.0.21", "pandas==3.1.1", "pyarrow==26.0.1")),
    Environment(POLARS, ("polars==2.1.0",)),
    Environment(DUCKDB, ("duckdb==2.0.0",)),
    Environment(PLOT, ("matplotlib==3.11.2",)),  # for the pictures of growth.py
    *readers.ENVIRONMENTS,
)

_CONFIG = ("--config", "config.json")


def _config(**settings: object) -> dict[str, str]:
    return {"config.json": json.dumps(settings)}


def _project(tap: str, target: str = "", *, capabilities: str = "", more: str = "") -> dict[str, str]:
    """A `meltano.yml` with one of our taps and the executable of a peer, which Meltano and Flow both read."""
    lines = [
        "version: 1",
        more,
        "plugins:",
        "  extractors:",
        f"    - name: {tap}",
        f"      namespace: {tap.replace('-', '_')}",
        f"      executable: {SCRIPTS / tap}",
        capabilities,
    ]
    if target:
        executable = "target-csv" if target == TARGET_CSV else target
        setting = "output_path" if target == TARGET_CSV else "destination_path"
        lines += [
            "  loaders:",
            f"    - name: {target}",
            f"      namespace: {target.replace('-', '_')}",
            f"      executable: {WORK / 'venvs' / target / 'bin' / executable}",
            f"      config: {{{setting}: .}}",
        ]
    return {"meltano.yml": "".join(f"{line}\n" for line in lines if line)}


def _meltano_project(tap: str, target: str = "") -> dict[str, str]:
    """Its database stays from run to run, as it does for its users: making it takes longer than a short run."""
    lines = (
        "default_environment: dev",
        "environments: [{name: dev}]",
        "send_anonymous_usage_stats: false",
        f"database_uri: sqlite:///{WORK / 'meltano.db'}",
    )
    return _project(tap, target, more="\n".join(lines))


def _flow_project(tap: str, target: str = "") -> dict[str, str]:
    return _project(tap, target, capabilities="      capabilities: [state]")


def _meltano_run(target: str, output: Output) -> Case:
    return Case(
        f"meltano run tap-cat {target}",
        MELTANO,
        (("meltano", "run", "--force", "tap-cat", target),),
        _meltano_project("tap-cat", target),
        needs=(target,),
        input="file",
        output=output,
    )


def _script(name: str, environment: str, file: str, *arguments: str, **settings: Any) -> Case:
    stage = ("python", str(SCRIPTS / file), *arguments)
    return Case(name, environment, (stage,), **{"input": "records", **settings})


PEERS = (
    Case(CAT, None, (("cat",),)),
    Case(ORJSON, "orjson", (("python", str(HERE / "orjson_loop.py")),), added=0),
    Case(
        f"{MAP_TRANSFORM}, untouched",
        MAP_TRANSFORM,
        ((MAP_TRANSFORM, *_CONFIG),),
        _config(stream_maps={"users": {"id": "id"}}),
        added=0,
    ),
    Case(
        f"{MAP_TRANSFORM}, one column",
        MAP_TRANSFORM,
        ((MAP_TRANSFORM, *_CONFIG),),
        # null + 1 is an error in its expressions
        _config(stream_maps={data.STREAM: {"comments": "comments + 1 if comments is not None else None"}}),
        added=1,
    ),
    Case(
        f"{TRANSFORM_FIELD}, one HASH",
        TRANSFORM_FIELD,
        (("transform-field", *_CONFIG),),
        _config(transformations=[{"tap_stream_name": data.STREAM, "field_id": "title", "type": "HASH"}]),
    ),
    Case(
        TARGET_CSV,
        TARGET_CSV,
        (("target-csv", *_CONFIG),),
        _config(output_path="."),
        output="csv",
    ),
    Case(
        TARGET_JSONL,
        TARGET_JSONL,
        ((TARGET_JSONL, *_CONFIG),),
        _config(destination_path="."),
        output="jsonl",
    ),
    Case(
        NOOP_TARGET,
        "singer-sdk",
        (("python", str(HERE / "noop_target.py")),),
        output=None,
    ),
    _meltano_run(TARGET_CSV, "csv"),
    _meltano_run(TARGET_JSONL, "jsonl"),
    Case(
        "meltano invoke tap-cat",
        MELTANO,
        (("meltano", "invoke", "tap-cat"),),
        _meltano_project("tap-cat"),
        input="file",
    ),
    Case(
        "meltano invoke, until the tap starts",
        MELTANO,
        (("meltano", "invoke", "tap-started"),),
        _meltano_project("tap-started"),
        input="none",
        output=None,
        until="started",
    ),
    _script(
        "dlt to CSV", DLT, "dlt_load.py", "filesystem", "csv", output="csv", counted="out/data/issues/*.csv"
    ),
    _script(
        "dlt to Parquet",
        DLT,
        "dlt_load.py",
        "filesystem",
        "parquet",
        output="parquet",
        counted="out/data/issues/*.parquet",
    ),
    _script("dlt to DuckDB", DLT, "dlt_load.py", "duckdb", "parquet", output="duckdb"),
    _script("dataflows to CSV", DATAFLOWS, "dataflows_csv.py", output="csv"),
    _script(
        "gluestick, one column, CSV to CSV",
        GLUESTICK,
        "gluestick_etl.py",
        "csv",
        input="snapshot",
        output="csv",
        counted="etl-output/*.csv",
    ),
    _script(
        "gluestick, one column, CSV to Parquet",
        GLUESTICK,
        "gluestick_etl.py",
        "parquet",
        input="snapshot",
        output="parquet",
    ),
    *(
        _script(f"{name} to {title}", name, f"{name}_write.py", form, output=form)
        for name in (POLARS, DUCKDB)
        for form, title in (("csv", "CSV"), ("parquet", "Parquet"))
    ),
    *readers.PEERS,
)

_AS_FAST_AS_A_LOOP = (
    Goal("ratio", 10, f"{MAP_TRANSFORM}, one column"),
    Goal("ratio", 1, ORJSON),
)
_AS_FAST_AS_A_WRITER = (Goal("ratio", 40, TARGET_CSV),)

# An empty project of its own, so that the `meltano.yml` of this checkout is not found from the folder above.
_PROJECT = {"meltano.yml": "version: 1\n"}


def _light(option: str) -> Case:
    return Case(
        f"flow {option}",
        FLOW,
        (("flow", option),),
        input="none",
        output=None,
        goals=(Goal("cpu_s", 0.15),),
    )


def _transform(
    file: str,
    *,
    kept: float = 1.0,
    added: int | None = None,
    peers: tuple[str, ...] = (),
    goals: tuple[Goal, ...] = (),
    options: tuple[str, ...] = (),
) -> Case:
    return Case(
        f"flow transform {file}",
        FLOW,
        (("flow", "transform", *options, str(HERE / "transforms" / file)),),
        _PROJECT,
        kept=kept,
        added=added,
        peers=peers or tuple(goal.peer for goal in goals),
        goals=goals,
        in_memory_test=file in {"untouched.py", "vectorised.py", "rows.py"},
    )


def _load(output: Output, *peers: str) -> Case:
    return Case(
        f"flow load out/ --format {output}",
        FLOW,
        (("flow", "load", "out/", "--format", output),),
        _PROJECT,
        output=output,
        peers=(TARGET_CSV, *peers),
        goals=_AS_FAST_AS_A_WRITER,
        in_memory_test=True,
    )


def _flow_run(target: str, output: Output) -> Case:
    return Case(
        f"flow run tap-cat {target}",
        FLOW,
        (("flow", "run", "tap-cat", target),),
        _flow_project("tap-cat", target),
        needs=(target,),
        input="file",
        output=output,
        peers=(f"meltano run tap-cat {target}",),
    )


FLOW_CASES = (
    _light("--help"),
    _light("--version"),
    _transform(
        "untouched.py",
        added=0,
        peers=(f"{MAP_TRANSFORM}, untouched",),
        options=("--no-strict",),  # its function has no stream to take
        goals=(Goal("records_per_s", 500_000),),
    ),
    _transform("vectorised.py", added=1, goals=_AS_FAST_AS_A_LOOP),
    _transform("columns.py", added=1, goals=_AS_FAST_AS_A_LOOP),
    _transform("filter.py", kept=data.OPEN_SHARE, goals=_AS_FAST_AS_A_LOOP),
    _transform("rename.py", goals=_AS_FAST_AS_A_LOOP),
    _transform(
        "rows.py",
        added=1,
        peers=(f"{MAP_TRANSFORM}, one column", f"{TRANSFORM_FIELD}, one HASH", ORJSON),
        goals=(Goal("ratio", 3, f"{MAP_TRANSFORM}, one column"),),
    ),
    _load("csv", "dlt to CSV", "dataflows to CSV", "polars to CSV", "duckdb to CSV"),
    _load("parquet", "dlt to Parquet", "dlt to DuckDB", "polars to Parquet", "duckdb to Parquet"),
    _load("jsonl", TARGET_JSONL),
    Case(
        "flow load target-csv",
        FLOW,
        (("flow", "load", "target-csv"),),
        _PROJECT,
        output="csv",
        peers=(TARGET_CSV, NOOP_TARGET),
        goals=_AS_FAST_AS_A_WRITER,
        in_memory_test=True,
    ),
    Case(
        "flow transform vectorised.py, piped to flow load out/ --format csv",
        FLOW,
        (
            ("flow", "transform", str(HERE / "transforms" / "vectorised.py")),
            ("flow", "load", "out/", "--format", "csv"),
        ),
        _PROJECT,
        output="csv",
        peers=("gluestick, one column, CSV to CSV",),
    ),
    Case(
        "flow run tap-cat",
        FLOW,
        (("flow", "run", "tap-cat"),),
        _flow_project("tap-cat"),
        input="file",
        peers=("meltano invoke tap-cat", CAT, ORJSON),
        goals=(Goal("gb_per_s", 1),),
    ),
    Case(
        "flow run tap-cat untouched.py out/",
        FLOW,
        (("flow", "run", "--no-strict", "tap-cat", str(HERE / "transforms" / "untouched.py"), "out/"),),
        _flow_project("tap-cat"),
        input="file",
        output="csv",
        peers=(f"meltano run tap-cat {TARGET_CSV}",),
    ),
    _flow_run(TARGET_CSV, "csv"),
    _flow_run(TARGET_JSONL, "jsonl"),
    Case(
        "flow run, until the tap starts",
        FLOW,
        (("flow", "run", "tap-started"),),
        _flow_project("tap-started"),
        input="none",
        output=None,
        until="started",
        peers=("meltano invoke, until the tap starts",),
        goals=(Goal("cpu_s", 0.25),),
    ),
    *readers.FLOW_CASES,
)


def _of_shape(case: Case, shape: str) -> Case:
    def other(name: str) -> str:
        return f"{name}, {shape}"

    return replace(
        case,
        name=other(case.name),
        shape=shape,
        peers=tuple(map(other, case.peers)),
        goals=(),  # none are stated for these
        in_memory_test=False,
    )


_SHAPED = (
    ORJSON,
    f"{MAP_TRANSFORM}, one column",
    "flow transform vectorised.py",
    "flow transform columns.py",
)

CASES = PEERS + FLOW_CASES
SHAPE_CASES = tuple(_of_shape(case, shape) for shape in data.SHAPES for case in CASES if case.name in _SHAPED)
