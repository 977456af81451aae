"""Workers in processes of their own on this machine."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import motionloom
from motionloom.errors import MotionloomError
from motionloom.scale.executors.devices import Place, places
from motionloom.scale.executors.tasks import Ledger, OnDone, Outcome, Task, WorkerSpec, overdue, raise_unbuildable

STOP_SECONDS = 10.0
"""How long a worker that is told to stop may take before it is killed."""

_REBUILDS = 2
_LAST_WORDS = 300  # characters of what a process that died wrote last


class ProcessExecutor:
    """Workers in processes; GPUs are given out in turn, threads are divided.

    A process that dies (out of memory, a crash of native code, killed) is started again, and its task tried again. All
    of them end when this program does, even when it is killed.

    Args:
        workers, device: see `motionloom.scale.executors.devices.places`.
        time_limit: seconds a task may take; a process that takes longer is killed, and its task tried again.
    """

    def __init__(
        self, workers: int | None = None, *, device: str | None = None, time_limit: float | None = None
    ) -> None:
        self.workers, self.device, self.time_limit = workers, device, time_limit

    def run(self, tasks: Sequence[Task], work: WorkerSpec, *, on_done: OnDone | None = None) -> None:
        """See `Executor.run`."""
        ledger = Ledger(tasks)
        if not ledger.waiting:
            return
        run = _Run(ledger, work, on_done or (lambda outcome: None), self.time_limit)
        try:
            for place in places(self.workers, self.device)[: len(ledger.waiting)]:
                run.start(place)
            run.finish()
        finally:
            run.stop()


class _Run:
    """The state of one run, all of it in the main thread: a thread per process does nothing but read its answers."""

    def __init__(self, ledger: Ledger, work: WorkerSpec, on_done: OnDone, time_limit: float | None) -> None:
        self.ledger, self.work, self.on_done, self.time_limit = ledger, work, on_done, time_limit
        self.events: queue.SimpleQueue[tuple[_Child, dict[str, Any] | None]] = queue.SimpleQueue()
        self.children: list[_Child] = []
        self.rebuilds: dict[int, int] = {}
        self.was_built: set[int] = set()
        self.last_reason = ""

    def start(self, place: Place) -> None:
        self.children.append(_Child(place, self.work, self.events))

    def finish(self) -> None:
        while self.ledger.waiting or any(child.task for child in self.children):
            if not self.children:
                raise MotionloomError(
                    f"no worker is left for {len(self.ledger.waiting)} tasks: {self.last_reason}; what is finished is "
                    "kept, the same command goes on from there"
                )
            self._end_overdue()
            try:
                # The timeout lets Ctrl-C through where the wait itself cannot be interrupted (Windows).
                child, answer = self.events.get(timeout=1.0)
            except queue.Empty:
                continue
            if answer is None:
                self._ended(child)
            elif "built" in answer:
                self._built(child, answer)
            else:
                self._done(child, answer)

    def stop(self) -> None:
        for child in self.children:
            child.close()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self.children:
            child.end(max(0.0, deadline - time.monotonic()))

    def _built(self, child: _Child, answer: dict[str, Any]) -> None:
        number = child.place.number
        if answer["built"]:
            self.was_built.add(number)
            self.rebuilds[number] = 0
            child.is_built = True
            self._give(child)
        elif number in self.was_built:
            # It could be built before: something is wrong with its device, and the others go on.
            self.last_reason = answer["error"]
            self._drop(child)
        else:
            raise_unbuildable(answer)

    def _done(self, child: _Child, answer: dict[str, Any]) -> None:
        assert child.task is not None
        outcome = self.ledger.outcome(child.task, answer, child.place.number)
        child.task = None
        self._give(child)  # before the callback, which may take its time
        self.on_done(outcome)

    def _ended(self, child: _Child) -> None:
        if child not in self.children:
            return
        self._drop(child)
        place, reason = child.place, child.epitaph()
        self.last_reason = reason
        outcome: Outcome | None = None
        if child.task is not None:
            outcome = self.ledger.lost(child.task, reason, place.number)
        elif not child.is_built:
            if not self.was_built:
                raise MotionloomError(f"{reason}, while it was being built; the others were stopped")
            self.rebuilds[place.number] = self.rebuilds.get(place.number, 0) + 1
        if outcome is not None:
            self.on_done(outcome)
        self._give_idle()
        if self.ledger.waiting and self.rebuilds.get(place.number, 0) <= _REBUILDS:
            self.start(place)

    def _end_overdue(self) -> None:
        for child in self.children:
            if child.task and self.time_limit is not None and time.monotonic() - child.began > self.time_limit:
                child.kill_overdue(self.time_limit)

    def _give(self, child: _Child) -> None:
        if self.ledger.waiting:
            child.task, child.began = self.ledger.take(), time.monotonic()
            child.send({"content": dict(child.task.content)})

    def _drop(self, child: _Child) -> None:
        child.close()
        child.end(STOP_SECONDS)
        self.children.remove(child)

    def _give_idle(self) -> None:
        """Others may have had nothing to do any more when a task came back."""
        for idle in self.children:
            if idle.is_built and idle.task is None:
                self._give(idle)


class _Child:
    """A worker process, seen from here."""

    def __init__(
        self, place: Place, work: WorkerSpec, events: queue.SimpleQueue[tuple[_Child, dict[str, Any] | None]]
    ) -> None:
        self.place, self.task, self.is_built = place, None, False
        self.task: Task | None
        self.began = 0.0
        self._overdue: str | None = None
        self._words: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115, read when the process has ended
        detached: dict[str, Any] = {"start_new_session": True}  # Ctrl-C is for this program, which ends them in order
        if sys.platform == "win32":
            detached = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "motionloom.scale.executors.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env={**os.environ, **_import_path(), "PYTHONUTF8": "1", **place.environment()},
            **detached,
        )
        self.pid = self._process.pid
        threading.Thread(target=self._read, args=(events,), daemon=True, name=f"motionloom-{place.number}").start()
        order = {"factory": work.factory, "arguments": dict(work.arguments), "device": place.device, "path": sys.path}
        self.send(order)

    def send(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(OSError):  # it died; its reader says so
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()

    def close(self) -> None:
        """Tell it that there is nothing more to do: it ends, and stops what it does."""
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.close()

    def end(self, seconds: float) -> None:
        """Wait for it to end, and kill it where it does not."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill_overdue(self, limit: float) -> None:
        """Its task hangs, and maybe so does all that could end it in order."""
        self._overdue = overdue(limit)
        self._process.kill()

    def epitaph(self) -> str:
        """How it ended, and what it wrote last."""
        if self._overdue:
            return self._overdue
        code = self._process.returncode
        how = f"a worker ended with exit code {code}"
        if code < 0:
            name = signal.Signals(-code).name
            memory = ", as the system does when memory runs out" if name == "SIGKILL" else ""
            how = f"a worker was ended by {name}{memory}"
        self._words.seek(0, os.SEEK_END)
        self._words.seek(max(0, self._words.tell() - 20_000))
        words = " ".join(_essence(self._words.read().decode("utf-8", "replace")).split())
        return f"{how} ({words[:_LAST_WORDS]})" if words else how

    def _read(self, events: queue.SimpleQueue[tuple[_Child, dict[str, Any] | None]]) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            events.put((self, json.loads(line)))
        events.put((self, None))


def _import_path() -> dict[str, str]:
    """What lets the process find this package, wherever it was imported from here."""
    given = os.environ.get("PYTHONPATH")
    home = str(Path(motionloom.__file__).parents[1])
    return {"PYTHONPATH": os.pathsep.join([home, given] if given else [home])}


def _essence(text: str) -> str:
    """Of a crash's report the line that names it and where it was; otherwise the last lines."""
    lines = [line for line in text.splitlines() if line.strip()]
    fatal = next((number for number, line in enumerate(lines) if line.startswith("Fatal Python error")), None)
    if fatal is None:
        return " ".join(lines[-3:])
    places = [line for line in lines[fatal + 1 :] if line.strip().startswith("File ")]
    return " ".join([lines[fatal], *places[:1]])
