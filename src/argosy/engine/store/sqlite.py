"""The store on disk: one SQLite table, which is a log of revisions.

Used by the writer thread only, and by `Store.open` before that thread starts. A row is a change and holds the object's
bytes once; `prev` is the revision that it replaces, so the present state is every row that no other row replaces, and one
INSERT is all that a commit needs. Compaction deletes rows that were replaced, and removals, up to a floor; the floor is
kept because the newest revision may itself be compacted away, and because no watch may start before it.

WAL with synchronous=FULL: what was committed survives power loss. The lock is exclusive, so a second engine over the same
file is refused rather than corrupting it.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

from argosy.engine.store import recovery
from argosy.engine.store.records import Change, ChangeType, Record, StoreFailed
from argosy.meta.objects import Key

FORMAT = 1
_APPLICATION_ID = 0x41524759  # "ARGY": tells our file from any other SQLite database
_CODES: dict[ChangeType, int] = {"ADDED": 1, "MODIFIED": 2, "DELETED": 3}
_TYPES: dict[int, ChangeType] = {code: type for type, code in _CODES.items()}
_ROWS_MAX = 32
"""Rows in one INSERT. Each call into SQLite gives up the interpreter lock and must win it back from a busy event loop, so
one statement per batch matters more than what is in it."""
_COMPACT_SLICE = 500
"""Revisions that one call of `compact` looks at, so that commits never wait long behind it."""

Row: TypeAlias = tuple[int, int, str, str, str, int, bytes]


def row_of(change: Change) -> Row:
    """A change as a row."""
    record = change.record
    previous = change.previous.revision if change.previous else 0
    return (
        record.revision, _CODES[change.type], record.resource, record.key.namespace, record.key.name, previous, record.raw,
    )  # fmt: skip


class SqliteLog:
    """The log of revisions in a file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._db = connection
        self._inserts = {n: _insert(n) for n in range(1, _ROWS_MAX + 1)}
        self.floor = 0
        self.revision = 0
        self.recovered = ""
        """What had to be recovered when it was opened, as a sentence; empty after an orderly end."""

    @classmethod
    def open(cls, path: Path) -> SqliteLog:
        """Open or create the file. Raises StoreFailed when it is in use, not ours, or damaged."""
        left = recovery.look(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            # Secrets are in it: nobody but its owner reads it.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            directory = os.open(path.parent, os.O_RDONLY)
            os.fsync(directory)
            os.close(directory)
            connection = sqlite3.connect(
                path, isolation_level=None, check_same_thread=False, cached_statements=2 * _ROWS_MAX, timeout=0.2
            )
        except (OSError, sqlite3.Error) as error:
            raise explain(path, error) from error
        log = cls(path, connection)
        try:
            log._prepare()
        except sqlite3.Error as error:
            connection.close()
            raise explain(path, error) from error
        except StoreFailed:
            connection.close()
            raise
        if left is not None:
            log.recovered = left.told(log._fold(), log.revision)
        return log

    def changes(self) -> Iterator[Change]:
        """Every row that is left, in order of revisions."""
        by_revision: dict[int, Record] = {}
        try:
            rows = self._db.execute(
                "SELECT revision, type, resource, namespace, name, prev, raw FROM log ORDER BY revision"
            )
            for revision, code, resource, namespace, name, prev, raw in rows:
                record = Record(resource, Key(namespace, name), revision, raw)
                by_revision[revision] = record
                yield Change(_TYPES[code], record, by_revision.pop(prev, None))
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def append(self, rows: Sequence[Row]) -> None:
        """Make rows durable, all or none. Raises StoreFailed."""
        try:
            if len(rows) <= _ROWS_MAX:
                self._insert_rows(rows)
                return
            self._db.execute("BEGIN IMMEDIATE")
            for start in range(0, len(rows), _ROWS_MAX):
                self._insert_rows(rows[start : start + _ROWS_MAX])
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise explain(self.path, error) from error

    def compact(self, floor: int) -> bool:
        """Forget some of the history up to `floor`; whether more is left to do. Raises StoreFailed."""
        upto = min(floor, self.floor + _COMPACT_SLICE)
        if upto <= self.floor:
            return False
        try:
            self._db.execute("BEGIN IMMEDIATE")
            span = (self.floor, upto)
            self._db.execute(
                "DELETE FROM log WHERE revision IN (SELECT prev FROM log WHERE revision > ? AND revision <= ?)", span
            )
            self._db.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND type = 3", span)
            self._db.execute("UPDATE facts SET value = ? WHERE name = 'floor'", (upto,))
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._undo()
            raise explain(self.path, error) from error
        self.floor = upto
        return upto < floor

    def close(self) -> None:
        """Fold the write-ahead log into the file and let go of it."""
        try:
            self._db.close()
        except sqlite3.Error as error:
            raise explain(self.path, error) from error

    def _prepare(self) -> None:
        run = self._db.execute
        run("PRAGMA locking_mode = EXCLUSIVE")
        application = run("PRAGMA application_id").fetchone()[0]
        version = run("PRAGMA user_version").fetchone()[0]
        if application not in (0, _APPLICATION_ID) or (application == 0 and run("PRAGMA schema_version").fetchone()[0]):
            raise StoreFailed(f"{self.path} is another program's database; choose another home with ARGOSY_HOME")
        if version > FORMAT:
            raise StoreFailed(
                f"{self.path} was written by a newer Argosy (format {version}); upgrade argosy to open it"
            )
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        if version == 0:
            run("BEGIN IMMEDIATE")
            run(
                "CREATE TABLE IF NOT EXISTS log (revision INTEGER PRIMARY KEY, type INTEGER NOT NULL, resource TEXT NOT NULL,"
                " namespace TEXT NOT NULL, name TEXT NOT NULL, prev INTEGER NOT NULL, raw BLOB NOT NULL)"
            )
            run("CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID")
            run("INSERT OR IGNORE INTO facts VALUES ('floor', 0)")
            run(f"PRAGMA application_id = {_APPLICATION_ID}")
            run(f"PRAGMA user_version = {FORMAT}")
            run("COMMIT")
        else:
            # Takes the exclusive lock now rather than at the first write.
            run("BEGIN IMMEDIATE")
            run("COMMIT")
        self.floor = run("SELECT value FROM facts WHERE name = 'floor'").fetchone()[0]
        newest = run("SELECT max(revision) FROM log").fetchone()[0]
        self.revision = max(self.floor, newest or 0)

    def _fold(self) -> int:
        """Fold the write-ahead log into the file; how many of its frames were good, or -1 if that fails."""
        try:
            found: int = self._db.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        except sqlite3.Error:
            return -1  # the disk is full, say: what is in the log can be read there, and is folded in later
        return found

    def _insert_rows(self, rows: Sequence[Row]) -> None:
        values: list[object] = []
        for row in rows:
            values += row
        self._db.execute(self._inserts[len(rows)], values)

    def _undo(self) -> None:
        if self._db.in_transaction:
            try:
                self._db.execute("ROLLBACK")
            except sqlite3.Error:
                # SQLite has rolled back by itself; the next statement tells whether the file works again.
                return


def explain(path: Path, error: Exception) -> StoreFailed:
    """What went wrong with the file, as one sentence with the next step."""
    text = str(error)
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    if primary == sqlite3.SQLITE_FULL or getattr(error, "errno", None) == 28:
        return StoreFailed(f"the disk that holds {path} is full, so nothing was written; free some space and try again")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreFailed(f"{path} is in use by another engine; stop that one with `argosy down`, or set ARGOSY_HOME")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreFailed(f"{path} is damaged ({text}); restore it from a backup, or move it away to start afresh")
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM) or isinstance(error, OSError):
        return StoreFailed(f"{path} cannot be opened for writing ({text}); check who owns it and its directory")
    return StoreFailed(f"writing {path} failed ({text}), so nothing was kept; check the disk and try again")


def _insert(rows: int) -> str:
    return "INSERT INTO log (revision, type, resource, namespace, name, prev, raw) VALUES " + ",".join(
        ["(?,?,?,?,?,?,?)"] * rows
    )
