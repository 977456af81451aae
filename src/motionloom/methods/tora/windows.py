"""Videos longer than the checkpoint was trained for: windows in time whose latents overlap.

A window is as long as the clips that the model knows (13 latent frames, 49 frames), and the transformer never sees more
than one. So memory stays that of a short clip, and time grows with the length. Two ways of putting them together:

- "joint": every denoising step runs over all windows and blends what they predict (as MultiDiffusion does in space,
  https://arxiv.org/abs/2302.08113). All windows know of each other through the latents they share, at every step.
- "sequential": one window after the other. A later one begins with the finished end of the one before, brought to the
  noise of each step, and makes only what follows.

Everything happens around the transformer and the scheduler of one stock call of the pipeline; nothing is copied and all
is undone on leaving.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Literal

import torch
from diffusers.hooks.hooks import HookRegistry
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.tora.motion_latents import photograph_scale
from motionloom.methods.tora.window_hooks import ImageCondition, JointWindows, WindowHook, WindowsInTurn

Order = Literal["joint", "sequential"]

__all__ = ["ImageCondition", "Order", "blend_weights", "plan_windows", "usual_order", "windowed"]

_HOOK = "motionloom_windows"


def plan_windows(latent_frames: int, length: int, overlap: int, *, unit: int = 1) -> list[slice]:
    """Windows of equal length that cover a clip, as evenly spread as whole latents allow.

    Args:
        latent_frames: of the clip.
        length: of a window; a shorter clip is one window of its own length.
        overlap: latent frames that neighbours share at least; the plan of fewest windows may share more.
        unit: latent frames per token (`patch_size_t`): every window begins and ends on a multiple.

    Raises:
        InputError: numbers that make no plan.
    """
    if unit < 1 or latent_frames < 1 or latent_frames % unit:
        raise InputError(f"latent_frames: found {latent_frames}, expected a positive multiple of {unit}")
    if length < unit or length % unit:
        raise InputError(f"length: found windows of {length} latent frames, expected a positive multiple of {unit}")
    if not 0 <= overlap <= length - unit:
        raise InputError(
            f"overlap: found {overlap} latent frames for windows of {length}, expected 0 to {length - unit}"
        )
    if latent_frames <= length:
        return [slice(0, latent_frames)]
    total, size, shared = latent_frames // unit, length // unit, math.ceil(overlap / unit)
    count = math.ceil((total - shared) / (size - shared))
    starts = [k * (total - size) // (count - 1) for k in range(count)]
    return [slice(start * unit, (start + size) * unit) for start in starts]


def blend_weights(windows: Sequence[slice], *, unit: int = 1) -> list[Tensor]:
    """How much each window counts in each of its latent frames: float32 [length] per window; over all they sum to one.

    Linear ramps in what neighbours share. A later window's first latent (of ``unit`` frames) counts nothing: the model
    takes it for a single frame, which the first latent of its clips stands for, while here it stands for four.

    Args:
        windows: as by `plan_windows`, in order.
        unit: latent frames per token.
    """
    ramps = []
    for k, window in enumerate(windows):
        position = torch.arange(window.stop - window.start, dtype=torch.float64).div(unit, rounding_mode="floor")
        ramp = torch.ones_like(position)
        if k > 0:
            shared = max(0, windows[k - 1].stop - window.start) // unit
            if shared:
                ramp = torch.minimum(ramp, position / shared)
        if k + 1 < len(windows):
            shared = max(0, window.stop - windows[k + 1].start) // unit
            if shared:
                ramp = torch.minimum(ramp, 1 - (position - (len(position) // unit - shared)) / shared)
        ramps.append(ramp)
    total = torch.zeros(windows[-1].stop, dtype=torch.float64)
    for window, ramp in zip(windows, ramps, strict=True):
        total[window] += ramp
    return [(ramp / total[window]).float() for window, ramp in zip(windows, ramps, strict=True)]


def usual_order(config: Any) -> Order:
    """The better order for a transformer of this configuration, by ``benchmarks/tora_windows.py``.

    Sequential where a photograph is read: a later window then begins with a finished picture, as all clips of the
    training do, and scene and contrast last. Without one, joint windows have the softer seams.
    """
    return "sequential" if config.in_channels > config.out_channels else "joint"


@contextmanager
def windowed(
    pipeline: Any,
    windows: Sequence[slice],
    *,
    on_window: Callable[[int], None] = lambda k: None,
    order: Order | None = None,
    condition: ImageCondition = "carry",
) -> Iterator[None]:
    """While inside, a call of the pipeline makes the whole clip window by window.

    With one window the call is as outside, bit for bit. To be entered for one call, after offloading and parallelism
    have been set up.

    Args:
        pipeline: a `CogVideoXPipeline` or `CogVideoXImageToVideoPipeline` or a subclass, with one of the schedulers of
            CogVideoX.
        windows: latent frames of the clip, as by `plan_windows`.
        on_window: called with the window's number before every call of the transformer.
        order: see the top of this file; `usual_order` by default. "sequential" runs the asked-for steps for every
            window: the pipeline's timesteps, and the step numbers that callbacks get, go through all windows one after
            the other.
        condition: what an image-to-video model is shown in later joint windows, where the photograph stands in the
            first: "first" nothing, "carry" the clean latent that the step before estimated there, "repeat" the
            photograph again. With "first" scenes drift apart, with "repeat" all that moves returns to the photograph.
            Sequential windows always begin with the latent that was made.

    Raises:
        InputError: windows that do not cover a clip, or that do not fit the one that the call makes.
    """
    transformer = pipeline.transformer
    config = transformer.config
    order = order or usual_order(config)
    _check(windows, config.patch_size_t or 1)
    vae = getattr(pipeline, "vae", None)
    scale = 1.0 if vae is None else photograph_scale(vae)
    registry = HookRegistry.check_if_exists_or_initialize(transformer)
    with ExitStack() as stack:
        if len(windows) == 1:
            hook = WindowHook(windows, on_window, config, scale)
        elif order == "sequential":
            hook = WindowsInTurn(windows, on_window, config, scale, pipeline.scheduler)
            stack.enter_context(hook.scheduling())
        else:
            weights = blend_weights(windows, unit=config.patch_size_t or 1)
            hook = JointWindows(windows, on_window, config, scale, weights, condition)
            if hook.takes_image and condition == "carry":
                stack.enter_context(hook.listening(pipeline.scheduler))
        registry.register_hook(hook, _HOOK)
        stack.callback(registry.remove_hook, _HOOK, recurse=False)
        yield


def _check(windows: Sequence[slice], unit: int) -> None:
    bounds = [(window.start, window.stop) for window in windows]
    follow = all(a < c <= b < d for (a, b), (c, d) in itertools.pairwise(bounds))
    if not bounds or bounds[0][0] != 0 or not follow or any(bound % unit for pair in bounds for bound in pair):
        raise InputError(
            f"windows: found latent frames {', '.join(f'{a}:{b}' for a, b in bounds) or 'none'}, expected windows one "
            f"after the other without gaps, beginning at 0, on multiples of {unit}; see plan_windows"
        )
