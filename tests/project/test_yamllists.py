"""Items of a list come and go, and nothing else in the file changes."""

from __future__ import annotations

import difflib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from flow_singer.errors import ConfigError
from flow_singer.project.yamlediting import Step, entry_steps
from flow_singer.project.yamllists import add_items, item_lines, remove_items

FILE = """\
plugins:
  extractors:
    - name: tap-a
      select:
        # what we need
        - issues.*   # all of it

        # but not that:
        - "!issues.body"
      # the end

    - name: tap-b
      select:
      - a
      - b
    - name: tap-c
      select: [a.*, 'b.*']  # on one line
    - name: tap-d
      select: [
        a,  # about a
        b,
        c   # about c
      ]
    - name: tap-e
      config: {x: 1}
    - name: tap-f
      select: []
    - {name: tap-g, select: ["a"], config: {x: 1}}
    - name: tap-h
      select:
    - name: tap-i
      select: ["a", "b"]
"""


def steps_of(letter: str) -> list[Step]:
    return [*entry_steps("extractors", f"tap-{letter}", None), "select"]


def write(tmp_path: Path, text: str = FILE) -> Path:
    path = tmp_path / "meltano.yml"
    path.write_bytes(text.encode())
    return path


def changes(path: Path, text: str = FILE) -> list[str]:
    diff = difflib.unified_diff(text.splitlines(), path.read_text().splitlines(), n=0, lineterm="")
    return [one for one in diff if not one.startswith(("---", "+++", "@@"))]


@pytest.mark.parametrize(
    ("letter", "lines"),
    [
        ("a", ["+        - users.*", '+        - "!users.x"']),
        ("b", ["+      - users.*", "+      - '!users.x'"]),
        (
            "c",
            [
                "-      select: [a.*, 'b.*']  # on one line",
                "+      select: [a.*, 'b.*', users.*, '!users.x']  # on one line",
            ],
        ),
        ("d", ["-        c   # about c", "+        c, users.*, '!users.x'   # about c"]),
        ("e", ["+      select:", "+        - users.*", "+        - '!users.x'"]),
        ("f", ["-      select: []", "+      select:", "+        - users.*", "+        - '!users.x'"]),
        (
            "g",
            [
                '-    - {name: tap-g, select: ["a"], config: {x: 1}}',
                '+    - {name: tap-g, select: ["a", "users.*", "!users.x"], config: {x: 1}}',
            ],
        ),
        ("h", ["+        - users.*", "+        - '!users.x'"]),
    ],
)
def test_items_are_added_at_the_end(tmp_path: Path, letter: str, lines: list[str]) -> None:
    path = write(tmp_path)
    added = add_items(path, "meltano.yml", steps_of(letter), ["users.*", "!users.x"])
    assert changes(path) == lines
    text = path.read_text().splitlines()
    assert ["users.*" in text[added[0] - 1], "!users.x" in text[added[1] - 1]] == [True, True]


@pytest.mark.parametrize(
    ("letter", "positions", "lines"),
    [
        ("a", [0], ["-        - issues.*   # all of it"]),
        ("a", [1], ['-        - "!issues.body"']),
        ("b", [0], ["-      - a"]),
        ("b", [0, 1], ["-      select:", "-      - a", "-      - b"]),
        (
            "c",
            [0],
            [
                "-      select: [a.*, 'b.*']  # on one line",
                "+      select: ['b.*']  # on one line",
            ],
        ),
        (
            "c",
            [1],
            [
                "-      select: [a.*, 'b.*']  # on one line",
                "+      select: [a.*]  # on one line",
            ],
        ),
        ("d", [0], ["-        a,  # about a"]),
        ("d", [2], ["-        c   # about c"]),
        ("d", [0, 2], ["-        a,  # about a", "-        c   # about c"]),
        (
            "g",
            [0],
            [
                '-    - {name: tap-g, select: ["a"], config: {x: 1}}',
                "+    - {name: tap-g, config: {x: 1}}",
            ],
        ),
    ],
)
def test_items_are_removed_with_their_own_comment(
    tmp_path: Path, letter: str, positions: list[int], lines: list[str]
) -> None:
    path = write(tmp_path)
    remove_items(path, "meltano.yml", steps_of(letter), positions)
    assert changes(path) == lines


def test_each_item_has_its_line(tmp_path: Path) -> None:
    path = write(tmp_path)
    lines = [item_lines(path, "meltano.yml", steps_of(letter)) for letter in "abcdefgh"]
    assert lines == [[6, 9], [14, 15], [17, 17], [20, 21, 22], [], [], [28], []]


SHARED = """\
plugins:
  extractors:
    - name: tap-a
      select: &rules
        - a
    - name: tap-b
      select: *rules
"""


@pytest.mark.parametrize("letter", ["a", "b"])
def test_a_list_that_others_share_is_not_changed(tmp_path: Path, letter: str) -> None:
    path = write(tmp_path, SHARED)
    with pytest.raises(ConfigError, match="an anchor is used there"):
        add_items(path, "meltano.yml", steps_of(letter), ["b"])
    with pytest.raises(ConfigError, match="an anchor is used there"):
        remove_items(path, "meltano.yml", steps_of(letter), [0])
    assert path.read_text() == SHARED


@pytest.mark.parametrize("letter", "abcdg")
def test_line_ends_and_a_mark_at_the_beginning_stay(tmp_path: Path, letter: str) -> None:
    text = "\ufeff" + FILE.replace("\n", "\r\n")
    path = write(tmp_path, text)
    add_items(path, "meltano.yml", steps_of(letter), ["new"])
    assert path.read_bytes().count(b"\n") == path.read_bytes().count(b"\r\n")
    count = len(item_lines(path, "meltano.yml", steps_of(letter)))
    remove_items(path, "meltano.yml", steps_of(letter), [count - 1])
    assert path.read_bytes() == text.encode()


RULES = st.lists(
    st.text(st.characters(categories=("L", "N", "P", "S", "Zs")), min_size=1), min_size=1, max_size=3
)


@given(st.sampled_from("abcdefghi"), RULES)
def test_what_was_added_is_read_again_and_can_be_removed(tmp_path_factory, letter: str, texts) -> None:
    path = write(tmp_path_factory.mktemp("any"))
    count = len(item_lines(path, "meltano.yml", steps_of(letter)))
    add_items(path, "meltano.yml", steps_of(letter), texts)
    here = YAML(typ="safe", pure=True).load(path.read_text())["plugins"]["extractors"]
    found = next(one for one in here if one["name"] == f"tap-{letter}")["select"]
    assert found[count:] == texts
    if count:
        remove_items(path, "meltano.yml", steps_of(letter), range(count, count + len(texts)))
        assert path.read_text() == FILE


def test_a_file_without_an_end_of_its_last_line(tmp_path: Path) -> None:
    text = "plugins:\n  extractors:\n    - name: tap-a\n      select:\n        - a"
    path = write(tmp_path, text)
    assert add_items(path, "meltano.yml", steps_of("a"), ["b"]) == [6]
    assert path.read_text().removesuffix("\n") == f"{text}\n        - b"
