"""The reject file: what was set aside, and why; safe on disk before any STATE that covers it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonlines

from flow_singer.errors import DataError, FlowError


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
        try:
            self._file = path.open("a", encoding="utf-8")
        except OSError as exc:
            raise DataError(f"The reject file {path} cannot be written: {exc.strerror}.") from exc
        self._writer = jsonlines.Writer(self._file)
        self._synced = True

    def add(self, line_number: int, stream: str | None, line: bytes, error: FlowError) -> None:
        """Set one line aside.

        Raises:
            DataError: one more than allowed.
        """
        entry: dict[str, Any] = {"line": line_number, "stream": stream, "error": error.message}
        entry |= _content(line)
        self._writer.write(entry)
        self._synced = False
        self.count += 1
        if self._allowed is not None and self.count > self._allowed:
            self.sync()
            raise DataError(
                f"{self.count} rejects, {self._allowed} are allowed. The last: {error.message}",
                f"They are in {self.path}.",
            )

    def sync(self) -> None:
        """Make everything set aside so far durable."""
        if not self._synced:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._synced = True

    def close(self) -> None:
        """Make it durable and close the file."""
        self.sync()
        self._file.close()


def _content(line: bytes) -> dict[str, Any]:
    """The record where the line holds one, else its text."""
    try:
        message = json.loads(line)
        return {"record": message["record"]}
    except (ValueError, KeyError, TypeError, RecursionError):
        return {"text": line.decode("utf-8", "backslashreplace")}
