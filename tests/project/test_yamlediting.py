"""A key of meltano.yml is changed, and nothing else in the file."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from flow_singer.errors import ConfigError
from flow_singer.project.yamlediting import Step, entry_steps, remove_key, write_key

FILE = """\
# my project
version: 1
plugins:
  extractors:
    - name: tap-x   # the tap
      pip_url: tap-x
      config:
        a: 1    # one
        "b": 'two'
        nested:
          k: v

    # the second
    - name: tap-y
      config:
      select: ["a.*"]
    - name: tap-z
      config:
        text: |
          long
          text

        folded: >-
          long
          text
  loaders:
  - name: target-x
    config: {x: 1, y: [1, 2]}  # on one line
    description: "last"

environments:
- name: dev
- name: prod
  config:
    plugins:
      extractors:
        - name: tap-x
          config:
            a: 2
"""
X, Y, Z = (entry_steps("extractors", name, None) for name in ("tap-x", "tap-y", "tap-z"))
TARGET = entry_steps("loaders", "target-x", None)


def change(tmp_path: Path, text: str, steps: list[Step], *value: Any) -> tuple[list[str], int | None]:
    """The lines that went and came, and the line of the key."""
    path = tmp_path / "meltano.yml"
    path.write_bytes(text.encode())
    line = write_key(path, "meltano.yml", steps, *value) if value else remove_key(path, "meltano.yml", steps)
    after = path.read_bytes().decode()
    diff = difflib.unified_diff(text.splitlines(), after.splitlines(), n=0, lineterm="")
    return [one for one in diff if not one.startswith(("---", "+++", "@@"))], line


@pytest.mark.parametrize(
    ("steps", "value", "lines"),
    [
        ([*X, "config", "a"], 5, ["-        a: 1    # one", "+        a: 5    # one"]),
        ([*X, "config", "b"], "true", ["-        \"b\": 'two'", "+        \"b\": 'true'"]),
        ([*X, "config", "nested", "k"], None, ["-          k: v", "+          k: null"]),
        (
            [*X, "config", "nested", "new"],
            [1, {"a": 2}],
            ["+          new:", "+            - 1", "+            - a: 2"],
        ),
        ([*X, "config", "nested"], "flat", ["-        nested:", "-          k: v", "+        nested: flat"]),
        ([*X, "config", "new"], "x: y # z", ["+        new: 'x: y # z'"]),
        ([*X, "select"], ["a.*"], ["+      select:", "+        - a.*"]),
        ([*Y, "config", "new"], 1, ["+        new: 1"]),
        ([*Y, "select"], ["!a.*"], ['-      select: ["a.*"]', "+      select:", "+        - '!a.*'"]),
        (
            [*Z, "config", "text"],
            "one",
            ["-        text: |", "-          long", "-          text", "+        text: one"],
        ),
        (
            [*Z, "config", "folded"],
            1,
            ["-        folded: >-", "-          long", "-          text", "+        folded: 1"],
        ),
        (
            [*TARGET, "config", "x"],
            3,
            [
                "-    config: {x: 1, y: [1, 2]}  # on one line",
                "+    config: {x: 3, y: [1, 2]}  # on one line",
            ],
        ),
        ([*TARGET, "label"], "new", ["+    label: new"]),
        (
            [*entry_steps("extractors", "tap-x", "prod"), "config", "a"],
            3,
            ["-            a: 2", "+            a: 3"],
        ),
        (
            [*entry_steps("extractors", "tap-x", "dev"), "config", "a"],
            3,
            [
                "+  config:",
                "+    plugins:",
                "+      extractors:",
                "+        - name: tap-x",
                "+          config:",
                "+            a: 3",
            ],
        ),
        (
            [*entry_steps("extractors", "tap-y", "prod"), "config", "a"],
            3,
            ["+        - name: tap-y", "+          config:", "+            a: 3"],
        ),
    ],
)
def test_only_the_lines_of_the_key_change(
    tmp_path: Path, steps: list[Step], value: Any, lines: list[str]
) -> None:
    changed, line = change(tmp_path, FILE, steps, value)
    assert [one.rstrip() for one in changed] == lines
    assert line is not None
    assert str(steps[-1]) in (tmp_path / "meltano.yml").read_text().splitlines()[line - 1]


@pytest.mark.parametrize(
    ("steps", "lines"),
    [
        ([*X, "config", "a"], ["-        a: 1    # one"]),
        ([*X, "config", "nested", "k"], ["-        nested:", "-          k: v"]),
        ([*X, "config", "none"], []),
        ([*Y, "config"], ["-      config:"]),
        ([*Z, "config", "text"], ["-        text: |", "-          long", "-          text"]),
        (
            [*TARGET, "config", "x"],
            ["-    config: {x: 1, y: [1, 2]}  # on one line", "+    config: {y: [1, 2]}  # on one line"],
        ),
        (
            [*entry_steps("extractors", "tap-x", "prod"), "config", "a"],
            ["-          config:", "-            a: 2"],
        ),
    ],
)
def test_a_removed_key_takes_only_what_it_leaves_empty(
    tmp_path: Path, steps: list[Step], lines: list[str]
) -> None:
    assert change(tmp_path, FILE, steps)[0] == lines


ANCHORS = """\
plugins:
  extractors:
  - name: tap-x
    config: &shared
      a: 1
  - name: tap-y
    config: *shared
