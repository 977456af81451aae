"""The queue: nobody gets a job twice, nothing is lost, order and states are kept."""

import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule

from motionloom.errors import FileFormatError
from motionloom.studio.jobs import measuring_queue as measuring_module
from motionloom.studio.jobs import rows as rows_module
from motionloom.studio.jobs import store as store_module
from motionloom.studio.jobs.database import Database, DiskFull
from motionloom.studio.jobs.measuring_queue import ToMeasure
from motionloom.studio.jobs.rows import LeaseLost
from motionloom.studio.jobs.store import MAX_ATTEMPTS, JobStore, NewJob, new_id
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import GenerationSettings


def new(seed=0, project=None):
    return NewJob(new_id(), project, "Cat", seed, GenerationSettings(model="warp"), (48, 64))


def add(store, count=1, **changes):
    return [job.id for job in store.add([new(seed, **changes) for seed in range(count)])]


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "studio.db")


@pytest.fixture
def clock(monkeypatch):
    """Seconds that pass by hand."""
    from motionloom.studio.jobs import database

    class Clock:
        moment = 1_000_000.0

        def __call__(self):
            return self.moment

    found = Clock()
    monkeypatch.setattr(database, "now", found)
    for module in (store_module, rows_module, measuring_module):
        monkeypatch.setattr(module, "now", found)
    return found


def test_jobs_are_claimed_in_their_order_and_only_once(store):
    jobs = add(store, 3)
    claims = [store.claim("a"), store.claim("b"), store.claim("a")]
    assert [claim.job.id for claim in claims] == jobs
    assert store.claim("b") is None
    assert [(job.state, job.worker, job.attempts) for job in store.list()] == [
        ("running", "a", 1),
        ("running", "b", 1),
        ("running", "a", 1),
    ]


def test_a_job_has_all_it_was_added_with(store, clock):
    wanted = GenerationSettings(model="nano", prompt="ein Hund", window=(0.1, 0.9), seed=4)
    store.add([NewJob("0" * 16, "f" * 16, "Hündchen 🐕", 2**53 - 1, wanted, (480, 832))])
    job = store.get("0" * 16)
    assert job.settings == wanted
    assert (job.seed, job.width, job.height, job.project_name) == (2**53 - 1, 832, 480, "Hündchen 🐕")
    assert job.created == "1970-01-12T13:46:40.000Z"
    assert (job.started, job.finished, job.result, job.error) == (None, None, None, None)


def test_a_job_is_done_with_its_result_and_never_again(store):
    (job,) = add(store)
    claim = store.claim("a")
    done = store.finish(claim, job)
    assert (done.state, done.result, done.worker) == ("done", job, None)
    assert store.claim("a") is None
    with pytest.raises(LeaseLost):
        store.fail(claim, "too late")
    assert store.release_expired() == []
    assert store.get(job).state == "done"
    with pytest.raises(Refused, match="is done; only one that failed or was cancelled"):
        store.retry(job)


def test_a_lease_that_ran_out_puts_the_job_back_in_front(store, clock):
    first, second = add(store, 2)
    lost = store.claim("a")
    clock.moment += store.lease - 1
    assert store.heartbeat(lost) is False
    clock.moment += store.lease - 1
    assert store.release_expired() == []
    clock.moment += 2
    assert store.release_expired() == [first]
    assert [job.id for job in store.list()] == [first, second]
    again = store.claim("b")
    assert (again.job.id, again.job.attempts) == (first, 2)
    for write in (store.heartbeat, store.cancelled, lambda c: store.finish(c, first), lambda c: store.fail(c, "x")):
        with pytest.raises(LeaseLost):
            write(lost)
    assert store.heartbeat(again) is False


def test_a_job_that_kills_its_workers_fails_in_the_end(store, clock):
    (job,) = add(store)
    for attempt in range(1, MAX_ATTEMPTS + 1):
        assert store.claim("a").job.attempts == attempt
        clock.moment += store.lease + 1
        store.release_expired()
    failed = store.get(job)
    assert failed.state == "failed"
    assert "stopped 3 times" in failed.error
    retried = store.retry(job)
    assert (retried.state, retried.attempts, retried.error) == ("queued", 0, None)


