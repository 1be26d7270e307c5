from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flow_singer.errors import ConfigError
from flow_singer.plugins.runfolder import config_changed, run_folder, write_config
from flow_singer.project.meltanofile import load_project


@pytest.fixture
def project(tmp_path: Path):
    (tmp_path / "meltano.yml").write_text("")
    return load_project(tmp_path, environ={})


def test_a_run_folder_is_private_and_gone_afterwards(project):
    with run_folder(project) as folder:
        path = write_config(folder, "tap-x", {"token": "hunter22", "n": 2**70, "nested": {"é": [1.5]}})
        assert folder.parent == project.sys_dir / "run"
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert json.loads(path.read_text()) == {"token": "hunter22", "n": 2**70, "nested": {"é": [1.5]}}
    assert not folder.exists()


@pytest.mark.parametrize(
    "name",
    ["/data/sales.csv", "../up/out", "a/b/", "..", "https://x.example/a.csv?b=c", "logs/*.csv", "é" * 300],
)
def test_the_config_of_data_that_stand_for_a_tap_is_in_the_run_folder(tmp_path, project, name):
    with run_folder(project) as folder:
        path = write_config(folder, f"{tmp_path}{name}" if name[0] == "/" else name, {"path": name})
        assert path.parent == folder
        assert path.read_text()
        assert [one.name for one in folder.iterdir()] == [path.name]
    assert {one.name for one in tmp_path.iterdir()} <= {"meltano.yml", ".meltano"}


@pytest.mark.parametrize("ending", [KeyboardInterrupt, SystemExit, ValueError])
def test_a_run_folder_is_gone_however_the_run_ends(project, ending):
    with pytest.raises(ending), run_folder(project) as folder:
        raise ending
    assert not folder.exists()


def test_two_runs_never_share_a_folder(project):
    with run_folder(project) as first, run_folder(project) as second:
        assert first != second


def test_the_folder_of_a_killed_run_is_removed_by_the_next_and_that_of_a_live_one_is_not(project):
    code = (
        "import sys; from pathlib import Path; from flow_singer.project.meltanofile import load_project;"
        "from flow_singer.plugins.runfolder import run_folder\n"
        "with run_folder(load_project(Path(sys.argv[1]), environ={})) as folder:\n"
        "    print(folder, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(project.root)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as run:
        folder = Path(run.stdout.readline().strip())
        os.utime(folder, (0, 0))
        with run_folder(project):
            assert folder.exists()
        run.send_signal(signal.SIGKILL)
    assert folder.exists()
    with run_folder(project):
        assert not folder.exists()


LONG_AGO = (0, 0)


def _link_to(target: Path, link: Path) -> None:
    link.symlink_to(target)
    os.utime(link, LONG_AGO, follow_symlinks=False)


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)  # relative: a path of a socket has 108 bytes


STRANGERS: dict[str, Callable[[Path, Path], object]] = {
    "file": lambda path, _: path.write_text("precious"),
    "link to a folder": lambda path, home: _link_to(home, path),
    "link to a file": lambda path, home: _link_to(home / "precious", path),
    "dangling link": lambda path, home: _link_to(home / "gone", path),
    "link to itself": lambda path, _: _link_to(path, path),
    "fifo": lambda path, _: os.mkfifo(path),
    "socket": lambda path, _: _socket(path),
}


@pytest.mark.parametrize("make", STRANGERS.values(), ids=STRANGERS)
def test_a_stranger_of_such_a_name_is_left_and_stops_no_run(tmp_path, monkeypatch, make):
    (temporary := tmp_path / "t").mkdir()
    (home := tmp_path / "home").mkdir()
    (home / "precious").write_text("precious")
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    monkeypatch.chdir(temporary)
    stranger = temporary / "flow-run-x"
    make(stranger, home)
    with contextlib.suppress(OSError):
        os.utime(stranger, LONG_AGO)
    for folder in (home, home / "precious"):
        os.utime(folder, LONG_AGO)
    with run_folder(None) as folder:
        assert folder.is_dir()
    assert [file.name for file in temporary.iterdir()] == ["flow-run-x"]
    assert (home / "precious").read_text() == "precious"


def test_a_folder_of_another_user_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (other := tmp_path / "flow-run-x").mkdir()
    os.utime(other, LONG_AGO)
    monkeypatch.setattr("os.getuid", lambda: other.stat().st_uid + 1)
    with run_folder(None):
        assert other.exists()


