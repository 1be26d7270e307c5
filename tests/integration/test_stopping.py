"""Stages that are stopped in the middle: what the next one reads, how long it takes, and what is left behind."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import Command, Result
from projects import write_project
from streams import framed, messages, plain

from flow_singer.singer.marks import Header, MessageWriter

Flow = Callable[..., Result]


# --------------------------------------------------------------------------------- half-written lines


class BrokenOff(BaseException):
    pass


@pytest.mark.parametrize("part", [0, 5, 40])
def test_nothing_is_written_behind_a_write_that_was_broken_off(part: int) -> None:
    written = bytearray()

    def write(data: bytes) -> None:
        if b"RECORD" in data:
            written.extend(data[:part])
            raise BrokenOff
        written.extend(data)

    writer = MessageWriter(write, Header("run-1"))
    schema, record, *_ = messages(1)
    writer.schema(schema)
    before = len(written)
    with pytest.raises(BrokenOff):
        writer.stream_records("s", record + b"\n", 1)
    writer.finish(ok=False, code=143, reason="stopped")
    assert len(written) == before + part


def test_a_trailer_that_was_broken_off_is_not_written_again() -> None:
    written = bytearray()
    broken = []

    def write(data: bytes) -> None:
        if b'"end"' in data and not broken:
            broken.append(True)
            written.extend(data[:30])
            raise BrokenOff
        written.extend(data)

    writer = MessageWriter(write, Header("run-1"))
    writer.schema(messages(0)[0])
    with pytest.raises(BrokenOff):
        writer.finish(ok=True)
    size = len(written)
    writer.finish(ok=False, code=143)
    assert len(written) == size


STAGES = {
    "run": ["run", "tap-x"],
    "transform": ["transform", "t.py"],
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("stage", list(STAGES))
def test_a_stage_that_is_stopped_while_its_reader_is_slow_writes_whole_lines_but_the_last(
    tmp_path: Path, command: Command, stage: str, number: int
) -> None:
    stream = plain(messages(60_000, width=100))
    (tmp_path / "stream").write_bytes(framed(messages(60_000, width=100)))
    (tmp_path / "bare").write_bytes(stream)
    (tmp_path / "t.py").write_text("def s(df):\n    return df\n")
    write_project(
        tmp_path, taps={"tap-x": {"script": "says.py", "config": {"stdout_file": str(tmp_path / "bare")}}}
    )
    with (tmp_path / "stream").open("rb") as source:
        process = command.start(*STAGES[stage], stdin=source.fileno(), stderr=subprocess.DEVNULL)
        assert process.stdout is not None
        _wait_until_full(process.stdout.fileno())
        process.send_signal(number)
        time.sleep(0.3)  # it may now try to write its trailer
        written = process.stdout.read()
    assert process.wait(60) == 128 + number
    *whole, last = written.split(b"\n")
    for line in whole:
        json.loads(line)
    assert last == b"" or b'"_flow"' not in last
    loaded = command.flow("load", "out/", stdin=written)
    assert loaded.code == 75, loaded.stderr
    passed = command.flow("transform", "t.py", stdin=written)
    assert passed.code == 75, passed.stderr


def _wait_until_full(descriptor: int) -> None:
    """Wait until a pipe has been read by nobody for so long that its writer waits."""
    size, since = -1, time.monotonic()
    deadline = since + 60
    while time.monotonic() < deadline:
        now = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, b"    "))[0]
        if now != size:
            size, since = now, time.monotonic()
        elif size > 0 and time.monotonic() - since > 1:
            return
        time.sleep(0.02)
    raise TimeoutError


CUTS = {"in the first line": 40, "in a record": -30, "in the middle of text": 300}


@pytest.mark.parametrize("marked", [True, False], ids=["marked", "bare"])
@pytest.mark.parametrize("cut", list(CUTS))
@pytest.mark.parametrize(
    "stage", [["transform", "t.py"], ["load", "out/"], ["load", "target-csv"]], ids=lambda words: words[1]
)
def test_a_line_that_was_cut_short_makes_the_stream_incomplete(
    tmp_path: Path, flow: Flow, stage: list[str], cut: str, marked: bool
) -> None:
    (tmp_path / "t.py").write_text("def s(df):\n    return df\n")
    stream = framed(messages(5)) if marked else plain(messages(5))
    result = flow(*stage, stdin=stream[: CUTS[cut]])
    assert result.code == 75, result.stderr
    assert "incomplete" in result.stderr
    assert not (tmp_path / "out" / "datapackage.json").exists()


def test_a_reject_file_is_no_place_for_a_line_that_was_cut_short(tmp_path: Path, flow: Flow) -> None:
    (tmp_path / "t.py").write_text("def s(df):\n    return df\n")
    result = flow("transform", "t.py", "--reject", "bad.jsonl", stdin=plain(messages(5))[:-9])
    assert result.code == 75, result.stderr


# ---------------------------------------------------------------------------- functions that go on


SWALLOWS = """
import time

