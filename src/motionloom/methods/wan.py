"""What the published Wan programs (ATI, Wan-Move) do around the model: size rule, resize and solver grids.

The stock pipeline does each of these a little differently; these make a run comparable with the published one.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from torch import Tensor
from torch.nn.functional import interpolate

from motionloom.errors import InputError
from motionloom.methods.circle_rotate.scheduler import SimpleEulerScheduler
from motionloom.methods.sizes import size_for_area

__all__ = [
    "begin_at",
    "clip_pixels",
    "published_scheduler",
    "resize_bicubic",
    "resize_to_cover",
    "size_for_area",
]


def resize_bicubic(image: np.ndarray[Any, np.dtype[np.uint8]], size: tuple[int, int]) -> Tensor:
    """uint8 [H, W, 3] to float32 [3, h, w] in about [-1, 1]: stretched, bicubic, neither antialiased nor clamped."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255).sub(0.5).div(0.5)
    return interpolate(pixels[None], size, mode="bicubic")[0]


def resize_to_cover(image: np.ndarray[Any, np.dtype[np.uint8]], size: tuple[int, int]) -> Tensor:
    """uint8 [H, W, 3] to float32 [3, h, w] in [-1, 1]: cut to the shape of ``size`` about the centre, then bilinear.

    As the first/last-frame graphs of ComfyUI prepare their pictures (`common_upscale`, "bilinear", "center").
    """
    height, width = image.shape[:2]
    new_height, new_width = size
    x = (
        round((width - width * (new_width / new_height) / (width / height)) / 2)
        if width * new_height > new_width * height
        else 0
    )
    y = (
        round((height - height * (width / height) / (new_width / new_height)) / 2)
        if width * new_height < new_width * height
        else 0
    )
    cut = np.ascontiguousarray(image[y : height - y, x : width - x])
    pixels = torch.from_numpy(cut).permute(2, 0, 1).float().div(127.5).sub(1)
    return interpolate(pixels[None], size, mode="bilinear")[0]


# Per channel, of the images CLIP was trained on; `CLIPModel` of the published programs.
_CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
_CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def clip_pixels(image: np.ndarray[Any, np.dtype[np.uint8]] | Tensor, side: int = 224) -> Tensor:
    """What CLIP sees of a photograph uint8 [H, W, 3], or float [1, 3, H, W] in [-1, 1]: float32 [1, 3, side, side].

    The whole picture, stretched to a square with plain bicubic interpolation, nothing cut off, as `CLIPModel.visual` of
    the published programs; the stock pipeline leaves that to the settings of its image processor.
    """
    if isinstance(image, Tensor):
        pixels = interpolate(image.reshape(1, 3, *image.shape[-2:]).float(), (side, side), mode="bicubic")
    else:
        pixels = resize_bicubic(image, (side, side))[None]
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (_CLIP_MEAN, _CLIP_STD))
    return (pixels.cpu() * 0.5 + 0.5 - mean) / std


def published_scheduler(
    solver: Literal["unipc", "dpm++", "euler"] = "unipc",
    shift: float = 5.0,
    prediction_type: Literal["flow_prediction", "sample"] = "flow_prediction",
) -> UniPCMultistepScheduler | DPMSolverMultistepScheduler | SimpleEulerScheduler:
    """The solver of the published programs with their exact grid of noise levels.

    Args:
        solver: "unipc" and "dpm++" are of order 2, "unipc" is their default; "euler" is that of models distilled to a
            few steps, on the grid of `motionloom.methods.circle_rotate`.
        shift: 5.0 in ATI, 3.0 in Wan-Move at 480p, 8.0 in Circle-Rotate.
        prediction_type: of the transformer; the published ones predict the flow. "euler" knows no other.
    """
    if solver == "unipc":
        return _WanUniPC(prediction_type=prediction_type, use_flow_sigmas=True, flow_shift=shift)
    if solver == "dpm++":
        return _WanDPMSolver(
            prediction_type=prediction_type,
            use_flow_sigmas=True,
            flow_shift=shift,
            algorithm_type="dpmsolver++",
            solver_order=2,
            solver_type="midpoint",
            lower_order_final=True,
            final_sigmas_type="zero",
        )
    if solver == "euler":
        return SimpleEulerScheduler(shift=shift)
    raise InputError(f"solver: found {solver!r}, expected 'unipc', 'dpm++' or 'euler'")


def begin_at(scheduler: Any, index: int | None) -> None:
    """Tell a scheduler, after its `set_timesteps`, that the loop begins with step ``index``; None: to look for it.

    The stock Wan loop leaves it to look for its first timestep. Where many steps or a large shift round two of them to
    the same whole number, diffusers takes the second, and comes out one step short at the end.
    """
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(index)


def _sigmas(first: float, steps: int, shift: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    sigma = np.linspace(first, 0.0, steps + 1)[:-1]
    return shift * sigma / (1 + (shift - 1) * sigma)


class _Grid:
    """Noise levels and whole timesteps of the published solvers, put in place of the stock scheduler's."""

    _first = 1.0

    def set_timesteps(self, *args: Any, **kwargs: Any) -> None:
        scheduler: Any = self
        super().set_timesteps(*args, **kwargs)  # pyright: ignore[reportAttributeAccessIssue]
        sigmas = _sigmas(self._first, scheduler.num_inference_steps, scheduler.config.flow_shift)
        scheduler.sigmas = torch.from_numpy(np.append(sigmas, 0.0).astype(np.float32))
        scheduler.timesteps = torch.from_numpy((sigmas * 1000).astype(np.int64)).to(scheduler.timesteps.device)


class _WanUniPC(_Grid, UniPCMultistepScheduler):
    # The program reads its largest level from a float32 tensor; at shift 1 that decides the floors of whole timesteps.
    _first = float(np.float32(0.999))


class _WanDPMSolver(_Grid, DPMSolverMultistepScheduler):
    pass
