"""Running models over a benchmark: who is compared, a row for each case and seed, and a report from the rows."""

from __future__ import annotations

from motionloom.evaluate.bench.candidate import Candidate
from motionloom.evaluate.bench.running import run_benchmark

__all__ = ["Candidate", "run_benchmark"]
