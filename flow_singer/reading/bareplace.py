"""Where bare files lie: on this disk, or elsewhere, and then a copy of each on this disk."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flow_singer.reading.places import Stamp, stamp_of
from flow_singer.reading.stores import Copy


class BarePlace:
    """Bare files: their paths are those of the disk; of one that was fetched, that of its copy.

    Args:
        title: as the user named them.
        copies: by their paths, of files that lie elsewhere.
    """

    def __init__(self, title: str, copies: Mapping[str, Copy]) -> None:
        self.title = title
        self._copies = copies

    def descriptor(self) -> bytes:
        """There is none."""
        return b""

    def file(self, path: str) -> Path:
        """The file."""
        return Path(path)

    def name(self, path: str) -> str:
        """Its path as the user named it, or its address."""
        return self._copies[path].address if path in self._copies else os.path.normpath(path)

    def stamp(self, path: str) -> Stamp | None:
        """What the disk says; of a copy, what was said when it was made."""
        return self._copies[path].stamp if path in self._copies else stamp_of(Path(path))

    def named(self, text: str) -> str:
        """A text with the addresses of files in place of the paths of their copies, which say nothing."""
        for path, copy in self._copies.items():
            text = text.replace(path, copy.address)
        return text

    def load(self, path: str) -> Any:
        """There is nothing to load: what was inferred is all there."""
        return None
