"""A package that grows by an incremental tap keeps its bookmark itself: `--write-mode append|upsert`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command import Result
from projects import write_project

from flow_singer.datapackage.formerpackage import read_former
from flow_singer.reading.source import open_source

Flow = Callable[..., Result]


def project(root: Path, count: int, **more: Any) -> None:
    tap = {"script": "counts.py", "config": {"count": count}}
    other = {"script": "counts.py", "config": {"count": count}}
    write_project(root, taps={"tap-x": tap, "tap-y": other}, **more)


def ids(package: Path) -> list[int]:
    with open_source(package, notice=pytest.fail) as source:
        return [
            row for batch in source.stream("s").batches() for row in batch.columns["id"].values.to_pylist()
        ]


def states(package: Path) -> dict[str, Any]:
    former = read_former(package)
    assert former is not None
    return {name: json.loads(value) for name, value in former.states.items()}


def at(number: int) -> dict[str, Any]:
    return {"bookmarks": {"s": {"id": number}}}


@pytest.mark.parametrize("mode", ["append", "upsert"])
@pytest.mark.parametrize("place", ["out/", "out.zip"])
def test_the_next_run_continues_where_the_package_ends(
    tmp_path: Path, flow: Flow, mode: str, place: str
) -> None:
    for count in (3, 5, 5, 8):
        project(tmp_path, count)
        result = flow("run", "tap-x", place, "--write-mode", mode)
        assert result.code == 0, result.stderr
        assert ids(tmp_path / place) == [*range(1, count + 1)]
        assert states(tmp_path / place) == {"tap-x": at(count)}
    assert "tap-x begins where the bookmark tap-x ends." in result.stderr
    assert result.stderr.splitlines()[-1] == "Bookmark tap-x saved."
    assert not (tmp_path / ".meltano/meltano.db").exists()


def test_a_shell_pipe_names_the_package_twice(tmp_path: Path, shell: Flow) -> None:
    for count in (3, 5):
        project(tmp_path, count)
        result = shell("flow run tap-x --to out/ | flow load out/ --write-mode append")
        assert result.code == 0, result.stderr
    assert ids(tmp_path / "out") == [1, 2, 3, 4, 5]


def test_a_package_that_was_written_whole_can_be_continued(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, 3)
    assert flow("run", "tap-x", "out/").code == 0
    project(tmp_path, 5)
    assert flow("run", "tap-x", "out/", env={"FLOW_RUN_WRITE_MODE": "append"}).code == 0
    assert ids(tmp_path / "out") == [1, 2, 3, 4, 5]
    assert flow("run", "tap-x", "out/").code == 0
    assert ids(tmp_path / "out") == [1, 2, 3, 4, 5]
    assert states(tmp_path / "out") == {"tap-x": at(5)}


def test_a_package_may_be_moved_and_fed_by_several_taps(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, 2)
    assert flow("run", "tap-x", "out/", "--write-mode", "append").code == 0
    (tmp_path / "out").rename(tmp_path / "other")
    project(tmp_path, 3)
    assert flow("run", "tap-y", "other/", "--write-mode", "append").code == 0
    assert flow("run", "tap-x", "other/", "--write-mode", "append").code == 0
    assert ids(tmp_path / "other") == [1, 2, 1, 2, 3, 3]
    assert states(tmp_path / "other") == {"tap-x": at(3), "tap-y": at(3)}


def test_the_environment_and_its_suffix_are_in_the_name(tmp_path: Path, flow: Flow) -> None:
    environments = [{"name": "dev", "state_id_suffix": "mine"}]
    project(tmp_path, 2, environments=environments, default_environment="dev")
    assert flow("run", "tap-x", "out/", "--write-mode", "append").code == 0
    assert states(tmp_path / "out") == {"dev:tap-x:mine": at(2)}
    assert flow("run", "tap-x", "out/", "--write-mode", "append").code == 0
    assert ids(tmp_path / "out") == [1, 2]


def test_a_stream_that_begins_anew_is_not_appended_twice(tmp_path: Path, shell: Flow, flow: Flow) -> None:
    project(tmp_path, 3)
    again = "flow run tap-x | flow load out/ --write-mode append"
    assert shell(again).code == 0
    result = shell(again)
    assert result.code == 2
    assert (
        "out/ holds what tap-x has brought so far, and this stream begins at the beginning" in result.stderr
    )
    assert "flow run tap-x --to out/ | …" in result.stderr
    assert ids(tmp_path / "out") == [1, 2, 3]
    assert shell("flow run tap-x | flow load out/ --write-mode upsert").code == 0
    assert ids(tmp_path / "out") == [1, 2, 3]
    assert flow("run", "tap-x", "out/", "--write-mode", "append", "--full-refresh").code == 0
    assert ids(tmp_path / "out") == [1, 2, 3, 1, 2, 3]


def test_a_stream_that_continues_something_else_is_refused(tmp_path: Path, shell: Flow) -> None:
    project(tmp_path, 3)
    assert shell("flow run tap-x --to a/ | flow load a/ --write-mode append").code == 0
    result = shell("flow run tap-x --to a/ | flow load b/ --write-mode append")
    assert result.code == 2
    assert "tap-x resumed from the bookmark of another package: b/ keeps none of it" in result.stderr
    assert not (tmp_path / "b").exists()
    result = shell("flow run tap-x --to a/ | flow load a/")
    assert result.code == 2
    assert "To add it to what is there: --write-mode append." in result.stderr
    assert shell("flow run tap-x --full-refresh | flow load target-csv").code == 0
    result = shell("flow run tap-x | flow load a/ --write-mode append")
    assert result.code == 2
    assert "resumed from the bookmark tap-x-to-target-csv, which says nothing of a/" in result.stderr
    assert ids(tmp_path / "a") == [1, 2, 3]


def test_a_run_that_another_one_overtook_adds_nothing(tmp_path: Path, shell: Flow) -> None:
    project(tmp_path, 3)
    assert shell("flow run tap-x --to out/ | flow load out/ --write-mode append").code == 0
    project(tmp_path, 5)
    assert shell("flow run tap-x --to out/ > late").code == 0
    assert shell("flow run tap-x --to out/ | flow load out/ --write-mode append").code == 0
    result = shell("flow load out/ --write-mode append < late")
    assert result.code == 75
    assert "out/ has grown since tap-x resumed from it" in result.stderr
    assert ids(tmp_path / "out") == [1, 2, 3, 4, 5]


def test_a_stream_without_a_bookmark_is_told_when_it_comes_again(tmp_path: Path, shell: Flow) -> None:
    project(tmp_path, 3)
    assert shell("flow run tap-x --to out/ | flow load out/ --write-mode append").code == 0
    script = tmp_path / "bin/tap-x"
    schema = {
        "type": "SCHEMA",
        "stream": "t",
        "schema": {"properties": {"id": {"type": "integer"}}},
        "key_properties": [],
    }
    more = [schema, {"type": "RECORD", "stream": "t", "record": {"id": 1}}]
    lines = "\n".join(json.dumps(one) for one in more)
    script.write_text(script.read_text().replace("exec ", "") + f"cat <<'END'\n{lines}\nEND\n")
    assert shell("flow run tap-x --to out/ | flow load out/ --write-mode append").code == 0
    result = shell("flow run tap-x --to out/ | flow load out/ --write-mode append")
    assert result.code == 0
    assert "stream 't' has no bookmark, so all of its records came again" in result.stderr


def test_a_stream_that_is_cut_short_changes_nothing(tmp_path: Path, shell: Flow) -> None:
    project(tmp_path, 3)
    assert shell("flow run tap-x --to out/ | flow load out/ --write-mode append").code == 0
    project(tmp_path, 9)
    result = shell("flow run tap-x --to out/ | head -4 | flow load out/ --write-mode append")
    assert result.code == 75
    assert ids(tmp_path / "out") == [1, 2, 3]
    assert states(tmp_path / "out") == {"tap-x": at(3)}


def test_a_stream_that_names_no_tap_is_added_without_a_bookmark(tmp_path: Path, shell: Flow) -> None:
    project(tmp_path, 2)
    for _ in range(2):
        result = shell("flow run tap-x --plain | flow load out/ --write-mode append")
        assert result.code == 0
        assert (
            "This stream does not say which tap it comes from, so out/ keeps no bookmark of it."
            in result.stderr
        )
    assert ids(tmp_path / "out") == [1, 2, 1, 2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ["run", "tap-x", "--write-mode", "append"],
            "--write-mode has no use here: the messages go to stdout.",
        ),
        (
            ["run", "tap-x", "target-csv", "--write-mode", "append"],
            "--write-mode has no use here: there is no Data",
        ),
        (["run", "tap-x", "out/", "--write-mode", "append", "--state-id", "x"], "keeps its bookmark itself"),
        (["run", "tap-x", "out/", "--write-mode", "append", "--force"], "keeps its bookmark itself"),
        (["run", "tap-x", "out/", "--state", "x"], "a package is replaced whole and keeps no bookmark"),
        (["run", "tap-x", "--to", "mine/"], "is no package that Flow wrote: nothing is added to it"),
    ],
)
def test_what_would_do_nothing_is_refused(tmp_path: Path, flow: Flow, words: list[str], said: str) -> None:
    project(tmp_path, 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/datapackage.json").write_text('{"resources": []}')
    result = flow(*words)
    assert result.code == 2
    assert said in result.stderr


def test_a_state_in_a_file_goes_before_that_of_the_package(tmp_path: Path, flow: Flow) -> None:
    project(tmp_path, 4)
    (tmp_path / "state.json").write_text(json.dumps(at(2)))
    result = flow("run", "tap-x", "out/", "--write-mode", "append", "--state", "state.json")
    assert result.code == 0, result.stderr
    assert ids(tmp_path / "out") == [3, 4]


def test_upsert_needs_a_key(tmp_path: Path, flow: Flow) -> None:
    line = b'{"type":"SCHEMA","stream":"s","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":[]}\n'
    result = flow("load", "out/", "--write-mode", "upsert", stdin=line)
    assert result.code == 2
    assert "Stream 's' has no key, so that no row of it can replace another." in result.stderr
    assert not (tmp_path / "out").exists()


def test_each_run_goes_on_in_the_partitions_of_the_package(tmp_path: Path, flow: Flow, shell: Flow) -> None:
    project(tmp_path, 2)
    assert flow("run", "tap-x", "out/", "--write-mode", "append", "--partition-by", "id").code == 0
    project(tmp_path, 4)
    assert shell("flow run tap-x --to out/ | flow load out/ --write-mode append").code == 0
    assert sorted(path.stem for path in (tmp_path / "out/data").iterdir()) == ["s-1", "s-2", "s-3", "s-4"]
    assert ids(tmp_path / "out") == [1, 2, 3, 4]