def s(df):
    print("called", flush=True)
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""
IGNORES_IN_A_THREAD = """
import threading, time

def s(df):
    threading.Thread(target=time.sleep, args=(600,)).start()
    print("called", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("code", [SWALLOWS, IGNORES_IN_A_THREAD], ids=["swallows", "leaves a thread"])
def test_a_function_that_swallows_everything_does_not_outlive_a_signal(
    tmp_path: Path, command: Command, code: str, number: int
) -> None:
    (tmp_path / "t.py").write_text(code)
    (tmp_path / "stream").write_bytes(framed(messages(5)))
    with (tmp_path / "stream").open("rb") as source:
        process = command.start("transform", "t.py", stdin=source.fileno())
        assert process.stderr is not None
        assert b"called" in process.stderr.readline()
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == (130 if number == signal.SIGINT else 143)
    assert b"Traceback" not in stderr
    assert b'"end":"ok"' not in stdout


# -------------------------------------------------------------------------------- what is left behind


def _is_running(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    return False


def test_a_process_that_a_tap_left_in_a_session_of_its_own_ends_with_it(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "leaves_session.py"}})
    result = flow("run", "tap-x")
    assert result.code == 0, result.stderr
    assert not _is_running(result.messages[1]["record"]["pid"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("words", [["run", "tap-x"], ["run", "tap-x", "out/"]], ids=["run", "supervised"])
def test_a_process_in_a_session_of_its_own_ends_where_its_tap_is_stopped(
    tmp_path: Path, command: Command, words: list[str], number: int
) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "leaves_session.py", "config": {"waits": True}}})
    process = command.start(*words)
    with _left_behind(process) as pid:
        process.send_signal(number)
        process.communicate(timeout=60)
        assert not _is_running(pid)


def test_the_supervisor_ends_what_a_killed_stage_left_behind(tmp_path: Path, command: Command) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "leaves_session.py", "config": {"waits": True}}})
    process = command.start("run", "tap-x", "out/")
    with _left_behind(process) as pid:
        _stage(process, "run").kill()
        process.communicate(timeout=60)
        assert process.returncode == 137
        assert not _is_running(pid)


@contextlib.contextmanager
def _left_behind(process: subprocess.Popen[bytes]) -> Iterator[int]:
    """Wait for the process that `leaves_session.py` leaves, which is the child of a process that adopts."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None
        with contextlib.suppress(psutil.Error):
            for one in psutil.Process(process.pid).children(recursive=True):
                parent = one.parent()
                if (
                    "leaves_session" in " ".join(one.cmdline())
                    and os.getsid(one.pid) != one.pid
                    and (parent is not None and "leaves_session" not in " ".join(parent.cmdline()))
                    and os.getsid(one.pid) != os.getsid(parent.pid)
                    and _has_no_output(one.pid)
                ):
                    yield one.pid
                    return
        time.sleep(0.02)
    raise TimeoutError


def _has_no_output(pid: int) -> bool:
    """As only the one that stays has."""
    return not os.path.exists(f"/proc/{pid}/fd/1")


def _stage(process: subprocess.Popen[bytes], verb: str) -> psutil.Process:
    for one in psutil.Process(process.pid).children(recursive=True):
        words = one.cmdline()
        if "flow_singer" in words and verb in words:
            return one
    raise LookupError(verb)


# ------------------------------------------------------------------------------------ what is told


def test_a_load_stage_that_is_terminated_is_not_told_as_its_target(tmp_path: Path, command: Command) -> None:
    write_project(
        tmp_path,
        taps={"tap-x": {"script": "waits.py"}},
        targets={"target-x": {"script": "publishes.py", "config": {"rows": str(tmp_path / "rows")}}},
    )
    process = command.start("run", "tap-x", "target-x")
    deadline = time.monotonic() + 60
    while "publishes.py" not in str([p.cmdline() for p in psutil.Process(process.pid).children(True)]):
        assert time.monotonic() < deadline
    _stage(process, "load").send_signal(signal.SIGTERM)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 143
    assert b"Error: flow load target-x was stopped by SIGTERM." in stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_target_does_not_complain_of_the_line_that_makes_it_fail(
    tmp_path: Path, command: Command, number: int
) -> None:
    target: dict[str, Any] = {"script": "publishes.py", "config": {"rows": str(tmp_path / "rows")}}
    write_project(tmp_path, targets={"target-x": target})
    process = command.start("load", "target-x", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(plain(messages(5)))
    process.stdin.flush()
    deadline = time.monotonic() + 60
    while "publishes.py" not in str([p.cmdline() for p in psutil.Process(process.pid).children(True)]):
        assert time.monotonic() < deadline
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert b"Traceback" not in stderr
    assert not (tmp_path / "rows").exists()


def test_noise_that_holds_a_secret_is_masked_wherever_it_is_told(
    tmp_path: Path, flow: Flow, shell: Flow
) -> None:
    secret = "s3cr3t-token-0815"
    for noise in (f"GET /x?t={secret} 200", "x" * 190 + secret, '{"type": "REC", "token": "' + secret):
        config = {"stdout": noise + "\n" + plain(messages(3)).decode(), "api_token": secret}
        write_project(tmp_path, taps={"tap-x": {"script": "says.py", "config": config}})
        for script in (
            "flow run tap-x",
            "flow run --noise stderr tap-x",
            "flow run tap-x | flow load out/",
            "flow run tap-x out/",
            "flow --log-level debug run tap-x",
        ):
            result = shell(script)
            assert secret[:8] not in result.stderr, script
            assert secret.encode() not in result.stdout
