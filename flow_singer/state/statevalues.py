"""What the value of one bookmark says: read from a text, its streams, and the same without some of them."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from flow_singer.errors import ConfigError
from flow_singer.state.documents import RawState, StateDocument, is_empty, unwrap, why_no_state

if TYPE_CHECKING:
    import msgspec

EXPECTED = 'Expected a JSON object such as {"bookmarks": ...}.'
_NO_STREAMS = frozenset({"currently_syncing"})
"""Keys beside the streams, in a state that has no `bookmarks`."""


def read_state_text(text: bytes, name: str, *, alone: bool = False) -> RawState | None:
    """Read a state that was written down in one of three forms.

    Args:
        text: the value as taps write it, in Meltano's `{"singer_state": value}`, or the document of a bookmark with
            its completed and partial state.
        name: what the text is called in an error.
        alone: whether keys beside `singer_state`, which are not kept, are refused.

    Returns:
        The bytes of the value; None where it is empty.

    Raises:
        ConfigError: it is none of them.
    """
    import msgspec

    try:
        document = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        msgspec.json.decode(text)  # what lies inside, which is looked at later
        text.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(f"{name} is no state: {exc}.", EXPECTED) from exc
    value: bytes | None = text.strip()
    if document and document.keys() <= {"completed", "partial"}:  # the file of a bookmark
        value = StateDocument(
            *(unwrap(bytes(document.get(key, b"{}"))) for key in StateDocument._fields)
        ).value
    elif "singer_state" in document:
        if alone and len(document) > 1:
            beside = ", ".join(f"'{key}'" for key in document if key != "singer_state")
            raise ConfigError(f"{name} has {beside} beside 'singer_state', which would be lost.", EXPECTED)
        value = bytes(document["singer_state"])
    if value is None or is_empty(value):
        return None
    if why := why_no_state(value):
        raise ConfigError(f"{name} is no state: it is {why}.", EXPECTED)
    return value


def streams_of(value: RawState | None) -> tuple[str, ...]:
    """Names of the streams that a state speaks of, in its order: the keys of `bookmarks`, else its own.

    Source: Singer, "State": `bookmarks` is a convention, and older taps have their streams beside each other.
    """
    return tuple(_marks(value)[1]) if value is not None else ()


def without_streams(value: RawState, streams: Collection[str]) -> RawState:
    """Return a state without the bookmarks of some streams; every byte inside of what stays is copied."""
    import msgspec

    document, marks = _marks(value)
    kept = {name: mark for name, mark in marks.items() if name not in streams}
    if "bookmarks" in document:
        document["bookmarks"] = msgspec.Raw(msgspec.json.encode(kept))
    else:
        document = {name: mark for name, mark in document.items() if name not in streams}
    return msgspec.json.encode(document)


def _marks(value: RawState) -> tuple[dict[str, msgspec.Raw], dict[str, msgspec.Raw]]:
    """The members of a state, and those of its streams; none where it is no object."""
    import msgspec

    decoder = msgspec.json.Decoder(dict[str, msgspec.Raw])
    try:
        document = decoder.decode(value)
        marks = decoder.decode(document["bookmarks"]) if "bookmarks" in document else document
    except (msgspec.DecodeError, RecursionError):
        return {}, {}
    return document, {
        name: mark for name, mark in marks.items() if marks is not document or name not in _NO_STREAMS
    }
