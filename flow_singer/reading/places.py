"""Where the files of a package lie: a folder, a zip file, or a server; each file is read from the disk at last.

Source: Data Package v2, "Data Resource", `path`: relative, below the descriptor, or a URL.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Protocol
from urllib.parse import urljoin, urlsplit

from flow_singer.dataplaces import DESCRIPTOR, is_url
from flow_singer.errors import ConfigError, DataError, TapError

_MOST_PACKED_BYTES = 1 << 40
_MOST_RATIO = 1_000
"""deflate packs at most 1032 bytes into one; text of tables hardly goes past a hundred."""
_SMALL = 64 << 20
"""A packed file below this is no bomb, whatever its ratio."""
_CHUNK = 1 << 20
_TIMEOUT_S = 60
_SERVER_FAULTS = 500
_PASSING = frozenset({403, 408, 425, 429})
"""What a server says that may answer another time."""


@dataclass(frozen=True)
class Stamp:
    """What is known of a file without reading it: another one, as soon as the file is changed.

    Attributes:
        size_bytes: of the file, packed where it is packed.
        changed: when it was changed last, or another text that is another one then.
        identity: tells a file from another that took its place.
    """

    size_bytes: int
    changed: str
    identity: int | None = None


class Place(Protocol):
    """What the paths of a descriptor are relative to."""

    title: str
    """As the user named it."""

    def descriptor(self) -> bytes:
        """The text of the descriptor."""

    def file(self, path: str) -> Path:
        """A file on this machine's disk with the content of a path.

        Raises:
            ConfigError: the path leads out of the place.
            DataError: there is no such file, or it cannot be had.
        """

    def name(self, path: str) -> str:
        """What a STATE calls the file of a path: the same from run to run."""

    def stamp(self, path: str) -> Stamp | None:
        """The stamp of the file where it lies; None where nobody can tell without fetching it."""


class FolderPlace:
    """A folder with a descriptor.

    Args:
        descriptor: the file.
        title: as the user named it.
        fetched: for paths that are URLs.
    """

    def __init__(self, descriptor: Path, title: str, fetched: Fetched) -> None:
        self.title = title
        self._descriptor, self._fetched = descriptor, fetched
        self._root = descriptor.parent

    def descriptor(self) -> bytes:
        """The text of the descriptor."""
        try:
            return self._descriptor.read_bytes()
        except OSError as exc:
            raise _unreadable(str(self._descriptor), exc) from exc

    def file(self, path: str) -> Path:
        """The file itself; links that lead out of the folder are refused."""
        if is_url(path):
            return self._fetched.file(path)
        found = self._root / checked(path, self.title)
        real = Path(os.path.realpath(found))
        if not real.is_relative_to(os.path.realpath(self._root)):
            raise ConfigError(
                f"The path {path!r} of {self.title} leads out of its folder, to {real}.",
                "A package holds its own files; put a copy of the file where the link is.",
            )
        if not real.is_file():
            raise DataError(
                f"{self.title} names the file {path!r}, which is not there.",
                "The package is not whole: copy it again, or take the resource out of its descriptor.",
            )
        return found

    def name(self, path: str) -> str:
        """Its path, by way of the folder as the user named it."""
        return path if is_url(path) else os.path.normpath(self._root / path)

    def stamp(self, path: str) -> Stamp | None:
        """What the disk says."""
        return None if is_url(path) else stamp_of(self.file(path))


class ZipPlace:
    """A zip file with a descriptor; its files are unpacked one by one, when they are asked for."""

    def __init__(self, archive: Path, title: str, fetched: Fetched) -> None:
        self.title = title
        self._fetched = fetched
        try:
            self._archive = zipfile.ZipFile(archive)
        except OSError as exc:
            raise _unreadable(title, exc) from exc
        except zipfile.BadZipFile as exc:
            raise DataError(
                f"{title} is no zip file: {exc}.", "Was it copied or downloaded whole? Get it again."
            ) from exc
        names = [name for name in self._archive.namelist() if PurePosixPath(name).name == DESCRIPTOR]
        at = min(names, key=lambda name: name.count("/"), default=None)
        if at is None:
            raise ConfigError(
                f"{title} has no {DESCRIPTOR}.", "Unpack it, and name the files in it that are to be read."
            )
        self._at = PurePosixPath(at)

    def descriptor(self) -> bytes:
        """The text of the descriptor."""
        return self._unpacked(str(self._at)).read_bytes()

    def file(self, path: str) -> Path:
        """The unpacked file."""
        if is_url(path):
            return self._fetched.file(path)
        return self._unpacked(str(self._at.parent / checked(path, self.title)))

    def name(self, path: str) -> str:
        """Its path, by way of the archive."""
        return path if is_url(path) else os.path.normpath(f"{self.title}/{path}")

    def stamp(self, path: str) -> Stamp | None:
        """None: what lies in an archive is unpacked first."""
        return None

    def _unpacked(self, name: str) -> Path:
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise DataError(
                f"{self.title} names the file {name!r}, which is not in it.",
                "The package is not whole: get it again, or take the resource out of its descriptor.",
            ) from None
        bomb = info.file_size > _SMALL and info.file_size > _MOST_RATIO * max(info.compress_size, 1)
        if bomb or info.file_size > _MOST_PACKED_BYTES:
            raise DataError(
                f"{name!r} in {self.title} would unpack {info.compress_size} bytes to {info.file_size}.",
                "No table packs like that. If it is one, unpack it by hand and name the folder.",
            )
        target = self._fetched.new_file(PurePosixPath(name).name)
        try:
            with self._archive.open(info) as source, target.open("wb") as file:
                _copy(source, file, info.file_size)
        except (zipfile.BadZipFile, EOFError, RuntimeError, NotImplementedError) as exc:
            raise DataError(
                f"{name!r} in {self.title} cannot be unpacked: {exc}.", "Get the file again."
            ) from exc
        except OSError as exc:
            raise _unreadable(str(target), exc) from exc
        return target

    def close(self) -> None:
        """Let the archive go."""
        self._archive.close()


def _copy(source: IO[bytes], file: IO[bytes], size: int) -> None:
    """Copy, but no more than was announced: the size that a zip file states may be a lie."""
    done = 0
    while block := source.read(_CHUNK):
        done += len(block)
        if done > size:
            raise EOFError("it holds more than it says")
        file.write(block)


class ServerPlace:
    """A descriptor on a server; paths are relative to it."""

    def __init__(self, url: str, fetched: Fetched) -> None:
        self.title = url
        self._fetched = fetched

    def descriptor(self) -> bytes:
        """The text of the descriptor."""
        return self._fetched.file(self.title).read_bytes()

    def file(self, path: str) -> Path:
        """A copy of the file."""
        return self._fetched.file(self.name(path))

    def name(self, path: str) -> str:
        """Its address."""
        return path if is_url(path) else urljoin(self.title, checked(path, self.title))

    def stamp(self, path: str) -> Stamp | None:
        """None: not every server tells."""
        return None


class Fetched:
    """Copies of files from servers and archives, in a folder that is removed at the end."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._files: dict[str, Path] = {}
        self._made = 0

    def file(self, url: str) -> Path:
        """A copy of what a server has at a URL, whole; asked for once.

        Raises:
            TapError: the server does not answer, or cuts the download: another time it may not.
            DataError: it has no such file, or answers with a web page.
        """
        if url not in self._files:
            name = PurePosixPath(urlsplit(url).path).name or "file"
            self._files[url] = self._download(url, self.new_file(name))
        return self._files[url]

    def new_file(self, name: str) -> Path:
        """A place for a copy; nothing is there yet."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="flow-read-"))
        folder = self._folder / str(self._made)
        folder.mkdir()
        self._made += 1
        return folder / name

    def close(self) -> None:
        """Remove all copies."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _download(self, url: str, target: Path) -> Path:
        import requests

        again = "Is the address right, and the server up? Then run again."
        try:
            with requests.get(url, stream=True, timeout=_TIMEOUT_S) as answer:
                if not answer.ok:
                    may_pass = answer.status_code >= _SERVER_FAULTS or answer.status_code in _PASSING
                    kind = TapError if may_pass else DataError
                    raise kind(f"{url} cannot be read: the server answers {answer.status_code}.", again)
                _refuse_web_page(url, answer.headers.get("Content-Type", ""))
                with target.open("wb") as file:
                    for block in answer.iter_content(_CHUNK):
                        file.write(block)
                _check_whole(url, answer.headers.get("Content-Length"), answer.raw.tell())
        except requests.RequestException as exc:
            raise TapError(f"{url} cannot be read: {_reason(exc)}.", again) from exc
        except OSError as exc:
            raise _unreadable(str(target), exc) from exc
        return target


