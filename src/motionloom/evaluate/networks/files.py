"""A network from its published file: tensors only, every one of them wanted and none missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import torch
from torch import nn

from motionloom.models.checkpoints.assemble import assemble, check_fit, empty
from motionloom.models.checkpoints.source import open_source

M = TypeVar("M", bound=nn.Module)

_COUNTER = "num_batches_tracked"


def load_network(
    build: Callable[[], M],
    path: str | Path,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    ignore: Iterable[str] = (),
) -> M:
    """A network that is only looked through: in evaluation mode, without gradients.

    It is built without memory and filled from the mapped file, so that a network is never held twice. Batch
    normalisation's counters of training steps may be in the file or not.

    Args:
        build: makes the network, with the names of the published file.
        path: safetensors or torch file; a ``state_dict``, ``model`` or ``module`` entry around the tensors is found.
        ignore: tensors of the file that the network has no use for, such as a classifier behind its features.

    Raises:
        CheckpointError: the file is missing, damaged, would run code, or its tensors are not those of the network; the
            message lists them.
    """
    source = open_source(path)
    network = empty(build)
    passed_over = set(ignore)
    found = {key: shape for key, shape in source.shapes.items() if key not in passed_over}
    own = {key: tuple(tensor.shape) for key, tensor in network.state_dict().items()}
    counters = [key for key in own if key.endswith(_COUNTER)]
    check_fit(own, found, origin=str(path), optional=counters)
    wanted = ((key, tensor) for key, tensor in source if key in own)
    assemble(network, wanted, dtype=dtype, device=device, optional=counters)
    return network.to(device).eval().requires_grad_(False)
