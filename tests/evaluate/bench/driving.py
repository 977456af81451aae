"""A program that the tests kill: the benchmark run on two processes.

python driving.py BENCH OUT
"""

from __future__ import annotations

import sys

from motionloom.evaluate.bench import Candidate, run_benchmark
from motionloom.scale.executors import executor

if __name__ == "__main__":
    runs = run_benchmark(
        sys.argv[1],
        [Candidate.parse("nano")],
        sys.argv[2],
        seeds=[0, 1, 2],
        metrics=["psnr"],
        executor=executor("process", workers=2, device="cpu"),
        on_note=print,
        report=False,
    )
    print(len(runs[0].rows), {row.status for row in runs[0].rows})
