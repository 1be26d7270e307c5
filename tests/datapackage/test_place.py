"""The place of a package: what is replaced, what is left alone, and several runs at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from test_sink import check, load, record, rows, schema

from flow_singer.datapackage.buildfolders import remove_leftovers
from flow_singer.datapackage.sink import load_package
from flow_singer.datapackage.writer import PackageWriter
from flow_singer.errors import ConfigError, TargetError


def begin(place: Path, value: int) -> PackageWriter:
    writer = PackageWriter(place)
    load_package([f"{schema()}\n{record(id=value)}\n".encode()], writer)
    return writer


# --------------------------------------------------------------------------------- what is somebody's


@pytest.mark.parametrize(
    "name", ["data/s.csv", "datapackage.json", "data/other.csv", "link", "data/.DS_Store"]
)
@pytest.mark.parametrize("to", ["file", "folder", "nothing"])
def test_a_link_in_a_package_s_folder_is_neither_followed_nor_removed(tmp_path, name, to):
    load(tmp_path / "p", schema(), record(id=1))
    (tmp_path / "file").write_bytes((tmp_path / "p/datapackage.json").read_bytes())
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine").write_text("mine")
    (tmp_path / "p" / name).unlink(missing_ok=True)
    (tmp_path / "p" / name).symlink_to(tmp_path / to)
    with pytest.raises(ConfigError, match=r"is not replaced: it holds .*link"):
        load(tmp_path / "p", schema(), record(id=2))
    assert (tmp_path / "p" / name).is_symlink()
    assert (tmp_path / "folder/mine").read_text() == "mine"


def test_a_link_that_takes_the_place_of_the_data_is_not_followed(tmp_path):
    load(tmp_path / "p", schema(), record(id=1))
    os.rename(tmp_path / "p/data", tmp_path / "elsewhere")
    (tmp_path / "p/data").symlink_to("../elsewhere")
    with pytest.raises(ConfigError, match="data \\(a link\\)"):
        load(tmp_path / "p", schema(), record(id=2))
    assert (tmp_path / "elsewhere/s.csv").read_bytes() == b"id,name\r\n1,\r\n"


@pytest.mark.parametrize("what", ["empty folder", "pipe"])
def test_what_is_no_file_is_not_removed_either(tmp_path, what):
    load(tmp_path / "p", schema(), record(id=1))
    place = tmp_path / "p/data/mine"
    place.mkdir() if what == "empty folder" else os.mkfifo(place)
    with pytest.raises(ConfigError, match="is not replaced"):
        load(tmp_path / "p", schema(), record(id=2))
    assert place.exists()


def test_a_descriptor_that_names_files_elsewhere_removes_none(tmp_path):
    load(tmp_path / "p", schema(), record(id=1))
    (tmp_path / "mine").write_text("mine")
    package = json.loads((tmp_path / "p/datapackage.json").read_text())
    package["resources"] += [{"path": "../mine"}, {"path": str(tmp_path / "mine")}, {"path": ["a", "b"]}]
    (tmp_path / "p/datapackage.json").write_text(json.dumps(package))
    load(tmp_path / "p", schema(), record(id=2))
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("what", ["folder", "file", "link"])
def test_something_of_others_where_the_old_package_goes_stops_the_load(tmp_path, what):
    load(tmp_path / "p", schema(), record(id=1))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("mine")
    old = tmp_path / ".p.old"
    match what:
        case "folder":
            os.rename(tmp_path / "mine", old)
        case "file":
            old.write_text("mine")
        case "link":
            old.symlink_to("mine")
    with pytest.raises(ConfigError):
        load(tmp_path / "p", schema(), record(id=2))
    assert os.path.lexists(old)
    assert rows(tmp_path / "p") == [{"id": "1", "name": ""}]


def test_a_publication_killed_behind_its_renames_leaves_nothing_for_ever(tmp_path):
    load(tmp_path / "p", schema(), record(id=1))
    load(tmp_path / "q", schema(), record(id=2))
    os.rename(tmp_path / "q", tmp_path / ".p.old")
    with PackageWriter(tmp_path / "p"):
        assert rows(tmp_path / "p") == [{"id": "1", "name": ""}]
    assert os.listdir(tmp_path) == ["p"]


def test_what_comes_into_the_old_package_at_the_last_moment_stays(tmp_path, monkeypatch):
    load(tmp_path / "p", schema(), record(id=1))
    rename = os.rename

    def write_and_rename(source, target):
        if str(target).endswith(".old"):
            (tmp_path / "p/mine.txt").write_text("mine")
        rename(source, target)

    monkeypatch.setattr(os, "rename", write_and_rename)
    _, notices = load(tmp_path / "p", schema(), record(id=2))
    assert rows(tmp_path / "p") == [{"id": "2", "name": ""}]
    assert (tmp_path / ".p.old/mine.txt").read_text() == "mine"
    assert "it holds mine.txt" in notices[-1]


def test_a_zip_that_is_no_file_is_refused(tmp_path):
    (tmp_path / "p.zip").mkdir()
    with pytest.raises(ConfigError, match="is a folder"):
        load(tmp_path / "p.zip", schema(), record(id=1))


def test_a_link_to_a_zip_stays_a_link(tmp_path):
    load(tmp_path / "real.zip", schema(), record(id=1))
    (tmp_path / "p.zip").symlink_to("real.zip")
    load(tmp_path / "p.zip", schema(), record(id=2))
    assert (tmp_path / "p.zip").is_symlink()
    assert zipfile.ZipFile(tmp_path / "real.zip").read("data/s.csv") == b"id,name\r\n2,\r\n"


# -------------------------------------------------------------------------------------- several at once


@pytest.mark.parametrize("name", ["p", "p.zip"])
def test_runs_at_once_each_publish_a_whole_package_and_the_last_stays(tmp_path, name):
    first, second = begin(tmp_path / name, 1), begin(tmp_path / name, 2)
    assert first.partial != second.partial
    second.publish()
    assert first.partial.exists()
    first.publish()
    assert os.listdir(tmp_path) == [name]
    if name == "p":
        check(tmp_path / "p")
        assert rows(tmp_path / "p") == [{"id": "1", "name": ""}]
    else:
        assert zipfile.ZipFile(tmp_path / name).read("data/s.csv") == b"id,name\r\n1,\r\n"


def test_a_run_that_begins_while_another_publishes_does_not_undo_it(tmp_path, monkeypatch):
    """It would see no package, but an old one, and put that back."""
    load(tmp_path / "p", schema(), record(id=1))
    rename, began = os.rename, []

    def rename_slowly(source, target):
        rename(source, target)
        if str(target).endswith(".old"):
            began.append(
                subprocess.Popen([sys.executable, "-c", BEGIN, tmp_path / "p"], stderr=subprocess.PIPE)
            )
            began[0].stderr.readline()  # it says that it waits

    monkeypatch.setattr(os, "rename", rename_slowly)
    load(tmp_path / "p", schema(), record(id=2))
    assert began[0].wait() == 0
    began[0].stderr.close()
    assert rows(tmp_path / "p") == [{"id": "2", "name": ""}]
    assert os.listdir(tmp_path) == ["p"]


BEGIN = """
import sys
from pathlib import Path
from flow_singer.datapackage.writer import PackageWriter
with PackageWriter(Path(sys.argv[1]), notice=lambda text: print(text, file=sys.stderr, flush=True)):
    pass
