"""What `tests/distributions.py` says of distributions that are not as they should be."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from distributions import Fault, check_files, check_sdist, check_wheel, in_sdist, in_wheel

PROJECT: dict[str, Any] = {
    "name": "flow-singer",
    "version": "1.2.3",
    "license-files": ["LICENSE"],
    "scripts": {"flow": "flow_singer.__main__:main"},
}
TRACKED = [".ci/run", "LICENSE", "flow_singer/py.typed", "taps/flow_tap_x/about.json", "tests/test_x.py"]
WHEEL = {
    "flow_singer/py.typed": "",
    "flow_tap_x/about.json": "{}",
    "flow_singer-1.2.3.dist-info/METADATA": "",
    "flow_singer-1.2.3.dist-info/WHEEL": "",
    "flow_singer-1.2.3.dist-info/RECORD": "",
    "flow_singer-1.2.3.dist-info/licenses/LICENSE": "",
    "flow_singer-1.2.3.dist-info/entry_points.txt": "[console_scripts]\nflow = flow_singer.__main__:main\n",
}
SDIST = ["PKG-INFO", "LICENSE", "flow_singer/py.typed", "taps/flow_tap_x/about.json", "tests/test_x.py"]


def wheel_of(folder: Path, files: dict[str, str]) -> Path:
    path = folder / "x.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def sdist_of(folder: Path, files: list[str]) -> Path:
    path = folder / "x.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name in files:
            archive.addfile(tarfile.TarInfo(f"flow_singer-1.2.3/{name}"), io.BytesIO())
    return path


@pytest.mark.parametrize(
    ("file", "place"),
    [
        ("flow_singer/state/bookmarks.py", "flow_singer/state/bookmarks.py"),
        ("flow_singer/scaffold/templates/env", "flow_singer/scaffold/templates/env"),
        ("taps/flow_tap_demo/tap.py", "flow_tap_demo/tap.py"),
        ("targets/flow_target_csv/about.json", "flow_target_csv/about.json"),
        ("tests/test_imports.py", None),
        ("dev.py", None),
        ("LICENSE", None),
    ],
)
def test_the_wheel_has_packages_and_nothing_else(file: str, place: str | None) -> None:
    assert in_wheel(file) == place


def test_the_sdist_has_neither_results_nor_hidden_files() -> None:
    tracked = [
        ".ci/run",
        ".gitattributes",
        ".gitignore",
        "benchmarks/results/latest.json",
        "benchmarks/run.py",
    ]
    assert [file for file in tracked if in_sdist(file)] == [".gitignore", "benchmarks/run.py"]


def test_names_that_are_missing_extra_or_there_twice_are_told() -> None:
    with pytest.raises(Fault) as caught:
        check_files("wheel", ["a", "b", "b", "d"], ["a", "b", "c"])
    assert str(caught.value).splitlines() == [
        "The files of the wheel are wrong.",
        "  missing: c",
        "  not tracked, or not meant to be in it: d",
        "  twice: b",
    ]


def test_whole_distributions_pass(tmp_path: Path) -> None:
    check_wheel(wheel_of(tmp_path, WHEEL), TRACKED, PROJECT)
    check_sdist(sdist_of(tmp_path, SDIST), TRACKED, PROJECT)


@pytest.mark.parametrize("name", sorted(WHEEL))
def test_a_wheel_that_lacks_a_file_fails(tmp_path: Path, name: str) -> None:
    files = {one: text for one, text in WHEEL.items() if one != name}
    with pytest.raises(Fault, match=f"missing: {name}"):
        check_wheel(wheel_of(tmp_path, files), TRACKED, PROJECT)


@pytest.mark.parametrize("name", ["tests/test_x.py", "flow_singer/__pycache__/x.pyc", "flow_tap_y/tap.py"])
def test_a_wheel_that_has_more_fails(tmp_path: Path, name: str) -> None:
    with pytest.raises(Fault, match=f"not tracked, or not meant to be in it: {name}"):
        check_wheel(wheel_of(tmp_path, WHEEL | {name: ""}), TRACKED, PROJECT)


def test_a_wheel_with_another_entry_point_fails(tmp_path: Path) -> None:
    other = {"flow_singer-1.2.3.dist-info/entry_points.txt": "[console_scripts]\nflow = flow_singer:main\n"}
    with pytest.raises(Fault, match="entry points"):
        check_wheel(wheel_of(tmp_path, WHEEL | other), TRACKED, PROJECT)


@pytest.mark.parametrize("name", SDIST)
def test_an_sdist_that_lacks_a_file_fails(tmp_path: Path, name: str) -> None:
    with pytest.raises(Fault, match=f"missing: flow_singer-1.2.3/{name}"):
        check_sdist(sdist_of(tmp_path, [one for one in SDIST if one != name]), TRACKED, PROJECT)


@pytest.mark.parametrize("name", [".ci/run", ".venv/bin/python", "examples/x/output/x.csv", "notes.txt"])
def test_an_sdist_that_has_more_fails(tmp_path: Path, name: str) -> None:
    with pytest.raises(Fault, match=f"not meant to be in it: flow_singer-1.2.3/{name}"):
        check_sdist(sdist_of(tmp_path, [*SDIST, name]), TRACKED, PROJECT)
