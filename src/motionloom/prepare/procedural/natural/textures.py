"""Textures of natural scenes: drawn as a few numbers each, painted together on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.prepare.procedural.natural.noise import natural_noise, white_noise

LEVELS = 5  # edges between patches of flat colour
MARKS = 6

Numbers = dict[str, NDArray[Any]]
"""The numbers of one texture or outline; stacked over many they become tensors [n, ...]."""


def draw_texture(rng: np.random.Generator) -> Numbers:
    """The numbers of a random texture: 1/f noise in natural colours, patches with hard edges, stripes, ramps, marks."""
    # Few slopes, so that the gains of the spectra are computed once.
    slope = rng.integers(10, 21) / 10
    # Natural colour: brightness varies most, hue less.
    mixing = rng.normal(0, 0.2, (3, 3)) + np.array([1.0, 0.0, 0.0])
    # Pictures of things differ in how many colours they have: from nearly flat to all over.
    contrast = np.exp(rng.uniform(np.log(0.02), np.log(0.2))) * min(1.0, slope - 0.6)
    edges = rng.integers(1, LEVELS + 1) if rng.random() < 0.6 else 0
    thresholds = np.full(LEVELS, 1e3)
    thresholds[:edges] = np.sort(rng.normal(0, 0.9, edges))
    # Few things in the world are of pure colours, most are nearly grey; what is of one make is of like hues.
    vivid = np.exp(rng.uniform(np.log(0.02), np.log(0.16)))
    base = rng.beta(1.3, 1.3) * 0.8 + 0.1 + vivid * _hue(rng)
    hues = 0.5 * _hue(rng) + 0.8 * np.stack([_hue(rng) for _ in range(LEVELS + 1)])
    palette = rng.uniform(0.05, 0.95, (LEVELS + 1, 1)) + vivid * hues
    share = rng.uniform(0.3, 0.95) * (edges > 0)
    marks = int(rng.choice([0, 0, 2, 4, MARKS]))
    spots = np.zeros((MARKS, 8))
    spots[:, 2] = -1.0
    for mark in range(marks):
        place, radius = rng.uniform(-1, 1, 2), np.exp(rng.uniform(np.log(0.04), np.log(0.25)))
        spots[mark] = [
            *place,
            radius,
            np.exp(rng.normal(0, 0.4)),
            rng.choice([2, 6]),
            *rng.uniform(0, 1) + vivid * _hue(rng),
        ]
    striped, angle = rng.random() < 0.3, rng.uniform(0, np.pi)
    cycles = np.pi * np.exp(rng.uniform(np.log(2), np.log(9)))
    ramp, lean = rng.random() < 0.5, rng.uniform(0, 2 * np.pi)
    shades = rng.normal(0, 0.15) + rng.normal(0, 0.03, 3)
    return {
        "key": np.asarray(rng.integers(-(2**31), 2**31), np.int32),
        "slopes": np.array([slope] * 3 + [rng.integers(17, 27) / 10], np.float32),
        "mixing": (mixing * contrast).astype(np.float32),
        "thresholds": thresholds.astype(np.float32),
        "palette": (palette * share + base * (1 - share)).astype(np.float32),
        "spots": spots.astype(np.float32),
        "stripes": np.array(
            [cycles * np.cos(angle), cycles * np.sin(angle), rng.uniform(0, 2), rng.choice([1.0, 5.0])], np.float32
        ),
        "stripe_colour": (striped * (rng.normal(0, 0.13) + 0.5 * vivid * _hue(rng))).astype(np.float32),
        "ramp": (ramp * np.array([[np.cos(lean)], [np.sin(lean)]]) * shades).astype(np.float32),
    }


def _hue(rng: np.random.Generator) -> NDArray[np.float64]:
    """A direction in colour [3] without brightness; warm and cool ones are likelier than green and purple ones."""
    warm, green = rng.normal(0, 1.2), rng.normal(0, 0.6)
    return np.array([warm + 0.5 * green, 0.9 * green, -warm - 1.4 * green]) / 1.2


def paint_textures(numbers: dict[str, torch.Tensor], side: int) -> torch.Tensor:
    """Textures float32 [n, 3, side, side] in [0, 1] from stacked numbers of `draw_texture`."""

    def number(name: str, *index: int | slice) -> torch.Tensor:
        """One scalar or colour of every texture, [n, 1 or 3, 1, 1]."""
        value = numbers[name][(slice(None), *index)]
        return value.reshape(value.shape[0], -1, 1, 1)

    noise = natural_noise(white_noise(numbers["key"], (4, side, side)), numbers["slopes"])
    axis = (torch.arange(side, device=noise.device) + 0.5) * (2 / side) - 1
    x, y = axis.reshape(1, 1, 1, -1), axis.reshape(1, 1, -1, 1)
    red, green, blue = (number("mixing", slice(None), k) * noise[:, k : k + 1] for k in range(3))
    grain = red + green + blue
    smooth = noise[:, 3:]
    image = number("palette", 0).expand(-1, -1, side, side)
    for level in range(LEVELS):
        # Edges about one texel wide, as a camera would see them.
        above = ((smooth - number("thresholds", level)) * (side / 6) + 0.5).clamp(0, 1)
        image = image + (number("palette", level + 1) - number("palette", level)) * above
    image = image + grain
    phase = x * number("stripes", 0) + y * number("stripes", 1) + smooth * number("stripes", 2)
    image = image + torch.tanh(torch.sin(phase) * number("stripes", 3)) * number("stripe_colour")
    image = image + x * number("ramp", 0) + y * number("ramp", 1)
    for mark in range(MARKS):
        dx, dy, radius, aspect, power = (number("spots", mark, k) for k in range(5))
        reach = ((x - dx) * aspect).abs() ** power + ((y - dy) / aspect).abs() ** power
        inside = (reach < radius.clamp_min(0) ** power) & (radius > 0)
        image = torch.where(inside, number("spots", mark, slice(5, 8)) + 0.5 * grain, image)
    return image.clamp(0, 1)
