"""Targets on their bad days: each ends with the promised exit code, one message, and no bookmark too far."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fifos
import psutil
import pytest
from command import Command, Result
from projects import write_project
from streams import bookmark, bookmarked_id, framed, ids, messages, plain

Flow = Callable[..., Result]

STATE = '{"bookmarks":{"s":{"id":%d}}}\n'
_SCHEMA, *_MANY = messages(3_000, every=500, width=1_000)
MORE_THAN_ANY_PIPE_HOLDS = framed([_SCHEMA, b'{"type":"STATE","value":{"bookmarks":{"s":{"id":0}}}}', *_MANY])


def project(root: Path, script: str, **config: Any) -> Path:
    return write_project(root, targets={"target-x": {"script": script, "config": config}})


@pytest.mark.parametrize("lines", [0, 1, None], ids=["at once", "after a line", "at the end"])
@pytest.mark.parametrize(
    ("end", "told"),
    [
        ({"exit": 3}, "exited with code 3"),
        ({"signal": "SIGKILL"}, "was killed by SIGKILL"),
        ({"signal": "SIGTERM"}, "was killed by SIGTERM"),
    ],
    ids=["exits", "killed", "terminated"],
)
def test_a_target_that_fails_is_told_of_once(
    tmp_path: Path, flow: Flow, lines: int | None, end: dict[str, Any], told: str
) -> None:
    project(tmp_path, "ends.py", lines=lines, stdout=STATE % 1, **end)
    result = flow("load", "target-x", stdin=MORE_THAN_ANY_PIPE_HOLDS)
    assert result.code == 70
    assert result.stderr.count("Error: ") == 1
    assert f"Error: target-x {told}." in result.stderr
    assert "The next run resumes from the last bookmark it confirmed." in result.stderr
    assert bookmarked_id(tmp_path) == 1


def test_a_target_that_cannot_be_started_is_named(tmp_path: Path, flow: Flow) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    write_project(tmp_path, targets={"target-x": {"executable": str(broken)}})
    result = flow("load", "target-x", stdin=framed(messages(3)))
    assert result.code == 70
    assert "Error: target-x cannot be started: No such file or directory" in result.stderr


def test_a_target_that_closes_its_stdin_but_lives_is_ended(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, "ends.py", lines=2, stdout=STATE % 1, lives=True)
    result = flow("load", "target-x", stdin=MORE_THAN_ANY_PIPE_HOLDS)
    assert result.code == 70
    assert "target-x closed its stdin but still ran; it was killed." in result.stderr
    assert bookmarked_id(tmp_path) == 1


def test_noise_on_stdout_is_relayed_and_a_secret_in_it_is_masked(tmp_path: Path, flow: Flow) -> None:
    project(
        tmp_path, "ends.py", stdout="loading with hunter2hunter2\n" + STATE % 3, password="hunter2hunter2"
    )
    result = flow("load", "target-x", stdin=framed(messages(3)))
    assert result.code == 0, result.stderr
    assert "target-x: loading with ***" in result.stderr
    assert "hunter2" not in result.stderr
    assert bookmarked_id(tmp_path) == 3


@pytest.mark.parametrize("to", [1, 2], ids=["stdout", "stderr"])
def test_a_flood_of_words_does_not_block(tmp_path: Path, flow: Flow, to: int) -> None:
    project(tmp_path, "floods.py", to=to, size=2_000_000, line="word {n} " + "x" * 300)
    result = flow("load", "target-x", stdin=framed(messages(2, width=200_000)))
    assert result.code == 0, result.stderr[-500:]
    assert result.stderr.count("target-x: word ") > 5 * 2_000_000 // 320
    assert bookmark(tmp_path) is None


def test_a_slow_target_gets_everything(tmp_path: Path, command: Command) -> None:
    gate = tmp_path / "gate"
    project(tmp_path, "durable.py", rows=str(tmp_path / "rows"), gate=fifos.make(gate))
    load = command.start("load", "target-x", stdin=subprocess.PIPE)
    assert load.stdin is not None
    stream = memoryview(MORE_THAN_ANY_PIPE_HOLDS)
    os.set_blocking(load.stdin.fileno(), False)
    sent = 0
    while sent < 2_000_000:  # more than both pipes and the buffer between them hold: nobody reads yet
        try:
            sent += os.write(load.stdin.fileno(), stream[sent:])
        except BlockingIOError:
            break
    os.set_blocking(load.stdin.fileno(), True)
    assert sent < 3_000_000
    assert fifos.release(gate, load)
    load.communicate(bytes(stream[sent:]), timeout=90)
    assert load.returncode == 0
    assert ids(tmp_path / "rows") == list(range(1, 3_001))
    assert bookmarked_id(tmp_path) == 3_000


@pytest.mark.parametrize(
    ("number", "deaf"),
    [(signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGTERM, True)],
    ids=["SIGTERM", "SIGINT", "to a deaf target"],
)
def test_a_state_printed_after_a_signal_does_not_count(
    tmp_path: Path, command: Command, number: signal.Signals, deaf: bool
) -> None:
    tell = tmp_path / "tell"
    project(tmp_path, "late_state.py", tell=fifos.make(tell), deaf=deaf)
    load = command.start("load", "target-x", stdin=subprocess.PIPE)
    assert load.stdin is not None
    load.stdin.write(framed(messages(3), end=False))
    load.stdin.flush()
    with fifos.listen(tell, load) as told:
        target = int(told.read())
    load.send_signal(number)
    _, stderr = load.communicate(timeout=90)
    assert load.returncode == 128 + number, stderr
    assert b"Traceback" not in stderr
    assert bookmark(tmp_path) is None
    assert not psutil.pid_exists(target)


def test_a_target_that_never_reads_is_ended_by_ctrl_c(tmp_path: Path, command: Command) -> None:
    """Its pipe is full, so that not even the unreadable line gets through."""
    tell = tmp_path / "tell"
    project(tmp_path, "late_state.py", tell=fifos.make(tell), deaf=True)
    load = command.start("load", "target-x", stdin=subprocess.PIPE)
    assert load.stdin is not None
    os.set_blocking(load.stdin.fileno(), False)
    stream = memoryview(MORE_THAN_ANY_PIPE_HOLDS)
    sent = os.write(load.stdin.fileno(), stream)
    with fifos.listen(tell, load) as told:  # to the end: its writer must not meet a closed pipe
        told.read()
    stuck = 0
    while stuck < 1_000:  # until neither pipe takes any more
        try:
            sent += os.write(load.stdin.fileno(), stream[sent:])
            stuck = 0
        except BlockingIOError:
            stuck += 1
            os.sched_yield()
    load.send_signal(signal.SIGINT)
    assert load.wait(90) == 130
    load.communicate()
    assert bookmark(tmp_path) is None


def _belongs_to(process: psutil.Process, command: Command) -> bool:
    return (process.info["environ"] or {}).get("TMPDIR") == command.env["TMPDIR"] and process.is_running()


def test_sigkill_of_the_load_ends_the_target_and_keeps_the_bookmark(tmp_path: Path, command: Command) -> None:
    tell = tmp_path / "tell"
    fifos.make(tell)
    project(tmp_path, "durable.py", rows=str(tmp_path / "rows"), tell=str(tell))
    load = command.start("load", "target-x", stdin=subprocess.PIPE)
    assert load.stdin is not None
    load.stdin.write(framed(messages(50), end=False))
    load.stdin.flush()
    with fifos.listen(tell, load) as told:
        for _ in range(30):
            told.readline()
        load.kill()
        load.communicate()
    assert bookmarked_id(tmp_path) <= len(ids(tmp_path / "rows"))
    assert not [process for process in psutil.process_iter(["environ"]) if _belongs_to(process, command)]


@pytest.mark.parametrize("backend", ["systemdb", "file"])
def test_a_full_disk_under_the_bookmarks_fails_the_run_and_keeps_the_old_one(
    tmp_path: Path, command: Command, backend: str
) -> None:
    """A limit on the size of files answers as a full disk does; the target would print for ever."""
    line = '{"bookmarks":{"s":{"id":{n},"padding":"{pad}"}}}'
    config = {"to": 1, "size": 4_000_000, "line": line, "pad": 100_000}
    entries: dict[str, Any] = (
        {"state_backend": {"uri": f"file://{tmp_path / 'state'}", "lock_timeout_seconds": 0.2}}
        if backend == "file"
        else {}
    )
    script = {"script": "ends.py", "config": {"stdout": STATE % 1}}
    write_project(tmp_path, targets={"target-x": script}, **entries)
    assert command.flow("load", "target-x", stdin=framed(messages(3))).code == 0
    before = _kept(tmp_path, backend)
    (tmp_path / "config.json").write_text(json.dumps(config))
    write_project(tmp_path, targets={"target-x": {"script": "floods.py"}}, **entries)
    (tmp_path / "stream").write_bytes(framed(messages(3_000, width=1_000)))
    result = command.shell("ulimit -f 64; flow load target-x --config config.json < stream")
    assert result.code == 70, result.stderr[-2_000:]
    assert result.stderr.count("Error: ") == 1, result.stderr[-2_000:]
    assert "The bookmark tap-x-to-target-x could not be kept: " in result.stderr
    assert "Traceback" not in result.stderr
    assert _kept(tmp_path, backend) == before
    assert not list(tmp_path.glob("state/*/*.tmp"))
    assert not list(tmp_path.glob("state/*/lock"))


def _kept(root: Path, backend: str) -> Any:
    if backend == "file":
        return json.loads((root / "state" / "tap-x-to-target-x" / "state.json").read_text())
    return bookmark(root)


def test_a_bad_line_fails_the_load_and_what_came_before_it_stays_loaded(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, "durable.py", rows=str(tmp_path / "rows"))
    result = flow("load", "target-x", "--state-id", "x", stdin=plain([*messages(3), b"oops", *messages(1)]))
    assert result.code == 65
    assert "Line 8 is not a Singer message" in result.stderr
    assert ids(tmp_path / "rows") == [1, 2, 3]
    assert bookmarked_id(tmp_path, "x") == 3


def test_two_runs_of_one_bookmark_keep_each_other_out(tmp_path: Path, command: Command) -> None:
    tell = tmp_path / "tell"
    fifos.make(tell)
    project(tmp_path, "durable.py", rows=str(tmp_path / "rows"), tell=str(tell))
    first = command.start("load", "target-x", stdin=subprocess.PIPE)
    assert first.stdin is not None
    stream = framed(messages(3))
    first.stdin.write(stream[:-10])
    first.stdin.flush()
    with fifos.listen(tell, first) as told:
        told.readline()
        for options in ([], ["--state-id", "tap-x-to-target-x"]):
            second = command.flow("load", "target-x", *options, stdin=framed(messages(3)))
            assert second.code == 2
            assert f"Another run of tap-x-to-target-x is under way (process {first.pid} on" in second.stderr
        other = command.flow("load", "target-x", "--state-id", "other", "--config", "{}", stdin=b"")
        assert other.code == 75  # it came to its input, so the lock of another bookmark did not matter
        first.stdin.write(stream[-10:])
        first.communicate()
    assert first.returncode == 0


@pytest.mark.parametrize("shared", ["bookmarks", "system folder"])
def test_two_projects_keep_each_other_out_where_they_share_bookmarks(
    tmp_path: Path, command: Command, shared: str
) -> None:
    tell = tmp_path / "tell"
    fifos.make(tell)
    for name, told in (("one", {"tell": str(tell)}), ("two", {})):
        (tmp_path / name).mkdir()
        config = {"rows": str(tmp_path / name / "rows"), **told}
        uri = f"file://{tmp_path}/state" if shared == "bookmarks" else f"file://{tmp_path}/{name}/state"
        write_project(
            tmp_path / name,
            targets={"target-x": {"script": "durable.py", "config": config}},
            state_backend={"uri": uri},
        )
    env = {} if shared == "bookmarks" else {"MELTANO_SYS_DIR_ROOT": str(tmp_path / "sys")}
    first = command.start("load", "target-x", cwd=tmp_path / "one", env=env, stdin=subprocess.PIPE)
    assert first.stdin is not None
    stream = framed(messages(3))
    first.stdin.write(stream[:-10])
    first.stdin.flush()
    with fifos.listen(tell, first) as told:
        told.readline()
        second = command.flow("load", "target-x", cwd=tmp_path / "two", env=env, stdin=stream)
        first.communicate(stream[-10:])
    assert first.returncode == 0
    assert second.code == (2 if shared == "bookmarks" else 0), second.stderr


def test_a_forced_run_does_not_wait_for_the_lock(tmp_path: Path, command: Command) -> None:
    tell = tmp_path / "tell"
    fifos.make(tell)
    write_project(
        tmp_path,
        targets={
            "target-x": {
                "script": "durable.py",
                "config": {"rows": str(tmp_path / "rows"), "tell": str(tell)},
            },
            "target-y": {"script": "durable.py", "config": {"rows": str(tmp_path / "more")}},
        },
    )
    first = command.start("load", "target-x", "--state-id", "shared", stdin=subprocess.PIPE)
    assert first.stdin is not None
    first.stdin.write(framed(messages(1), end=False))
    first.stdin.flush()
    with fifos.listen(tell, first) as told:
        told.readline()
        assert command.flow("load", "target-y", "--state-id", "shared", stdin=framed(messages(3))).code == 2
        forced = command.flow(
            "load", "target-y", "--state-id", "shared", "--force", stdin=framed(messages(3))
        )
        assert forced.code == 0, forced.stderr
        first.communicate()
    assert first.returncode == 75
