"""Whatever a user's code raises is an error of the user's file: exit code 65, the place, no traceback."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from command import Command
from pushed import INTEGER, functions_of, push, records, schema

from flow_singer.errors import TransformError
from flow_singer.transforms.raised import MOST_CHARACTERS, describe_exception, readable

SCHEMA = schema("s", {"id": {"type": "integer"}, "n": INTEGER}, ["id"])
DATA = SCHEMA + records("s", [{"id": i, "n": i * 10} for i in range(1, 5)])

HEAD = """
import sys
from flow_singer import transform, FlowError
from flow_singer.errors import ConfigError, TransformError

class Odd(BaseException):
    pass

class Mute(Exception):
    def __str__(self):
        raise KeyboardInterrupt

class Wrong(Exception):
    def __str__(self):
        return 5
"""

RAISED = {
    "ValueError('x')": "ValueError: x.",
    "BaseException('x')": "BaseException: x.",
    "Odd('x')": "Odd: x.",
    "GeneratorExit('x')": "GeneratorExit: x.",
    "GeneratorExit": "GeneratorExit.",
    "KeyboardInterrupt": "KeyboardInterrupt.",
    "StopIteration('x')": "StopIteration: x.",
    "StopAsyncIteration": "StopAsyncIteration.",
    "SystemExit": "SystemExit.",
    "SystemExit(0)": "SystemExit: 0.",
    "SystemExit('x')": "SystemExit: x.",
    "MemoryError": "MemoryError.",
    "BrokenPipeError(32, 'x')": "BrokenPipeError: [Errno 32] x.",
    "OSError(28, 'x')": "OSError: [Errno 28] x.",
    "BaseExceptionGroup('x', [KeyboardInterrupt()])": "BaseExceptionGroup: x (1 sub-exception).",
    "FlowError('x')": "FlowError: x.",
    "ConfigError('x')": "ConfigError: x.",
    "TransformError('x')": "TransformError: x.",
    "Mute": "Mute: (its text cannot be made: KeyboardInterrupt).",
    "Wrong": "Wrong: (its text cannot be made: TypeError).",
    "ValueError('\\ud800')": "ValueError: \\ud800.",
    "ValueError('x' * 10_000_000)": "x… (10,000,000 characters).",
}

WAYS = {
    "batch": "def s(df):\n    raise {}\n",
    "generator": "def s(df):\n    yield {{'id': 1}}\n    raise {}\n",
    "returned-generator": "def s(df):\n    def rows():\n        yield {{'id': 1}}\n        raise {}\n    return rows()\n",
    "fan-out": "def s(df):\n    def rows():\n        raise {}\n        yield\n    return {{'s': df, 'more': rows()}}\n",
    "iter": "class Rows:\n    def __iter__(self):\n        raise {}\ndef s(df):\n    return Rows()\n",
    "property": "class Rows:\n    @property\n    def __class__(self):\n        raise {}\ndef s(df):\n    return Rows()\n",
    "applied": "def s(df):\n    def f(v):\n        raise {}\n    return df.assign(n=df['n'].map(f))\n",
    "rows": "def s(row):\n    raise {}\n",
    "rows-generator": "def s(row):\n    yield row\n    raise {}\n",
    "rows-property": "class Rows:\n    @property\n    def __iter__(self):\n        raise {}\ndef s(row):\n    return Rows()\n",
    "whole": "@transform(whole=True)\ndef s(df):\n    raise {}\n",
    "package": "def transform(package):\n    raise {}\n",
    "package-generator": "def transform(package):\n    def rows():\n        yield {{'id': 1}}\n        raise {}\n    return {{'s': rows()}}\n",
}


PLAIN = [WAYS[name] for name in ("batch", "applied", "rows", "whole", "package")]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("raised", "said"), RAISED.items(), ids=[one[:30] for one in RAISED])
def test_the_error_names_the_place(tmp_path: Path, way: str, raised: str, said: str) -> None:
    if raised.startswith("StopIteration") and way not in PLAIN:
        said = "generator raised StopIteration."  # as Python has it
    if way is WAYS["property"] and raised.startswith("Mute"):
        pytest.skip("isinstance() itself hides it")
    functions = functions_of(HEAD + way.format(raised), tmp_path)
    with pytest.raises(TransformError) as failure:
        push(functions, DATA)
    message = failure.value.message
    assert message.startswith("t.py, line ")
    assert f"function '{functions[0].name}', stream 's': " in message
    assert said in message
    assert len(message) < MOST_CHARACTERS + 300
    message.encode()
    str(failure.value.hint).encode()


@pytest.mark.parametrize(
    "way",
    [
        WAYS["batch"],
        WAYS["returned-generator"],
        WAYS["rows"],
        WAYS["whole"],
        "raise {}\ndef s(df):\n    return df\n",
    ],
)
@pytest.mark.parametrize(
    "raised",
    [
        "KeyboardInterrupt",
        "SystemExit(0)",
        "GeneratorExit",
        "Odd('x')",
        "Mute",
        "ValueError('\\ud800' * 99999)",
    ],
)
def test_the_command_ends_with_65_without_a_traceback(command: Command, way: str, raised: str) -> None:
    (command.cwd / "t.py").write_text(HEAD + way.format(raised))
    result = command.flow("transform", "t.py", stdin=DATA)
    assert result.code == 65, result.stderr
    assert "t.py, line " in result.stderr
    assert "Traceback" not in result.stderr
    assert "fault in Flow" not in result.stderr
    assert len(result.stderr) < 10_000
    if result.messages:
        assert result.messages[-1]["_flow"]["end"] == "failed"


@pytest.mark.parametrize(("raised", "said"), RAISED.items(), ids=[one[:30] for one in RAISED])
def test_a_file_that_raises_when_it_is_imported_says_its_line(tmp_path: Path, raised: str, said: str) -> None:
    with pytest.raises(TransformError, match=r"t\.py, line \d+: ") as failure:
        functions_of(f"{HEAD}raise {raised}\n", tmp_path)
    assert said.removesuffix(".") in failure.value.message
    failure.value.message.encode()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("eval('1 +')\n", "line 1: invalid syntax: 1 +"),
        ("raise SyntaxError('odd')\n", "t.py, line 3: SyntaxError: odd"),
        ("raise SyntaxError('odd', ('\\ud800', 1, 1, None))\n", "line 1: odd"),
        ("X = '\\0'\nexec('\\0')\n", "source code string cannot contain null bytes"),
    ],
)
def test_a_syntax_error_of_any_kind_is_told(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TransformError) as failure:
        functions_of(text, tmp_path)
    assert said in failure.value.message
    failure.value.message.encode()


def test_an_object_of_the_file_that_cannot_be_looked_at_does_no_harm(tmp_path: Path) -> None:
    text = "class Lazy:\n    @property\n    def __class__(self):\n        raise RuntimeError('outside')\nlazy = Lazy()\ndef s(df):\n    return df\n"
    assert [one.name for one in functions_of(text, tmp_path)] == ["s"]


def test_a_rows_function_that_raises_is_a_reject_of_its_record(tmp_path: Path) -> None:
    text = HEAD + "def s(row):\n    if row['id'] % 2:\n        raise Odd('x')\n    return row\n"
    out = push(functions_of(text, tmp_path), DATA, reject=True)
    assert [row["id"] for row in out.records("s")] == [2, 4]
    assert [number for number, *_ in out.rejects] == [2, 4]


def test_a_column_that_is_no_unicode_does_not_hide_the_error(command: Command) -> None:
    (command.cwd / "t.py").write_text("def s(row):\n    return row['gone']\n")
    data = schema("s", {"id": INTEGER}) + records("s", [{"id": 1, "\ud800": 1}])
    result = command.flow("transform", "t.py", stdin=data)
    assert result.code == 65, result.stderr
    assert "KeyError: 'gone'" in result.stderr


def test_describing_is_short_and_encodable() -> None:
    assert describe_exception(ValueError()) == "ValueError"
    assert describe_exception(KeyError("x")) == "KeyError: 'x'"
    assert readable("a\ud800b") == "a\\ud800b"


SWALLOWS = "import time\ndef s(df):\n    print('ready', flush=True)\n    for _ in range(2):\n        try:\n            time.sleep(30)\n        except BaseException:\n            pass\n    return df\n"
REPLACES = SWALLOWS.replace("pass", "raise ValueError('stopped')")
SLEEPS = "import time\ndef s(df):\n    print('ready', flush=True)\n    time.sleep(60)\n    return df\n"


@pytest.mark.parametrize("text", [SLEEPS, SWALLOWS, REPLACES], ids=["sleeps", "swallows", "replaces"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_interruption_is_still_one(command: Command, text: str, number: int, code: int) -> None:
    (command.cwd / "t.py").write_text(text)
    process = command.start("transform", "t.py", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stderr is not None
    process.stdin.write(DATA)
    process.stdin.close()
    while b"ready" not in process.stderr.readline():
        pass
    process.send_signal(number)
    assert process.wait(30) == code
    assert b"Traceback" not in process.stderr.read()
