"""`flow list`."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from flow_singer.cli import _options
from flow_singer.cli._answers import answer_json, answer_table
from flow_singer.cli._context import Cli
from flow_singer.cli._optionvars import Verb
from flow_singer.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from flow_singer.stages.workspace import Workspace

logger = logging.getLogger("flow_singer")

SECTIONS = ("plugins", "jobs", "environments", "bookmarks")
_HEADERS = {
    "plugins": ("PLUGIN", "KIND", "FROM", "INSTALLED"),
    "jobs": ("JOB", "TASKS"),
    "environments": ("ENVIRONMENT", ""),
    "bookmarks": ("BOOKMARK", "STREAMS", "SAVED"),
}


@click.command("list", cls=Verb)
@click.argument(
    "section", type=click.Choice(SECTIONS), metavar="[plugins|jobs|environments|bookmarks]", required=False
)
@_options.as_json
@click.pass_obj
def command(cli: Cli, section: str | None, as_json: bool) -> int:
    """List plugins, jobs, environments and bookmarks.

    Nothing is started or installed for it. Without a meltano.yml there are still the bundled connectors.

    \b
    flow list
    flow list bookmarks
    flow list plugins --json
    """
    listed = _list(cli.workspace, SECTIONS if section is None else (section,))
    if as_json:
        answer_json(listed)
        return EXIT_OK
    for number, (name, rows) in enumerate(listed.items()):
        if not rows:
            _tell_nothing(cli.workspace, name, asked=section is not None)
            continue
        if number and section is None:
            click.echo()
        answer_table(_HEADERS[name], [_ROWS[name](row) for row in rows])
    return EXIT_OK


def _list(workspace: Workspace, sections: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """What there is, by section; where all are asked for, bookmarks that cannot be read are told, and the rest stays."""
    from flow_singer.stages.inventory import bookmarks_of, environments_of, jobs_of, plugins_of

    listed: dict[str, list[dict[str, Any]]] = {}
    for section in sections:
        if section == "plugins":
            plugins = plugins_of(workspace)
            listed[section] = [asdict(one) for one in plugins]
            for one in plugins:
                if one.problem:
                    logger.warning("%s: %s", one.name, one.problem)
        elif section == "jobs":
            listed[section] = [asdict(one) for one in jobs_of(workspace.project)]
        elif section == "environments":
            listed[section] = [asdict(one) for one in environments_of(workspace.project)]
        else:
            try:
                bookmarks = bookmarks_of(workspace.store)
                listed[section] = [one.as_json() for one in bookmarks]
                for bookmark in bookmarks:
                    if bookmark.problem:
                        logger.warning("%s", bookmark.problem)
            except ConfigError as error:
                if len(sections) == 1:
                    raise
                listed[section] = []
                logger.warning("%s", error)
    if workspace.project is None and "plugins" in sections:
        logger.info(
            "There is no meltano.yml in %s or above: of plugins, only the bundled connectors are listed. flow init "
            "makes a project.",
            workspace.folder,
        )
    return listed


def _tell_nothing(workspace: Workspace, section: str, *, asked: bool) -> None:
    """Say why a section is empty, where a person asked for it alone."""
    if not asked:
        return
    if section == "bookmarks":
        logger.info("No bookmark is kept here yet: flow run TAP TARGET makes one.")
    elif workspace.project is None:
        logger.info(
            "There is no meltano.yml in %s or above, so there are no %s. flow init makes a project.",
            workspace.folder,
            section,
        )
    else:
        logger.info("meltano.yml has no %s.", section)


def _plugin_row(plugin: dict[str, Any]) -> tuple[str | None, ...]:
    origin = {
        "pip_url": plugin["source"],
        "bundled": "bundled with Flow",
        "executable": f"executable {plugin['source']}",
        None: "nowhere",
    }[plugin["origin"]]
    return plugin["name"], plugin["kind"], origin, "yes" if plugin["installed"] else "no"


def _environment_row(environment: dict[str, Any]) -> tuple[str, ...]:
    marks = [mark for mark in ("active", "default") if environment[mark]]
    return environment["name"], ", ".join(marks)


def _bookmark_row(bookmark: dict[str, Any]) -> tuple[str | None, ...]:
    streams = "cannot be read" if bookmark["problem"] else ", ".join(bookmark["streams"])
    saved_at = bookmark["saved_at"] and bookmark["saved_at"].replace("T", " ").replace("+00:00", " UTC")
    return bookmark["id"], streams, saved_at


_ROWS = {
    "plugins": _plugin_row,
    "jobs": lambda job: (job["name"], "; ".join(job["tasks"])),
    "environments": _environment_row,
    "bookmarks": _bookmark_row,
}
