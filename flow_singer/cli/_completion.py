"""What a shell offers where TAB is pressed: names of this project. Nothing is started, installed or told for it.

Give one of the `complete_...` functions to an argument or option: `click.argument("tap",
shell_complete=complete_tap)`. Each is quick, and offers nothing where something is wrong: the command itself says
what.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flow_singer.stages.workspace import Workspace

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from flow_singer.state.documents import StateStore

Complete = Callable[[click.Context, click.Parameter, str], "list[CompletionItem[str]]"]
"""What click calls `shell_complete`."""

_PATIENCE_S = 0.2
"""How long a shell waits for a bookmark database that somebody writes to."""

# click's own (8.5) hands over words that bash has split at colons, and a state id has colons.
_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=',' read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("$value") ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:COMP_POINT}" COMP_WORDBREAKS="$COMP_WORDBREAKS" \\
        %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""


def answer_shell(command: click.Command, name: str, variable: str, instruction: str) -> int:
    """Print the script that a shell evaluates once (`bash_source`), or what it may offer (`bash_complete`).

    Args:
        command: the whole command line.
        name: of its program.
        variable: the environment variable that asks.
        instruction: its value.

    Returns:
        An exit code.
    """
    from click.shell_completion import BashComplete, add_completion_class, shell_complete, split_arg_string

    class Bash(BashComplete):
        """As click's, for words with colons."""

        source_template = _BASH
        kept = ""

        def get_completion_args(self) -> tuple[list[str], str]:
            line = os.environ["COMP_LINE"]
            words = split_arg_string(line)
            if not words or line[-1:].isspace():
                words.append("")
            breaks = ":" in os.environ.get("COMP_WORDBREAKS", "")
            is_quoted = line.split(" ")[-1][:1] in ("'", '"')
            # readline replaces only what stands behind the last colon
            self.kept = words[-1].rpartition(":")[0] + ":" if breaks and not is_quoted else ""
            return words[1:-1], words[-1]

        def format_completion(self, item: CompletionItem[Any]) -> str:
            return f"{item.type},{str(item.value).removeprefix(self.kept)}"

    logging.disable()  # a warning would stand in the middle of the line that is being typed
    try:
        add_completion_class(Bash)
        return shell_complete(command, {}, name, variable, instruction)
    except Exception:  # what the line says can be anything, and a traceback would stand in it, too
        return 1


