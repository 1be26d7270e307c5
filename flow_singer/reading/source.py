"""Anything tabular, by its place: a Data Package, or bare files, as streams.

The front of this room: others import what is here and in `readsettings`.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from flow_singer.dataplaces import DESCRIPTOR, GLOB, format_of, is_store, is_url
from flow_singer.errors import ConfigError, DataError, FlowError
from flow_singer.nearnames import suggest
from flow_singer.reading.bareplace import BarePlace
from flow_singer.reading.places import (
    Fetched,
    FolderPlace,
    Place,
    ServerPlace,
    ZipPlace,
)
from flow_singer.reading.readsettings import ReadSettings
from flow_singer.reading.resource import SourceStream
from flow_singer.reading.resourcedescription import describe_resource, format_said
from flow_singer.reading.stores import Copy, Store, StorePlace, descriptor_among


class Source:
    """A package, or files, that is open; used as a context manager.

    Attributes:
        title: as the user named it.
        streams: in the order of the descriptor.
    """

    def __init__(self, title: str, streams: Sequence[SourceStream], open_things: ExitStack) -> None:
        self.title = title
        self.streams = list(streams)
        self._open = open_things

    def stream(self, name: str) -> SourceStream:
        """The stream of that name.

        Raises:
            ConfigError: there is none; with near names.
        """
        for one in self.streams:
            if one.name == name:
                return one
        known = [one.name for one in self.streams]
        raise ConfigError(f"{self.title} has no stream {name!r}.", suggest(name, known))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Remove what was downloaded or unpacked."""
        self._open.close()


def open_source(
    place: str | Path, settings: ReadSettings | None = None, *, notice: Callable[[str], None]
) -> Source:
    """Open a Data Package or bare files.

    Args:
        place: a folder, `datapackage.json`, a zip file, a file of data or a glob, on this disk or in a store; or the
            URL of any but a folder or glob.
        settings: how it is to be read.
        notice: called with what a person should hear, such as what was guessed.

    Raises:
        ConfigError: nothing is there, or nothing that can be read; or a setting is wrong.
        DataError: what is there is broken.
        TapError: a server or store does not answer.
    """
    place = os.fspath(place)
    settings = settings or ReadSettings()
    with ExitStack() as stack:
        fetched = Fetched()
        stack.callback(fetched.close)
        store = Store(place, settings.storage_options, fetched) if is_store(place) else None
        if store is None and settings.storage_options:
            notice(f"'storage_options' does nothing: {place} is no address in a store.")
        package = _package_at(place, fetched, stack, store)
        if package is None:
            streams = _bare(place, settings, fetched, store, notice)
        else:
            streams = _of_package(package, settings, notice)
        return Source(place, streams, stack.pop_all())


def _package_at(place: str, fetched: Fetched, stack: ExitStack, store: Store | None) -> Place | None:
    """The package at a place; None where there are bare files."""
    if store is not None:
        return _package_in(store, place, fetched, stack)
    name = place.rstrip("/").rpartition("/")[2].partition("?")[0]
    if is_url(place):
        if name.endswith(".zip"):
            return _zip(fetched.file(place), place, fetched, stack)
        return ServerPlace(place, fetched) if name == DESCRIPTOR else None
    path = Path(place)
    if path.is_dir():
        descriptor = path / DESCRIPTOR
        if descriptor.is_file():
            return FolderPlace(descriptor, place, fetched)
        return None
    if name.endswith(".zip") and path.is_file():
        return _zip(path, place, fetched, stack)
    if name == DESCRIPTOR and path.is_file():
        return FolderPlace(path, place, fetched)
    return None


def _package_in(store: Store, place: str, fetched: Fetched, stack: ExitStack) -> Place | None:
    """The package at an address of a store; None where there are bare files."""
    if GLOB & set(place):
        return None
    found = store.find(place)
    if len(found) == 1 and found[0].endswith(".zip"):
        return _zip(store.copy(found[0]), place, fetched, stack)
    descriptor = descriptor_among(found)
    return None if descriptor is None else StorePlace(descriptor, place, store, fetched)


def _zip(path: Path, title: str, fetched: Fetched, stack: ExitStack) -> Place:
    archive = ZipPlace(path, title, fetched)
    stack.callback(archive.close)
    return archive


def _of_package(place: Place, settings: ReadSettings, notice: Callable[[str], None]) -> list[SourceStream]:
    descriptor = _decoded(place.descriptor(), f"the descriptor of {place.title}")
    resources = descriptor.get("resources")
    if not isinstance(resources, list) or not all(isinstance(one, Mapping) for one in resources):
        raise ConfigError(
            f"The descriptor of {place.title} has no 'resources', so it is no Data Package.",
            "Name the folder of a package, or a file of data.",
        )
    streams = []
    for one in resources:
        if _is_no_table(one):
            notice(f"resource {one.get('name')!r} of {place.title} is no table, and is left out.")
            continue
        if len(resources) > 1 and format_said(one)[0] is None:
            notice(
                f"resource {one.get('name')!r} of {place.title} is of a kind that Flow cannot read, and is left out."
            )
            continue
        streams.append(_stream(one, place, settings, notice))
    if not streams:
        raise ConfigError(f"{place.title} has no table.", "Name a package with tables in it.")
    _refuse_idle(place, resources, streams, settings)
    names = [one.name for one in streams]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ConfigError(
            f"Two resources of {place.title} are one stream: {twice[0]!r}.", "Give each a name of its own."
        )
    return streams


