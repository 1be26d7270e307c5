"""The benchmarks look at values, and the page of the comparison shows the code that was measured."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import pytest
from pages import ROOT, blocks

BENCHMARKS = ROOT / "benchmarks"
PAGE = ROOT / "docs" / "guides" / "compare.md"
TOOLS = ("flow", "dlt", "dataflows", "frictionless")


@pytest.fixture(scope="module")
def values() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_values", BENCHMARKS / "values.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOURCE = {"id": 7, "score": 0.5, "at": "2024-01-01T00:00:00Z", "user": {"id": 1}, "title": "007x", "no": None}


@pytest.mark.parametrize(
    ("written", "exactly", "found"),
    [
        (SOURCE, True, ""),
        (SOURCE | {"_more": 1}, True, ""),
        (SOURCE | {"user": '{"id": 1}'}, True, ""),
        (SOURCE | {"id": "7"}, True, "record 1, 'id': wrote '7', not 7"),
        (SOURCE | {"id": "7", "at": "2024-01-01 01:00:00+01", "no": float("nan")}, False, ""),
        (SOURCE | {"score": 0.50001}, False, "record 1, 'score': wrote 0.50001, not 0.5"),
        (SOURCE | {"title": "7x"}, False, "record 1, 'title': wrote '7x', not '007x'"),
        (SOURCE | {"user": {"id": 2}}, False, "record 1, 'user': wrote {'id': 2}, not {'id': 1}"),
        ({"id": 7}, False, "record 1 has no 'score'"),
    ],
)
def test_a_value_that_a_command_changed_is_found(
    values: ModuleType, tmp_path: Path, written: dict[str, object], exactly: bool, found: str
) -> None:
    ours, theirs = tmp_path / "messages.jsonl", tmp_path / "written.jsonl"
    ours.write_text(json.dumps({"type": "RECORD", "stream": "issues", "record": SOURCE}) + "\n")
    theirs.write_text(json.dumps(written) + "\n")
    assert values.first_difference(theirs, ours, exactly=exactly) == found


def test_the_comparison_shows_the_code_that_is_measured() -> None:
    shown = [block.text for block in blocks(PAGE) if block.language == "python"]
    assert shown == [(BENCHMARKS / "scripts" / f"compare_{tool}.py").read_text() for tool in TOOLS]
    script = (BENCHMARKS / "compare.py").read_text()
    for command in ("flow run sales.csv t.py out/ --check", "python sales.py"):
        assert f'"{command}"' in script
        assert command in PAGE.read_text(encoding="utf-8")


def test_the_comparison_shows_the_numbers_that_were_measured() -> None:
    results = BENCHMARKS / "results" / "compare.md"
    if not results.exists():
        pytest.skip("results are not part of a source distribution")
    page = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line for line in results.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) == 2 + len(TOOLS)
    assert [row for row in rows if row not in page] == []
