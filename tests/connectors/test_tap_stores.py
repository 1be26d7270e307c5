"""Stores as a source of `flow run`, and a real one: an S3 that runs on this machine, where it is installed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from command import Result

Flow = Callable[..., Result]


def records(result: Result) -> list[Any]:
    assert result.code == 0, result.stderr
    return [one["record"] for one in result.messages if one["type"] == "RECORD"]


def put(file: Path, *ids: int) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps({"id": one}) + "\n" for one in ids))


def test_an_address_stands_where_a_tap_may(tmp_path: Path, flow: Flow) -> None:
    put(tmp_path / "logs" / "day-1.jsonl", 1, 2)
    put(tmp_path / "logs" / "day-2.jsonl", 3)
    place = f"file://{tmp_path}/logs/*.jsonl"
    assert records(flow("run", place)) == [{"id": 1}, {"id": 2}, {"id": 3}]
    assert records(flow("run", place, "--limit", "1")) == [{"id": 1}]
    shown = flow("show", place, "--json")
    assert shown.code == 0, shown.stderr
    assert '"day"' in shown.stdout.decode()
    checked = flow("validate", place)
    assert checked.code == 0, checked.stderr
    gone = flow("run", f"file://{tmp_path}/gone/a.csv", "out/")
    assert gone.code == 2
    assert f"There is nothing at file://{tmp_path}/gone/a.csv." in gone.stderr


def test_only_new_files_of_a_store_come(tmp_path: Path, flow: Flow) -> None:
    put(tmp_path / "logs" / "day-1.jsonl", 1, 2)
    words = ("run", f"file://{tmp_path}/logs/*.jsonl", "--config", '{"new_files": "time"}')
    words = (*words, "out/", "--write-mode", "append")
    assert flow(*words).code == 0
    put(tmp_path / "logs" / "day-2.jsonl", 3)
    assert flow(*words).code == 0
    again = flow(*words)
    assert "no new file; 2 files were read before" in again.stderr
    assert records(flow("run", "out/")) == [{"id": 1}, {"id": 2}, {"id": 3}]


def test_options_of_a_store_are_secret(tmp_path: Path, flow: Flow) -> None:
    (tmp_path / "meltano.yml").write_text(
        "version: 1\nplugins:\n  extractors:\n  - name: tap-datapackage\n    config:\n"
        "      storage_options: {key: hunter2, client_kwargs: {more: hunter3}}\n"
    )
    shown = flow("config", "tap-datapackage")
    assert shown.code == 0, shown.stderr
    said = shown.stdout.decode() + shown.stderr
    assert "storage_options" in said
    put(tmp_path / "a.jsonl", 1)
    found = flow("-v", "--log-level", "debug", "run", f"file://{tmp_path}/a.jsonl")
    assert records(found) == [{"id": 1}]
    for one in (said, found.stderr, *(log.read_text() for log in tmp_path.rglob("*.log"))):
        assert "hunter" not in one


@pytest.mark.parametrize("target", ["s3://bucket/out/", "https://example.org/out.zip"])
def test_nothing_is_written_to_a_folder_that_is_called_like_an_address(
    tmp_path: Path, flow: Flow, target: str
) -> None:
    put(tmp_path / "a.jsonl", 1)
    for words, stdin in (
        (("run", "a.jsonl", target), b""),
        (("load", target), flow("run", "a.jsonl").stdout),
    ):
        done = flow(*words, stdin=stdin)
        assert done.code == 2
        assert f"{target} is an address, but a Data Package is written to this disk." in done.stderr
    assert [one.name for one in tmp_path.iterdir() if one.name != ".flow"] == ["a.jsonl"]


# ------------------------------------------------------------------------------------------ S3


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The options of an S3 on this machine that has the bucket `logs`."""
    pytest.importorskip("s3fs")
    server = pytest.importorskip("moto.server")
    import boto3

    for name in [one for one in os.environ if one.startswith("AWS_")]:
        monkeypatch.delenv(name)
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    options = {"endpoint_url": f"http://{host}:{port}", "key": "someone", "secret": "hunter2"}
    client = boto3.client(
        "s3",
        endpoint_url=options["endpoint_url"],
        aws_access_key_id="someone",
        aws_secret_access_key="hunter2",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="bucket")

    def put_object(key: str, text: str) -> None:
        client.put_object(Bucket="bucket", Key=key, Body=text.encode())

    yield {"options": options, "put": put_object}
    running.stop()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_real_store(tmp_path: Path, flow: Flow, s3: dict[str, Any]) -> None:
    s3["put"]("logs/day-1.jsonl", '{"id": 1}\n')
    s3["put"]("logs/sub/day-9.jsonl", '{"id": 9}\n')
    config = json.dumps({"new_files": "time", "storage_options": s3["options"]})
    words = ("run", "s3://bucket/logs/*.jsonl", "--config", config, "target-csv")
    first = flow(*words)
    assert first.code == 0, first.stderr
    s3["put"]("logs/day-2.jsonl", '{"id": 2}\n')
    for _ in range(2):
        assert flow(*words).code == 0
    table = (tmp_path / "output" / "day.csv").read_text()
    assert table == "id\n1\n2\n"
    (state,) = (tmp_path / ".flow" / "state").rglob("state.json")
    assert '"s3://bucket/logs/day-2.jsonl":"time:10:' in state.read_text()
    everything = flow("run", "s3://bucket/logs/**/*.jsonl", "--config", config, "--full-refresh")
    assert sorted(one["id"] for one in records(everything)) == [1, 2, 9]
    package = {"name": "r", "path": "r.csv", "schema": {"fields": [{"name": "id", "type": "integer"}]}}
    s3["put"]("p/datapackage.json", json.dumps({"resources": [package]}))
    s3["put"]("p/r.csv", "id\n5\n")
    assert records(flow("run", "s3://bucket/p/", "--config", config)) == [{"id": 5}]
    gone = flow("run", "s3://bucket/logs/gone.csv", "--config", config)
    assert gone.code == 2
    assert "There is nothing at s3://bucket/logs/gone.csv." in gone.stderr
    assert "hunter2" not in first.stderr + gone.stderr