def test_giving_a_job_back_is_no_attempt(store):
    (job,) = add(store)
    for _ in range(5):
        store.release(store.claim("a"))
    assert (store.get(job).state, store.get(job).attempts) == ("queued", 0)


def test_jobs_of_a_worker_that_is_gone_go_back(store):
    mine, other = add(store, 2)
    store.claim("a", pid=10)
    store.claim("b", pid=20)
    assert store.release_worker("a", pid=11) == []
    assert store.release_worker("a", pid=10) == [mine]
    assert store.release_dead(lambda pid: False) == [other]
    assert {job.state for job in store.list()} == {"queued"}


def test_cancelling(store):
    waits, runs = add(store, 2)
    store.move(runs, waits)
    claim = store.claim("a")
    assert claim.job.id == runs
    assert store.cancel(waits).state == "cancelled"
    asked = store.cancel(runs)
    assert (asked.state, asked.cancel_requested) == ("running", True)
    assert store.heartbeat(claim) is True
    assert store.progress(claim, "sampling", step=1, total=2) is True
    ended = store.cancelled(claim)
    assert (ended.state, ended.cancel_requested) == ("cancelled", False)
    assert store.cancel(runs).state == "cancelled"  # twice changes nothing
    assert store.retry(waits).state == "queued"


def test_a_job_to_be_cancelled_is_not_started_again(store, clock):
    released, expired = add(store, 2)
    claim, _ = store.claim("a"), store.claim("b")
    store.cancel(released)
    store.cancel(expired)
    store.release(claim)
    clock.moment += store.lease + 1
    store.release_expired()
    assert [store.get(job).state for job in (released, expired)] == ["cancelled", "cancelled"]
    assert store.get(released).finished is not None


def test_order_is_as_moved(store):
    a, b, c, d = add(store, 4)
    store.move(d, a)
    store.move(a, None)
    store.move(c, b)
    store.move(b, b)
    assert [job.id for job in store.list(states=("queued",))] == [d, c, b, a]
    for _ in range(200):  # halves of halves run out
        store.move(a, b)
        store.move(c, b)
    assert [job.id for job in store.list(states=("queued",))] == [d, a, c, b]
    claim = store.claim("w")
    assert claim.job.id == d
    with pytest.raises(Refused, match="only one that waits can be moved"):
        store.move(d, None)
    with pytest.raises(Refused, match="the job is running, expected one that waits"):
        store.move(a, d)
    with pytest.raises(Refused, match="there is none with the id"):
        store.move(a, "0" * 16)


def test_a_job_that_runs_is_not_removed(store):
    runs, waits = add(store, 2)
    claim = store.claim("a")
    with pytest.raises(Refused, match="cancel it first"):
        store.remove(runs)
    store.remove(waits)
    store.fail(claim, "no")
    store.remove(runs)
    assert store.list() == []
    with pytest.raises(Refused) as found:
        store.get(runs)
    assert found.value.code == "not_found"


def test_lists_are_by_project_and_state(store):
    (mine,) = add(store, project="a" * 16)
    add(store, project="b" * 16)
    store.cancel(mine)
    assert [job.id for job in store.list(project="a" * 16)] == [mine]
    assert [job.id for job in store.list(states=("cancelled", "failed"))] == [mine]
    assert len(store.list()) == 2


def test_what_is_over_comes_last_and_the_latest_of_it_first(store, clock):
    jobs = add(store, 4)
    for job in jobs[:2]:
        clock.moment += 1
        store.cancel(job)
    store.claim("a")
    assert [job.id for job in store.list()] == [jobs[2], jobs[3], jobs[1], jobs[0]]


