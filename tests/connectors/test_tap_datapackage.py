"""The bundled tap for data: what a reader finds becomes messages, by the block or through the SDK."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from flow_tap_datapackage.tap import TapDataPackage
from singer_sdk.testing import SuiteConfig

from .sdksuite import sdk_suite
from .tapmessages import bookmark, messages_of, own_signal_handlers, records

COMMAND = [sys.executable, "-m", "flow_tap_datapackage"]
ROWS = [
    {"id": 1, "name": "Ada", "at": "2024-01-01T00:00:00+02:00", "more": {"a": 1.50, "b": "x"}},
    {"id": 2, "name": None, "at": "2024-01-02T00:00:00Z", "more": None},
    {"id": 3, "name": "Bo", "at": "2024-01-02T01:00:00+01:00", "more": {"a": 2}},
]
SCHEMA: dict[str, Any] = {
    "type": "object",
    "definitions": {"text": {"type": ["null", "string"]}},
    "x-kept": "as it is",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "integer"},
        "name": {"$ref": "#/definitions/text"},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "more": {
            "type": ["null", "object"],
            "properties": {"a": {"type": "number"}, "b": {"type": "string"}},
        },
    },
}

# The SDK warns for half a year before a Python reaches its end of life: the date must not fail the tests.
pytestmark = pytest.mark.filterwarnings("ignore:Python 3.* end of life:FutureWarning")


def package(folder: Path, rows: list[dict[str, Any]] = ROWS, schema: Any = SCHEMA) -> Path:
    """A package as Flow writes it, of one stream in JSON Lines."""
    folder.mkdir(exist_ok=True)
    (folder / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = [{"name": "id", "type": "integer"}, {"name": "name"}, {"name": "at", "type": "datetime"}]
    resource = {
        "name": "people",
        "path": "people.jsonl",
        "schema": {"fields": [*fields, {"name": "more", "type": "object"}], "missingValues": []},
        "flow:stream": "people",
        "flow:keyProperties": ["id"],
        "flow:jsonSchema": schema,
    }
    (folder / "datapackage.json").write_text(json.dumps({"resources": [resource]}))
    return folder


EXAMPLE = package(Path(tempfile.mkdtemp(prefix="flow-test-")) / "p")
_PLAIN = {**SCHEMA, "properties": {**SCHEMA["properties"], "name": SCHEMA["definitions"]["text"]}}
"""The SDK's own tests know no references."""
SDK_EXAMPLE = package(Path(tempfile.mkdtemp(prefix="flow-test-")) / "p", schema=_PLAIN)


TestSdkSuite = sdk_suite(TapDataPackage, SuiteConfig(), path=str(SDK_EXAMPLE))


@pytest.fixture(autouse=True)
def _own_signal_handlers():
    with own_signal_handlers():
        yield


def sync(catalog: Any = None, state: Any = None, **config: Any) -> list[dict[str, Any]]:
    """The messages that the tap writes, in this process."""
    return messages_of(TapDataPackage, {"path": str(EXAMPLE), **config}, catalog=catalog, state=state)


