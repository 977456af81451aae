"""A strength for every track and latent frame that grows with its speed: slow parts keep some of the base model.

Shape letters: F pixel frames, T latent frames, N tracks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from motionloom.errors import InputError


@dataclass(frozen=True)
class AdaptiveWeight:
    """s = w_min + (w_max - w_min) (1 - exp(-m / m_0)), m the cells travelled since the latent frame before.

    Not in the published programs of ATI and Wan-Move, which write with weight 1; the range 0.5 to 0.8 is the one
    Wan-Move's users were told of.

    Args:
        w_min: of a point that rests; w_max: of one that is infinitely fast.
        m_0: cells per latent frame at which 63 % of the way between them is reached.

    Raises:
        InputError: a weight below zero or not finite, or m_0 not above zero.
    """

    w_min: float = 0.5
    w_max: float = 0.8
    m_0: float = 1.0

    def __post_init__(self) -> None:
        for name in ("w_min", "w_max"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise InputError(f"adaptive: {name} is {value}, expected zero or more")
        if not (math.isfinite(self.m_0) and self.m_0 > 0):
            raise InputError(f"adaptive: m_0 is {self.m_0}, expected cells above zero")

    @classmethod
    def of(cls, value: AdaptiveWeight | str | Sequence[float]) -> AdaptiveWeight:
        """From the numbers (w_min, w_max) or (w_min, w_max, m_0), or the same as a text "0.5:0.8:1"; from a weight
        itself. An empty text is the default."""
        if isinstance(value, AdaptiveWeight):
            return value
        parts = (value.split(":") if value.strip() else []) if isinstance(value, str) else value
        try:
            numbers = [float(part) for part in parts]
        except (TypeError, ValueError):
            numbers = [0.0]
        if len(numbers) not in (0, 2, 3):
            raise InputError(f"adaptive: found {value!r}, expected W_MIN:W_MAX or W_MIN:W_MAX:M_0 such as 0.5:0.8:1")
        return cls(*numbers)

    def __call__(self, points: Tensor, visible: Tensor, strides: tuple[int, int, int]) -> Tensor:
        """The weights of points [..., F, N, 2] in pixels, visible bool [..., F, N]: float32 [..., T, N].

        A latent frame is where the point is at its last pixel frame, 0, s, 2 s, ... for ``strides`` (s, ...). Across
        frames in which the point is hidden, m is the mean speed between the visible ones; before the first it is 0.
        """
        cell = torch.tensor([strides[2], strides[1]], dtype=torch.float32, device=points.device)
        place = points[..., :: strides[0], :, :].float() / cell
        seen = visible[..., :: strides[0], :].bool() & torch.isfinite(place).all(-1)
        index = torch.arange(place.shape[-3], device=place.device).unsqueeze(-1).expand(seen.shape)
        known = torch.where(seen, index, -1).cummax(-2).values  # the last visible latent frame up to each
        before = torch.cat([torch.full_like(known[..., :1, :], -1), known[..., :-1, :]], dim=-2)
        origin = before.clamp(min=0)
        start = place.nan_to_num(0.0, 0.0, 0.0).gather(-3, origin.unsqueeze(-1).expand_as(place))
        travelled = (place.nan_to_num(0.0, 0.0, 0.0) - start).norm(dim=-1)
        elapsed = (index - origin).clamp(min=1)
        speed = torch.where(seen & (before >= 0), travelled / elapsed, 0.0)
        return self.w_min + (self.w_max - self.w_min) * -torch.expm1(-speed / self.m_0)


Adaptive = AdaptiveWeight | bool | str | Sequence[float] | None
"""How a pipeline is told: True for the defaults, or whatever `AdaptiveWeight.of` takes; None and False are off."""