def test_results_are_measured_once_and_after_a_crash_again(store, clock):
    (job,) = add(store)
    store.finish(store.claim("a"), job)
    assert store.measuring.next() == ToMeasure(job, False)
    assert store.get(job).phase == "measuring"
    assert store.measuring.next() is None
    clock.moment += 301
    assert store.measuring.next() == ToMeasure(job, False)
    store.measuring.release()
    assert store.measuring.next() == ToMeasure(job, False)
    store.measuring.done(job)
    assert store.measuring.next() is None
    assert store.get(job).phase == "waiting"


def test_measuring_that_is_put_off_is_no_attempt(store):
    (job,) = add(store)
    store.finish(store.claim("a"), job)
    for _ in range(5):
        assert store.measuring.next() == ToMeasure(job, False)
        store.measuring.put_off(job)
        assert store.get(job).phase == "waiting"


def test_measuring_that_always_ends_the_worker_is_given_up(store, clock):
    (job,) = add(store)
    store.finish(store.claim("a"), job)
    for _ in range(3):
        assert store.measuring.next() == ToMeasure(job, False)
        clock.moment += 301
    assert store.measuring.next() == ToMeasure(job, True)


CLAIM = """
import sys, time
from pathlib import Path
from motionloom.studio.jobs.store import JobStore
store = JobStore(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while (claim := store.claim(sys.argv[2])) is not None:
    print(claim.job.id, flush=True)
    store.progress(claim, "sampling", step=1, total=2)
    store.finish(claim, claim.job.id)
"""