def _refuse_idle(
    place: Place,
    resources: Sequence[Mapping[str, Any]],
    streams: Sequence[SourceStream],
    settings: ReadSettings,
) -> None:
    """Refuse what a person said in vain: the descriptor says it, or no table has such a column."""
    columns = {
        name for one in streams if "flow:stream" not in one.descriptor for name in one.schema.properties
    }
    for name in settings.types:
        if name not in columns:
            raise ConfigError(
                f"'types' names the column {name!r}, whose type {place.title} does not leave to be said.",
                suggest(name, columns) if columns else "A package that Flow wrote keeps its types.",
            )
    if all(one.get("schema") is not None for one in resources if not _is_no_table(one)):
        given = [name for name in _OF_BARE_FILES if getattr(settings, name) not in (None, ())]
        if given:
            raise ConfigError(
                f"'{given[0]}' does nothing: {place.title} is a Data Package, whose descriptor says it.",
                "Leave it out, or change the descriptor.",
            )


_OF_BARE_FILES = (
    *("encoding", "delimiter", "header_row", "null_values", "date_format", "sheet", "sample_rows"),
    *("key", "stream", "format"),
)


def _is_no_table(resource: Mapping[str, Any]) -> bool:
    """Whether a resource is none that rows could come from: a picture, a map, a text."""
    if resource.get("schema") is not None or resource.get("type") == "table":
        return False
    if str(resource.get("profile", "")).startswith("tabular"):
        return False
    return "path" in resource and format_said(resource)[0] in (None, "json")


def _stream(
    resource: Mapping[str, Any], place: Place, settings: ReadSettings, notice: Callable[[str], None]
) -> SourceStream:
    def load(path: str) -> Any:
        return _decoded(place.file(path).read_bytes(), f"{path} of {place.title}")

    if resource.get("schema") is None and isinstance(resource.get("path"), str | list):
        resource = _inferred(resource, place, settings, notice)
    description = describe_resource(
        resource,
        title=place.title,
        load=load,
        replication_key=settings.replication_key,
        types=settings.types,
    )
    return SourceStream(description, place, settings, notice)


def _inferred(
    resource: Mapping[str, Any], place: Place, settings: ReadSettings, notice: Callable[[str], None]
) -> Mapping[str, Any]:
    """A resource without a schema, with the one that its files show."""
    from flow_singer.reading.describe import describe_files

    paths = resource["path"]
    files = [place.file(one) for one in ([paths] if isinstance(paths, str) else paths)]
    (found, *others) = describe_files(files, settings, notice=notice)
    if others:
        raise ConfigError(
            f"The files of resource {resource.get('name')!r} of {place.title} do not have the same columns.",
            "Give it a 'schema', or make it several resources.",
        )
    kept = {key: value for key, value in found.items() if key not in ("name", "path", "flow:stream")}
    return {**kept, **resource, "schema": found["schema"]}


def _bare(
    place: str,
    settings: ReadSettings,
    fetched: Fetched,
    store: Store | None,
    notice: Callable[[str], None],
) -> list[SourceStream]:
    from flow_singer.reading.describe import describe_files

    if store is not None:
        copies = {store.copy(one): Copy(one, store.stamp(one)) for one in store.find(place)}
    else:
        copies = {fetched.file(place): Copy(place)} if is_url(place) else {}
    files = list(copies) or _files_at(place)
    bare = BarePlace(place, {str(path): copy for path, copy in copies.items()})
    stamps = {str(file): bare.stamp(str(file)) for file in files}

    def stream(resource: Mapping[str, Any]) -> SourceStream:
        found = describe_resource(
            resource, title=place, load=bare.load, replication_key=settings.replication_key
        )
        parts = [replace(one, stamp=stamps[one.path]) for one in found.parts]
        return SourceStream(
            replace(found, parts=parts), bare, settings, lambda text: notice(bare.named(text))
        )

    try:
        resources = describe_files(
            files,
            settings,
            together=bool(GLOB & set(place)),
            notice=lambda text: notice(bare.named(text)),
        )
    except FlowError as exc:
        exc.message = bare.named(exc.message)
        exc.args = (exc.message,)
        raise
    return [stream(one) for one in resources]


def _files_at(place: str) -> list[Path]:
    path = Path(place)
    if path.is_file():
        return [path]
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.is_file() and format_of(one.name)[0] is not None)
        if not files:
            raise ConfigError(
                f"{place} has neither a {DESCRIPTOR} nor files of data in it.",
                "Name a package, or a file such as data.csv, .jsonl, .json, .parquet or .xlsx.",
            )
        return files
    found = sorted(Path(one) for one in glob.glob(place, recursive=True) if os.path.isfile(one))
    if not found:
        what = f"No file matches {place}" if GLOB & set(place) else f"There is nothing at {place}"
        raise ConfigError(f"{what}.", _near_files(path))
    return found


def _near_files(path: Path) -> str:
    folder = path.parent
    names = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    near = suggest(path.name, names) if names else ""
    return (
        near
        if near.startswith("Did you mean")
        else "Check the path; it is relative to the folder you are in."
    )


def _decoded(data: bytes, title: str) -> Any:
    try:
        found = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise DataError(
            f"{title[0].upper()}{title[1:]} is no JSON: {exc}.", "Get the package again."
        ) from exc
    if not isinstance(found, Mapping):
        raise DataError(f"{title[0].upper()}{title[1:]} is no JSON object.", "Get the package again.")
    return found
