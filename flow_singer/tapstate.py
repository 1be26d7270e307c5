"""Which bookmark a run of a tap resumes from, and which streams that continues."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from flow_singer.errors import ConfigError
from flow_singer.prepare import PreparedPlugin
from flow_singer.project import Project
from flow_singer.state import StateStore
from flow_singer.tapoptions import TapOptions


@dataclass(frozen=True)
class Bookmark:
    """What a run resumes from."""

    state_id: str | None = None
    value: bytes | None = None


def find_bookmark(
    tap: PreparedPlugin, project: Project | None, store: StateStore | None, options: TapOptions
) -> Bookmark:
    """Choose what a run resumes from: a file, the bookmark that was named, else the only one the tap has.

    Raises:
        ConfigError: the file is no state, or the tap has several bookmarks and none was named.
    """
    if options.full_refresh or options.limit is not None:
        return Bookmark(options.state_id)
    if options.state is not None:
        try:
            return Bookmark(options.state_id, _state_value(options.state.read_bytes(), str(options.state)))
        except OSError as exc:
            raise ConfigError(f"Cannot read --state {options.state}: {exc.strerror}.") from exc
    if store is None:
        return Bookmark()
    if options.state_id is not None:
        return Bookmark(options.state_id, store.get(options.state_id))
    ids = known_bookmarks(store, project, tap.name)
    if len(ids) > 1:
        raise ConfigError(
            f"{tap.name} has several bookmarks: {', '.join(ids)}.",
            f"Say which: flow run {tap.name} --to TARGET, or --state-id ID, or --full-refresh.",
        )
    return Bookmark(ids[0], store.get(ids[0])) if ids else Bookmark()


def known_bookmarks(store: StateStore, project: Project | None, tap: str) -> list[str]:
    """Ids of the bookmarks that a tap has in the active environment."""
    start = f"{project.environment}:" if project and project.environment else ""
    return [one for one in store.list(f"{start}{tap}-to-*") if store.get(one) is not None]


def _state_value(text: bytes, name: str) -> bytes:
    """The state of a file: as taps write it, or wrapped as Meltano keeps it."""
    try:
        document = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        msgspec.json.decode(text)  # what lies inside, which is looked at later
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(
            f"{name} is no state: {exc}.", 'Expected a JSON object such as {"bookmarks": ...}.'
        ) from exc
    wrapped = document.get("singer_state")
    return bytes(wrapped) if wrapped is not None else text.strip()


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
