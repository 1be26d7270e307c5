"""A new file whose digest is taken while it is written, so that nothing is read again at the end."""

from __future__ import annotations

import gzip
import hashlib
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from flow_singer.datapackage.behind import Behind

_LEVEL = 1
_GZIP = 31
"""The window that makes zlib write gzip: with no name and no time, so that the same rows give the same bytes."""


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

    def end(self) -> None:
        """Bring what was written to the disk; nothing follows."""
        self._file.flush()
        os.fsync(self._file.fileno())

    @property
    def sha256(self) -> str:
        """Hex digest of what is on the disk."""
        return self._digest.hexdigest()

    def close(self) -> None:
        """Let go of it."""
        self._file.close()


class PackedFile(HashedFile):
    """The same, packed by gzip in a thread; digest and size are those of the packed bytes.

    Args:
        path: where there is nothing yet.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        self._behind = Behind()

    def write(self, data: bytes | memoryview) -> None:
        """Write the next bytes, which must not change any more."""
        self._behind.do(self._pack, data)

    def end(self) -> None:
        """Bring what was written to the disk; nothing follows."""
        self._behind.wait()
        super().write(self._packer.flush())
        super().end()

    def close(self) -> None:
        """Let go of it."""
        self._behind.close()
        super().close()

    def _pack(self, data: bytes | memoryview) -> None:
        super().write(self._packer.compress(data))


def new_file(path: Path, *, packed: bool) -> HashedFile:
    """A file for bytes, which may be packed on the way."""
    return PackedFile(path) if packed else HashedFile(path)


def opened_file(path: Path, *, packed: bool) -> IO[bytes]:
    """A file to be read; what is packed in it is unpacked."""
    return cast("IO[bytes]", gzip.open(path)) if packed else path.open("rb")
