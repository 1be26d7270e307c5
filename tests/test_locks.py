"""Ownership of files: one process at a time, by name, and never longer than it lives."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flow_singer.errors import BusyError, ConfigError
from flow_singer.locks import Lock

HOLDER = """
import sys, time
from pathlib import Path
from flow_singer.locks import Lock
lock = Lock(Path(sys.argv[1]))
lock.acquire()
print("owned", flush=True)
sys.stdin.read()
lock.release()
"""


def start_holder(path: Path) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"owned\n"
    return process


def end(process: subprocess.Popen[bytes], how: str) -> None:
    if how == "kill":
        process.kill()
    process.communicate()


def test_a_second_owner_is_told_who_the_first_is(tmp_path: Path) -> None:
    holder = start_holder(tmp_path / "s.csv")
    with pytest.raises(BusyError) as caught:
        Lock(tmp_path / "s.csv").acquire()
    end(holder, "well")
    assert re.fullmatch(
        rf"{re.escape(str(tmp_path))}/s\.csv is in use by process {holder.pid} \(-c\) on .+, since .+ UTC\.",
        caught.value.message,
    )
    assert caught.value.exit_code == 75


@pytest.mark.parametrize("how", ["well", "kill"])
def test_a_lock_ends_with_its_process_and_leaves_nothing(tmp_path: Path, how: str) -> None:
    end(start_holder(tmp_path / "s.csv"), how)
    with Lock(tmp_path / "s.csv").held():
        assert os.listdir(tmp_path) == [".s.csv.lock"]
    assert os.listdir(tmp_path) == []


def test_who_waits_says_so_once_and_gets_it(tmp_path: Path) -> None:
    holder = start_holder(tmp_path / "s.csv")
    assert holder.stdin is not None
    told: list[str] = []

    def notice(text: str) -> None:
        told.append(text)
        holder.stdin.close()  # type: ignore[union-attr]

    with Lock(tmp_path / "s.csv").held(wait_s=60, notice=notice):
        holder.wait()
    assert holder.stdout is not None
    holder.stdout.close()
    assert len(told) == 1
    assert f"in use by process {holder.pid}" in told[0]
    assert told[0].endswith("waiting for it, 60 s at most.")


def test_a_lock_of_one_path_is_none_of_another(tmp_path: Path) -> None:
    with Lock(tmp_path / "a.csv").held(), Lock(tmp_path / "b.csv").held(), pytest.raises(BusyError):
        Lock(tmp_path / "a.csv").acquire()


def test_a_forked_child_does_not_own_what_its_parent_owned(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "s.csv")
    lock.acquire()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(writer)
        os.read(reader, 1)  # until the parent is done
        os._exit(0)
    os.close(reader)
    lock.release()
    try:
        with Lock(tmp_path / "s.csv").held():
            pass
    finally:
        os.close(writer)
        os.waitpid(child, 0)


def test_a_started_process_does_not_own_it_either(tmp_path: Path) -> None:
    lock = Lock(tmp_path / "s.csv")
    lock.acquire()
    program = "import sys; print('started', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
    ) as child:
        # Popen may return while the kernel still closes what exec() is to close: only its word proves that it has
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        lock.let_go()
        with Lock(tmp_path / "s.csv").held():
            pass
        child.communicate()


@pytest.mark.parametrize("what", ["file", "link", "folder", "pipe"])
def test_something_else_in_its_place_is_neither_taken_nor_removed(tmp_path: Path, what: str) -> None:
    place = tmp_path / ".s.csv.lock"
    (tmp_path / "mine").write_text("mine")
    match what:
        case "file":
            place.write_text("mine")
        case "link":
            place.symlink_to("mine")
        case "folder":
            place.mkdir()
        case "pipe":
            os.mkfifo(place)
    with pytest.raises((ConfigError, OSError)):
        Lock(tmp_path / "s.csv").acquire()
    assert os.path.lexists(place)
    assert (tmp_path / "mine").read_text() == "mine"


def test_many_that_come_and_go_never_own_it_together(tmp_path: Path) -> None:
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with Lock(tmp_path / "s.csv").held(wait_s=60):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert os.listdir(tmp_path) == []


def test_a_file_system_without_locks_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    told: list[str] = []
    with Lock(tmp_path / "s.csv").held(notice=told.append) as lock:
        assert not lock.is_kept
    assert [text.split(";")[0] for text in told] == [f"The file system of {tmp_path / 's.csv'} has no locks"]


def test_a_stopped_owner_still_owns_it(tmp_path: Path) -> None:
    holder = start_holder(tmp_path / "s.csv")
    holder.send_signal(signal.SIGSTOP)
    with pytest.raises(BusyError):
        Lock(tmp_path / "s.csv").acquire(wait_s=0.2)
    holder.send_signal(signal.SIGCONT)
    end(holder, "well")
