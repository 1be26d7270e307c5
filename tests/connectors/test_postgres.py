"""MeltanoLabs' tap-postgres -> pandas -> target-postgres, compared with the same pipe without Flow."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from .harness import Json, Postgres, Project

pytestmark = [pytest.mark.connectors, pytest.mark.postgres]

TRANSFORMS = {
    "batch": """\
@transform("{stream}")
def shout(df):
    return df.assign(note=df["note"].str.upper())
""",
    "whole": """\
@transform("{stream}", whole=True)
def shout(df):
    return df.assign(note=df["note"].str.upper())
""",
    "rows": """\
@transform("{stream}", rows=True)
def shout(row):
    return row | {{"note": row["note"].upper()}}
""",
}

SOURCE_AS_LOADED = """
SELECT to_jsonb(t) || jsonb_build_object(
    'raw', encode(raw, 'hex'),
    'instant', instant AT TIME ZONE 'UTC'
) FROM "{schema}".hard_types AS t ORDER BY id
"""
"""The source with what tap and target change by themselves: bytes become hexadecimal text, and an instant
loses its zone (UTC)."""


def tap_config(postgres: Postgres, schema: str) -> Json:
    return postgres.connection | {"database": postgres.database, "filter_schemas": [schema]}


def target_config(postgres: Postgres, schema: str) -> Json:
    return postgres.connection | {
        "database": postgres.database,
        "default_target_schema": schema,
        "load_method": "upsert",
    }


def rows(postgres: Postgres, sql: str) -> list[dict[str, Any]]:
    """Rows of a query for one JSON object, numbers exact and as written: 1.50 is not 1.5."""
    return [
        {
            key: value
            for key, value in json.loads(line, parse_float=lambda digits: ("number", digits)).items()
            if not key.startswith("_sdc_")
        }
        for line in postgres.query(sql)
    ]


def table(postgres: Postgres, schema: str, name: str) -> list[dict[str, Any]]:
    return rows(postgres, f'SELECT to_jsonb(t) FROM "{schema}"."{name}" AS t ORDER BY id')


def columns(postgres: Postgres, schema: str) -> list[str]:
    """Name, type and nullability of each column of the table that arrived."""
    return postgres.query(
        "SELECT column_name || ' ' || data_type || ' ' || is_nullable FROM information_schema.columns "
        f"WHERE table_schema = '{schema}' AND table_name = 'hard_types' ORDER BY column_name"
    )


def pipe_without_flow(
    executable: Callable[[str], Path], config: Json, target: Json, stream: str, folder: Path
) -> None:
    """Run `tap | target` for one stream."""
    (folder / "tap.json").write_text(json.dumps(config))
    (folder / "target.json").write_text(json.dumps(target))
    tap: list[str | Path] = [executable("tap-postgres"), "--config", folder / "tap.json"]
    catalog = json.loads(subprocess.check_output([*tap, "--discover"], stderr=subprocess.DEVNULL))
    for entry in catalog["streams"]:
        for item in entry["metadata"]:
            item["metadata"]["selected"] = entry["tap_stream_id"] == stream
    (folder / "catalog.json").write_text(json.dumps(catalog))
    messages = subprocess.check_output(
        [*tap, "--catalog", folder / "catalog.json"], stderr=subprocess.DEVNULL
    )
    subprocess.run(
        [executable("target-postgres"), "--config", folder / "target.json"],
        input=messages,
        capture_output=True,
        check=True,
    )


@pytest.mark.parametrize("form", list(TRANSFORMS))
def test_every_value_but_the_changed_column_is_as_without_flow(
    *,
    make_project: Callable[..., Project],
    executable: Callable[[str], Path],
    postgres: Postgres,
    source: str,
    new_schema: Callable[[str], str],
    tmp_path: Path,
    form: str,
) -> None:
    stream = f"{source}-hard_types"
    direct, through_flow = new_schema("direct"), new_schema("flow")
    pipe_without_flow(
        executable, tap_config(postgres, source), target_config(postgres, direct), stream, tmp_path
    )
    project = make_project(
        {
            "tap-postgres": {"config": tap_config(postgres, source), "select": [f"{stream}.*"]},
            "target-postgres": {"config": target_config(postgres, through_flow)},
        }
    )
    project.write("t.py", "from flow_singer import transform\n\n\n" + TRANSFORMS[form].format(stream=stream))
    project.shell("flow run tap-postgres | flow transform t.py | flow load target-postgres").check()

    expected = table(postgres, direct, "hard_types")
    assert len(expected) == 6
    for row in expected:
        row["note"] = row["note"].upper()
    assert table(postgres, through_flow, "hard_types") == expected
    assert columns(postgres, through_flow) == columns(postgres, direct)


def test_the_target_has_the_values_of_the_source(
    make_project: Callable[..., Project], postgres: Postgres, source: str, new_schema: Callable[[str], str]
) -> None:
    stream = f"{source}-hard_types"
    loaded = new_schema("flow")
    project = make_project(
        {
            "tap-postgres": {"config": tap_config(postgres, source), "select": [f"{stream}.*"]},
            "target-postgres": {"config": target_config(postgres, loaded)},
        }
    )
    project.write(
        "t.py", "from flow_singer import transform\n\n\n" + TRANSFORMS["batch"].format(stream=stream)
    )
    project.flow("run", "tap-postgres", "t.py", "target-postgres").check()

    expected = rows(postgres, SOURCE_AS_LOADED.format(schema=source))
    actual = table(postgres, loaded, "hard_types")
    assert [row["id"] for row in actual] == [row["id"] for row in expected]
    for row, wanted in zip(actual, expected, strict=True):
        wanted["note"] = wanted["note"].upper()
        # A real or double that is whole, or tiny, is written in another form of the same number.
        for column in ("single", "double", "free", "money", "amount"):
            assert number(row.pop(column)) == number(wanted.pop(column)), (row["id"], column)
        assert row == wanted


def number(value: Any) -> Decimal | None:
    """The exact value of a number as `rows` reads it."""
    if value is None:
        return None
    return Decimal(value[1]) if isinstance(value, tuple) else Decimal(value)


def test_the_next_run_upserts_only_what_is_new(
    make_project: Callable[..., Project], postgres: Postgres, source: str, new_schema: Callable[[str], str]
) -> None:
    stream = f"{source}-many"
    loaded = new_schema("flow")
    project = make_project(
        {
            "tap-postgres": {
                "config": tap_config(postgres, source),
                "select": [f"{stream}.*"],
                "metadata": {stream: {"replication-method": "INCREMENTAL", "replication-key": "changed_at"}},
            },
            "target-postgres": {"config": target_config(postgres, loaded)},
        }
    )
    project.flow("run", "tap-postgres", "target-postgres").check()
    postgres.run(
        "-c", f"INSERT INTO \"{source}\".many VALUES (2001, '2025-01-01 00:00:00.000001+00', 'late')"
    )
    project.flow("run", "tap-postgres", "target-postgres").check()

    assert table(postgres, loaded, "many")[-1]["body"] == "late"
    by_load = postgres.query(
        f'SELECT count(*) FROM "{loaded}".many GROUP BY _sdc_batched_at ORDER BY _sdc_batched_at'
    )
    # The row on the bookmark itself comes again: Singer is at least once.
    assert by_load == ["1999", "2"]


def test_a_record_that_the_target_refuses_ends_with_the_target_s_exit_code(
    make_project: Callable[..., Project], postgres: Postgres, source: str, new_schema: Callable[[str], str]
) -> None:
    project = make_project(
        {
            "tap-postgres": {
                "config": tap_config(postgres, source),
                "select": [f"{source}-null_in_array.*"],
            },
            "target-postgres": {"config": target_config(postgres, new_schema("flow"))},
        }
    )
    for run in (
        project.flow("run", "tap-postgres", "target-postgres"),
        project.shell("flow run tap-postgres | flow load target-postgres"),
    ):
        run.check(70)
        assert "target-postgres" in run.stderr
        assert "None is not of type 'integer'" in run.stderr


def test_a_database_that_is_not_there_is_the_tap_s_failure(
    make_project: Callable[..., Project], postgres: Postgres
) -> None:
    config = tap_config(postgres, "public") | {"database": "flow_no_such_database"}
    project = make_project({"tap-postgres": {"config": config}})
    run = project.flow("run", "tap-postgres").check(69)
    assert run.stdout == ""
    assert 'database "flow_no_such_database" does not exist' in run.stderr
