"""Everything in this process, one task after another."""

from __future__ import annotations

from collections.abc import Sequence

from motionloom.scale.executors.tasks import Ledger, OnDone, Task, WorkerSpec, do


class InlineExecutor:
    """Works in this process; no more is needed on one GPU. A crash of native code ends the program itself."""

    def __init__(self, *, device: str | None = None) -> None:
        self.device = device

    def run(self, tasks: Sequence[Task], work: WorkerSpec, *, on_done: OnDone | None = None) -> None:
        """See `Executor.run`."""
        ledger = Ledger(tasks)
        if not ledger.waiting:
            return
        worker = work.build(self.device)
        while ledger.waiting:
            task = ledger.take()
            outcome = ledger.outcome(task, do(worker, task.content), 0)
            if on_done:
                on_done(outcome)
