"""What a person gets when the tap has a bad day: the promised exit code, one clear message, nothing left behind."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import TIME, Command, Result
from projects import FIXTURES, write_project

Flow = Callable[..., Result]

SCHEMA = '{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}\n'
RECORD = '{"type":"RECORD","stream":"s","record":{"id":1}}\n'

SECRET = "hunter2-and-more"

# The command with short waits: what takes a minute in real life takes a moment here.
IMPATIENT = (
    sys.executable,
    "-c",
    "import flow_singer.stages.runningtap, flow_singer.process.processes\n"
    "flow_singer.stages.runningtap.LINGER_S = 0.5\n"
    "flow_singer.process.processes.ORPHAN_S = 0.5\n"
    "flow_singer.process.processes.Process.stop.__kwdefaults__['grace_s'] = 0.5\n"
    "from flow_singer.cli.group import main\n"
    "main()",
)


def _says(root: Path, **config: Any) -> Path:
    return write_project(root, taps={"tap-x": {"script": "says.py", "config": config}})


def _end(result: Result) -> str:
    end: str = result.messages[-1]["_flow"]["end"]
    return end


def _errors(result: Result) -> list[str]:
    return [line for line in result.stderr.splitlines() if line.startswith("Error: ")]


# ------------------------------------------------------------------------------------- what it writes


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("Fetching page 2 ...", "Fetching page 2 ..."),
        ('{"type":"RECORD","stream":"s","record":{"id":2', '"record":{"id":2'),
        ("[1,2]", "not a JSON object"),
        ('{"stream":"s","record":{}}', "has no 'type'"),
        ('{"type":"RECORD","record":{}}', "has no 'stream'"),
        ('{"type":"RECORD","stream":7,"record":{}}', "'type' and 'stream' must be text"),
    ],
    ids=["noise", "half a message", "no object", "no type", "no stream", "stream is a number"],
)
def test_a_line_that_is_no_message_stops_the_run_and_is_shown(
    tmp_path: Path, flow: Flow, line: str, reason: str
) -> None:
    _says(tmp_path, stdout=f"{SCHEMA}{RECORD}{line}\n{RECORD}")
    result = flow("run", "tap-x")
    assert result.code == 65
    (error,) = _errors(result)
    assert "Line 3 is not a Singer message" in error
    assert reason in error
    assert "--noise stderr" in result.stderr
    assert _end(result) == "failed"
    assert "Traceback" not in result.stderr


def test_noise_goes_to_stderr_where_asked(tmp_path: Path, flow: Flow) -> None:
    _says(tmp_path, stdout=f"Hello\n{SCHEMA}50 %\r100 %\n{RECORD}Bye")
    result = flow("run", "tap-x", "--noise", "stderr")
    assert result.code == 0, result.stderr
    assert [one["type"] for one in result.messages] == ["SCHEMA", "RECORD", "SCHEMA"]
    assert _end(result) == "ok"
    for said in ("Hello", "50 %", "Bye"):
        assert f"tap-x: {said}" in result.stderr


def test_half_a_message_is_never_noise(tmp_path: Path, flow: Flow) -> None:
    _says(tmp_path, stdout=f'{SCHEMA}{{"type":"RECORD","stream":"s","rec\n')
    assert flow("run", "tap-x", "--noise", "stderr").code == 65


def test_a_tap_that_ends_in_the_middle_of_a_line_is_not_taken_for_complete(
    tmp_path: Path, flow: Flow
) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD + RECORD[:20])
    result = flow("run", "tap-x")
    assert result.code == 65
    assert "Line 3" in result.stderr
    assert _end(result) == "failed"


def test_a_tap_killed_in_the_middle_of_a_line_is_the_taps_failure(tmp_path: Path, flow: Flow) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD + RECORD[:20], signal="SIGKILL")
    result = flow("run", "tap-x")
    assert result.code == 69
    assert "tap-x was killed by SIGKILL after 1 record" in result.stderr
    assert _end(result) == "failed"


@pytest.mark.parametrize("noise", ["fail", "stderr"])
def test_escape_sequences_of_a_bad_line_do_not_reach_the_terminal(
    tmp_path: Path, flow: Flow, noise: str
) -> None:
    _says(tmp_path, stdout="\x1b]0;title\x07 noise\n")
    assert "\x1b" not in flow("run", "tap-x", "--noise", noise).stderr


# ---------------------------------------------------------------------------------------- how it ends


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"exit": 1}, "tap-x exited with code 1 after 1 record"),
        ({"signal": "SIGKILL"}, "tap-x was killed by SIGKILL after 1 record"),
        ({"signal": "SIGSEGV"}, "tap-x was killed by SIGSEGV after 1 record"),
    ],
    ids=["exit", "killed", "crash"],
)
def test_a_tap_that_fails_in_a_pipeline_publishes_nothing(
    tmp_path: Path, flow: Flow, config: dict[str, Any], said: str
) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD, **config)
    result = flow("run", "tap-x", "out/")
    assert result.code == 69
    (error,) = _errors(result)
    assert said in error
    assert not (tmp_path / "out").exists()


def test_a_tap_that_closes_its_stdout_but_lives_on_is_ended(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "closes_stdout.py"}})
    result = flow("run", "tap-x", program=IMPATIENT)
    assert result.code == 69
    assert "tap-x closed its stdout but did not end within" in result.stderr
    assert _end(result) == "failed"


def test_a_grandchild_that_holds_the_pipe_neither_hangs_nor_outlives_the_run(
    tmp_path: Path, flow: Flow
) -> None:
    """That it is gone is seen by the fixture `no_process_left_behind`."""
    write_project(tmp_path, taps={"tap-x": {"script": "leaves_grandchild.py"}})
    result = flow("run", "tap-x", program=IMPATIENT, timeout_s=20)
    assert result.code == 0, result.stderr
    assert [one["type"] for one in result.messages] == ["SCHEMA", "RECORD", "SCHEMA"]


@pytest.mark.parametrize(
    ("content", "mode"),
    [("#!/no/such/interpreter\n", 0o755), ("\x7fnot a program", 0o755), ("#!/bin/sh\n", 0o644)],
    ids=["no interpreter", "no program", "not executable"],
)
def test_a_tap_that_cannot_be_started_says_why(tmp_path: Path, flow: Flow, content: str, mode: int) -> None:
    write_project(tmp_path, taps={"tap-x": {"executable": "./tap-x"}})
    (tmp_path / "tap-x").write_text(content)
    (tmp_path / "tap-x").chmod(mode)
    result = flow("run", "tap-x")
    assert result.code in (2, 69)
    assert result.stdout == b""
    (error,) = _errors(result)
    assert "tap-x" in error
    assert "Traceback" not in result.stderr


def test_limit_ends_a_tap_that_would_go_on_for_ever(tmp_path: Path, flow: Flow) -> None:
    write_project(
        tmp_path, taps={"tap-x": {"script": "endless.py", "capabilities": ["catalog", "discover", "state"]}}
    )
    result = flow("run", "tap-x", "--limit", "7")
    assert result.code == 0, result.stderr
    assert [one["type"] for one in result.messages] == ["SCHEMA", *["RECORD"] * 7, "SCHEMA"]
    assert _end(result) == "ok"
    assert "Traceback" not in result.stderr


# ------------------------------------------------------------------------------------- its own config


def test_a_config_file_that_the_tap_rewrites_is_kept(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "rewrites_config.py"}})
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"refresh_token": SECRET}))
    config.chmod(0o600)
    result = flow("run", "tap-x", "--config", "config.json")
    assert result.code == 0, result.stderr
    assert json.loads(config.read_text()) == {"refresh_token": f"{SECRET}-rotated"}
    assert config.stat().st_mode & 0o777 == 0o600
    assert SECRET not in result.stderr


def test_settings_that_the_tap_rewrites_are_named_but_not_shown(tmp_path: Path, flow: Flow) -> None:
    write_project(
        tmp_path, taps={"tap-x": {"script": "rewrites_config.py", "config": {"refresh_token": SECRET}}}
    )
    result = flow("run", "tap-x")
    assert result.code == 0, result.stderr
    assert "tap-x changed its own settings (refresh_token)" in result.stderr
    assert SECRET not in result.stderr


# ---------------------------------------------------------------------------------- stopping the run


class Running:
    """A `flow run` whose tap has started, and waits."""

    def __init__(
        self, command: Command, *words: str, program: tuple[str, ...] | None = None, **config: Any
    ) -> None:
        write_project(
            command.cwd,
            taps={
                "tap-x": {
                    "script": "waits.py",
                    "config": {"password": SECRET, **config},
                    "settings": [{"name": "password", "sensitive": True}],
                }
            },
        )
        (command.cwd / "t.py").write_text("def s(df):\n    return df\n")
        options = {"program": program} if program else {}
        self.process = command.start("run", "tap-x", *words, **options)
        self.tap = self._find_tap()
        argv = self.tap.cmdline()
        self.config = Path(argv[argv.index("--config") + 1])

    def _find_tap(self) -> psutil.Process:
        script = str(FIXTURES / "taps" / "waits.py")
        while self.process.poll() is None:
            for one in psutil.Process(self.process.pid).children(recursive=True):
                try:
                    if script in one.cmdline() and one.num_threads() and self._waits(one):
                        return one
                except psutil.NoSuchProcess:
                    continue
        raise AssertionError(self.process.communicate())

    @staticmethod
    def _waits(process: psutil.Process) -> bool:
        """Whether the tap has set up its signal handlers and read its config."""
        status = Path(f"/proc/{process.pid}/status").read_text()
        masks = {
            key: int(text, 16)
            for key, text in (
                line.split(":") for line in status.splitlines() if "Sig" in line and "SigQ" not in line
            )
        }
        return (
            bool((masks["SigCgt"] | masks["SigIgn"]) & 1 << (signal.SIGHUP - 1))
            and process.status() == "sleeping"
        )

    def end(self, number: int) -> tuple[int, str]:
        """Send a signal; return the exit code and what was written on stderr."""
        self.process.send_signal(number)
        _, stderr = self.process.communicate(timeout=90)
        return self.process.returncode, stderr.decode()


def test_the_config_file_is_private_while_it_is_there(command: Command) -> None:
    running = Running(command)
    assert json.loads(running.config.read_text())["password"] == SECRET
    assert running.config.stat().st_mode & 0o777 == 0o600
    assert running.config.parent.stat().st_mode & 0o777 == 0o700
    running.end(signal.SIGTERM)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)],
    ids=["Ctrl-C", "SIGTERM", "SIGHUP"],
)
@pytest.mark.parametrize("words", [(), ("t.py", "out/")], ids=["run", "pipeline"])
def test_a_signal_ends_the_run_its_processes_and_its_secrets(
    command: Command, number: signal.Signals, code: int, words: tuple[str, ...]
) -> None:
    running = Running(command, *words)
    ended, stderr = running.end(number)
    assert ended == code
    assert not running.tap.is_running()
    assert not running.config.parent.exists()
    assert not (command.cwd / "out").exists()
    assert "Traceback" not in stderr
    *begins, last = TIME.sub("", stderr).splitlines()
    assert last == ("Stopped." if number == signal.SIGINT else "Terminated.")
    assert all(" begins" in line for line in begins), stderr


def test_a_tap_that_ignores_signals_is_killed(command: Command) -> None:
    running = Running(command, deaf=True, program=IMPATIENT)
    assert running.end(signal.SIGTERM)[0] == 143
    assert not running.tap.is_running()
    assert not running.config.exists()


def test_a_signal_in_the_midst_of_discovery_ends_the_tap(command: Command) -> None:
    tap = {
        "script": "hangs_in_discovery.py",
        "capabilities": ["catalog", "discover"],
        "config": {"password": SECRET},
    }
    write_project(command.cwd, taps={"tap-x": tap})
    process = command.start("run", "tap-x")
    children: list[psutil.Process] = []
    while process.poll() is None and not children:
        children = psutil.Process(process.pid).children()
    process.terminate()
    stdout, stderr = process.communicate(timeout=90)
    assert (process.returncode, stdout) == (143, b"")
    assert b"Traceback" not in stderr
    assert not list((command.cwd / ".meltano").rglob("*.config.json"))


def test_a_reader_that_hangs_does_not_keep_a_signal_from_ending_the_run(command: Command) -> None:
    write_project(command.cwd, taps={"tap-x": {"script": "endless.py"}})
    process = command.start("run", "tap-x")
    assert process.stdout is not None
    capacity = fcntl.fcntl(process.stdout, fcntl.F_GETPIPE_SZ)
    while process.poll() is None and _unread(process.stdout.fileno()) < capacity // 2:
        os.sched_yield()
    process.terminate()
    assert process.wait(timeout=90) == 143
    lines = process.stdout.read().split(b"\n")
    assert b'"end":"ok"' not in lines[-1]


def _unread(pipe: int) -> int:
    """How many bytes wait in a pipe."""
    return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel ends orphans on Linux only")
@pytest.mark.parametrize("words", [(), ("t.py", "out/")], ids=["run", "pipeline"])
def test_sigkill_of_flow_leaves_no_process_and_the_next_run_clears_up(
    command: Command, words: tuple[str, ...]
) -> None:
    running = Running(command, *words)
    children = psutil.Process(running.process.pid).children(recursive=True)
    running.end(signal.SIGKILL)
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive
    assert not (command.cwd / "out").exists()
    if running.config.parent.exists():
        os.utime(running.config.parent, (0, 0))  # as if a minute had passed
    assert _says_and_runs(command).code == 0
    assert not running.config.exists()


def _says_and_runs(command: Command) -> Result:
    _says(command.cwd, stdout=SCHEMA)
    return command.flow("run", "tap-x")


def test_a_stage_that_is_killed_fails_the_pipeline(command: Command) -> None:
    running = Running(command, "t.py", "out/")
    stage = running.tap.parent()
    assert stage is not None
    stage.kill()
    _, stderr = running.process.communicate(timeout=90)
    assert running.process.returncode == 137
    assert b"tap-x was killed by SIGKILL" in stderr
    assert not (command.cwd / "out").exists()


# ------------------------------------------------------------------------------------- where it writes


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("tap", ["says.py", "endless.py"])
def test_a_full_disk_ends_the_run_with_one_message(tmp_path: Path, command: Command, tap: str) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": tap, "config": {"stdout": SCHEMA + RECORD}}})
    with open("/dev/full", "wb") as full:
        process = command.start("run", "tap-x", stdout=full.fileno())
        _, stderr = process.communicate(timeout=90)
    assert process.returncode == 65
    assert b"Error: No space left on device" in stderr
    assert stderr.count(b"Error: ") == 1
    assert b"Traceback" not in stderr


def test_a_closed_stdout_never_becomes_another_file(tmp_path: Path, shell: Flow) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD)
    result = shell("flow run tap-x >&-")
    assert result.code == 2
    assert _errors(result) == ["Error: stdout is closed."]


def test_a_closed_stderr_does_not_stop_a_run(tmp_path: Path, shell: Flow) -> None:
    _says(tmp_path, stdout=SCHEMA + RECORD, stderr="hello\n")
    result = shell("flow run tap-x --plain 2>&-")
    assert result.code == 0
    assert result.stdout.decode() == SCHEMA + RECORD


def test_a_tap_never_reads_the_terminal(tmp_path: Path, flow: Flow) -> None:
    reader = tmp_path / "tap-reader"
    reader.write_text(f"#!/bin/sh\nprintf '%s' '{SCHEMA}'\nif read line; then exit 5; fi\n")
    reader.chmod(0o755)
    write_project(tmp_path, taps={"tap-x": {"executable": "./tap-reader"}})
    result = flow("run", "tap-x", stdin=b"not for the tap\n")
    assert result.code == 0, result.stderr


# ----------------------------------------------------------------------------------------- secrets


def test_a_secret_that_the_tap_prints_is_masked(tmp_path: Path, flow: Flow) -> None:
    write_project(
        tmp_path,
        taps={
            "tap-x": {
                "script": "says.py",
                "config": {"password": SECRET, "stderr": f"cannot log in with {SECRET}\n", "exit": 1},
                "settings": [{"name": "password", "sensitive": True}],
            }
        },
    )
    result = flow("--log-level", "debug", "run", "tap-x")
    assert result.code == 69
    assert "cannot log in with" in result.stderr
    assert SECRET not in result.stderr


def test_a_secret_is_in_no_argument_list_and_no_file_that_stays(command: Command) -> None:
    running = Running(command, "t.py", "out/")
    processes = [
        psutil.Process(running.process.pid),
        *psutil.Process(running.process.pid).children(recursive=True),
    ]
    assert len(processes) == 5
    assert not [one for one in processes if SECRET in " ".join(one.cmdline())]
    running.end(signal.SIGTERM)
    holding = [
        file
        for folder in (command.cwd / ".meltano", Path(command.env["TMPDIR"]))
        for file in folder.rglob("*")
        if file.is_file() and SECRET.encode() in file.read_bytes()
    ]
    assert holding == []
