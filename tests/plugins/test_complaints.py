"""Whether what a program says is a mistake is told from what programs really say: `complaints/`."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flow_singer.plugins.complaints import is_mistake_in_requirements, is_mistake_in_settings

HERE = Path(__file__).parent / "complaints"


def samples(name: str) -> list[tuple[str, str]]:
    """Title and text of each block of a file."""
    blocks = re.split(r"^== ", (HERE / name).read_text(encoding="utf-8"), flags=re.M)[1:]
    return [(title, text.strip("\n")) for title, _, text in (block.partition("\n") for block in blocks)]


@pytest.mark.parametrize(
    ("title", "said"), [pytest.param(*one, id=one[0].replace(" ", "-")) for one in samples("uv.txt")]
)
def test_what_uv_says(title: str, said: str) -> None:
    assert is_mistake_in_requirements(said) == title.startswith("2: ")


@pytest.mark.parametrize(
    ("title", "said"), [pytest.param(*one, id=one[0].replace(" ", "-")) for one in samples("plugins.txt")]
)
def test_what_plugins_say(title: str, said: str) -> None:
    kind, code = title.partition(":")[0].split()
    assert is_mistake_in_settings(int(code), said.splitlines()) == (kind == "mistake")
