"""What is expected of streams is looked at on the way, wherever it is written, before anything is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from command import Command
from projects import write_project
from streams import bookmarked_id, framed, ids, messages

from flow_singer.errors import ConfigError
from flow_singer.project.meltanofile import load_project
from flow_singer.stages.expected import expected_in_file, expected_of_tap

STREAM = framed(messages(5, every=2))


def expects(folder: Path, entry: Any) -> None:
    (folder / "e.yml").write_text(json.dumps({"s": entry}))


def published(folder: Path) -> list[str]:
    file = folder / "out/data/s.csv"
    return [row.split(",")[0] for row in file.read_text().split()[1:]] if file.exists() else []


@pytest.mark.parametrize("file", [True, False])
def test_a_bad_row_stops_the_run_and_leaves_the_package_before_it(command: Command, file: bool) -> None:
    write_project(command.cwd, taps={"tap-x": {"script": "says.py", "config": {"stdout": STREAM.decode()}}})
    words = ["run", "tap-x", *(["t.py"] if file else []), "out/"]
    (command.cwd / "t.py").write_text("def s(df):\n    return df\n")
    assert command.flow(*words).code == 0
    expects(command.cwd, {"maximum": {"id": 3}})
    done = command.flow(*words, "--expect", "e.yml")
    assert done.code == 65
    assert done.stderr.endswith(
        "Error: Stream 's', column 'id': 2 rows break maximum 3: row 4 (4), row 5 (5).\n"
        "Correct the data, or what is expected of them (e.yml, line 1). With on_failure: drop, clear or warn the run "
        "goes on.\n"
    )
    assert published(command.cwd) == ["1", "2", "3", "4", "5"]


def test_meltano_yml_says_it_for_a_tap_and_an_environment_otherwise(command: Command) -> None:
    tap = {
        "script": "says.py",
        "config": {"stdout": STREAM.decode()},
        "expect": {"s": [{"maximum": {"id": 3}, "on_failure": "drop"}, {"not_null": "id"}]},
    }
    overlay = {"plugins": {"extractors": [{"name": "tap-x", "expect": {"s": {"min_rows": 9}}}]}}
    write_project(command.cwd, taps={"tap-x": tap}, environments=[{"name": "prod", "config": overlay}])
    done = command.flow("run", "tap-x", "out/", "--reject", "bad.jsonl")
    assert done.code == 66, done.stderr
    assert "unknown key" not in done.stderr
    assert published(command.cwd) == ["1", "2", "3"]
    entries = [json.loads(one) for one in (command.cwd / "bad.jsonl").read_text().splitlines()]
    assert [(one["record"]["id"], one["error"]) for one in entries] == [
        (number, "Stream 's', column 'id': the row breaks maximum 3.") for number in (4, 5)
    ]
    done = command.flow("--environment", "prod", "run", "tap-x", "out/")
    assert done.code == 65
    assert "Stream 's': min_rows 9: there are 5." in done.stderr
    assert published(command.cwd) == ["1", "2", "3"]


def test_in_a_shell_pipe_the_header_names_the_tap(command: Command) -> None:
    write_project(command.cwd, taps={"tap-x": {"script": "says.py", "expect": {"s": {"min_rows": 9}}}})
    done = command.flow("transform", "--expect", "none.yml", stdin=STREAM)
    assert done.code == 2
    (command.cwd / "none.yml").write_text("{}")
    done = command.flow("transform", "--expect", "none.yml", stdin=STREAM)
    assert done.code == 65
    assert "min_rows 9: there are 5" in done.stderr
    assert done.messages[-1]["_flow"]["end"] == "failed"
    assert [one["value"] for one in done.messages[:-1] if one["type"] == "STATE"] == []


def test_expect_in_a_file_is_about_what_leaves_that_file(command: Command) -> None:
    (command.cwd / "a.py").write_text(
        "from flow_singer import expect, transform\n"
        "@expect(minimum={'id': 2}, on_failure='drop')\n"
        "@expect('other', min_rows=5)\n"
        "@transform('s', into='other', key=['id'])\n"
        "def f(df):\n    return df\n"
    )
    (command.cwd / "b.py").write_text("def other(df):\n    return df.assign(id=df['id'] - 2)\n")
    done = command.flow("transform", "a.py", "b.py", stdin=STREAM)
    assert done.code == 65
    assert "Stream 'other': min_rows 5: there are 4." in done.stderr
    assert "1 row breaks minimum 2 and was dropped" not in done.stderr
    assert [one for one in done.messages if one["type"] in ("RECORD", "STATE") and "_flow" not in one] == []
    (command.cwd / "a.py").write_text((command.cwd / "a.py").read_text().replace("min_rows=5", "min_rows=4"))
    done = command.flow("transform", "a.py", "b.py", stdin=STREAM)
    assert done.code == 0
    assert "Stream 'other', column 'id': 1 row breaks minimum 2 and was dropped: row 1 (1)." in done.stderr
    assert [one["record"]["id"] for one in done.messages if one["type"] == "RECORD"] == [0, 1, 2, 3]


def test_no_bookmark_covers_a_bad_row(command: Command) -> None:
    write_project(
        command.cwd,
        taps={
            "tap-x": {
                "script": "says.py",
                "config": {"stdout": STREAM.decode()},
                "expect": {"s": {"maximum": {"id": 4}}},
            }
        },
        targets={"target-x": {"script": "durable.py", "config": {"rows": str(command.cwd / "rows")}}},
    )
    (command.cwd / "t.py").write_text("def s(df):\n    return df\n")
    done = command.flow("run", "tap-x", "t.py", "target-x", "--batch-records", "2")
    assert done.code == 65, done.stderr
    loaded = ids(command.cwd / "rows")
    assert loaded == [*range(1, len(loaded) + 1)]
    assert bookmarked_id(command.cwd, "tap-x-to-target-x") <= len(loaded) <= 4


def test_a_mistake_in_it_shows_before_anything_runs(command: Command) -> None:
    write_project(command.cwd, taps={"tap-x": {"script": "says.py", "expect": {"s": {"not_nul": ["id"]}}}})
    done = command.flow("run", "tap-x", "out/")
    assert done.code == 2
    assert done.stderr == (
        "Error: meltano.yml, line 1: unknown expectation 'not_nul' of stream 's'.\nDid you mean not_null?\n"
    )


def test_check_finds_it_too(command: Command) -> None:
    write_project(command.cwd, taps={"tap-x": {"script": "says.py", "expect": {"s": {"min_rows": -1}}}})
    done = command.flow("check")
    assert done.code == 2
    assert "'min_rows' of stream 's' is not a whole number from 0 on." in done.stdout.decode()


def test_what_a_tap_inherits_holds_stream_by_stream(tmp_path: Path) -> None:
    (tmp_path / "meltano.yml").write_text(
        "version: 1\nplugins:\n  extractors:\n"
        "  - {name: tap-x, namespace: x, expect: {a: {min_rows: 1}, b: {min_rows: 2}}}\n"
        "  - name: tap-y\n    inherit_from: tap-x\n    expect:\n      b:\n        pattern: {c: '^$HOME$'}\n"
    )
    project = load_project(tmp_path, environ={"HOME": "/root"})
    found = {one.stream: one for one in expected_of_tap(project, "tap-y")}
    assert found["a"].value == 1
    assert found["b"].value == "^$HOME$"  # no variable
    assert found["b"].place == "meltano.yml, line 9"
    assert expected_of_tap(project, "tap-z") == expected_of_tap(None, "tap-x") == []


def test_a_file_may_have_the_key_of_meltano_yml_around_it(tmp_path: Path) -> None:
    (tmp_path / "e.yml").write_text(
        "expect:\n  s:\n    - not_null: id\n    - unique: id\n      on_failure: warn\n"
    )
    found = expected_in_file(tmp_path / "e.yml")
    assert [(one.word, one.on_failure, one.place.rpartition(", ")[2]) for one in found] == [
        ("not_null", "raise", "line 3"),
        ("unique", "warn", "line 4"),
    ]
    (tmp_path / "e.yml").write_text("s: [3]")
    with pytest.raises(ConfigError, match="is int"):
        expected_in_file(tmp_path / "e.yml")
