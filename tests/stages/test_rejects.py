"""What is set aside by `flow load` and the bundled targets: counted, on disk before what covers it, and told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from command import Command
from streams import framed, messages, plain

from flow_singer.errors import DataError, MessageError
from flow_singer.singer.nonfinite import without_nan
from flow_singer.singer.rejectfile import RejectFile

SCHEMA, *RECORDS = messages(3)
MISFIT = b'{"type": "RECORD", "stream": "s", "record": {"id": "x"}}'
MIXED = plain([SCHEMA, RECORDS[0], b"no message", MISFIT, b'{"type": "NONE"}', *RECORDS[2:]])
ASIDE = [
    (3, None, {"text": "no message"}),
    (4, "s", {"record": {"id": "x"}}),
    (5, None, {"text": '{"type": "NONE"}'}),
]


def entries(path: Path) -> list[tuple[int, str | None, dict[str, Any]]]:
    """Line, stream and content of each, by line: a record is decoded later than what is no message is met."""
    found = sorted(map(json.loads, path.read_text().splitlines()), key=lambda one: int(one["line"]))
    return [(one.pop("line"), one.pop("stream"), one) for one in found if one.pop("error")]


def test_a_package_is_written_without_what_is_set_aside(command: Command) -> None:
    done = command.flow("load", "out/", "--reject", "bad.jsonl", stdin=MIXED)
    assert done.code == 66, done.stderr
    assert "3 records set aside in bad.jsonl." in done.stderr
    assert entries(command.cwd / "bad.jsonl") == ASIDE
    assert (command.cwd / "out/data/s.csv").read_text().split() == ["id,text", '1,""', '2,""', '3,""']


def test_nothing_to_set_aside_ends_with_0(command: Command) -> None:
    done = command.flow("load", "out/", "--reject", "bad.jsonl", stdin=framed(messages(3)))
    assert done.code == 0, done.stderr
    assert (command.cwd / "bad.jsonl").read_bytes() == b""


def test_one_reject_too_many_publishes_nothing(command: Command) -> None:
    done = command.flow("load", "out/", "--reject", "bad.jsonl", "--max-rejects", "2", stdin=MIXED)
    assert done.code == 65
    assert "3 rejects, 2 are allowed" in done.stderr
    assert not (command.cwd / "out/datapackage.json").exists()
    assert len(entries(command.cwd / "bad.jsonl")) == 3


def test_max_rejects_without_a_file_is_refused(command: Command) -> None:
    done = command.flow("load", "out/", "--max-rejects", "2", stdin=MIXED)
    assert done.code == 2
    assert "--max-rejects needs --reject FILE." in done.stderr


@pytest.mark.parametrize("way", ["option", "setting"])
@pytest.mark.parametrize("behaviour", ["append", "replace"])
def test_a_bundled_target_sets_aside_under_flow_load(command: Command, way: str, behaviour: str) -> None:
    config = {"overwrite_behavior": behaviour}
    words = ["--reject", "bad.jsonl"]
    if way == "setting":
        config["reject_file"] = "bad.jsonl"
        words = []
    done = command.flow("load", "target-csv", *words, "--config", json.dumps(config), stdin=MIXED)
    assert done.code == 66, done.stderr
    assert {tuple(map(str, one[1:])) for one in entries(command.cwd / "bad.jsonl")} == {
        tuple(map(str, one[1:])) for one in ASIDE
    }
    assert (command.cwd / "output/s.csv").read_text().split() == ["id,text", '1,""', '2,""', '3,""']
    over = command.flow(
        "load", "target-csv", "--reject", "more.jsonl", "--max-rejects", "2", "--config", json.dumps(config), stdin=MIXED
    )  # fmt: skip
    assert over.code == 70
    assert "3 rejects, 2 are allowed" in over.stderr


def test_rejects_are_on_disk_before_the_state_that_covers_them(tmp_path: Path) -> None:
    """A target by itself ends with 0: any other code is a failure to the runners that start it."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"output_path": str(tmp_path), "reject_file": str(tmp_path / "bad.jsonl")}))
    with subprocess.Popen(
        [sys.executable, "-m", "flow_target_csv", "--config", str(config)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(MIXED)
        process.stdin.close()
        assert process.stdout.readline() == b'{"bookmarks": {"s": {"id": 3}}}\n'
        assert [one[1:] for one in entries(tmp_path / "bad.jsonl")] == [one[1:] for one in ASIDE]
        assert process.wait() == 0
        assert process.stderr is not None
        assert b"3 records set aside in" in process.stderr.read()


def test_max_rejects_of_a_target_without_a_file_is_refused(command: Command) -> None:
    done = command.flow("load", "target-csv", "--config", '{"max_rejects": 2}', stdin=MIXED)
    assert done.code != 0
    assert "max_rejects needs reject_file" in done.stderr


@pytest.mark.parametrize("path", ["folder", "missing/file", "a\0b", "x" * 300])
def test_a_reject_file_that_cannot_be_written_is_told(tmp_path: Path, path: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot be written"):
        RejectFile(tmp_path / path)


def test_a_lone_surrogate_is_set_aside_like_any_text(tmp_path: Path) -> None:
    file = RejectFile(tmp_path / "r")
    file.add(1, "\ud800", b'{"record": {"a": "\\ud800"}}', MessageError("\udfff"))
    file.add(2, "s", b"\xff", MessageError("no UTF-8"))
    file.close()
    first, second = map(json.loads, (tmp_path / "r").read_text().splitlines())
    assert first["record"] == {"a": "\ud800"}
    assert second["text"] == "\\xff"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"a":NaN}', b'{"a":null}'),
        (b'{"a": [NaN , -Infinity,Infinity]}', b'{"a": [null , null,null]}'),
        (b'{"a":"NaN","NaN":NaN}', b'{"a":"NaN","NaN":null}'),
        (b'{"a":"\\"NaN","b":NaN}', b'{"a":"\\"NaN","b":null}'),
        (b'{"a":"\\\\","b":NaN}', b'{"a":"\\\\","b":null}'),
        ('{"é":NaN,"b":"é Infinity"}'.encode(), '{"é":null,"b":"é Infinity"}'.encode()),
        (b'{"a":1.50}\n{"a":NaN}\n', b'{"a":1.50}\n{"a":null}\n'),
    ],
)
def test_only_tokens_become_null(line: bytes, expected: bytes) -> None:
    assert without_nan(line) == expected
