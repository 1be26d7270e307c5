"""A name that no plugin has: what is said of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from flow_singer.nearnames import listed
from flow_singer.plugins.notfound import near_plugins, not_found
from flow_singer.project.meltanofile import load_project


def _hint(name: str, kind: str = "extractors", *, taps: int = 0, jobs: int = 0, folder: Path) -> str:
    plugins = "".join(f"  - name: tap-{number:02}\n" for number in range(taps))
    named = "".join(f"- {{name: job{number:02}, tasks: [a b]}}\n" for number in range(jobs))
    text = f"plugins:\n  extractors:\n{plugins}" if taps else "version: 1\n"
    (folder / "meltano.yml").write_text(text + (f"jobs:\n{named}" if jobs else ""))
    project = load_project(folder, environ={})
    return str(not_found(name, kind, project, "", bundled=["tap-demo"]).hint)


def test_of_many_names_ten_are_listed(tmp_path: Path) -> None:
    ten = ", ".join(f"tap-{number:02}" for number in range(10))
    assert _hint("ledger", taps=12, folder=tmp_path) == f"Taps: {ten} and 3 more: flow list."


def test_jobs_are_listed_beside_taps(tmp_path: Path) -> None:
    assert _hint("ledger", jobs=2, folder=tmp_path) == "Taps: tap-demo. Jobs: job00, job01."


@pytest.mark.parametrize(
    ("name", "kind", "advised"),
    [
        ("tap-ledger", "extractors", True),
        ("tap-demos", "extractors", False),
        ("ledger", "extractors", False),
        ("target-ledger", "loaders", True),
        ("ledger", "loaders", False),
        ("tap-ledger", "loaders", False),
    ],
)
def test_what_to_install_is_said_of_a_plugin_s_name_that_is_like_no_other(
    tmp_path: Path, name: str, kind: str, advised: bool
) -> None:
    assert (f"pip_url: {name}" in _hint(name, kind, folder=tmp_path)) is advised


def test_that_both_are_taps_makes_two_names_no_more_alike() -> None:
    assert near_plugins("tap-shop", ["tap-a", "tap-x", "tap-shops"]) == ["'tap-shops'"]
    assert near_plugins("shop", ["tap-shop"]) == ["'tap-shop'"]
    assert near_plugins("tap-github", ["tap-gitlab", "tap-demo"]) == ["'tap-gitlab'"]


def test_names_are_listed_as_long_as_they_fit() -> None:
    assert listed([]) == "none"
    assert listed(["a", "b"], "flow list") == "a, b"
    assert listed([str(number) for number in range(11)]) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 1 more"
