"""Worker processes: what happens to jobs when they, or their server, are killed at any moment."""

import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from motionloom.media import Clip
from motionloom.studio.jobs.database import DiskFull
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.store import JobStore, NewJob, new_id
from motionloom.studio.jobs.supervisor import Supervisor
from motionloom.studio.schemas import GenerationSettings, Size
from motionloom.studio.settings import StudioSettings

posix = pytest.mark.skipif(os.name == "nt", reason="needs signals of POSIX")

MOTION = {
    "format": "motionloom.motion",
    "version": 1,
    "canvas": {"width": 64, "height": 48},
    "num_frames": 5,
    "fps": 8.0,
    "instructions": [{"id": "p", "kind": "path", "points": [[20, 20, 0], [40, 24, 4]], "curve": "polyline"}],
}


@pytest.fixture
def store(tmp_path):
    return JobStore(tmp_path / "studio.db")


@pytest.fixture
def results(tmp_path):
    return ResultStore(tmp_path)


@pytest.fixture
def add(store, tmp_path):
    import cv2

    photograph = tmp_path / "photograph.png"
    cv2.imwrite(str(photograph), np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8))

    def add(count=1, **choices):
        jobs = [new_id() for _ in range(count)]
        store.snapshots.write(jobs, photograph, MOTION)
        settings = GenerationSettings(**{"model": "warp", **choices})
        store.add([NewJob(job, None, "Cat", seed, settings, (48, 64)) for seed, job in enumerate(jobs)])
        return jobs

    return add


