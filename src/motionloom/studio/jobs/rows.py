"""Jobs as rows of the database: reading one, whose it is, how it ends, and its place in the queue.

All of it happens inside a transaction of the caller's.
"""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass

from motionloom.errors import MotionloomError
from motionloom.studio.jobs.database import date, now
from motionloom.studio.jobs.events import tell
from motionloom.studio.schemas import GenerationSettings, Job, JobState


class LeaseLost(MotionloomError):
    """Somebody else has the job by now, or it is gone: nothing of it may be written."""


@dataclass(frozen=True)
class Claim:
    """A job and the right to work on it."""

    job: Job
    token: str


def find_job(connection: sqlite3.Connection, job: str) -> Job:
    """
    Raises:
        Refused: not_found.
    """
    row = connection.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone()
    if row is None:
        from motionloom.studio.problems import Refused

        raise Refused("not_found", f"job: there is none with the id {job}; it may have been removed")
    return job_of(row)


def job_of(row: sqlite3.Row) -> Job:
    """What a row says."""
    return Job(
        id=row["id"],
        project=row["project"],
        project_name=row["project_name"],
        state=row["state"],
        position=row["position"],
        phase=row["phase"],
        model=row["model"],
        seed=row["seed"],
        settings=GenerationSettings.model_validate_json(row["settings"]),
        width=row["width"],
        height=row["height"],
        created=date(row["created"]) or "",
        started=date(row["started"]),
        finished=date(row["finished"]),
        attempts=row["attempts"],
        step=row["step"],
        total=row["total"],
        seconds_left=row["seconds_left"],
        preview=row["preview"],
        cancel_requested=bool(row["cancel_requested"]),
        worker=row["worker"],
        error=row["error"],
        notes=json.loads(row["notes"]),
        result=row["result"],
    )


def owned(connection: sqlite3.Connection, claim: Claim) -> sqlite3.Row:
    """The wish to cancel a job that runs.

    Raises:
        LeaseLost: it is the caller's no longer.
    """
    row = connection.execute(
        "SELECT cancel_requested FROM jobs WHERE id = ? AND state = 'running' AND token = ?",
        (claim.job.id, claim.token),
    ).fetchone()
    if row is None:
        raise LeaseLost(f"job {claim.job.id}: was given to another worker, or is gone")
    return row


def end(connection: sqlite3.Connection, job: str, state: JobState, error: str | None = None) -> None:
    """A job is over."""
    connection.execute(
        "UPDATE jobs SET state = ?, error = ?, finished = ?, phase = 'waiting', worker = NULL, pid = NULL, "
        "token = NULL, lease = NULL, cancel_requested = 0 WHERE id = ?",
        (state, error, now(), job),
    )
    tell(connection, "job", job)
    tell(connection, "workers", "")


def put_back(connection: sqlite3.Connection, job: str) -> None:
    """A job waits again, at its old place; one that somebody wanted to end is cancelled."""
    connection.execute(
        "UPDATE jobs SET state = CASE cancel_requested WHEN 1 THEN 'cancelled' ELSE 'queued' END, phase = 'waiting', "
        "finished = CASE cancel_requested WHEN 1 THEN ? END, step = 0, total = 0, seconds_left = NULL, started = NULL, "
        "cancel_requested = 0, worker = NULL, pid = NULL, token = NULL, lease = NULL WHERE id = ?",
        (now(), job),
    )
    tell(connection, "job", job)
    tell(connection, "workers", "")


def last_position(connection: sqlite3.Connection) -> float:
    """The highest there is."""
    return connection.execute("SELECT coalesce(max(position), 0) FROM jobs").fetchone()[0]


def place_before(connection: sqlite3.Connection, job: str, after: float) -> float:
    """A position in front of ``after``. Where halves of halves leave no room, all that wait are numbered anew."""
    query = "SELECT max(position) FROM jobs WHERE state = 'queued' AND position < ? AND id != ?"
    before = connection.execute(query, (after, job)).fetchone()[0]
    if before is None:
        return after - 1.0
    middle = (before + after) / 2
    if before < middle < after and after - before > 1e-6:
        return middle
    rows = connection.execute("SELECT id, position FROM jobs WHERE state = 'queued' ORDER BY position").fetchall()
    base = last_position(connection)
    place = base
    for index, row in enumerate(rows, 1):
        connection.execute("UPDATE jobs SET position = ? WHERE id = ?", (base + index, row["id"]))
        tell(connection, "job", row["id"])
        if row["position"] == after:
            place = base + index - 0.5
    return place


def conflict(message: str) -> Exception:
    """The state of a job does not allow what somebody wants."""
    from motionloom.studio.problems import Refused

    return Refused("conflict", message)
