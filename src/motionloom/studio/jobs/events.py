"""What changed, for those who listen: the newest change of every job, result and project, numbered.

A change says what changed, not how: it is told with the state at the time it is read. A job that made ten steps since
somebody listened last is one change, so nothing piles up, however long a page was closed.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from motionloom.studio.jobs.database import Database
from motionloom.studio.schemas import Event, ProjectSummary

Kind = Literal["job", "job_removed", "result", "result_removed", "project", "project_removed", "workers", "reset"]

KEPT = 5_000
"""Changes of things that are gone, before the oldest are forgotten."""


@dataclass(frozen=True)
class Change:
    """Something that changed.

    Attributes:
        id: counts up for the life of the data folder.
        kind: as in `Event`.
        subject: id of the job, result or project; "" for workers.
        body: of changes that are told as they were, a project's summary and who wrote it, as JSON; else None.
    """

    id: int
    kind: Kind
    subject: str
    body: str | None


class EventLog:
    """Changes in the database at ``path``; see `Change`."""

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._woken = threading.Condition()
        self._count = 0

    def append(self, event: Event) -> int:
        """Tell of a change; its number. The ``id`` of the event is not looked at."""
        subject = event.removed or next(
            (found.id for found in (event.job, event.result, event.project) if found is not None), ""
        )
        body = None
        if event.project is not None:
            body = Event(id=0, kind=event.kind, project=event.project, tab=event.tab).model_dump_json()
        with self._database.writing() as connection:
            number = tell(connection, event.kind, subject, body)
        self.wake()
        return number

    def project(self, project: ProjectSummary, tab: str | None = None) -> int:
        """Tell that a project was written, by the page ``tab``."""
        return self.append(Event(id=0, kind="project", project=project, tab=tab))

    @property
    def last(self) -> int:
        """The newest number given so far; 0 before the first."""
        with self._database.reading() as connection:
            return _last(connection)

    def after(self, number: int, limit: int = 1_000) -> list[Change]:
        """What changed since, the oldest first.

        One change of the kind "reset" comes first where ``number`` is so old that some of what is gone since is
        forgotten, or was never given: whoever remembers something has to ask for everything anew.
        """
        with self._database.reading() as connection:
            forgotten = int(_fact(connection, "forgotten") or 0)
            last = _last(connection)
            if number > last or number < forgotten:
                return [Change(last, "reset", "", None)]
            rows = connection.execute(
                "SELECT id, kind, subject, body FROM changes WHERE id > ? ORDER BY id LIMIT ?", (number, limit)
            ).fetchall()
        return [Change(row["id"], row["kind"], row["subject"].partition(":")[2], row["body"]) for row in rows]

    def wake(self) -> None:
        """Let those who `wait` look at once; what other processes write is seen within their timeout."""
        with self._woken:
            self._count += 1
            self._woken.notify_all()

    def wait(self, seen: int, timeout: float) -> int:
        """Block until somebody woke, or ``timeout`` seconds; the number of wakes so far."""
        with self._woken:
            self._woken.wait_for(lambda: self._count != seen, timeout)
            return self._count

    @contextlib.contextmanager
    def closing(self) -> Iterator[None]:
        """Close this thread's connection in the end."""
        try:
            yield
        finally:
            self._database.close()


def tell(connection: sqlite3.Connection, kind: Kind, subject: str, body: str | None = None) -> int:
    """Note a change inside a transaction; it takes the place of an older one of the same subject."""
    key = f"{kind.removesuffix('_removed')}:{subject}"
    connection.execute("DELETE FROM changes WHERE subject = ?", (key,))
    number = connection.execute(
        "INSERT INTO changes (subject, kind, body) VALUES (?, ?, ?)", (key, kind, body)
    ).lastrowid
    assert number is not None
    if kind.endswith("_removed") and number % 100 == 0:
        _forget(connection)
    return number


def _forget(connection: sqlite3.Connection) -> None:
    """Drop the oldest changes of things that are gone; what is there is told as often as somebody asks."""
    row = connection.execute(
        "SELECT id FROM changes WHERE kind LIKE '%_removed' ORDER BY id DESC LIMIT 1 OFFSET ?", (KEPT,)
    ).fetchone()
    if row is not None:
        connection.execute("DELETE FROM changes WHERE kind LIKE '%_removed' AND id <= ?", (row["id"],))
        connection.execute("INSERT OR REPLACE INTO facts VALUES ('forgotten', ?)", (str(row["id"]),))


def _fact(connection: sqlite3.Connection, name: str) -> str | None:
    row = connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else row["value"]


def _last(connection: sqlite3.Connection) -> int:
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'changes'").fetchone()
    return 0 if row is None else int(row["seq"])