@pytest.fixture
def start(tmp_path):
    """Starts a worker as the server does; all end with the test."""
    started = []

    def start(name="w"):
        command = [sys.executable, "-m", "motionloom.studio.jobs.worker", "--data", str(tmp_path), "--name", name]
        process = subprocess.Popen(
            [*command, "--device", "cpu"],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()


def wait_for(found, seconds=120.0, every=0.02):
    until = time.monotonic() + seconds
    while True:
        value = found()
        if value:
            return value
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(every)


def finished(store, jobs):
    def found():
        now = [store.get(job) for job in jobs]
        assert not [job.error for job in now if job.state == "failed"]
        return all(job.state == "done" for job in now)

    return wait_for(found)


def sampling(store, job, step=1):
    def found():
        now = store.get(job)
        assert now.state in ("queued", "running"), f"it is {now.state} already: {now.error}"
        return now.phase == "sampling" and now.step >= step

    return wait_for(found, every=0.005)


def long(**more):
    """Choices of a run that takes some seconds."""
    return {"model": "nano", "num_inference_steps": 15, "num_frames": 5, **more}


def whole(results):
    """Every result that is seen can be played to its end."""
    for result in results.list():
        clip = Clip.load(results.folder(result.id) / "video.mp4")
        assert clip.num_frames == result.num_frames
    return [result.id for result in results.list()]


@posix
@pytest.mark.slow
def test_a_worker_works_and_goes_when_its_server_has_gone(store, results, add, start):
    jobs = add(2)
    worker = start()
    finished(store, jobs)
    assert sorted(whole(results)) == sorted(jobs)
    worker.stdin.close()
    assert worker.wait(5) == 0


@pytest.mark.slow
@posix
def test_a_line_wakes_an_idle_worker(store, add, start, monkeypatch):
    first = add()
    worker = start()
    finished(store, first)
    second = add()
    worker.stdin.write(b"\n")
    worker.stdin.flush()
    started = time.monotonic()
    finished(store, second)
    assert time.monotonic() - started < 10


@pytest.mark.slow
@posix
def test_a_worker_killed_in_its_run_leaves_the_job_to_the_next(store, results, add, start):
    jobs = [*add(**long()), *add()]
    worker = start("a")
    sampling(store, jobs[0], 3)
    worker.kill()
    worker.wait()
    assert store.get(jobs[0]).state == "running"  # nobody knows yet
    assert whole(results) == []
    assert store.release_worker("a", worker.pid) == [jobs[0]]
    start("b")
    finished(store, jobs)
    assert store.get(jobs[0]).attempts == 2
    assert sorted(whole(results)) == sorted(jobs)


@pytest.mark.slow
@posix
@pytest.mark.parametrize("seconds", [0.0, 0.15, 0.4, 1.0, 2.5])
def test_killed_at_any_moment_every_job_is_done_once_in_the_end(store, results, add, start, seconds):
    jobs = add(4, num_frames=33)
    for attempt in range(2):
        worker = start(f"k{attempt}")
        wait_for(lambda: store.list(states=("running", "done")))
        time.sleep(seconds)
        worker.kill()
        worker.wait()
        done = {result: results.get(result).created for result in whole(results)}
        store.release_worker(f"k{attempt}")
        assert all(store.get(job).state in ("queued", "done") for job in jobs)
    start("last")
    finished(store, jobs)
    assert sorted(whole(results)) == sorted(jobs)
    assert {result: results.get(result).created for result in done} == done  # finished work was not done again


@pytest.mark.slow
@posix
@pytest.mark.parametrize("how", ["SIGTERM", "end of input"])
def test_a_worker_told_to_go_gives_its_job_back_at_once(store, results, add, start, how):
    (job,) = add(**long())
    worker = start()
    sampling(store, job, 2)
    asked = time.monotonic()
    if how == "SIGTERM":
        worker.send_signal(signal.SIGTERM)
    else:
        worker.stdin.close()
    assert worker.wait(5) == 0
    assert time.monotonic() - asked < 1.5
    found = store.get(job)
    assert (found.state, found.attempts, found.step) == ("queued", 0, 0)
    assert results.list() == []


@pytest.mark.slow
@posix
def test_cancelling_a_run_frees_the_worker_for_the_next_job(store, add, start):
    runs, waits = add(**long(num_inference_steps=900))[0], add()[0]
    start()
    sampling(store, runs)
    asked = time.monotonic()
    store.cancel(runs)
    wait_for(lambda: store.get(runs).state == "cancelled", 10)
    assert time.monotonic() - asked < 4
    finished(store, [waits])


@pytest.mark.slow
@posix
def test_results_are_measured_after_they_are_there(store, results, add, start):
    (job,) = add()
    start()
    finished(store, [job])
    wait_for(lambda: results.get(job).measured)
    measured = results.get(job)
    assert 0 <= measured.measures["epe"] < 2
    assert 0 < measured.measures["trackable_fraction"] <= 1
    assert store.measuring.next() is None


@pytest.mark.slow
@posix
def test_two_hundred_jobs_are_all_done(store, results, add, start):
    jobs = add(200)
    start()
    finished(store, jobs)
    assert sorted(result.id for result in results.list()) == sorted(jobs)
    assert {job.attempts for job in store.list()} == {1}


@pytest.fixture
def small_disk(tmp_path):
    """The data folder on a disk of 4 MB, where this system lets a test make one."""
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(tmp_path)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small disk")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


@pytest.mark.slow
@posix
def test_on_a_disk_that_is_really_full_a_job_fails_whole_and_can_be_tried_again(small_disk, store, results, add, start):
    (job,) = add(size=Size(width=640, height=480), num_frames=33)
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (shutil.disk_usage(small_disk).free - 300_000))
    start()
    wait_for(lambda: store.get(job).state == "failed")
    assert store.get(job).error.startswith("The disk with the studio's data is full")
    assert list((small_disk / "results").iterdir()) == []
    filler.unlink()
    store.retry(job)
    finished(store, [job])
    assert whole(results) == [job]


# ---------------------------------------------------------------------------------------------------------- supervisor
@pytest.fixture
def supervise(tmp_path, store, results):
    started = []

    def supervise(*devices):
        found = Supervisor(StudioSettings(tmp_path, devices=devices), store, results)
        found.start()
        started.append(found)
        return found

    yield supervise
    for found in started:
        found.stop()


def process_of(supervisor, place=0):
    return supervisor._posts[place].process


