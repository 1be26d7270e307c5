"""Files in object stores and other places that fsspec knows: found there, and copied to this disk.

Source: fsspec, "Built-in implementations": `PROTOCOL://…`; each has a package of its own that knows how to reach it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from flow_singer.dataplaces import DESCRIPTOR, GLOB, format_of, is_url
from flow_singer.errors import ConfigError, FlowError, TapError
from flow_singer.reading.places import Fetched, Stamp, checked

PACKAGES = {
    "s3": "s3fs",
    "s3a": "s3fs",
    "gs": "gcsfs",
    "gcs": "gcsfs",
    "az": "adlfs",
    "abfs": "adlfs",
    "abfss": "adlfs",
    "adl": "adlfs",
}
"""What is installed beside fsspec, by protocol."""

_EXTRA = "'flow-singer[stores]'"
_TIMES = ("LastModified", "last_modified", "mtime", "updated", "timeModified", "created")
"""Under which names stores say when a file was changed last."""
_DIGESTS = ("ETag", "md5Hash", "etag", "generation")
"""Under which names they tell one content from another; that says more than a time, which may be to the second."""


@dataclass(frozen=True)
class Copy:
    """A copy of a file that lies elsewhere.

    Attributes:
        address: of the file.
        stamp: of the file, as the copy has it; None where nobody tells.
    """

    address: str
    stamp: Stamp | None = None


class Store:
    """A store that is open.

    Args:
        place: an address in it.
        options: for fsspec's file system, such as `endpoint_url`, `anon`, `key`; their values are secret.
        fetched: where copies go.

    Raises:
        ConfigError: what reaches such a store is not installed, or does not take these options.
    """

    def __init__(self, place: str, options: Mapping[str, Any], fetched: Fetched) -> None:
        self._protocol = place.partition("://")[0].lower()
        self._options, self._fetched = options, fetched
        self._copies: dict[str, Path] = {}
        self._stamps: dict[str, Stamp] = {}
        self._system, self.root = self._open(place)

    def _open(self, place: str) -> tuple[Any, str]:
        package = PACKAGES.get(self._protocol)
        install = f"pip install {_EXTRA}{f' {package}' if package else ''}"
        try:
            from fsspec.core import url_to_fs
        except ImportError as exc:
            raise ConfigError(
                f"{place} cannot be reached: the package fsspec is not installed.", f"Install it: {install}"
            ) from exc
        try:
            system, root = url_to_fs(place, **{"use_listings_cache": False, **self._options})
        except ImportError as exc:
            what = package or self._hidden(str(exc))
            raise ConfigError(
                f"{place} cannot be reached: what is needed for {self._protocol}:// is not installed ({what}).",
                f"Install it: {install}" if package else f"Install that beside {_EXTRA}.",
            ) from exc
        except Exception as exc:
            if "Protocol not known" in str(exc):
                raise ConfigError(
                    f"{place} cannot be reached: nobody knows the protocol {self._protocol}://.",
                    "There are: s3://, gs://, az://, http(s):// and others that fsspec has.",
                ) from exc
            raise ConfigError(
                f"{place} cannot be opened: {self._hidden(str(exc)) or type(exc).__name__}.",
                f"Look at 'storage_options', which is for the file system {self._protocol} of fsspec.",
            ) from exc
        return system, str(root)

    def find(self, place: str) -> list[str]:
        """The addresses of the files at a place: a file, a glob, or the files of data and descriptors in a folder.

        Raises:
            ConfigError: nothing is there.
            TapError: the store does not answer, or does not let us in.
        """
        with self._reached(place):
            if GLOB & set(self.root):
                found = self._system.glob(self.root, detail=True)
            else:
                info = self._system.info(self.root)
                if info["type"] == "file":
                    return [self._address(info["name"])]
                listed = self._system.ls(self.root, detail=True)
                found = {one["name"]: one for one in listed if format_of(one["name"])[0] is not None}
        files = sorted(name for name, one in found.items() if one["type"] == "file")
        if not files:
            is_glob = bool(GLOB & set(self.root))
            raise ConfigError(
                f"No file matches {place}." if is_glob else f"{place} has no files of data in it.",
                "Check the address; a * stands for part of a name, ** for folders too."
                if is_glob
                else "Name a file such as data.csv, .jsonl, .json, .parquet or .xlsx, or a glob.",
            )
        return [self._address(name) for name in files]

    def stamp(self, address: str) -> Stamp:
        """The stamp of a file: of the copy, where there is one."""
        if address not in self._stamps:
            self._stamps[address] = self._ask(address)
        return self._stamps[address]

    def copy(self, address: str) -> Path:
        """A copy of a file on this disk, whole; made once.

        Raises:
            TapError: the store cuts the download, or the file is changed meanwhile: another time it may not.
            ConfigError: there is no such file.
        """
        if address in self._copies:
            return self._copies[address]
        stamp = self.stamp(address)
        inner = PurePosixPath(self._path(address).lstrip("/"))
        if ".." in inner.parts or not inner.name:
            raise ConfigError(
                f"The name of {address} leads out of its folder.",
                "Give the file another name, and leave it out.",
            )
        # With the folders it lies in: a stream may be named by them.
        target = self._fetched.new_file(str(inner))
        with self._reached(address):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._system.get_file(self._path(address), str(target))
        if self._ask(address) != stamp or target.stat().st_size != stamp.size_bytes:
            raise TapError(
                f"{address} was changed while it was fetched, or the download was cut: {target.stat().st_size} of "
                f"{stamp.size_bytes} bytes came.",
                "Run again when nothing writes to it; nothing of it is used.",
            )
        self._copies[address] = target
        return target

    def _ask(self, address: str) -> Stamp:
        with self._reached(address):
            info = self._system.info(self._path(address))
            if info["type"] != "file":
                raise FileNotFoundError(address)
            digest = next((str(info[name]).strip('"') for name in _DIGESTS if info.get(name)), None)
            changed = next((info[name] for name in _TIMES if info.get(name)), None)
            if changed is None and digest is None:
                with contextlib.suppress(NotImplementedError):
                    changed = self._system.modified(self._path(address))
        iso = getattr(changed, "isoformat", None)
        return Stamp(int(info["size"]), digest or str(iso() if iso else changed))

    def _address(self, name: str) -> str:
        return f"{self._protocol}://{name}"

    def _path(self, address: str) -> str:
        return address.partition("://")[2]

    def _hidden(self, text: str) -> str:
        """A text without the values of the options, which may be secret."""
        for value in _texts(self._options):
            text = text.replace(value, "***")
        return text.strip().rstrip(".")

    @contextlib.contextmanager
    def _reached(self, address: str) -> Iterator[None]:
        """Say of what a store answers what it means for a person: each has errors of its own."""
        try:
            yield
        except FlowError:
            raise
        except FileNotFoundError as exc:
            raise ConfigError(f"There is nothing at {address}.", "Check the address.") from exc
        except PermissionError as exc:
            raise ConfigError(
                f"{address} cannot be read: the store does not let us in.",
                "Give it a key, in 'storage_options' or as the store's own variables; or 'anon': true, if all may read.",
            ) from exc
        except Exception as exc:
            words = self._hidden(str(exc))
            raise TapError(
                f"{address} cannot be read: {type(exc).__name__}{f': {words}' if words else ''}.",
                "Are address, 'storage_options' and network right? Then run again.",
            ) from exc


class StorePlace:
    """A package in a store; paths are relative to its descriptor."""

    def __init__(self, descriptor: str, title: str, store: Store, fetched: Fetched) -> None:
        self.title = title
        self._descriptor, self._store, self._fetched = descriptor, store, fetched

    def descriptor(self) -> bytes:
        """The text of the descriptor."""
        return self._store.copy(self._descriptor).read_bytes()

    def file(self, path: str) -> Path:
        """A copy of the file."""
        return self._fetched.file(path) if is_url(path) else self._store.copy(self.name(path))

    def name(self, path: str) -> str:
        """Its address."""
        folder = self._descriptor.removesuffix(DESCRIPTOR)
        return path if is_url(path) else folder + os.path.normpath(checked(path, self.title))

    def stamp(self, path: str) -> Stamp | None:
        """What the store says."""
        return None if is_url(path) else self._store.stamp(self.name(path))


def descriptor_among(addresses: Sequence[str]) -> str | None:
    """The descriptor in a folder's files."""
    return next((one for one in addresses if one.rpartition("/")[2] == DESCRIPTOR), None)


def _texts(options: Any) -> Iterator[str]:
    """Each text in options, however deep."""
    if isinstance(options, Mapping):
        for one in options.values():
            yield from _texts(one)
    elif isinstance(options, list | tuple):
        for one in options:
            yield from _texts(one)
    elif isinstance(options, str) and options:
        yield options
