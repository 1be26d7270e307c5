"""Names of packages, resources, files and columns that every reader and file system takes.

The name of a stream's file is a function of the stream's name alone: whatever else a run brings, and in
whatever order, one stream never gets what another one had. A plain name stands for itself. One that had to be
changed, or that the file system takes for another, ends with `--` and a digest of what it was.

A package is replaced whole, and its descriptor tells whose each resource is: there the digest is only for
streams of the same package whose names would be one.

Source: Data Package v2, "name"; the reserved names of Windows; 255 bytes to a name on most file systems.
"""

from __future__ import annotations

import hashlib
import re
import sys
import unicodedata
from collections.abc import Container, Iterable
from pathlib import Path

MAX_CHARACTERS = 80
MAX_BYTES = 200
"""Of a file's stem: an ending, and those of the files beside it while it is written, follow."""
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_DIGEST = re.compile(r"--[0-9a-f]{8}$")


def slug(name: str, *, default: str = "stream") -> str:
    """A lower-case name of `a-z`, `0-9`, `-`, `_` and `.` that resembles `name`; others may have the same.

    Args:
        name: any text.
        default: what is used where nothing of `name` is left.
    """
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return _usable(re.sub(r"[^a-z0-9._]+", "-", plain), default)


def resource_names(streams: Iterable[str]) -> dict[str, str]:
    """The names of a package's streams as resources, and of their files: slugs, each of its own.

    Of streams with one slug, the one whose name it is keeps it; the others get a digest.
    """
    alike: dict[str, list[str]] = {}
    for stream in streams:
        alike.setdefault(slug(stream), []).append(stream)
    return {
        stream: text
        if not has_digest(text) and (len(group) == 1 or stream == text)
        else with_digest(stream, text)
        for text, group in alike.items()
        for stream in group
    }


def file_stem(stream: str, *, folds_case: bool = True) -> str:
    """The name of a stream's file without its ending, as near to the stream's name as file systems allow.

    Args:
        stream: its name.
        folds_case: whether the file system takes `Users` and `users` for one name.
    """
    composed = unicodedata.normalize("NFC", stream)
    visible = "".join(one if one.isprintable() else "-" for one in composed)
    usable = _usable(re.sub(r'[<>:"/\\|?*]+', "-", visible), "stream")
    if usable == stream and not has_digest(stream) and not (folds_case and stream != _folded(stream)):
        return usable
    return with_digest(stream, usable)


def folds_case(folder: Path) -> bool:
    """Whether the file system of a folder takes names that differ in case alone for one."""
    folder = folder.resolve()
    other = folder.with_name(folder.name.swapcase())
    if other.name == folder.name:  # it tells nothing
        return sys.platform in ("darwin", "win32")
    return other.exists() and other.samefile(folder)


def earlier_file_stem(stream: str) -> str:
    """The stem that version 0.1 gave to the file of a stream, where no other stream had taken it."""
    text = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*\ud800-\udfff]+', "-", stream)[:MAX_CHARACTERS].strip("-. ")
    return f"stream-{text}" if _RESERVED.fullmatch(text) else text or "stream"


def has_digest(name: str) -> bool:
    """Whether `name` ends as those that were given a digest do."""
    return _DIGEST.search(name) is not None


def with_digest(stream: str, usable: str) -> str:
    """`usable` and a digest of the stream's name."""
    digest = hashlib.sha256(stream.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{_cut(usable, MAX_BYTES - 10).rstrip('-. ') or 'stream'}--{digest}"


def _folded(text: str) -> str:
    """The same text for all that a file system may take for one name."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())


def _usable(text: str, default: str) -> str:
    text = _cut(text[:MAX_CHARACTERS], MAX_BYTES).strip("-. ") or default
    return f"{default}-{text}" if _RESERVED.fullmatch(text) else text


def _cut(text: str, size_bytes: int) -> str:
    """The beginning of `text`, at most so many bytes of UTF-8, in whole characters."""
    return text.encode()[:size_bytes].decode(errors="ignore")


def column_name(name: str, taken: Container[str]) -> str:
    """The name of a property as a column: itself, but for names that Table Schema or its readers refuse."""
    text = name.strip() or "unnamed"  # readers strip the names in a header
    free, number = text, 2
    while free in taken:
        free, number = f"{text}-{number}", number + 1
    return free
