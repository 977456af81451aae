"""The program of a worker process: orders in on standard input, answers out on standard output, a JSON line each.

Orders are first how to build the worker, then tasks. Standard input ends when there is nothing more to do, or when the
program that started this one is gone, in whatever way: then the task in flight is stopped.
"""

from __future__ import annotations

import _thread
import faulthandler
import json
import os
import queue
import signal
import sys
import threading
import time
from typing import Any, TextIO

from motionloom.errors import Cancelled

GRACE_SECONDS = 20.0
"""How long a task may take to stop; native code that does not return is ended."""


class _Orders:
    """Lines of standard input; at their end, what runs is interrupted."""

    def __init__(self) -> None:
        self.lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self.busy = True  # building the worker
        threading.Thread(target=self._read, daemon=True, name="motionloom-orders").start()

    def next(self) -> dict[str, Any] | None:
        line = self.lines.get()
        return None if line is None else json.loads(line)

    def _read(self) -> None:
        # Not sys.stdin: the lock of its buffer, held here, would keep the interpreter from ending.
        with open(os.dup(0), encoding="utf-8", closefd=True) as lines:
            for line in lines:
                self.lines.put(line)
        self.lines.put(None)
        if self.busy:
            _thread.interrupt_main()
            time.sleep(GRACE_SECONDS)
            os._exit(1)


def main() -> None:
    answers = _own_output()
    faulthandler.enable()  # a crash of native code says where, on standard error
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        orders = _Orders()
        order = orders.next()
        if order is None:
            return
        sys.path[:] = order["path"]
        worker = _built(order, answers)
        if worker is None:
            return
        from motionloom.scale.executors.tasks import do

        while True:
            orders.busy = False
            order = orders.next()
            if order is None:
                return
            orders.busy = True
            _answer(answers, do(worker, order["content"]))
    except (KeyboardInterrupt, Cancelled, BrokenPipeError):
        # Stopped, or nobody is there to be answered. No clean-up of libraries that may still hold a device busy.
        os._exit(130)


def _built(order: dict[str, Any], answers: TextIO) -> Any:
    from motionloom.scale.executors.devices import use
    from motionloom.scale.executors.tasks import WorkerSpec, failure

    try:
        use(order["device"])
        worker = WorkerSpec(order["factory"], order["arguments"]).build(order["device"])
    except Exception as error:
        _answer(answers, {"built": False, **failure(error)})
        return None
    _answer(answers, {"built": True})
    return worker


def _own_output() -> TextIO:
    """Standard output for answers alone: what libraries print goes to standard error."""
    own = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(own, "w", encoding="utf-8")


def _answer(answers: TextIO, value: dict[str, Any]) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


def _interrupt(number: int, frame: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
