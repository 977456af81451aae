import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from motionloom.errors import CheckpointError, MotionloomError
from motionloom.scale.executors.process import ProcessExecutor

PROGRAM = str(Path(__file__).with_name("working.py"))


def test_a_killed_worker_loses_nothing_but_time_and_errors_stay_with_their_task(writing):
    whats = {"a": "slow", "b": "kill once", "c": "refuse", "d": "break", "e": "print", "f": None}
    found = writing.run(ProcessExecutor(2, device="cpu"), whats)
    assert {name: outcome.status for name, outcome in found.items()} == {
        "a": "done", "b": "done", "c": "failed", "d": "failed", "e": "done", "f": "done",
    }  # fmt: skip
    assert (found["b"].attempts, writing.attempts("b")) == (2, 2)
    assert all(writing.attempts(name) == 1 for name in "acdef")
    assert writing.workers() in (2, 3), "two, and one in place of the killed one unless the other had done all by then"
    assert (found["c"].kind, found["c"].error) == ("InputError", "c: found nonsense, expected sense")
    assert found["d"].error == "KeyError: 'lost'"
    assert re.fullmatch(r"working\.py:\d+ in run", found["d"].where)
    assert sorted(path.name for path in writing.folder.glob("*.txt")) == ["a.txt", "b.txt", "e.txt", "f.txt"]


@pytest.mark.slow
def test_a_task_that_kills_its_workers_is_left_out_with_the_reason(writing):
    found = writing.run(ProcessExecutor(1, device="cpu"), {"a": "kill always", "b": "crash", "c": None})
    assert {name: outcome.status for name, outcome in found.items()} == {"a": "failed", "b": "failed", "c": "done"}
    assert (found["a"].attempts, writing.attempts("a"), found["a"].kind) == (3, 3, None)
    assert writing.workers() == 7, "one, and one for each that died"
    assert found["a"].error == (
        "a worker was ended by SIGKILL, as the system does when memory runs out; 3 workers in a row ended at this "
        "task, so it is left out"
    )
    assert "SIGSEGV (Fatal Python error: Segmentation fault File " in found["b"].error


@pytest.mark.slow
def test_a_task_that_hangs_is_ended_and_tried_again(writing):
    found = writing.run(ProcessExecutor(1, device="cpu", time_limit=0.7), {"a": "hang once", "b": None})
    assert {name: (outcome.status, outcome.attempts) for name, outcome in found.items()} == {
        "a": ("done", 2), "b": ("done", 1),
    }  # fmt: skip
    assert writing.workers() == 2


@pytest.mark.slow
def test_a_task_that_always_hangs_is_left_out_with_the_reason(writing):
    found = writing.run(ProcessExecutor(2, device="cpu", time_limit=0.7), {"a": "hang always", "b": None})
    assert (found["a"].status, found["a"].attempts, found["b"].status) == ("failed", 3, "done")
    assert found["a"].error == (
        "a worker was ended because its task took longer than 0.7 s; 3 workers in a row ended at this task, so it is "
        "left out"
    )


@pytest.mark.slow
def test_a_hanging_task_ends_with_its_driver(tmp_path):
    """Ctrl-C, to which the worker is deaf."""
    driver = _driver(tmp_path, 2, 0.0, "hang always")
    _wait_for(lambda: len(list(tmp_path.glob("attempts-*"))) == 2)
    began = time.monotonic()
    driver.send_signal(signal.SIGTERM)
    driver.wait(timeout=60)
    assert time.monotonic() - began < 30
    assert not any(_alive(int(path.name.removeprefix("built-"))) for path in tmp_path.glob("built-*"))


def test_a_worker_that_cannot_be_built_is_one_error(writing):
    with pytest.raises(CheckpointError, match=r"^no such model: mystery$"):
        writing.run(ProcessExecutor(1), {"a": None, "b": None}, fail_to_build="ours")
    assert writing.workers() == 1, "not tried again"
    with pytest.raises(MotionloomError, match=r"could not be built: ZeroDivisionError: in the factory \(working\.py:"):
        writing.run(ProcessExecutor(1), {"a": None}, fail_to_build="foreign")
    with pytest.raises(MotionloomError, match=r"ended by SIGKILL.*, while it was being built"):
        writing.run(ProcessExecutor(1), {"a": None}, fail_to_build="die")


@pytest.mark.slow
def test_a_device_that_is_gone_ends_the_run_only_when_no_other_is_left(writing):
    with pytest.raises(MotionloomError, match=r"no worker is left for 2 tasks: .*SIGKILL.*goes on from there"):
        writing.run(ProcessExecutor(1), {"a": None, "b": "kill once", "c": None}, die_on_rebuild=True)
    assert sorted(path.name for path in writing.folder.glob("*.txt")) == ["a.txt"]


@pytest.mark.slow
def test_threads_are_divided_and_a_callback_that_raises_ends_the_workers(writing, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr("motionloom.scale.executors.devices.cores", lambda: 6)
    pids = []

    def refuse(outcome):
        pids.append(outcome.note["pid"])
        assert outcome.note["threads"] == "3"
        raise KeyboardInterrupt

    from motionloom.scale.executors import Task, WorkerSpec

    tasks = [Task(name, {"name": name, "seconds": 0.2}) for name in "abcdef"]
    with pytest.raises(KeyboardInterrupt):
        ProcessExecutor(2, device="cpu").run(
            tasks, WorkerSpec("working:Writer", {"folder": str(writing.folder)}), on_done=refuse
        )
    assert not _alive(pids[0])
    assert not list(writing.folder.glob(".*part*")), "a task that was stopped leaves nothing half-written"


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_workers_end_with_the_program_and_a_second_run_finishes(number, tmp_path):
    driver = _driver(tmp_path, 6, 0.7)
    assert driver.stdout is not None
    first = driver.stdout.readline().strip()
    time.sleep(0.2)
    driver.send_signal(number)
    driver.wait(timeout=30)
    workers = [int(path.name.removeprefix("built-")) for path in tmp_path.glob("built-*")]
    deadline = time.monotonic() + 15
    while any(map(_alive, workers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, workers))
    assert not list(tmp_path.glob(".*part*")), "what was in flight is not there, not even in part"
    finished = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.txt")}
    assert tmp_path / f"{first}.txt" in finished
    assert len(finished) < 6
    again = _driver(tmp_path, 6, 0.0)
    out, _ = again.communicate(timeout=60)
    assert len(out.split()) == 6 - len(finished)
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items()), "finished files are left alone"
    assert {path.read_text() for path in tmp_path.glob("*.txt")} == {"whole"}
    assert len(list(tmp_path.glob("*.txt"))) == 6


def _driver(folder, count, seconds, what=""):
    return subprocess.Popen(
        [sys.executable, PROGRAM, str(folder), str(count), str(seconds), what], stdout=subprocess.PIPE, text=True
    )


def _wait_for(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and was not waited for by its new parent yet is still listed.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
