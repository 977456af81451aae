"""First-block cache on several processes: all skip the other blocks of a step, or none."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor


@contextmanager
def one_decision(blocks: Iterable[Any], group: Any) -> Iterator[None]:
    """While inside, the caches on these blocks decide by all tokens that the processes of the group hold together.

    Each would compare its own tokens only, and wait for ever where another one decides otherwise. The ratio of the
    means is taken over all tokens instead, as one process takes it.
    """
    found = []
    for block in blocks:
        for hook in getattr(getattr(block, "_diffusers_hook", None), "hooks", {}).values():
            if hasattr(hook, "_should_compute_remaining_blocks"):
                found.append(hook)
                hook._should_compute_remaining_blocks = functools.partial(_should_compute, hook, group)
    try:
        yield
    finally:
        for hook in found:
            del hook._should_compute_remaining_blocks


@torch.compiler.disable
def _should_compute(hook: Any, group: Any, residual: Tensor) -> bool:
    before = hook.state_manager.get_state().head_block_residual
    if before is None:
        return True
    # Sums and not means: parts may differ in length, and one may be empty.
    sums = torch.stack([each.abs().sum(dtype=torch.float32) for each in (residual - before, before)])
    dist.all_reduce(sums, group=group)
    return bool((sums[0] / sums[1]).item() > hook.threshold)
