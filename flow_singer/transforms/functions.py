"""The user's file: load it, and find the function for a stream.

The file is plain Python. A public function named like a stream gets that stream; `@transform` says anything
that the name cannot. Nothing here runs a function.
"""

from __future__ import annotations

import ast
import dis
import glob
import importlib.util
import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Literal, TypeVar

from flow_singer.errors import ConfigError, TransformError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.transforms.forks import end_child
from flow_singer.transforms.raised import (
    deliver,
    describe_exception,
    error_line,
    interruption_behind,
    readable,
)
from flow_singer.wording import count_of

Mode = Literal["batch", "rows", "whole", "package"]
F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__flow_transform__"


@dataclass(frozen=True)
class _Options:
    streams: tuple[str, ...] = ()
    into: dict[str, list[str] | None] | None = None
    key: list[str] | None = None
    mode: Mode = "batch"
    check_split: bool = True
    incremental: bool = False
    columns: tuple[str, ...] | None = None
    drop: bool = False


def transform(
    *streams: str,
    into: str | Sequence[str] | Mapping[str, Sequence[str] | None] | None = None,
    key: Sequence[str] | None = None,
    whole: bool = False,
    batch: bool = False,
    rows: bool = False,
    incremental: bool = False,
    columns: Sequence[str] | None = None,
    drop: bool = False,
) -> Callable[[F], F]:
    """Say what a function of the user's file does; the function itself stays as it is.

    Args:
        *streams: the streams it gets, in the order of its parameters; patterns such as `db-*` for a function
            of one parameter; none: the stream that the function is named after.
        into: the stream it makes; or several, each with its key properties (None: the input's).
        key: key properties of the result, where the function drops or renames the input's; [] for none.
        whole: it needs every row at once (join, group by, sort): it is called once, at the end.
        batch: it is right for any batch of rows, though its results differ from batch to batch; switches the
            split check off.
        rows: it takes one record (a dict) and returns one, None (that record is dropped), or several.
        incremental: a `whole` function that is meant to see only what is new since the last run.
        columns: the columns it sees beside the key; all others stay with their rows as they came, unread.
            Wide records cost a fraction of the time then.
        drop: None means that the stream is dropped, as `flow_singer.DROP` always does; without this, None is
            taken for a forgotten `return`.

    Raises:
        TypeError: the arguments contradict each other.

    Example:
        @transform("public-orders", into={"orders": ["id"]})
        def clean(df):
            return df[df["total"] > 0]
    """
    if whole + batch + rows > 1:
        raise TypeError("transform: whole=, batch= and rows= exclude each other")
    if len(streams) > 1 and not whole:
        raise TypeError("transform: a function of several streams needs whole=True")
    if isinstance(key, str):
        raise TypeError(f'transform: key must be a list of names: key=["{key}"]')
    if isinstance(columns, str) or not all(isinstance(name, str) for name in columns or ()):
        raise TypeError(f"transform: columns must be a list of names, not {columns!r}")
    if columns is not None and (whole or rows):
        raise TypeError("transform: columns= is for functions of batches, not for whole= or rows=")
    targets: dict[str, list[str] | None] | None = None
    if isinstance(into, str):
        targets = {into: None}
    elif isinstance(into, Mapping):
        targets = {name: None if keys is None else list(keys) for name, keys in into.items()}
    elif into is not None:
        targets = dict.fromkeys(into)
    if columns is not None and targets is not None and len(targets) > 1:
        raise TypeError("transform: columns= needs one result, as its rows take the other columns along")
    mode: Mode = "whole" if whole else "rows" if rows else "batch"
    options = _Options(
        streams,
        targets,
        None if key is None else list(key),
        mode,
        not (batch or rows),
        incremental,
        None if columns is None else tuple(columns),
        drop,
    )

    def mark(function: F) -> F:
        setattr(function, _ATTRIBUTE, options)
        return function

    return mark


