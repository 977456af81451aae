"""Changes, from whatever process, to all who listen to this server: looked for once, however many they are."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager

import anyio

from motionloom.studio.jobs.events import Change, EventLog
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.store import JobStore
from motionloom.studio.problems import Refused
from motionloom.studio.schemas import Event, Worker

log = logging.getLogger("motionloom.studio")

LOOK = 0.2
"""Seconds between two looks for what other processes changed; what this one changes is told at once."""

WAITING = 2_000
"""Events that may wait for a slow listener before it is let go; it comes back with the number of its last one."""


class Broadcast:
    """Tells listeners of changes, with the state that things are in when it is told.

    Args:
        workers: the state of the workers.
    """

    def __init__(
        self, events: EventLog, jobs: JobStore, results: ResultStore, workers: Callable[[], list[Worker]]
    ) -> None:
        self._events, self._jobs, self._results, self._workers = events, jobs, results, workers
        self._listeners: set[_Listener] = set()
        self._is_looking = False
        self._lock = threading.Lock()

    async def listen(self, after: int | None, stopping: anyio.Event | None = None) -> AsyncIterator[Event]:
        """Events: first the workers, then what changed after number ``after`` (None: nothing), then what changes from
        now on. They end when ``stopping`` is set, and for a listener that is too slow to follow."""
        # The thread that looks starts behind this number, which is asked for before there is one who listens: what
        # changes between the two is told twice rather than never.
        before = await asyncio.to_thread(lambda: self._events.last)
        with self._listening(stopping, before) as listener:
            first = await asyncio.to_thread(lambda: self._events.last)
            told = first if after is None else after
            yield Event(id=told, kind="workers", workers=await asyncio.to_thread(self._workers))
            while told < first or told > first:
                changes = await asyncio.to_thread(self._events.after, told)
                if not changes:
                    break
                for event in await asyncio.to_thread(self._events_of, changes):
                    yield event
                told = changes[-1].id
                first = max(first, told) if changes[0].kind != "reset" else told
            while True:
                event = await listener.next()
                if event is None:
                    return
                if event.id > told:
                    told = event.id
                    yield event

    @contextmanager
    def _listening(self, stopping: anyio.Event | None, before: int) -> Iterator[_Listener]:
        listener = _Listener(asyncio.get_running_loop())
        ending = None if stopping is None else asyncio.create_task(listener.end_with(stopping))
        with self._lock:
            self._listeners.add(listener)
            if not self._is_looking:
                threading.Thread(target=self._look, args=(before,), name="studio-events", daemon=True).start()
                self._is_looking = True
        try:
            yield listener
        finally:
            if ending is not None:
                ending.cancel()
            with self._lock:
                self._listeners.discard(listener)

    def _look(self, told: int) -> None:
        """Hand on what changed after number ``told`` until nobody listens; the state of things is read once for all."""
        seen = 0
        with self._events.closing():
            while True:
                with self._lock:
                    listeners = list(self._listeners)
                    if not listeners:
                        self._is_looking = False
                        return
                try:
                    changes = self._events.after(told)
                    for event in self._events_of(changes):
                        for listener in listeners:
                            listener.hear(event)
                    told = changes[-1].id if changes else told
                except Exception:  # a full disk or a busy database: looked at again in a moment
                    log.exception("events")
                    time.sleep(1.0)
                seen = self._events.wait(seen, LOOK)

    def _events_of(self, changes: list[Change]) -> list[Event]:
        jobs = self._jobs.find(change.subject for change in changes if change.kind == "job")
        told = (self._event(change, jobs.get(change.subject)) for change in changes)
        return [event for event in told if event is not None]

    def _event(self, change: Change, job: object) -> Event | None:
        if change.body is not None:
            return Event.model_validate_json(change.body).model_copy(update={"id": change.id})
        if change.kind.endswith("_removed"):
            return Event(id=change.id, kind=change.kind, removed=change.subject)
        if change.kind == "job":  # gone meanwhile: that is a change of its own
            return None if job is None else Event.model_validate({"id": change.id, "kind": "job", "job": job})
        if change.kind == "result":
            try:
                return Event(id=change.id, kind="result", result=self._results.get(change.subject))
            except Refused:
                return None
        if change.kind == "workers":
            return Event(id=change.id, kind="workers", workers=self._workers())
        return Event(id=change.id, kind=change.kind)


class _Listener:
    """Events on their way from the thread that looks for them to one who listens."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._lost = False

    def hear(self, event: Event) -> None:
        try:
            self._loop.call_soon_threadsafe(self._put, event)
        except RuntimeError:  # its loop is closed
            self._lost = True

    async def next(self) -> Event | None:
        return await self._queue.get()

    async def end_with(self, stopping: anyio.Event) -> None:
        await stopping.wait()
        self._end()

    def _put(self, event: Event) -> None:
        if self._queue.qsize() >= WAITING:
            self._end()
        elif not self._lost:
            self._queue.put_nowait(event)

    def _end(self) -> None:
        if not self._lost:
            self._lost = True
            self._queue.put_nowait(None)
