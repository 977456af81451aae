"""A program for `motionloom.scale.launch` that does what its argument says, without any model.

python programs.py WHAT
"""

from __future__ import annotations

import os
import signal
import sys
import time

import torch
import torch.distributed as dist

from motionloom.errors import Cancelled, CheckpointError
from motionloom.scale import launch


def work(seconds: float) -> None:
    """Like a denoising loop: every turn needs all processes."""
    for _ in range(int(seconds * 20)):
        dist.all_reduce(torch.zeros(1))
        time.sleep(0.05)


def main(what: str) -> None:
    torch.set_num_threads(1)
    with launch.worker():
        print(f"hello from {launch.rank()} of {launch.world()} on {launch.device()}", flush=True)
        if what == "agree":
            print(launch.agreed({"seed": launch.rank(), "names": ["ä"]}), os.environ["OMP_NUM_THREADS"], flush=True)
            return
        dist.barrier()
        last = launch.rank() == launch.world() - 1
        if what == "raise" and last:
            raise CheckpointError("the file of the last one is broken")
        if what == "all raise":
            raise ZeroDivisionError("everywhere")
        if what == "die" and last:
            os.kill(os.getpid(), signal.SIGKILL)
        if what == "cancel" and last:
            raise Cancelled
        work(60)


if __name__ == "__main__":
    main(sys.argv[1])
