"""`flow load DIR/ --check`: only a valid package takes its place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Result

Flow = Callable[..., Result]


def stream(*states: str) -> bytes:
    schema = {
        "properties": {"id": {"type": "integer"}, "state": {"type": "string", "enum": ["open", "closed"]}}
    }
    lines = [{"type": "SCHEMA", "stream": "s", "schema": schema, "key_properties": ["id"]}]
    lines += [
        {"type": "RECORD", "stream": "s", "record": {"id": n, "state": s}} for n, s in enumerate(states)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines).encode()


@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl", "jsonl.gz"])
def test_a_valid_package_is_published(tmp_path: Path, flow: Flow, form: str) -> None:
    result = flow("load", "p/", "--check", "--format", form, stdin=stream("open", "closed"))
    assert result.code == 0, result.stderr
    assert (tmp_path / "p/datapackage.json").exists()


@pytest.mark.parametrize("form", ["csv", "csv.gz", "jsonl", "jsonl.gz"])
def test_an_invalid_one_leaves_the_package_before_it_and_names_the_cell(
    tmp_path: Path, flow: Flow, form: str
) -> None:
    assert flow("load", "p/", "--format", form, stdin=stream("open")).code == 0
    before = (tmp_path / "p/datapackage.json").read_bytes()
    result = flow("load", "p/", "--check", "--format", form, stdin=stream("open", "strange"))
    assert result.code == 65
    assert "resource 's', row 3, field 'state': " in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "p/datapackage.json").read_bytes() == before


def test_what_cannot_be_checked_is_refused_before_anything_is_read(flow: Flow) -> None:
    result = flow("load", "p/", "--check", "--format", "parquet", stdin=stream("open"))
    assert result.code == 2
    assert "not Parquet" in result.stderr
