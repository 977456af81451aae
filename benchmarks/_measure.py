"""Time and memory of a call, for the benchmarks that put one way of computing beside another."""

from __future__ import annotations

import ctypes
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


def measure(run: Callable[[], Result], repeats: int) -> tuple[float, float | None, Result]:
    """Best time in seconds, peak of additional memory in bytes (None where the system does not tell), result."""
    result = run()
    peak = _peak_memory(run)
    best = float("inf")
    for _ in range(repeats):
        begin = time.perf_counter()
        result = run()
        best = min(best, time.perf_counter() - begin)
    return best, peak, result


def _peak_memory(run: Callable[[], object]) -> float | None:
    """Bytes the process grew by at most while running; the result it returns is part of it."""
    if sys.platform != "linux":
        return None
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
    except OSError:
        return None
    before = _status("VmRSS")
    run()
    return max(0.0, _status("VmHWM") - before)


def _status(name: str) -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name):
            return float(line.split()[1]) * 1024
    return 0.0
