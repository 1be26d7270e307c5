"""Files in stores that fsspec knows: found, copied, and read like those of this disk."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from barefiles import read, refused
from fsspec.registry import _registry

from flow_singer.errors import ConfigError, TapError
from flow_singer.reading.newfiles import find_new_files
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.source import open_source


@pytest.fixture
def memory() -> Iterator[Any]:
    """fsspec's store in the memory of this process, with a bucket of two logs."""
    system = fsspec.filesystem("memory")
    system.store.clear()
    system.pipe("/bucket/logs/a.jsonl", b'{"id": 1}\n{"id": 2}\n')
    system.pipe("/bucket/logs/b.jsonl", b'{"id": 3}\n')
    system.pipe("/bucket/other/c.csv", b"id\n4\n")
    yield system
    system.store.clear()


def ids(found: Any) -> list[Any]:
    return [one["id"] for one in found.records]


def new_in(place: str, how: Any, bookmarks: dict[str, Any]) -> list[str]:
    """The files that are new, which are noted then."""
    with open_source(place, ReadSettings(), notice=lambda _: None) as source:
        chosen = [one.name for one in source.streams]
        found = find_new_files(source.streams, chosen, how, bookmarks, trust=False, notice=lambda _: None)
        names = []
        for stream, new in found.items():
            files = bookmarks.setdefault(stream, {})["files"] = dict(new.noted)
            for file in new.unread():
                assert list(file.rows.lines())
                names.append(file.name)
                files[file.name] = file.fingerprint
        return names


def test_a_glob_is_one_stream_named_as_on_a_disk(memory: Any) -> None:
    found = read("memory://bucket/logs/*.jsonl")
    assert (found.stream, ids(found)) == ("logs", [1, 2, 3])
    assert ids(read("memory://bucket/**/*.jsonl")) == [1, 2, 3]
    assert found.told == []


def test_one_file_and_a_folder(memory: Any) -> None:
    assert ids(read("memory://bucket/other/c.csv")) == [4]
    for place in ("memory://bucket/logs/", "memory://bucket/logs"):
        with open_source(place, notice=lambda _: None) as source:
            assert [one.name for one in source.streams] == ["a", "b"]


def test_files_are_told_of_by_their_addresses(memory: Any) -> None:
    memory.pipe("/bucket/x.csv", b"name;n\nAda;1\nBo;2\n")
    assert read("memory://bucket/x.csv").told == ["memory:///bucket/x.csv: its cells are divided by ;."]
    memory.pipe("/bucket/y.csv", b"name,n\nAda,1\nBo,2,3\n")
    error = refused("memory://bucket/y.csv")
    assert error.message.startswith("memory:///bucket/y.csv"), error.message
    memory.pipe("/bucket/logs/b.jsonl", b'{"id": "x"\n')
    assert "memory:///bucket/logs/b.jsonl" in refused("memory://bucket/logs/*.jsonl").message


@pytest.mark.parametrize("place", ["memory://bucket/p/", "memory://bucket/p/datapackage.json"])
def test_a_package(memory: Any, place: str) -> None:
    resource = {"name": "r", "path": "data/r.csv", "schema": {"fields": [{"name": "id", "type": "integer"}]}}
    memory.pipe("/bucket/p/datapackage.json", json.dumps({"resources": [resource]}).encode())
    memory.pipe("/bucket/p/data/r.csv", b"id\n1\n")
    assert ids(read(place)) == [1]
    bookmarks: dict[str, Any] = {}
    assert new_in(place, "time", bookmarks) == ["memory:///bucket/p/data/r.csv"]
    assert new_in(place, "time", bookmarks) == []
    resource["path"] = "../../other/c.csv"
    memory.pipe("/bucket/p/datapackage.json", json.dumps({"resources": [resource]}).encode())
    assert "leads out of its folder" in refused(place).message


@pytest.mark.parametrize("how", ["time", "size", "hash"])
def test_what_is_new_is_what_the_store_says(memory: Any, how: str) -> None:
    bookmarks: dict[str, Any] = {}
    place = "memory://bucket/logs/*.jsonl"
    assert new_in(place, how, bookmarks) == [f"memory:///bucket/logs/{one}.jsonl" for one in "ab"]
    assert new_in(place, how, bookmarks) == []
    memory.pipe("/bucket/logs/b.jsonl", b'{"id": 3}\n{"id": 4}\n')
    memory.pipe("/bucket/logs/c.jsonl", b'{"id": 3}\n')
    assert new_in(place, how, bookmarks) == [f"memory:///bucket/logs/{one}.jsonl" for one in "bc"]


