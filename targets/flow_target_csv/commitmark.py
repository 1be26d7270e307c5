"""The mark beside a file that is appended to, which says up to where the file counts.

`.NAME.committed` has a line for each length in bytes that may hold, with a digest of the file's first and last
bytes before it. Two lines are there only while the file is replaced by one with more columns: a run that is
killed may leave either of the two files.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from flow_singer.errors import TargetError
from flow_singer.files import remove_temporaries, write_atomic

_DIGESTED_BYTES = 4096
_LINE = re.compile(rb"(\d{1,18})(?: ([0-9a-f]{16}))?")


class Mark(NamedTuple):
    """Up to where a file counts."""

    length: int
    digest: str | None
    """Of the file's first and last bytes before `length`; earlier versions wrote none."""


def mark_of(handle: int, length: int) -> Mark:
    """The mark of an open file that counts up to `length`."""
    first = os.pread(handle, min(_DIGESTED_BYTES, length), 0)
    last = os.pread(handle, min(_DIGESTED_BYTES, length), max(0, length - _DIGESTED_BYTES))
    return Mark(length, hashlib.sha256(first + last).hexdigest()[:16])


EMPTY = Mark(0, hashlib.sha256(b"").hexdigest()[:16])
"""The mark of a file in which nothing counts yet."""


class MarkFile:
    """The marks of one file.

    Args:
        file: the file that they are about.
    """

    def __init__(self, file: Path) -> None:
        self.path = file.with_name(f".{file.name}.committed")
        self._file_name = file.name

    def write(self, *marks: Mark) -> None:
        """Replace what is marked."""
        text = "".join(f"{mark.length} {mark.digest}\n" for mark in marks)
        write_atomic(
            self.path, text.encode(), tidy=False
        )  # only one process writes it, and `tidy` comes first

    def read(self) -> list[Mark] | None:
        """What is marked; None where there is no mark, an empty list where it cannot be read.

        Raises:
            TargetError: a folder or a link stands in its place.
        """
        if not os.path.lexists(self.path):
            return None
        if not stat.S_ISREG(os.lstat(self.path).st_mode):
            raise TargetError(
                f"{self.path} is no file, so nobody knows how much of {self._file_name} counts.",
                "Move it away; what a killed run has left at the end of the file then stays.",
            )
        lines = self.path.read_bytes()[:_DIGESTED_BYTES].splitlines()
        found = [match for line in lines if (match := _LINE.fullmatch(line.strip()))]
        return [Mark(int(one[1]), one[2] and one[2].decode()) for one in found]

    def tidy(self) -> None:
        """Remove what a run that was killed while it wrote a mark has left."""
        remove_temporaries(self.path)

    def remove(self) -> None:
        """Remove the mark: all of the file counts."""
        self.path.unlink(missing_ok=True)
