"""No secret of a `pip_url` stands where other users of the machine can read it, and uv gets it all the same."""

from __future__ import annotations

import base64
import functools
import http.server
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_environments import install, make_program, make_wheel, project_with

from flow_singer.errors import ConfigError, TapError
from flow_singer.plugins.environments import fingerprint
from flow_singer.plugins.requirements import read_requirements

TOKEN = "s3cr3t-t0k3n"
BASIC = "Authorization: Basic " + base64.b64encode(f"me:{TOKEN}".encode()).decode()

# pip_url -> arguments, lines, variables
WAYS: dict[str, tuple[list[str], list[str], dict[str, str]]] = {
    "tap-x": (["tap-x"], [], {}),
    "tap-x==1.2 --no-deps ./y.whl": (["tap-x==1.2", "--no-deps", "./y.whl"], [], {}),
    "-e ./x --find-links ./wheels --no-index": (
        ["--editable", "./x", "--no-index", "--find-links", "./wheels"],
        [],
        {},
    ),
    "tap-x --index-url https://host/simple": (["tap-x", "--index-url", "https://host/simple"], [], {}),
    f"tap-x --index-url https://me:{TOKEN}@host/simple": (
        ["tap-x"],
        [],
        {"UV_INDEX_URL": f"https://me:{TOKEN}@host/simple"},
    ),
    f"-ihttps://{TOKEN}@host/simple tap-x": (
        ["tap-x"],
        [],
        {"UV_INDEX_URL": f"https://{TOKEN}@host/simple"},
    ),
    f"--extra-index-url=https://me:{TOKEN}@a/ tap-x --extra-index-url https://b/": (
        ["tap-x"],
        [],
        {"UV_EXTRA_INDEX_URL": f"https://me:{TOKEN}@a/ https://b/"},
    ),
    f"--index own=https://me:{TOKEN}@host/simple --default-index https://b/ tap-x": (
        ["tap-x", "--default-index", "https://b/"],
        [],
        {"UV_INDEX": f"own=https://me:{TOKEN}@host/simple"},
    ),
    f"-f https://me:{TOKEN}@host/wheels -c https://me:{TOKEN}@host/c.txt tap-x": (
        ["tap-x"],
        [],
        {
            "UV_FIND_LINKS": f"https://me:{TOKEN}@host/wheels",
            "UV_CONSTRAINT": f"https://me:{TOKEN}@host/c.txt",
        },
    ),
    f"https://me:{TOKEN}@host/x.whl tap-y": (
        ["tap-y", "-r", "-"],
        [f"https://me:{TOKEN}@host/x.whl"],
        {},
    ),
    f"'tap-x[a] @ https://host/x.whl?token={TOKEN}' --no-deps": (
        ["--no-deps", "-r", "-"],
        [f"tap-x[a] @ https://host/x.whl?token={TOKEN}"],
        {},
    ),
    f"-r https://me:{TOKEN}@host/r.txt -r ./r.txt": (
        ["--requirement", "./r.txt", "-r", "-"],
        [f"--requirement https://me:{TOKEN}@host/r.txt"],
        {},
    ),
    f"git+https://me:{TOKEN}@host/o/r.git@v1#subdirectory=x": (
        ["git+https://host/o/r.git@v1#subdirectory=x"],
        [],
        {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "http.https://host/o/r.git.extraHeader",
            "GIT_CONFIG_VALUE_0": BASIC,
        },
    ),
    f"-e 'tap-x @ git+https://me:{TOKEN}@host:81/r' git+https://me:{TOKEN}@host/s": (
        ["--editable", "tap-x @ git+https://host:81/r", "git+https://host/s"],
        [],
        {
            "GIT_CONFIG_COUNT": "2",
            "GIT_CONFIG_KEY_0": "http.https://host:81/r.extraHeader",
            "GIT_CONFIG_VALUE_0": BASIC,
            "GIT_CONFIG_KEY_1": "http.https://host/s.extraHeader",
            "GIT_CONFIG_VALUE_1": BASIC,
        },
    ),
    "tap-x -i": (["tap-x", "-i"], [], {}),
}


