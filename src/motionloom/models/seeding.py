"""New weights that follow from a seed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of the CPU within follow from the seed, and those after go on as if nothing had been drawn.

    GPUs are left alone: to keep the state of each would wake them all, in every process.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
