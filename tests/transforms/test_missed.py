"""Functions whose stream never came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from command import Command
from projects import write_project
from pushed import INTEGER, functions_of, record, records, schema, state

from flow_singer.singer.marks import Header, Trailer, add_mark
from flow_singer.transforms.missed import describe_missed, missed_functions, near_streams

SCHEMA = schema("issues", {"id": {"type": "integer"}, "n": INTEGER}, ["id"])
ROWS = records("issues", [{"id": i, "n": i} for i in range(3)])
OTHER = schema("users", {"id": INTEGER}) + record("users", {"id": 1})
MISNAMED = "def isues(df):\n    return df.head(0)\n"
GOOD = "def issues(df):\n    return df\n"


def write(command: Command, text: str, name: str = "t.py") -> str:
    (command.cwd / name).write_text("from flow_singer import transform\n" + text)
    return name


@pytest.fixture
def project(command: Command) -> Command:
    tap = {"script": "says.py", "config": {"stdout": (SCHEMA + ROWS + OTHER).decode()}}
    write_project(command.cwd, taps={"tap-x": tap})
    return command


def test_a_misnamed_function_stops_a_supervised_run_and_keeps_the_package(project: Command) -> None:
    good = project.flow("run", "tap-x", write(project, GOOD), "out/")
    assert good.code == 0, good.stderr
    before = (project.cwd / "out" / "datapackage.json").read_bytes()
    result = project.flow(
        "run", "tap-x", write(project, GOOD + MISNAMED + "def users(df):\n    return df\n"), "out/"
    )
    assert result.code == 65
    assert "t.py:4, function 'isues': no stream 'isues' came." in result.stderr
    assert "--no-strict" in result.stderr
    assert (project.cwd / "out" / "datapackage.json").read_bytes() == before


def test_a_near_name_is_suggested_in_the_error_and_in_the_warning(project: Command) -> None:
    file = write(project, MISNAMED)
    said = "no stream 'isues' came. Did you mean 'issues'? Streams that came: issues, users."
    failed = project.flow("run", "tap-x", file, "out/")
    assert (failed.code, said in failed.stderr) == (65, True)
    assert not (project.cwd / "out").exists()
    told = project.flow("run", "tap-x", file, "out/", "--no-strict")
    assert (told.code, said in told.stderr) == (0, True)


@pytest.mark.parametrize("variable", ["FLOW_RUN_STRICT", "FLOW_TRANSFORM_STRICT"])
def test_variables_let_it_pass_likewise(project: Command, variable: str) -> None:
    result = project.flow("run", "tap-x", write(project, MISNAMED), "out/", env={variable: "0"})
    assert result.code == 0, result.stderr


@pytest.mark.parametrize("words", [["tap-x"], ["tap-x", "out/"]])
@pytest.mark.parametrize("flag", ["--strict", "--no-strict"])
def test_the_option_is_refused_where_it_would_do_nothing(
    project: Command, words: Sequence[str], flag: str
) -> None:
    result = project.flow("run", *words, flag)
    assert result.code == 2
    assert f"{flag} is about functions" in result.stderr
    assert project.flow("run", *words, env={"FLOW_RUN_STRICT": "1"}).code == 0


def test_no_bookmark_moves_past_what_a_misnamed_function_let_wait(command: Command) -> None:
    write_project(
        command.cwd,
        taps={
            "tap-x": {"script": "says.py", "config": {"stdout": (SCHEMA + ROWS + state({"a": 1})).decode()}}
        },
        targets={"target-x": {"script": "durable.py"}},
    )
    text = GOOD + "def isues(df):\n    return df\n"
    result = command.flow("run", "tap-x", write(command, text), "target-x")
    assert result.code == 65, result.stderr
    assert "Bookmark" not in result.stderr.replace("Bookmarks", "")


BARE = {
    "alone": (MISNAMED, SCHEMA + ROWS, 65),
    "two-of-two": (MISNAMED + "def uesrs(df):\n    return df\n", SCHEMA + ROWS + OTHER, 65),
    "one-of-two": (MISNAMED + "def users(df):\n    return df\n", SCHEMA + ROWS + OTHER, 0),
    "pattern": ("@transform('isu*')\ndef f(df):\n    return df\n", SCHEMA + ROWS, 65),
    "whole": ("@transform('isues', 'usrs', whole=True)\ndef f(a, b):\n    return a\n", SCHEMA + OTHER, 65),
    "rows": ("def isues(row):\n    return row\n", SCHEMA + ROWS, 65),
    "package": ("def transform(package):\n    return package\n", SCHEMA + ROWS, 0),
    "nothing-came": (MISNAMED, state(1), 0),
    "helpers-only": ("def main():\n    return 1\n", SCHEMA + ROWS, 65),
    "used-by-main": (MISNAMED + "if __name__ == '__main__':\n    isues(None)\n", SCHEMA + ROWS, 65),
}


@pytest.mark.parametrize(("text", "data", "code"), BARE.values(), ids=BARE)
def test_in_a_bare_pipe_a_file_that_met_no_stream_is_an_error(
    command: Command, text: str, data: bytes, code: int
) -> None:
    result = command.flow("transform", write(command, text), stdin=data)
    assert result.code == code, result.stderr
    if code:
        assert "no stream" in result.stderr
        trailer = result.messages[-1]["_flow"]
        assert (trailer["end"], trailer["code"]) == ("failed", 65)
        assert command.flow("transform", "t.py", "--no-strict", stdin=data).code == 0


def test_each_file_of_several_must_meet_a_stream(command: Command) -> None:
    one, two = write(command, GOOD, "one.py"), write(command, MISNAMED, "two.py")
    result = command.flow("transform", one, two, stdin=SCHEMA + ROWS)
    assert result.code == 65
    assert "two.py:2, function 'isues'" in result.stderr


def test_what_waits_is_not_written_when_a_function_is_missed(command: Command) -> None:
    text = GOOD + MISNAMED
    result = command.flow("transform", write(command, text), "--strict", stdin=SCHEMA + ROWS + state(1))
    assert result.code == 65
    assert not [message for message in result.messages if message["type"] in ("RECORD", "STATE")]


def resumed(*streams: str) -> bytes:
    lines = [add_mark(SCHEMA[:-1], Header("run", resumed=streams)) + b"\n", *ROWS.splitlines(True)]
    end = Trailer("run", ok=True, lines=len(lines), records={"issues": 3})
    return b"".join([*lines, add_mark(SCHEMA[:-1], end) + b"\n"])


def test_a_stream_that_the_run_continues_may_bring_nothing(command: Command) -> None:
    text = GOOD + "def users(df):\n    return df\n"
    result = command.flow("transform", write(command, text), "--strict", stdin=resumed("issues", "users"))
    assert result.code == 0, result.stderr
    assert "came" not in result.stderr
    assert command.flow("transform", "t.py", "--strict", stdin=resumed("issues")).code == 65


def test_so_may_what_another_file_makes_of_it(command: Command) -> None:
    one = write(command, GOOD + "@transform('users', into='people')\ndef f(df):\n    return df\n", "one.py")
    two = write(command, GOOD + "def people(df):\n    return df\n", "two.py")
    result = command.flow("transform", one, two, "--strict", stdin=resumed("issues", "users"))
    assert result.code == 0, result.stderr


HELPERS = {
    "decorator": "def timed(f):\n    return f\n@timed\ndef issues(df):\n    return df\n",
    "registry": "def timed(df):\n    return df\nSTEPS = [timed]\n" + GOOD,
    "method": "def timed(df):\n    return df\nclass A:\n    def go(self, df):\n        return timed(df)\n"
    + GOOD,
    "in-class": "def timed(df):\n    return df\nclass A:\n    step = timed\n" + GOOD,
    "default": "def timed(df):\n    return df\ndef issues(df, step=timed):\n    return step(df)\n",
    "lambda": "def timed(df):\n    return df\n_step = lambda df: timed(df)\n" + GOOD,
    "no-parameter": "def timed():\n    return 1\n" + GOOD,
    "two-parameters": "def timed(a, b):\n    return a\n" + GOOD,
    "keyword-only": "def timed(df, *, level):\n    return df\n" + GOOD,
}


@pytest.mark.parametrize("text", HELPERS.values(), ids=HELPERS)
def test_what_the_rest_of_the_file_uses_is_no_missed_function(tmp_path: Path, text: str) -> None:
    assert missed_functions(functions_of(text, tmp_path), ["issues"]) == []


@pytest.mark.parametrize(
    "text",
    [
        GOOD + "def timed(df):\n    return df\n",
        GOOD + "def timed(df, level=1):\n    return df\n",
        GOOD + "def timed(df=None):\n    return df\n",
        GOOD + "def timed(*frames):\n    return frames\n",
        GOOD + "def timed(df):\n    return timed(df)\n",
        GOOD + "def timed(df):\n    return df\nif __name__ == '__main__':\n    timed(1)\n",
        "@transform('timed')\ndef f(df):\n    return df\ndef issues(df):\n    return f(df)\n",
    ],
)
def test_what_may_be_there_for_a_stream_is_missed(tmp_path: Path, text: str) -> None:
    (one,) = missed_functions(functions_of(text, tmp_path), ["issues"])
    assert one.streams == ("timed",)


@pytest.mark.parametrize(
    ("name", "came", "near"),
    [
        ("isues", ["issues", "users"], ["issues"]),
        ("issue", ["issues"], ["issues"]),
        ("public_order", ["public-orders"], ["public-orders"]),
        ("issues_", ["Issues"], ["Issues"]),
        ("events", ["issues"], []),
        ("isues", [], []),
    ],
)
def test_near_names(tmp_path: Path, name: str, came: list[str], near: list[str]) -> None:
    functions = functions_of(f"def {name}(df):\n    return df\n", tmp_path)
    assert near_streams(functions[0], functions, came) == near


def test_a_stream_that_has_its_function_is_not_suggested(tmp_path: Path) -> None:
    functions = functions_of(GOOD + "def issuer(df):\n    return df\n", tmp_path)
    assert "Did you mean" not in describe_missed(functions[1], functions, ["issues"])


def test_many_streams_are_not_all_named(tmp_path: Path) -> None:
    functions = functions_of(MISNAMED, tmp_path)
    said = describe_missed(functions[0], functions, [f"s{i:03}" for i in range(1000)])
    assert len(said) < 400
    assert said.endswith("s029, ….")


def test_state_of_a_stream_that_nothing_takes_is_as_it_came(command: Command) -> None:
    result = command.flow("transform", write(command, MISNAMED), "--plain", stdin=state({"a": 1.10}))
    assert json.loads(result.stdout) == {"type": "STATE", "value": {"a": 1.10}}
