"""The reject file: what was set aside, and why; safe on disk before any STATE that covers it."""

from __future__ import annotations

import contextlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonlines

from flow_singer.errors import DataError, FlowError
from flow_singer.wording import count_of


class RejectFile:
    """A JSON Lines file of lines, records and rows that could not be used.

    Args:
        path: appended to, so that what an earlier run set aside stays.
        allowed: how many may be set aside; None for any number.

    Raises:
        DataError: the file cannot be written.
    """

    def __init__(self, path: Path, allowed: int | None = None) -> None:
        self.path = path
        self.count = 0
        self._allowed = allowed
        with self._writing():
            # Unbuffered, as several stages of a run may append to one file: each line is one write.
            self._file = path.open("ab", buffering=0)
        # Escaped, as a lone surrogate has no UTF-8.
        self._line = io.BytesIO()
        self._writer = jsonlines.Writer(self._line, dumps=json.dumps)
        self._synced = True

    def add(self, line_number: int, stream: str | None, line: bytes, error: FlowError) -> None:
        """Set one line aside.

        Raises:
            DataError: one more than allowed.
        """
        entry: dict[str, Any] = {"line": line_number, "stream": stream, "error": error.message}
        entry |= _content(line)
        with self._writing():
            self._writer.write(entry)
            self._file.write(self._line.getvalue())
            self._line.seek(0)
            self._line.truncate()
        self._synced = False
        self.count += 1
        if self._allowed is not None and self.count > self._allowed:
            self.sync()
            raise DataError(
                f"{count_of(self.count, 'reject')}, {count_of(self._allowed, 'is', 'are')} allowed. The last: {error.message}",
                f"They are in {self.path}.",
            )

    def add_line(self, line_number: int, line: bytes, error: FlowError) -> None:
        """Set aside a line that is no message."""
        self.add(line_number, None, line, error)

    def sync(self) -> None:
        """Make everything set aside so far durable."""
        if not self._synced:
            with self._writing():
                if self.path.is_file():  # a pipe or a device has nothing to be synced
                    os.fsync(self._file.fileno())
            self._synced = True

    def close(self) -> None:
        """Make it durable and close the file."""
        self.sync()
        self._file.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as exc:  # a NUL byte in the path
            reason = getattr(exc, "strerror", None) or str(exc)
            raise DataError(
                f"The reject file {str(self.path)!r} cannot be written: {reason}.",
                "Give a file in a folder that is there and can be written.",
            ) from exc


def _content(line: bytes) -> dict[str, Any]:
    """The record where the line holds one, else its text."""
    try:
        message = json.loads(line)
        return {"record": message["record"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"text": line.decode("utf-8", "backslashreplace")}
