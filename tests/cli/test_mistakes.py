"""Mistakes that people make, each with the whole message that it gets: what, where, the next step, said once.

They are typed into the project of `mistakes/project.txt`. A file of `mistakes/` holds those of one subject:

    == What somebody did wrong
    -- t.py
    def issues(df):             # a file that is there beside those of the project, or in place of one
        return df[
    $ flow run tap-demo t.py target-csv
    Error: …                    # all that a person is told (stderr)
    [65]                        # the exit code; of a pipe, that of each command

To add some, write titles, files and commands, and run with FLOW_TEST_WRITE_MISTAKES=1: it fills in the rest, to be
read aloud. `…` stands for what differs from run to run.
"""

from __future__ import annotations

import os
import re
import shlex
import stat
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import TIME, Command
from projects import FIXTURES, script

HERE = Path(__file__).parent / "mistakes"
WRITES = os.environ.get("FLOW_TEST_WRITE_MISTAKES") == "1"
AT_LEAST = 50

PROGRAMS = {
    "tap-orders": "taps/counts.py",
    "tap-shop": "taps/selectable.py",
    "tap-typed": "taps/declares.py",
    "target-rows": "targets/durable.py",
}
"""What stands in `bin/` of the project."""

VARYING = [
    (r"(?<=, run )[0-9a-f]{8}(?=\.)", "…"),
    (r"(?<=, )[\d.]+ k?B(?= in )", "… B"),
    (r"\d+\.\d s \([\d,]+ records?/s\)", "… s (… records/s)"),
    (r"(?<= )[\d,]+/s$", "…/s"),
    (r"(?<=logs/flow/)\S+(?=\.log)", "…"),
    (r"(?<=Commands: ).*(?=\.$)", "…"),
    (r"(?<=process )\d+", "…"),
    (r"\b\d+ s(?= at most)", "… s"),
]


@dataclass(frozen=True)
class Mistake:
    """One block of a file.

    Attributes:
        title: what somebody did wrong.
        files: that are there, by name.
        command: as it was typed.
        seen: what a person is told, with the exit code in its last line.
    """

    title: str
    files: dict[str, str]
    command: str
    seen: str

    def __str__(self) -> str:
        files = "".join(f"-- {name}\n{text}" for name, text in self.files.items())
        command = f"$ {self.command}\n" if self.command else ""
        return f"== {self.title}\n{files}{command}{self.seen}"


def read_mistakes(file: Path) -> list[Mistake]:
    """The blocks of a file."""
    found = []
    for block in re.split(r"^== ", file.read_text(encoding="utf-8"), flags=re.M)[1:]:
        title, _, rest = block.partition("\n")
        told, _, typed = f"\n{rest}".partition("\n$ ")
        files = {}
        for part in re.split(r"^-- ", told.removeprefix("\n"), flags=re.M)[1:]:
            name, _, text = part.partition("\n")
            files[name] = text if text.endswith("\n") or not text else text + "\n"
        command, _, seen = typed.partition("\n")
        found.append(Mistake(title, files, command, seen.strip("\n") + "\n"))
    return found


FILES = [file for file in sorted(HERE.glob("*.txt")) if file.name != "project.txt"]
MISTAKES = [(file, mistake) for file in FILES for mistake in read_mistakes(file)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder in which the mistakes are made."""
    for name, source in PROGRAMS.items():
        script(tmp_path / "bin", name, FIXTURES / source)
    for part in read_mistakes(HERE / "project.txt"):
        write_files(tmp_path, part.files)
    return tmp_path


def write_files(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        if name.endswith("/"):
            path.mkdir(parents=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("→", "\t"), encoding="utf-8")
        if text.startswith("#!"):
            path.chmod(path.stat().st_mode | stat.S_IXUSR)


def type_in(command: Command, folder: Path, typed: str) -> str:
    """Run what was typed; what each command of a pipe says on stderr stands in their order."""
    parts = re.split(r""" \| (?=(?:[^"']*["'][^"']*["'])*[^"']*$)""", typed)  # not those in quotes
    told = [Path(command.env["TMPDIR"]) / f"told-{number}" for number in range(len(parts))]
    pipe = " | ".join(
        f"{{ {part}\n}} 2> {shlex.quote(str(file))}" for part, file in zip(parts, told, strict=True)
    )
    result = command.shell(f'{pipe}\necho "[${{PIPESTATUS[*]}}]" >&2', folder)
    said = "".join(file.read_bytes().decode() for file in told)  # read_text makes a line of each \r
    said = TIME.sub("", re.sub(r"\x1b\[\d*[A-Za-z]|\r", "", said)) + result.stderr
    said = said.replace(str(folder), "PROJECT")
    for pattern, name in VARYING:
        said = re.sub(pattern, name, said, flags=re.M)
    return said


@pytest.mark.parametrize(("file", "mistake"), MISTAKES, ids=[mistake.title for _, mistake in MISTAKES])
def test_a_mistake_gets_its_whole_message(
    project: Path, command: Command, file: Path, mistake: Mistake
) -> None:
    write_files(project, mistake.files)
    seen = type_in(command, project, mistake.command)
    if WRITES:
        text = file.read_text(encoding="utf-8")
        blocks = [
            Mistake(one.title, one.files, one.command, seen) if one.title == mistake.title else one
            for one in read_mistakes(file)
        ]
        head = text[: text.index("== ")]
        file.write_text(head + "\n".join(map(str, blocks)), encoding="utf-8")
    else:
        assert seen == mistake.seen


@pytest.mark.skipif(WRITES, reason="the messages are being written")
@pytest.mark.parametrize("mistake", [one for _, one in MISTAKES], ids=lambda one: one.title)
def test_a_message_says_what_and_the_next_step_once(mistake: Mistake) -> None:
    *lines, codes = mistake.seen.splitlines()
    assert re.fullmatch(r"\[\d+( \d+)*\]", codes), codes
    assert "Traceback" not in mistake.seen
    assert "1" not in codes.strip("[]").split(), "a fault in Flow"
    said = Counter(line for line in lines if len(line) > 20)
    assert not [line for line, times in said.items() if times > 1], "said twice"
    errors = [number for number, line in enumerate(lines) if line.startswith("Error: ")]
    failed = [code for code in codes.strip("[]").split() if code not in ("0", "66")]
    assert len(errors) <= max(1, len(failed))
    assert bool(errors) == bool(failed), "an error for a failure, and none without one"
    for number in errors:
        assert lines[number + 1 : number + 2], f"no next step: {lines[number]}"
    assert not re.search(r"(?<!\d)1 (records|streams|seconds|rows|columns|rejects|names)\b", mistake.seen)


def test_there_are_enough_of_them_and_each_has_a_title_of_its_own() -> None:
    titles = Counter(mistake.title for _, mistake in MISTAKES)
    assert len(titles) >= AT_LEAST
    assert [title for title, times in titles.items() if times > 1] == []
