"""One worker process for every device, started with the server, started again when it dies, and gone with it."""

from __future__ import annotations

import contextlib
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from motionloom.studio.jobs.database import DiskFull
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.store import JobStore
from motionloom.studio.schemas import Worker
from motionloom.studio.settings import StudioSettings

log = logging.getLogger("motionloom.studio")

_LONGEST_PAUSE = 30.0
_WELL_AFTER = 60.0  # seconds of work after which a worker that dies is started again at once

HUNG = 120.0
"""Seconds that a worker may live without a sign of life before it is ended, as one that will never give one."""


@dataclass
class _Post:
    """A worker's place: its device, and the process that fills it at present."""

    name: str
    device: str
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    again: float = 0.0
    pause: float = 0.5
    silent_since: float | None = None


class Supervisor:
    """Looks after the workers.

    Args:
        settings: data folder, devices (one worker each) and folders of models.
        jobs, results: the queue of that folder, and what was made.
    """

    def __init__(self, settings: StudioSettings, jobs: JobStore, results: ResultStore) -> None:
        self._settings, self._jobs, self._results = settings, jobs, results
        names = _names(settings.devices)
        self._posts = [_Post(name, device) for name, device in zip(names, settings.devices, strict=True)]
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Put back what workers of a server that was killed had begun, and start new ones."""
        try:
            self._jobs.release_dead(_is_alive)
            self._jobs.release_expired()
            self._jobs.measuring.release()
        except DiskFull as error:  # leases run out; people can look at what there is, and make room
            log.warning("%s", error)
        if not self._jobs.count("running"):
            self._results.sweep()
        self._stopping.clear()
        with self._lock:
            for post in self._posts:
                self._launch(post)
        self._thread = threading.Thread(target=self._watch, name="studio-supervisor", daemon=True)
        self._thread.start()

    def stop(self, patience: float = 1.5) -> None:
        """End all workers; what they had begun goes back into the queue. Takes about ``patience`` seconds at most."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=1.0)
        with self._lock:
            running = [post for post in self._posts if post.process is not None]
            for post in running:
                _end_input(post)
                with contextlib.suppress(OSError):
                    post.process.terminate()  # type: ignore[union-attr]
            until = time.monotonic() + patience
            for post in running:
                process = post.process
                assert process is not None
                try:
                    process.wait(max(0.0, until - time.monotonic()))
                except subprocess.TimeoutExpired:
                    process.kill()
                    with contextlib.suppress(subprocess.TimeoutExpired):  # a driver may hold on to it for a while
                        process.wait(1.0)
                try:
                    self._jobs.release_worker(post.name, process.pid)
                except Exception:  # a full disk: the next server puts its job back
                    log.exception("worker %s", post.name)
                post.process = None

    def wake(self) -> None:
        """Let workers that wait look into the queue now."""
        for post in self._posts:
            process = post.process
            if process is not None and process.stdin is not None:
                with contextlib.suppress(OSError, ValueError):
                    process.stdin.write(b"\n")

    def workers(self) -> list[Worker]:
        """All of them with the job they work on."""
        busy = {job.worker: job.id for job in self._jobs.list(states=("running",)) if job.worker}
        return [
            Worker(
                name=post.name,
                device=post.device,
                alive=post.process is not None and post.process.poll() is None,
                job=busy.get(post.name),
            )
            for post in self._posts
        ]

    def _watch(self) -> None:
        while not self._stopping.wait(0.25):
            with self._lock:
                for post in self._posts:
                    if self._stopping.is_set():
                        break
                    try:
                        self._look_at(post)
                    except Exception:  # whatever happens to one must not leave the others alone
                        log.exception("worker %s", post.name)
            with contextlib.suppress(Exception):  # a full disk; looked at again in a moment
                self._release_expired()
        self._jobs.close()

    def _release_expired(self) -> None:
        """Put back the jobs of workers that are gone, whoever started them. Ours that live keep theirs: after a laptop
        slept, all leases have run out, and the next heartbeat is a second away."""
        silent = self._jobs.silent()
        with self._lock:
            for post in self._posts:
                if post.process is None or post.process.pid not in silent:
                    post.silent_since = None
                elif post.silent_since is None:
                    post.silent_since = time.monotonic()
                elif time.monotonic() - post.silent_since > HUNG:
                    self._jobs.workers_changed()  # raises on a full disk, which would be why it is silent
                    log.warning("worker %s has given no sign of life for %g s; it is ended", post.name, HUNG)
                    post.process.kill()
            mine = {post.process.pid for post in self._posts if post.process is not None}
        if silent - mine:
            self._jobs.release_expired(spare=mine)

    def _look_at(self, post: _Post) -> None:
        process = post.process
        if process is not None and process.poll() is not None:
            post.process = None
            _end_input(post, process)
            lasted = time.monotonic() - post.started
            post.pause = 0.5 if lasted > _WELL_AFTER else min(2 * post.pause, _LONGEST_PAUSE)
            post.again = time.monotonic() + (0.0 if lasted > _WELL_AFTER else post.pause)
            log.warning("worker %s ended (%s); it is started again", post.name, process.returncode)
            self._jobs.release_worker(post.name, process.pid)
            self._jobs.workers_changed()
        if post.process is None and time.monotonic() >= post.again:
            post.again = time.monotonic() + post.pause  # also where it cannot be started
            self._launch(post)
            self._jobs.workers_changed()

    def _launch(self, post: _Post) -> None:
        data = self._settings.data
        # -P: modules are not looked for in whatever folder the server was started in.
        command = [sys.executable, "-P", "-m", "motionloom.studio.jobs.worker"]
        command += ["--data", os.fspath(data.absolute()), "--device", post.device, "--name", post.name]
        for model in self._settings.models:
            command += ["--model", os.fspath(Path(model).absolute())]
        with _log_file(data / "logs" / f"{post.name}.log") as output:
            # A session of its own: Ctrl-C in the terminal is for the server, which ends its workers itself. The pipe
            # is how they notice that it is gone, however it went.
            post.process = subprocess.Popen(  # noqa: S603 - our own program; paths and devices are the owner's
                command, bufsize=0, stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
            )
        if os.name != "nt":
            assert post.process.stdin is not None
            os.set_blocking(post.process.stdin.fileno(), False)  # nobody waits for a worker that does not listen
        post.started, post.silent_since = time.monotonic(), None


def _names(devices: tuple[str, ...]) -> list[str]:
    """A name for every worker: its device, numbered where several share one."""
    plain = [device.replace(":", "-") for device in devices]
    return [name if plain.count(name) == 1 else f"{name}-{plain[: i + 1].count(name)}" for i, name in enumerate(plain)]


def _end_input(post: _Post, process: subprocess.Popen[bytes] | None = None) -> None:
    pipe = process or post.process
    if pipe is not None and pipe.stdin is not None:
        with contextlib.suppress(OSError):
            pipe.stdin.close()


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # there the question itself would end it; leases run out
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


@contextlib.contextmanager
def _log_file(path: Path, most: int = 4 * 2**20) -> Iterator[IO[bytes] | int]:
    """The file to write to, cut to its second half when it has grown large; nowhere on a full disk."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > most:
            path.write_bytes(path.read_bytes()[-most // 2 :])
        output = path.open("ab")
    except OSError as error:
        log.warning("%s cannot be written: %s", path.name, error.strerror)
        yield subprocess.DEVNULL
        return
    with output:
        yield output
