"""Which condition each transformer call of a denoising step sees, and classifier-free guidance over text and tracks.

With v_tm the prediction for the prompt with tracks, v_0m for the negative prompt with tracks, v_00 for the negative
prompt without tracks, and the guidance scales g_t of the text and g_m of the motion:

- "text" (the published programs): v_0m + g_t (v_tm - v_0m);
- "joint": v_00 + g_t (v_tm - v_00);
- "split": v_00 + g_m (v_0m - v_00) + g_t (v_tm - v_0m), three calls a step.

"split" is "text" for g_m = 1 and "joint" for g_m = g_t. The stock loop makes two calls; the third is made, and the sum
taken, in a hook on the second. A run without text guidance has no negative prompt: "split" is then
v_t0 + g_m (v_tm - v_t0), two calls instead of one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from motionloom.methods.guidance import TrackGuidance

CfgMode = Literal["text", "joint", "split"]
CFG_MODES = ("text", "joint", "split")
MOTION_GUIDANCE_SCALE = 2.0  # ours: between "text" (1) and "joint" at the published scale (5)


@contextmanager
def conditions_by_branch(pipeline: Any, guidance: TrackGuidance) -> Iterator[None]:
    """While inside, every transformer call of a Wan image-to-video pipeline sees the condition its branch asks for.

    Hooks on the modules, outermost of all: offloading, caches and parallelism that wrap ``forward`` stay as they are,
    and the third call of "split" passes through them in a cache context of its own, "motion".
    """
    if not guidance.needs_plain:
        yield
        return
    loop = _Loop(pipeline, guidance)
    experts = [model for model in (pipeline.transformer, pipeline.transformer_2) if model is not None]
    handles = [expert.register_forward_pre_hook(loop.choose, with_kwargs=True) for expert in experts]
    if guidance.cfg_mode == "split":
        handles += [expert.register_forward_hook(loop.combine, with_kwargs=True) for expert in experts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Loop:
    """Where the stock loop is: the step, and the call within it."""

    def __init__(self, pipeline: Any, guidance: TrackGuidance) -> None:
        self.pipeline, self.guidance = pipeline, guidance
        self.step, self.calls, self.timestep = -1, 0, None
        self.extra = False  # inside the call that the loop does not know of
        self.conditional: Tensor | None = None

    @property
    def guided(self) -> bool:
        return self.guidance.in_window(self.step, self.pipeline._num_timesteps)

    def choose(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Before a call: swap in the plain condition where this branch is to see it."""
        if self.extra:
            return None
        # The loop makes a new tensor for every step's time, and calls the conditional branch first.
        if self.pipeline._current_timestep is not self.timestep:
            self.step, self.calls, self.timestep = self.step + 1, 0, self.pipeline._current_timestep
        self.calls += 1
        dropped = self.guidance.cfg_mode == "joint" and self.calls > 1
        if self.guidance.plain is None or (self.guided and not dropped):
            return None
        return args, self._plain(kwargs)

    def combine(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        """After a call in "split" mode: add what the loop's own formula lacks."""
        if self.extra or self.guidance.plain is None or not self.guided:
            return None
        predicted: Tensor = output[0]
        scale = self.guidance.motion_guidance_scale
        if not self.pipeline.do_classifier_free_guidance:
            without = self._without_tracks(module, args, kwargs)
            return (torch.lerp(without.float(), predicted.float(), scale).to(predicted.dtype), *output[1:])
        if self.calls == 1:
            self.conditional = predicted
            return None
        without = self._without_tracks(module, args, kwargs)
        assert self.conditional is not None
        text = (
            self.pipeline._guidance_scale_2 if module is self.pipeline.transformer_2 else self.pipeline._guidance_scale
        )
        null, prompt = predicted.float(), self.conditional.float()
        result = without + scale * (null - without) + text * (prompt - null)
        # The loop computes u + g (c - u). With the same tensor in both places that is the tensor, whatever g is.
        self.conditional.copy_(result)
        result, self.conditional = self.conditional, None
        return (result, *output[1:])

    def _without_tracks(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
        self.extra = True
        try:
            with module.cache_context("motion"):  # pyright: ignore[reportCallIssue]
                return module(*args, **self._plain(kwargs))[0].float()
        finally:
            self.extra = False

    def _plain(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        plain, hidden = self.guidance.plain, kwargs["hidden_states"]
        assert plain is not None
        noise = hidden[:, : hidden.shape[1] - plain.shape[1]]
        return {**kwargs, "hidden_states": torch.cat([noise, plain.to(hidden)], dim=1)}
