"""Markdown pages as a reader uses them: files are written, commands are run, their output is compared.

A block is told apart by its language, and by an HTML comment on the line before it:

    <!-- file: t.py -->       the block is that file
    <!-- exit: 65 -->         the command ends with that code; 0 without it
    <!-- not run: reason -->  nothing is done

A ```console block holds `$ command` lines and what they print, stdout and stderr together; `…` stands for any
text, and a line of its own for any lines. The times that lines of a run begin with are left out. A ```bash block is run as it stands; its output is not looked at.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from command import TIME, Command

ROOT = Path(__file__).resolve().parent.parent
_FENCE = re.compile(
    r"^(?:<!-- (file|exit|not run): (.*?) -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    text: str
    note: str = ""
    value: str = ""
    line: int = 0

    @property
    def is_run(self) -> bool:
        return self.language in ("console", "bash") and self.note != "not run"


def pages() -> list[Path]:
    """Every page that a person reads."""
    top = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
    return top + [page for folder in ("docs", "examples") for page in sorted((ROOT / folder).rglob("*.md"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        note, value, language, content = match.groups(default="")
        yield Block(language, content, note, value, text.count("\n", 0, match.start()) + 1)


def follow(page: Path, command: Command, folder: Path) -> None:
    """Do what a page says, in `folder`; a `cd` holds until the end of the page.

    Raises:
        AssertionError: a command ends otherwise, or prints something else, than the page says.
    """
    first, _, rest = command.env["PATH"].partition(":")
    env = {"PATH": f"{first}:{Path(sys.executable).parent}:{rest}"}
    for block in blocks(page):
        if block.note == "file":
            path = folder / block.value
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
            if block.text.startswith("#!"):
                path.chmod(0o755)
        elif block.is_run:
            code = int(block.value) if block.note == "exit" else 0
            for script, output in _commands(block):
                place = f"{name_of(page)}:{block.line}: {script}"
                folder = _run(script, output, code, place, command, folder, env)


def _commands(block: Block) -> Iterator[tuple[str, str | None]]:
    if block.language == "bash":
        yield block.text, None
        return
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines(keepends=True)
        end = next(i for i, line in enumerate(lines) if not line.endswith("\\\n")) + 1
        yield "".join(lines[:end]), "".join(lines[end:])


def _run(
    script: str,
    output: str | None,
    code: int,
    place: str,
    command: Command,
    folder: Path,
    env: dict[str, str],
) -> Path:
    told = command.env["TMPDIR"] + "/cwd"
    wrapped = f"exec 2>&1\ntrap 'pwd > {shlex.quote(told)}' EXIT\n{script}"
    result = command.shell(wrapped, folder, env=env, timeout_s=120)
    said = TIME.sub("", result.stdout.decode().replace("\r\n", "\n"))
    assert result.code == code, f"{place}\nended with {result.code}, not {code}:\n{said}"
    if output is not None:
        assert re.fullmatch(_pattern(output), said), f"{place}\nprints:\n{said}\nand the page says:\n{output}"
    return Path(Path(told).read_text().strip())


def _pattern(output: str) -> re.Pattern[str]:
    lines = [
        r"(?:.*\n)*?" if line.strip() == "…" else re.escape(line.rstrip()).replace("…", ".*?") + r" *\n"
        for line in output.splitlines()
    ]
    return re.compile("".join(lines))
