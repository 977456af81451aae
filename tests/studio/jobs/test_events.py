"""Changes: numbered, one for each thing, told again to who was away."""

import asyncio
import threading
import time

import anyio
import pytest

from motionloom.studio.jobs import events as events_module
from motionloom.studio.jobs.broadcast import Broadcast
from motionloom.studio.jobs.events import EventLog
from motionloom.studio.jobs.results import ResultStore
from motionloom.studio.jobs.store import JobStore, NewJob, new_id
from motionloom.studio.schemas import Event, GenerationSettings, ProjectSummary


@pytest.fixture
def log(tmp_path):
    return EventLog(tmp_path / "studio.db")


@pytest.fixture
def store(tmp_path, log):
    return JobStore(tmp_path / "studio.db", on_change=log.wake)


def add(store):
    return store.add([NewJob(new_id(), None, "Cat", 0, GenerationSettings(model="warp"), (48, 64))])[0].id


def summary(version=1):
    stamp = "2026-01-01T00:00:00Z"
    return ProjectSummary(
        id="a" * 16,
        name="Cat",
        version=version,
        created=stamp,
        updated=stamp,
        width=64,
        height=48,
        num_instructions=0,
    )


def test_a_thing_that_changes_often_is_one_change(log, store):
    job = add(store)
    claim = store.claim("w")
    for step in range(500):
        store.progress(claim, "sampling", step=step, total=500)
    changes = log.after(0)
    assert [(change.kind, change.subject) for change in changes] == [("workers", ""), ("job", job)]
    assert changes[-1].id == log.last == 503
    assert log.after(log.last) == []


def test_numbers_never_come_again(log, store, tmp_path):
    job = add(store)
    store.cancel(job)
    store.remove(job)
    before = log.last
    again = EventLog(tmp_path / "studio.db")
    assert again.append(Event(id=0, kind="workers")) == before + 1


def test_what_is_gone_is_told_as_gone(log, store):
    job = add(store)
    seen = log.last
    store.cancel(job)
    store.remove(job)
    store.result_changed("b" * 16)
    store.result_changed("b" * 16, removed=True)
    log.append(Event(id=0, kind="project_removed", removed="c" * 16))
    found = {change.kind: change.subject for change in log.after(seen)}
    assert found == {
        "workers": "",
        "job_removed": job,
        "result_removed": "b" * 16,
        "project_removed": "c" * 16,
    }


def test_a_project_is_told_as_it_was_written_and_by_whom(log):
    log.project(summary(3), tab="left")
    (change,) = log.after(0)
    told = Event.model_validate_json(change.body)
    assert (told.kind, told.tab, told.project.version) == ("project", "left", 3)


def test_a_number_from_elsewhere_or_too_old_asks_for_a_new_start(log, monkeypatch):
    monkeypatch.setattr(events_module, "KEPT", 20)
    assert [change.kind for change in log.after(7)] == ["reset"]
    for number in range(300):
        log.append(Event(id=0, kind="project_removed", removed=f"{number:016x}"))
    (reset,) = log.after(1)
    assert (reset.kind, reset.id) == ("reset", log.last)
    recent = log.after(log.last - 10)
    assert [change.kind for change in recent] == ["project_removed"] * 10
    assert log.after(200)[0].kind == "reset"
    assert len(log.after(285)) == 15
    with log._database.reading() as connection:
        assert connection.execute("SELECT count(*) FROM changes").fetchone()[0] <= 20 + 100


def test_who_waits_is_woken(log):
    def later():
        time.sleep(0.05)
        log.wake()

    threading.Thread(target=later).start()
    started = time.perf_counter()
    assert log.wait(0, 5.0) == 1
    assert time.perf_counter() - started < 2


# ------------------------------------------------------------------------------------------------------- broadcasting
@pytest.fixture
def broadcast(tmp_path, log, store):
    return Broadcast(log, store, ResultStore(tmp_path), lambda: [])


async def take(stream, count):
    return [await asyncio.wait_for(anext(stream), 5) for _ in range(count)]


def test_the_first_event_tells_of_the_workers_and_then_only_what_is_new(broadcast, store):
    add(store)

    async def listen():
        stream = broadcast.listen(None)
        (first,) = await take(stream, 1)
        new = await asyncio.to_thread(add, store)
        (second,) = await take(stream, 1)
        await stream.aclose()
        return first, second, new

    first, second, new = asyncio.run(listen())
    assert (first.kind, first.workers, first.id) == ("workers", [], 1)
    assert (second.kind, second.job.id, second.job.state, second.id) == ("job", new, "queued", 2)