@pytest.mark.slow
def test_processes_and_threads_never_get_the_same_job(store, tmp_path):
    jobs = add(store, 120)
    command = [sys.executable, "-c", CLAIM, str(tmp_path / "studio.db")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    others = [subprocess.Popen([*command, name], **pipes) for name in ("p", "q")]
    for other in others:
        assert other.stdout.readline() == "ready\n"
    mine, lock = [], threading.Lock()

    def work(name):
        while (claim := store.claim(name)) is not None:
            with lock:
                mine.append(claim.job.id)
            store.finish(claim, claim.job.id)
        store.close()

    with ThreadPoolExecutor(3) as threads:
        for other in others:
            other.stdin.write("go\n")
            other.stdin.flush()
        list(threads.map(work, ("t1", "t2", "t3")))
    theirs = [line for other in others for line in other.communicate(timeout=30)[0].split()]
    assert [other.returncode for other in others] == [0, 0]
    assert sorted(mine + theirs) == sorted(jobs)
    assert {job.state for job in store.list()} == {"done"}


@pytest.mark.slow
def test_a_process_that_is_killed_in_a_write_leaves_a_whole_database(tmp_path):
    path = tmp_path / "studio.db"
    store = JobStore(path)
    add(store, 30)
    script = CLAIM + "\n    if len(sys.argv) > 3: pass\n"
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(path), "k"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        process.stdout.readline()
        process.stdin.write("go\n")
        process.stdin.flush()
        process.stdout.readline()
        process.kill()
        process.communicate()
    with Database(path).reading() as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    store.release_worker("k")
    while (claim := store.claim("rest")) is not None:
        store.finish(claim, claim.job.id)
    assert {job.state for job in store.list()} == {"done"}


def test_two_hundred_jobs_are_added_and_listed_quickly(store):
    started = time.perf_counter()
    add(store, 200)
    added = time.perf_counter()
    assert len(store.list()) == 200
    assert added - started < 2
    assert time.perf_counter() - added < 1


def test_all_or_none_are_added(store):
    twice = new()
    with pytest.raises(Exception, match="UNIQUE"):
        store.add([new(), twice, twice])
    assert store.list() == []


def test_a_full_database_is_said_and_nothing_is_half_written(store):
    add(store, 2)
    with store._database.reading() as connection:
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    store._database._connection().execute(f"PRAGMA max_page_count = {pages}")
    for _ in range(100):
        before = len(store.list())
        try:
            add(store, 10)
        except DiskFull as error:
            assert "disk with the studio's data is full; free some space" in str(error)  # noqa: PT017
            break
    else:
        pytest.fail("it never filled up")
    assert len(store.list()) == before
    kept = len(store.list())
    assert kept % 10 == 2  # tens are there as a whole or not at all
    store._database._connection().execute("PRAGMA max_page_count = 1000000")
    add(store, 1)
    assert len(store.list()) == kept + 1


def test_a_database_is_opened_without_writing_to_it(tmp_path, monkeypatch):
    """As on a full disk: whoever wants to free some room has to see what there is."""
    JobStore(tmp_path / "studio.db")

    def full(self):
        raise DiskFull("full")

    monkeypatch.setattr(Database, "writing", full)
    assert JobStore(tmp_path / "studio.db").list() == []


def test_a_database_of_the_future_is_refused(tmp_path):
    path = tmp_path / "studio.db"
    with Database(path).writing() as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(FileFormatError, match=r"newer motionloom \(version 99"):
        Database(path)


def test_a_damaged_database_is_refused(tmp_path):
    path = tmp_path / "studio.db"
    path.write_bytes(b"no database at all" * 1000)
    with pytest.raises(FileFormatError, match="is damaged"):
        JobStore(path)


class Queue(RuleBasedStateMachine):
    """Whatever people and workers do in whatever order: every job is in one state that its history explains."""

    jobs = Bundle("jobs")
    claims = Bundle("claims")

    @initialize(folder=st.none())
    def start(self, folder):
        import tempfile
        from pathlib import Path

        self.folder = tempfile.TemporaryDirectory()
        self.store = JobStore(Path(self.folder.name) / "studio.db")
        self.expected = {}
        self.holders = {}

    def teardown(self):
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    @rule(target=jobs)
    def add(self):
        (job,) = add(self.store)
        self.expected[job] = "queued"
        return job

    @rule(target=claims)
    def claim(self):
        claim = self.store.claim("w")
        queued = [job for job, state in self.expected.items() if state == "queued"]
        assert (claim is None) == (not queued)
        if claim is not None:
            assert self.expected[claim.job.id] == "queued"
            self.expected[claim.job.id] = "running"
            self.holders[claim.job.id] = claim.token
        return claim

    def _end(self, claim, write, state):
        if claim is None:
            return
        if self.holders.get(claim.job.id) == claim.token:
            write(claim)
            self.expected[claim.job.id] = state
            del self.holders[claim.job.id]
        else:
            with pytest.raises(LeaseLost):
                write(claim)

    @rule(claim=claims)
    def finish(self, claim):
        self._end(claim, lambda c: self.store.finish(c, c.job.id), "done")

    @rule(claim=claims)
    def fail(self, claim):
        self._end(claim, lambda c: self.store.fail(c, "no"), "failed")

    @rule(claim=claims)
    def release(self, claim):
        wanted = claim is not None and self.store.find([claim.job.id])
        asked = wanted and wanted[claim.job.id].cancel_requested
        self._end(claim, self.store.release, "cancelled" if asked else "queued")

    @rule(job=jobs)
    def cancel(self, job):
        if job in self.expected:
            self.store.cancel(job)
            if self.expected[job] == "queued":
                self.expected[job] = "cancelled"

    @rule(job=jobs)
    def retry(self, job):
        if self.expected.get(job) in ("failed", "cancelled"):
            self.store.retry(job)
            self.expected[job] = "queued"
        elif job in self.expected:
            with pytest.raises(Refused):
                self.store.retry(job)

    @rule(job=jobs, before=jobs)
    def move(self, job, before):
        if self.expected.get(job) == self.expected.get(before) == "queued":
            self.store.move(job, before)
            order = [found.id for found in self.store.list(states=("queued",))]
            assert job == before or order.index(job) == order.index(before) - 1

    @rule(job=consumes(jobs))
    def remove(self, job):
        if self.expected.get(job) == "running":
            with pytest.raises(Refused):
                self.store.remove(job)
        elif job in self.expected:
            self.store.remove(job)
            del self.expected[job]

    @invariant()
    def states_are_as_expected(self):
        if hasattr(self, "store"):
            assert {job.id: job.state for job in self.store.list()} == self.expected


TestQueue = Queue.TestCase
TestQueue.settings = settings(
    max_examples=15, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
