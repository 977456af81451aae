"""Dynamic classifier-free guidance of CogVideoX: weak while the picture is noise, strong at the end.

    scale(u) = 1 + s (1 - cos(pi u^5)) / 2

The original program (``sat/sgm/modules/diffusionmodules/guiders.py`` of CogVideo, which Tora's runs on) puts the
number of the step in: u = i / N, from 0 to nearly 1. The pipelines of diffusers put the *training timestep* there:
u = (N - t) / N with t from 999 to 19, so that the scale jumps about between 1 and 1 + s from step to step.
"""

from __future__ import annotations

import math
from typing import Literal

DynamicGuidance = Literal["steps", "legacy"]
"""By the number of the step, as in the original program; or by the training timestep, as in diffusers."""
EXPONENT = 5.0
"""``exp`` of the published configurations."""


def scale_at_step(step: int, steps: int, scale: float) -> float:
    """The guidance scale of a step: 1 at the first, nearly 1 + ``scale`` at the last.

    Args:
        step: from 0; steps: of the run, N; scale: s.
    """
    return _scale(step / steps, scale)


def scale_at_timestep(timestep: float, steps: int, scale: float) -> float:
    """What the pipelines of diffusers compute instead, from a training timestep 0 to 999."""
    return _scale((steps - timestep) / steps, scale)


def _scale(progress: float, scale: float) -> float:
    return 1 + scale * (1 - math.cos(math.pi * progress**EXPONENT)) / 2