def read(pip_url: str, **variables: str):
    import shlex

    return read_requirements("tap-x", shlex.split(pip_url), environ={}, secrets=(), filled_in=variables)


@pytest.mark.parametrize("pip_url", WAYS)
def test_what_holds_a_secret_is_told_by_variables_or_standard_input(pip_url: str) -> None:
    found = read(pip_url)
    assert (found.arguments, found.lines, found.variables) == WAYS[pip_url]
    assert "s3cr3t" not in " ".join(found.arguments)
    assert "s3cr3t" not in repr(found)


def test_a_url_with_the_value_of_a_variable_may_hold_a_secret() -> None:
    pip_url = f"tap-x --extra-index-url https://host/{TOKEN}/simple https://host/{TOKEN}/y.whl --no-deps"
    found = read(pip_url, FEED=TOKEN)
    assert found.arguments == ["tap-x", "--no-deps", "-r", "-"]
    assert found.variables == {"UV_EXTRA_INDEX_URL": f"https://host/{TOKEN}/simple"}
    assert found.lines == [f"https://host/{TOKEN}/y.whl"]


def test_a_secret_that_only_an_argument_could_bring_is_refused_and_not_shown() -> None:
    with pytest.raises(
        ConfigError, match="Option --config-setting in the pip_url of tap-x holds a secret"
    ) as caught:
        read(f"tap-x --config-setting=k={TOKEN}", MY_TOKEN=TOKEN)
    assert "s3cr3t" not in str(caught.value)


def test_git_keeps_the_configuration_that_its_variables_have() -> None:
    found = read_requirements(
        "tap-x",
        [f"git+https://me:{TOKEN}@host/r"],
        environ={"GIT_CONFIG_COUNT": "2"},
        secrets=(),
        filled_in={},
    )
    assert set(found.variables) == {"GIT_CONFIG_COUNT", "GIT_CONFIG_KEY_2", "GIT_CONFIG_VALUE_2"}
    assert found.variables["GIT_CONFIG_COUNT"] == "3"


@given(
    st.lists(
        st.sampled_from([*"-ifecrb=", "--index-url", "--index", "-e", "https://u:p@h", "x", "=", " ", "'"])
    )
)
def test_no_words_stop_it_and_none_is_lost(words: list[str]) -> None:
    found = read_requirements("tap-x", words, environ={}, secrets=(), filled_in={})
    told = " ".join([*found.arguments, *found.lines, *found.variables.values()])
    assert told.count("https://u:p@h") == " ".join(words).count("https://u:p@h")


RECORD = """
import json, os, pathlib, sys
with open("uv.log", "a") as log:
    log.write(json.dumps({"argv": sys.argv, "stdin": sys.stdin.read(), "env": dict(os.environ)}) + "\\n")
print("fetching", *os.environ.get("UV_INDEX_URL", "").split("://"), "s3cr3t-t0k3n", file=sys.stderr)
if "venv" in sys.argv:
    folder = pathlib.Path(sys.argv[-1]) / "bin"
    folder.mkdir(parents=True)
    for name in ("python", "tap-tiny"): (folder / name).symlink_to(sys.executable)
sys.exit(pathlib.Path("fail").exists() and "venv" not in sys.argv)
"""


