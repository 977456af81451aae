"""One video on several processes: Ulysses context parallelism, and classifier-free guidance as outer factor of two.

Every process runs the same pipeline call. Inside the transformer they divide the work:

- Ulysses, as diffusers has it: every process holds a part of the tokens; around the attention of a block the parts are
  exchanged, so that each process sees all tokens of some heads.
- Two calls at once, which diffusers lacks: one half of the processes makes the conditional call of a step, the other
  half the unconditional one; then they exchange what they predicted. See `_BranchHook`.

The pipelines are not changed and need not know. Everything is undone on leaving.
"""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
import torch.distributed as dist
from diffusers.hooks.context_parallel import remove_context_parallel
from diffusers.hooks.hooks import BaseState, HookRegistry, ModelHook, StateManager
from diffusers.models._modeling_parallel import ContextParallelConfig
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh

from motionloom.errors import InputError, MotionloomError
from motionloom.scale.degrees import Degrees, choose_degrees, degrees_for, tokens_of

__all__ = ["Degrees", "choose_degrees", "degrees_for", "enable", "shared", "tokens_of"]

_BRANCH_HOOK = "motionloom_branch"


@contextmanager
def shared(pipeline: Any, *, size: tuple[int, int], num_frames: int, guidance_scale: float) -> Iterator[Degrees | None]:
    """While inside, calls of the pipeline are shared by all processes of the group, however many there are.

    Alone (no process group, or a group of one) it does nothing and gives None, so a model can always run inside.

    Args:
        pipeline: a `WanImageToVideoPipeline` or a subclass.
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
        pipeline: a `WanImageToVideoPipeline` or a subclass, with one or two experts, on this process's device.
        degrees: as many as there are processes in the group.

    Raises:
        InputError: another number of processes, or parallelism that is in force already.
    """
    world = dist.get_world_size()
    if degrees.world != world:
        raise InputError(f"degrees: {degrees} is for {degrees.world} processes, found {world}")
    experts = [model for model in (pipeline.transformer, pipeline.transformer_2) if model is not None]
    # Not the device of the weights: offloaded ones lie on the processor, and what they compute is on the GPU.
    mesh = _mesh(degrees, "cuda" if dist.get_backend() == "nccl" else "cpu", dist.group.WORLD)
    with ExitStack() as stack:
        stack.enter_context(_same_start(pipeline))
        if degrees.ulysses > 1:
            for expert in experts:
                stack.enter_context(_ulysses(pipeline, expert, mesh["ring", "ulysses"]))
        if degrees.cfg > 1:
            for expert in experts:
                stack.enter_context(_two_branches(pipeline, expert, mesh["cfg"]))
        yield


@contextmanager
def _same_start(pipeline: Any) -> Iterator[None]:
    """Process 0's noise and condition for all. Seeds agree anyway; a VAE on another device may round otherwise."""
    prepare: Callable[..., tuple[Tensor, ...]] = pipeline.prepare_latents

    def prepare_once(*args: Any, **kwargs: Any) -> tuple[Tensor, ...]:
        tensors = tuple(tensor.contiguous() for tensor in prepare(*args, **kwargs))
        _compare(pipeline, tensors)
        for tensor in tensors:
            dist.broadcast(tensor, src=0)
        return tensors

    pipeline.prepare_latents = prepare_once
    try:
        yield
    finally:
        del pipeline.prepare_latents


def _compare(pipeline: Any, tensors: tuple[Tensor, ...]) -> None:
    """Refuse processes that were asked for different videos: they would wait for each other for ever."""
    shapes = ", ".join(f"{'x'.join(map(str, tensor.shape))} {str(tensor.dtype)[6:]}" for tensor in tensors)
    steps, guided = len(pipeline.scheduler.timesteps), pipeline.do_classifier_free_guidance
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


@contextmanager
def _ulysses(pipeline: Any, expert: Any, mesh: DeviceMesh) -> Iterator[None]:
    if expert._parallel_config is not None:
        raise InputError("gpus: this transformer is shared by several processes already")
    # Times are divided only where every token has its own (Wan 2.2 5B); elsewhere the entry does nothing but warn.
    plan = {name: part for name, part in expert._cp_plan.items() if name or pipeline.config.expand_timesteps}
    # The mesh, since diffusers would make its own of all processes.
    config = ContextParallelConfig(ulysses_degree=mesh["ulysses"].size(), mesh=mesh)
    with _countable_accelerators(), _without_notice():
        expert.enable_parallelism(config=config, cp_plan=plan)
    registry: Any = HookRegistry.check_if_exists_or_initialize(expert)
    registry.invalidate_child_registries_cache()
    try:
        with _one_decision(expert, mesh["ulysses"].get_group()):
            yield
    finally:
        remove_context_parallel(expert, plan)
        registry.invalidate_child_registries_cache()
        expert._parallel_config = None
        for module in expert.modules():
            processor: Any = getattr(module, "processor", None)
            if getattr(processor, "_parallel_config", None) is not None:
                processor._parallel_config = None


@contextmanager
def _one_decision(expert: Any, group: Any) -> Iterator[None]:
    """First-block cache: all processes skip the other blocks, or none.

    Each would compare its own tokens only, and wait for ever where another one decides otherwise. The ratio of the
    means is taken over all tokens instead, as one process takes it.
    """
    found = []
    for block in expert.blocks:
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
    means = torch.stack([(residual - before).abs().mean(), before.abs().mean()]).float()
    dist.all_reduce(means, group=group)
    return bool((means[0] / means[1]).item() > hook.threshold)


