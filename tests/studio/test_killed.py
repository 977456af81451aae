"""The whole server, its workers and itself killed again and again: in the end every job is done, once."""

import os
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from motionloom.media import Clip
from motionloom.studio.client import StudioClient
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.schemas import GenerationSettings

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs /proc and signals")]


class Killable:
    """A server with two workers in ``data``."""

    def __init__(self, data):
        self.data = data

    def start(self):
        command = [sys.executable, "-m", "motionloom", "studio", "--no-open", "--data-dir", str(self.data)]
        self.process = subprocess.Popen(
            [*command, "--device", "cpu", "--device", "cpu"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "300"},
        )
        for line in self.process.stdout:
            if "http://" in line:
                return StudioClient(re.search(r"http://[^/]+", line).group())
        raise AssertionError("the server did not start")

    def workers(self):
        found = []
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat") as stat, open(f"/proc/{name}/cmdline") as command:
                    if stat.read().rsplit(")", 1)[1].split()[1] == str(self.process.pid) and "worker" in command.read():
                        found.append(int(name))
            except OSError:
                continue
        return found

    def kill(self, what):
        """The workers, the server, or "both" so that neither can give anything back."""
        workers = self.workers()
        if what == "both":
            for worker in workers:
                os.kill(worker, signal.SIGSTOP)
        if what != "workers":
            self.process.kill()
            self.process.communicate()
        if what != "server":
            for worker in workers:
                os.kill(worker, signal.SIGKILL)


@pytest.fixture
def server(tmp_path):
    found = Killable(tmp_path / "studio")
    yield found
    found.process.kill()
    found.process.communicate()


def test_killed_at_any_moment_nothing_is_lost_and_nothing_made_twice(server, photograph, tmp_path):
    chance = random.Random(5)
    client = server.start()
    (tmp_path / "cat.png").write_bytes(photograph)
    project = client.create_project(tmp_path / "cat.png")
    results, made, wanted = ResultStore(server.data), {}, []

    def look():
        for result in results.list():
            video = results.folder(result.id) / "video.mp4"
            if result.id not in made:
                assert Clip.load(video).num_frames == result.num_frames
            assert made.setdefault(result.id, video.stat().st_ino) == video.stat().st_ino

    for what in ("workers", "server", "both", "workers", "both", "server"):
        for settings in (GenerationSettings(model="nano", num_inference_steps=4), GenerationSettings(model="warp")):
            seeds = range(len(wanted), len(wanted) + 2)
            wanted += [job.id for job in client.submit(project.id, settings=settings, seeds=list(seeds))]
        time.sleep(chance.uniform(0, 8))
        server.kill(what)
        look()
        if what != "workers":
            client = server.start()
        retry(client)
    until = time.monotonic() + 300
    while any(job.state != "done" for job in client.jobs()):
        assert time.monotonic() < until
        retry(client)
        time.sleep(0.5)
    look()
    assert sorted(made) == sorted(wanted)
    assert sorted(job.id for job in client.jobs()) == sorted(wanted)
    with sqlite3.connect(server.data / "studio.db") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def retry(client):
    """Jobs that three workers died over have failed, as they should; nothing else fails."""
    for job in client.jobs():
        if job.state == "failed":
            assert "stopped 3 times" in job.error
            client.retry(job.id)