"""


@pytest.mark.parametrize("name", ["tap-x", "tap-y"])
def test_what_others_share_is_not_changed(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        change(tmp_path, ANCHORS, [*entry_steps("extractors", name, None), "config", "a"], 2)
    assert caught.value.message == (
        f"meltano.yml: 'plugins / extractors / {name} / config / a' cannot be changed without changing more, as an "
        "anchor is used there or the file is written in an unusual way."
    )
    assert (tmp_path / "meltano.yml").read_text() == ANCHORS


def test_line_ends_and_a_mark_at_the_beginning_stay(tmp_path: Path) -> None:
    text = "\ufeff" + FILE.replace("\n", "\r\n")
    change(tmp_path, text, [*X, "config", "new"], "multi\nline")
    after = (tmp_path / "meltano.yml").read_bytes().decode()
    assert after.startswith("\ufeff# my project\r\n")
    assert after.count("\n") == after.count("\r\n") == text.count("\n") + 1


@pytest.mark.parametrize("text", ["", "version: 1", "# nothing\n", "version: 1\nplugins:\n"])
def test_what_is_missing_is_made(tmp_path: Path, text: str) -> None:
    change(tmp_path, text, [*X, "config", "a"], 1)
    document = YAML(typ="safe").load((tmp_path / "meltano.yml").read_text())
    assert document["plugins"] == {"extractors": [{"name": "tap-x", "config": {"a": 1}}]}


def test_the_mode_of_the_file_stays_and_a_link_is_followed(tmp_path: Path) -> None:
    real = tmp_path / "real.yml"
    real.write_text(FILE)
    real.chmod(0o640)
    link = tmp_path / "meltano.yml"
    link.symlink_to(real)
    write_key(link, "meltano.yml", [*X, "config", "a"], 7)
    assert link.is_symlink()
    assert "a: 7" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o640


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    value=VALUES,
    steps=st.sampled_from(
        [[*X, "config", "a"], [*X, "config", "new"], [*Y, "config", "k"], [*TARGET, "config", "x"]]
    ),
)
def test_any_value_is_read_again_as_it_is_or_refused(tmp_path_factory, value: Any, steps: list[Step]) -> None:
    path = tmp_path_factory.mktemp("any") / "meltano.yml"
    path.write_text(FILE)
    try:
        write_key(path, "meltano.yml", steps, value)
    except ConfigError:
        assert path.read_text() == FILE
        assert "\\u" in json.dumps(value) or not _is_plain(value)
        return
    here = YAML(typ="safe", pure=True).load(path.read_text())
    for step in steps:
        here = here[step] if isinstance(step, str) else next(one for one in here if one["name"] == step.name)
    assert here == value


def _is_plain(value: Any) -> bool:
    """Whether YAML has no other word for it: keys such as "" or "?" need care that the editor may refuse to take."""
    if isinstance(value, dict):
        return all(key.isalnum() and _is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return not isinstance(value, str) or value.isalnum()
