"""Where a plugin says that its settings are wrong, every way to run it ends with 2: trying again does not help."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Command, Result
from projects import write_project
from streams import framed, messages, plain

Flow = Callable[..., Result]

SDK = "2026-11-27 02:47:25,528 | ERROR    | tap-x | Config validation failed\n"
UNAUTHORIZED = "requests.exceptions.HTTPError: 401 Client Error: Unauthorized for url: https://x.test/\n"
BUSY = "requests.exceptions.HTTPError: 503 Server Error: Service Unavailable for url: https://x.test/\n"

CASES = pytest.mark.parametrize(
    ("said", "is_mistake"),
    [(SDK, True), (UNAUTHORIZED, True), (BUSY, False), ("", False)],
    ids=["settings", "unauthorized", "server fault", "nothing said"],
)


def project(
    root: Path, *, tap: dict[str, object] | None = None, target: dict[str, object] | None = None
) -> None:
    """A tap that sends three records and a target that reads them, unless they are told otherwise."""
    whole = {"stdout": plain(messages(3)).decode()}
    (root / "t.py").write_text("def s(df):\n    return df\n")
    write_project(
        root,
        taps={"tap-x": {"script": "says.py", "config": {**whole, **(tap or {})}}},
        targets={"target-x": {"script": "ends.py", "config": target or {}}},
    )


def change_tap(root: Path, **keys: object) -> None:
    """Change the tap's entry in meltano.yml."""
    raw = json.loads((root / "meltano.yml").read_text())
    raw["plugins"]["extractors"][0] |= keys
    (root / "meltano.yml").write_text(json.dumps(raw))


def shell_codes(command: Command, pipe: str) -> list[int]:
    """The exit code of each command of a pipe."""
    result = command.shell(f'{pipe} >/dev/null; echo "${{PIPESTATUS[*]}}" >codes')
    assert result.code == 0
    return [int(code) for code in (command.cwd / "codes").read_text().split()]


@pytest.mark.parametrize(
    ("said", "is_mistake"),
    [(SDK, True), (BUSY, False), ("", False)],
    ids=["settings", "server fault", "nothing said"],
)
def test_a_tap_that_runs(tmp_path: Path, flow: Flow, command: Command, said: str, is_mistake: bool) -> None:
    project(tmp_path, tap={"stderr": said, "exit": 1})
    code, behind = (2, 2) if is_mistake else (69, 75)
    alone = flow("run", "tap-x")
    assert (alone.code, alone.messages[-1]["_flow"]["code"]) == (code, code)
    supervised = flow("run", "tap-x", "target-x")
    assert supervised.code == code
    assert "Error: tap-x exited with code 1 after 3 records" in supervised.stderr
    assert flow("run", "tap-x", "out/").code == code
    assert flow("run", "tap-x", "t.py", "target-csv").code == code
    tap = "flow run tap-x --full-refresh"
    for last in ("target-x", "target-csv", "out/"):
        assert shell_codes(command, f"{tap} | flow load {last}") == [code, behind]
        through = f"{tap} | flow transform t.py | flow load {last}"
        assert shell_codes(command, through) == [code, behind, behind]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("records", "code", "behind"), [(0, 2, 2), (3, 69, 75)])
def test_a_tap_that_a_server_refuses_at_once_or_later(
    tmp_path: Path, flow: Flow, command: Command, records: int, code: int, behind: int
) -> None:
    """Who has been let in before may be let in again: a token that runs out is renewed."""
    said = plain(messages(records)).decode()
    project(tmp_path, tap={"stdout": said, "stderr": UNAUTHORIZED, "exit": 1})
    assert flow("run", "tap-x").code == code
    assert flow("run", "tap-x", "target-x").code == code
    assert shell_codes(command, "flow run tap-x --full-refresh | flow load out/") == [code, behind]


@CASES
def test_a_target(tmp_path: Path, flow: Flow, command: Command, said: str, is_mistake: bool) -> None:
    project(tmp_path, target={"lines": 0, "stderr": said, "exit": 1})
    code = 2 if is_mistake else 70
    supervised = flow("run", "tap-x", "target-x")
    assert supervised.code == code, supervised.stderr
    assert "Error: target-x exited with code 1." in supervised.stderr
    loaded = flow("load", "target-x", stdin=framed(messages(3)))
    assert loaded.code == code
    assert shell_codes(command, "flow run tap-x | flow load target-x")[-1] == code


def test_a_target_that_complains_at_its_end(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, target={"stderr": SDK, "exit": 1})
    assert flow("load", "target-x", stdin=framed(messages(3))).code == 2


@CASES
def test_discovery(tmp_path: Path, flow: Flow, command: Command, said: str, is_mistake: bool) -> None:
    project(tmp_path)
    tap = tmp_path / "bin" / "tap-y"  # says.py knows no --discover
    tap.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{said}END\nexit 1\n")
    tap.chmod(0o755)
    change_tap(tmp_path, capabilities=["catalog", "discover"], executable=str(tap))
    code = 2 if is_mistake else 69
    for words in (("discover", "tap-x"), ("run", "tap-x"), ("run", "tap-x", "target-x")):
        result = flow(*words)
        assert result.code == code, result.stderr
        assert "tap-x exited with code 1 during discovery" in result.stderr
    assert shell_codes(command, "flow run tap-x | flow load target-x") == [code, 75]


def test_a_tap_that_lacks_the_option_it_was_called_with(tmp_path: Path, flow: Flow) -> None:
    """Its capabilities in meltano.yml are wrong."""
    project(tmp_path)
    change_tap(tmp_path, capabilities=["catalog", "discover"])
    assert flow("run", "tap-x", "target-x").code == 2


@pytest.mark.parametrize("config", ['{"records":"x"}', '{"records":-5}'])
def test_the_bundled_tap(tmp_path: Path, flow: Flow, command: Command, config: str) -> None:
    for words in (["tap-demo"], ["tap-demo", "target-csv"], ["tap-demo", "out/"]):
        result = flow("run", *words, "--config", config, cwd=tmp_path)
        assert result.code == 2, result.stderr
        assert "Config validation failed" in result.stderr
    assert shell_codes(command, f"flow run tap-demo --config '{config}' | flow load out/") == [2, 75]


def test_the_bundled_target(flow: Flow) -> None:
    result = flow("run", "tap-demo", "target-csv", "--target-config", '{"output_path": 5}')
    assert result.code == 2, result.stderr
    assert "Error: target-csv exited with code 1. Its last line was" in result.stderr