@pytest.mark.slow
@posix
def test_a_dead_worker_is_replaced_and_its_job_finished(store, results, add, supervise):
    jobs = [*add(**long()), *add()]
    supervisor = supervise("cpu")
    sampling(store, jobs[0], 2)
    first = process_of(supervisor)
    (worker,) = supervisor.workers()
    assert (worker.name, worker.device, worker.alive, worker.job) == ("cpu", "cpu", True, jobs[0])
    first.kill()
    wait_for(lambda: store.get(jobs[0]).state == "queued" or store.get(jobs[0]).attempts == 2, 5)
    wait_for(lambda: (now := process_of(supervisor)) is not None and now.pid != first.pid, 10)
    finished(store, jobs)
    assert sorted(whole(results)) == sorted(jobs)


@pytest.mark.slow
@posix
def test_two_workers_share_the_queue_and_stopping_takes_a_moment(store, results, add, supervise):
    jobs = add(30)
    supervisor = supervise("cpu", "cpu")
    assert [worker.name for worker in supervisor.workers()] == ["cpu-1", "cpu-2"]
    finished(store, jobs)
    (job,) = add(**long(num_inference_steps=900))
    supervisor.wake()
    sampling(store, job)
    processes = [process_of(supervisor, place) for place in (0, 1)]
    asked = time.monotonic()
    supervisor.stop()
    assert time.monotonic() - asked < 2.0
    assert all(process.poll() is not None for process in processes)
    assert (store.get(job).state, store.get(job).attempts) == ("queued", 0)
    assert len(whole(results)) == 30


def test_what_killed_workers_left_is_swept_before_new_ones_start(store, results, add, supervise, tmp_path):
    (job,) = add()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    store.claim("w", gone.pid)
    half = tmp_path / "results" / f".{job}.0badcafe.part"
    half.mkdir()
    (half / "video.mp4").write_bytes(b"half")
    supervise()
    assert store.get(job).state == "queued"
    assert not half.exists()


def test_workers_that_live_keep_their_jobs_while_a_laptop_sleeps(store, results, add, tmp_path, monkeypatch):
    """All leases have run out when it wakes; only the job of a process that nobody knows goes back."""
    from motionloom.studio.jobs import supervisor as module

    mine, other = add(2)
    supervisor = Supervisor(StudioSettings(tmp_path, devices=("cpu",)), store, results)
    killed = []
    process = type("Process", (), {"pid": 11, "kill": lambda self: killed.append(11)})()
    supervisor._posts[0].process = process
    store.claim("cpu", pid=11)
    store.claim("stranger", pid=12)
    with store._database.writing() as connection:
        connection.execute("UPDATE jobs SET lease = 1")
    supervisor._release_expired()
    assert [store.get(job).state for job in (mine, other)] == ["running", "queued"]
    assert killed == []
    clock = iter([100.0, 100.0 + module.HUNG / 2, 100.0 + module.HUNG + 1])
    supervisor._posts[0].silent_since = None
    monkeypatch.setattr(module.time, "monotonic", lambda: next(clock))
    for expected in ([], [], [11]):  # one that never gives a sign again is ended
        supervisor._release_expired()
        assert killed == expected


def test_a_worker_is_not_ended_for_its_silence_while_the_disk_is_full(store, results, add, tmp_path, monkeypatch):
    """Nobody can write that he lives then, and his run may still end well."""
    add()
    supervisor = Supervisor(StudioSettings(tmp_path, devices=("cpu",)), store, results)
    process = type("Process", (), {"pid": 11, "kill": lambda self: pytest.fail("ended")})()
    supervisor._posts[0].process = process
    supervisor._posts[0].silent_since = -1e9
    store.claim("cpu", pid=11)
    with store._database.writing() as connection:
        connection.execute("UPDATE jobs SET lease = 1")

    def full():
        raise DiskFull("full")

    monkeypatch.setattr(store, "workers_changed", full)
    with pytest.raises(DiskFull):
        supervisor._release_expired()


