"""Textures and silhouettes of simple clips, one at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def texture(rng: np.random.Generator, side: int) -> NDArray[np.float32]:
    """A random texture float32 [3, side, side] in [0, 1]: 1/f noise, patches with hard edges, stripes, ramps."""
    slope = rng.uniform(1.0, 2.0)
    noise = _spectral_noise(rng, side, channels=4, slope=slope)
    # Natural colour: brightness varies most, hue less; and fine grain (a flat spectrum) is faint.
    mixing = rng.normal(0, 0.2, (3, 3)) + np.array([1.0, 0.0, 0.0])
    colour = np.einsum("ij,jhw->ihw", mixing, noise[:3]) * rng.uniform(0.04, 0.2) * min(1.0, slope - 0.6)
    image = (rng.uniform(0.15, 0.85) + rng.normal(0, 0.13, 3))[:, None, None] + colour
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    if rng.random() < 0.6:  # patches: level sets of smooth noise take flat colours
        smooth = _spectral_noise(rng, side, channels=1, slope=rng.uniform(1.7, 2.6))[0]
        levels = np.digitize(smooth, np.sort(rng.normal(0, 0.9, rng.integers(1, 6))))
        palette = rng.uniform(0, 1, (7, 1)) + rng.normal(0, 0.2, (7, 3))
        share = rng.uniform(0.3, 0.95)
        image = image * (1 - share) + (palette[levels].transpose(2, 0, 1) + 0.6 * colour) * share
    if rng.random() < 0.3:  # stripes, straight or wavy, soft or hard
        angle, cycles = rng.uniform(0, np.pi), np.exp(rng.uniform(np.log(2), np.log(side / 12)))
        wave = np.sin(np.pi * cycles * (x * np.cos(angle) + y * np.sin(angle)) + rng.uniform(0, 2) * noise[3])
        wave = np.tanh(wave * rng.choice([1.0, 4.0]))
        image = image + wave * rng.normal(0, 0.15, 3)[:, None, None]
    if rng.random() < 0.4:  # a ramp of light
        angle = rng.uniform(0, 2 * np.pi)
        image = image + (x * np.cos(angle) + y * np.sin(angle)) * rng.normal(0, 0.18, 3)[:, None, None]
    for _ in range(rng.integers(0, 9)):  # small marks with edges
        cx, cy, r = rng.uniform(-1, 1), rng.uniform(-1, 1), np.exp(rng.uniform(np.log(0.03), np.log(0.25)))
        ax, power = np.exp(rng.normal(0, 0.5)), rng.choice([2, 8])
        inside = (np.abs((x - cx) * ax) ** power + np.abs((y - cy) / ax) ** power) < r**power
        image = np.where(inside, rng.uniform(0, 1, 3)[:, None, None] + colour * 0.5, image)
    return np.clip(image, 0, 1).astype(np.float32)


def _spectral_noise(rng: np.random.Generator, side: int, channels: int, slope: float) -> NDArray[np.float32]:
    """Unit-variance noise [channels, side, side] whose amplitude falls as 1 / frequency^slope."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = 1.0
    amplitude = (frequency**-slope).astype(np.float32)
    amplitude[0, 0] = 0.0
    white = rng.standard_normal((channels, side, side), dtype=np.float32)
    field = torch.fft.irfft2(torch.fft.rfft2(torch.from_numpy(white)) * torch.from_numpy(amplitude), s=(side, side))
    return (field / field.std(dim=(1, 2), keepdim=True).clamp_min(1e-6)).numpy()


def outline(rng: np.random.Generator, side: int, softness: float) -> NDArray[np.float32]:
    """A random silhouette: alpha float32 [side, side], inside the circle of radius 0.95; blobs, boxes, bars, stars."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    aspect = np.exp(rng.uniform(0, 1.3) * rng.choice([0, 1]))
    y = y * aspect
    angle = np.arctan2(y, x)
    if rng.random() < 0.35:
        power = rng.choice([2.0, 4.0, 12.0])
        distance = (np.abs(x) ** power + np.abs(y) ** power) ** (1 / power)
        radius: Any = 0.66
    else:
        distance = np.hypot(x, y)
        radius = 0.62 + sum(
            rng.normal(0, 0.16 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi)) for wave in range(2, 7)
        )
        radius = np.minimum(radius, 0.93)
    return (1 / (1 + np.exp(np.clip((distance - radius) / softness, -40, 40)))).astype(np.float32)
