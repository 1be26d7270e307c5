from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from wheels import make_wheel

from flow_singer.errors import ConfigError, TapError, TargetError
from flow_singer.plugins.environments import ensure_environment, fingerprint
from flow_singer.plugins.programs import find_plugin
from flow_singer.process.quietrun import run_quietly
from flow_singer.project.meltanofile import Project, load_project
from flow_singer.project.settings import PluginSettings, resolve


def make_program(path: Path, body: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return path


def project_with(root: Path, plugins: str, environ: dict[str, str] | None = None) -> Project:
    (root / "meltano.yml").write_text(f"plugins:\n{plugins}")
    return load_project(root, environ={"PATH": os.environ["PATH"], **(environ or {})})


def settings_of(project: Project, name: str = "tap-tiny") -> PluginSettings:
    plugin = project.plugin("extractors", name)
    assert plugin is not None
    return resolve(project, plugin)


TINY = "  extractors: [{name: tap-tiny, pip_url: '--no-index ./tap_tiny-1.0-py3-none-any.whl'}]\n"


@pytest.fixture
def tiny(tmp_path: Path) -> Project:
    make_wheel(tmp_path)
    return project_with(tmp_path, TINY)


def install(project: Project, name: str = "tap-tiny", progress=lambda line: None) -> Path:
    found = find_plugin(name, "extractors", project, environ=project.environ)
    ensure_environment(project, found, settings=settings_of(project, name), progress=progress)
    return Path(found.command[0])


# where a plugin comes from


def test_a_plugin_of_the_project_comes_before_bundled_and_path(tmp_path):
    make_program(tmp_path / "bin" / "tap-demo")
    environ = {"PATH": str(tmp_path / "bin")}
    bundled = find_plugin("tap-demo", "extractors", None, environ=environ)
    assert (bundled.source, bundled.command) == ("bundled", (sys.executable, "-P", "-m", "flow_tap_demo"))
    assert bundled.capabilities == {"catalog", "discover", "state"}
    project = project_with(tmp_path, "  extractors: [{name: tap-demo, pip_url: tap-demo==9}]\n")
    own = find_plugin("tap-demo", "extractors", project, environ=environ)
    assert own.source == "meltano.yml"
    assert own.command == (str(tmp_path / ".meltano/extractors/tap-demo/venv/bin/tap-demo"),)


def test_an_executable_on_path_needs_no_project(tmp_path):
    program = make_program(tmp_path / "tap-x")
    found = find_plugin("tap-x", "extractors", None, environ={"PATH": str(tmp_path)})
    assert (found.source, found.command, found.venv) == ("PATH", (str(program),), None)


def test_a_declared_plugin_without_pip_url_means_the_bundled_one(tmp_path):
    project = project_with(
        tmp_path,
        "  extractors:\n  - {name: tap-demo}\n  - {name: tap-demo--eu, inherit_from: tap-demo}\n"
        "  loaders: [{name: target-csv}]\n",
    )
    for kind, name, module in (
        ("extractors", "tap-demo", "flow_tap_demo"),
        ("extractors", "tap-demo--eu", "flow_tap_demo"),
        ("loaders", "target-csv", "flow_target_csv"),
    ):
        found = find_plugin(name, kind, project, environ={"PATH": ""})
        assert (found.source, found.command[-1], found.name) == ("bundled", module, name)
        assert found.plugin is not None


@pytest.mark.parametrize(
    ("declared", "found"), [("", {"catalog", "discover", "state"}), (", capabilities: []", set())]
)
def test_a_bundled_tap_can_what_its_entry_declares(tmp_path, declared, found):
    project = project_with(tmp_path, f"  extractors: [{{name: tap-demo{declared}}}]\n")
    plugin = find_plugin("tap-demo", "extractors", project, environ={"PATH": ""})
    assert (plugin.source, plugin.capabilities) == ("bundled", found)


def test_an_executable_with_a_slash_is_relative_to_the_project(tmp_path, monkeypatch):
    program = make_program(tmp_path / "taps" / "mine.py")
    project = project_with(
        tmp_path,
        "  extractors: [{name: tap-mine, namespace: m, executable: taps/mine.py, capabilities: [state]}]\n",
    )
    monkeypatch.chdir("/")
    found = find_plugin("tap-mine", "extractors", project, environ={"PATH": ""})
    assert (found.source, found.command, found.capabilities) == ("meltano.yml", (str(program),), {"state"})


def test_a_declared_plugin_with_no_program_at_all_says_what_to_add(tmp_path):
    project = project_with(tmp_path, "  extractors: [{name: tap-mine, namespace: mine}]\n")
    with pytest.raises(ConfigError, match="tap-mine has no pip_url") as caught:
        find_plugin("tap-mine", "extractors", project, environ={"PATH": str(tmp_path)})
    assert "executable to meltano.yml" in str(caught.value)


def test_an_unknown_name_lists_near_names_and_where_it_looked(tmp_path):
    make_program(tmp_path / "bin" / "tap-githubs")
    project = project_with(tmp_path, "  extractors: [{name: tap-gitlab, pip_url: x}]\n")
    with pytest.raises(ConfigError) as caught:
        find_plugin("tap-github", "extractors", project, environ={"PATH": str(tmp_path / "bin")})
    assert caught.value.message == (
        f"There is no tap 'tap-github'. Looked in {tmp_path / 'meltano.yml'},"
        " the bundled ones (tap-datapackage, tap-demo) and PATH."
    )
    assert caught.value.hint == "Did you mean 'tap-githubs' or 'tap-gitlab'?"


def test_a_tap_is_not_found_as_a_target():
    with pytest.raises(ConfigError, match="There is no target 'tap-demo'"):
        find_plugin("tap-demo", "loaders", None, environ={"PATH": ""})


# the environment it runs in


def test_nothing_of_flow_is_importable_in_an_installed_plugin(tiny):
    found = find_plugin("tap-tiny", "extractors", tiny, environ={})
    base = {
        "PATH": "/usr/bin",
        "PYTHONPATH": "/flow",
        "PYTHONHOME": "/p",
        "VIRTUAL_ENV": "/flow/venv",
        "A": "1",
    }
    assert found.environment(base) == {
        "PATH": f"{found.venv}/bin:/usr/bin",
        "VIRTUAL_ENV": str(found.venv),
        "A": "1",
    }
    assert base["PYTHONPATH"] == "/flow"


def test_a_bundled_connector_runs_in_flow_s_own_environment():
    base = {"PATH": "/usr/bin", "PYTHONPATH": "/flow"}
    environment = find_plugin("tap-demo", "extractors", None, environ=base).environment(base)
    assert environment == base | {"TAP_DEMO_LOGLEVEL": "WARNING"}


@pytest.mark.parametrize("variable", ["LOGLEVEL", "TAP_DEMO_LOGLEVEL"])
def test_a_bundled_connector_keeps_the_log_level_that_is_set(variable):
    base = {"PATH": "/usr/bin", variable: "info"}
    assert find_plugin("tap-demo", "extractors", None, environ=base).environment(base) == base


# installation


def test_the_fingerprint_is_meltano_s():
    # sha256 of the sorted, unique arguments, and the interpreter where it is not one's own
    assert fingerprint(["b", "a", "a"], None) == hashlib.sha256(b"a b").hexdigest()
    assert fingerprint(["a"], sys.executable) == hashlib.sha256(b"a").hexdigest()
    assert fingerprint(["a"], "3.12") == hashlib.sha256(b"a python:3.12").hexdigest()


def test_an_environment_is_made_once_and_then_reused_without_a_process(tiny, monkeypatch):
    lines: list[str] = []
    program = install(tiny, progress=lines.append)
    assert subprocess.check_output([program]) == b"hello from tap_tiny\n"
    assert lines[0] == f"Installing tap-tiny into {program.parent.parent}"
    mark = program.parent.parent / ".meltano_plugin_fingerprint"
    arguments = ["--no-index", "./tap_tiny-1.0-py3-none-any.whl"]
    assert mark.read_text() == fingerprint(arguments, None)
    assert list(program.parent.parent.glob("lib/*/site-packages/__pycache__/tap_tiny*.pyc"))

    def no_process(*args, **kwargs):
        raise AssertionError(f"started {args}")

    monkeypatch.setattr(subprocess, "Popen", no_process)
    lines.clear()
    assert install(tiny) == program
    assert lines == []


def test_an_environment_that_meltano_made_is_accepted(tiny, monkeypatch):
    venv = tiny.sys_dir / "extractors" / "tap-tiny" / "venv"
    make_program(venv / "bin" / "tap-tiny")
    (venv / "bin" / "python").symlink_to(sys.executable)
    wanted = "--no-index ./tap_tiny-1.0-py3-none-any.whl"
    (venv / ".meltano_plugin_fingerprint").write_text(hashlib.sha256(wanted.encode()).hexdigest())
    monkeypatch.setattr(
        "flow_singer.plugins.environments.run_quietly", lambda *a, **k: pytest.fail("installed again")
    )
    install(tiny)


def test_a_changed_pip_url_makes_the_environment_anew(tiny):
    venv = install(tiny).parent.parent
    (venv / "leftover").touch()
    make_wheel(tiny.root, name="tap-other", program="tap-tiny")
    changed = project_with(tiny.root, TINY.replace("tap_tiny-1.0", "tap_other-1.0"))
    assert subprocess.check_output([install(changed)]) == b"hello from tap_other\n"
    assert not (venv / "leftover").exists()


def test_a_damaged_environment_is_repaired(tiny):
    program = install(tiny)
    program.unlink()
    assert install(tiny).exists()


def test_variables_in_pip_url_are_expanded(tmp_path):
    make_wheel(tmp_path)
    project = project_with(
        tmp_path,
        "  extractors: [{name: tap-tiny, pip_url: '--no-index ${WHEELS}/tap_tiny-1.0-py3-none-any.whl'}]\n",
        {"WHEELS": str(tmp_path)},
    )
    assert install(project).exists()


@pytest.mark.parametrize(
    ("pip_url", "message"),
    [("'\"tap-x'", "cannot be split into arguments"), ("$NOT_SET_AT_ALL", "is empty once its variables")],
)
def test_a_pip_url_that_says_nothing_is_a_configuration_error(tmp_path, pip_url, message):
    project = project_with(tmp_path, f"  extractors: [{{name: tap-tiny, pip_url: {pip_url}}}]\n")
    with pytest.raises(ConfigError, match=message):
        install(project)


def test_a_failed_install_tells_what_uv_said_and_leaves_nothing_that_looks_good(tiny):
    install(tiny)
    broken = project_with(
        tiny.root,
        "  extractors: [{name: tap-tiny, pip_url: '--no-index no-such-thing @ https://me:hunter2@127.0.0.1:9/x'}]\n",
    )
    with pytest.raises(TapError, match="tap-tiny could not be installed: uv ended with code") as caught:
        install(broken)
    assert "Check pip_url and python of tap-tiny" in str(caught.value.hint)
    assert "hunter2" not in str(caught.value)
    assert not (tiny.sys_dir / "extractors/tap-tiny/venv/.meltano_plugin_fingerprint").exists()
    assert install(project_with(tiny.root, TINY)).exists()


def test_a_target_that_cannot_be_installed_is_a_target_error(tmp_path):
    project = project_with(tmp_path, "  loaders: [{name: target-x, pip_url: '--no-index no-such-thing'}]\n")
    found = find_plugin("target-x", "loaders", project, environ=project.environ)
    assert found.plugin is not None
    with pytest.raises(TargetError, match="no-such-thing"):
        ensure_environment(
            project, found, settings=resolve(project, found.plugin), progress=lambda line: None
        )


def test_a_wrong_executable_lists_those_that_the_packages_have(tmp_path):
    make_wheel(tmp_path, program="tap-teeny")
    with pytest.raises(ConfigError, match=r"has no executable 'tap-tiny'\. It has: tap-teeny\.") as caught:
        install(project_with(tmp_path, TINY))
    assert "'executable:'" in str(caught.value.hint)


def test_a_killed_install_is_done_again(tiny):
    venv = tiny.sys_dir / "extractors" / "tap-tiny" / "venv"
    make_program(venv / "bin" / "tap-tiny", "raise SystemExit('half installed')")
    (venv / "bin" / "python").symlink_to(sys.executable)
    assert subprocess.check_output([install(tiny)]) == b"hello from tap_tiny\n"


def test_two_processes_do_not_install_one_plugin_at_once(tiny):
    folder = tiny.sys_dir / "extractors" / "tap-tiny"
    folder.mkdir(parents=True)
    lines: list[str] = []
    waiting = threading.Event()

    def progress(line: str) -> None:
        lines.append(line)
        waiting.set()

    with open(folder / ".install.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        second = threading.Thread(target=install, args=(tiny,), kwargs={"progress": progress})
        second.start()
        assert waiting.wait(30)
        assert lines == ["Waiting for another process that installs tap-tiny"]
        assert not (folder / "venv").exists()
    second.join(60)
    assert (folder / "venv" / "bin" / "tap-tiny").exists()


def test_uv_keeps_the_lock_should_flow_be_killed(tiny, monkeypatch):
    fake_uv = make_program(
        tiny.root / "uv",
        "import os, pathlib, sys\n"
        "held = [os.path.realpath(f'/proc/self/fd/{fd}') for fd in os.listdir('/proc/self/fd')]\n"
        "assert any(path.endswith('/tap-tiny/.install.lock') for path in held), held\n"
        "if 'venv' in sys.argv:\n"
        "    folder = pathlib.Path(sys.argv[-1]) / 'bin'\n"
        "    folder.mkdir(parents=True)\n"
        "    for name in ('python', 'tap-tiny'): (folder / name).symlink_to(sys.executable)",
    )
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(fake_uv))
    install(tiny)


def test_a_removal_that_was_killed_leaves_nothing_that_looks_good(tiny, monkeypatch):
    install(tiny)

    def killed(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("flow_singer.plugins.environments.shutil.rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        install(project_with(tiny.root, TINY.replace("--no-index", "--no-index --no-deps")))
    lines: list[str] = []
    monkeypatch.undo()
    install(project_with(tiny.root, TINY), progress=lines.append)
    assert lines[0].startswith("Installing tap-tiny")


@pytest.fixture
def venv(tiny) -> Path:
    folder = tiny.sys_dir / "extractors" / "tap-tiny"
    folder.mkdir(parents=True)
    return folder / "venv"


def test_an_environment_that_is_a_file_is_made_anew(tiny, venv):
    venv.write_text("")
    assert install(tiny).exists()


def test_a_link_in_place_of_an_environment_goes_and_what_it_leads_to_stays(tiny, venv, tmp_path):
    (elsewhere := tmp_path / "elsewhere").mkdir()
    (elsewhere / ".meltano_plugin_fingerprint").write_text("of another")
    venv.symlink_to(elsewhere)
    assert install(tiny).exists()
    assert not venv.is_symlink()
    assert (elsewhere / ".meltano_plugin_fingerprint").read_text() == "of another"


@pytest.mark.parametrize("content", [b"\xff\xfe", None], ids=["no text", "a folder"])
def test_a_fingerprint_that_cannot_be_read_means_to_install_anew(tiny, content):
    mark = install(tiny).parent.parent / ".meltano_plugin_fingerprint"
    mark.unlink()
    mark.mkdir() if content is None else mark.write_bytes(content)
    lines: list[str] = []
    install(tiny, progress=lines.append)
    assert lines[0].startswith("Installing tap-tiny")
    assert mark.is_file()


def test_a_place_where_nothing_can_be_installed_is_told(tiny):
    tiny.sys_dir.write_text("a file")
    with pytest.raises(
        TapError, match=r"tap-tiny could not be installed into .*/venv: .*directory"
    ) as caught:
        install(tiny)
    assert caught.value.hint == "Mend that and run again."


def test_a_full_disk_during_an_install_is_told(tiny, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device", "/x")

    monkeypatch.setattr("flow_singer.plugins.environments.write_atomic", full)
    with pytest.raises(
        TapError, match=r"could not be installed into .*: No space left on device: /x\."
    ) as caught:
        install(tiny)
    assert caught.value.hint == "Make room."


@pytest.mark.parametrize("error", [FileNotFoundError("/x/uv"), ImportError("no uv")])
def test_a_missing_uv_is_told(tiny, monkeypatch, error):
    def find() -> str:
        raise error

    monkeypatch.setattr("uv.find_uv_bin", find)
    with pytest.raises(TapError, match="the program uv, which comes with Flow, is not there"):
        install(tiny)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("import os; os.kill(os.getpid(), 9)", "uv was killed by SIGKILL"),
        ("import os; os.kill(os.getpid(), 40)", "uv was killed by signal 40"),
        ("raise SystemExit(3)", "uv ended with code 3"),
    ],
)
def test_an_end_of_uv_is_told(tiny, monkeypatch, body, said):
    fake_uv = make_program(tiny.root / "uv", body)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(fake_uv))
    with pytest.raises(TapError, match=said):
        install(tiny)


def test_a_uv_that_cannot_be_started_is_told(tiny, monkeypatch):
    (tiny.root / "uv").write_text("")
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(tiny.root / "uv"))
    with pytest.raises(TapError, match=r"could not be installed into .*: Permission denied"):
        install(tiny)


