"""`flow install`: the environments of plugins, made before a run needs them."""

from __future__ import annotations

import fcntl
import json
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from command import Command, Result
from projects import write_project
from terminal import Terminal
from wheels import make_source, make_wheel

from flow_singer.plugins.environments import FINGERPRINT_FILE

Flow = Callable[..., Result]


def wheel(root: Path, name: str, **entry: Any) -> dict[str, Any]:
    """The entry of a plugin that is installed from a wheel beside meltano.yml."""
    return {"pip_url": f"--no-index ./{make_wheel(root, name).name}", **entry}


def venv(root: Path, kind: str, name: str) -> Path:
    return root / ".meltano" / kind / name / "venv"


def steady(text: str) -> str:
    return re.sub(r"\d+\.\d s", "T s", text)


def until(condition: Callable[[], object]) -> None:
    """Wait for something that comes soon."""
    ends = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.02)


class Builds:
    """Packages that are being built until they are let go on."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.go_on = root / "go-on"

    def entry(self, name: str, *, waits_for: Path | None = None, **how: Any) -> dict[str, Any]:
        """The entry of a plugin whose package waits."""
        make_source(self.root, name, begun=self.begun(name), waits_for=waits_for or self.go_on, **how)
        return {"pip_url": f"--no-index ./{name}"}

    def begun(self, name: str) -> Path:
        """The file that says that one is being built."""
        return self.root / f"{name}.begun"


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path)


# ---------------------------------------------------------------------------------------- what is installed


def test_all_plugins_with_a_pip_url_are_installed_and_run_then(tmp_path: Path, flow: Flow) -> None:
    write_project(
        tmp_path,
        taps={"tap-a": wheel(tmp_path, "tap-a"), "tap-demo": {}},
        targets={"target-b": wheel(tmp_path, "target-b")},
    )
    result = flow("install", "--parallelism", "1")
    assert (result.code, result.stdout) == (0, b"")
    assert steady(result.stderr).splitlines() == [
        "tap-demo needs no installing: it comes with Flow.",
        "Installing tap-a.",
        "tap-a is ready (T s).",
        "Installing target-b.",
        "target-b is ready (T s).",
        "All 2 are ready.",
    ]
    program = venv(tmp_path, "loaders", "target-b") / "bin" / "target-b"
    assert subprocess.check_output([program]) == b"hello from target_b\n"
    plugins = json.loads(flow("list", "plugins", "--json").stdout)["plugins"]
    assert all(one["installed"] for one in plugins)


def test_a_plugin_says_at_once_which_settings_it_has(tmp_path: Path, flow: Flow) -> None:
    """So that `flow config` knows them before the first run."""
    says = {"capabilities": ["state"], "settings": {"properties": {"token": {"type": "string"}}}}
    build = make_wheel(tmp_path, "tap-a", says=json.dumps(says))
    write_project(tmp_path, taps={"tap-a": {"pip_url": f"--no-index ./{build.name}"}})
    assert flow("install").code == 0
    assert "token" in flow("config", "list", "tap-a").stdout.decode()


def test_what_is_there_is_left_as_it_is(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-a": wheel(tmp_path, "tap-a")})
    flow("install")
    marker = venv(tmp_path, "extractors", "tap-a") / "marker"
    marker.touch()
    result = flow("install")
    assert (result.code, result.stderr) == (0, "tap-a is already there.\n")
    assert marker.exists()


def test_clean_makes_it_anew(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-a": wheel(tmp_path, "tap-a")})
    flow("install")
    marker = venv(tmp_path, "extractors", "tap-a") / "marker"
    marker.touch()
    result = flow("install", "--clean")
    assert steady(result.stderr) == "Installing tap-a.\ntap-a is ready (T s).\n"
    assert not marker.exists()


def test_only_what_is_named_is_installed(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={name: wheel(tmp_path, name) for name in ("tap-a", "tap-b", "tap-c")})
    result = flow("install", "tap-c", "tap-a", "tap-c", "--parallelism", "1")
    assert re.findall(r"(\S+) is ready", result.stderr) == ["tap-c", "tap-a"]
    assert not venv(tmp_path, "extractors", "tap-b").exists()


def test_plugins_that_inherit_share_one_environment_that_is_made_once(tmp_path: Path, flow: Flow) -> None:
    write_project(
        tmp_path,
        taps={
            "tap-a": wheel(tmp_path, "tap-a"),
            "tap-a--eu": {"inherit_from": "tap-a", "namespace": None},
            "tap-a--us": {"inherit_from": "tap-a", "namespace": None},
        },
    )
    for options in ([], ["--clean"]):
        result = flow("install", *options)
        assert steady(result.stderr).splitlines() == [
            "Installing tap-a.",
            "tap-a is ready (T s).",
            "tap-a--eu is ready: it shares the environment of tap-a.",
            "tap-a--us is ready: it shares the environment of tap-a.",
            "All 3 are ready.",
        ]


def test_a_mapper_and_a_utility_are_installed_too(tmp_path: Path, flow: Flow) -> None:
    """Other tools use them; the programs of a utility have names of their own."""
    write_project(tmp_path)
    file = tmp_path / "meltano.yml"
    raw = json.loads(file.read_text())
    raw["plugins"] = {
        "mappers": [{"name": "map-x", "namespace": "x", **wheel(tmp_path, "map-x")}],
        "utilities": [
            {"name": "dbt-x", "namespace": "y", "pip_url": f"--no-index {make_wheel(tmp_path, 'tool').name}"},
            {"name": "bare", "namespace": "z"},
        ],
    }
    file.write_text(json.dumps(raw))
    result = flow("install")
    assert result.code == 0, result.stderr
    assert "bare needs no installing: it has no pip_url." in result.stderr
    assert (venv(tmp_path, "mappers", "map-x") / "bin" / "map-x").exists()
    assert (venv(tmp_path, "utilities", "dbt-x") / "bin" / "tool").exists()
    assert flow("install").stderr.count("is already there") == 2


def test_several_are_installed_at_once(tmp_path: Path, flow: Flow, builds: Builds) -> None:
    """Each is built only when the other has begun."""
    write_project(
        tmp_path,
        taps={
            "tap-a": builds.entry("tap-a", waits_for=builds.begun("tap-b")),
            "tap-b": builds.entry("tap-b", waits_for=builds.begun("tap-a")),
        },
    )
    assert flow("install", "--parallelism", "2").code == 0


def test_no_more_than_asked_for_are_installed_at_once(
    tmp_path: Path, command: Command, builds: Builds
) -> None:
    write_project(tmp_path, taps={name: builds.entry(name) for name in ("tap-a", "tap-b")})
    process = command.start("install", "--parallelism", "1")
    until(builds.begun("tap-a").exists)
    time.sleep(0.5)
    assert not builds.begun("tap-b").exists()
    builds.go_on.touch()
    assert process.wait(60) == 0


# -------------------------------------------------------------------------------------- what needs nothing


def test_a_bundled_plugin_needs_no_installing_nor_a_project(flow: Flow) -> None:
    result = flow("install", "tap-demo")
    assert (result.code, result.stderr) == (0, "tap-demo needs no installing: it comes with Flow.\n")


def test_a_program_needs_no_installing(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"script": "says.py"}})
    result = flow("install", "tap-x")
    assert (result.code, result.stderr) == (
        0,
        f"tap-x needs no installing: it is the program {tmp_path / 'bin' / 'tap-x'}.\n",
    )
    assert flow("install").stderr.endswith("Nothing to install: no plugin of meltano.yml has a pip_url.\n")


def test_a_plugin_without_any_program_is_an_error_where_it_is_named(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {}, "tap-a": wheel(tmp_path, "tap-a")})
    result = flow("install")
    assert result.code == 0
    assert "Warning: tap-x has no pip_url in meltano.yml" in result.stderr
    assert flow("install", "tap-x").code == 2


def test_a_name_that_is_unknown_installs_nothing(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-a": wheel(tmp_path, "tap-a")})
    result = flow("install", "tap-a", "tap-aa")
    assert result.code == 2
    assert result.stderr.endswith("Did you mean 'tap-a'?\n")
    assert not venv(tmp_path, "extractors", "tap-a").exists()


def test_without_a_project_there_is_nothing_to_install(flow: Flow) -> None:
    result = flow("install")
    assert result.code == 2
    assert "Make a project with: flow init" in result.stderr


# ------------------------------------------------------------------------------------------ what goes wrong

NOWHERE = {"pip_url": "--no-index no-such-thing"}


def test_one_that_fails_does_not_stop_the_others(tmp_path: Path, flow: Flow, builds: Builds) -> None:
    builds.go_on.touch()
    write_project(
        tmp_path,
        taps={
            "tap-fails": builds.entry("tap-fails", says="no compiler here", fails=True),
            "tap-nowhere": NOWHERE,
            "tap-a": wheel(tmp_path, "tap-a"),
        },
    )
    result = flow("install")
    assert result.code == 69  # of the first one in the list
    assert "Error: tap-fails could not be installed: uv ended with code" in result.stderr
    assert "no compiler here" in result.stderr
    assert "tap-a is ready" in result.stderr
    last = "2 of 3 could not be installed: tap-fails, tap-nowhere. The other one is ready."
    assert result.stderr.splitlines()[-1] == last
    assert not (venv(tmp_path, "extractors", "tap-fails") / FINGERPRINT_FILE).exists()


@pytest.mark.parametrize(
    ("entry", "code"),
    [(NOWHERE, 2), ({"pip_url": "'\"x'"}, 2), ({"pip_url": "--no-index ./missing.whl"}, 2)],
    ids=["no such package", "not to be split", "no such file"],
)
def test_a_mistake_in_a_pip_url_ends_with_2(
    tmp_path: Path, flow: Flow, entry: dict[str, str], code: int
) -> None:
    write_project(tmp_path, taps={"tap-x": entry})
    result = flow("install")
    assert result.code == code, result.stderr
    assert result.stderr.count("Error: ") == 1
    assert flow("run", "tap-x", "target-csv").code == code


def test_what_shares_an_environment_that_failed_is_not_tried_again(tmp_path: Path, flow: Flow) -> None:
    write_project(
        tmp_path,
        taps={"tap-x": NOWHERE, "tap-x--eu": {"inherit_from": "tap-x", "namespace": None}},
    )
    result = flow("install")
    assert result.code == 2
    assert result.stderr.count("uv ended") == 1
    assert "Error: tap-x--eu could not be installed: it shares the environment of tap-x." in result.stderr


def test_secrets_do_not_show(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-x": {"pip_url": "--no-index 'no @ https://me:hunter2@127.0.0.1:9/x'"}})
    for options in ([], ["-v"]):
        result = flow(*options, "install")
        assert result.code != 0
        assert "hunter2" not in result.stderr


def test_what_uv_says_is_shown_with_v_only(tmp_path: Path, flow: Flow, builds: Builds) -> None:
    builds.go_on.touch()
    write_project(tmp_path, taps={"tap-a": builds.entry("tap-a")})
    assert "Resolved" not in flow("install").stderr
    assert "tap-a: Resolved 1 package" in flow("-v", "install", "--clean").stderr
    assert flow("-q", "install", "--clean").stderr == ""


def test_json_lines_say_the_same_for_programs(tmp_path: Path, flow: Flow) -> None:
    write_project(tmp_path, taps={"tap-a": wheel(tmp_path, "tap-a"), "tap-x": NOWHERE})
    result = flow("--log-format", "json", "install")
    said = [json.loads(line) for line in result.stderr.splitlines()]
    assert [one["made"] for one in said if one.get("plugin") == "tap-a" and "made" in one] == [True]
    assert said[-1]["failed"] == ["tap-x"]


# ------------------------------------------------------------------------------------- while it is going on


def test_ctrl_c_ends_what_runs_and_leaves_nothing_that_looks_good(
    tmp_path: Path, command: Command, flow: Flow, builds: Builds
) -> None:
    names = ("tap-a", "tap-b", "tap-c")
    write_project(tmp_path, taps={name: builds.entry(name) for name in names})
    process = command.start("install", "--parallelism", "2")
    until(lambda: builds.begun("tap-a").exists() and builds.begun("tap-b").exists())
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)
    assert process.returncode == 130
    assert stderr.decode().splitlines()[-1] == "Stopped."
    assert "Error" not in stderr.decode()
    assert psutil.wait_procs(children, timeout=10)[1] == []
    assert not builds.begun("tap-c").exists()
    plugins = json.loads(flow("list", "plugins", "--json").stdout)["plugins"]
    assert {one["name"] for one in plugins if not one["installed"]} == set(names)
    builds.go_on.touch()
    assert flow("install").code == 0


def test_ctrl_c_ends_one_that_waits_for_another_process(tmp_path: Path, command: Command) -> None:
    write_project(tmp_path, taps={"tap-a": wheel(tmp_path, "tap-a")})
    folder = venv(tmp_path, "extractors", "tap-a").parent
    folder.mkdir(parents=True)
    with open(folder / ".install.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        process = command.start("install")
        assert process.stderr is not None
        said = iter(process.stderr.readline, b"")
        assert b"Waiting for another process that installs tap-a\n" in said
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert time.monotonic() - started < 5


def test_one_that_another_process_made_meanwhile_is_taken(
    tmp_path: Path, command: Command, flow: Flow
) -> None:
    write_project(tmp_path, taps={"tap-a": wheel(tmp_path, "tap-a")})
    flow("install")
    place = venv(tmp_path, "extractors", "tap-a")
    mark = (place / FINGERPRINT_FILE).read_bytes()
    (place / FINGERPRINT_FILE).unlink()
    with open(place.parent / ".install.lock", "w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        process = command.start("install")
        assert process.stderr is not None
        assert b"Waiting for another process that installs tap-a\n" in iter(process.stderr.readline, b"")
        (place / FINGERPRINT_FILE).write_bytes(mark)
    _, said = process.communicate(timeout=60)
    assert (process.returncode, said.splitlines()[-1]) == (0, b"tap-a is already there.")


@pytest.mark.parametrize("columns", [80, 40])
def test_a_terminal_shows_what_is_being_installed(
    tmp_path: Path, command: Command, builds: Builds, columns: int
) -> None:
    go_on = {name: tmp_path / f"{name}.go-on" for name in ("tap-a", "tap-b")}
    write_project(tmp_path, taps={name: builds.entry(name, waits_for=file) for name, file in go_on.items()})
    with Terminal("flow install --parallelism 2", columns=columns, cwd=tmp_path, env=command.env) as screen:
        screen.until(r"^\* installing M:SS  0 of 2, now tap")
        go_on["tap-b"].touch()
        screen.until(r"1 of 2, now tap-a")
        go_on["tap-a"].touch()
        assert screen.end() == 0
        assert screen.text == "tap-b is ready (T s).\ntap-a is ready (T s).\nAll 2 are ready."


def test_ctrl_c_on_a_terminal_takes_the_line_away(tmp_path: Path, command: Command, builds: Builds) -> None:
    write_project(tmp_path, taps={"tap-a": builds.entry("tap-a")})
    with Terminal("exec flow install", columns=80, cwd=tmp_path, env=command.env) as screen:
        until(builds.begun("tap-a").exists)
        screen.until("now tap-a")
        screen.press("\x03")
        assert screen.end() == 130
        assert screen.text.splitlines()[-1] == "Stopped."
        assert "now tap-a" not in screen.text