def test_a_studio_starts_on_a_full_disk(store, add, supervise, monkeypatch):
    add()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    store.claim("w", gone.pid)

    def full(*arguments):
        raise DiskFull("full")

    with monkeypatch.context() as patch:
        patch.setattr(store._database, "writing", full)
        supervise()
    store.release_expired()
    assert len(store.list()) == 1


def test_stopping_ends_every_worker_on_a_full_disk_too(store, results, tmp_path, monkeypatch):
    supervisor = Supervisor(StudioSettings(tmp_path, devices=("cpu", "cpu")), store, results)
    ended = []

    class Stubborn:
        """Still in a driver's hands after it was killed."""

        stdin = None

        def __init__(self, pid):
            self.pid = pid

        def terminate(self):
            pass

        def kill(self):
            ended.append(self.pid)

        def wait(self, timeout):
            raise subprocess.TimeoutExpired("worker", timeout)

    for pid, post in enumerate(supervisor._posts):
        post.process = Stubborn(pid)

    def full(*arguments):
        raise DiskFull("full")

    monkeypatch.setattr(store, "release_worker", full)
    supervisor.stop(patience=0)
    assert ended == [0, 1]


def test_nobody_waits_for_a_worker_that_does_not_listen(tmp_path, store, results):
    supervisor = Supervisor(StudioSettings(tmp_path, devices=("cpu",)), store, results)
    supervisor._launch(supervisor._posts[0])
    process = supervisor._posts[0].process
    try:
        os.kill(process.pid, signal.SIGSTOP)
        started = time.monotonic()
        for _ in range(70_000):
            supervisor.wake()
        assert time.monotonic() - started < 10
    finally:
        process.kill()
        process.wait()


def test_logs_are_cut_and_not_needed(tmp_path):
    from motionloom.studio.jobs.supervisor import _log_file

    path = tmp_path / "logs" / "cpu.log"
    with _log_file(path) as output:
        output.write(b"a" * 1000 + b"b" * 1000)
    with _log_file(path, most=1500) as output:
        output.write(b"c")
    assert path.read_bytes() == b"b" * 750 + b"c"
    (tmp_path / "file").write_bytes(b"")
    with _log_file(tmp_path / "file" / "cpu.log") as output:
        assert output == subprocess.DEVNULL


SERVER = """
import sys, time
from pathlib import Path
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.store import JobStore
from motionloom.studio.jobs.supervisor import Supervisor
from motionloom.studio.settings import StudioSettings
data = Path(sys.argv[1])
supervisor = Supervisor(StudioSettings(data, devices=("cpu",)), JobStore(data / "studio.db"), ResultStore(data))
supervisor.start()
print(supervisor._posts[0].process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.slow
@posix
def test_a_killed_server_takes_its_workers_with_it_and_the_next_one_goes_on(store, results, add, supervise, tmp_path):
    jobs = [*add(**long()), *add()]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    worker = int(server.stdout.readline())
    sampling(store, jobs[0], 2)
    server.kill()
    server.communicate()
    wait_for(lambda: not _alive(worker), 5)
    assert whole(results) == []
    supervise("cpu")
    finished(store, jobs)
    assert sorted(whole(results)) == sorted(jobs)
    assert store.get(jobs[0]).attempts == 1  # the worker gave it back; nothing crashed over it


@pytest.mark.slow
@posix
def test_server_and_worker_killed_together_lose_nothing(store, results, add, supervise, tmp_path):
    """As in a power cut: nobody could give anything back."""
    jobs = [*add(**long()), *add()]
    server = subprocess.Popen([sys.executable, "-c", SERVER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    worker = int(server.stdout.readline())
    sampling(store, jobs[0], 2)
    os.kill(worker, signal.SIGSTOP)
    server.kill()
    server.communicate()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: not _alive(worker), 5)
    assert store.get(jobs[0]).state == "running"
    supervise("cpu")
    finished(store, jobs)
    assert store.get(jobs[0]).attempts == 2
    assert sorted(whole(results)) == sorted(jobs)


def _alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().split()[2] not in "ZX"
    except FileNotFoundError:
        return False