@dataclass(frozen=True)
class StreamFunction:
    """One usable function of a user's file.

    Attributes:
        call: the function.
        name: its name.
        streams: the streams or patterns it is for; empty for a package function.
        into: output streams and their keys, None: the input stream's name.
        key: key properties of the result, None: the input's.
        mode: how it is called.
        check_split: whether the split check applies.
        incremental: whether it may see only an increment.
        columns: the columns that it sees beside the key; None: all.
        drop: whether None from it drops the stream, or is a forgotten `return`.
        declared: whether `@transform` says that it is a transform.
        path: the file.
        line: the line of its `def`.
        serves: whether the rest of the file uses it.
        fits: whether it can be called with one frame for each of its streams.
        once: whether it must not be called again on rows that it has seen, as somebody debugs it.
    """

    call: Callable[..., Any]
    name: str
    streams: tuple[str, ...]
    into: dict[str, list[str] | None] | None
    key: list[str] | None
    mode: Mode
    check_split: bool
    incremental: bool
    columns: tuple[str, ...] | None
    drop: bool
    declared: bool
    path: Path
    line: int
    serves: bool = False
    fits: bool = True
    once: bool = False

    @property
    def is_for_streams(self) -> bool:
        """Whether it can be there for nothing but a stream: else it may be what others of the file use."""
        return self.declared or (self.fits and not self.serves)

    @property
    def where(self) -> str:
        """File, line and name, for messages."""
        return f"{self.path.name}:{self.line}, function '{self.name}'"

    def takes(self, stream: str) -> bool:
        """Whether this function is for the stream."""
        if self.mode == "package":
            return True
        return any(
            fnmatchcase(stream, name) or (not self.declared and _as_identifier(stream) == name)
            for name in self.streams
        )


def _as_identifier(stream: str) -> str:
    return re.sub(r"\W", "_", stream)


def load_functions(spec: str) -> list[StreamFunction]:
    """Load the functions of a file.

    Args:
        spec: `file.py`, or `file.py:function` for one of its functions.

    Returns:
        At least one function, in the order of definition.

    Raises:
        ConfigError: no such file, or no such function in it.
        TransformError: the file cannot be imported, or has no usable function.
    """
    path, wanted = split_spec(spec)
    module = _import(path)
    file = _File(path)
    functions = [
        _describe(value, path, name, file)
        for name, value in vars(module).items()
        if issubclass(type(value), FunctionType | partial) and _is_usable(value, name, module.__name__, file)
    ]
    functions.sort(key=lambda one: one.line)
    if wanted:
        chosen = [one for one in functions if one.name == wanted]
        if not chosen and callable(value := getattr(module, wanted, None)):
            chosen = [_describe(value, path, wanted, file)]
        if not chosen:
            raise ConfigError(
                f"{path} has no function '{wanted}'.",
                f"It has: {', '.join(one.name for one in functions) or 'none'}.",
            )
        functions = chosen
    if not functions:
        raise TransformError(
            f"{path} has no usable function.",
            "Define one named like a stream, for example: def issues(df): return df",
        )
    return functions


def split_spec(spec: str) -> tuple[Path, str]:
    """Split `file.py:function`; the function is empty where none is named.

    Raises:
        ConfigError: there is no such file; names those beside it that are named almost so.
    """
    name, _, wanted = spec.rpartition(":") if re.search(r"\.py:\w+$", spec) else (spec, "", "")
    if not os.path.isfile(name):  # unlike Path.is_file, False for a name that is too long
        folder, last = os.path.split(name)
        beside = glob.glob("*.py", root_dir=folder or ".")
        near = [os.path.join(folder, one) for one in near_names(last, beside)]
        raise ConfigError(
            f"No such file: {name}.",
            did_you_mean(near) or "Give the path of a Python file with your functions.",
        )
    return Path(name), wanted


