#!/usr/bin/env python3
"""Write the parts of the documentation that the code already says; `tests/test_docs.py` keeps them in step.

    python docs/generate.py

A generated part stands between `<!-- generated: NAME -->` and `<!-- end -->`. Also `about.json` of each bundled
connector, which `tests/test_declared_settings.py` keeps in step.
"""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from pathlib import Path

import click

sys.path += [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parent.parent / "tests")]

import drawing
import messages

from flow_singer import errors
from flow_singer.cli.group import flow
from flow_singer.plugins.programs import BUNDLED
from flow_singer.singer.schema import KINDS

DOCS = Path(__file__).resolve().parent
PART = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)

MEANINGS = {
    "EXIT_OK": ("Done.", "Nothing."),
    "EXIT_INTERNAL": ("A fault in Flow.", "Report it, with what stands above the message."),
    "EXIT_USAGE": (
        "Usage or configuration: an option, a name, `meltano.yml`, a setting, also where the tap or target itself "
        "refuses it; or another run has the bookmark.",
        "Correct it. Running again does not help.",
    ),
    "EXIT_DATA": (
        "Bad data, or an error in a function of yours: a line, a record, a result; also a full disk.",
        "Look at the line and the function that the message names. Running again does not help.",
    ),
    "EXIT_REJECTS": (
        "Done, but records were set aside, no more than allowed (`--reject`, `--max-rejects`).",
        "Look into the reject file. The data that was good is loaded.",
    ),
    "EXIT_TAP": (
        "The tap failed, or could not be installed or started.",
        "Look at its last line. Run again later.",
    ),
    "EXIT_TARGET": (
        "The target failed, or a package could not be written.",
        "Look at its last line. Run again: it resumes from the last safe bookmark.",
    ),
    "EXIT_INCOMPLETE": (
        "The stage before this one ended before its stream was complete; or another run is writing the same file.",
        "The cause is the stage before, or the run that is named. Run again: it resumes from the last safe "
        "bookmark.",
    ),
    "EXIT_INTERRUPTED": ("Stopped by Ctrl-C (SIGINT).", "Run again."),
    "EXIT_PIPE": ("The stage after this one went away.", "The cause is the stage after."),
    "EXIT_TERMINATED": ("Stopped by SIGTERM.", "Run again."),
}


def exit_codes() -> str:
    """A row per exit code of `errors.py`."""
    codes = {name: code for name, code in vars(errors).items() if name.startswith("EXIT_")}
    lines = ["| Code | Meaning | What to do | Exception |", "|---|---|---|---|"]
    for name, code in sorted(codes.items(), key=lambda item: item[1]):
        meaning, react = MEANINGS[name]
        raised = ", ".join(f"`{one.__name__}`" for one in _errors() if one.exit_code == code)
        lines.append(f"| {code} | {meaning} | {react} | {raised} |")
    return "\n".join(lines)


def error_classes() -> str:
    """A row per class of `errors.py`."""
    lines = ["| Exception | Is a | Code | Raised for |", "|---|---|---|---|"]
    for one in _errors():
        said = (inspect.getdoc(one) or "").partition("\n")[0]
        lines.append(f"| `{one.__name__}` | `{one.__bases__[0].__name__}` | {one.exit_code} | {said} |")
    return "\n".join(lines)


def _errors() -> list[type[errors.FlowError]]:
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [one for one in found if issubclass(one, errors.FlowError)]


def types() -> str:
    """A row per kind of `schema.KINDS`."""
    lines = ["| JSON Schema | In a frame | In a package | Note |", "|---|---|---|---|"]
    lines += [f"| {k.json_schema} | `{k.dtype}` | {k.field} | {k.note} |" for k in KINDS.values()]
    return "\n".join(lines)


def cli() -> str:
    """The help of `flow` and of each verb."""
    parts = [_options(flow, "Before the verb")]
    context = click.Context(flow, info_name="flow")
    for name in flow.list_commands(context):
        command = flow.get_command(context, name)
        assert command is not None
        parts.append(_verb(name, command))
    return "\n".join(parts)


def _verb(name: str, command: click.Command, level: str = "##") -> str:
    first, *rest = inspect.cleandoc(command.help or "").split("\n\n")
    words = " ".join(p.metavar or p.name or "" for p in command.params if isinstance(p, click.Argument))
    lines = [
        f"{level} flow {name}",
        "",
        " ".join(first.split()),
        "",
        "```text",
        f"flow {name} COMMAND" if isinstance(command, click.Group) else f"flow {name} [OPTIONS] {words}",
        "```",
        "",
    ]
    for paragraph in rest:
        if paragraph.startswith("\b"):
            lines += ["For example:", "", "```text", paragraph.removeprefix("\b").strip("\n"), "```", ""]
        else:
            lines += [" ".join(paragraph.split()), ""]
    below = []
    if isinstance(command, click.Group):
        context = click.Context(command)
        for one in command.list_commands(context):
            inner = command.get_command(context, one)
            assert inner is not None
            below.append("\n" + _verb(f"{name} {one}", inner, f"{level}#"))
    return "\n".join(lines) + "\n" + _options(command, "") + "".join(below)


def _options(command: click.Command, title: str) -> str:
    options = [one for one in command.params if isinstance(one, click.Option) and not one.hidden]
    if not options:
        return ""
    lines = [f"## {title}", ""] if title else []
    lines += ["| Option | Meaning | Default |", "|---|---|---|"]
    for one in options:
        names = ", ".join([*one.opts, *one.secondary_opts])
        value = "" if one.is_flag or one.count else f" {_value_of(one)}"
        shown = f"`{one.default}`" if one.show_default and one.default is not None else ""
        lines.append(f"| `{(names + value).replace('|', chr(92) + '|')}` | {one.help or ''} | {shown} |")
    return "\n".join(lines) + "\n"


def _value_of(option: click.Option) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return "N"


PARTS = {
    "cli": cli,
    "errors": error_classes,
    "exit-codes": exit_codes,
    "messages": messages.messages,
    "rooms": drawing.rooms,
    "types": types,
    "way": drawing.way,
}


def filled_in(text: str) -> str:
    """A page with its generated parts made anew."""
    return PART.sub(lambda match: f"{match[1]}\n{PARTS[match[2]]()}\n\n{match[3]}", text)


def pages() -> list[Path]:
    """The pages that have a generated part."""
    return [page for page in sorted(DOCS.rglob("*.md")) if PART.search(page.read_text(encoding="utf-8"))]


def write_about() -> None:
    """Write what each bundled connector says of itself beside its code, where Flow finds it without starting it."""
    for bundled in (one for kind in BUNDLED.values() for one in kind.values()):
        said = subprocess.check_output([sys.executable, "-m", bundled.module, "--about", "--format=json"])
        answer = {key: json.loads(said)[key] for key in ("capabilities", "settings")}
        (file,) = DOCS.parent.glob(f"*/{bundled.module}/__init__.py")
        text = json.dumps(answer, indent=2, ensure_ascii=False) + "\n"
        file.with_name("about.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_about()
    for page in pages():
        old = page.read_text(encoding="utf-8")
        new = filled_in(old)
        if new != old:
            page.write_text(new, encoding="utf-8")
            print(page.relative_to(DOCS.parent))
