"""Files that are replaced whole, and what killed writers leave."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from flow_singer.files import write_atomic
from flow_singer.state.statefolder import FolderStore

STOPPED = """
import os, sys
from pathlib import Path
from flow_singer import files
def stop(*_):
    print("written", flush=True)
    sys.stdin.read()
    os.kill(os.getpid(), 9)
os.replace = stop
files.write_atomic(Path(sys.argv[1]), b"half")
"""


def start_writer(path: Path) -> subprocess.Popen[bytes]:
    """A process that stands in the middle of writing `path`, and is killed when its stdin is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", STOPPED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"written\n"
    return process


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    for _ in range(3):
        start_writer(tmp_path / "x.json").communicate()
    write_atomic(tmp_path / "x.json", b"whole")
    assert os.listdir(tmp_path) == ["x.json"]
    assert (tmp_path / "x.json").read_bytes() == b"whole"


def test_what_a_living_writer_has_stays(tmp_path: Path) -> None:
    writer = start_writer(tmp_path / "x.json")
    write_atomic(tmp_path / "x.json", b"whole")
    assert len(list(tmp_path.glob(".x.json.*.tmp"))) == 1
    writer.communicate()


def test_what_a_killed_run_left_of_a_bookmark_goes(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    store.set("a", b'{"n": 1}')
    for name in (".state.json.abcdefgh.tmp", ".previous.json.0_1_2_3_.tmp"):
        (tmp_path / "a" / name).write_text("half")
    store.set("a", b'{"n": 2}')
    assert sorted(os.listdir(tmp_path / "a")) == ["previous.json", "state.json"]


@pytest.mark.parametrize("what", ["link", "folder", "pipe", "other name", "longer name"])
def test_what_is_not_a_writer_s_stays_and_fails_nothing(tmp_path: Path, what: str) -> None:
    (tmp_path / "mine").write_text("mine")
    name = {"other name": ".y.json.abcdefgh.tmp", "longer name": ".x.json.abcdefghi.tmp"}
    place = tmp_path / name.get(what, ".x.json.abcdefgh.tmp")
    match what:
        case "link":
            place.symlink_to("mine")
        case "folder":
            place.mkdir()
        case "pipe":
            os.mkfifo(place)
        case _:
            place.write_text("mine")
    write_atomic(tmp_path / "x.json", b"whole")
    assert os.path.lexists(place)
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_somebody_else_stays(tmp_path: Path) -> None:
    place = tmp_path / ".x.json.abcdefgh.tmp"
    place.write_text("theirs")
    os.chown(place, 12345, 12345)
    write_atomic(tmp_path / "x.json", b"whole")
    assert place.read_text() == "theirs"


def test_writers_of_one_file_at_once_do_not_fail_each_other(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def write(word: bytes) -> None:
        try:
            for _ in range(50):
                write_atomic(tmp_path / "x.json", word * 100)
        except BaseException as exc:
            failed.append(exc)

    threads = [threading.Thread(target=write, args=(word,)) for word in (b"a", b"b", b"c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert os.listdir(tmp_path) == ["x.json"]
    assert (tmp_path / "x.json").read_bytes() in (b"a" * 100, b"b" * 100, b"c" * 100)
