"""The package that stands at a place, as a run that adds to it finds it: its descriptor, and where its taps ended.

A package keeps the last STATE of each tap that fed it in its own descriptor, so that rows and bookmark become visible
by one rename: a run that is killed at any moment has moved both, or neither.
"""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec

from flow_singer.dataplaces import DESCRIPTOR
from flow_singer.errors import BusyError, ConfigError, MessageError
from flow_singer.files import replaced_folder
from flow_singer.singer.schema import StreamSchema
from flow_singer.state.documents import deep_merge, is_empty

WriteMode = Literal["replace", "append", "upsert"]
"""What becomes of the rows that are there: they go, they stay, or those of the same key go."""

RUN_PROPERTY = "flow:run"
"""Stands in every package that Flow wrote; only such a package is ever replaced or added to."""

STATE_PROPERTY = "flow:state"
"""The last STATE of each tap, by the name that its bookmark has."""

PARTS_PROPERTY = "flow:parts"
"""What is known of each file of a resource that has several, or has partitions: `path`, `bytes`, `hash`, `rows`, and
its `partition`."""


ABSENT_PROPERTY = "flow:absent"
"""Marks a field that the SCHEMA of the last run did not have."""


class FormerSchema(NamedTuple):
    """What a stream in a package holds.

    Attributes:
        schema: its SCHEMA, with the columns that no SCHEMA declared as such of any type.
        absent: the columns that the SCHEMA of the last run did not have.
    """

    schema: StreamSchema
    absent: frozenset[str]


@dataclass(frozen=True)
class FormerPackage:
    """A package that Flow wrote.

    Attributes:
        path: its folder or zip file.
        descriptor: what stands in its `datapackage.json`.
        states: the STATE values that it keeps, by the names of their bookmarks.
    """

    path: Path
    descriptor: dict[str, Any]
    states: dict[str, bytes] = field(default_factory=dict)

    @property
    def resources(self) -> list[dict[str, Any]]:
        """Its resources."""
        found = self.descriptor.get("resources")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []

    def schema_of(self, stream: str) -> FormerSchema | None:
        """The SCHEMA of a stream as it is there; None where it is not, or bears none."""
        resource = self.resource_of(stream)
        json_schema = None if resource is None else resource.get("flow:jsonSchema")
        if resource is None or not isinstance(json_schema, dict):
            return None
        fields = [
            one for one in dict(resource.get("schema") or {}).get("fields") or [] if isinstance(one, dict)
        ]
        undeclared: dict[str, Any] = {
            _property_of(one): {} for one in fields if one.get("flow:declared") is False
        }
        message = {
            "type": "SCHEMA",
            "stream": stream,
            "schema": {**json_schema, "properties": {**json_schema.get("properties", {}), **undeclared}},
            "key_properties": resource.get("flow:keyProperties") or [],
        }
        absent = (
            frozenset(_property_of(one) for one in fields if one.get(ABSENT_PROPERTY)) | undeclared.keys()
        )
        try:
            return FormerSchema(StreamSchema(message), absent)
        except MessageError as exc:
            raise ConfigError(
                f"The descriptor of {self.path} has no SCHEMA of stream '{stream}' that can be read: {exc.message}",
                "Correct it, or write the package anew: --write-mode replace into another folder.",
            ) from exc

    def resource_of(self, stream: str) -> dict[str, Any] | None:
        """The resource of a stream; None where it has none."""
        return next((one for one in self.resources if one.get("flow:stream") == stream), None)


@dataclass(frozen=True)
class StateMove:
    """Where a run began, and where it ended.

    Attributes:
        id: the name of the bookmark.
        began_at: what the package had to say of it when the run began: the digest of its STATE, None where it had
            none.
        is_full_refresh: whether the run began at the beginning on purpose: what it ends with is laid over the
            STATE that is there.
        value: the last STATE that came; None where none did.
    """

    id: str
    began_at: str | None
    is_full_refresh: bool = False
    value: bytes | None = None

    def applied(self, former: FormerPackage | None) -> dict[str, bytes]:
        """The STATEs of the package after the run.

        Raises:
            BusyError: another run has moved this one meanwhile, so that rows would be missing or come twice.
        """
        states = {} if former is None else dict(former.states)
        held = states.get(self.id)
        if not self.is_full_refresh and digest_of(held) != self.began_at:
            raise BusyError(
                f"The package has changed since this run began: another run has moved its bookmark {self.id}.",
                "Nothing of this run was added. Run again: it continues where the package ends now.",
            )
        if self.value is not None and not is_empty(self.value):
            laid_over = self.is_full_refresh and held is not None
            states[self.id] = _compact(deep_merge(held or b"{}", self.value) if laid_over else self.value)
        return states


def digest_of(state: bytes | None) -> str | None:
    """What tells one STATE from another; None for none."""
    return None if state is None else hashlib.sha256(_compact(state)).hexdigest()[:16]


def read_former(target: Path) -> FormerPackage | None:
    """Read the descriptor of the package at a place.

    Args:
        target: the package's folder or zip file.

    Returns:
        The package; None where there is none.

    Raises:
        ConfigError: what is there is no package that Flow wrote, or cannot be read.
    """
    path = Path(os.path.realpath(target))
    try:
        text = _descriptor_at(path)
    except (OSError, zipfile.BadZipFile) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise ConfigError(
            f"The package {target} cannot be read: {reason}.", "Check what is there, and its permissions."
        ) from exc
    if text is None:
        return None
    try:
        descriptor = msgspec.json.decode(text, type=dict[str, Any])
        raw = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        states = msgspec.json.decode(raw.get(STATE_PROPERTY, msgspec.Raw(b"{}")), type=dict[str, msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise ConfigError(
            f"The descriptor of {target} cannot be read: {exc}.",
            "Correct it, or write the package anew: --write-mode replace into another folder.",
        ) from exc
    if RUN_PROPERTY not in descriptor:
        raise ConfigError(
            f"{target} is no package that Flow wrote: nothing is added to it, and no bookmark is in it.",
            "Name another folder; flow run can read it: name it where the tap stands.",
        )
    return FormerPackage(path, descriptor, {id_: _compact(bytes(value)) for id_, value in states.items()})


def paths_of(resource: Mapping[str, Any]) -> list[str]:
    """The files of a resource, in order."""
    path = resource.get("path")
    paths = path if isinstance(path, list) else [path]
    return [one for one in paths if isinstance(one, str)]


def _property_of(field: Mapping[str, Any]) -> str:
    return str(field.get("flow:property", field.get("name")))


def _descriptor_at(path: Path) -> bytes | None:
    if path.suffix.lower() == ".zip":
        if not path.exists():
            return None
        with zipfile.ZipFile(path) as archive:
            return archive.read(DESCRIPTOR) if DESCRIPTOR in archive.namelist() else None
    # While a package is replaced whole, the former one is beside for a moment.
    for folder in (path, replaced_folder(path), path):
        try:
            return (folder / DESCRIPTOR).read_bytes()
        except FileNotFoundError:
            continue
    return None


def _compact(value: bytes) -> bytes:
    """The same JSON without blanks: what stands in a descriptor is indented."""
    return msgspec.json.format(value, indent=-1)
