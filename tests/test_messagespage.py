"""The page of messages says what the code says: each error that is raised, with its next step."""

from __future__ import annotations

import ast
import importlib.util
import sys
from types import ModuleType

import pytest
from pages import ROOT
from rooms import MODULES, PACKAGE, tree

PAGE = (ROOT / "docs" / "reference" / "messages.md").read_text(encoding="utf-8")
KNOWN = " ".join(PAGE.split())


@pytest.fixture(scope="module")
def messages() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_messages", ROOT / "docs" / "messages.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["docs_messages"] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def test_each_error_that_is_raised_stands_on_the_page(messages: ModuleType) -> None:
    kinds = messages.error_classes()
    missing, found = [], 0
    for file in MODULES.values():
        for node in ast.walk(tree(file)):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                call = node.exc
                name = getattr(call.func, "id", getattr(call.func, "attr", ""))
                if name in kinds and call.args and (text := messages.literal_of(call.args[0])):
                    found += 1
                    if len(text) > 8 and text not in KNOWN:
                        missing.append(f"{file.relative_to(PACKAGE)}:{node.lineno}: {text}")
    assert found > 100
    assert missing == []


# What they hand on has its hint with it, or they are told with the help of their command.
_WITHOUT = {"cli/_pipeline.py", "singer/batchmessage.py"}


def test_each_error_has_a_next_step(messages: ModuleType) -> None:
    bare = [
        f"{one.file}:{one.line}: {one.messages[0]}"
        for one in messages.all_said()
        if not one.hints and one.error != messages.USAGE and one.file not in _WITHOUT
    ]
    assert bare == []