"""


def test_many_runs_at_once_leave_one_whole_package(tmp_path):
    lines = "".join(f"{line}\n" for line in [schema(), *(record(id=i, name="x" * 50) for i in range(3000))])
    started = [
        subprocess.Popen([sys.executable, "-c", WHOLE, tmp_path / "p"], stdin=subprocess.PIPE)
        for _ in range(3)
    ]
    for one in started:
        one.communicate(lines.encode())
    assert [one.returncode for one in started] == [0, 0, 0]
    check(tmp_path / "p")
    assert len(rows(tmp_path / "p")) == 3000
    assert os.listdir(tmp_path) == ["p"]


WHOLE = """
import sys
from pathlib import Path
from flow_singer.datapackage.sink import load_package
from flow_singer.datapackage.writer import PackageWriter
for _ in range(3):
    with PackageWriter(Path(sys.argv[1])) as writer:
        sys.stdin.seek(0) if sys.stdin.seekable() else None
        data = sys.stdin.buffer.read() if _ == 0 else data
        load_package([data], writer)
        writer.publish()
"""


# ------------------------------------------------------------------------------------------- leftovers


def test_leftovers_go_though_their_number_is_that_of_a_living_process(tmp_path):
    (tmp_path / ".p.partial-1/data").mkdir(parents=True)
    (tmp_path / ".p.partial-1.zip").write_text("half")
    (tmp_path / f".p.partial-{os.getppid()}").mkdir()
    (tmp_path / ".p.partial-99.lock").write_text("process 99 (flow) on x, since then")
    load(tmp_path / "p", schema(), record(id=1))
    assert os.listdir(tmp_path) == ["p"]


def test_leftovers_that_are_links_or_have_other_names_stay(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("mine")
    (tmp_path / ".p.partial-1").symlink_to("mine")
    for name in (".p.partial-x", ".p.partial-1-y", ".pp.partial-1", ".p.partial-12.old"):
        (tmp_path / name).mkdir()
    before = sorted(os.listdir(tmp_path))
    load(tmp_path / "p", schema(), record(id=1))
    assert sorted(os.listdir(tmp_path)) == sorted([*before, "p"])
    assert (tmp_path / "mine/notes").read_text() == "mine"


def test_leftovers_that_cannot_be_removed_fail_nothing(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "no")

    with monkeypatch.context() as patched:
        patched.setattr(os, "listdir", refuse)
        remove_leftovers(tmp_path, ".p")
    remove_leftovers(tmp_path / "none", ".p")


def test_a_stranger_where_the_unfinished_package_would_be_is_left_alone(tmp_path):
    place = tmp_path / f".p.partial-{os.getpid()}"
    place.write_text("mine")
    load(tmp_path / "p", schema(), record(id=1))
    assert place.read_text() == "mine"
    check(tmp_path / "p")


def test_a_stream_that_is_left_out_takes_no_other_stream_s_file_with_it(tmp_path):
    load(tmp_path / "p", schema("a", {}, key=()), schema("a.csv"), record("a.csv", id=1))
    assert os.listdir(tmp_path / "p/data") == ["a.csv.csv"]
    check(tmp_path / "p")


def test_a_parent_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TargetError, match="cannot be written"):
        PackageWriter(tmp_path / "file" / "p")
