"""Which tests `python3 dev.py check` chooses for a file."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
TESTS = [
    "tests/connectors/test_tap_demo.py",
    "tests/connectors/test_target_csv.py",
    "tests/integration/test_impossible.py",
    "tests/state/test_bookmarks.py",
    "tests/state/test_documents.py",
    "tests/stages/test_rejects.py",
    "tests/targets/test_growing.py",
    "tests/test_dev.py",
    "tests/test_distributions.py",
    "tests/test_docs.py",
    "tests/test_examples.py",
    "tests/test_files.py",
    "tests/test_imports.py",
    "tests/test_public_api.py",
]
IMPORTS = "tests/test_imports.py"


@pytest.fixture(scope="module")
def dev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("file", "tests"),
    [
        (
            "flow_singer/state/documents.py",
            ["tests/state/test_documents.py", IMPORTS, "tests/state/test_bookmarks.py"],
        ),
        (
            "flow_singer/state/_documents.py",
            ["tests/state/test_documents.py", IMPORTS, "tests/state/test_bookmarks.py"],
        ),
        (
            "flow_singer/state/systemdb.py",
            [IMPORTS, "tests/state/test_bookmarks.py", "tests/state/test_documents.py"],
        ),
        (
            "flow_singer/scaffold/templates/env",
            [IMPORTS, "tests/integration/test_impossible.py", "tests/test_docs.py"],
        ),
        ("flow_singer/files.py", ["tests/test_files.py", IMPORTS, "tests/test_public_api.py"]),
        ("flow_singer/nearnames.py", [IMPORTS, "tests/test_public_api.py"]),
        ("taps/flow_tap_demo/tap.py", ["tests/connectors/test_tap_demo.py", IMPORTS]),
        (
            "targets/flow_target_csv/growing.py",
            ["tests/targets/test_growing.py", "tests/connectors/test_target_csv.py", IMPORTS],
        ),
        (
            "targets/flow_target_csv/about.json",
            ["tests/connectors/test_target_csv.py", IMPORTS, "tests/targets/test_growing.py"],
        ),
        ("tests/state/test_bookmarks.py", ["tests/state/test_bookmarks.py"]),
        ("tests/distributions.py", ["tests/test_distributions.py"]),
        ("tests/streams.py", []),
        ("docs/concepts/state.md", ["tests/test_docs.py"]),
        ("docs/generate.py", ["tests/test_docs.py"]),
        ("README.md", ["tests/test_docs.py"]),
        ("examples/fan-out/t.py", ["tests/test_examples.py", "tests/test_docs.py"]),
        ("dev.py", ["tests/test_dev.py"]),
        ("pyproject.toml", ["tests/test_public_api.py"]),
        (".ci/run", []),
        ("benchmarks/run.py", []),
    ],
)
def test_a_file_has_its_tests(dev: ModuleType, file: str, tests: list[str]) -> None:
    assert dev.tests_of([file], TESTS) == tests


def test_what_is_named_after_a_file_goes_before_the_others_of_any_room(dev: ModuleType) -> None:
    files = ["flow_singer/state/documents.py", "flow_singer/stages/load.py", "dev.py"]
    assert dev.tests_of(files, TESTS) == [
        "tests/state/test_documents.py",
        IMPORTS,
        "tests/test_dev.py",
        "tests/stages/test_rejects.py",
        "tests/state/test_bookmarks.py",
    ]


def test_no_test_of_another_room_with_a_longer_name_is_chosen(dev: ModuleType) -> None:
    assert dev.tests_of(["flow_singer/state/x.py"], ["tests/stateful/test_x.py"]) == []


def test_every_file_that_a_room_has_finds_tests(dev: ModuleType) -> None:
    there = [test.relative_to(ROOT).as_posix() for test in (ROOT / "tests").rglob("test_*.py")]
    for file in (ROOT / "flow_singer").rglob("*.py"):
        assert IMPORTS in dev.tests_of([file.relative_to(ROOT).as_posix()], there)


def test_tests_are_taken_until_the_time_is_over(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "LONG_S", {"test_a.py": 30, "test_b.py": 20, "test_c.py": 10})
    monkeypatch.setattr(dev, "SHORT_S", 1)
    tests = [f"tests/test_{name}.py" for name in "abcd"]
    assert dev.within(tests, 41) == ([tests[0], *tests[2:]], [tests[1]])
    assert dev.within(tests, 61) == (tests, [])
    assert dev.within([], 61) == ([], [])


def test_the_first_test_is_run_however_long_it_takes(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dev, "LONG_S", {"test_a.py": 90})
    assert dev.within(["tests/test_a.py", "tests/test_b.py"], 47) == (
        ["tests/test_a.py"],
        ["tests/test_b.py"],
    )


def test_the_times_are_of_tests_that_are_there(dev: ModuleType) -> None:
    assert [name for name in dev.LONG_S if not (ROOT / "tests" / name).is_file()] == []


@pytest.mark.parametrize(
    ("path", "near"),
    [
        ("documents.py", "flow_singer/state/documents.py"),
        ("flow_singer/tabular/documents.py", "flow_singer/state/documents.py"),
        ("flow_singer/state/document.py", "flow_singer/state/documents.py"),
        ("bookmark.py", "flow_singer/state/bookmarks.py"),
        ("nothing/like/this.txt", None),
    ],
)
def test_an_unknown_path_has_a_near_name(dev: ModuleType, path: str, near: str | None) -> None:
    known = ["README.md", "flow_singer/state/bookmarks.py", "flow_singer/state/documents.py"]
    assert dev.near_file(path, known) == near


def test_files_and_folders_can_be_named_from_anywhere(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = ["README.md", "flow_singer/files.py", "flow_singer/state/documents.py", "flow_singer/stateful.py"]
    monkeypatch.chdir(ROOT / "flow_singer")
    words = ["files.py", "state", str(ROOT / "README.md"), "files.py"]
    assert dev.named(words, known) == [
        "flow_singer/files.py",
        "flow_singer/state/documents.py",
        "README.md",
    ]


def test_an_unknown_path_ends_with_its_near_name(dev: ModuleType) -> None:
    with pytest.raises(SystemExit) as caught:
        dev.named(["filse.py"], ["flow_singer/files.py"])
    assert str(caught.value) == "filse.py is no file of this clone. Did you mean flow_singer/files.py?"


def test_every_job_is_in_the_help(dev: ModuleType) -> None:
    assert all(f"python3 dev.py {job} " in dev.__doc__ for job in dev.JOBS)
