"""Bookmarks: ids, merging, documents and locks of the STATE values that targets have confirmed.

A value is kept as the bytes that the target printed: `1.10` or a 30-digit integer in a bookmark would not
survive decoding. Ids and stored documents are those of Meltano 4.4, so that either tool resumes where the
other stopped.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, Protocol, TextIO

from flow_singer.errors import ConfigError, DataError

logger = logging.getLogger(__name__)

RawState = bytes
"""The JSON text of one STATE value."""

_EMPTY = re.compile(rb'\s*(?:null|false|0|""|\{\s*\}|\[\s*\])?\s*')
_LONGEST_ID_BYTES = 240  # an id names a folder and a file; most file systems allow 255 bytes


def state_id(environment: str | None, tap: str, target: str, suffix: str | None = None) -> str:
    """Name the bookmark of a tap and target pair: `{environment}:{tap}-to-{target}[:{suffix}]`.

    Args:
        environment: name of the active environment; without one the id starts with the tap.
        tap: the tap's name in meltano.yml or on the command line.
        target: likewise.
        suffix: tells several pipelines of one pair apart; empty means none.

    Raises:
        ConfigError: a part contains the delimiter `:`, or the id cannot name a folder.

    Source: Meltano 4.4, `run`; Meltano itself refuses to run without an environment.
    """
    for part in (environment, tap, target, suffix):
        if part and ":" in part:
            raise ConfigError(
                f"The name {part!r} contains ':', which separates the parts of a state id.",
                "Rename it without ':'.",
            )
    return checked_id(":".join(part for part in (environment, f"{tap}-to-{target}", suffix) if part))


def checked_id(id_: str) -> str:
    """Return the state id, or raise `ConfigError` where it cannot name a folder."""
    if (
        not id_
        or id_.startswith(".")
        or id_ != id_.strip()
        or "/" in id_
        or not id_.isprintable()  # no line ends, no bytes that are no UTF-8
        or len(os.fsencode(id_)) > _LONGEST_ID_BYTES
    ):
        raise ConfigError(
            f"{id_!r} cannot be a state id: --state-id, or the names it is made of.",
            f"Use 1 to {_LONGEST_ID_BYTES} bytes of printable characters, without '/' or blanks around them, and "
            "not starting with '.'.",
        )
    return id_


def is_empty(value: RawState) -> bool:
    """Whether a STATE value says nothing (null, `{}` and the like); keeping it would wipe a bookmark."""
    return _EMPTY.fullmatch(value) is not None


def why_no_state(value: RawState) -> str | None:
    """Return what a JSON value is where it cannot be a tap's state, None where it can.

    A state is a JSON object; a Singer message is one, too, but only a mistake makes it a state.
    """
    import msgspec

    try:
        content = msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError) as exc:
        return f"not JSON ({exc})"
    if not isinstance(content, dict):
        return f"no JSON object, but {value[:60].decode(errors='replace')}"
    if content.get("type") in _MESSAGES and ("stream" in content or "value" in content):
        return f"a Singer message ({content['type']})"
    return None


_MESSAGES = ("SCHEMA", "RECORD", "STATE", "BATCH", "ACTIVATE_VERSION")


def deep_merge(base: RawState, over: RawState) -> RawState:
    """Lay one JSON value over another: objects key by key, anything else replaces.

    Only the braces of the objects that both have are decoded: every other byte is copied.

    Source: Meltano 4.4, merging a partial state onto a completed one.
    """
    import msgspec

    decoder, encoder = msgspec.json.Decoder(dict[str, msgspec.Raw]), msgspec.json.Encoder()

    def merge(low: RawState, high: RawState) -> RawState:
        if not (low.lstrip()[:1] == high.lstrip()[:1] == b"{"):
            return high
        merged = decoder.decode(low)
        for key, value in decoder.decode(high).items():
            merged[key] = msgspec.Raw(merge(bytes(merged[key]), bytes(value))) if key in merged else value
        return encoder.encode(merged)

    return merge(base, over)


class StateStore(Protocol):
    """Where bookmarks are kept: one value per state id. A write is durable when the call returns.

    Attributes:
        lock_folder: where runs of one bookmark keep each other out; whoever shares the bookmarks shares it.
    """

    lock_folder: Path

    def get(self, state_id: str) -> RawState | None:
        """Return the value to resume from (partial merged onto completed); None where there is none."""

    def set(self, state_id: str, value: RawState) -> bool:
        """Replace the bookmark by `value`; False, and nothing changes, where the value is empty.

        Raises:
            DataError: the value is not JSON.
        """

    def merge_partial(self, state_id: str, value: RawState) -> bool:
        """Lay `value` over the bookmark, so that streams it does not name keep theirs (full refresh)."""

    def clear(self, state_id: str) -> bool:
        """Forget the bookmark; False where there was none."""

    def list(self, pattern: str | None = None) -> tuple[str, ...]:
        """Return the ids of all bookmarks, sorted; `pattern` is a glob such as `dev:*`."""

    def read_all(self, pattern: str | None = None) -> tuple[KeptBookmark, ...]:
        """Return all bookmarks, sorted by id; one that cannot be read is there with its problem."""


class KeptBookmark(NamedTuple):
    """A bookmark as it is found in a store.

    Attributes:
        state_id: its name.
        value: what to resume from; None where it is empty, or cannot be read.
        saved_at: when it was last written, as far as the store knows.
        problem: why it cannot be read.
    """

    state_id: str
    value: RawState | None
    saved_at: datetime | None = None
    problem: str | None = None


class StateDocument(NamedTuple):
    """A bookmark as Meltano keeps it: the state of completed runs, and what full refreshes laid over it."""

    completed: RawState | None = None
    partial: RawState | None = None

    @property
    def value(self) -> RawState | None:
        """The value to resume from."""
        if self.completed is None or self.partial is None:
            return self.completed or self.partial
        return deep_merge(self.completed, self.partial)

    def with_partial(self, value: RawState) -> StateDocument:
        """Return the document after a full refresh has printed `value`; a part that is no state is dropped."""
        completed, partial = (
            None if part is None or why_no_state(part) else part for part in (self.completed, self.partial)
        )
        return StateDocument(completed, value if partial is None else deep_merge(partial, value))


def wrap(value: RawState | None) -> bytes:
    """Return `{"singer_state": value}`, the form in which Meltano keeps a value."""
    return b"{}" if value is None else b'{"singer_state": ' + value + b"}"


def unwrap(text: bytes | None) -> RawState | None:
    """Return the value inside `{"singer_state": value}`; None where it is absent or empty."""
    import msgspec

    if text is None or is_empty(text):
        return None
    value = msgspec.json.decode(text, type=dict[str, msgspec.Raw]).get("singer_state")
    return None if value is None or is_empty(bytes(value)) else bytes(value)


def storable(state_id: str, value: RawState) -> RawState | None:
    """Return the value ready to be kept, None where it is empty."""
    import msgspec

    checked_id(state_id)
    if is_empty(value):
        logger.info("The bookmark %s stays as it is: the new state is empty.", state_id)
        return None
    try:
        value.decode()
        msgspec.json.decode(value, type=msgspec.Raw)
    except (UnicodeDecodeError, msgspec.DecodeError) as exc:
        shown = value[:200].decode(errors="backslashreplace")
        raise DataError(
            f"The state for {state_id} is not JSON ({exc}): {shown}",
            "A target must print the value of a STATE message, and nothing else, on stdout.",
        ) from exc
    if why := why_no_state(value):
        raise DataError(
            f"The state for {state_id} is {why}.",
            "A target must print the value of a STATE message, and nothing else, on stdout.",
        )
    return value.strip()


def _opened(file: Path) -> TextIO:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        return open(file, "a+", encoding="utf-8", errors="replace")
    except OSError as exc:
        raise unusable(file, exc) from exc


def unusable(file: Path, error: OSError) -> ConfigError:
    """Return the error for a file of the bookmarks that cannot be read or written."""
    return ConfigError(
        f"The bookmarks cannot be used: {error.strerror}: {error.filename or file}.",
        "Check that file or folder and its rights, or set state_backend.uri in meltano.yml.",
    )


_OF_RUNS = "Wait for it or stop it; --force runs all the same; another --state-id has its own bookmark."


@contextlib.contextmanager
def run_lock(folder: Path, state_id: str, *, hint: str = _OF_RUNS) -> Iterator[None]:
    """Keep a second run off the same bookmark until the block ends.

    The kernel drops the lock with its process, so none is ever left behind by a kill.

    Args:
        folder: where lock files are kept (made where missing): `StateStore.lock_folder`.
        state_id: the bookmark.
        hint: what to do where another run has it.

    Raises:
        ConfigError: another run has it; names its process and host.
    """
    file = folder / f"{checked_id(state_id)}.lock"
    with _opened(file) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            lock.seek(0)
            raise ConfigError(
                f"Another run of {state_id} is under way ({lock.read().strip() or 'just started'}).",
                hint,
            ) from exc
        lock.truncate(0)
        lock.write(
            f"process {os.getpid()} on {os.uname().nodename}, since {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
        )
        lock.flush()
        yield
