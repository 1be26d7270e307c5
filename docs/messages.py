"""Every message of an error, read from the code: what is said, and the next step.

A message is found where an error is made: `ConfigError(message, hint)`, `ctx.fail(message)`,
`click.UsageError(message)`, and what makes an error of a text that it is given, such as `found.failure(message)`.
What is filled in at run time stands in angle brackets, in words taken from the expression.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache

from rooms import MODULES, PACKAGE, room_of, tree

from flow_singer import errors

CODES = {
    name: one.exit_code
    for name, one in vars(errors).items()
    if isinstance(one, type) and issubclass(one, errors.FlowError)
}
USAGE = "click.UsageError"
_MOST_WAYS = 8
"""How many ways of putting a message are written out, where parts of it differ."""

_WORDS = {
    "exc": "reason",
    "error": "reason",
    "strerror": "reason",
    "found": "plugin",
    "one": "name",
    "e": "reason",
}
_OF_CALLS = {
    "excerpt": "line",
    "describe_end": "exited with code N",
    "describe_exception": "exception",
    "type_name": "type",
    "json_type": "type",
    "near_names": "near names",
}


@dataclass(frozen=True)
class Said:
    """One message.

    Attributes:
        error: class of the error, by the name of the one in `errors.py`.
        file: below the package.
        line: of the call.
        messages: how it can be put.
        hints: next steps; none where there is none.
    """

    error: str
    file: str
    line: int
    messages: tuple[str, ...]
    hints: tuple[str, ...]


def messages() -> str:
    """The page: per error, room and file."""
    found = all_said()
    lines: list[str] = []
    for error in [*CODES, USAGE]:
        own = [one for one in found if one.error == error]
        if own:
            lines += ["", f"## {error.rpartition('.')[2]}", "", _about(error)]
        for room, inside in itertools.groupby(
            own, key=lambda one: room_of(one.file.split("/")[0].removesuffix(".py"))
        ):
            lines += ["", f"### {error.rpartition('.')[2]} in {room}", ""]
            for one in inside:
                lines += ["```text", *one.messages, *(f"→ {hint}" for hint in one.hints), "```", ""]
            lines.pop()
    return "\n".join(lines).strip("\n")


def _about(error: str) -> str:
    if error == USAGE:
        return "The words of a command do not fit together. Exit code 2. What click itself finds is told likewise."
    said = (getattr(errors, error).__doc__ or "").partition("\n")[0]
    return f"{said} Exit code {CODES[error]}."


@cache
def all_said() -> tuple[Said, ...]:
    """Every message of the package, in the order of rooms, files and lines; those that say the same once."""
    kinds = error_classes()
    found: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], Said] = {}
    for module, file in sorted(MODULES.items()):
        if module == "errors":
            continue
        scope = Scope(tree(file))
        for call, error in error_calls(tree(file), kinds):
            arguments = {one.arg: one.value for one in call.keywords}
            message = call.args[0] if call.args else arguments.get("message")
            hint = call.args[1] if len(call.args) > 1 else arguments.get("hint")
            texts = _ways(message, scope) if message is not None else []
            texts = [text for text in texts if _says(text)]
            if not texts:
                continue  # handed on: said where it is made
            if _name(call.func) == "fault":
                texts = [f"Line <line>: the BATCH of stream '<stream>' {text}." for text in texts]
            hints = [one for one in _ways(hint, scope) if one] if hint is not None else []
            name = file.relative_to(PACKAGE).as_posix()
            said = Said(
                error,
                name,
                call.lineno,
                tuple(dict.fromkeys(map(_whole, texts))),
                tuple(dict.fromkeys(map(_whole, hints))),
            )
            found.setdefault((error, name, said.messages, said.hints), said)
    return tuple(found.values())


def error_classes() -> dict[str, str]:
    """Each class of an error, the package's inner ones too, and the one of `errors.py` that it is."""
    kinds = {name: name for name in CODES}
    classes = [
        node for file in MODULES.values() for node in ast.walk(tree(file)) if isinstance(node, ast.ClassDef)
    ]
    for _ in range(3):  # an inner one may be of an inner one
        for node in classes:
            for base in node.bases:
                if _name(base) in kinds:
                    kinds.setdefault(node.name, kinds[_name(base)])
    return kinds


