"""airbytehq/PyAirbyte#544: two streams whose names become one file name end up in one file.

The second run brings only the other stream, or both in another order: the suffix that kept them apart in the
first run must not follow the order of arrival.
"""

from __future__ import annotations

import csv
import itertools
import json

import pytest
from flow_target_csv.append import AppendedFiles
from flow_target_csv.replace import ReplacedFiles

from flow_singer.datapackage.sink import load_package
from flow_singer.datapackage.writer import PackageWriter

PAIRS = [
    ("a/b", "a:b"),
    ("Users", "users"),
    ("a-b", "a/b"),
    ("caf\u00e9", "cafe\u0301"),
    ("x" * 90 + "1", "x" * 90 + "2"),
    ("..", "."),
    ("s ", "s"),
]


def messages(streams, number):
    properties = {"id": {"type": "integer"}, "x": {"type": ["null", "string"]}}
    for stream in streams:
        schema = {"type": "object", "properties": properties}
        yield {"type": "SCHEMA", "stream": stream, "schema": schema, "key_properties": ["id"]}
        yield {"type": "RECORD", "stream": stream, "record": {"id": number, "x": f"from {stream}"}}


@pytest.mark.parametrize(("one", "other"), PAIRS)
@pytest.mark.parametrize("mode", ["append", "replace"])
def test_a_file_holds_one_stream_in_whatever_order_they_come(tmp_path, one, other, mode):
    sink = {"append": AppendedFiles, "replace": ReplacedFiles}[mode]
    for number, streams in enumerate([[one, other], [other], [other, one], [one]]):
        files = sink(tmp_path / "out", null="", notice=print)
        load_package([json.dumps(message).encode() + b"\n" for message in messages(streams, number)], files)
        files.publish()
    found = {}
    for path in (tmp_path / "out").iterdir():
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        (origin,) = {row["x"] for row in rows}
        found[origin] = [int(row["id"]) for row in rows]
    appended = {f"from {one}": [0, 2, 3], f"from {other}": [0, 1, 2]}
    replaced = {f"from {one}": [3], f"from {other}": [2]}
    assert found == (appended if mode == "append" else replaced)


@pytest.mark.parametrize(("one", "other"), PAIRS)
def test_a_resource_is_one_stream_whatever_else_is_in_the_package(tmp_path, one, other):
    seen = {}
    for number, streams in enumerate([[one, other], [other, one]]):
        with PackageWriter(tmp_path / str(number)) as writer:
            load_package([json.dumps(m).encode() + b"\n" for m in messages(streams, 1)], writer)
            resources = writer.publish().descriptor["resources"]
        for resource in resources:
            text = (tmp_path / str(number) / resource["path"]).read_text(encoding="utf-8")
            assert f"from {resource['flow:stream']}" in text
            seen.setdefault(resource["flow:stream"], set()).add((resource["name"], resource["path"]))
    assert all(len(names) == 1 for names in seen.values())
    names = [{name.lower() for name in itertools.chain(*values)} for values in seen.values()]
    assert names[0].isdisjoint(names[1])