def _offers(find: Callable[[click.Context, Workspace], Iterable[str]], *, files: bool = False) -> Complete:
    """Make a `shell_complete` that offers what `find` knows; with `files`, also what the shell itself knows."""

    def complete(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from click.shell_completion import CompletionItem

        try:
            names = list(dict.fromkeys(find(ctx, _workspace(ctx))))
        except Exception:  # no project, a torn file, a database that is no database
            names = []
        items = [CompletionItem(name) for name in names if name.startswith(incomplete)]
        return [*items, CompletionItem(incomplete, type="file")] if files else items

    return complete


def _workspace(ctx: click.Context) -> Workspace:
    """Where the command would work: the general options are typed already, before the verb or behind it."""
    general = {**ctx.find_root().params, **ctx.meta.get("flow_singer.general", {})}
    folder = Path(general.get("project") or ".").absolute()
    environ = {name: value for name, value in os.environ.items() if name != "FLOW_PROJECT"}
    return Workspace(folder, environ, general.get("environment"))


def _plugins(workspace: Workspace, *kinds: str, noun: str | None = None) -> Iterator[str]:
    """Plugins of the project, bundled ones, and programs on PATH that are named like one."""
    from flow_singer.plugins.programs import BUNDLED

    if workspace.project is not None:
        plugins = workspace.project.raw.section("plugins")
        for kind in kinds:
            yield from plugins.named(kind)
    for kind in kinds:
        yield from BUNDLED.get(kind, ())
    if noun is not None:
        folders = workspace.environ.get("PATH", os.defpath).split(os.pathsep)
        yield from sorted(
            file.name
            for folder in folders
            if folder and os.path.isdir(folder)
            for file in Path(folder).glob(f"{noun}-*")
            if os.access(file, os.X_OK)
        )


def _taps(_: click.Context, workspace: Workspace) -> Iterator[str]:
    return _plugins(workspace, "extractors", noun="tap")


def _targets(_: click.Context, workspace: Workspace) -> Iterator[str]:
    return _plugins(workspace, "loaders", noun="target")


def _all_plugins(_: click.Context, workspace: Workspace) -> Iterator[str]:
    return _plugins(workspace, "extractors", "loaders", "mappers", "utilities")


def _jobs(_: click.Context, workspace: Workspace) -> Iterable[str]:
    return workspace.project.jobs if workspace.project is not None else ()


def _environments(_: click.Context, workspace: Workspace) -> Iterator[str]:
    # of the file itself: an environment that is half typed must not keep the project from being read
    project = Workspace(workspace.folder, workspace.environ, "null").project
    if project is not None:
        yield from project.raw.named("environments")


def _words_of_run(ctx: click.Context, workspace: Workspace) -> Iterator[str]:
    """A tap or a job at first, then a target."""
    if ctx.params.get("words"):
        yield from _targets(ctx, workspace)
    else:
        yield from _taps(ctx, workspace)
        yield from _jobs(ctx, workspace)


def _store(workspace: Workspace) -> StateStore:
    from flow_singer.state.systemdb import SqliteStore

    store = workspace.store
    if isinstance(store, SqliteStore):
        store.busy_timeout_s = _PATIENCE_S
    return store


def _state_ids(_: click.Context, workspace: Workspace) -> Iterable[str]:
    return _store(workspace).list()


def _bookmarked_streams(ctx: click.Context, workspace: Workspace) -> Iterable[str]:
    """Streams of the bookmark whose id stands in the line."""
    from flow_singer.state.statevalues import streams_of

    typed = ctx.params.get("streams") or ()
    streams = streams_of(_store(workspace).get(_typed(ctx, "state_id")))
    return [stream for stream in streams if stream not in typed]


def _typed(ctx: click.Context, *names: str) -> str:
    """The argument of one of these names. Where an option lacks its value still, click leaves arguments unassigned."""
    values = [*map(ctx.params.get, names), ctx.args]
    value = next(filter(None, values))
    return str(value[0] if isinstance(value, (list, tuple)) else value)


def _rules(ctx: click.Context, workspace: Workspace) -> Iterator[str]:
    """Rules of `--select`: each stream of the tap's newest catalog, and each of its properties."""
    import json

    from flow_singer.plugins.builds import cache_folder
    from flow_singer.plugins.programs import find_plugin

    tap = _typed(ctx, "words", "tap", "plugin", "name")
    found = find_plugin(tap, "extractors", workspace.project, environ=workspace.environ)
    folder = cache_folder(found, workspace.project, environ=workspace.environ)
    newest = max(folder.glob("catalog-*.json"), key=lambda file: file.stat().st_mtime_ns)
    rules = []
    for stream in json.loads(newest.read_bytes())["streams"]:
        name = str(stream.get("tap_stream_id", stream.get("stream"))).replace(".", r"\.")
        yield from (name, f"!{name}")
        rules += [f"{name}.{key}" for key in stream.get("schema", {}).get("properties", {})]
    yield from (rule for name in rules for rule in (name, f"!{name}"))


def _only_behind_a_dot(find: Callable[[click.Context, Workspace], Iterable[str]]) -> Complete:
    """As `_offers`: properties once the stream is typed, and rules that leave out once the `!` is."""
    offer = _offers(find)

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        return [
            item
            for item in offer(ctx, param, incomplete)
            if _has_dot(item.value) == _has_dot(incomplete)
            and (item.value[0] != "!" or incomplete[:1] == "!")
        ]

    return complete


def _has_dot(rule: str) -> bool:
    return "." in rule.replace(r"\.", "")


complete_tap = _offers(_taps)
complete_target = _offers(_targets)
complete_target_or_folder = _offers(_targets, files=True)
complete_plugin = _offers(_all_plugins)
complete_job = _offers(_jobs)
complete_environment = _offers(_environments)
complete_run = _offers(_words_of_run, files=True)
complete_state_id = _offers(_state_ids)
complete_bookmarked_stream = _offers(_bookmarked_streams)
complete_file = _offers(lambda ctx, workspace: (), files=True)
complete_rule = _only_behind_a_dot(_rules)
"""Rules of `--select`, where the tap stands in the line before."""
