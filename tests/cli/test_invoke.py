"""`flow invoke` and `flow test`: a plugin by itself."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from command import Command
from projects import script, write_project
from terminal import LIMIT_S, Terminal

SCHEMA = '{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}\n'
RECORD = '{"type":"RECORD","stream":"s","record":{"id":1}}\n'
STATE = '{"type":"STATE","value":{"s":1}}\n'
DEBUGGED = """\
import sys
seen = 41
breakpoint()
print("seen", seen)
"""
DEBUGGED_TARGET = """\
import sys
with open(sys.argv[sys.argv.index("--input") + 1]) as file:
    lines = file.readlines()
breakpoint()
"""
SHOWS = "import json, sys\njson.dump({'args': sys.argv[1:], 'config': json.load(open(sys.argv[2])), 'in': sys.stdin.read()}, sys.stdout)\nsys.exit(7)\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    def says(stdout: str, **more: Any) -> dict[str, Any]:
        return {"script": "says.py", "config": {"stdout": stdout, **more}}

    write_project(
        tmp_path,
        taps={
            "tap-x": says(SCHEMA + RECORD + STATE),
            "tap-empty": says(SCHEMA),
            "tap-fails": says(SCHEMA, stderr="CRITICAL 503 Service Unavailable\n", exit=3),
            "tap-shop": {"script": "selectable.py", "capabilities": ["catalog", "discover"], "select": ["db-issues.id"]},
            "tap-waits": {"script": "endless.py"},
            "tap-secret": {**says(RECORD, api_token="hunter2"), "settings": [{"name": "api_token", "sensitive": True}]},
        },
        targets={
            "target-x": {"script": "durable.py", "config": {"rows": "rows.jsonl"}},
            "target-silent": {"script": "ends.py"},
        },
    )  # fmt: skip
    for name, code in (("tap-debug", DEBUGGED), ("target-debug", DEBUGGED_TARGET), ("tap-shows", SHOWS)):
        (tmp_path / f"{name}.py").write_text(code)
        script(tmp_path / "bin", name, tmp_path / f"{name}.py")
    document = json.loads((tmp_path / "meltano.yml").read_text())
    for kind, name in (("extractors", "tap-debug"), ("extractors", "tap-shows"), ("loaders", "target-debug")):
        document["plugins"][kind].append(
            {
                "name": name,
                "namespace": name,
                "executable": f"./bin/{name}",
                "capabilities": ["state"],
                "config": {"a": 1},
            }
        )
    (tmp_path / "meltano.yml").write_text(json.dumps(document))
    return tmp_path


# --------------------------------------------------------------------------------------------- invoke


def test_a_plugin_has_stdin_stdout_and_its_exit_code(project: Path, command: Command) -> None:
    result = command.shell("echo hello | flow invoke tap-shows -- --some thing", project)
    assert result.code == 7
    said = json.loads(result.stdout)
    assert said["config"] == {"a": 1}
    assert said["in"] == "hello\n"
    assert (said["args"][0], said["args"][2:]) == ("--config", ["--some", "thing"])
    assert not Path(said["args"][1]).exists(), "its config is gone"


def test_a_tap_gets_its_catalog_with_rules_and_no_state(project: Path, command: Command) -> None:
    result = command.shell("flow invoke tap-shop", project)
    assert result.code == 0
    seen = json.loads(result.stdout.splitlines()[1])["record"]
    marks = {tuple(one["breadcrumb"]): one["metadata"] for one in seen["catalog"]["streams"][0]["metadata"]}
    assert marks["properties", "title"]["selected"] is False
    with_arguments = command.shell("flow invoke tap-shop -- --discover", project)
    assert json.loads(with_arguments.stdout)["streams"][0]["stream"] == "issues"


def test_a_target_reads_messages(project: Path, command: Command) -> None:
    (project / "messages").write_text(SCHEMA + RECORD + STATE)
    result = command.shell("flow invoke target-x < messages", project)
    assert (result.code, json.loads(result.stdout)) == (0, {"s": 1})


def test_what_kills_a_plugin_is_in_the_code(project: Path, command: Command) -> None:
    (project / "tap-shows.py").write_text("import os\nos.kill(os.getpid(), 9)\n")
    assert command.shell("flow invoke tap-shows", project).code == 137


def test_config_and_catalog_can_be_printed(project: Path, command: Command) -> None:
    dumped = command.shell("flow invoke tap-secret --dump config", project)
    assert json.loads(dumped.stdout)["api_token"] == "hunter2"
    assert "Secrets" not in dumped.stderr
    catalog = json.loads(command.shell("flow invoke tap-shop --dump catalog", project).stdout)
    assert [one["stream"] for one in catalog["streams"]] == ["issues", "users", "events"]
    refused = command.shell("flow invoke target-x --dump catalog", project)
    assert (refused.code, "takes no catalog" in refused.stderr) == (2, True)
    with Terminal(
        "flow invoke tap-secret --dump config", columns=100, cwd=project, env=command.env
    ) as terminal:
        assert terminal.end() == 0
        assert "Secrets are shown" in terminal.text


def test_ctrl_c_ends_the_plugin_and_leaves_nothing(project: Path, command: Command) -> None:
    with Terminal("flow invoke tap-waits", columns=100, cwd=project, env=command.env) as terminal:
        terminal.until("RECORD")
        terminal.press("\x03")
        assert terminal.end() in (130, 1)
    assert list((project / ".meltano" / "run").glob("flow-run-*")) == []


def test_a_signal_is_passed_on(project: Path, command: Command) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "flow_singer", "invoke", "tap-waits"],
        cwd=project,
        env=command.env,
        stdout=subprocess.PIPE,
    )
    with process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + LIMIT_S
        while process.stdout.read(1 << 16):
            assert time.monotonic() < deadline
        assert process.wait(LIMIT_S) in (0, 143)
    assert list((project / ".meltano" / "run").glob("flow-run-*")) == []


@pytest.mark.parametrize(
    "script_line", ["flow invoke tap-debug --debug > out", "flow invoke target-debug --debug < messages"]
)
def test_a_breakpoint_has_the_terminal(project: Path, command: Command, script_line: str) -> None:
    (project / "messages").write_text(SCHEMA + RECORD)
    with Terminal(script_line, columns=100, cwd=project, env=command.env) as terminal:
        terminal.until(r"\(Pdb\)")
        terminal.press("p seen + 1\n" if "tap-debug" in script_line else "p len(lines) + 40\n")
        terminal.until("42")
        terminal.press("c\n")
        assert terminal.end() == 0


def test_debug_without_a_terminal(project: Path, command: Command) -> None:
    result = command.shell("setsid --wait flow invoke tap-debug --debug", project)
    assert (result.code, result.stdout) == (2, b"")
    assert "Error: --debug needs a terminal, and there is none.\n" in result.stderr


def test_what_is_no_plugin_is_told(project: Path, command: Command) -> None:
    result = command.shell("flow invoke tap-z", project)
    assert (result.code, "There is no tap 'tap-z'" in result.stderr) == (2, True)
    assert command.shell("flow invoke nope", project).code == 2


def test_a_program_that_is_not_marked_as_one_is_told(project: Path, command: Command) -> None:
    (project / "bin" / "tap-x").chmod(0o644)
    result = command.shell("flow run tap-x", project)
    assert result.code == 2
    assert result.stderr.endswith(
        f"Error: {project}/bin/tap-x cannot be started: it is not marked as a program.\nMark it: chmod +x {project}/bin/tap-x\n"
    )
    assert "chmod +x ./bin/tap-x" in command.shell("flow run ./bin/tap-x", project).stderr


# ----------------------------------------------------------------------------------------------- test


def test_a_tap_that_works(project: Path, command: Command) -> None:
    result = command.shell("flow test tap-x", project)
    assert (result.code, result.stdout.decode()) == (
        0,
        "ok       configured: 1 setting\nskipped  discovered: it takes no catalog\nok       read a record: of stream 's'\n",
    )
    result = command.shell("flow config test tap-shop", project)
    assert result.code == 0
    assert result.stdout.decode().splitlines()[1:] == [
        "ok       discovered: 3 streams",
        "ok       read a record: of stream 'seen'",
    ]
    assert command.shell("flow state list", project).stdout == b"", "no bookmark moves"


@pytest.mark.parametrize(
    ("tap", "message"),
    [
        ("tap-empty", "Error: tap-empty ended well, but wrote no record.\n"),
        (
            "tap-fails",
            'Error: tap-fails exited with code 3 before its first record. Its last line was: "CRITICAL 503',
        ),
    ],
)
def test_a_tap_that_does_not_work(project: Path, command: Command, tap: str, message: str) -> None:
    result = command.shell(f"flow test {tap}", project)
    assert result.code == 69
    assert result.stdout.decode().endswith("failed   read a record\n")
    assert message in result.stderr


def test_a_tap_without_end_is_stopped_at_its_first_record(project: Path, command: Command) -> None:
    assert command.shell("flow test tap-waits", project).code == 0


def test_a_target_is_asked_about_before_it_writes(project: Path, command: Command) -> None:
    result = command.shell("flow test target-x", project)
    assert result.code == 0
    assert result.stdout.decode().splitlines()[1:] == [
        "ok       started: on an empty input",
        "skipped  took a record: it would write to where its settings say: flow test target-x --yes",
    ]
    assert not (project / "rows.jsonl").exists() or not (project / "rows.jsonl").read_text()
    result = command.shell("flow test target-x --yes", project)
    assert (
        result.stdout.decode().splitlines()[2]
        == "ok       took a record: of stream 'flow_test'; its STATE came back"
    )
    assert (
        "flow_test" in (project / "rows.jsonl").read_text()
        or '"id": 1' in (project / "rows.jsonl").read_text()
    )
    with Terminal("flow test target-x", columns=100, cwd=project, env=command.env) as terminal:
        terminal.until("Go on")
        terminal.press("\n")
        assert terminal.end() == 130


def test_a_target_that_gives_no_state_back(project: Path, command: Command) -> None:
    result = command.shell("flow test target-silent --yes", project)
    assert result.code == 70
    assert "failed   " in result.stdout.decode()
