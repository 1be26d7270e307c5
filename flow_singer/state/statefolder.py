"""Bookmarks in a folder, as Meltano keeps them behind a `file://` URI, and where there is no project."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from flow_singer.errors import ConfigError
from flow_singer.files import write_atomic
from flow_singer.state.documents import (
    KeptBookmark,
    RawState,
    StateDocument,
    checked_id,
    storable,
    unusable,
    unwrap,
    wrap,
)


class FolderStore:
    """Bookmarks as `FOLDER/STATE_ID/state.json`, as Meltano keeps them behind a `file://` URI.

    Args:
        folder: made at the first write.
        lock_timeout_s: age at which another writer's lock file is taken for an orphan.
    """

    def __init__(self, folder: Path, *, lock_timeout_s: float = 10.0) -> None:
        self.folder = folder
        self.lock_folder = folder / ".locks"  # neither Flow nor Meltano lists it among the bookmarks
        self.lock_timeout_s = lock_timeout_s

    def get(self, state_id: str) -> RawState | None:
        """See `StateStore.get`."""
        return self._read(state_id).value

    def set(self, state_id: str, value: RawState) -> bool:
        """See `StateStore.set`."""
        new = storable(state_id, value)
        if new is None:
            return False
        with self._lock(state_id):
            self._write(state_id, StateDocument(completed=new))
        return True

    def merge_partial(self, state_id: str, value: RawState) -> bool:
        """See `StateStore.merge_partial`."""
        new = storable(state_id, value)
        if new is None:
            return False
        with self._lock(state_id):
            self._write(state_id, self._replaceable(state_id).with_partial(new))
        return True

    def clear(self, state_id: str) -> bool:
        """See `StateStore.clear`."""
        if not self._file(state_id).exists():
            return False
        with self._lock(state_id):
            shutil.rmtree(self._file(state_id).parent)
        return True

    def list(self, pattern: str | None = None) -> tuple[str, ...]:
        """See `StateStore.list`."""
        ids = (file.parent.name for file in self.folder.glob("*/state.json"))
        return tuple(sorted(id_ for id_ in ids if pattern is None or fnmatchcase(id_, pattern)))

    def read_all(self, pattern: str | None = None) -> tuple[KeptBookmark, ...]:
        """See `StateStore.read_all`."""
        return tuple(self._kept(state_id) for state_id in self.list(pattern))

    def _kept(self, state_id: str) -> KeptBookmark:
        try:
            value = self._read(state_id).value
        except ConfigError as error:
            return KeptBookmark(state_id, None, problem=error.message)
        with contextlib.suppress(OSError):  # cleared meanwhile
            written = self._file(state_id).stat().st_mtime
            return KeptBookmark(state_id, value, datetime.fromtimestamp(written, UTC))
        return KeptBookmark(state_id, value)

    def _file(self, state_id: str) -> Path:
        return self.folder / checked_id(state_id) / "state.json"

    def _read(self, state_id: str) -> StateDocument:
        import msgspec

        file = self._file(state_id)
        try:
            text = file.read_bytes()
        except FileNotFoundError:
            return StateDocument()
        except OSError as exc:
            raise unusable(file, exc) from exc
        try:
            parts = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
            return StateDocument(*(unwrap(bytes(parts.get(key, b"{}"))) for key in StateDocument._fields))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
            raise ConfigError(
                f"{file} is not a bookmark: {exc}.",
                "Put its predecessor back (previous.json beside it), or run with --full-refresh to replace it.",
            ) from exc

    def _replaceable(self, state_id: str) -> StateDocument:
        """What a full refresh is laid over: nothing where it cannot be read, since it replaces that."""
        try:
            return self._read(state_id)
        except ConfigError:
            return StateDocument()

    def _write(self, state_id: str, document: StateDocument) -> None:
        file = self._file(state_id)
        if file.exists():
            write_atomic(file.with_name("previous.json"), file.read_bytes())
        write_atomic(
            file,
            b'{"completed": ' + wrap(document.completed) + b', "partial": ' + wrap(document.partial) + b"}",
        )

    @contextlib.contextmanager
    def _lock(self, state_id: str) -> Iterator[None]:
        """Hold Meltano's lock: a sibling file `lock` with the time it was taken, in seconds since 1970."""
        lock = self._file(state_id).with_name("lock")
        lock.parent.mkdir(parents=True, exist_ok=True)
        while True:
            try:
                handle = os.open(lock, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                break
            except FileExistsError:
                if self._held(lock):
                    time.sleep(0.05)
                else:
                    lock.unlink(missing_ok=True)
        try:
            with os.fdopen(handle, "w") as file:
                file.write(str(datetime.now(UTC).timestamp()))
            yield
        finally:
            lock.unlink(missing_ok=True)

    def _held(self, lock: Path) -> bool:
        try:
            try:
                taken = float(lock.read_text())
            except ValueError:  # its writer has not come to the content yet, or never will
                taken = lock.stat().st_mtime
        except FileNotFoundError:
            return False
        return abs(time.time() - taken) < self.lock_timeout_s
