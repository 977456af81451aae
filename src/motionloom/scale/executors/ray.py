"""Workers as actors of a Ray cluster, one GPU each.

Results are files, so on more than one machine all of them need the folder under the same path, and motionloom
installed. Ray is an optional extra: ``pip install 'motionloom[ray]'``.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from motionloom.errors import InputError, MissingDependencyError, MotionloomError
from motionloom.scale.executors.devices import cores
from motionloom.scale.executors.tasks import Ledger, OnDone, Task, WorkerSpec, do, failure, overdue, raise_unbuildable

_REBUILDS = 2
_WAIT_SECONDS = 60.0
"""How long to wait for the first worker before asking whether the cluster has room for it at all."""


class RayExecutor:
    """Workers as Ray actors.

    Args:
        workers: by default one per GPU of the cluster; without GPUs one per core, less one: what else Ray runs, such as
            its data sets, needs a core that no actor holds, and would wait for ever.
        device: "cpu" leaves the cluster's GPUs alone.
        address: of a running cluster; without one (and without RAY_ADDRESS) one is started here, and ended again.
        time_limit: seconds a task may take; an actor that takes longer is killed, and its task tried again.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        device: str | None = None,
        address: str | None = None,
        time_limit: float | None = None,
    ) -> None:
        _ray()
        if device not in (None, "cpu", "cuda"):
            raise InputError(
                f"device: found {device!r}, with ray expected cuda or cpu; Ray gives every actor its own GPU"
            )
        self.workers, self.device, self.address, self.time_limit = workers, device, address, time_limit

    def run(self, tasks: Sequence[Task], work: WorkerSpec, *, on_done: OnDone | None = None) -> None:
        """See `Executor.run`."""
        ledger = Ledger(tasks)
        if not ledger.waiting:
            return
        ray = _ray()
        started = self._connect(ray)
        run = _Run(ray, ledger, work, on_done or (lambda outcome: None), self.time_limit)
        try:
            for number in range(min(self._count(ray), len(ledger.waiting))):
                run.start(number, self._options(ray))
            run.finish()
        finally:
            run.stop()
            if started:
                ray.shutdown()

    def _connect(self, ray: Any) -> bool:
        """Join a cluster, or start one; whether it was started or joined here."""
        if ray.is_initialized():
            return False
        options: dict[str, Any] = {"include_dashboard": False, "log_to_driver": False, "logging_level": logging.ERROR}
        address = self.address or os.environ.get("RAY_ADDRESS")
        if address:
            options = {"address": address, "log_to_driver": False, "logging_level": logging.ERROR}
        else:
            # One more than there are workers; see the class.
            options["num_cpus"] = max(cores(), (self.workers or 0) + 1)
        os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        try:
            ray.init(**options)
        except (ConnectionError, RuntimeError, ValueError) as error:
            what = f"the cluster at {address}" if address else "a cluster on this machine"
            raise MotionloomError(f"ray: {what} cannot be used ({' '.join(str(error).split())})") from error
        return True

    def _gpus(self, ray: Any) -> int:
        return 0 if self.device == "cpu" else int(ray.cluster_resources().get("GPU", 0))

    def _count(self, ray: Any) -> int:
        free = int(ray.cluster_resources().get("CPU", 1)) - 1
        return self.workers or self._gpus(ray) or max(1, free)

    def _options(self, ray: Any) -> dict[str, Any]:
        gpus = self._gpus(ray)
        if self.device == "cuda" and not gpus:
            raise InputError("device: cuda was asked for, but the Ray cluster has no GPU")
        threads = max(1, int(ray.cluster_resources().get("CPU", 1)) // self._count(ray))
        # Several workers on one GPU take parts of it, as long as they were asked for.
        share = min(1.0, gpus / self._count(ray)) if gpus else 0
        share = 1.0 / -(-1 // share) if 0 < share < 1 else share
        return {
            "num_cpus": 1,
            "num_gpus": share,
            "max_restarts": 0,
            "runtime_env": {"env_vars": {"OMP_NUM_THREADS": str(threads), "OPENCV_FOR_THREADS_NUM": str(threads)}},
        }


class Actor:
    """A worker, inside its Ray process."""

    def build(
        self, factory: str, arguments: Mapping[str, Any], device: str | None, path: Sequence[str]
    ) -> dict[str, Any]:
        """Build it; an error is an answer, so that its class and message arrive whole.

        Args:
            path: where the program imports from; what is not on this machine does no harm.
        """
        sys.path += [entry for entry in path if entry not in sys.path]
        try:
            self.worker = WorkerSpec(factory, arguments).build(device)
        except Exception as error:
            return {"built": False, **failure(error)}
        return {"built": True}

    def do(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """See `tasks.do`."""
        return do(self.worker, content)

    def pid(self) -> int:
        """Of its process."""
        return os.getpid()


class _Slot:
    """A place for an actor, and the actor that is there now."""

    def __init__(self, number: int, options: dict[str, Any]) -> None:
        self.number, self.options = number, options
        self.actor: Any = None
        self.task: Task | None = None
        self.began, self.overdue = 0.0, False
        self.was_built, self.rebuilds = False, 0


class _Run:
    def __init__(
        self, ray: Any, ledger: Ledger, work: WorkerSpec, on_done: OnDone, time_limit: float | None = None
    ) -> None:
        self.ray, self.ledger, self.work, self.on_done, self.time_limit = ray, ledger, work, on_done, time_limit
        self.pending: dict[Any, _Slot] = {}
        self.slots: list[_Slot] = []
        self.last_reason = ""
        self.device: str | None = None

    def start(self, number: int, options: dict[str, Any]) -> None:
        slot = _Slot(number, options)
        self.slots.append(slot)
        self._launch(slot)

    def finish(self) -> None:
        waited = 0.0
        while self.ledger.waiting or any(slot.task for slot in self.slots):
            if not self.pending:
                raise MotionloomError(
                    f"no worker is left for {len(self.ledger.waiting)} tasks: {self.last_reason}; what is finished is "
                    "kept, the same command goes on from there"
                )
            ready, _ = self.ray.wait(list(self.pending), num_returns=1, timeout=1.0)
            self._end_overdue()
            waited = 0.0 if ready else waited + 1.0
            if waited >= _WAIT_SECONDS and not any(slot.was_built for slot in self.slots):
                self._refuse_crowded()
            for reference in ready:
                self._arrived(self.pending.pop(reference), reference)

    def stop(self) -> None:
        for slot in self.slots:
            if slot.actor is not None:
                self.ray.kill(slot.actor)

    def _launch(self, slot: _Slot) -> None:
        slot.actor = self.ray.remote(Actor).options(**slot.options).remote()
        device = "cuda:0" if slot.options["num_gpus"] else "cpu"  # Ray shows an actor only what it was given
        reference = slot.actor.build.remote(self.work.factory, dict(self.work.arguments), device, sys.path)
        self.pending[reference] = slot

    def _arrived(self, slot: _Slot, reference: Any) -> None:
        try:
            answer = self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            self._lost(slot, error)
            return
        if "built" not in answer:
            assert slot.task is not None
            outcome = self.ledger.outcome(slot.task, answer, slot.number)
            slot.task = None
            self._give(slot)
            self.on_done(outcome)
        elif answer["built"]:
            slot.was_built, slot.rebuilds = True, 0
            self._give(slot)
        elif slot.was_built:
            self.last_reason = answer["error"]
            self._close(slot)
        else:
            raise_unbuildable(answer)

    def _lost(self, slot: _Slot, error: Exception) -> None:
        self.last_reason = reason = f"a worker was lost ({_essence(error)})"
        if slot.overdue and self.time_limit is not None:
            self.last_reason = reason = overdue(self.time_limit)
        slot.overdue = False
        task, slot.task, slot.actor = slot.task, None, None
        outcome = None
        if task is not None:
            outcome = self.ledger.lost(task, reason, slot.number)
        elif not any(each.was_built for each in self.slots):
            raise MotionloomError(f"{reason}, while it was being built; the others were stopped")
        else:
            slot.rebuilds += 1
        if outcome is not None:
            self.on_done(outcome)
        if self.ledger.waiting and slot.rebuilds <= _REBUILDS:
            self._launch(slot)
        else:
            self._close(slot)

    def _end_overdue(self) -> None:
        for slot in self.slots:
            late = self.time_limit is not None and time.monotonic() - slot.began > self.time_limit
            if slot.task and late and not slot.overdue:
                slot.overdue = True
                self.ray.kill(slot.actor)

    def _give(self, slot: _Slot) -> None:
        if self.ledger.waiting:
            slot.task, slot.began = self.ledger.take(), time.monotonic()
            self.pending[slot.actor.do.remote(dict(slot.task.content))] = slot

    def _close(self, slot: _Slot) -> None:
        if slot.actor is not None:
            self.ray.kill(slot.actor)
        self.slots.remove(slot)
        for idle in self.slots:
            if idle.actor is not None and idle.task is None and idle not in self.pending.values():
                self._give(idle)

    def _refuse_crowded(self) -> None:
        wanted = self.slots[0].options
        free = self.ray.available_resources()
        if free.get("CPU", 0) < wanted["num_cpus"] or free.get("GPU", 0) < wanted["num_gpus"]:
            raise MotionloomError(
                f"ray: no worker could start in {_WAIT_SECONDS:g} s: each takes {wanted['num_cpus']} CPU and "
                f"{wanted['num_gpus']:g} GPU, free are {free.get('CPU', 0):g} and {free.get('GPU', 0):g}; end what "
                "else runs on the cluster, or choose another one"
            )


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingDependencyError(
            "executor: ray is not installed; pip install 'motionloom[ray]', or use process"
        ) from error
    return ray


def _essence(error: Exception) -> str:
    """The sentence of Ray's long report that says what happened."""
    lines = [" ".join(line.split()) for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "died" in line or "killed" in line.lower() or "exit" in line]
    return ((telling or lines or [type(error).__name__])[0])[:300]
