"""`flow transform --debug`, and what the functions of a file print."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Command
from terminal import Terminal

SCHEMA = '{"type":"SCHEMA","stream":"issues","schema":{"properties":{"id":{"type":"integer"}}},"key_properties":["id"]}\n'
RECORDS = "".join(f'{{"type":"RECORD","stream":"issues","record":{{"id":{n}}}}}\n' for n in range(9))
STOPS = "def issues(df):\n    breakpoint()\n    return df.assign(seen=len(df))\n"
FAILS = "def issues(df):\n    print('called')\n    return df[df['nope'] > 1]\n"


PRINTS = """\
from flow_singer import transform

@transform(batch=True)
def issues(df):
    print("one", "two")
    print("th", end="")
    print("ree")
    print("four", end="", flush=True)
    return df
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "messages.jsonl").write_text(SCHEMA + RECORDS)
    return tmp_path


def _on_terminal(folder: Path, command: Command, functions: str, script: str) -> Terminal:
    (folder / "t.py").write_text(functions)
    return Terminal(script, columns=100, cwd=folder, env=command.env)


def test_a_breakpoint_has_the_terminal(folder: Path, command: Command) -> None:
    script = "flow transform --debug t.py < messages.jsonl > out.jsonl"
    with _on_terminal(folder, command, STOPS, script) as terminal:
        terminal.until(r"\(Pdb\)")
        terminal.press("sum(df['id']) * 1000\n")
        terminal.until("36000")
        terminal.press("c\n")
        assert terminal.end() == 0
        assert terminal.text.count("(Pdb)") == 2, "a breakpoint is met once"
    assert '{"id":8,"seen":9}' in (folder / "out.jsonl").read_text()


@pytest.mark.parametrize("keys", ["q\n", "\x03"])
def test_the_debugger_is_left(folder: Path, command: Command, keys: str) -> None:
    script = "flow transform --debug t.py < messages.jsonl > out.jsonl"
    with _on_terminal(folder, command, STOPS, script) as terminal:
        terminal.until(r"\(Pdb\)")
        terminal.press(keys)
        assert terminal.end() == 130
        assert terminal.text.endswith("Stopped.")
        assert "Error" not in terminal.text
    assert '"end":"ok"' not in (folder / "out.jsonl").read_text()


def test_a_function_that_fails_is_called_once(folder: Path, command: Command) -> None:
    script = "flow transform --debug t.py < messages.jsonl > out.jsonl"
    with _on_terminal(folder, command, FAILS, script) as terminal:
        assert terminal.end() == 65
        assert terminal.text.count("called") == 1


def test_debug_without_a_terminal(folder: Path, command: Command) -> None:
    (folder / "t.py").write_text(STOPS)
    result = command.shell("setsid --wait flow transform --debug t.py < messages.jsonl", folder)
    assert (result.code, result.stdout) == (2, b"")
    assert "Error: --debug needs a terminal, and there is none.\nIn a terminal: " in result.stderr


def test_a_breakpoint_without_debug_says_what_to_do(folder: Path, command: Command) -> None:
    (folder / "t.py").write_text(STOPS)
    result = command.shell("flow transform t.py < messages.jsonl", folder)
    assert result.code == 65
    assert "breakpoint() has no terminal here" in result.stderr
    assert "flow transform --debug t.py < messages.jsonl" in result.stderr
    assert result.stderr.count("(Pdb)") == 1, "no row is looked for"


def test_printed_lines_do_not_meet_the_live_line(folder: Path, command: Command) -> None:
    later = "{ head -n 2 messages.jsonl; sleep 1; tail -n 1 messages.jsonl; }"  # the line is drawn in between
    script = f"{later} | flow transform --batch-records 1 t.py:issues > out.jsonl"
    with _on_terminal(folder, command, PRINTS, script) as terminal:
        assert terminal.end() == 0
        lines = terminal.text.splitlines()
    printed = ["one two", "three", "fourone two", "three", "four"]
    assert [line for line in lines if line in printed] == printed
