"""Many tasks on one process, several, or a Ray cluster: the same worker, the same files, the same outcome.

A worker is built once per process (a model is loaded once), then does tasks one after another and leaves what it makes
in files. Killing a worker loses the task it was doing, which another worker tries again; killing the program that
started them ends all of them, and running it again skips what has files already.
"""

from __future__ import annotations

import math
from typing import Literal, get_args

from motionloom.errors import InputError
from motionloom.scale.executors.inline import InlineExecutor
from motionloom.scale.executors.tasks import Executor, OnDone, Outcome, Task, Worker, WorkerSpec, shard

Kind = Literal["inline", "process", "ray"]

__all__ = [
    "Executor",
    "InlineExecutor",
    "Kind",
    "OnDone",
    "Outcome",
    "Task",
    "Worker",
    "WorkerSpec",
    "executor",
    "shard",
]


def executor(
    kind: Kind = "inline",
    *,
    workers: int | None = None,
    device: str | None = None,
    address: str | None = None,
    time_limit: float | None = None,
) -> Executor:
    """An executor by name.

    Args:
        kind: "inline" works in this process; "process" in processes of their own, one per GPU where there are any;
            "ray" in actors of a Ray cluster, one GPU each.
        workers: how many; by default one per GPU, or without one about half as many as there are cores.
        device: "cpu", "cuda", "cuda:1", ...; the best there is when not given. "cuda" with several workers: they take
            the GPUs in turn.
        address: of a Ray cluster that is running, such as "auto" or "ray://host:10001"; without it one is started on
            this machine for as long as the tasks take.
        time_limit: seconds a task may take before its worker is killed, as one that hangs would otherwise hold up the
            run for ever; it counts as lost then, and the task is tried again. Building the worker is not limited.

    Raises:
        InputError: no such executor, or arguments that do not go together.
        MissingDependencyError: "ray" without the package.
    """
    if kind not in get_args(Kind):
        raise InputError(f"executor: found {kind!r}, expected one of {', '.join(get_args(Kind))}")
    if workers is not None and workers < 1:
        raise InputError(f"workers: found {workers}, expected at least 1")
    if address is not None and kind != "ray":
        raise InputError(f"address: is that of a Ray cluster, found executor {kind!r}; use ray, or leave it out")
    if time_limit is not None and not (math.isfinite(time_limit) and time_limit > 0):
        raise InputError(f"time_limit: found {time_limit:g}, expected seconds above zero")
    if kind == "inline":
        if time_limit is not None:
            raise InputError("time_limit: inline cannot end a task, since it is one process; use process or ray")
        if workers not in (None, 1):
            raise InputError(f"workers: found {workers} for inline, which is one process; use process or ray")
        return InlineExecutor(device=device)
    if kind == "process":
        from motionloom.scale.executors.process import ProcessExecutor

        return ProcessExecutor(workers, device=device, time_limit=time_limit)
    from motionloom.scale.executors.ray import RayExecutor

    return RayExecutor(workers, device=device, address=address, time_limit=time_limit)
