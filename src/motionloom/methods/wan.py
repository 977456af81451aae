"""What the published Wan programs (ATI, Wan-Move) do around the model: size rule, resize and solver grids.

The stock pipeline does each of these a little differently; these make a run comparable with the published one.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import torch
from diffusers.schedulers.scheduling_dpmsolver_multistep import DPMSolverMultistepScheduler
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from torch import Tensor
from torch.nn.functional import interpolate

from motionloom.errors import InputError


def size_for_area(image_size: tuple[int, int], max_area: int, multiple: int = 16) -> tuple[int, int]:
    """The (height, width) of the video for an image of (height, width): its aspect, about ``max_area`` pixels.

    Floors the square roots as they come, so 832x480 at 480 * 832 gives 832x464, as in `WanATI.generate`. ``multiple``
    is the VAE's stride in space times the transformer's patch, 16 for Wan 2.1.

    Raises:
        InputError: a size below one pixel, or an area too small for one latent patch.
    """
    height, width = image_size
    if height < 1 or width < 1:
        raise InputError(f"image_size: found {image_size}, expected (height, width) of at least one pixel")
    aspect = height / width
    stride = multiple // 2
    latent = [int(math.sqrt(side) // stride // 2 * 2) for side in (max_area * aspect, max_area / aspect)]
    if min(latent) < 1:
        raise InputError(f"max_area: {max_area} pixels are too few for an image of {width}x{height}")
    return latent[0] * stride, latent[1] * stride


def resize_bicubic(image: np.ndarray[Any, np.dtype[np.uint8]], size: tuple[int, int]) -> Tensor:
    """uint8 [H, W, 3] to float32 [3, h, w] in about [-1, 1]: stretched, bicubic, neither antialiased nor clamped."""
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).float().div(255).sub(0.5).div(0.5)
    return interpolate(pixels[None], size, mode="bicubic")[0]


def published_scheduler(
    solver: Literal["unipc", "dpm++"] = "unipc", shift: float = 5.0
) -> UniPCMultistepScheduler | DPMSolverMultistepScheduler:
    """The solver of the published programs with their exact grid of noise levels.

    Args:
        solver: both are of order 2; "unipc" is their default.
        shift: 5.0 in ATI, 3.0 in Wan-Move at 480p.
    """
    if solver == "unipc":
        return _WanUniPC(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift)
    if solver == "dpm++":
        return _WanDPMSolver(
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            flow_shift=shift,
            algorithm_type="dpmsolver++",
            solver_order=2,
            solver_type="midpoint",
            lower_order_final=True,
            final_sigmas_type="zero",
        )
    raise InputError(f"solver: found {solver!r}, expected 'unipc' or 'dpm++'")


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
    _first = 0.999


class _WanDPMSolver(_Grid, DPMSolverMultistepScheduler):
    pass
