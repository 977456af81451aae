"""The processes of one training: alone, or several that ``accelerate launch`` started."""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import timedelta

import torch
import torch.distributed as dist

from motionloom.errors import InputError

_PATIENCE = timedelta(days=7)
"""The others wait while the first process trains a codec, writes checkpoints or makes validation clips."""


class Team:
    """One process's view of a training.

    Every process takes the same steps on clips of its own, from gradients averaged over all; the first one alone reads
    the clock, writes files and talks.

    Args:
        device: where to train; the best there is when not given. Several processes take a GPU each.

    Raises:
        InputError: there is no such device here.

    Attributes:
        rank: of this process, 0 for the first.
        size: how many there are.
        device: this process's.
    """

    def __init__(self, device: str | None = None) -> None:
        self.rank, self.size = 0, 1
        self.device: torch.device = training_device(device)
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import PartialState

            state = PartialState(cpu=self.device.type == "cpu", timeout=_PATIENCE)
            self.rank, self.size = state.process_index, state.num_processes
            self.device = state.device or self.device

    @property
    def leads(self) -> bool:
        """This is the first process."""
        return self.rank == 0

    def average(self, parameters: Iterable[torch.nn.Parameter]) -> None:
        """Replace every gradient by its mean over the processes."""
        if self.size == 1:
            return
        parameters = list(parameters)
        gradients = [p.grad if p.grad is not None else torch.zeros_like(p) for p in parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        dist.all_reduce(flat)
        flat /= self.size
        for parameter, part in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
            parameter.grad = part.view_as(parameter)

    def agree(self, value: float) -> float:
        """The first process's value, everywhere."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return float(shared)

    def wait(self) -> None:
        """Until all processes are here."""
        if self.size > 1:
            self.agree(0.0)


def training_device(wanted: str | None) -> torch.device:
    """The device of that name; the best there is where none is named.

    Raises:
        InputError: there is no such device here.
    """
    if wanted is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(wanted)
    except RuntimeError as error:
        raise InputError(f"device: found {wanted!r}, expected cpu, cuda or cuda:NUMBER") from error
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise InputError(f"device: found {wanted!r}, but PyTorch sees {count} GPUs here; leave it out, or say cpu")
    return device