def _import(path: Path) -> Any:
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # at the end: a neighbour called csv.py must not stand in for the library's
    module_name = path.stem
    while module_name in sys.modules:  # a file called json.py must not replace the library's
        module_name += "_"
    spec = importlib.util.spec_from_file_location(module_name, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is not a Python file.", "Its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as exc:
        if exc.lineno is None:
            raise _import_error(exc, path) from exc
        text = f": {exc.text.strip()}" if isinstance(exc.text, str) else ""
        raise TransformError(
            readable(f"{exc.filename or path}, line {exc.lineno}: {exc.msg}{text}"),
            "Correct the file; nothing was run.",
        ) from exc
    except BaseException as exc:
        if interruption := interruption_behind(exc):
            raise interruption from None
        raise _import_error(exc, path) from exc
    finally:
        end_child(str(path))
    deliver()
    return module


def _import_error(exc: BaseException, path: Path) -> TransformError:
    return TransformError(f"{path}{error_line(exc, path)}: {describe_exception(exc)}", f"Try: python {path}")


class _File:
    """What the text of a file says of its functions.

    Attributes:
        lines: where each is defined.
        assigned: names that are given a value, and where.
    """

    def __init__(self, path: Path) -> None:
        tree = ast.parse(path.read_bytes())
        self.lines = {one.name: one.lineno for one in tree.body if isinstance(one, ast.FunctionDef)}
        self.assigned = {
            target.id: one.lineno
            for one in tree.body
            if isinstance(one, ast.Assign)
            for target in one.targets
            if isinstance(target, ast.Name)
        }
        tree.body = [one for one in tree.body if not _is_for_scripts(one)]
        self._code = compile(tree, str(path), "exec")

    def reads(self, name: str, but: CodeType | None) -> bool:
        """Whether a name of the file is read in it, except in one function."""
        return name in _names_read(self._code, but)


def _is_for_scripts(statement: ast.stmt) -> bool:
    """Whether it is `if __name__ == "__main__"`, which nobody runs who imports the file."""
    return isinstance(statement, ast.If) and "'__main__'" in ast.dump(statement.test)


def _is_usable(value: Callable[..., Any], name: str, module_name: str, file: _File) -> bool:
    if hasattr(value, _ATTRIBUTE):
        return True
    # What a decorator of another module put in the place of a function of this file has that module's name.
    is_own = value.__module__ == module_name or name in file.lines
    if isinstance(value, partial):
        is_own = name in file.assigned and _fits(value, 1)
    return is_own and not name.startswith("_")


def _names_read(code: CodeType, but: CodeType | None) -> set[str]:
    """The global names that code reads, also in what is defined inside it, except in one function."""
    names = {one.argval for one in dis.get_instructions(code) if one.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    inner = [one for one in code.co_consts if isinstance(one, CodeType)]
    return names.union(
        *(
            _names_read(one, but)
            for one in inner
            if but is None or (one.co_name, one.co_firstlineno) != (but.co_name, but.co_firstlineno)
        )
    )


def _describe(value: Callable[..., Any], path: Path, name: str, file: _File) -> StreamFunction:
    options: _Options | None = getattr(value, _ATTRIBUTE, None)
    code = getattr(inspect.unwrap(value), "__code__", None)
    line = {**file.assigned, **file.lines}.get(name, 0)
    if code is not None and Path(code.co_filename).resolve() == path.resolve():
        line = code.co_firstlineno
    declared = options is not None
    options = options or _Options()
    parameters = [
        p
        for p in inspect.signature(value).parameters.values()
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) and p.default is p.empty
    ]
    if not declared and name == "transform" and len(parameters) == 1:
        options = replace(options, mode="package", check_split=False)
    elif not declared and len(parameters) == 1 and parameters[0].name == "row":
        options = replace(options, mode="rows", check_split=False)
    if not options.streams and options.mode != "package":
        options = replace(options, streams=(name,))
    function = StreamFunction(
        value,
        name,
        () if options.mode == "package" else options.streams,
        options.into,
        options.key,
        options.mode,
        options.check_split,
        options.incremental,
        options.columns,
        options.drop,
        declared,
        path,
        line,
        serves=file.reads(name, code),
        fits=_fits(value, max(1, len(options.streams))),
    )
    expected = max(1, len(options.streams))
    if declared and len(parameters) != expected and not _takes_any(value):
        raise TransformError(
            f"{function.where} has {count_of(len(parameters), 'parameter')},"
            f" but it is declared for {count_of(expected, 'stream')}.",
            "Give it one parameter for each stream that @transform names.",
        )
    return function


def _fits(value: Callable[..., Any], frames: int) -> bool:
    """Whether it can be called with so many frames and nothing else."""
    try:
        inspect.signature(value).bind(*[None] * frames)
    except (TypeError, ValueError):  # the latter: some built-in functions do not tell their parameters
        return False
    return True


def _takes_any(value: Callable[..., Any]) -> bool:
    return any(p.kind is p.VAR_POSITIONAL for p in inspect.signature(value).parameters.values())


def function_for(stream: str, functions: Sequence[StreamFunction]) -> StreamFunction | None:
    """The function that takes a stream: a name before a pattern, any of them before a package function.

    Raises:
        TransformError: two functions want it equally.
    """
    named = [one for one in functions if stream in one.streams]
    other = [one for one in functions if one.mode != "package" and one.takes(stream)]
    package = [one for one in functions if one.mode == "package"]
    for candidates in (named, other, package):
        if len(candidates) > 1:
            raise TransformError(
                f"Stream '{stream}' is wanted by two functions: {candidates[0].where} and {candidates[1].where}.",
                "Join them into one, or put the second into a file of its own: flow transform a.py b.py",
            )
        if candidates:
            return candidates[0]
    return None


class WantedStreams:
    """The streams that some function takes; decided when a stream is first met."""

    def __init__(self, functions: Sequence[StreamFunction]) -> None:
        self.functions = functions
        self.known: dict[str, StreamFunction | None] = {}

    def __contains__(self, stream: object) -> bool:
        return self.get(str(stream)) is not None

    def get(self, stream: str) -> StreamFunction | None:
        """The function that takes a stream; None where none does."""
        if stream not in self.known:
            self.known[stream] = function_for(stream, self.functions)
        return self.known[stream]
