"""What a person does to bookmarks by hand. No run may hold them meanwhile."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

from flow_singer.errors import ConfigError
from flow_singer.nearnames import did_you_mean, near_names
from flow_singer.state.documents import RawState, StateStore, checked_id, run_lock
from flow_singer.state.statevalues import streams_of, without_streams

_MOST_SHOWN = 20


def check_known(store: StateStore, state_id: str) -> None:
    """Make sure that there is a bookmark of that id.

    Raises:
        ConfigError: there is none; names near ones, and those that there are.
    """
    ids = store.list()
    if state_id not in ids:
        near = did_you_mean(near_names(state_id, ids))
        raise ConfigError(f"There is no bookmark '{state_id}'.", f"{near} {_listed(ids)}".strip())


def _listed(ids: Sequence[str]) -> str:
    return f"There are: {some_of(ids)}." if ids else "None is kept here yet: flow run TAP TARGET makes one."


def some_of(ids: Sequence[str]) -> str:
    """Ids for a person: not more than can be read."""
    more = len(ids) - _MOST_SHOWN
    return ", ".join(ids[:_MOST_SHOWN]) + (f" and {more} more (flow state list)" if more > 0 else "")


def known_state(store: StateStore, state_id: str) -> RawState:
    """Return the value of a bookmark that is there and says something.

    Raises:
        ConfigError: there is none of that id, it is empty, or it cannot be read.
    """
    check_known(store, state_id)
    value = store.get(state_id)
    if value is None:
        raise ConfigError(
            f"The bookmark '{state_id}' is empty.",
            "A run of its pipeline begins at the beginning and fills it.",
        )
    return value


def set_state(store: StateStore, state_id: str, value: RawState) -> None:
    """Put a value in the place of whatever the bookmark holds, or make it.

    Raises:
        ConfigError: the id cannot be one, or a run has the bookmark.
        DataError: the value is no state.
    """
    with _held(store, state_id):
        store.set(state_id, value)


def merge_state(store: StateStore, state_id: str, value: RawState) -> None:
    """Lay a value over the bookmark, as its partial state: streams that it does not name keep theirs.

    Raises:
        ConfigError: see `set_state`; or what is there cannot be read.
        DataError: the value is no state.

    Source: Meltano 4.4, `state merge`.
    """
    with _held(store, state_id):
        store.get(state_id)  # what cannot be read is not replaced by a part
        store.merge_partial(state_id, value)


def clear_states(store: StateStore, state_ids: Sequence[str]) -> None:
    """Forget bookmarks: all of them, or none where a run has one.

    Raises:
        ConfigError: a run has one.
    """
    with _held(store, *state_ids):
        for state_id in state_ids:
            store.clear(state_id)


def check_streams(value: RawState, state_id: str, streams: Sequence[str]) -> None:
    """Make sure that a bookmark speaks of these streams.

    Raises:
        ConfigError: it does not; names near ones, and those that it has.
    """
    known = streams_of(value)
    for stream in streams:
        if stream not in known:
            near = did_you_mean(near_names(stream, known))
            has = f"It has: {', '.join(known)}." if known else f"It has none: flow state get {state_id}"
            raise ConfigError(f"The bookmark '{state_id}' has no stream '{stream}'.", f"{near} {has}".strip())


def clear_streams(store: StateStore, state_id: str, streams: Sequence[str]) -> None:
    """Take some streams out of a bookmark: they begin at the beginning again, all others go on.

    Raises:
        ConfigError: see `known_state` and `check_streams`; or a run has the bookmark.
    """
    with _held(store, state_id):
        value = known_state(store, state_id)
        check_streams(value, state_id, streams)
        if not store.set(state_id, without_streams(value, streams)):
            store.clear(state_id)  # nothing was left of it


def copy_state(store: StateStore, source: str, target: str) -> None:
    """Put a copy of one bookmark in the place of another, or make that.

    Raises:
        ConfigError: see `known_state`; both are the same; or a run has the second.
    """
    _refuse_same(source, target)
    value = known_state(store, source)
    set_state(store, target, value)


def move_state(store: StateStore, source: str, target: str) -> None:
    """Give a bookmark another id; what that id held is replaced.

    Raises:
        ConfigError: see `known_state`; both are the same; or a run has one of them.
    """
    _refuse_same(source, target)
    with _held(store, source, target):
        store.set(target, known_state(store, source))
        store.clear(source)  # last: nothing is lost where this is stopped


def _refuse_same(source: str, target: str) -> None:
    if source == target:
        raise ConfigError(f"Both bookmarks are '{source}'.", "Name two.")


@contextlib.contextmanager
def _held(store: StateStore, *state_ids: str) -> Iterator[None]:
    """Keep runs off these bookmarks until the block ends."""
    with contextlib.ExitStack() as stack:
        for state_id in state_ids:
            checked_id(state_id)
            stack.enter_context(
                run_lock(store.lock_folder, state_id, hint="Wait for it or stop it, then try again.")
            )
        yield
