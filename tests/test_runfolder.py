from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from flow_singer.errors import ConfigError
from flow_singer.project import load_project
from flow_singer.runfolder import config_changed, run_folder, write_config


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
        "import sys; from pathlib import Path; from flow_singer.project import load_project;"
        "from flow_singer.runfolder import run_folder\n"
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
