"""A descriptor of one's own, and what streams refer to, as a person gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Result
from projects import write_project
from pushed import record, schema

Flow = Callable[..., Result]
ID = {"type": ["null", "integer"]}
MESSAGES = (
    schema("users", {"id": ID})
    + record("users", {"id": 1})
    + schema("posts", {"id": ID, "user_id": ID})
    + record("posts", {"id": 1, "user_id": 1})
)
OWN = {
    "title": "Mine",
    "resources": [{"name": "users", "schema": {"fields": [{"name": "id", "title": "Number"}]}}],
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    config = {"stdout": MESSAGES.decode()}
    expect = {"posts": {"references": {"user_id": "users.id"}}}
    write_project(tmp_path, taps={"tap-x": {"script": "says.py", "config": config, "expect": expect}})
    (tmp_path / "own.json").write_text(json.dumps(OWN))
    return tmp_path


def descriptor(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "out/datapackage.json").read_text())
    return found


def test_a_run_takes_it_and_knows_what_streams_refer_to(project: Path, flow: Flow) -> None:
    result = flow("run", "tap-x", "out/", "--descriptor", "own.json", "--check")
    assert result.code == 0, result.stderr
    found = descriptor(project)
    users, posts = found["resources"]
    assert (found["title"], users["schema"]["fields"][0]["title"]) == ("Mine", "Number")
    assert posts["schema"]["foreignKeys"] == [
        {"fields": ["user_id"], "reference": {"resource": "users", "fields": ["id"]}}
    ]


def test_a_shell_pipe_takes_it(project: Path, shell: Flow) -> None:
    result = shell("flow run tap-x --full-refresh | flow load out/ --descriptor own.json")
    assert result.code == 0, result.stderr
    assert descriptor(project)["title"] == "Mine"


def test_the_bundled_target_takes_it(project: Path, flow: Flow) -> None:
    config = {"path": "out", "descriptor": "own.json", "check": True}
    result = flow("run", "tap-x", "target-datapackage", "--target-config", json.dumps(config))
    assert result.code == 0, result.stderr
    assert descriptor(project)["title"] == "Mine"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (
            {"descriptor": "none.json"},
            "The setting descriptor none.json cannot be read: No such file or directory.",
        ),
        ({"descriptor": "promises.json"}, 'Add "check": true, which reads CSV and JSON Lines'),
        ({"format": "parquet", "check": True}, "The setting check reads CSV and JSON Lines, not Parquet."),
    ],
)
def test_the_bundled_target_speaks_of_its_settings(
    project: Path, flow: Flow, more: dict[str, Any], said: str
) -> None:
    (project / "promises.json").write_text('{"fields": [{"name": "id", "constraints": {"maximum": 5}}]}')
    result = flow(
        "run", "tap-x", "target-datapackage", "--target-config", json.dumps({"path": "out", **more})
    )
    assert result.code != 0
    assert said in result.log
    assert not (project / "out").exists()


@pytest.mark.parametrize(
    ("own", "code", "said"),
    [
        ({"resources": [{"name": "user"}]}, 2, "there is no resource 'user'.\nDid you mean users?"),
        ({"fields": [{"name": "id", "constraints": {"maximum": 0}}]}, 2, "Add --check"),
        (None, 2, "Error: --descriptor own.json cannot be read: No such file or directory."),
    ],
)
def test_what_does_not_fit_publishes_nothing(
    project: Path, flow: Flow, own: Any, code: int, said: str
) -> None:
    (project / "own.json").unlink() if own is None else (project / "own.json").write_text(json.dumps(own))
    result = flow("run", "tap-x", "out/", "--descriptor", "own.json")
    assert (result.code, said in result.stderr) == (code, True), result.stderr
    assert not (project / "out").exists()
