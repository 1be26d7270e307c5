"""NaN in a record: what the hint says exists, and works, wherever the hint is shown.

Source: singer-io/singer-python#127: NaN is written as a bare token that is no JSON, and targets fail at it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Command, Result

SCHEMA = b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"},"v":{"type":["null","number"]},"t":{"type":["null","string"]}}},"key_properties":["id"]}\n'
GOOD = b'{"type": "RECORD", "stream": "s", "record": {"id": 1, "v": 1.50,  "t": "NaN \\" Infinity"}}\n'
BAD = b'{"type": "RECORD", "stream": "s", "record": {"id": 2, "v":  NaN, "t": "a \\\\"}, "x":-Infinity}\n'
OTHER = SCHEMA.replace(b'"s"', b'"other"') + (GOOD + BAD).replace(b'"s"', b'"other"')
STATE = b'{"type": "STATE", "value": {"NaN": 1}}\n'
TAKES_S = "def s(df):\n    return df\n"
TAKES_NONE = "from flow_singer import transform\n\n@transform('none')\ndef f(df):\n    return df\n"


def test_the_hint_of_each_command_is_taken_at_its_word(flow: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "t.py").write_text(TAKES_S)
    bad = BAD.replace(b', "x":-Infinity', b"")
    for words in (["transform", "t.py"], ["load", "out/"]):
        failed = flow(*words, stdin=SCHEMA + bad, cwd=tmp_path)
        assert failed.code == 65
        assert "--nan null" in failed.stderr
        done = flow(*words, "--nan", "null", stdin=SCHEMA + bad, cwd=tmp_path)
        assert done.code == 0, done.stderr
    assert (tmp_path / "out/data/s.csv").read_text() == "id,v,t\n2,,a \\\n"


@pytest.mark.parametrize("nan", ["error", "null"])
def test_a_stream_that_only_passes_has_null_in_place_of_the_token_alone(
    flow: Callable[..., Result], tmp_path: Path, nan: str
) -> None:
    (tmp_path / "t.py").write_text(TAKES_NONE)
    sent = OTHER + GOOD + STATE
    done = flow("transform", "t.py", "--no-strict", "--plain", "--nan", nan, stdin=sent, cwd=tmp_path)
    assert done.code == 0, done.stderr
    if nan == "error":
        assert done.stdout == sent
        return
    assert done.stdout == sent.replace(b"  NaN,", b"  null,").replace(b":-Infinity", b":null")


@pytest.mark.parametrize("way", ["option", "setting"])
def test_a_bundled_target_can_be_told(command: Command, tmp_path: Path, way: str) -> None:
    bad = BAD.replace(b', "x":-Infinity', b"")
    failed = command.flow("load", "target-csv", stdin=SCHEMA + bad)
    assert failed.code == 70
    assert 'the setting nan: "null"' in failed.stderr
    assert "--nan" not in failed.stderr
    words = ["--nan", "null"] if way == "option" else ["--config", '{"nan": "null"}']
    done = command.flow("load", "target-csv", *words, stdin=SCHEMA + bad)
    assert done.code == 0, done.stderr
    assert (command.cwd / "output/s.csv").read_text() == "id,v,t\n2,,a \\\n"


def test_a_foreign_target_gets_null_and_otherwise_the_same_bytes(command: Command, tmp_path: Path) -> None:
    target = tmp_path / "bin" / "target-bytes"
    target.parent.mkdir()
    target.write_text('#!/bin/sh\ncat > "$PWD/got"\n')
    target.chmod(0o755)
    env = {"PATH": f"{target.parent}:{command.env['PATH']}"}
    sent = SCHEMA + GOOD + BAD + STATE
    done = command.flow("load", "target-bytes", "--nan", "null", stdin=sent, cwd=tmp_path, env=env)
    assert done.code == 0, done.stderr
    got = (tmp_path / "got").read_bytes()
    assert got == sent.replace(b"  NaN,", b"  null,").replace(b":-Infinity", b":null")
    refused = command.flow("load", "target-bytes", "--reject", "r", stdin=sent, cwd=tmp_path, env=env)
    assert refused.code == 2
    assert "--reject r would stay empty: target-bytes" in refused.stderr


def test_a_supervised_run_names_the_variable_and_takes_it(command: Command, tmp_path: Path) -> None:
    tap = tmp_path / "tap-nan"
    lines = tmp_path / "lines"
    lines.write_bytes(SCHEMA + BAD.replace(b', "x":-Infinity', b""))
    tap.write_text(f"#!/bin/sh\ncat '{lines}'\n")
    tap.chmod(0o755)
    (tmp_path / "meltano.yml").write_text(
        json.dumps(
            {
                "version": 1,
                "plugins": {
                    "extractors": [{"name": "tap-nan", "executable": str(tap), "capabilities": ["state"]}]
                },
            }
        )
    )
    (tmp_path / "t.py").write_text(TAKES_S)
    failed = command.flow("run", "tap-nan", "t.py", "out/", cwd=tmp_path)
    assert failed.code == 65
    assert "FLOW_TRANSFORM_NAN=null" in failed.stderr
    done = command.flow("run", "tap-nan", "t.py", "out/", cwd=tmp_path, env={"FLOW_TRANSFORM_NAN": "null"})
    assert done.code == 0, done.stderr
