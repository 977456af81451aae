"""The queue of videos to be made, in SQLite: it survives whatever happens to the server and its workers.

    queued --claim--> running --finish/fail/cancel--> done | failed | cancelled
              <--release, lease ran out--

Whoever works on a job holds a lease on it, made longer by `JobStore.heartbeat`, and a token that changes with every
claim: one whose lease ran out can write nothing any more. A job is done once its result's folder is complete, so that
who claims a job that was made already finds the result; see `motionloom.studio.jobs.results`.
"""

from __future__ import annotations

import json
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from motionloom.studio.jobs.database import Database, now
from motionloom.studio.jobs.events import tell
from motionloom.studio.jobs.measuring_queue import MeasuringQueue
from motionloom.studio.jobs.rows import (
    Claim,
    conflict,
    end,
    find_job,
    job_of,
    last_position,
    owned,
    place_before,
    put_back,
)
from motionloom.studio.jobs.snapshots import Snapshots
from motionloom.studio.schemas import GenerationSettings, Job, JobState, Phase

LEASE = 15.0
"""Seconds without a heartbeat after which a worker counts as gone."""

MAX_ATTEMPTS = 3
"""Workers that may die over a job before it counts as failed."""

_GONE = (
    "the program that made this video stopped {times} times without a word; most often memory ran out: choose a "
    "smaller size, fewer frames or less memory, then try again"
)


@dataclass(frozen=True)
class NewJob:
    """A job to be added; its picture, of ``size`` (height, width), and its motion lie in its folder already."""

    id: str
    project: str | None
    project_name: str
    seed: int
    settings: GenerationSettings
    size: tuple[int, int]


def new_id() -> str:
    """16 hex digits."""
    return secrets.token_hex(8)


