"""One file that rows are appended to, by one process at a time, and cut back to what a STATE covers.

While a run appends, `.NAME.committed` beside the file says up to where it counts: a length in bytes, and a
digest of what stands before it. A run that is killed leaves it, and the next one cuts off what is behind. A
length is only believed where the file is as it was left, and a file is never made longer by it.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from flow_singer.datapackage.plaincsv import CsvRows
from flow_singer.errors import TargetError
from flow_singer.files import fsync_folder, is_own
from flow_singer.locks import Lock
from flow_target_csv.commitmark import EMPTY, Mark, MarkFile, mark_of
from flow_target_csv.csvbytes import BYTE_ORDER_MARK, ends_with_a_row, read_header, rows_of


class GrowingFile:
    """A CSV file that this process owns and appends to.

    Args:
        path: the file; made where it is missing.
        columns: its columns where it is new.
        rows: how rows become lines.
        lock_wait_s: how long to wait for another run that owns it, in seconds.
        notice: told what a person should hear.

    Attributes:
        columns: names in the order of the file.

    Raises:
        BusyError: another run owns the file.
        TargetError: what stands there is no CSV file that can be appended to.
        OSError: it cannot be read or written.
    """

    def __init__(
        self,
        path: Path,
        columns: list[str],
        rows: CsvRows,
        *,
        lock_wait_s: float,
        notice: Callable[[str], None],
    ) -> None:
        self.path = path.resolve()  # rows go to what a link points at, and the link stays
        self._rows = rows
        self._notice = notice
        self._marks = MarkFile(self.path)
        self._lock = Lock(self.path)
        self._lock.acquire(wait_s=lock_wait_s, notice=notice)
        self._handle = -1
        try:
            self._open(columns)
        except BaseException:
            self.let_go()
            raise

    @property
    def has_rows(self) -> bool:
        """Whether anything follows the header."""
        return self._end > self._header_bytes

    def write(self, data: bytes | memoryview) -> None:
        """Append."""
        rest = memoryview(data)
        self._end += rest.nbytes
        while rest.nbytes:
            rest = rest[os.write(self._handle, rest) :]

    def commit(self) -> None:
        """Make what was appended durable.

        Raises:
            TargetError: somebody else has changed the file meanwhile.
        """
        if not self._is_ours():
            raise TargetError(
                f"{self.path} was changed by another program while rows were appended to it.",
                "Leave the files alone while a run writes them. Rows since the last checkpoint will come again.",
            )
        if self._end != self._committed:
            os.fsync(self._handle)
            self._marks.write(mark_of(self._handle, self._end))
            self._committed = self._end

    def roll_back(self) -> None:
        """Cut off what was not committed, where nobody else has written behind it."""
        if not self._is_ours(at_most=True):
            self._notice(f"{self.path} was changed by another program; nothing was cut off its end.")
        elif os.fstat(self._handle).st_size > self._committed:
            os.ftruncate(self._handle, self._committed)
            os.fsync(self._handle)
        self._end = self._committed

    def close(self) -> None:
        """End the file, all of which is committed or was cut off."""
        self._marks.remove()
        self.let_go()

    def let_go(self) -> None:
        """Leave the file as it is; the next run cuts off what was not committed."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1
        self._lock.release()

    def widen(self, columns: list[str]) -> None:
        """Add columns at the end; rows that are there get cells of null. The file is replaced whole."""
        padding = self._rows.nulls(len(columns))
        beside = self.path.with_name(f".{self.path.name}.wider")
        wider = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW, 0o666)
        try:
            os.fchmod(wider, stat.S_IMODE(os.fstat(self._handle).st_mode))
            position = committed = 0
            with self.path.open("rb") as old, os.fdopen(wider, "ab", closefd=False) as new:
                for row in rows_of(old):
                    if position == 0:
                        mark = BYTE_ORDER_MARK if row.startswith(BYTE_ORDER_MARK) else b""
                        header_bytes = new.write(mark + self._rows.header([*self.columns, *columns]))
                    else:
                        new.write(row.rstrip(b"\r\n") + padding)
                    position += len(row)
                    if position == self._committed:
                        committed = new.tell()
                new.flush()
                end = new.tell()
            os.fsync(wider)
            # Whichever of the two files a killed run leaves, its own mark is found by the digest.
            new_mark = mark_of(wider, committed)
            self._marks.write(mark_of(self._handle, self._committed), new_mark)
            os.replace(beside, self.path)
        except BaseException:
            os.close(wider)
            with contextlib.suppress(OSError):
                beside.unlink()
            raise
        os.close(self._handle)
        self._handle, self._committed, self._end = wider, committed, end
        self.columns, self._header_bytes = [*self.columns, *columns], header_bytes
        fsync_folder(self.path.parent)
        self._marks.write(new_mark)

    # ------------------------------------------------------------------------------------- opening

    def _open(self, columns: list[str]) -> None:
        beside = self.path.with_name(f".{self.path.name}.wider")
        if is_own(beside):
            beside.unlink()
        self._marks.tidy()
        marks = self._marks.read()
        size = self._size_before()
        if not size and marks is None:  # so that a header that is torn is known for one
            self._marks.write(EMPTY)
        self._handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        if marks is not None:
            size = self._recover(size, marks)
        self._committed = self._end = size
        if size:
            self._marks.write(mark_of(self._handle, size))
            if os.pread(self._handle, 1, size - 1) != b"\n":
                self.write(self._rows.line_end)
            self.columns, self._header_bytes = read_header(self.path)
        else:
            header = self._rows.header(columns)
            self.columns, self._header_bytes = columns, len(header)
            self.write(header)
        self.commit()
        fsync_folder(self.path.parent)

    def _size_before(self) -> int:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return 0
        if not stat.S_ISREG(found.st_mode):
            raise TargetError(f"{self.path} is no file, so nothing can be appended to it.", "Move it away.")
        return found.st_size

    def _recover(self, size: int, marks: list[Mark]) -> int:
        """Cut off what a run that was killed had not committed; return the file's length then."""
        for mark in marks:
            if mark.length <= size and self._is_as_left(mark):
                if mark.length < size:
                    self._notice(
                        f"{self.path}: the last {size - mark.length} bytes are cut off. A run that was killed had "
                        "written them, and no STATE covers them, so they will come again."
                    )
                    os.ftruncate(self._handle, mark.length)
                    os.fsync(self._handle)
                return mark.length
        self._notice(
            f"{self.path} is not as a run that was killed had left it (by {self._marks.path.name}): nothing is "
            "cut off its end. Its last rows may be there twice, or in part."
        )
        if size and not ends_with_a_row(self.path):
            raise TargetError(
                f"{self.path} ends in the middle of a quoted cell, so nothing can be appended to it.",
                f"Take away its torn last row, and {self._marks.path.name} beside it.",
            )
        return size

    def _is_as_left(self, mark: Mark) -> bool:
        if not mark.length:  # while its header was written; rows are somebody else's
            with self.path.open("rb") as file:
                return len(list(islice(rows_of(file), 2))) < 2
        if mark.digest is not None:
            return mark_of(self._handle, mark.length).digest == mark.digest
        return os.pread(self._handle, 1, mark.length - 1) == b"\n"

    def _is_ours(self, *, at_most: bool = False) -> bool:
        """Whether the file has what we wrote and nothing else; `at_most`: a write may have come to nothing."""
        found = os.fstat(self._handle)
        try:
            is_there = os.path.samestat(found, os.stat(self.path))
        except FileNotFoundError:
            return False
        least = self._committed if at_most else self._end
        return is_there and least <= found.st_size <= self._end
