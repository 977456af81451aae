"""One video on several processes: Ulysses context parallelism, and classifier-free guidance as outer factor of two.

Every process runs the same pipeline call. Inside the transformer they divide the work: each makes a part of the tokens
(Ulysses), or one of the two branches of guidance, or a part of one branch. How a family of models is divided is said in
`motionloom.scale.wan` and `motionloom.scale.cogvideox`.

The pipelines are not changed and need not know. Everything is undone on leaving.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from motionloom.errors import InputError
from motionloom.methods.replaced import replaced
from motionloom.scale import cogvideox, wan
from motionloom.scale.degrees import Degrees, choose_degrees, degrees_for, experts_of, is_cogvideox, tokens_of

__all__ = ["Degrees", "choose_degrees", "degrees_for", "enable", "shared", "tokens_of"]


@contextmanager
def shared(pipeline: Any, *, size: tuple[int, int], num_frames: int, guidance_scale: float) -> Iterator[Degrees | None]:
    """While inside, calls of the pipeline are shared by all processes of the group, however many there are.

    Alone (no process group, or a group of one) it does nothing and gives None, so a model can always run inside.

    Args:
        pipeline: a stock pipeline of the Wan or CogVideoX family, or a subclass.
        size: (height, width) of the video; num_frames, guidance_scale: of the calls that follow.

    Raises:
        InputError: see `degrees_for`.
    """
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        yield None
        return
    degrees = degrees_for(
        pipeline, size=size, num_frames=num_frames, guidance_scale=guidance_scale, world=dist.get_world_size()
    )
    with enable(pipeline, degrees):
        yield degrees


@contextmanager
def enable(pipeline: Any, degrees: Degrees) -> Iterator[None]:
    """While inside, calls of the pipeline are shared as the degrees say; every process has to make the same calls.

    Noise and image condition are those of process 0. Attention backend, offloading, LoRA and caches are to be set up
    before. All processes decode, and get the same video.

    Args:
        pipeline: of the Wan family, with one or two experts, or of CogVideoX, on this process's device.
        degrees: as many as there are processes in the group.

    Raises:
        InputError: another number of processes, or parallelism that is in force already.
    """
    world = dist.get_world_size()
    if degrees.world != world:
        raise InputError(f"degrees: {degrees} is for {degrees.world} processes, found {world}")
    # Not the device of the weights: offloaded ones lie on the processor, and what they compute is on the GPU.
    mesh = _mesh(degrees, "cuda" if dist.get_backend() == "nccl" else "cpu", dist.group.WORLD)
    with ExitStack() as stack:
        start = stack.enter_context(_same_start(pipeline))
        for expert in experts_of(pipeline):
            if is_cogvideox(expert):
                stack.enter_context(cogvideox.divided(pipeline, expert, mesh, lambda: start.videos))
                continue
            if degrees.ulysses > 1:
                stack.enter_context(wan.ulysses(pipeline, expert, mesh["ring", "ulysses"]))
            if degrees.cfg > 1:
                stack.enter_context(wan.two_branches(pipeline, expert, mesh["cfg"]))
        yield


@dataclass
class _Start:
    """What a call of the pipeline began with: how many videos it makes. None: none is going on."""

    videos: int | None = None


@contextmanager
def _same_start(pipeline: Any) -> Iterator[_Start]:
    """Process 0's noise and condition for all. Seeds agree anyway; a VAE on another device may round otherwise."""
    prepare: Callable[..., Tensor | tuple[Tensor, ...]] = pipeline.prepare_latents
    start = _Start()

    def prepare_once(*args: Any, **kwargs: Any) -> Tensor | tuple[Tensor, ...]:
        found = prepare(*args, **kwargs)
        alone = isinstance(found, Tensor)  # text to video: noise, and no condition
        tensors = tuple(tensor.contiguous() for tensor in ((found,) if alone else found))
        _compare(pipeline, tensors)
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
        start.videos = tensors[0].shape[0]
        return tensors[0] if alone else tensors

    with replaced(pipeline, prepare_latents=prepare_once):
        yield start


def _compare(pipeline: Any, tensors: tuple[Tensor, ...]) -> None:
    """Refuse processes that were asked for different videos: they would wait for each other for ever."""
    shapes = ", ".join(f"{'x'.join(map(str, tensor.shape))} {str(tensor.dtype)[6:]}" for tensor in tensors)
    steps, guided = len(pipeline.scheduler.timesteps), pipeline._guidance_scale > 1
    facts = f"latents and condition {shapes}; {steps} steps; guidance {'on' if guided else 'off'}"
    digest = int.from_bytes(hashlib.sha256(facts.encode()).digest()[:7], "big")
    mine = torch.tensor([digest], dtype=torch.int64, device=tensors[0].device)
    found = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
    dist.all_gather(found, mine)
    if any(int(other) != digest for other in found):
        raise InputError(
            f"the processes were asked for different videos (process {dist.get_rank() + 1}: {facts}); "
            "start all of them with the same arguments"
        )


@functools.lru_cache(maxsize=8)
def _mesh(degrees: Degrees, device_type: str, world: Any) -> DeviceMesh:
    """Processes by branch and by part of the tokens; kept, since every group costs memory. ``world`` keys the cache."""
    shape = (degrees.cfg, 1, degrees.ulysses)
    return init_device_mesh(device_type, shape, mesh_dim_names=("cfg", "ring", "ulysses"))
