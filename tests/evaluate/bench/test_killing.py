"""What a run keeps when its processes are killed in the middle of their work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from motionloom.media import Clip

PROGRAM = str(Path(__file__).with_name("driving.py"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["process", "ray"])
def test_killing_a_worker_and_then_the_driver_loses_the_case_in_flight(kind, bench, tmp_path):
    if kind == "ray":
        pytest.importorskip("ray")
    out = tmp_path / "out"
    driver = _drive(bench, out, kind)
    _wait_for(lambda: len(_rows(out)) >= 2, driver)
    workers = _workers(driver.pid, kind)
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    _wait_for(lambda: len(_rows(out)) >= 5 and set(_workers(driver.pid, kind)) - set(workers), driver)
    restarted = _workers(driver.pid, kind)
    driver.kill()
    driver.communicate()
    deadline = time.monotonic() + 30
    while any(_alive(pid) for pid in (*workers, *restarted)) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(_alive(pid) for pid in (*workers, *restarted)), "workers end with their driver"
    kept = {path: path.stat().st_mtime_ns for path in [*_rows(out), *out.glob("nano/videos/*/[!.]*.mp4")]}
    finished = len(_rows(out))
    assert 5 <= finished < 12
    assert all(Clip.load(path).num_frames == 5 for path in out.glob("nano/videos/*/[!.]*.mp4")), "no half video"

    again = _drive(bench, out, kind)
    text, _ = again.communicate(timeout=300)
    assert text.splitlines()[-1] == "12 {'done'}"
    assert "again" not in text, "nothing finished was done again"
    rewritten = [path for path, when in kept.items() if path.stat().st_mtime_ns != when]
    assert rewritten == [], "finished rows and videos are left alone, a video without a row is only measured"
    assert len(list(out.glob("nano/videos/*/[!.]*.mp4"))) == 12
    assert not list(out.rglob(".*.part*"))


def _drive(bench, out, kind):
    return subprocess.Popen([sys.executable, PROGRAM, str(bench), str(out), kind], stdout=subprocess.PIPE, text=True)


def _workers(pid, kind):
    if kind == "process":
        return _children(pid)
    found, waiting = [], _children(pid)
    while waiting:
        each = waiting.pop()
        waiting += _children(each)
        if Path(f"/proc/{each}/cmdline").read_bytes().startswith(b"ray::Actor"):
            found.append(each)
    return found


def _rows(out):
    return list(out.glob("nano/rows/*.json"))


def _wait_for(condition, driver):
    deadline = time.monotonic() + 200
    while not condition():
        assert driver.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _children(pid):
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
