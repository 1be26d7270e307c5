"""Files that are not what they are taken for, and places where nothing can be: one message, no traceback."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from command import Result
from streams import messages, plain

from flow_singer.errors import ConfigError
from flow_singer.scaffold.newproject import make_project
from flow_singer.state.systemdb import SqliteStore

DEEP = 20_000


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with one of each kind of thing that is in the way."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00\x00bin")
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text").write_text('"x"')
    (tmp_path / "half").write_text('{"a":')
    (tmp_path / "nan").write_text('{"a": NaN')
    (tmp_path / "deep").write_text('{"a":' + "[" * DEEP + "]" * DEEP + "}")
    (tmp_path / "circle").symlink_to("circle")
    return tmp_path


BAD_FILES = [
    "folder",
    "binary",
    "empty",
    "text",
    "half",
    "nan",
    "deep",
    "circle",
    "missing",
    "file/x",
    "x" * 300,
]


def told(done: Result, *codes: int) -> None:
    assert done.code in codes, done.stderr
    assert "Error: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "fault in Flow" not in done.stderr


@pytest.mark.parametrize("option", ["--config", "--state", "--catalog"])
@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_of_flow_run_that_cannot_be_used_is_told(
    flow: Callable[..., Result], place: Path, option: str, name: str
) -> None:
    told(flow("run", "tap-demo", option, name, cwd=place), 2)


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_of_flow_transform_that_cannot_be_used_is_told(
    flow: Callable[..., Result], place: Path, name: str
) -> None:
    stream = plain(messages(1))
    told(flow("transform", "--config", name, cwd=place, stdin=stream), 2)
    told(flow("transform", f"{name}.py", cwd=place, stdin=stream), 2)


@pytest.mark.parametrize(
    "name", ["file/", "file/x/", "x" * 300 + "/", "circle/", "/", "/proc/x/", "file.zip", "folder.zip", "pipe.zip", "circle.zip"]
)  # fmt: skip
def test_a_package_at_an_impossible_place_is_told(
    flow: Callable[..., Result], place: Path, name: str
) -> None:
    (place / "file.zip").write_text("x")
    (place / "folder.zip").mkdir()
    os.mkfifo(place / "pipe.zip")
    (place / "circle.zip").symlink_to("circle.zip")
    told(flow("load", name, cwd=place, stdin=plain(messages(1))), 2, 70)
    assert not list(place.glob(".*"))


@pytest.mark.parametrize(
    "name", ["file", "file/x", "x" * 300, "circle", "circle/x", "/proc/x", "folder/" + "x" * 300]
)
def test_a_project_at_an_impossible_place_is_refused(
    flow: Callable[..., Result], place: Path, name: str
) -> None:
    before = sorted(place.rglob("*"))
    told(flow("init", name, cwd=place), 2)
    assert sorted(place.rglob("*")) == before


@pytest.mark.parametrize("name", ["transforms", "tests"])
def test_a_project_that_cannot_be_finished_leaves_nothing(place: Path, name: str) -> None:
    folder = place / "folder"
    (folder / name).write_text("in the way")
    with pytest.raises(ConfigError, match="nothing was written"):
        make_project(folder)
    assert [one.name for one in folder.iterdir()] == [name]


def test_a_project_at_a_path_with_a_nul_byte_is_refused(place: Path) -> None:
    before = sorted(place.rglob("*"))
    with pytest.raises(ConfigError, match="nothing was written"):
        make_project(place / "new" / "a\0b")
    assert sorted(place.rglob("*")) == before


def test_a_link_to_nowhere_is_not_overwritten_by_a_project(place: Path) -> None:
    (place / "folder" / "meltano.yml").symlink_to("nowhere")
    with pytest.raises(ConfigError, match="is there already"):
        make_project(place / "folder")


def test_a_new_project_is_whole(tmp_path: Path) -> None:
    made = make_project(tmp_path / "a" / "b")
    assert all(path.is_file() for path in made)


PROJECT = """version: 1
plugins:
  extractors:
  - name: tap-demo
    config: {records: 1}
  loaders:
  - name: target-csv
"""


def garbled_database(root: Path) -> None:
    (root / ".meltano").mkdir()
    (root / ".meltano" / "meltano.db").write_text("no database")


def deep_bookmark(root: Path) -> None:
    store = SqliteStore(root / ".meltano" / "meltano.db")
    store.set("tap-demo-to-target-csv", b'{"a": 1}')
    with contextlib.closing(sqlite3.connect(root / ".meltano" / "meltano.db")) as database:
        deep = '{"singer_state":' + "[" * DEEP + "]" * DEEP + "}"
        database.execute("UPDATE state SET completed_state = ?", (deep,))
        database.commit()


def replaced(name: str, content: bytes | None) -> Callable[[Path], None]:
    """Makes a file of a project something else: a folder where there is no content."""

    def make(root: Path) -> None:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if content is None:
            path.unlink(missing_ok=True)
            path.mkdir()
        else:
            path.write_bytes(content)

    return make


@pytest.mark.parametrize(
    "change",
    [
        garbled_database,
        deep_bookmark,
        replaced(".meltano/meltano.db", None),
        replaced(".meltano", b""),
        replaced(".meltano/run", b""),
        replaced(".env", None),
        replaced(".env", b"\xff\xfe"),
        replaced("meltano.yml", None),
        replaced("meltano.yml", b"\xff\xfe\x00"),
        replaced("meltano.yml", b"a: " + b"[" * DEEP),
        replaced("meltano.yml", b'version: 1\nstate_backend: {uri: "file:///dev/null/x"}\n'),
        replaced("meltano.yml", b'version: 1\ndatabase_uri: "sqlite:////proc/x.db"\n'),
    ],
)
def test_a_project_that_cannot_be_used_is_told(
    flow: Callable[..., Result], tmp_path: Path, change: Callable[[Path], None]
) -> None:
    (tmp_path / "meltano.yml").write_text(PROJECT)
    change(tmp_path)
    told(flow("run", "tap-demo", "target-csv", cwd=tmp_path), 2)


@pytest.mark.parametrize("content", [b"x\xff", b'{"settings":' * DEEP, b"[]", b""])
def test_a_lock_file_that_is_garbled_is_told(
    flow: Callable[..., Result], tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "meltano.yml").write_text(PROJECT.replace("tap-demo", "tap-demo\n    variant: x"))
    replaced("plugins/extractors/tap-demo--x.lock", content)(tmp_path)
    told(flow("run", "tap-demo", "--limit", "1", cwd=tmp_path), 2)