@contextmanager
def _two_branches(pipeline: Any, expert: Any, mesh: DeviceMesh) -> Iterator[None]:
    registry = HookRegistry.check_if_exists_or_initialize(expert)
    hook = _BranchHook(pipeline, mesh.get_local_rank(), mesh.get_group())
    registry.register_hook(hook, _BRANCH_HOOK)
    try:
        yield
        hook.refuse_pending()
    finally:
        registry.remove_hook(_BRANCH_HOOK, recurse=False)


class _NoState(BaseState):
    def reset(self, *args: Any, **kwargs: Any) -> None: ...


_STATE: Any = _NoState  # diffusers asks for a class, and annotates an instance


class _BranchHook(ModelHook):
    """Makes one of a step's two calls on this process, while its partner makes the other.

    The loop of the pipeline makes both calls one after the other, and uses what they return only after the second. So
    the first call returns at once on the partner (branch 1), with an empty tensor; in the second call branch 1 computes
    and branch 0 does not; then they exchange, which also fills the tensor returned by the first call. What hooks around
    the forward see is the same on both.

    Calls are told apart by the name that the loop gives to `cache_context`. A third call in a step, such as that of
    motion guidance, is made by all. Without guidance there is one call, and all make it.

    Args:
        branch: 0 makes the conditional call, 1 the unconditional one.
        group: the two processes that exchange.
    """

    _is_stateful = True

    def __init__(self, pipeline: Any, branch: int, group: Any) -> None:
        super().__init__()
        self.pipeline, self.branch, self.group = pipeline, branch, group
        self.names: Any = StateManager(_STATE)  # found by cache_context, which tells it the name of the call
        self.first: Tensor | None = None

    def new_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        forward: Any = self.fn_ref.original_forward
        context = self.names._context
        opens = context is not None and context.name == "cond" and self.pipeline.do_classifier_free_guidance
        if not opens and self.first is None:
            return forward(*args, **kwargs)
        if opens:
            self.refuse_pending()
        hidden: Tensor = kwargs["hidden_states"] if "hidden_states" in kwargs else args[0]
        mine = opens == (self.branch == 0)
        if mine:
            output = forward(*args, **kwargs)
            predicted = output[0]
        else:
            predicted = _blank(module, hidden)
            output = _as_output(predicted, kwargs.get("return_dict", True))
        if opens:
            self.first = predicted
            return output
        first, self.first = self.first, None
        assert first is not None
        self._exchange(first, predicted)
        return output

    def refuse_pending(self) -> None:
        if self.first is not None:
            self.first = None
            raise MotionloomError(
                "the conditional call of a step was not followed by another one, although guidance is on; such a "
                "pipeline cannot be shared this way, use a number of GPUs that is odd, or guidance_scale=1"
            )

    def reset_state(self, module: Any) -> Any:
        self.names.reset()
        return module

    def _exchange(self, conditional: Tensor, unconditional: Tensor) -> None:
        mine, other = (conditional, unconditional) if self.branch == 0 else (unconditional, conditional)
        if mine.dtype != other.dtype or mine.shape != other.shape:
            raise MotionloomError(
                f"the transformer predicts {tuple(mine.shape)} {mine.dtype}, expected {tuple(other.shape)} "
                f"{other.dtype} from its input; such a model cannot be shared this way, use an odd number of GPUs"
            )
        mine = mine.contiguous()
        received = [torch.empty_like(mine), torch.empty_like(mine)]
        received[1 - self.branch] = other
        dist.all_gather(received, mine, group=self.group)


def _blank(module: Any, hidden: Tensor) -> Tensor:
    """What a call will predict, not computed yet: in the shape and dtype of its input, as Wan transformers do."""
    config = module.config
    channels = config.out_channels or config.in_channels
    return hidden.new_full((hidden.shape[0], channels, *hidden.shape[2:]), float("nan"))


def _as_output(predicted: Tensor, return_dict: bool) -> Any:
    if not return_dict:
        return (predicted,)
    from diffusers.models.modeling_outputs import Transformer2DModelOutput

    return Transformer2DModelOutput(sample=predicted)  # pyright: ignore[reportArgumentType]


@functools.lru_cache(maxsize=8)
def _mesh(degrees: Degrees, device_type: str, world: Any) -> DeviceMesh:
    """Processes by branch and by part of the tokens; kept, since every group costs memory. ``world`` keys the cache."""
    shape = (degrees.cfg, 1, degrees.ulysses)
    return init_device_mesh(device_type, shape, mesh_dim_names=("cfg", "ring", "ulysses"))


@contextmanager
def _countable_accelerators() -> Iterator[None]:
    """diffusers 0.42 divides by the number of accelerators, also where all processes run on the CPU and it is zero."""
    counted = torch.accelerator.device_count
    if counted() == 0:
        torch.accelerator.device_count = lambda: 1
    try:
        yield
    finally:
        torch.accelerator.device_count = counted


@contextmanager
def _without_notice() -> Iterator[None]:
    """Leave out the notice, once per process, that the interface of diffusers may change: we pin its version."""
    logger = logging.getLogger("diffusers.models.modeling_utils")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