class JobStore:
    """Jobs in the database at ``path``. Safe from any thread and any process.

    Args:
        lease: see `LEASE`.
        on_change: called after every change, to wake who listens in this process.

    Attributes:
        snapshots: what the jobs are made of, in folders beside the database.
        measuring: results that wait to be measured.
    """

    def __init__(self, path: Path, *, lease: float = LEASE, on_change: Callable[[], None] | None = None) -> None:
        self._database = Database(path)
        self.lease = lease
        self.snapshots = Snapshots(Path(path).parent)
        self._on_change = on_change or (lambda: None)
        self.measuring = MeasuringQueue(self._database, self._on_change)

    # ------------------------------------------------------------------------------------------------ for people
    def add(self, jobs: Sequence[NewJob]) -> list[Job]:
        """Put jobs at the end of the queue, all of them or none."""
        with self._database.writing() as connection:
            last = last_position(connection)
            for index, job in enumerate(jobs, 1):
                connection.execute(
                    "INSERT INTO jobs (id, project, project_name, state, position, model, seed, settings, width, "
                    "height, created) VALUES (?, ?, ?, 'queued', ?, ?, ?, ?, ?, ?, ?)",
                    (
                        job.id,
                        job.project,
                        job.project_name,
                        last + index,
                        job.settings.model,
                        job.seed,
                        job.settings.model_dump_json(),
                        job.size[1],
                        job.size[0],
                        now(),
                    ),
                )
                tell(connection, "job", job.id)
            added = [find_job(connection, job.id) for job in jobs]
        self._on_change()
        return added

    def get(self, job: str) -> Job:
        """
        Raises:
            Refused: not_found.
        """
        with self._database.reading() as connection:
            return find_job(connection, job)

    def find(self, jobs: Iterable[str]) -> dict[str, Job]:
        """Those of some jobs that there are, by id."""
        with self._database.reading() as connection:
            rows = (connection.execute("SELECT * FROM jobs WHERE id = ?", (job,)).fetchone() for job in jobs)
            return {row["id"]: job_of(row) for row in rows if row is not None}

    def list(self, project: str | None = None, states: Sequence[JobState] = (), most: int = -1) -> list[Job]:
        """What runs, then what waits in its order, then what is over, the latest first; at most so many."""
        where, values = ["1"], list[str]()
        if project is not None:
            where.append("project = ?")
            values.append(project)
        if states:
            where.append(f"state IN ({', '.join('?' * len(states))})")
            values += states
        order = (
            "CASE state WHEN 'running' THEN 0 WHEN 'queued' THEN 1 ELSE 2 END, "
            "CASE WHEN state IN ('running', 'queued') THEN position ELSE -finished END, id"
        )
        query = f"SELECT * FROM jobs WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?"  # noqa: S608 - our own words
        with self._database.reading() as connection:
            rows = connection.execute(query, [*values, most])
            return [job_of(row) for row in rows]

    def count(self, state: JobState) -> int:
        """How many there are in a state."""
        with self._database.reading() as connection:
            return connection.execute("SELECT count(*) FROM jobs WHERE state = ?", (state,)).fetchone()[0]

    def cancel(self, job: str) -> Job:
        """A job that waits is cancelled; one that runs is asked to end, which takes a step at most."""
        with self._database.writing() as connection:
            found = find_job(connection, job)
            if found.state == "queued":
                end(connection, job, "cancelled")
            elif found.state == "running":
                connection.execute("UPDATE jobs SET cancel_requested = 1 WHERE id = ?", (job,))
                tell(connection, "job", job)
            found = find_job(connection, job)
        self._on_change()
        return found

    def retry(self, job: str) -> Job:
        """Put a job that failed or was cancelled at the end of the queue again.

        Raises:
            Refused: conflict, since it waits, runs or is done.
        """
        with self._database.writing() as connection:
            found = find_job(connection, job)
            if found.state not in ("failed", "cancelled"):
                raise conflict(f"job: is {found.state}; only one that failed or was cancelled can be tried again")
            connection.execute(
                "UPDATE jobs SET state = 'queued', phase = 'waiting', position = ?, attempts = 0, step = 0, total = 0, "
                "seconds_left = NULL, started = NULL, finished = NULL, error = NULL, notes = '[]', "
                "cancel_requested = 0 WHERE id = ?",
                (last_position(connection) + 1, job),
            )
            tell(connection, "job", job)
            found = find_job(connection, job)
        self._on_change()
        return found

    def move(self, job: str, before: str | None) -> Job:
        """Change the order of what waits: in front of another job, or to the end.

        Raises:
            Refused: conflict, since one of the two does not wait.
        """
        with self._database.writing() as connection:
            if find_job(connection, job).state != "queued":
                raise conflict("job: only one that waits can be moved")
            if before is None:
                position = last_position(connection) + 1
            elif before == job:
                return find_job(connection, job)
            else:
                after = find_job(connection, before)
                if after.state != "queued":
                    raise conflict(f"before: the job is {after.state}, expected one that waits")
                position = place_before(connection, job, after.position)
            connection.execute("UPDATE jobs SET position = ? WHERE id = ?", (position, job))
            tell(connection, "job", job)
            found = find_job(connection, job)
        self._on_change()
        return found

    def remove(self, job: str) -> None:
        """Take a job that does not run off the list; its result stays.

        Raises:
            Refused: conflict, since it runs.
        """
        with self._database.writing() as connection:
            if find_job(connection, job).state == "running":
                raise conflict("job: it runs; cancel it first")
            connection.execute("DELETE FROM jobs WHERE id = ?", (job,))
            tell(connection, "job_removed", job)
        self.snapshots.remove(job)
        self._on_change()

    # ----------------------------------------------------------------------------------------------- for workers
    def claim(self, worker: str, pid: int | None = None) -> Claim | None:
        """The next job, which is the caller's from now on; None if none waits."""
        token = secrets.token_hex(8)
        with self._database.reading() as connection:  # most of the time there is none, and nobody should wait for that
            if connection.execute("SELECT 1 FROM jobs WHERE state = 'queued' LIMIT 1").fetchone() is None:
                return None
        with self._database.writing() as connection:
            row = connection.execute("SELECT id FROM jobs WHERE state = 'queued' ORDER BY position LIMIT 1").fetchone()
            if row is None:
                return None
            connection.execute(
                "UPDATE jobs SET state = 'running', phase = 'loading', worker = ?, pid = ?, token = ?, lease = ?, "
                "started = ?, attempts = attempts + 1, step = 0, total = 0, seconds_left = NULL, error = NULL, "
                "notes = '[]' WHERE id = ?",
                (worker, pid, token, now() + self.lease, now(), row["id"]),
            )
            tell(connection, "job", row["id"])
            tell(connection, "workers", "")
            claim = Claim(find_job(connection, row["id"]), token)
        self._on_change()
        return claim

    def heartbeat(self, claim: Claim) -> bool:
        """Keep the job; whether somebody wants it to end.

        Raises:
            LeaseLost: it is the caller's no longer.
        """
        with self._database.writing() as connection:
            row = owned(connection, claim)
            connection.execute("UPDATE jobs SET lease = ? WHERE id = ?", (now() + self.lease, claim.job.id))
            return bool(row["cancel_requested"])

    def progress(
        self,
        claim: Claim,
        phase: Phase,
        *,
        step: int = 0,
        total: int = 0,
        seconds_left: float | None = None,
        preview: int | None = None,
        notes: Sequence[str] | None = None,
    ) -> bool:
        """Say how far the job is, which keeps it too. Returns and raises as `heartbeat`."""
        with self._database.writing() as connection:
            row = owned(connection, claim)
            connection.execute(
                "UPDATE jobs SET phase = ?, step = ?, total = ?, seconds_left = ?, lease = ?, "
                "preview = coalesce(?, preview), notes = coalesce(?, notes) WHERE id = ?",
                (
                    phase,
                    step,
                    total,
                    seconds_left,
                    now() + self.lease,
                    preview,
                    None if notes is None else json.dumps(list(notes)),
                    claim.job.id,
                ),
            )
            tell(connection, "job", claim.job.id)
            requested = bool(row["cancel_requested"])
        self._on_change()
        return requested

    def finish(self, claim: Claim, result: str) -> Job:
        """The result is complete; it waits to be measured.

        Raises:
            LeaseLost: the job is the caller's no longer; the result stays for whoever has it.
        """
        with self._database.writing() as connection:
            owned(connection, claim)
            connection.execute(
                "UPDATE jobs SET result = ?, step = total, seconds_left = 0 WHERE id = ?", (result, claim.job.id)
            )
            end(connection, claim.job.id, "done")
            self.measuring.add(connection, result)
            tell(connection, "result", result)
            done = find_job(connection, claim.job.id)
        self._on_change()
        return done

    def fail(self, claim: Claim, error: str) -> Job:
        """The job cannot be done; ``error`` is for people. Raises as `finish`."""
        with self._database.writing() as connection:
            owned(connection, claim)
            end(connection, claim.job.id, "failed", error)
            failed = find_job(connection, claim.job.id)
        self._on_change()
        return failed

    def cancelled(self, claim: Claim) -> Job:
        """The job has ended on request. Raises as `finish`."""
        with self._database.writing() as connection:
            owned(connection, claim)
            end(connection, claim.job.id, "cancelled")
            ended = find_job(connection, claim.job.id)
        self._on_change()
        return ended

    def release(self, claim: Claim) -> None:
        """Give a job back untouched, for whoever comes next; it does not count as an attempt."""
        with self._database.writing() as connection:
            owned(connection, claim)
            connection.execute("UPDATE jobs SET attempts = attempts - 1 WHERE id = ?", (claim.job.id,))
            put_back(connection, claim.job.id)
        self._on_change()

    def release_expired(self, spare: Collection[int] = ()) -> list[str]:
        """Jobs whose worker has not been heard of for a lease go back into the queue, or have failed; their ids.

        Args:
            spare: processes that are known to live.
        """
        moment = now()
        return self._release(lambda row: (row["lease"] or 0) < moment and row["pid"] not in spare)

    def silent(self) -> set[int]:
        """Processes that have a job and have not been heard of for a lease; 0 for one that did not say its number."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT pid FROM jobs WHERE state = 'running' AND lease < ?", (now(),))
            return {row["pid"] or 0 for row in rows}

    def release_worker(self, worker: str, pid: int | None = None) -> list[str]:
        """The same for a worker (one process of it, with ``pid``) that is known to be gone."""
        return self._release(lambda row: row["worker"] == worker and pid in (None, row["pid"]))

    def release_dead(self, alive: Callable[[int], bool]) -> list[str]:
        """The same for all whose process is not ``alive``; for a server that starts after it was killed."""
        return self._release(lambda row: row["pid"] is not None and not alive(row["pid"]))

    def _release(self, gone: Callable[[sqlite3.Row], bool]) -> list[str]:
        with self._database.reading() as connection:
            if not any(gone(row) for row in connection.execute("SELECT * FROM jobs WHERE state = 'running'")):
                return []
        with self._database.writing() as connection:
            rows = [row for row in connection.execute("SELECT * FROM jobs WHERE state = 'running'") if gone(row)]
            for row in rows:
                if row["cancel_requested"]:
                    end(connection, row["id"], "cancelled")
                elif row["attempts"] >= MAX_ATTEMPTS:
                    end(connection, row["id"], "failed", _GONE.format(times=row["attempts"]))
                else:
                    put_back(connection, row["id"])
        self._on_change()
        return [row["id"] for row in rows]

    # -------------------------------------------------------------------------------------------------- results
    def result_changed(self, result: str, *, removed: bool = False) -> None:
        """Tell that a result is gone, or there again."""
        with self._database.writing() as connection:
            tell(connection, "result_removed" if removed else "result", result)
        self._on_change()

    def workers_changed(self) -> None:
        """Tell that a worker came or went."""
        with self._database.writing() as connection:
            tell(connection, "workers", "")
        self._on_change()

    def close(self) -> None:
        """Close this thread's connection."""
        self._database.close()
