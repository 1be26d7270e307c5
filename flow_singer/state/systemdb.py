"""Bookmarks in Meltano's system database, so that a Meltano project needs no change to run under Flow."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path

from flow_singer.errors import ConfigError
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

# The tables of Meltano 4.4 and the head of its migrations; a file that has them opens in Meltano as its own.
_SYSTEM_DATABASE = """
CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE runs (
    id INTEGER NOT NULL, job_name VARCHAR, state VARCHAR(7), started_at DATETIME, ended_at DATETIME,
    payload VARCHAR, payload_flags INTEGER, run_id CHAR(32), "trigger" VARCHAR, last_heartbeat_at DATETIME,
    PRIMARY KEY (id)
);
CREATE TABLE plugin_settings (
    label VARCHAR(255), description TEXT, name VARCHAR(255) NOT NULL, namespace VARCHAR(255), value BLOB,
    enabled BOOLEAN, PRIMARY KEY (name, namespace)
);
CREATE TABLE state (
    state_id VARCHAR(900) NOT NULL, partial_state VARCHAR, completed_state VARCHAR, updated_at DATETIME,
    PRIMARY KEY (state_id), UNIQUE (state_id)
);
INSERT INTO alembic_version VALUES ('c0efb3c314eb')
"""


def _bytes(cell: object) -> bytes | None:
    """A cell as JSON text; in SQLite a cell may have any type."""
    return cell if cell is None or isinstance(cell, bytes) else str(cell).encode()


class SqliteStore:
    """Bookmarks in the table `state` of Meltano's system database, a SQLite file.

    Every call opens and closes the file, so that a store can be shared by threads.

    Args:
        path: made at the first write where it is missing; an existing database is never migrated.
        busy_timeout_s: how long to wait for another writer.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = 30.0) -> None:
        self.path = path
        self.lock_folder = path.with_name(f"{path.name}-locks")
        self.busy_timeout_s = busy_timeout_s

    def get(self, state_id: str) -> RawState | None:
        """See `StateStore.get`."""
        checked_id(state_id)
        if not self.path.exists():
            return None
        with self._connect() as database:
            return self._read(database, state_id).value

    def set(self, state_id: str, value: RawState) -> bool:
        """See `StateStore.set`."""
        new = storable(state_id, value)
        if new is None:
            return False
        with self._connect() as database:
            self._write(database, state_id, StateDocument(completed=new))
        return True

    def merge_partial(self, state_id: str, value: RawState) -> bool:
        """See `StateStore.merge_partial`."""
        new = storable(state_id, value)
        if new is None:
            return False
        with self._connect() as database:
            try:
                before = self._read(database, state_id)
            except ConfigError:  # a full refresh replaces what cannot be read
                before = StateDocument()
            self._write(database, state_id, before.with_partial(new))
        return True

    def clear(self, state_id: str) -> bool:
        """See `StateStore.clear`."""
        checked_id(state_id)
        if not self.path.exists():
            return False
        with self._connect() as database:
            return database.execute("DELETE FROM state WHERE state_id = ?", (state_id,)).rowcount > 0

    def list(self, pattern: str | None = None) -> tuple[str, ...]:
        """See `StateStore.list`."""
        if not self.path.exists():
            return ()
        with self._connect() as database:
            ids = [str(row[0]) for row in database.execute("SELECT state_id FROM state")]
        return tuple(sorted(id_ for id_ in ids if pattern is None or fnmatchcase(id_, pattern)))

    def read_all(self, pattern: str | None = None) -> tuple[KeptBookmark, ...]:
        """See `StateStore.read_all`."""
        if not self.path.exists():
            return ()
        with self._connect() as database:
            rows = database.execute(
                "SELECT state_id, updated_at, completed_state, partial_state FROM state ORDER BY state_id"
            ).fetchall()
        return tuple(
            self._kept(str(row[0]), row[1], row[2:])
            for row in rows
            if pattern is None or fnmatchcase(str(row[0]), pattern)
        )

    def _kept(self, state_id: str, updated_at: object, cells: Sequence[object]) -> KeptBookmark:
        try:
            value = self._document(state_id, cells).value
        except ConfigError as error:
            return KeptBookmark(state_id, None, problem=error.message)
        with contextlib.suppress(ValueError):  # Meltano 4.4: UTC, without saying so
            return KeptBookmark(state_id, value, datetime.fromisoformat(str(updated_at)).replace(tzinfo=UTC))
        return KeptBookmark(state_id, value)

    def _read(self, database: sqlite3.Connection, state_id: str) -> StateDocument:
        row = database.execute(
            "SELECT completed_state, partial_state FROM state WHERE state_id = ?", (state_id,)
        ).fetchone()
        return self._document(state_id, row or ())

    def _document(self, state_id: str, cells: Sequence[object]) -> StateDocument:
        import msgspec

        try:
            return StateDocument(*(unwrap(_bytes(text)) for text in cells))
        except (msgspec.DecodeError, UnicodeError, RecursionError, AttributeError) as exc:
            raise ConfigError(
                f"The bookmark {state_id} in {self.path} is not JSON: {exc}.",
                "Run with --full-refresh to replace it.",
            ) from exc

    def _write(self, database: sqlite3.Connection, state_id: str, document: StateDocument) -> None:
        database.execute(
            "INSERT INTO state (state_id, completed_state, partial_state, updated_at) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (state_id) DO UPDATE SET completed_state = excluded.completed_state,"
            " partial_state = excluded.partial_state, updated_at = excluded.updated_at",
            (
                state_id,
                wrap(document.completed).decode(),
                wrap(document.partial).decode(),
                datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
            ),
        )

    @contextlib.contextmanager
    def _connect(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one transaction, and make its tables where it has none."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise unusable(self.path.parent, exc) from exc
        try:
            with contextlib.closing(
                sqlite3.connect(self.path, timeout=self.busy_timeout_s, isolation_level=None)
            ) as database:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = FULL")
                database.execute("BEGIN IMMEDIATE")
                tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
                if not tables:
                    for statement in _SYSTEM_DATABASE.split(";"):
                        database.execute(statement)
                elif "state" not in tables:
                    raise ConfigError(
                        f"{self.path} has no table 'state', so it is no Meltano system database.",
                        "Let a current Meltano open the project once, or set database_uri to another file.",
                    )
                yield database
                database.execute("COMMIT")
        except sqlite3.Error as exc:
            raise ConfigError(
                f"The system database {self.path} cannot be used: {exc}.",
                "Check the file and its rights, or set database_uri or state_backend.uri in meltano.yml.",
            ) from exc
