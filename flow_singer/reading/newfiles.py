"""Which files of a source no run has read yet, by what a STATE notes of those that were.

`{"bookmarks": {STREAM: {"files": {NAME: FINGERPRINT}}}}`. A fingerprint says itself what it was taken of:
`size:1204`, `time:1204:1706702400.123456789` (the size, and when the file was changed last) or `sha256:…`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flow_singer.errors import ConfigError
from flow_singer.reading.guesses import shown_names
from flow_singer.reading.places import Stamp
from flow_singer.reading.readsettings import FileChange
from flow_singer.reading.resource import SourceStream
from flow_singer.reading.resourcedescription import Part
from flow_singer.wording import count_of

FILES = "files"
"""The member of a stream's bookmark."""

_HOW: dict[str, FileChange] = {"time": "time", "size": "size", "sha256": "hash"}
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True)
class NewFile:
    """A file that no run has read.

    Attributes:
        name: what the STATE calls it.
        fingerprint: of its content, as it is to be noted.
        rows: a stream of its rows alone; reading them fails where it was changed since the fingerprint was taken.
    """

    name: str
    fingerprint: str
    rows: SourceStream


class NewFiles:
    """The files of a stream that no run has read.

    Args:
        stream: whose files they are.
        how: what tells that a file is another one: its size and the time of its last change, its size, its content.
        noted: fingerprints of the files that were read, by name, as the bookmark has them.
        trust: take the content for what it is, not for what a descriptor promises.

    Attributes:
        noted: the same, without files that are gone or have changed.
        changed: names of files that were read before, and are another since.
        gone: names of files that were read before, and are not there.
        count: how many are to be read.

    Raises:
        ConfigError: it cannot be told which files are new, or what is noted is no fingerprint.
        DataError: a file cannot be read.
    """

    def __init__(
        self, stream: SourceStream, how: FileChange, noted: Mapping[str, Any], *, trust: bool
    ) -> None:
        self._stream, self._how, self._trust = stream, how, trust
        self._check()
        files = _names(stream)
        self._new: list[tuple[str, Part]] = []
        self.noted: dict[str, str] = {}
        self.changed: list[str] = []
        self.gone = [name for name in noted if name not in files]
        for name, file in files.items():
            if name in noted and self._is_read(file, name, noted[name]):
                # Noted anew where 'new_files' says another way than it did then.
                kept = _how_of(noted[name]) == how
                self.noted[name] = noted[name] if kept else self._fingerprint(file, how)[0]
                continue
            if name in noted:
                self.changed.append(name)
            self._new.append((name, file))
        self.count = len(self._new)

    def unread(self) -> Iterator[NewFile]:
        """The files, in their order; the fingerprint of each is taken when it is asked for."""
        for name, file in self._new:
            fingerprint, since = self._fingerprint(file, self._how)
            yield NewFile(name, fingerprint, self._stream.only(file, since))

    def _check(self) -> None:
        stream, place = self._stream, self._stream.place
        if not stream.files:
            raise ConfigError(
                f"'new_files' does nothing for the stream '{stream.name}': its rows stand in the descriptor of "
                f"{place.title}, not in files.",
                "Leave 'new_files' out, or the stream.",
            )
        for file in stream.files:
            if self._how != "hash" and place.stamp(file.path) is None:
                raise ConfigError(
                    f"'new_files' is '{self._how}', but nobody says of {place.name(file.path)} how large it is and "
                    "when it was changed before it is fetched.",
                    "Take 'hash', which goes by what is in it; or leave 'new_files' out.",
                )

    def _is_read(self, file: Part, name: str, noted: Any) -> bool:
        """Whether a file is the one that was read: by what that was noted with."""
        how = _how_of(noted)
        if how is None:
            raise ConfigError(
                f"The bookmark notes {str(noted)[:80]!r} of the file {name!r}, which is no fingerprint.",
                "Correct it with flow state set, or start anew with --full-refresh.",
            )
        return self._fingerprint(file, how)[0] == str(noted)

    def _fingerprint(self, file: Part, how: FileChange) -> tuple[str, Stamp | None]:
        """The fingerprint of a file, and its stamp from before that was taken."""
        place = self._stream.place
        stamp = place.stamp(file.path)
        if how == "hash":
            promised = (file.hash or "").lower()
            if (
                promised.startswith("sha256:") and not self._trust
            ):  # whether it is true is found out by reading
                return promised, stamp
            return f"sha256:{_sha256(place.file(file.path))}", stamp
        if stamp is None:
            return "", None
        size = stamp.size_bytes
        return f"size:{size}" if how == "size" else f"time:{size}:{stamp.changed}", stamp


