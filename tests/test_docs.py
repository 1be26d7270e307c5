"""The documentation says what the code does: each command is run, each generated part is in step."""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import click
import pytest
from command import Command
from pages import ROOT, Block, blocks, follow, name_of, pages

import flow_singer
from flow_singer import errors
from flow_singer.cli.group import flow as flow_command
from flow_singer.singer.schema import KINDS

DOCS = ROOT / "docs"
NOT_RUN_AT_MOST = 5


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


RUNNABLE = [page for page in pages() if any(block.is_run for block in blocks(page))]


@pytest.mark.parametrize("page", [p for p in RUNNABLE if "examples" not in p.parts], ids=name_of)
def test_commands_do_what_the_page_shows(page: Path, command: Command) -> None:
    if page.name == "README.md":
        made = shutil.ignore_patterns(".meltano", "output", "package", "*.log")  # by somebody who tried it
        shutil.copytree(ROOT / "examples", command.cwd / "examples", ignore=made)
    follow(page, command, command.cwd)


def test_readme_and_quickstart_are_run() -> None:
    assert {"README.md", "docs/quickstart.md"} <= set(map(name_of, RUNNABLE))


def test_readme_shows_the_file_of_the_quickstart() -> None:
    shown = [block.text for block in blocks(ROOT / "README.md") if block.language == "python"]
    assert shown == [(ROOT / "examples" / "quickstart" / "issues.py").read_text(encoding="utf-8")]


def test_few_commands_are_not_run() -> None:
    left_out = [block for page in pages() for block in blocks(page) if block.note == "not run"]
    assert all(block.value for block in left_out)
    assert len(left_out) <= NOT_RUN_AT_MOST


def test_every_command_block_is_run_or_says_why_not() -> None:
    """A language that looks like a command but is not run would rot."""
    languages = {block.language for page in pages() for block in blocks(page)}
    assert languages <= {
        "console",
        "bash",
        "python",
        "yaml",
        "json",
        "toml",
        "text",
        "crontab",
        "dotenv",
        "csv",
    }


@pytest.mark.parametrize(
    "page", [p for p in pages() if any(b.language == "python" for b in blocks(p))], ids=name_of
)
def test_python_blocks_compile(page: Path) -> None:
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, f"{name_of(page)}:{block.line}", "exec")


