"""What every executor shares: tasks, the worker that does them, what becomes of each, and how often one is tried."""

from __future__ import annotations

import importlib
import json
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NoReturn, Protocol, TypeVar

from motionloom import errors
from motionloom.errors import InputError, MotionloomError

Item = TypeVar("Item")

RETRIES = 2
"""How often a task is given to another worker after one died on it."""


@dataclass(frozen=True)
class Task:
    """One piece of work.

    Attributes:
        name: unique among the tasks of a run.
        content: what the worker gets, JSON values.
    """

    name: str
    content: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What became of a task.

    Attributes:
        status: "failed" where the worker raised, or died on it too often.
        error: what went wrong, in one line. kind: the class of the error; None where the worker died.
        where: file and line of an error that nobody foresaw.
        attempts: how often it was begun; worker: number of the worker that ended it; seconds: of the last attempt.
        note: what the worker returned, JSON values.
    """

    task: Task
    status: Literal["done", "failed"]
    error: str | None = None
    kind: str | None = None
    where: str | None = None
    attempts: int = 1
    worker: int = 0
    seconds: float = 0.0
    note: Any = None


class Worker(Protocol):
    """Does tasks; built once in each process."""

    def run(self, content: Mapping[str, Any]) -> Any:
        """Do one task and leave the result in files, each whole or not there at all.

        Returns:
            A note on what was done, JSON values, small: results are in the files.
        """
        ...


@dataclass(frozen=True)
class WorkerSpec:
    """How to build a worker in any process.

    Attributes:
        factory: "package.module:name", called with ``device=`` and the arguments.
        arguments: JSON values.

    Raises:
        InputError: a factory of another form, or arguments that are not JSON.
    """

    factory: str
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        module, colon, name = self.factory.partition(":")
        if not (module and colon and name):
            raise InputError(f"factory: found {self.factory!r}, expected package.module:name")
        try:
            json.dumps(dict(self.arguments), allow_nan=False)
        except (TypeError, ValueError) as error:
            raise InputError(f"arguments of {self.factory}: expected JSON values ({error})") from None

    def build(self, device: str | None) -> Worker:
        """The worker, in this process."""
        module, _, name = self.factory.partition(":")
        return getattr(importlib.import_module(module), name)(device=device, **self.arguments)


OnDone = Callable[[Outcome], Any]


class Executor(Protocol):
    """Runs tasks somewhere."""

    def run(self, tasks: Sequence[Task], work: WorkerSpec, *, on_done: OnDone | None = None) -> None:
        """Do all tasks and return when each is done or has failed.

        Args:
            on_done: called in this process with every outcome, in the order they come; what it raises ends the run.

        Raises:
            MotionloomError: a worker could not be built; the class and the message are those the factory raised.
            KeyboardInterrupt: Ctrl-C. The workers are ended; what they had not finished is not there.
        """
        ...


def shard(items: Sequence[Item], text: str | None) -> list[Item]:
    """Part ``i`` of ``n`` of a list, "i/n" with i from 1: every n-th item, so that the parts take about as long.

    Raises:
        InputError: not such a text.
    """
    if text is None:
        return list(items)
    first, slash, second = text.partition("/")
    if not (slash and first.strip().isdecimal() and second.strip().isdecimal()):
        raise InputError(f"shard: found {text!r}, expected i/n such as 1/4")
    part, parts = int(first), int(second)
    if not 1 <= part <= parts:
        raise InputError(f"shard: found {text!r}, expected 1/{parts} to {parts}/{parts}" if parts else "shard: n is 0")
    return list(items[part - 1 :: parts])


class Ledger:
    """Tasks that wait, and how often each was tried."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self.waiting = deque(tasks)
        self._attempts: dict[str, int] = {}
        names = [task.name for task in self.waiting]
        twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
        if twice is not None:
            raise InputError(f"tasks: two are called {twice!r}, expected names of their own")

    def take(self) -> Task:
        """The next task; it counts as begun."""
        task = self.waiting.popleft()
        self._attempts[task.name] = self.attempts(task) + 1
        return task

    def attempts(self, task: Task) -> int:
        return self._attempts.get(task.name, 0)

    def lost(self, task: Task, reason: str, worker: int) -> Outcome | None:
        """A worker died on a task: it waits again, or has failed too often."""
        if self.attempts(task) <= RETRIES:
            self.waiting.appendleft(task)
            return None
        error = f"{reason}; {self.attempts(task)} workers in a row ended at this task, so it is left out"
        return Outcome(task, "failed", error, attempts=self.attempts(task), worker=worker)

    def outcome(self, task: Task, answer: Mapping[str, Any], worker: int) -> Outcome:
        """What a worker's answer (see `do`) says of a task."""
        return Outcome(task, **answer, attempts=self.attempts(task), worker=worker)


def do(worker: Worker, content: Mapping[str, Any]) -> dict[str, Any]:
    """Let a worker do a task; what it raises is part of the answer, except for being stopped."""
    started = time.perf_counter()
    try:
        note = worker.run(content)
        json.dumps(note, allow_nan=False)
        answer: dict[str, Any] = {"status": "done", "note": note}
    except errors.Cancelled:
        raise
    except Exception as error:
        answer = {"status": "failed", **failure(error)}
    return {**answer, "seconds": round(time.perf_counter() - started, 3)}


def overdue(limit: float) -> str:
    """Why a worker was lost whose task took too long."""
    return f"a worker was ended because its task took longer than {limit:g} s"


def failure(error: BaseException) -> dict[str, Any]:
    """An error as JSON values: "error", "kind" and, for one that nobody foresaw, "where"."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    if isinstance(error, MotionloomError):
        return {"error": text, "kind": kind, "where": None}
    frames = traceback.extract_tb(error.__traceback__)
    where = None
    if frames:
        # The last line of our own says more than the library's below it.
        here = Path(__file__).parent
        own = [
            frame
            for frame in frames
            if "motionloom" in Path(frame.filename).parts and Path(frame.filename).parent != here
        ] or frames
        where = f"{Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name}"
    return {"error": f"{kind}: {text}".rstrip(": "), "kind": kind, "where": where}


def raise_unbuildable(answer: Mapping[str, Any]) -> NoReturn:
    """Raise here what a factory raised elsewhere, as the class it had if that is one of ours."""
    known = getattr(errors, str(answer.get("kind")), None)
    if isinstance(known, type) and issubclass(known, MotionloomError):
        raise known(answer["error"])
    where = f" ({answer['where']})" if answer.get("where") else ""
    raise MotionloomError(f"a worker could not be built: {answer['error']}{where}")
