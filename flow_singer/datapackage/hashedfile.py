"""A new file whose digest is taken while it is written, so that nothing is read again at the end."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from types import TracebackType
from typing import Self


class HashedFile:
    """A new file; as a context manager it is closed in the end.

    Args:
        path: where there is nothing yet.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("xb")
        self._digest = hashlib.sha256()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, data: bytes | memoryview) -> None:
        """Write the next bytes."""
        self._file.write(data)
        self._digest.update(data)

    def sync(self) -> None:
        """Bring what was written to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    @property
    def sha256(self) -> str:
        """Hex digest of what was written."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