@pytest.mark.parametrize("fails", [False, True])
def test_uv_never_gets_a_secret_as_an_argument_and_what_it_says_is_masked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    fake_uv = make_program(tmp_path / "uv", RECORD)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(fake_uv))
    pip_url = "https://me:$TINY_TOKEN@host/x.whl --index-url https://me:$TINY_TOKEN@host/simple --no-deps"
    entry = f"  extractors: [{{name: tap-tiny, pip_url: '{pip_url}'}}]\n"
    project = project_with(tmp_path, entry, {"TINY_TOKEN": TOKEN})
    said: list[str] = []
    if fails:
        (tmp_path / "fail").touch()
        with pytest.raises(TapError) as caught:
            install(project, progress=said.append)
        said.append(str(caught.value))
    else:
        venv = install(project, progress=said.append).parent.parent
        arguments = pip_url.replace("$TINY_TOKEN", TOKEN).split()
        assert (venv / ".meltano_plugin_fingerprint").read_text() == fingerprint(arguments, None)
    assert "fetching" in " ".join(said)
    assert "s3cr3t" not in " ".join(said)
    calls = [json.loads(line) for line in (tmp_path / "uv.log").read_text().splitlines()]
    assert "s3cr3t" not in json.dumps([call["argv"] for call in calls])
    assert calls[-1]["stdin"] == f"https://me:{TOKEN}@host/x.whl"
    assert calls[-1]["env"]["UV_INDEX_URL"] == f"https://me:{TOKEN}@host/simple"
    assert calls[0]["stdin"] == ""
    folder = project.sys_dir / "extractors" / "tap-tiny"
    kept = [file for file in folder.rglob("*") if file.is_file() and not file.is_symlink()]
    assert not [file for file in kept if b"s3cr3t" in file.read_bytes()]


class _Guarded(http.server.SimpleHTTPRequestHandler):
    """Serves a folder to whoever knows the token."""

    def do_GET(self) -> None:
        time.sleep(0.05)  # long enough to be seen by those who look at processes
        if self.headers["Authorization"] != BASIC.removeprefix("Authorization: "):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    (folder := tmp_path / "served").mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(_Guarded, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


class Watcher(threading.Thread):
    """Reads the arguments of all processes again and again, as `ps` does."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.done = threading.Event()

    def run(self) -> None:
        own = str(os.getpid())
        while not self.done.wait(0.02):
            for folder in os.scandir("/proc"):
                if folder.name.isdigit() and folder.name != own:
                    try:
                        self.seen.add(Path(folder.path, "cmdline").read_bytes())
                    except OSError:
                        continue


def _serve_repository(folder: Path) -> None:
    source = folder.parent / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "tap-tiny"\nversion = "1.0"\n'
    )
    wheel = make_wheel(source)
    (source / "backend.py").write_text(
        "import shutil\n"
        "def build_wheel(folder, *args, **kwargs):\n"
        f"    shutil.copy({wheel.name!r}, folder)\n    return {wheel.name!r}\n"
    )
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main"]
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], cwd=source, check=True)
    subprocess.run([*git, "clone", "-q", "--bare", source, folder / "r.git"], check=True)
    subprocess.run([*git, "update-server-info"], cwd=folder / "r.git", check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", ["wheel", "index", "git"])
def test_nobody_sees_a_secret_in_the_list_of_processes(
    tmp_path: Path, guarded: tuple[Path, int], kind: str
) -> None:
    folder, port = guarded
    wheel = make_wheel(folder)
    (simple := folder / "simple" / "tap-tiny").mkdir(parents=True)
    (simple / "index.html").write_text(f'<a href="/{wheel.name}">{wheel.name}</a>')
    if kind == "git":
        _serve_repository(folder)
    place = f"http://me:$TINY_TOKEN@127.0.0.1:{port}"
    pip_url = {
        "wheel": f"--no-cache --no-index {place}/{wheel.name}",
        "index": f"--no-cache --index-url {place}/simple tap-tiny",
        "git": f"--no-cache --no-index git+{place}/r.git@main",
    }[kind]
    entry = f"  extractors: [{{name: tap-tiny, pip_url: '{pip_url}'}}]\n"
    project = project_with(tmp_path, entry, {"TINY_TOKEN": TOKEN, "HOME": str(tmp_path)})
    watcher = Watcher()
    watcher.start()
    try:
        program = install(project)
    finally:
        watcher.done.set()
        watcher.join()
    assert subprocess.check_output([program]) == b"hello from tap_tiny\n"
    assert any(b"uv\0" in line and b"install\0" in line for line in watcher.seen)
    if kind == "git":
        assert any(b"git" in line and b"fetch" in line for line in watcher.seen)
    assert not [line for line in watcher.seen if b"s3cr3t" in line]
