"""Which worker computes where, and with how many threads."""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a worker computes.

    Attributes:
        number: of the worker.
        device: None leaves the choice to what it runs.
        threads: of the processor, its share.
    """

    number: int
    device: str | None
    threads: int

    def environment(self) -> dict[str, str]:
        """Variables that have to be set before torch and OpenCV are imported; those the user set are kept."""
        wanted = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
        return {name: os.environ.get(name, str(self.threads)) for name in wanted}


def cores() -> int:
    """Processor cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def places(workers: int | None, device: str | None, *, gpus: int | None = None) -> list[Place]:
    """Places for so many workers: GPUs in turn, else the processor's cores divided among them.

    Args:
        workers: by default one per GPU, without one half as many as there are cores, at most four.
        device: "cuda" or None: the GPUs in turn; one with a number, or "cpu": all of them there.
        gpus: how many there are; counted when not given.
    """
    count = 0
    if device in (None, "cuda"):
        count = _count_gpus() if gpus is None else gpus
    total = workers or count or max(1, min(4, cores() // 2))
    threads = max(1, cores() // total)
    devices = [f"cuda:{number % count}" if count else device for number in range(total)]
    return [Place(number, where, threads) for number, where in enumerate(devices)]


def best_device(wanted: str | None) -> str:
    """What is wanted, or the best there is."""
    return wanted or ("cuda" if _count_gpus() else "cpu")


def use(device: str | None) -> None:
    """Make a GPU the one of this process, so that nothing is put on the first one by accident."""
    if device is not None and device.startswith("cuda:"):
        import torch

        if torch.cuda.is_available():
            torch.cuda.set_device(device)


def _count_gpus() -> int:
    import torch

    return torch.cuda.device_count()
