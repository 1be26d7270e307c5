"""Which bookmark a run of a tap resumes from, and which streams that continues."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from glob import escape
from pathlib import Path
from typing import Any

import msgspec

from flow_singer.errors import ConfigError
from flow_singer.plugins.prepare import PreparedPlugin
from flow_singer.project.meltanofile import Project
from flow_singer.stages.packagebookmark import kept_state
from flow_singer.stages.tapoptions import TapOptions
from flow_singer.state.documents import StateStore, why_no_state
from flow_singer.state.statevalues import EXPECTED, read_state_text

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Bookmark:
    """What a run resumes from.

    Attributes:
        state_id: its name.
        value: the STATE; None: the run begins at the beginning.
        digest: tells this STATE from others, where a Data Package keeps it.
    """

    state_id: str | None = None
    value: bytes | None = None
    digest: str | None = None


def find_bookmark(
    tap: PreparedPlugin,
    project: Project | None,
    store: StateStore | None,
    options: TapOptions,
    *,
    suffix: str | None = None,
) -> Bookmark:
    """Choose what a run resumes from: a file, the bookmark that was named, else the only one the tap has.

    Args:
        tap: its extra `state` names a file, relative to the project's folder, which goes before bookmarks
            (Meltano 4.4, "state" extra).
        project: for that folder and the environment.
        store: bookmarks; None where none are kept.
        options: what was asked.
        suffix: what the names of this project's bookmarks end in.

    Raises:
        ConfigError: the file or the bookmark is no state, or the tap has several bookmarks and none was named.
    """
    if options.full_refresh or options.limit is not None:
        return Bookmark(options.state_id)
    if options.state is not None:
        return Bookmark(_named(options), _read_state(options.state, f"--state {options.state}"))
    if file := tap.extras.get("state"):
        path = (project.root if project else Path()) / str(file)
        logger.info(
            "%s resumes from the file %s (state: in meltano.yml), not from a bookmark.", tap.name, file
        )
        return Bookmark(_named(options), _read_state(path, f"the state of {tap.name} in meltano.yml, {path}"))
    if options.package is not None and options.state_id is not None:
        return Bookmark(options.state_id, *kept_state(options.package, options.state_id))
    if store is None:
        return Bookmark()
    if options.state_id is not None:
        return Bookmark(options.state_id, _sound(store, options.state_id))
    ids = known_bookmarks(store, project, tap.name, suffix)
    if len(ids) > 1:
        raise ConfigError(
            f"{tap.name} has several bookmarks: {', '.join(ids)}.",
            f"Say which: flow run {tap.name} --to TARGET, or --state-id ID, or --full-refresh.",
        )
    return Bookmark(ids[0], _sound(store, ids[0])) if ids else Bookmark()


def _named(options: TapOptions) -> str | None:
    """The bookmark that a state in a file stands for; a package has its own state, and this is another."""
    return options.state_id if options.package is None else None


def known_bookmarks(
    store: StateStore, project: Project | None, tap: str, suffix: str | None = None
) -> list[str]:
    """Ids of the bookmarks that a tap has in the active environment.

    Those in a tap (`tap-x-to-tap-y`), which only a mistake can have made, are told and left aside.
    """
    environment = f"{project.environment}:" if project and project.environment else ""
    start = f"{environment}{Path(tap).name}-to-"
    end = f":{suffix}" if suffix else ""
    ids = []
    for one in store.list(f"{escape(start)}*{escape(end)}"):
        target = one.removeprefix(start).partition(":")[0]
        if _is_tap(project, target):
            logger.warning("The bookmark %s is left aside: %s is a tap, no target.", one, target)
        elif store.get(one) is not None:
            ids.append(one)
    return ids


def _is_tap(project: Project | None, name: str) -> bool:
    if project is not None and project.plugin("loaders", name) is not None:
        return False
    return name.startswith("tap-") or (project is not None and project.plugin("extractors", name) is not None)


def _sound(store: StateStore, state_id: str) -> bytes | None:
    """The value of a bookmark."""
    value = store.get(state_id)
    if value is not None and (why := why_no_state(value)):
        raise ConfigError(
            f"The bookmark {state_id} is no state: it is {why}.",
            "Run with --full-refresh to begin at the beginning and replace it, or name another with --state-id.",
        )
    return value


def _read_state(path: Path, name: str) -> bytes | None:
    """The state in a file; None where it says nothing."""
    try:
        text = path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"Cannot read {name}: {exc.strerror}.", "Name a file that holds a state.") from exc
    if not text.strip():
        raise ConfigError(f"{name} is empty.", f"{EXPECTED} To begin at the beginning, leave it out.")
    value = read_state_text(text, name)
    if value is None:
        logger.warning("%s is empty: the tap begins at the beginning.", name)
    return value


def resumed_streams(value: bytes | None, catalog: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names of the selected streams that a state continues."""
    if value is None:
        return ()
    try:
        state = msgspec.json.decode(value)
    except RecursionError:  # of a bookmark that nests thousands deep; the tap gets it all the same
        state = {}
    bookmarks = state.get("bookmarks", state) if isinstance(state, dict) else {}
    continued = {name for name, mark in bookmarks.items() if mark} if isinstance(bookmarks, dict) else set()
    if catalog is None:
        return tuple(sorted(continued))
    names = []
    for stream in catalog.get("streams", ()):
        id_ = stream.get("tap_stream_id", stream.get("stream"))
        if id_ in continued and _method(stream) != "FULL_TABLE":
            names.append(str(stream.get("stream", id_)))
    return tuple(sorted(names))


def _method(stream: Mapping[str, Any]) -> str | None:
    for entry in stream.get("metadata") or ():
        if not entry.get("breadcrumb"):
            marks = entry.get("metadata") or {}
            method = marks.get("forced-replication-method") or marks.get("replication-method")
            if method:
                return str(method)
    return stream.get("replication_method")
