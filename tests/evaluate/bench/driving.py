"""A program that the tests kill: the benchmark run on two processes or actors.

python driving.py BENCH OUT [EXECUTOR]
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
        executor=executor(sys.argv[3] if sys.argv[3:] else "process", workers=2, device="cpu"),
        on_note=print,
        report=False,
    )
    print(len(runs[0].rows), {row.status for row in runs[0].rows})