def test_links_inside_the_folder_of_a_killed_run_are_removed_and_not_followed(tmp_path, monkeypatch):
    (temporary := tmp_path / "t").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    (home := tmp_path / "home").mkdir()
    (home / "precious").write_text("precious")
    (killed := temporary / "flow-run-with\nnewline" / "inner").mkdir(parents=True)
    (killed / "link").symlink_to(home)
    (killed.parent / "link").symlink_to(home / "precious")
    os.utime(killed.parent, LONG_AGO)
    with run_folder(None):
        assert not killed.parent.exists()
    assert (home / "precious").read_text() == "precious"


def test_a_folder_that_cannot_be_removed_stops_no_run(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (stuck := tmp_path / "flow-run-x").mkdir()
    os.utime(stuck, LONG_AGO)

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.unlink", refuse)
    monkeypatch.setattr("os.rmdir", refuse)
    with run_folder(None) as folder:
        assert folder.is_dir()
    monkeypatch.undo()
    assert stuck.exists()


def test_many_leftovers_keep_no_run_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr("flow_singer.plugins.runfolder._REMOVING_S", 0.0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for number in range(20):
        (left := tmp_path / f"flow-run-{number}").mkdir()
        os.utime(left, LONG_AGO)
    runs = 0
    while any(tmp_path.iterdir()):
        with run_folder(None):
            runs += 1
    assert runs == 20


def test_two_runs_may_clear_up_at_the_same_moment(project):
    parent = project.sys_dir / "run"
    failed = []

    def clear_up() -> None:
        try:
            with run_folder(project):
                pass
        except BaseException as exc:
            failed.append(exc)

    for number in range(300):
        (left := parent / f"flow-run-{number}").mkdir(parents=True)
        (left / "config.json").touch()
        os.utime(left, LONG_AGO)
    threads = [threading.Thread(target=clear_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert list(parent.iterdir()) == []


def test_a_run_without_a_place_for_its_folder_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone" / "too"))
    (tmp_path / "gone").write_text("a file")
    with (
        pytest.raises(
            ConfigError, match=r"There is no place for the config files of this run: .*gone"
        ) as caught,
        run_folder(None),
    ):
        pass
    assert "TMPDIR" in str(caught.value.hint)


def test_a_project_whose_run_folder_is_a_file_says_so(project):
    project.sys_dir.mkdir()
    (project.sys_dir / "run").write_text("")
    with pytest.raises(ConfigError, match=r"There is no place .*/run: File exists"), run_folder(project):
        pass


def test_a_full_disk_is_told_with_the_file(tmp_path):
    (tmp_path / "tap-x.config.json").symlink_to("/dev/full")
    with pytest.raises(ConfigError, match=r"tap-x cannot be written: No space left .*/tap-x\.config\.json"):
        write_config(tmp_path, "tap-x", {"a": 1})


def test_a_stranger_s_file_stops_no_command(flow, command):
    temporary = Path(command.env["TMPDIR"])
    (temporary / "flow-run-x").symlink_to(temporary)
    (temporary / "flow-run-y").write_text("")
    os.utime(temporary / "flow-run-y", LONG_AGO)
    os.utime(temporary, LONG_AGO)
    stdin = b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"a":{"type":"integer"}}},"key_properties":[]}\n'
    result = flow("load", "target-csv", stdin=stdin)
    assert result.code == 0, result.stderr
    assert {file.name for file in temporary.iterdir()} == {"flow-run-x", "flow-run-y"}


def test_without_a_project_the_folder_is_among_the_temporary_files(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with run_folder(None) as folder:
        assert folder.parent == tmp_path


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}], ids=["object", "nan", "set"])
def test_a_setting_without_a_json_form_is_named_but_not_shown(tmp_path, value):
    with pytest.raises(ConfigError, match="Setting 'odd' of tap-x has no JSON form"):
        write_config(tmp_path, "tap-x", {"fine": 1, "odd": value})
    assert list(tmp_path.iterdir()) == []


def test_a_config_that_its_tap_rewrote_is_noticed(tmp_path):
    config = {"refresh_token": "old", "n": 1}
    path = write_config(tmp_path, "tap-x", config)
    assert config_changed(path, config) is None
    path.write_text('{"n": 1, "refresh_token": "old"}')
    assert config_changed(path, config) is None
    path.write_text('{"n": 1, "refresh_token": "new"}')
    assert config_changed(path, config) == {"refresh_token": "new", "n": 1}


@pytest.mark.parametrize("content", ['{"refresh_tok', "[]"], ids=["torn", "a list"])
def test_a_config_that_is_none_any_more_is_not_taken_over(tmp_path, content, caplog):
    path = write_config(tmp_path, "tap-x", {"a": 1})
    path.write_text(content)
    assert config_changed(path, {"a": 1}) is None
    assert "tap-x.config.json is no longer the config that was written" in caplog.text