def error_calls(module: ast.Module, kinds: dict[str, str]) -> Iterator[tuple[ast.Call, str]]:
    """Each call that makes an error, and its class."""
    found: list[tuple[ast.Call, str]] = []
    for node in ast.walk(module):
        if isinstance(node, ast.ClassDef) and node.name in kinds:
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and _name(call.func) == "__init__":
                    found.append((call, kinds[node.name]))
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if name in kinds:
                found.append((node, kinds[name]))
            elif name in ("fail", "UsageError", "BadParameter"):
                found.append((node, USAGE))
            elif name == "failure":
                found.append((node, "TapError"))
            elif name == "fault":
                found.append((node, "MessageError"))
    yield from sorted(found, key=lambda one: one[0].lineno)


class Scope:
    """What names stand for: texts that a function or its module assigns.

    Args:
        module: its tree.
    """

    def __init__(self, module: ast.Module) -> None:
        self._functions = [node for node in ast.walk(module) if isinstance(node, ast.FunctionDef)]
        self._module = module

    def function(self, name: str) -> ast.FunctionDef | None:
        """The function of that name."""
        return next((one for one in self._functions if one.name == name), None)

    def values(self, name: ast.Name) -> list[ast.expr]:
        """What a name may stand for where it is used: the function's own, else the module's."""
        around = [one for one in self._functions if one.lineno <= name.lineno <= (one.end_lineno or 0)]
        places: list[ast.FunctionDef | ast.Module] = [
            *sorted(around, key=lambda one: -one.lineno),
            self._module,
        ]
        for place in places:
            body = ast.walk(place) if isinstance(place, ast.FunctionDef) else iter(place.body)
            found = [value for node in body for value in _assigned(node, name.id)]
            if found:
                return found
            if isinstance(place, ast.FunctionDef):
                arguments = place.args
                if any(one.arg == name.id for one in (*arguments.args, *arguments.kwonlyargs)):
                    return []
        return []


def _assigned(node: ast.AST, name: str) -> Iterator[ast.expr]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name) and target.id == name:
                yield node.value
            elif isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = zip(target.elts, node.value.elts, strict=False)
                yield from (value for one, value in pairs if isinstance(one, ast.Name) and one.id == name)
    elif isinstance(node, ast.AnnAssign) and _name(node.target) == name and node.value is not None:
        yield node.value


def _ways(node: ast.expr, scope: Scope, depth: int = 0) -> list[str]:
    """The ways in which an expression reads as text."""
    if isinstance(node, ast.Constant):
        return [node.value if isinstance(node.value, str) else "" if node.value is None else str(node.value)]
    if depth > 6:
        return ["<…>"]
    if isinstance(node, ast.JoinedStr):
        return _product([_part(one, scope, depth) for one in node.values])
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _product([_ways(node.left, scope, depth + 1), _ways(node.right, scope, depth + 1)])
    if isinstance(node, ast.IfExp):
        return _first([*_ways(node.body, scope, depth + 1), *_ways(node.orelse, scope, depth + 1)])
    if isinstance(node, ast.BoolOp):
        return _first(way for one in node.values for way in _ways(one, scope, depth + 1))
    if isinstance(node, ast.Name) and (values := scope.values(node)):
        texts = [value for value in values if isinstance(value, _TEXTS)]
        if texts:
            return _first(way for value in texts for way in _ways(value, scope, depth + 1))
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        tables = [one for one in scope.values(node.value) if isinstance(one, ast.Dict)]
        if tables:
            return _first(way for one in tables[0].values for way in _ways(one, scope, depth + 1))
    if isinstance(node, ast.Call):
        return _of_call(node, scope, depth)
    return [f"<{words(node)}>"]


_TEXTS = (ast.Constant, ast.JoinedStr, ast.IfExp, ast.BinOp, ast.BoolOp, ast.Call)