def find_new_files(
    streams: Sequence[SourceStream],
    chosen: Sequence[str],
    how: FileChange | None,
    bookmarks: MutableMapping[str, Any],
    *,
    trust: bool,
    notice: Callable[[str], None],
) -> dict[str, NewFiles]:
    """Find out which files of a source no run has read; what is odd of them is told, in one line each.

    Args:
        streams: of the source.
        chosen: names of those that are to be read.
        how: what tells that a file is another one; None: all are read each time.
        bookmarks: by stream; those of streams that are not there any more are taken out, as they would stay for ever.
        trust: take a content for what it is, not for what a descriptor promises.
        notice: called with what a person should hear.

    Returns:
        By stream; empty where all files are read each time.

    Raises:
        ConfigError: it cannot be told which are new, or a bookmark is wrong.
        DataError: a file cannot be read.
    """
    noted = {stream: mark[FILES] for stream, mark in bookmarks.items() if FILES in mark}
    for stream, files in noted.items():
        if not isinstance(files, Mapping):
            raise ConfigError(
                f"The bookmark of the stream '{stream}' says {str(files)[:80]!r} where the names of its files should "
                "stand.",
                "Correct it with flow state set, or start anew with --full-refresh.",
            )
    if how is None:
        for stream in noted:
            del bookmarks[stream][FILES]
        if noted:
            notice(
                f"{shown_names(list(noted))}: all files are read, also those that the bookmark notes as read, as "
                "'new_files' is not set."
            )
        return {}
    found = {
        one.name: NewFiles(one, how, noted.get(one.name, {}), trust=trust)
        for one in streams
        if one.name in chosen
    }
    gone = [name for one in found.values() for name in one.gone]
    for stream in [one for one in noted if all(one != other.name for other in streams)]:
        _refuse_renamed(stream, noted, streams)
        gone += noted[stream]
        del bookmarks[stream]
    _tell(found, gone, streams[0].place.title, notice)
    return found


def _refuse_renamed(stream: str, noted: Mapping[str, Any], streams: Sequence[SourceStream]) -> None:
    """Refuse to read everything again because a name that was made of those of all files is another today."""
    for other in streams:
        if other.name not in noted and not _names(other).keys().isdisjoint(noted[stream]):
            raise ConfigError(
                f"The files that were read as the stream '{stream}' are the stream '{other.name}' today, and would all "
                "be read again.",
                f"To go on, give the stream its name: 'stream': '{stream}'. To begin anew: --full-refresh.",
            )


def _tell(found: Mapping[str, NewFiles], gone: list[str], title: str, notice: Callable[[str], None]) -> None:
    if len(gone) == 1:
        notice(f"'{gone[0]}' was read before and is gone: it is forgotten, and read again if it comes back.")
    elif gone:
        notice(
            f"{len(gone):,} files were read before and are gone: they are forgotten, and read again if they come back: "
            f"{shown_names(gone)}."
        )
    changed = [name for one in found.values() for name in one.changed]
    if len(changed) == 1:
        notice(f"'{changed[0]}' has changed since it was read, and is read again, whole.")
    elif changed:
        notice(
            f"{len(changed):,} files have changed since they were read, and are read again, whole: "
            f"{shown_names(changed)}."
        )
    if found and not any(one.count for one in found.values()):
        read = len({name for one in found.values() for name in one.noted})
        notice(f"{title}: no new file; {count_of(read, 'file was', 'files were')} read before.")


def _names(stream: SourceStream) -> dict[str, Part]:
    """The files of a stream by the names that a STATE has for them; any text is JSON then."""
    return {
        stream.place.name(one.path).encode(errors="backslashreplace").decode(): one for one in stream.files
    }


def _how_of(noted: Any) -> FileChange | None:
    """What a fingerprint was taken of; None where it is none."""
    return _HOW.get(noted.partition(":")[0]) if isinstance(noted, str) else None


def _sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
