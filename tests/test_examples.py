"""Each example does what its README says, and makes what lies in its folder `expected/`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from command import Command
from pages import ROOT, blocks, follow

EXAMPLES = sorted(page.parent for page in (ROOT / "examples").glob("*/meltano.yml"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda folder: folder.name)
def test_example_makes_what_it_shows(example: Path, command: Command) -> None:
    folder = command.cwd / example.name
    shutil.copytree(example, folder, ignore=shutil.ignore_patterns(".meltano", "output", "package", "*.log"))
    shutil.rmtree(folder / "expected", ignore_errors=True)
    follow(example / "README.md", command, folder)
    for head in filter(Path.is_file, (example / "expected").rglob("*")):
        made = (folder / head.relative_to(example / "expected")).read_bytes().replace(b"\r\n", b"\n")
        wanted = head.read_bytes().splitlines()
        assert made.splitlines()[: len(wanted)] == wanted, head.name


def test_every_example_is_complete() -> None:
    assert len(EXAMPLES) >= 5
    for example in EXAMPLES:
        assert (example / "README.md").is_file(), example.name
        assert list(example.glob("*.py")), example.name
        shown = [block for block in blocks(example / "README.md") if block.language == "console"]
        assert shown or (example / "expected").is_dir(), example.name
