"""Noise from counters: the same numbers on every device, wherever a texture stands in its batch."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch


def white_noise(keys: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    """Uniform noise float32 [n, *shape] in [-1, 1), one independent array for every key (int32 [n]).

    An integer hash of the place, of the kind used for random numbers on GPUs: two rounds of multiply and xor-shift.
    """
    place = torch.arange(int(np.prod(shape)), dtype=torch.int32, device=keys.device)
    mixed = place * -1640531535 + keys[:, None]  # 2^32 over the golden ratio
    for shift, factor in ((16, 2146121005), (15, -2073254261)):
        # Shifts of signed numbers drag the sign along; the mask makes them logical.
        mixed = (mixed ^ (mixed >> shift & (1 << 32 - shift) - 1)) * factor
        mixed = mixed ^ keys[:, None]
    mixed = mixed ^ (mixed >> 16 & 0xFFFF)
    return (mixed.float() * 2.0**-31).reshape(-1, *shape)


def natural_noise(white: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
    """Noise [n, C, s, s] with the spectrum of natural images, about zero and of unit variance; it tiles.

    Args:
        white: uniform noise in [-1, 1), float32 [n, C, s, s].
        slopes: float32 [n, C]; the amplitude falls as 1 / frequency^slope (Field 1987: about 1 in photographs).
    """
    side = white.shape[-1]
    frequency = torch.from_numpy(_frequencies(side)).to(white.device)
    amplitude = frequency ** -slopes[..., None, None]
    amplitude[..., 0, 0] = 0.0
    field = torch.fft.irfft2(torch.fft.rfft2(white) * amplitude, s=(side, side))
    gain = [[_gain(side, round(float(slope), 3)) for slope in row] for row in slopes.cpu().numpy()]
    return field * torch.tensor(gain, device=white.device)[..., None, None]


@lru_cache(maxsize=16)
def _frequencies(side: int) -> np.ndarray:
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None]).astype(np.float32)
    frequency[0, 0] = 1.0
    return frequency


@lru_cache(maxsize=4096)
def _gain(side: int, slope: float) -> float:
    """What makes the variance one: by Parseval, from the spectrum alone, so that no sum over pixels is needed."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequency[0, 0] = np.inf
    return float((3.0 / np.mean(frequency ** (-2 * slope))) ** 0.5)
