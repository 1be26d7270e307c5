"""PipelineWise's tap-postgres: singer-python of 2020, `--properties`, `$ref` in schemas, ACTIVATE_VERSION."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .harness import Json, Postgres, Project

pytestmark = [pytest.mark.connectors, pytest.mark.postgres]

TRANSFORM = """\
from flow_singer import transform


@transform("{stream}")
def shout(df):
    return df.assign(note=df["note"].str.upper())
"""


@pytest.fixture
def source(postgres: Postgres, source: str) -> str:
    """The schema of the hard types, less one value that the tap emits against its own SCHEMA.

    It declares JSON columns as objects and arrays, and emits a JSON string nevertheless; nor can the column
    be left out, as the tap forgets the selection of columns when it discovers the table anew before a sync.
    """
    postgres.run("-c", f"UPDATE \"{source}\".hard_types SET binary_document = '{{}}' WHERE id = 6")
    return source


def tap_entry(postgres: Postgres, schema: str) -> Json:
    return {
        "config": postgres.connection | {"dbname": postgres.database, "filter_schemas": schema},
        "select": [f"{schema}-hard_types.*"],
        "metadata": {"*": {"replication-method": "FULL_TABLE"}},
    }


@pytest.fixture
def project(make_project: Callable[..., Project], postgres: Postgres, source: str) -> Project:
    project = make_project(
        {
            "tap-postgres-old": tap_entry(postgres, source),
            "target-jsonl": {"config": {"destination_path": "output", "do_timestamp_file": False}},
        }
    )
    project.write("t.py", TRANSFORM.format(stream=f"{source}-hard_types"))
    return project


@pytest.fixture
def direct(
    executable: Callable[[str], Path], postgres: Postgres, source: str, tmp_path: Path
) -> list[dict[str, Any]]:
    """The records that target-jsonl writes in a pipe without Flow."""
    entry = tap_entry(postgres, source)
    (tmp_path / "tap.json").write_text(json.dumps(entry["config"]))
    (tmp_path / "target.json").write_text(
        json.dumps({"destination_path": str(tmp_path / "direct"), "do_timestamp_file": False})
    )
    tap: list[str | Path] = [executable("tap-postgres-old"), "--config", tmp_path / "tap.json"]
    catalog = json.loads(subprocess.check_output([*tap, "--discover"], stderr=subprocess.DEVNULL))
    for stream in catalog["streams"]:
        for item in stream["metadata"]:
            if not item["breadcrumb"]:
                item["metadata"]["selected"] = stream["table_name"] == "hard_types"
                item["metadata"]["replication-method"] = "FULL_TABLE"
    (tmp_path / "properties.json").write_text(json.dumps(catalog))
    messages = subprocess.check_output(
        [*tap, "--properties", tmp_path / "properties.json"], stderr=subprocess.DEVNULL
    )
    subprocess.run(
        [executable("target-jsonl"), "--config", tmp_path / "target.json"],
        input=messages,
        capture_output=True,
        check=True,
    )
    return exact_records(tmp_path / "direct" / f"{source}-hard_types.jsonl")


def exact_records(path: Path) -> list[dict[str, Any]]:
    """The records of a file by id, fractions as written."""
    lines = path.read_text(encoding="utf-8").split("\n")
    records = [json.loads(line, parse_float=lambda digits: ("number", digits)) for line in lines if line]
    return sorted(records, key=lambda record: record["id"])


@pytest.mark.parametrize(
    "command",
    [
        "flow run tap-postgres-old | flow load target-jsonl",
        "flow run tap-postgres-old target-jsonl",
        "flow run tap-postgres-old --plain | {target} --config target.json",
    ],
    ids=["pipe", "supervised", "foreign-last-stage"],
)
def test_untouched_records_arrive_as_without_flow(
    *,
    project: Project,
    direct: list[dict[str, Any]],
    executable: Callable[[str], Path],
    source: str,
    command: str,
) -> None:
    project.write("target.json", '{"destination_path": "output", "do_timestamp_file": false}')
    project.shell(command.format(target=executable("target-jsonl"))).check()
    assert exact_records(project.root / "output" / f"{source}-hard_types.jsonl") == direct
    assert len(direct) == 6


@pytest.mark.parametrize(
    "command",
    [
        "flow run tap-postgres-old | flow transform t.py | flow load target-jsonl",
        "flow run tap-postgres-old t.py target-jsonl",
    ],
    ids=["pipe", "supervised"],
)
def test_a_transform_changes_its_column_only(
    project: Project, direct: list[dict[str, Any]], source: str, command: str
) -> None:
    project.shell(command).check()
    for record in direct:
        record["note"] = record["note"].upper()
    assert exact_records(project.root / "output" / f"{source}-hard_types.jsonl") == direct


def test_versions_keep_their_place_around_transformed_records(project: Project, source: str) -> None:
    run = project.shell("flow run tap-postgres-old | flow transform t.py").check()
    stream = f"{source}-hard_types"
    kinds = [message["type"] for message in run.messages if message.get("stream") == stream]
    first = [kind for i, kind in enumerate(kinds) if i == 0 or kinds[i - 1] != kind]
    # The trailer of a complete stream repeats a STATE, so no second SCHEMA follows.
    assert first == ["SCHEMA", "ACTIVATE_VERSION", "RECORD", "ACTIVATE_VERSION"]
    versions = {m["version"] for m in run.messages if m["type"] in ("RECORD", "ACTIVATE_VERSION")}
    assert len(versions) == 1


def test_the_catalog_goes_to_properties(
    *,
    make_project: Callable[..., Project],
    executable: Callable[[str], Path],
    postgres: Postgres,
    source: str,
) -> None:
    entry = tap_entry(postgres, source) | {"pip_url": None, "executable": "./spy-tap"}
    project = make_project({"tap-postgres-old": entry})
    spy = project.write(
        "spy-tap",
        f'#!/bin/sh\necho "$*" >> "{project.root}/arguments.txt"\n'
        f'exec {shlex.quote(str(executable("tap-postgres-old")))} "$@"\n',
    )
    spy.chmod(0o755)
    project.flow("run", "tap-postgres-old").check()
    discovery, sync = (project.root / "arguments.txt").read_text().splitlines()
    assert "--discover" in discovery
    assert "--properties" in sync
    assert "--catalog" not in sync