@pytest.mark.parametrize("protocol", ["file", "local"])
def test_a_disk_is_a_store_too(tmp_path: Path, protocol: str) -> None:
    (tmp_path / "a.jsonl").write_text('{"id": 1}\n')
    assert ids(read(f"{protocol}://{tmp_path}/*.jsonl")) == [1]
    bookmarks: dict[str, Any] = {}
    assert len(new_in(f"{protocol}://{tmp_path}/*.jsonl", "time", bookmarks)) == 1
    assert new_in(f"{protocol}://{tmp_path}/*.jsonl", "time", bookmarks) == []


def test_a_file_that_changes_while_it_is_fetched_is_not_used(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = type(memory).get_file

    def late(self: Any, path: str, *words: Any, **more: Any) -> None:
        memory.pipe(path, b'{"id": 9}\n')
        fetch(self, path, *words, **more)

    monkeypatch.setattr(type(memory), "get_file", late)
    error = refused("memory://bucket/logs/a.jsonl")
    assert isinstance(error, TapError)
    assert error.message.startswith("memory:///bucket/logs/a.jsonl was changed while it was fetched")


def test_nothing_there_is_told(memory: Any) -> None:
    assert refused("memory://bucket/logs/*.csv").message == "No file matches memory://bucket/logs/*.csv."
    assert refused("memory://bucket/gone.csv").message == "There is nothing at memory://bucket/gone.csv."
    memory.pipe("/bucket/pictures/a.png", b"x")
    assert refused("memory://bucket/pictures/").message == (
        "memory://bucket/pictures/ has no files of data in it."
    )


def test_what_a_store_answers_shows_no_secret(memory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: Any, **__: Any) -> None:
        raise RuntimeError("key hunter2 of bucket is no key")

    monkeypatch.setattr(type(memory), "info", fails)
    error = refused(
        "memory://bucket/a.csv", storage_options={"key": "hunter2", "more": {"deep": ["hunter2"]}}
    )
    assert isinstance(error, TapError)
    assert error.message == "memory://bucket/a.csv cannot be read: RuntimeError: key *** of bucket is no key."
    assert "hunter2" not in repr(ReadSettings(storage_options={"key": "hunter2"}))

    def locked(*_: Any, **__: Any) -> None:
        raise PermissionError("Access Denied")

    monkeypatch.setattr(type(memory), "info", locked)
    assert refused("memory://bucket/a.csv").message == (
        "memory://bucket/a.csv cannot be read: the store does not let us in."
    )


def test_without_fsspec_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    error = refused("s3://bucket/a.csv")
    assert isinstance(error, ConfigError)
    assert error.hint == "Install it: pip install 'flow-singer[stores]' s3fs"
    assert refused("file:///a.csv").hint == "Install it: pip install 'flow-singer[stores]'"


@pytest.mark.parametrize(
    ("protocol", "package"), [("s3", "s3fs"), ("gs", "gcsfs"), ("az", "adlfs"), ("abfs", "adlfs")]
)
def test_without_the_package_of_a_store_the_command_is_told(
    monkeypatch: pytest.MonkeyPatch, protocol: str, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(_registry, protocol, raising=False)  # where another test has loaded it
    error = refused(f"{protocol}://bucket/a.csv")
    assert isinstance(error, ConfigError)
    assert error.message == (
        f"{protocol}://bucket/a.csv cannot be reached: what is needed for {protocol}:// is not installed ({package})."
    )
    assert error.hint == f"Install it: pip install 'flow-singer[stores]' {package}"


def test_a_protocol_that_nobody_knows() -> None:
    assert refused("ess3://bucket/a.csv").message == (
        "ess3://bucket/a.csv cannot be reached: nobody knows the protocol ess3://."
    )


def test_options_of_no_store_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id\n1\n")
    found = read(tmp_path / "a.csv", storage_options={"anon": True})
    assert found.told == [f"'storage_options' does nothing: {tmp_path / 'a.csv'} is no address in a store."]
