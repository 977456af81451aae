"""The process that makes videos: ``python -m motionloom.studio.jobs.worker --data DIR --device D --name N``.

It takes one job after the other, keeps the model of the last one, and lives as long as its server: a line on standard
input means that there may be something to do, the end of input or SIGTERM that it is time to go. Then the job at hand
goes back into the queue and the process ends, wherever it is in its work; what it was writing has no name yet.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from motionloom.studio.jobs.measuring import give_up, measure_and_keep
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.rows import Claim
from motionloom.studio.jobs.running import ModelShelf, Runner
from motionloom.studio.jobs.store import JobStore
from motionloom.studio.settings import StudioSettings

log = logging.getLogger("motionloom.studio")

IDLE = 1.0
"""Seconds between two looks into the queue; a line on standard input makes it look at once."""

_LIBRARIES = (
    "motionloom.models.wan",
    "motionloom.models.loading",
    "motionloom.methods.warp",
    "motionloom.evaluate.suite",
    "motionloom.tracks.trackers.offline",
    "motionloom.draw",
)

LONG = 20.0
"""A result that took so many seconds is measured at once; of quick ones the queue comes first."""


class Worker:
    """Works on the queue of a data folder, which becomes the working folder of the process."""

    def __init__(self, settings: StudioSettings, name: str, device: str) -> None:
        os.chdir(settings.data)
        here = Path()
        self.name = name
        self._store = JobStore(here / "studio.db")
        self._results = ResultStore(here)
        shelf = ModelShelf(device, lambda model: _source(settings, model))
        self._runner = Runner(self._store, self._results, shelf)
        self._woken = threading.Event()
        self._claim: Claim | None = None
        self._last_took = 0.0
        self._leaving = threading.Lock()

    def work(self) -> NoReturn:
        """Until the process is told to go."""
        idle_since = time.monotonic()
        measuring = threading.Thread(target=self._measure, name="measuring", daemon=True)
        while True:
            self._woken.clear()
            try:
                self._claim = self._store.claim(self.name, os.getpid())
                if self._claim is not None:
                    made = self._runner.run(self._claim)
                    self._claim = None
                    self._last_took = 0.0 if made is None else made.seconds
                    idle_since = time.monotonic()
                    if self._runner.is_broken:
                        log.warning("the device is in a state that only a new process gets out of")
                        self.leave()
                    if self._last_took < LONG or measuring.is_alive():
                        continue
            except Exception:  # a full disk, most likely: looked at again in a moment
                log.exception("the queue cannot be read or written")
                self._give_back()
            if not measuring.is_alive() and (time.monotonic() - idle_since >= IDLE or self._last_took >= LONG):
                _warm_up()
                measuring.start()
                continue
            self._woken.wait(IDLE)

    def wake(self) -> None:
        """Look into the queue now."""
        self._woken.set()

    def leave(self) -> NoReturn:
        """Give the job at hand back and end the process at once, from whatever thread."""
        self._leaving.acquire()  # for good: who else wants to leave meanwhile must not be faster than the giving back
        self._give_back()
        logging.shutdown()
        os._exit(0)

    def _give_back(self) -> None:
        claim, self._claim = self._claim, None
        if claim is not None:
            try:
                self._store.release(claim)
            except Exception as error:  # over already, or the disk is full; then its lease runs out
                log.info("job %s was not given back: %s", claim.job.id, error)

    def _measure(self) -> None:
        while True:
            time.sleep(IDLE / 2)
            wanted = None
            try:
                if self._last_took < LONG and self._store.count("queued"):
                    continue
                wanted = self._store.measuring.next()
                if wanted is not None:
                    if wanted.is_hopeless:
                        give_up(self._results, wanted.result)
                    else:
                        measure_and_keep(self._results, wanted.result)
                    self._store.measuring.done(wanted.result)
            except Exception:  # a full disk, most likely
                log.exception("measuring")
                time.sleep(10 * IDLE)
                with contextlib.suppress(Exception):  # still full; then its lease runs out
                    if wanted is not None:
                        self._store.measuring.put_off(wanted.result)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m motionloom.studio.jobs.worker", description="Make videos.")
    parser.add_argument("--data", type=Path, required=True, help="data folder of the studio")
    parser.add_argument("--device", default="auto", help="as torch names it")
    parser.add_argument("--name", required=True, help="of this worker")
    parser.add_argument("--model", type=Path, action="append", default=[], help="folder of a model to offer")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr)
    worker = Worker(StudioSettings(given.data, models=tuple(given.model)), given.name, given.device)
    _listen(worker)
    worker.work()


def _listen(worker: Worker) -> None:
    """Hear the server and SIGTERM in threads of their own: the main one may be in the middle of a long step."""
    reads, writes = os.pipe()
    if os.name != "nt":
        os.set_blocking(writes, False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # so that the number is written into the pipe, by C code, at once
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)

    def hear_signals() -> None:
        while True:
            numbers = os.read(reads, 64)
            if signal.SIGTERM in numbers or signal.SIGINT in numbers:
                worker.leave()

    def hear_server() -> None:
        while os.read(sys.stdin.fileno(), 1024):
            worker.wake()
        worker.leave()

    for listener in (hear_signals, hear_server):
        threading.Thread(target=listener, name=listener.__name__, daemon=True).start()


def _warm_up() -> None:
    """Read the large libraries before somebody waits for them, and before two threads would want to at once: modules
    that import each other in a circle are then seen half made."""
    for name in _LIBRARIES:
        with contextlib.suppress(Exception):  # what is wrong with them is said by the first job
            importlib.import_module(name)


def _source(settings: StudioSettings, name: str) -> str:
    from motionloom.studio.models_facts import find

    return find(settings, name).source


if __name__ == "__main__":
    main()
