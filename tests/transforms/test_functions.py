"""The functions of a user's file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pushed import functions_of

from flow_singer import transform
from flow_singer.errors import ConfigError, TransformError
from flow_singer.transforms.functions import function_for, load_functions


def test_a_decorated_function_stays_an_ordinary_function() -> None:
    @transform("issues", whole=True)
    def double(value: int) -> int:
        return value * 2

    assert double(2) == 4
    assert double.__name__ == "double"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"whole": True, "rows": True}, "exclude"),
        ({"batch": True, "rows": True}, "exclude"),
        ({"key": "id"}, r'key=\["id"\]'),
    ],
)
def test_contradicting_arguments_are_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(TypeError, match=said):
        transform("s", **options)  # type: ignore[arg-type]


def test_public_functions_of_the_file_itself_are_used_in_order(tmp_path: Path) -> None:
    text = "from json import dumps\ndef b(df):\n    return df\ndef _hidden(df):\n    return df\ndef a(df):\n    return df\nclass C:\n    pass\n"
    assert [one.name for one in functions_of(text, tmp_path)] == ["b", "a"]


@pytest.mark.parametrize(
    ("text", "mode"),
    [
        ("def s(df):\n    return df\n", "batch"),
        ("def s(row):\n    return row\n", "rows"),
        ("def transform(package):\n    return package\n", "package"),
        ("@transform(whole=True)\ndef s(df):\n    return df\n", "whole"),
        ("@transform(rows=True)\ndef s(anything):\n    return anything\n", "rows"),
    ],
)
def test_mode_of_a_function(tmp_path: Path, text: str, mode: str) -> None:
    (one,) = functions_of(text, tmp_path)
    assert one.mode == mode
    assert one.check_split is (mode in ("batch", "whole"))


def test_a_name_wins_over_a_pattern_and_both_over_the_package(tmp_path: Path) -> None:
    text = "@transform('s*')\ndef any_(df):\n    return df\ndef s1(df):\n    return df\ndef transform(package):\n    return package\n"
    functions = functions_of(text, tmp_path)
    chosen = [function_for(name, functions) for name in ("s1", "s2", "x")]
    assert [one.name for one in chosen if one] == ["s1", "any_", "transform"]


NAMED = {
    "def": "def s(df):\n    return df\n",
    "lambda": "s = lambda df: df\n",
    "partial": "from functools import partial\ndef _f(df, n):\n    return df\ns = partial(_f, n=1)\n",
    "assigned": "def _f(df):\n    return df\ns = _f\n",
    "wrapped": "def _d(f):\n    def wrapper(*a):\n        return f(*a)\n    return wrapper\n@_d\ndef s(df):\n    return df\n",
    "wrapped-elsewhere": "from plain_wrapper import d\n@d\ndef s(df):\n    return df\n",
    "declared-name": "@transform()\ndef s(df):\n    return df\n",
}


@pytest.mark.parametrize("text", NAMED.values(), ids=NAMED)
def test_a_function_has_the_name_that_the_file_gives_it(tmp_path: Path, text: str) -> None:
    (tmp_path / "plain_wrapper.py").write_text(
        "def d(f):\n    def wrapper(*a):\n        return f(*a)\n    return wrapper\n"
    )
    (one,) = functions_of(text, tmp_path)
    assert (one.name, one.streams) == ("s", ("s",))
    assert one.line >= 3
    assert one.takes("s")


def test_a_function_with_two_names_takes_two_streams(tmp_path: Path) -> None:
    functions = functions_of("def s(df):\n    return df\nu = s\n", tmp_path)
    assert [one.name for one in functions] == ["s", "u"]
    assert function_for("u", functions) is functions[1]


def test_a_file_named_like_a_module_does_not_replace_it(tmp_path: Path) -> None:
    path = tmp_path / "json.py"
    path.write_text("def s(df):\n    return df\n")
    import sys

    load_functions(str(path))
    assert sys.modules["json"] is json


def test_a_file_imports_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "neighbour_of_t.py").write_text("X = 1\n")
    (one,) = functions_of("import neighbour_of_t\ndef s(df):\n    return neighbour_of_t.X\n", tmp_path)
    assert one.call(None) == 1


def test_errors_name_file_and_line(tmp_path: Path) -> None:
    with pytest.raises(TransformError, match=r"t\.py, line 3: ZeroDivisionError"):
        functions_of("1 / 0\n", tmp_path)
    with pytest.raises(ConfigError, match="No such file"):
        load_functions(str(tmp_path / "nowhere.py"))