@pytest.fixture(scope="module")
def demo_messages(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("demo")
    command = Command(folder, dict(os.environ), folder / "bin")
    result = command.flow("run", "tap-demo", "--config", '{"records": 300}')
    assert result.code == 0, result.stderr
    return result.stdout


def _python_of_transform_guide() -> list[Block]:
    guide = blocks(DOCS / "guides" / "transform.md")
    return [block for block in guide if block.language == "python" and block.note != "file"]


@pytest.mark.parametrize("block", _python_of_transform_guide(), ids=lambda block: f"line {block.line}")
def test_transforms_of_the_guide_run(block: Block, command: Command, demo_messages: bytes) -> None:
    (command.cwd / "t.py").write_text(block.text, encoding="utf-8")
    result = command.flow("transform", "--strict", "t.py", stdin=demo_messages)
    assert result.code == (int(block.value) if block.note == "exit" else 0), result.stderr


# ------------------------------------------------------------------------------------------ in step


def test_generated_parts_are_in_step(generate: ModuleType) -> None:
    found = generate.pages()
    assert [name_of(page) for page in found] == [
        "docs/concepts/types.md",
        "docs/design.md",
        "docs/reference/cli.md",
        "docs/reference/exit-codes.md",
        "docs/reference/messages.md",
        "docs/reference/python.md",
    ]
    for page in found:
        text = page.read_text(encoding="utf-8")
        assert generate.filled_in(text) == text, f"{name_of(page)}: run python docs/generate.py"


def test_every_verb_and_option_is_documented() -> None:
    text = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    sections = dict(
        zip(re.findall(r"^## (.*)$", text, re.M), re.split(r"^## .*$", text, flags=re.M)[1:], strict=True)
    )
    context = click.Context(flow_command, info_name="flow")
    verbs = {
        f"flow {name}": flow_command.get_command(context, name)
        for name in flow_command.list_commands(context)
    }
    assert set(sections) == {"Before the verb", *verbs}
    for title, verb in {"Before the verb": flow_command, **verbs}.items():
        assert verb is not None
        for option in verb.params:
            if isinstance(option, click.Option) and not option.hidden:
                assert all(name in sections[title] for name in option.opts), f"{title}: {option.opts}"


def test_exit_code_table_is_that_of_the_errors() -> None:
    text = (DOCS / "reference" / "exit-codes.md").read_text(encoding="utf-8")
    rows = {int(code): row for code, row in re.findall(r"^\| (\d+) (\|.*)$", text, re.M)}
    assert set(rows) == {code for name, code in vars(errors).items() if name.startswith("EXIT_")}
    for error in vars(errors).values():
        if isinstance(error, type) and issubclass(error, errors.FlowError):
            assert f"`{error.__name__}`" in rows[error.exit_code]


def test_types_table_is_that_of_the_kinds() -> None:
    text = (DOCS / "concepts" / "types.md").read_text(encoding="utf-8")
    first = text.partition("<!-- end -->")[0]
    table = re.findall(r"^\| (.*?) \| `(.*?)` \| (.*?) \| (.*?) \|$", first, re.M)
    assert table == [(kind.json_schema, kind.dtype, kind.field, kind.note) for kind in KINDS.values()]


def test_python_page_is_that_of_the_public_names() -> None:
    text = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    headed = re.findall(r"^## `flow_singer\.(\w+)`$", text, re.M)
    listed = re.findall(r"^\| `(\w+)` \| `\w+` \| \d+ \|", text, re.M)
    assert sorted([*headed, *listed, "__version__"]) == sorted(flow_singer.__all__)
    decorated = re.findall(
        r"^## `flow_singer\.(\w+)`$.*?^\| Argument \| \|\n\|---\|---\|\n(.*?)\n\n", text, re.M | re.S
    )
    assert [name for name, _ in decorated] == ["transform", "expect"]
    for name, rows in decorated:
        arguments = re.findall(r"^\| `\*?(\w+)` \|", rows, re.M)
        parameters = inspect.signature(getattr(flow_singer, name)).parameters
        assert arguments == list(parameters)
        shown = [str(one.replace(annotation=inspect.Parameter.empty)) for one in parameters.values()]
        assert f"`{name}({', '.join(shown)})`" in text.replace('"', "'")


FOR_CONTRIBUTORS = {"CHANGELOG.md", "CONTRIBUTING.md", "docs/design.md"}
_USED = re.compile(r"\bfrom flow_singer import ([\w, ]+)|\bflow_singer\.(\w+)")


def _for_users() -> Iterator[Path]:
    yield from (page for page in pages() if name_of(page) not in FOR_CONTRIBUTORS)
    for folder in ("examples", "flow_singer/scaffold/templates"):
        yield from sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("file", list(_for_users()), ids=name_of)
def test_users_are_told_of_public_names_only(file: Path) -> None:
    used = {
        name.strip()
        for names in _USED.findall(file.read_text(encoding="utf-8"))
        for name in ",".join(filter(None, names)).split(",")
    }
    assert used <= set(flow_singer.__all__)


# -------------------------------------------------------------------------------------------- links


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"https?://", link):
            continue
        path, _, anchor = link.partition("#")
        goal = (page.parent / path).resolve() if path else page
        assert goal.exists() or goal.is_relative_to(ROOT / "benchmarks" / "results"), link
        if anchor and goal.suffix == ".md":
            assert anchor in _anchors(goal), link


BASES = (ROOT, ROOT / "flow_singer")
_PATH = re.compile(
    r"(?![A-Z]+\.py)(?:[\w.-]*/[\w./-]*|[\w.-]+\.(?:py|md|json|toml|yml))"
)  # T.py: anybody's file


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "docs/design.md"])
def test_paths_in_backticks_exist(name: str) -> None:
    """Each is whole from the root or from the package; a bare name is that of a file somewhere in either."""
    text = re.sub(r"^```.*?^```$", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.M | re.S)
    words = {word for code in re.findall(r"`([^`\n]+)`", text) for word in code.split()}
    paths = {word for word in words if _PATH.fullmatch(word)}
    assert len(paths) > 5
    assert not [path for path in sorted(paths) if not _is_there(path)]


def _is_there(path: str) -> bool:
    if any((base / path).exists() for base in BASES):
        return True
    return "/" not in path and any(
        next((ROOT / folder).rglob(path), None) for folder in ("flow_singer", "taps", "targets")
    )


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_every_page_can_be_reached_from_the_readme() -> None:
    seen: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8")):
            goal = (page.parent / link).resolve()
            if goal.suffix == ".md" and goal.is_file() and goal not in seen:
                waiting.append(goal)
    assert set(pages()) <= seen
