"""The bookmark that a package keeps itself: where a tap resumes from it, and whether a stream may move it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flow_singer.errors import BusyError, ConfigError
from flow_singer.singer.marks import Header

if TYPE_CHECKING:
    from flow_singer.datapackage.formerpackage import FormerPackage, StateMove, WriteMode


def kept_state(package: Path, state_id: str) -> tuple[bytes | None, str | None]:
    """The STATE that a package keeps under a name, and its digest; None where it keeps none.

    Raises:
        ConfigError: what is there is no package that Flow wrote.
    """
    from flow_singer.datapackage.formerpackage import digest_of, read_former

    former = read_former(package)
    value = None if former is None else former.states.get(state_id)
    return value, digest_of(value)


def begun_at(
    former: FormerPackage | None, header: Header | None, mode: WriteMode, target: str, state_id: str | None
) -> StateMove | None:
    """Where a stream begins that is about to be added to a package, or to replace it.

    Args:
        former: the package that is there; None where there is none, or it is replaced.
        header: of the stream.
        mode: replace, append or upsert.
        target: the package, as the user names it.
        state_id: the name of the bookmark that the package keeps for this tap; None where nobody knows the tap.

    Returns:
        What the STATE that comes is to move; None where none is kept.

    Raises:
        ConfigError: rows would be missing, or would come twice.
        BusyError: another run has added to the package since the tap resumed.
    """
    from flow_singer.datapackage.formerpackage import StateMove, digest_of

    if header is None or state_id is None:
        return None
    held = None if former is None else former.states.get(state_id)
    if mode == "replace":
        return StateMove(state_id, None)
    tap = header.tap or "TAP"
    if header.state_id is not None and (header.state_id != state_id or header.state_digest is None):
        raise ConfigError(
            f"{tap} resumed from the bookmark {header.state_id}, which says nothing of {target}: what it skips would "
            "be missing there.",
            f"Run: flow run {tap} --to {target} | … (the package's own bookmark), or flow run {tap} --full-refresh "
            "| …",
        )
    if header.state_digest is not None and held is None:
        raise ConfigError(
            f"{tap} resumed from the bookmark of another package: {target} keeps none of it, so what it skips would "
            "be missing there.",
            f"Run: flow run {tap} --to {target} | …, or flow run {tap} --full-refresh | …",
        )
    if header.state_digest is not None and digest_of(held) != header.state_digest:
        raise BusyError(
            f"{target} has grown since {tap} resumed from it: another run has added rows and moved its bookmark.",
            "Nothing of this run was added. Run again: it continues where the package ends now.",
        )
    begins_anew = header.state_id is None and not header.resumed and not header.full_refresh
    if mode == "append" and begins_anew and held is not None:
        raise ConfigError(
            f"{target} holds what {tap} has brought so far, and this stream begins at the beginning: its rows would "
            "be there twice.",
            f"To continue: flow run {tap} --to {target} | …; to have them twice: flow run {tap} --full-refresh | …; "
            "to replace them by their key: --write-mode upsert.",
        )
    return StateMove(state_id, digest_of(held), header.full_refresh)


def added_again(former: FormerPackage | None, header: Header | None, streams: list[str]) -> list[str]:
    """Streams whose rows are added to those of earlier runs though no bookmark says where these ended."""
    if former is None or header is None or header.state_id is None:
        return []
    held = {one["flow:stream"] for one in former.resources if one.get("flow:records")}
    return [stream for stream in streams if stream in held and stream not in header.resumed]
