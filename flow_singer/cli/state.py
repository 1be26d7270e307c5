"""`flow state`: bookmarks, by the verbs of `meltano state`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flow_singer.cli import _options
from flow_singer.cli._answers import answer_json, confirm
from flow_singer.cli._completion import complete_bookmarked_stream, complete_state_id
from flow_singer.cli._context import Cli
from flow_singer.cli._optionvars import Verb, VerbGroup
from flow_singer.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from flow_singer.state.documents import RawState

logger = logging.getLogger("flow_singer")

_id = click.argument("state_id", metavar="ID", shell_complete=complete_state_id)
_source = click.argument("source", metavar="SRC", shell_complete=complete_state_id)
_destination = click.argument("destination", metavar="DST", shell_complete=complete_state_id)
_input_file = click.option(
    "--input-file",
    type=click.Path(path_type=Path, allow_dash=True),
    metavar="FILE",
    help="Read the state here.",
)


@click.group("state", cls=VerbGroup)
def command() -> None:
    """Look at bookmarks, and change them.

    A bookmark is the state from which the next run of a tap into a target resumes. Its id is
    ENVIRONMENT:TAP-to-TARGET, as in Meltano.

    \b
    flow state list
    flow state get dev:tap-demo-to-target-csv
    flow state clear dev:tap-demo-to-target-csv --stream issues
    """


@command.command("list", cls=Verb, group="state")
@click.option("--pattern", metavar="GLOB", help="Only ids like this: 'dev:*'.")
@_options.as_json
@click.pass_obj
def list_(cli: Cli, pattern: str | None, as_json: bool) -> int:
    """List the ids of all bookmarks, one a line.

    With --json, also the streams of each, and when it was saved. For people: flow list bookmarks.

    \b
    flow state list --pattern 'prod:*'
    """
    from flow_singer.state.editing import some_of

    store = cli.workspace.store
    if as_json:
        from flow_singer.stages.inventory import bookmarks_of

        answer_json([one.as_json() for one in bookmarks_of(store, pattern)])
        return EXIT_OK
    ids = store.list(pattern)
    for one in ids:
        click.echo(one)
    if not ids and (others := store.list()):
        logger.info("No bookmark is like '%s'. There are: %s.", pattern, some_of(others))
    elif not ids:
        logger.info("No bookmark is kept here yet: flow run TAP TARGET makes one.")
    return EXIT_OK


@command.command("get", cls=Verb, group="state")
@_id
@click.option(
    "--format",
    "form",
    type=click.Choice(["json", "pretty"]),
    default="json",
    show_default=True,
    help="One line as it is stored, or indented.",
)
@click.pass_obj
def get(cli: Cli, state_id: str, form: str) -> int:
    """Print a bookmark, as it is stored.

    It is Meltano's form, which set and flow run --state read, too: {"singer_state": ...}

    \b
    flow state get dev:tap-demo-to-target-csv > state.json
    """
    from flow_singer.state.documents import wrap
    from flow_singer.state.editing import check_known

    store = cli.workspace.store
    check_known(store, state_id)
    text = wrap(store.get(state_id))
    if form == "pretty":
        import msgspec

        text = msgspec.json.format(text, indent=2)
    click.echo(text)
    return EXIT_OK


@command.command("set", cls=Verb, group="state")
@_id
@click.argument("state", metavar="[JSON|-]", required=False)
@_input_file
@_options.yes
@_options.force_as_yes
@click.pass_obj
def set_(cli: Cli, state_id: str, state: str | None, input_file: Path | None, yes: bool, force: bool) -> int:
    """Put a state in the place of a bookmark, or make it.

    The state may be bare, as taps write it, or Meltano's {"singer_state": ...}; - reads it from stdin.

    \b
    flow state set dev:tap-demo-to-target-csv '{"bookmarks": {"issues": {"id": 3}}}'
    flow state set dev:tap-demo-to-target-csv --input-file state.json --yes
    """
    from flow_singer.state.editing import set_state

    store, value = cli.workspace.store, _given_state(state, input_file)
    is_new = state_id not in store.list()
    if not is_new:
        confirm(f"Replace the bookmark {state_id}?", yes=yes or force)
    set_state(store, state_id, value)
    logger.info("%s the bookmark %s.", "Made" if is_new else "Replaced", state_id)
    return EXIT_OK


@command.command("clear", cls=Verb, group="state")
@click.argument("state_id", metavar="ID|--all", required=False, shell_complete=complete_state_id)
@click.option(
    "--stream",
    "streams",
    multiple=True,
    shell_complete=complete_bookmarked_stream,
    metavar="NAME",
    help="Of this stream only; may be repeated.",
)
@click.option("--all", "every", is_flag=True, help="Every bookmark that is kept here.")
@_options.yes
@_options.force_as_yes
@click.pass_obj
def clear(
    cli: Cli, state_id: str | None, streams: tuple[str, ...], every: bool, yes: bool, force: bool
) -> int:
    """Forget a bookmark, or that of one stream.

    The next run begins at the beginning; with --stream, only that stream does, and all others go on.

    \b
    flow state clear dev:tap-demo-to-target-csv --stream issues
    """
    from flow_singer.state import editing

    store = cli.workspace.store
    if every:
        if state_id is not None or streams:
            raise click.UsageError("--all clears every bookmark whole: leave out the ID and --stream.")
        if not (ids := store.list()):
            logger.info("No bookmark is kept here, so there is nothing to clear.")
            return EXIT_OK
        what = (
            f"all {len(ids)} bookmarks ({editing.some_of(ids)})" if len(ids) > 1 else f"the bookmark {ids[0]}"
        )
    elif state_id is None:
        raise click.UsageError("Which bookmark? Name its ID (flow state list), or --all.")
    elif streams:
        editing.check_streams(editing.known_state(store, state_id), state_id, streams)
        what = f"{', '.join(streams)} in the bookmark {state_id}"
    else:
        editing.check_known(store, state_id)
        ids, what = (state_id,), f"the bookmark {state_id}"
    confirm(f"Clear {what}?", yes=yes or force)
    if streams and state_id is not None:
        editing.clear_streams(store, state_id, streams)
    else:
        editing.clear_states(store, ids)
    logger.info("Cleared %s.", what)
    return EXIT_OK


@command.command("copy", cls=Verb, group="state")
@_source
@_destination
@_options.yes
@_options.force_as_yes
@click.pass_obj
def copy(cli: Cli, source: str, destination: str, yes: bool, force: bool) -> int:
    """Copy a bookmark to another id.

    \b
    flow state copy prod:tap-demo-to-target-csv dev:tap-demo-to-target-csv
    """
    from flow_singer.state.editing import copy_state, known_state

    known_state(cli.workspace.store, source)
    _confirm_over(cli, source, destination, yes=yes or force)
    copy_state(cli.workspace.store, source, destination)
    logger.info("Copied %s to %s.", source, destination)
    return EXIT_OK


@command.command("move", cls=Verb, group="state")
@_source
@_destination
@_options.yes
@_options.force_as_yes
@click.pass_obj
def move(cli: Cli, source: str, destination: str, yes: bool, force: bool) -> int:
    """Give a bookmark another id, such as after a rename.

    \b
    flow state move dev:tap-old-to-target-csv dev:tap-demo-to-target-csv
    """
    from flow_singer.state.editing import known_state, move_state

    known_state(cli.workspace.store, source)
    _confirm_over(cli, source, destination, yes=yes or force)
    move_state(cli.workspace.store, source, destination)
    logger.info("Moved %s to %s.", source, destination)
    return EXIT_OK


@command.command("merge", cls=Verb, group="state")
@click.argument("first", metavar="SRC|ID", shell_complete=complete_state_id)
@click.argument("second", metavar="[DST|JSON|-]", required=False, shell_complete=complete_state_id)
@_input_file
@click.option(
    "--from-state-id",
    shell_complete=complete_state_id,
    metavar="SRC",
    help="Take the state of this bookmark (as Meltano spells it).",
)
@click.pass_obj
def merge(
    cli: Cli, first: str, second: str | None, input_file: Path | None, from_state_id: str | None
) -> int:
    """Lay one state over a bookmark, key by key.

    Streams that the state does not name keep their bookmarks. It comes from another bookmark (SRC DST, or DST with
    --from-state-id SRC), or is given as to flow state set (ID JSON).

    \b
    flow state merge prod:tap-demo-to-target-csv dev:tap-demo-to-target-csv
    flow state merge dev:tap-demo-to-target-csv '{"bookmarks": {"issues": {"id": 3}}}'
    """
    from flow_singer.state.editing import known_state, merge_state

    store, source, target = cli.workspace.store, from_state_id, first
    if second is not None and second != "-" and not second.lstrip().startswith("{"):
        source, target, second = first, second, None
        if from_state_id is not None:
            raise click.UsageError(
                f"Two bookmarks to take from: {first}, and --from-state-id {from_state_id}."
            )
    if source is None:
        value = _given_state(second, input_file)
    elif second is not None or input_file is not None:
        raise click.UsageError("Name one state: another bookmark, a JSON text, or --input-file.")
    elif source == target:
        raise ConfigError(f"Both bookmarks are '{source}'.", "Name two.")
    else:
        value = known_state(store, source)
    merge_state(store, target, value)
    logger.info("Laid %s over the bookmark %s.", source or "that state", target)
    return EXIT_OK


def _confirm_over(cli: Cli, source: str, destination: str, *, yes: bool) -> None:
    """Ask where something lies at the destination already."""
    if source != destination and destination in cli.workspace.store.list():
        confirm(f"Replace the bookmark {destination} by {source}?", yes=yes)


def _given_state(text: str | None, file: Path | None) -> RawState:
    """The state that was typed, lies in a file, or comes on stdin.

    Raises:
        ConfigError: it cannot be read, is no state, or is empty.
    """
    from flow_singer.state.statevalues import read_state_text

    if (text is None) == (file is None):
        raise click.UsageError("Give one state: a JSON text, - for stdin, or --input-file FILE.")
    if text == "-" or str(file) == "-":
        name, content = "stdin", sys.stdin.buffer.read()
    elif file is not None:
        name = f"--input-file {file}"
        try:
            content = file.read_bytes()
        except OSError as exc:
            raise ConfigError(
                f"Cannot read --input-file {file}: {exc.strerror}.", "Name a file that holds a state."
            ) from exc
    else:
        name, content = "That text", os.fsencode(text or "")
        if not content.lstrip().startswith(b"{") and Path(text or "").is_file():
            raise ConfigError(f"'{text}' is a file, and no JSON.", f"Write: --input-file {text}")
    value = read_state_text(content, name, alone=True)
    if value is None:
        raise ConfigError(f"{name} is an empty state.", "To forget a bookmark: flow state clear ID")
    return value