def test_who_comes_back_hears_what_it_missed_as_it_is_now(broadcast, store):
    seen = add(store)
    missed = add(store)
    store.cancel(seen)

    async def listen(after, count):
        stream = broadcast.listen(after)
        found = await take(stream, count)
        await stream.aclose()
        return found

    first, *others = asyncio.run(listen(1, 4))
    assert (first.kind, first.id) == ("workers", 1)  # not the newest number, or the next visit would miss the rest
    assert [(event.kind, event.job and (event.job.id, event.job.state)) for event in others] == [
        ("job", (missed, "queued")),
        ("job", (seen, "cancelled")),
        ("workers", None),
    ]
    _, reset = asyncio.run(listen(1_000, 2))
    assert (reset.kind, reset.id) == ("reset", 4)


def test_what_was_missed_is_told_in_pages_and_nothing_twice(broadcast, store, log, monkeypatch):
    jobs = [add(store) for _ in range(10)]
    after, look = log.after, broadcast._look
    monkeypatch.setattr(log, "after", lambda number: after(number, 3))
    monkeypatch.setattr(broadcast, "_look", lambda told: look(0))  # it tells all of it, too

    async def listen():
        stream = broadcast.listen(2)
        heard = await take(stream, 9)
        new = await asyncio.to_thread(add, store)
        heard += await take(stream, 1)
        await stream.aclose()
        return new, heard

    new, heard = asyncio.run(listen())
    assert [event.job and event.job.id for event in heard] == [None, *jobs[2:], new]


def test_many_listeners_hear_the_same(broadcast, store):
    async def listen():
        streams = [broadcast.listen(None) for _ in range(50)]
        for stream in streams:
            await take(stream, 1)
        new = await asyncio.to_thread(add, store)
        heard = [(await take(stream, 1))[0] for stream in streams]
        for stream in streams:
            await stream.aclose()
        return new, heard

    new, heard = asyncio.run(listen())
    assert {event.job.id for event in heard} == {new}


def test_who_cannot_follow_is_let_go(broadcast, store, monkeypatch):
    from motionloom.studio.jobs import broadcast as module

    monkeypatch.setattr(module, "WAITING", 5)

    async def listen():
        stream = broadcast.listen(None)
        await take(stream, 1)
        for _ in range(20):
            await asyncio.to_thread(add, store)
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.5)
        return [event.kind async for event in stream]

    assert asyncio.run(listen()) == ["job"] * 5


def test_the_stream_ends_with_the_server(broadcast):
    async def listen():
        stopping = anyio.Event()
        stream = broadcast.listen(None, stopping)
        await take(stream, 1)
        stopping.set()
        return [event async for event in stream]

    assert asyncio.run(asyncio.wait_for(listen(), 5)) == []


def test_nobody_looks_while_nobody_listens(broadcast):
    async def listen():
        stream = broadcast.listen(None)
        await take(stream, 1)
        await stream.aclose()

    asyncio.run(listen())
    until = time.monotonic() + 5
    while any(thread.name == "studio-events" for thread in threading.enumerate()):
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_page_that_reloads_leaves_one_thread_looking(broadcast):
    """The new stream is there before the thread notices that the old one ended."""

    async def listen():
        for _ in range(20):
            stream = broadcast.listen(None)
            await take(stream, 1)
            await stream.aclose()
        stream = broadcast.listen(None)
        await take(stream, 1)
        return [thread.name for thread in threading.enumerate()].count("studio-events")

    assert asyncio.run(listen()) == 1


def test_what_changes_before_the_thread_looks_first_is_told(broadcast, store, monkeypatch):
    look = broadcast._look

    def late(told):
        time.sleep(0.3)
        look(told)

    monkeypatch.setattr(broadcast, "_look", late)

    async def listen():
        stream = broadcast.listen(None)
        await take(stream, 1)
        new = await asyncio.to_thread(add, store)
        (heard,) = await take(stream, 1)
        await stream.aclose()
        return new, heard

    new, heard = asyncio.run(listen())
    assert heard.job.id == new


def test_a_change_that_cannot_be_read_at_first_is_told_later(broadcast, store, monkeypatch):
    failures = iter([OSError("busy")])
    find = store.find

    def busy(jobs):
        for error in failures:
            raise error
        return find(jobs)

    async def listen():
        stream = broadcast.listen(None)
        await take(stream, 1)
        monkeypatch.setattr(store, "find", busy)
        new = await asyncio.to_thread(add, store)
        (heard,) = await take(stream, 1)
        await stream.aclose()
        return new, heard

    new, heard = asyncio.run(listen())
    assert heard.job.id == new
