"""Files that are appended to: every order of dying, two runs at once, and people who edit them meanwhile."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import re
import subprocess
import sys
import time

import pytest
from flow_target_csv.append import AppendedFiles
from flow_target_csv.replace import ReplacedFiles

from flow_singer import locks
from flow_singer.datapackage.sink import Loader
from flow_singer.errors import BusyError, ConfigError, TargetError

COMMAND = [sys.executable, "-m", "flow_target_csv"]
HEADER = b"id,name\r\n"


def schema(stream="s", **more):
    properties = {"id": {"type": "integer"}, "name": {"type": ["null", "string"]}} | more
    message = {"type": "SCHEMA", "stream": stream, "schema": {"properties": properties}}
    return json.dumps(message | {"key_properties": ["id"]})


def record(number, stream="s", **values):
    return json.dumps({"type": "RECORD", "stream": stream, "record": {"id": number, **values}})


def state(number):
    return json.dumps({"type": "STATE", "value": number})


def append(folder, *lines, notice=None, confirm=None, sink=AppendedFiles):
    """Load lines; each STATE is a checkpoint."""
    told = []
    files = sink(folder, null="", notice=notice or told.append)
    loader = Loader(files, emit_state=confirm or (lambda value: None))
    try:
        for line in lines:
            loader.push(f"{line}\n".encode())
            if '"STATE"' in line:
                loader.flush()
        loader.finish()
        files.publish()
        loader.release_state()
    except BaseException:
        files.abandon()
        raise
    finally:
        loader.close()
    return told


def ids(path):
    with path.open(newline="", encoding="utf-8") as file:
        found = list(csv.reader(file))
    assert all(len(row) == len(found[0]) for row in found), found
    return [int(row[0]) for row in found[1:]]


# ------------------------------------------------------------------------------------------ dying anywhere


class Dead(BaseException):
    """What a killed process does: nothing more."""


CALLS = ("open", "write", "ftruncate", "fsync", "replace", "unlink", "rename", "fchmod", "close")


class Mortal:
    """Ends everything at the n-th call that changes a file; a write in which it ends is done by half."""

    def __init__(self, monkeypatch, lives):
        self.calls = 0
        self._lives = lives
        self._opened = {}
        self._close = os.close
        for name in CALLS:
            monkeypatch.setattr(os, name, self._dying(getattr(os, name), name))

    def _dying(self, call, name):
        def called(*arguments, **keywords):
            self.calls += 1
            if self.calls == self._lives and name == "write":
                call(arguments[0], arguments[1][: len(arguments[1]) // 2])
            if self.calls >= self._lives:
                raise Dead
            if name == "fsync":
                return None
            result = call(*arguments, **keywords)
            if name == "open":
                self._opened[result] = os.fstat(result)
            return result

        return called

    def bury(self):
        """Close what it had open, as the kernel does, and its locks with that."""
        for handle, found in self._opened.items():
            with contextlib.suppress(OSError):
                if os.path.samestat(os.fstat(handle), found):
                    self._close(handle)
        for lock in list(locks._held):
            lock._handle = None
        locks._held.clear()


FIRST = [
    schema(),
    record(1, name='a "quoted"\r\ntext'),
    state(1),
    record(2, name="b" * 50),
    state(2),
    record(3),
]
WIDER = [
    schema(), record(11), state(11), record(12), schema(new={"type": ["null", "string"]}),
    record(13, new="x\ny"), state(13), record(14, new="z"),
]  # fmt: skip


def die(monkeypatch, folder, lines, lives):
    """Run until the n-th call; return what was confirmed, and whether the run came to its end."""
    confirmed = [0]
    with monkeypatch.context() as patched:
        mortal = Mortal(patched, lives)
        with contextlib.suppress(Dead):
            append(folder, *lines, confirm=lambda value: confirmed.append(int(value)))
            return confirmed[-1], True
    mortal.bury()
    return confirmed[-1], False


def check_whole(folder, *runs):
    """Each run has its rows up to a checkpoint at or behind what it confirmed, once, and in order."""
    found = ids(folder / "s.csv")
    assert b"\0" not in (folder / "s.csv").read_bytes()
    expected = []
    for lines, confirmed, ended in runs:
        numbers = [json.loads(line)["record"]["id"] for line in lines if '"RECORD"' in line]
        points = [json.loads(line)["value"] for line in lines if '"STATE"' in line]
        kept = [number for number in found if number in numbers]
        assert kept == numbers[: len(kept)]
        assert kept == numbers if ended else (kept[-1] if kept else 0) in [0, *points, numbers[-1]]
        assert (kept[-1] if kept else 0) >= confirmed
        expected += kept
    assert found == expected
    assert os.listdir(folder) == ["s.csv"]


def test_a_run_that_dies_at_any_moment_leaves_what_it_confirmed(tmp_path, monkeypatch):
    for lives in range(1, 1000):
        folder = tmp_path / str(lives)
        confirmed, ended = die(monkeypatch, folder, FIRST, lives)
        append(folder, schema(), record(99))
        check_whole(folder, (FIRST, confirmed, ended), ([record(99)], 99, True))
        if ended:
            break
    assert lives > 40
    assert ended


def test_a_run_that_widens_a_file_and_dies_leaves_what_it_confirmed(tmp_path, monkeypatch):
    for lives in range(1, 1000):
        folder = tmp_path / str(lives)
        append(folder, *FIRST)
        confirmed, ended = die(monkeypatch, folder, WIDER, lives)
        append(folder, schema(), record(99))
        check_whole(folder, (FIRST, 3, True), (WIDER, confirmed, ended), ([record(99)], 99, True))
        if ended:
            break
    assert lives > 60


@pytest.mark.parametrize("first", [FIRST, WIDER], ids=["first", "wider"])
def test_a_run_that_recovers_and_dies_itself_loses_nothing_either(tmp_path, monkeypatch, first):
    """The second death comes anywhere in the recovery, or behind it."""
    second = [schema(), record(21), state(21), record(22)]
    number = 0
    for lives in range(3, 200, 11):
        for later in range(1, 200, 3):
            folder = tmp_path / str(number := number + 1)
            one = (first, *die(monkeypatch, folder, first, lives))
            two = (second, *die(monkeypatch, folder, second, later))
            append(folder, schema(), record(99))
            check_whole(folder, one, two, ([record(99)], 99, True))
            if two[2]:
                break
        if one[2]:
            break
    assert number > 50


def test_runs_that_are_killed_again_and_again_lose_nothing(tmp_path):
    lines = [schema()]
    for number in range(1, 4001):
        lines.append(record(number, name="x" * (number % 97)))
    (tmp_path / "config.json").write_text(json.dumps({"output_path": str(tmp_path / "out")}))
    for delay_s in (0.0, 0.05, 0.1, 0.2, 0.3):
        process = subprocess.Popen(
            [*COMMAND, "--config", tmp_path / "config.json"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        process.stdin.write("".join(f"{line}\n" for line in lines).encode())
        process.stdin.flush()
        while not (tmp_path / "out/.s.csv.committed").exists():
            assert process.poll() is None
            os.sched_yield()
        time.sleep(delay_s)  # wherever it is then
        process.kill()
        process.communicate()
    append(tmp_path / "out", schema(), record(99))
    assert ids(tmp_path / "out/s.csv") == [99]
    assert os.listdir(tmp_path / "out") == ["s.csv"]


# --------------------------------------------------------------------------- lengths that cannot be trusted


def torn(folder, mark, content=HEADER + b"1,a\r\n2,b\r\n"):
    folder.mkdir(exist_ok=True)
    (folder / "s.csv").write_bytes(content)
    if mark is not None:
        (folder / ".s.csv.committed").write_bytes(mark)


@pytest.mark.parametrize(
    "mark",
    [
        b"",
        b"\n",
        b"garbled",
        b"-5",
        b"1e3",
        b"1000",
        b"9" * 40,
        b"12",
        b"14 0123456789abcdef",
        b"\0" * 14,
        b"0",
    ],
)
def test_a_length_that_cannot_be_trusted_is_told_and_not_obeyed(tmp_path, mark):
    torn(tmp_path / "out", mark)
    (told,) = append(tmp_path / "out", schema(), record(3))
    assert "s.csv is not as a run that was killed had left it" in told
    assert (tmp_path / "out/s.csv").read_bytes() == HEADER + b"1,a\r\n2,b\r\n3,\r\n"
    assert os.listdir(tmp_path / "out") == ["s.csv"]


def test_a_torn_row_is_cut_off_though_the_next_run_is_stopped_too(tmp_path):
    """The roll-back of the second run must not make the file longer than what was there."""
    torn(tmp_path / "out", b"14", HEADER + b"1,a\r\n2,half a ro")
    with pytest.raises(Exception, match="no json"):
        append(tmp_path / "out", schema(), record(3), "no json")
    assert (tmp_path / "out/s.csv").read_bytes() == HEADER + b"1,a\r\n"
    assert os.listdir(tmp_path / "out") == ["s.csv"]


def test_what_is_cut_off_is_told(tmp_path):
    torn(tmp_path / "out", b"14", HEADER + b'1,a\r\n2,"half')
    (told,) = append(tmp_path / "out", schema(), record(3))
    assert re.match(r".*/out/s\.csv: the last 7 bytes are cut off\.", told)
    assert ids(tmp_path / "out/s.csv") == [1, 3]


@pytest.mark.parametrize("mark", [b"0", b"0 e3b0c44298fc1c14"])
@pytest.mark.parametrize("header", [b"", b"i", b"id,na", HEADER])
def test_a_torn_header_is_written_anew(tmp_path, mark, header):
    torn(tmp_path / "out", mark, header)
    append(tmp_path / "out", schema(), record(1))
    assert (tmp_path / "out/s.csv").read_bytes() == HEADER + b"1,\r\n"


def killed_with(folder, *rows):
    """What a killed run leaves: one row that counts, others behind it."""
    with contextlib.suppress(Dead):
        files = AppendedFiles(folder, null="", notice=pytest.fail)
        loader = Loader(files)
        for line in (schema(), record(1, name="a"), state(1)):
            loader.push(f"{line}\n".encode())
        loader.flush()
        for line in rows:
            loader.push(f"{line}\n".encode())
        loader._buffers.flush_all()
        loader.close()
        locks._let_go_in_child()


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        (lambda data: data.replace(b"1,a", b"1,an"), [1, 2, 99]),
        (lambda data: data.replace(b"id,name", b"id,label"), [1, 2, 99]),
        (lambda data: HEADER, [99]),
        (lambda data: data.replace(b"1,a\r\n", b""), [2, 99]),
    ],
    ids=["a longer cell", "the header", "no rows", "a row fewer"],
)
def test_a_file_that_was_edited_after_the_kill_is_not_cut(tmp_path, edited, expected):
    killed_with(tmp_path, record(2))
    (tmp_path / "s.csv").write_bytes(edited((tmp_path / "s.csv").read_bytes()))
    told = append(tmp_path, schema(), record(99))
    assert "not as a run that was killed had left it" in told[0]
    with (tmp_path / "s.csv").open(newline="") as file:
        assert [int(row["id"]) for row in csv.DictReader(file)] == expected


def test_a_file_that_is_gone_after_the_kill_is_told_and_begun_anew(tmp_path):
    killed_with(tmp_path, record(2))
    (tmp_path / "s.csv").unlink()
    (told,) = append(tmp_path, schema(), record(99))
    assert "not as a run that was killed had left it" in told
    assert ids(tmp_path / "s.csv") == [99]


def test_a_copy_of_the_folder_is_recovered_like_the_folder(tmp_path):
    import shutil

    killed_with(tmp_path / "a", record(2))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    append(tmp_path / "b", schema(), record(99))
    assert ids(tmp_path / "b/s.csv") == [1, 99]


def test_nothing_is_appended_behind_half_a_quoted_cell(tmp_path):
    torn(tmp_path / "out", b"garbled", HEADER + b'1,a\r\n2,"half')
    with pytest.raises(TargetError, match="ends in the middle of a quoted cell"):
        append(tmp_path / "out", schema(), record(3))
    assert (tmp_path / "out/s.csv").read_bytes() == HEADER + b'1,a\r\n2,"half'
    assert (tmp_path / "out/.s.csv.committed").exists()


@pytest.mark.parametrize("change", ["append", "shorten", "replace", "remove"])
def test_a_file_that_is_changed_while_rows_are_appended_stops_the_run(tmp_path, change):
    append(tmp_path, schema(), record(1), record(2))
    path = tmp_path / "s.csv"

    def confirm(value):
        match change:
            case "append":
                with path.open("ab") as file:
                    file.write(b"77,mine\r\n")
            case "shorten":
                os.truncate(path, len(HEADER))
            case "replace":
                (tmp_path / "new").write_bytes(HEADER + b"77,mine\r\n")
                os.replace(tmp_path / "new", path)
            case "remove":
                path.unlink()

    told = []
    with pytest.raises(TargetError, match="was changed by another program"):
        append(
            tmp_path, schema(), record(3), state(3), record(4), state(4), confirm=confirm, notice=told.append
        )
    assert "nothing was cut off its end" in told[-1]
    if change == "remove":
        assert os.listdir(tmp_path) == []
        return
    expected = {"append": [1, 2, 3, 77, 4], "shorten": [4], "replace": [77]}
    assert ids(path) == expected[change]
    assert os.listdir(tmp_path) == ["s.csv"]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"id,n\xe4me\r\n1,a\r\n", "cannot be read"),
        (b"\r\n1,a\r\n", "begins with an empty line"),
    ],
)
def test_a_header_that_cannot_be_read_is_told(tmp_path, content, reason):
    (tmp_path / "s.csv").write_bytes(content)
    with pytest.raises(TargetError, match=reason):
        append(tmp_path, schema(), record(1))
    assert (tmp_path / "s.csv").read_bytes() == content


def test_a_byte_order_mark_of_a_spreadsheet_stays_and_is_no_part_of_a_name(tmp_path):
    (tmp_path / "s.csv").write_bytes(b"\xef\xbb\xbf" + HEADER + b"1,a\r\n")
    append(tmp_path, schema(), record(2))
    append(tmp_path, schema(new={"type": "string"}), record(3, new="x"))
    assert (tmp_path / "s.csv").read_bytes() == b"\xef\xbb\xbfid,name,new\r\n1,a,\r\n2,,\r\n3,,x\r\n"


# -------------------------------------------------------------------------------------- strangers, leftovers


def test_rows_go_to_what_a_link_points_at_and_the_link_stays(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "real.csv").write_bytes(HEADER + b"1,a\r\n")
    (tmp_path / "out/s.csv").symlink_to("../real.csv")
    append(tmp_path / "out", schema(new={"type": "string"}), record(2, new="x"))
    assert (tmp_path / "out/s.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"id,name,new\r\n1,a,\r\n2,,x\r\n"
    with pytest.raises(ConfigError, match="is a link"):
        append(tmp_path / "out", schema(), record(3), sink=ReplacedFiles)
    assert (tmp_path / "out/s.csv").is_symlink()


@pytest.mark.parametrize("name", [".s.csv.wider", ".s.csv.committed", ".s.csv.lock"])
def test_a_link_beside_the_file_is_neither_followed_nor_removed(tmp_path, name):
    append(tmp_path / "out", schema(), record(1))
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "out" / name).symlink_to("../mine")
    with pytest.raises((TargetError, ConfigError)):
        append(tmp_path / "out", schema(new={"type": "string"}), record(2, new="x"))
    assert (tmp_path / "out" / name).is_symlink()
    assert (tmp_path / "mine").read_text() == "mine"
    assert ids(tmp_path / "out/s.csv") == [1]


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
@pytest.mark.parametrize("sink", [AppendedFiles, ReplacedFiles])
def test_what_is_no_file_is_told_and_left(tmp_path, make, sink):
    make(tmp_path / "s.csv")
    with pytest.raises((TargetError, ConfigError), match="no file"):
        append(tmp_path, schema(), record(1), sink=sink)
    assert os.listdir(tmp_path) == ["s.csv"]


def test_leftovers_of_killed_runs_go(tmp_path):
    append(tmp_path, schema(), record(1))
    for name in (
        ".s.csv.committed.abcdefgh.tmp",
        "..s.csv.committed.abcdefgh.tmp",
        ".s.csv.wider",
        ".partial-1.lock",
    ):
        (tmp_path / name).write_text("" if name.endswith("lock") else "half")
    (tmp_path / ".partial-1").mkdir()
    (tmp_path / ".partial-1/s.csv.lengths").write_text("half")
    append(tmp_path, schema(new={"type": "string"}), record(2))
    assert os.listdir(tmp_path) == ["s.csv"]


def test_a_file_that_is_replaced_takes_the_mark_of_a_killed_run_with_it(tmp_path):
    killed_with(tmp_path, record(2))
    append(tmp_path, schema(), record(5), record(6), sink=ReplacedFiles)
    assert os.listdir(tmp_path) == ["s.csv"]
    append(tmp_path, schema(), record(7))
    assert ids(tmp_path / "s.csv") == [5, 6, 7]


# ---------------------------------------------------------------------------------------------- two at once


def start(folder, *lines, **config):
    (folder / "config.json").write_text(json.dumps({"output_path": str(folder / "out"), **config}))
    process = subprocess.Popen(
        [*COMMAND, "--config", folder / "config.json"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write("".join(f"{line}\n" for line in lines).encode())
    process.stdin.flush()
    return process


def wait_for(path, process):
    while not path.exists() or not path.read_bytes():
        assert process.poll() is None, process.communicate()
        os.sched_yield()


BOTH_MODES = pytest.mark.parametrize("second", ["append", "replace"])


@pytest.mark.parametrize("first", ["append", "replace"])
@BOTH_MODES
def test_a_second_run_into_one_file_ends_with_75_and_names_the_first(tmp_path, first, second):
    rows = [record(number) for number in range(20_000)]
    holder = start(tmp_path, schema(), *rows, overwrite_behavior=first)
    wait_for(tmp_path / "out/.s.csv.lock", holder)
    other = start(tmp_path, schema(), record(77), overwrite_behavior=second, lock_wait_s=0)
    _, told = other.communicate()
    assert other.returncode == 75, told.decode()
    assert f"s.csv is in use by process {holder.pid} (flow_target_csv) on ".encode() in told
    assert b"Traceback" not in told
    assert holder.communicate()[1] is not None
    assert holder.returncode == 0
    assert ids(tmp_path / "out/s.csv") == list(range(20_000))
    assert os.listdir(tmp_path / "out") == ["s.csv"]


def test_a_second_run_waits_as_long_as_it_is_told_to(tmp_path):
    holder = start(tmp_path, schema(), *[record(number) for number in range(6_000)])
    wait_for(tmp_path / "out/.s.csv.lock", holder)
    other = start(tmp_path, schema(), record(7777), lock_wait_s=120)
    while b"waiting for it, 120 s at most" not in other.stderr.readline():
        assert other.poll() is None
    holder.communicate()
    other.communicate()
    assert (holder.returncode, other.returncode) == (0, 0)
    assert ids(tmp_path / "out/s.csv") == [*range(6_000), 7777]


def test_two_runs_with_different_streams_go_on_side_by_side(tmp_path):
    holder = start(tmp_path, schema(), record(1))
    wait_for(tmp_path / "out/.s.csv.lock", holder)
    other = start(tmp_path, schema("t"), record(2, "t"), lock_wait_s=0)
    _, told = other.communicate()
    assert other.returncode == 0, told.decode()
    holder.communicate()
    assert holder.returncode == 0
    assert ids(tmp_path / "out/s.csv") == [1]
    assert ids(tmp_path / "out/t.csv") == [2]
    assert sorted(os.listdir(tmp_path / "out")) == ["s.csv", "t.csv"]


def test_what_a_replacing_run_builds_stays_while_another_publishes(tmp_path):
    holder = start(tmp_path, schema(), record(1), overwrite_behavior="replace")
    wait_for(tmp_path / "out/.s.csv.lock", holder)
    other = start(tmp_path, schema("t"), record(2, "t"), overwrite_behavior="replace")
    _, told = other.communicate()
    assert other.returncode == 0, told.decode()
    holder.communicate()
    assert holder.returncode == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["s.csv", "t.csv"]


def test_a_failed_run_gives_the_file_back(tmp_path):
    append(tmp_path, schema(), record(1))
    with locks.Lock(tmp_path / "s.csv").held(), pytest.raises(BusyError):
        append(tmp_path, schema("t"), record(1, "t"), schema(), record(2))
    append(tmp_path, schema("t"), record(3, "t"), schema(), record(3))
    assert ids(tmp_path / "s.csv") == [1, 3]
    assert ids(tmp_path / "t.csv") == [3]


def test_rows_of_a_full_disk_are_taken_back(tmp_path, monkeypatch):
    append(tmp_path, schema(), record(1))
    write, wrote = os.write, []

    def fill(handle, data):
        if wrote:
            raise OSError(28, "No space left on device")
        wrote.append(write(handle, data[:3]))
        return wrote[0]

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fill)
        with pytest.raises(TargetError, match="No space left"):
            append(tmp_path, schema(), record(2, name="x" * 100), state(2))
    assert ids(tmp_path / "s.csv") == [1]
    assert os.listdir(tmp_path) == ["s.csv"]


# --------------------------------------------------------------------------------------------- one file each


def test_the_file_of_a_stream_of_version_0_1_is_kept_where_it_can_only_be_its_own(tmp_path):
    for name in ("Users.csv", "issues.csv", "a-b.csv"):
        (tmp_path / name).write_bytes(HEADER + b"1,old\r\n")
    told = append(
        tmp_path,
        schema("users"), record(2, "users"), schema("Users"), record(3, "Users"),
        schema("issues"), record(4, "issues"), schema("a:b"), record(5, "a:b"),
    )  # fmt: skip
    assert ids(tmp_path / "Users.csv") == [1, 3]
    assert ids(tmp_path / "users.csv") == [2]
    assert ids(tmp_path / "issues.csv") == [1, 4]
    assert ids(tmp_path / "a-b.csv") == [1]
    assert ids(tmp_path / "a-b--6783a31e.csv") == [5]
    assert told == [
        "stream 'a:b' is written to a-b--6783a31e.csv. Its earlier rows may be in a-b.csv, which streams of "
        "other names may share; it stays as it is."
    ]
    assert append(tmp_path, schema("a:b"), record(6, "a:b")) == []