def _of_call(node: ast.Call, scope: Scope, depth: int) -> list[str]:
    name = _name(node.func)
    if name == "count_of":
        return [f"N {_plural(node)}"]
    if name == "did_you_mean":
        return ["Did you mean <near names>?", ""]
    if name == "there_are":
        return ["There are: <names>."]
    if name == "next" and len(node.args) > 1:
        return _ways(node.args[1], scope, depth + 1)
    if name == "suggest":
        return ["Did you mean <near names>?", "There are: <names>."]
    if name in ("strip", "rstrip", "removesuffix", "replace") and isinstance(node.func, ast.Attribute):
        return _ways(node.func.value, scope, depth + 1)
    if name in ("readable", "str", "mask") and node.args:
        return _ways(node.args[0], scope, depth + 1)
    made = scope.function(name)
    if made is not None:
        returned = [
            one.value for one in ast.walk(made) if isinstance(one, ast.Return) and one.value is not None
        ]
        texts = [one for one in returned if isinstance(one, ast.Constant | ast.JoinedStr | ast.IfExp)]
        if texts and len(texts) == len(returned):
            return _first(way for one in texts for way in _ways(one, scope, depth + 1))
    if name == "join" and node.args:
        inner = node.args[0]
        if isinstance(inner, ast.Call) and _name(inner.func) == "filter":
            inner = inner.args[-1]
        lists = scope.values(inner) if isinstance(inner, ast.Name) else [inner]
        if lists and isinstance(lists[0], ast.List):
            return [" ".join(filter(None, (_ways(one, scope, depth + 1)[0] for one in lists[0].elts)))]
    return [f"<{words(node)}>"]


def _part(node: ast.expr, scope: Scope, depth: int) -> list[str]:
    """A part of an f-string: text, or what is filled in."""
    if isinstance(node, ast.FormattedValue):
        value = node.value
        ways = _ways(value, scope, depth + 1)
        literal = isinstance(value, ast.IfExp | ast.JoinedStr | ast.Constant)
        if literal or all(_says(way) or not way for way in ways):
            return ways
        return [f"<{words(value)}>"]
    return _ways(node, scope, depth + 1)


def words(node: ast.AST) -> str:
    """What an expression stands for, in a few words."""
    if isinstance(node, ast.Name):
        return _WORDS.get(node.id, node.id.strip("_").replace("_", " ").lower())
    if isinstance(node, ast.Attribute):
        owner = words(node.value)
        if node.attr in ("__name__", "__qualname__", "__module__"):
            return "type"
        if node.attr == "name" and owner not in ("self", "path", "file"):
            return owner
        return _WORDS.get(node.attr, node.attr.strip("_").replace("_", " "))
    if isinstance(node, ast.Call):
        name = _name(node.func)
        if name in _OF_CALLS:
            return _OF_CALLS[name]
        if name[:1].isupper() and node.args:
            return words(node.args[0])
        if name == "len":
            return "number"
        if name in (
            "join",
            "str",
            "repr",
            "map",
            "sorted",
            "list",
            "type",
            "mask",
            "shown",
            "readable",
            "next",
            "filter",
        ):
            return words(node.args[-1]) if node.args else name
        if isinstance(node.func, ast.Attribute) and name in (
            "get",
            "keys",
            "removesuffix",
            "strip",
            "rstrip",
            "partition",
            "decode",
        ):
            return words(node.func.value)
        return name.strip("_").replace("_", " ")
    if isinstance(node, ast.GeneratorExp | ast.ListComp):
        return words(node.generators[0].iter)
    if isinstance(node, ast.Subscript | ast.Starred | ast.FormattedValue):
        return words(node.value)
    if isinstance(node, ast.BoolOp):
        return words(node.values[0])
    if isinstance(node, ast.Tuple | ast.List) and node.elts:
        return words(node.elts[0])
    if isinstance(node, ast.IfExp):
        return words(node.body)
    if isinstance(node, ast.BinOp):
        return words(node.left)
    return "…"


def _plural(node: ast.Call) -> str:
    texts = [one.value for one in node.args[1:] if isinstance(one, ast.Constant)]
    return str(texts[1]) if len(texts) > 1 else f"{texts[0]!s}s" if texts else "…"


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _product(parts: list[list[str]]) -> list[str]:
    return _first("".join(one) for one in itertools.product(*parts))


def _first(ways: Iterable[str]) -> list[str]:
    return list(itertools.islice(dict.fromkeys(ways), _MOST_WAYS)) or [""]


def _says(text: str) -> bool:
    """Whether there are words beside what is filled in."""
    return re.search(r"[a-z]{3}", re.sub(r"<[^<>]*>", "", text)) is not None


def _whole(text: str) -> str:
    """One line, without what an empty part leaves behind."""
    return re.sub(r" {2,}", " ", text.replace("\n", " ")).strip()


def literal_of(node: ast.expr) -> str:
    """The longest text that stands in an expression as it is; the empty one where there is none."""
    texts = [
        one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)
    ]
    return max(map(_whole, texts), key=len, default="")