def schema(messages: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [one for one in messages if one["type"] == "SCHEMA"]
    return found


def catalog_without(*path: str, **entry: Any) -> dict[str, Any]:
    """The catalog, less one property."""
    catalog = json.loads(json.dumps(TapDataPackage(config={"path": str(EXAMPLE)}).catalog_dict))
    (stream,) = catalog["streams"]
    stream.update(entry)
    breadcrumb = [part for name in path for part in ("properties", name)]
    for item in stream["metadata"]:
        if item["breadcrumb"] == breadcrumb:
            item["metadata"]["selected"] = not path
    return catalog


def test_the_schema_is_the_one_that_the_package_keeps() -> None:
    found = schema(sync())
    assert found == {"type": "SCHEMA", "stream": "people", "schema": SCHEMA, "key_properties": ["id"]}


def test_records_are_those_of_the_package() -> None:
    assert records(sync()) == ROWS


def test_a_column_that_is_not_selected() -> None:
    messages = sync(catalog_without("name"))
    assert records(messages) == [{key: value for key, value in row.items() if key != "name"} for row in ROWS]
    assert set(schema(messages)["schema"]["properties"]) == {"id", "at", "more"}
    assert schema(messages)["schema"]["required"] == ["id"]


def test_a_part_of_a_nested_value_that_is_not_selected() -> None:
    found = records(sync(catalog_without("more", "b")))
    assert [row["more"] for row in found] == [{"a": 1.50}, None, {"a": 2}]


def test_stream_maps_are_those_of_the_sdk() -> None:
    found = records(
        sync(stream_maps={"people": {"id": "id", "upper": "name and name.upper()", "__else__": None}})
    )
    assert found == [{"id": 1, "upper": "ADA"}, {"id": 2, "upper": None}, {"id": 3, "upper": "BO"}]


def test_a_replication_key_reads_on_where_the_last_run_ended(tmp_path: Path) -> None:
    first = sync(replication_key="at")
    assert schema(first)["bookmark_properties"] == ["at"]
    value = bookmark(first)
    # The greatest instant; of two texts of one instant, the first.
    assert value["bookmarks"]["people"]["replication_key_value"] == "2024-01-02T00:00:00Z"
    again = sync(replication_key="at", state=value)
    assert [row["id"] for row in records(again)] == [2, 3]
    later = {"id": 4, "name": None, "at": "2024-01-02T00:00:00-01:00", "more": None}
    folder = package(tmp_path / "p", [*ROWS, later])
    grown = sync(replication_key="at", state=value, path=str(folder))
    assert [row["id"] for row in records(grown)] == [2, 3, 4]
    assert bookmark(grown)["bookmarks"]["people"]["replication_key_value"] == later["at"]


def test_an_integer_as_replication_key() -> None:
    value = bookmark(sync(replication_key="id"))
    assert value["bookmarks"]["people"]["replication_key_value"] == 3
    assert [row["id"] for row in records(sync(replication_key="id", state=value))] == [3]


def test_a_full_table_has_no_bookmark() -> None:
    messages = sync()
    assert "replication_key_value" not in json.dumps(bookmark(messages))


def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **variables},
    )


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"path": "gone.csv"}, "There is nothing at gone.csv."),
        ({"types": {"id": "integre"}}, "gives the column 'id' the type 'integre', which there is not."),
        ({"replication_key": "att"}, "has no column 'att'"),
        ({"replication_key": "more"}, "has values without an order"),
    ],
)
def test_a_wrong_setting_ends_with_2_and_one_message(
    tmp_path: Path, config: dict[str, Any], message: str
) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"path": str(EXAMPLE), **config}))
    done = run("--config", str(tmp_path / "config.json"))
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert len([line for line in done.stderr.splitlines() if " | INFO " not in line]) == 2


def test_broken_data_end_with_65(tmp_path: Path) -> None:
    folder = package(tmp_path / "p")
    (folder / "people.jsonl").write_text('{"id": "one"}\n')
    (tmp_path / "config.json").write_text(json.dumps({"path": str(folder)}))
    done = run("--config", str(tmp_path / "config.json"))
    assert done.returncode == 65
    assert "people.jsonl" in done.stderr or "people" in done.stderr
    assert "line 1" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
def test_files_are_read_without_pandas(tmp_path: Path, form: str) -> None:
    """It would come with pyarrow's first array of a list: a third of a second, in which no frame is made."""
    path = tmp_path / f"people.{form}"
    if form == "csv":
        path.write_text("id,at\n1,2024-01-01T00:00:00Z\n2,\n")
    elif form == "jsonl":
        path.write_text('{"id": 1, "at": "2024-01-01T00:00:00Z"}\n{"id": 2, "at": null}\n')
    else:
        stamps = pa.array([datetime(2024, 1, 1, tzinfo=UTC), None])
        pq.write_table(pa.table({"id": [1, 2], "at": stamps}), path)
    (tmp_path / "config.json").write_text(json.dumps({"path": str(path)}))
    command = [sys.executable, "-X", "importtime", *COMMAND[1:], "--config", str(tmp_path / "config.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    imported = {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if "import time:" in line
    }
    assert "pyarrow" in imported
    assert "pandas.core.frame" not in imported  # pyarrow asks for pandas itself, in vain
    assert done.stdout.count('"RECORD"') == 2


def test_about_is_the_answer_that_flow_brings_along() -> None:
    about = json.loads(run("--about", "--format=json").stdout)
    kept = Path(sys.modules["flow_tap_datapackage"].__file__ or "").with_name("about.json")
    assert json.loads(kept.read_text()) == {key: about[key] for key in ("capabilities", "settings")}
