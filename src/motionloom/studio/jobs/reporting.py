"""Telling the queue how a run goes, and the run what the queue wants."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from motionloom.errors import Cancelled, MotionloomError
from motionloom.studio.jobs.rows import Claim, LeaseLost
from motionloom.studio.jobs.store import JobStore
from motionloom.studio.schemas import Phase

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BEAT = 1.0
"""Seconds between two heartbeats, and the longest until a wish to cancel is known here."""

_BETWEEN = 0.2  # seconds between two notes of progress


class Reporter:
    """Reports of one run.

    Its methods are what models call while they work, and end the run by raising `Cancelled` (somebody wants that) or
    `LeaseLost` (the job is somebody else's by now).
    """

    def __init__(self, store: JobStore, claim: Claim) -> None:
        self._store, self._snapshots, self._claim = store, store.snapshots, claim
        self._phase: Phase = "loading"
        self._step, self._total, self._preview = 0, 0, claim.job.preview
        self._times: list[float] = []
        self._told, self._untold = 0.0, False
        self._cancel = threading.Event()
        self._lost = threading.Event()
        self._notes: list[str] = []
        self._writing = threading.Lock()

    @contextlib.contextmanager
    def beating(self) -> Iterator[None]:
        """Keep the job while inside, however long a step takes."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(BEAT):
                try:
                    if self._write() if self._untold else self._store.heartbeat(self._claim):
                        self._cancel.set()
                except LeaseLost:
                    if not over.is_set():
                        self._lost.set()
                    break
                except Exception:  # noqa: S112 - a full disk or a busy database: the lease lasts for many beats
                    continue
            self._store.close()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(timeout=5.0)

    def enter(self, phase: Phase) -> None:
        """A phase begins."""
        self._phase, self._step, self._total, self._times = phase, self._step, self._total, []
        self._tell(at_once=True)

    def note(self, notes: Sequence[str]) -> None:
        """Keep lines for people with the job."""
        self._notes = list(dict.fromkeys([*self._notes, *notes]))
        self._tell(at_once=True)

    def loaded(self, done: int, total: int) -> None:
        """``on_progress`` of loading; told in MiB."""
        self._step, self._total = done >> 20, max(1, total >> 20)
        self._tell()

    def sampled(self, step: int, total: int) -> None:
        """``on_progress`` of a model."""
        self._step, self._total = step, total
        self._times.append(time.monotonic())
        if step >= total:
            self._phase = "saving"  # what follows is decoding
        self._tell(at_once=step in (0, total))

    def previewed(self, frame: NDArray[np.uint8]) -> None:
        """``on_preview`` of a model."""
        self.check()
        import cv2

        written, webp = cv2.imencode(".webp", frame[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, 80])
        if written:
            with contextlib.suppress(OSError):  # a full disk; a look at the run is not worth failing for
                self._snapshots.write_preview(self._claim.job.id, webp.tobytes())
                self._preview += 1
                self._tell(at_once=True)

    def check(self) -> None:
        """Raise if the run should end."""
        if self._lost.is_set():
            raise LeaseLost("the job was given to another worker")
        if self._cancel.is_set():
            raise Cancelled("cancelled")

    @property
    def seconds_left(self) -> float | None:
        """By the last five steps; None until the second one has ended, since the first one also warms up."""
        if self._phase != "sampling" or len(self._times) < 3:
            return None
        times = list(self._times)  # a beat may ask while a step ends
        recent = times[-6:] if len(times) > 6 else times[1:]
        return (recent[-1] - recent[0]) / (len(recent) - 1) * (self._total - self._step)

    def _tell(self, *, at_once: bool = False) -> None:
        self.check()
        moment = time.monotonic()
        self._untold = True
        if not at_once and moment - self._told < _BETWEEN:
            return  # the next beat tells it
        self._told = moment
        try:
            wanted = self._write()
        except LeaseLost:
            raise
        except (MotionloomError, sqlite3.Error):  # a full disk, a busy database: the run may still end well
            return
        if wanted:
            self._cancel.set()
            self.check()

    def _write(self) -> bool:
        with self._writing:  # a beat that read an earlier step must not be the last to write
            self._untold = False
            return self._store.progress(
                self._claim,
                self._phase,
                step=self._step,
                total=self._total,
                seconds_left=self.seconds_left,
                preview=self._preview,
                notes=self._notes,
            )
