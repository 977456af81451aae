"""Results that wait to be measured, in the database: the same promises as for jobs, with a lease alone."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from motionloom.studio.jobs.database import Database, now
from motionloom.studio.jobs.events import tell
from motionloom.studio.schemas import Phase

MAX_ATTEMPTS = 3
"""Workers that may end over measuring a result before nobody tries any more."""


@dataclass(frozen=True)
class ToMeasure:
    """A result that waits.

    Attributes:
        is_hopeless: it was tried so often that nobody should try again.
    """

    result: str
    is_hopeless: bool


class MeasuringQueue:
    """The table of what is to be measured.

    Args:
        on_change: called after every change.
    """

    def __init__(self, database: Database, on_change: Callable[[], None]) -> None:
        self._database, self._on_change = database, on_change

    def add(self, connection: sqlite3.Connection, result: str) -> None:
        """Ask for a result's measures, inside a transaction; those of one that waits are asked for once."""
        connection.execute("INSERT OR IGNORE INTO measuring (result, asked) VALUES (?, ?)", (result, now()))

    def ask(self, result: str) -> None:
        """The same, by itself."""
        with self._database.writing() as connection:
            self.add(connection, result)

    def next(self, lease: float = 300.0) -> ToMeasure | None:
        """A result to be measured, which nobody else is given for ``lease`` seconds; None if there is none."""
        with self._database.reading() as connection:
            if connection.execute("SELECT 1 FROM measuring LIMIT 1").fetchone() is None:
                return None
        with self._database.writing() as connection:
            row = connection.execute(
                "SELECT result, attempts FROM measuring WHERE lease IS NULL OR lease < ? ORDER BY asked LIMIT 1",
                (now(),),
            ).fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE measuring SET attempts = attempts + 1, lease = ? WHERE result = ?",
                (now() + lease, row["result"]),
            )
            self._tell(connection, row["result"], "measuring")
        self._on_change()
        return ToMeasure(row["result"], row["attempts"] >= MAX_ATTEMPTS)

    def done(self, result: str) -> None:
        """A result is measured, or cannot be."""
        with self._database.writing() as connection:
            connection.execute("DELETE FROM measuring WHERE result = ?", (result,))
            self._tell(connection, result, "waiting")
            tell(connection, "result", result)
        self._on_change()

    def put_off(self, result: str) -> None:
        """It was not tried, for a reason that passes, such as a full disk."""
        with self._database.writing() as connection:
            connection.execute("UPDATE measuring SET attempts = attempts - 1, lease = NULL WHERE result = ?", (result,))
            self._tell(connection, result, "waiting")

    def release(self) -> None:
        """Nobody measures any more; for a server that starts."""
        with self._database.writing() as connection:
            connection.execute("UPDATE measuring SET lease = NULL")

    def _tell(self, connection: sqlite3.Connection, result: str, phase: Phase) -> None:
        changed = connection.execute("UPDATE jobs SET phase = ? WHERE result = ? AND state = 'done'", (phase, result))
        if changed.rowcount:
            tell(connection, "job", result)
