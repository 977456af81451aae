"""The studio's SQLite file: one connection for every thread, short transactions, and its version.

Several processes use the file at once (the server and one worker for every device). Everything that decides something
happens in a ``BEGIN IMMEDIATE`` transaction, so that two never decide differently; readers never wait (WAL).
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from motionloom.errors import FileFormatError, MotionloomError

VERSION = 1
"""Of the tables below; kept in the file's ``user_version``."""

BUSY_SECONDS = 20.0
"""How long a transaction waits for those of other processes; each takes milliseconds."""

_MIGRATIONS: tuple[str, ...] = (
    # 0 -> 1. The newest change of every subject is one row of `changes`, so that the table stays as small as what there
    # is to tell, however often something changes; ids never come again (AUTOINCREMENT).
    """
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY,
        project TEXT,
        project_name TEXT NOT NULL,
        state TEXT NOT NULL,
        position REAL NOT NULL,
        phase TEXT NOT NULL DEFAULT 'waiting',
        model TEXT NOT NULL,
        seed INTEGER NOT NULL,
        settings TEXT NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        created REAL NOT NULL,
        started REAL,
        finished REAL,
        attempts INTEGER NOT NULL DEFAULT 0,
        step INTEGER NOT NULL DEFAULT 0,
        total INTEGER NOT NULL DEFAULT 0,
        seconds_left REAL,
        preview INTEGER NOT NULL DEFAULT 0,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        worker TEXT,
        pid INTEGER,
        token TEXT,
        lease REAL,
        error TEXT,
        notes TEXT NOT NULL DEFAULT '[]',
        result TEXT
    );
    CREATE INDEX jobs_by_state ON jobs (state, position);
    CREATE INDEX jobs_by_project ON jobs (project);
    CREATE TABLE measuring (
        result TEXT PRIMARY KEY,
        asked REAL NOT NULL,
        attempts INTEGER NOT NULL DEFAULT 0,
        lease REAL
    );
    CREATE TABLE changes (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        subject TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL,
        body TEXT
    );
    CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
    """,
)


class DiskFull(MotionloomError, OSError):
    """There is no room left where the studio keeps its data."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.errno = errno.ENOSPC


def is_disk_full(error: BaseException) -> bool:
    """Whether there was no room left, whoever noticed it: encoders and serialisers wrap it, or only quote it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return True
    if isinstance(error, sqlite3.OperationalError) and "full" in str(error):
        return True
    cause = error.__cause__ or error.__context__
    return "No space left on device" in str(error) or (cause is not None and is_disk_full(cause))


class Database:
    """The file at ``path``, made or brought up to date when it is opened.

    Raises:
        FileFormatError: it is no database, or of a newer version of motionloom.
        DiskFull: there is no room for it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._local = threading.local()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.translated():
            self._migrate()

    @contextlib.contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """A transaction that nobody else writes beside: kept as a whole, or not at all."""
        with self.translated():
            connection = self._connection()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """One state of the file for several questions; nobody waits for it."""
        with self.translated():
            connection = self._connection()
            connection.execute("BEGIN")
            try:
                yield connection
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")

    def close(self) -> None:
        """Close this thread's connection; another call opens it again."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._local.connection = None

    @contextlib.contextmanager
    def translated(self) -> Iterator[None]:
        """What SQLite cannot do, in words for people."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            text = str(error)
            if "disk is full" in text or "disk I/O error" in text:
                raise DiskFull(
                    f"{self.path.name}: the disk with the studio's data is full; free some space and try again"
                ) from error
            if "malformed" in text or "not a database" in text:
                raise FileFormatError(
                    f"{self.path}: is damaged ({text}); move it away and the studio starts with an empty queue, "
                    "projects and results are kept in folders of their own"
                ) from error
            raise

    def _connection(self) -> sqlite3.Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None or self._local.pid != os.getpid():
            connection = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            # What a power cut takes back is a job that runs again; not worth waiting for the disk at every step.
            connection.execute("PRAGMA synchronous=NORMAL")
            self._local.connection, self._local.pid = connection, os.getpid()
        return connection

    def _migrate(self) -> None:
        with self.reading() as connection:  # a full disk must not keep a studio from opening what it has
            if connection.execute("PRAGMA user_version").fetchone()[0] == VERSION:
                return
        with self.writing() as connection:
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if found > VERSION:
                raise FileFormatError(
                    f"{self.path}: was written by a newer motionloom (version {found}, expected at most {VERSION}); "
                    "update motionloom, or use another --data-dir"
                )
            for script in _MIGRATIONS[found:]:
                for statement in script.split(";"):
                    if statement.strip():
                        connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {VERSION}")


def now() -> float:
    """Seconds since 1970, the one clock of leases and dates."""
    return time.time()


def date(seconds: float | None) -> str | None:
    """ISO 8601 in UTC, to the millisecond."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