def test_a_python_that_is_nowhere_is_told(tiny):
    project = project_with(tiny.root, TINY.replace("pip_url", "python: '3.99', pip_url"), {"UV_OFFLINE": "1"})
    with pytest.raises(TapError, match=r"uv ended with code \d+.\n.*3\.99") as caught:
        install(project)
    assert "python of tap-tiny" in str(caught.value.hint)


def test_a_python_version_that_is_no_text_is_a_configuration_error(tiny):
    (tiny.root / ".python-version").write_bytes(b"\xff\xfe3")
    with pytest.raises(ConfigError, match=r"Cannot read .*/\.python-version"):
        install(tiny)


# running


def test_a_program_that_takes_too_long_is_killed(tmp_path):
    program = make_program(tmp_path / "slow", "import time; time.sleep(600)")
    code, _ = run_quietly([str(program)], env={}, relay=lambda line: None, timeout_s=0.2)
    assert code == -signal.SIGKILL


def test_a_program_dies_with_its_children_when_the_wait_is_interrupted(tmp_path):
    program = make_program(
        tmp_path / "parent",
        "import subprocess, sys, time\n"
        "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print('ready', file=sys.stderr, flush=True)\ntime.sleep(600)",
    )

    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    reading, writing = os.pipe()
    with open(reading, "rb") as ours:
        with open(writing, "wb") as theirs, pytest.raises(KeyboardInterrupt):
            run_quietly([str(program)], env={}, relay=interrupt, stdout=theirs)
        assert ours.read() == b""  # ends only when nobody is left who could write


def test_plugins_and_state_are_light_to_import():
    code = (
        "import sys, flow_singer.plugins.environments, flow_singer.plugins.discovery, flow_singer.plugins.runfolder, flow_singer.state.documents;"
        "print(*{'pandas', 'pyarrow', 'click', 'singer_sdk', 'sqlite3', 'msgspec', 'uv'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code]).strip() == b""