def _check_whole(url: str, promised: str | None, got: int) -> None:
    if promised is not None and promised.isdigit() and got != int(promised):
        raise TapError(
            f"The download of {url} was cut: {got} of {promised} bytes came.",
            "Run again; nothing of it is used.",
        )


def _refuse_web_page(url: str, content_type: str) -> None:
    if content_type.partition(";")[0].strip().lower() in ("text/html", "application/xhtml+xml"):
        raise DataError(
            f"{url} is a web page ({content_type}), not data.",
            "Take the address of the file itself: on many sites it is behind 'raw' or 'download'.",
        )


def _reason(exc: Exception) -> str:
    text = str(exc)
    if "IncompleteRead" in text or "Connection broken" in text:
        return "the server cut the download"
    if "timed out" in text.lower():
        return f"no answer within {_TIMEOUT_S} s"
    if "NameResolution" in text or "Name or service" in text:
        return "there is no such server"
    if "refused" in text:
        return "the server refuses the connection"
    return text.partition("(Caused")[0].strip().rstrip(".:") or type(exc).__name__


def checked(path: str, title: str) -> str:
    """A path of a descriptor, which must stay below it.

    Raises:
        ConfigError: it does not.
    """
    parts = PurePosixPath(path).parts
    if (
        not parts
        or path.startswith(("/", "~"))
        or ".." in parts
        or "\\" in path
        or "://" in path
        or "\0" in path
    ):
        raise ConfigError(
            f"The path {path!r} of {title} leads out of its folder.",
            "A package names only files below its descriptor, or http(s) addresses.",
        )
    return path


def _unreadable(path: str, exc: OSError) -> DataError:
    return DataError(f"{path} cannot be read: {exc.strerror or exc}.", "Check that it is there and readable.")


@contextlib.contextmanager
def unchanged(place: Place, path: str, file: Path, title: str, since: Stamp | None = None) -> Iterator[None]:
    """Make sure that a file is not changed within the block.

    Args:
        place: where it lies.
        path: of it, in the place.
        file: what is read: itself, or its copy.
        title: of it.
        since: its stamp from when it may not have changed; None: from the beginning of the block.

    Raises:
        DataError: it was.
    """
    before = since or place.stamp(path) or stamp_of(file)
    yield
    if (place.stamp(path) or stamp_of(file)) != before:
        raise DataError(
            f"{title} was changed while it was read.", "Run again when nothing writes to it; nothing is kept."
        )


def stamp_of(path: Path) -> Stamp | None:
    """The stamp of a file on this disk; None where it is not there."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    seconds, nanoseconds = divmod(found.st_mtime_ns, 1_000_000_000)
    return Stamp(found.st_size, f"{seconds}.{nanoseconds:09}", found.st_ino)
