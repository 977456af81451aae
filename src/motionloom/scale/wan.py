"""What several processes share of a Wan pipeline.

- Ulysses, as diffusers has it: every process holds a part of the tokens; around the attention of a block the parts are
  exchanged, so that each process sees all tokens of some heads.
- Two calls at once, which diffusers lacks: one half of the processes makes the conditional call of a step, the other
  half the unconditional one; then they exchange what they predicted. See `BranchHook`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.distributed as dist
from diffusers.hooks.context_parallel import remove_context_parallel
from diffusers.hooks.hooks import BaseState, HookRegistry, ModelHook, StateManager
from diffusers.models._modeling_parallel import ContextParallelConfig
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh

from motionloom.errors import InputError, MotionloomError
from motionloom.scale.caching import one_decision

_BRANCH_HOOK = "motionloom_branch"


@contextmanager
def ulysses(pipeline: Any, expert: Any, mesh: DeviceMesh) -> Iterator[None]:
    """While inside, every call of the transformer is shared by the processes of the mesh (ring, ulysses)."""
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
        with one_decision(expert.blocks, mesh["ulysses"].get_group()):
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
def two_branches(pipeline: Any, expert: Any, mesh: DeviceMesh) -> Iterator[None]:
    """While inside, each of the two processes of the mesh makes one of the two calls of a guided step."""
    registry = HookRegistry.check_if_exists_or_initialize(expert)
    hook = BranchHook(pipeline, mesh.get_local_rank(), mesh.get_group())
    registry.register_hook(hook, _BRANCH_HOOK)
    try:
        yield
        hook.refuse_pending()
    finally:
        registry.remove_hook(_BRANCH_HOOK, recurse=False)


class _NoState(BaseState):
    def reset(self, *args: Any, **kwargs: Any) -> None: ...


_STATE: Any = _NoState  # diffusers asks for a class, and annotates an instance


class BranchHook(ModelHook):
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
