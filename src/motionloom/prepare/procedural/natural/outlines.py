"""Outlines of things, as signed distances: drawn as a few numbers each, made together on the device.

Distances are in material units (a sprite spans [-1, 1]), positive inside. Edges stay sharp at any size this way, and
thin things stay whole. Everything that is not mirrored stays within 0.9 of the centre.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray

NUMBERS = 16
FAR = 0.25  # distances are cut off here
LIMB = 0.66  # half of the length of a limb, from joint to joint
DISC, BLOB, BOX, STAR, LIMB_KIND, RING, BARS, GRASS, RIDGE, TREE = range(10)


def draw_outline(rng: np.random.Generator, kind: int) -> NDArray[np.float32]:
    """The numbers [1 + NUMBERS] of a random outline of one kind: the kind itself, then what it is made of."""
    values = np.zeros(NUMBERS)
    if kind in (BLOB, TREE):
        values[:5] = rng.normal(0, 0.16, 5) / np.arange(2, 7)
        values[5:10] = rng.uniform(0, 2 * np.pi, 5)
        values[10] = np.exp(rng.uniform(0, 0.9) * rng.integers(0, 2))
        values[11] = rng.uniform(0.05, 0.1)
    elif kind == BOX:
        values[:3] = rng.choice([2.0, 4.0, 12.0]), np.exp(rng.uniform(0, 1.2) * rng.integers(0, 2)), 0.68
    elif kind == STAR:
        values[:3] = rng.integers(3, 9), rng.uniform(0.0, 0.3) * rng.integers(0, 2), rng.uniform(0, 2 * np.pi)
    elif kind == LIMB_KIND:
        values[0], values[1] = np.sort(rng.uniform(0.09, 0.2, 2))[::-1]
    elif kind == RING:
        values[:2] = rng.uniform(0.5, 0.7), rng.uniform(0.06, 0.18)
    elif kind == BARS:
        # Counts that are whole on [-1, 1] go on without a seam where the layer is mirrored.
        values[:5] = rng.integers(3, 9), rng.uniform(0.015, 0.05), rng.integers(0, 4), rng.uniform(0.5, 0.9), 0
        values[4] = rng.uniform(0.015, 0.04)
    elif kind == GRASS:
        values[:6] = rng.integers(8, 20), rng.uniform(0.3, 0.9), *rng.uniform(0, 2 * np.pi, 4)
        values[6] = rng.uniform(0.2, 0.4)
    elif kind == RIDGE:
        values[:6] = rng.normal(0, 0.12, 6) / np.arange(1, 7) ** rng.uniform(0.6, 1.4)
        values[6:12] = rng.uniform(0, 2 * np.pi, 6)
        values[12] = rng.integers(0, 2) * rng.integers(4, 12)
    return np.concatenate([[kind], values]).astype(np.float32)


def make_outlines(numbers: torch.Tensor, side: int) -> torch.Tensor:
    """Signed distances float32 [n, side, side] from stacked numbers [n, 1 + NUMBERS] of `draw_outline`."""
    axis = (torch.arange(side, device=numbers.device) + 0.5) * (2 / side) - 1
    x, y = axis.reshape(1, 1, -1), axis.reshape(1, -1, 1)
    out = torch.full((numbers.shape[0], side, side), -FAR, device=numbers.device)
    kinds = numbers[:, 0].long().cpu().numpy()
    for kind, shape in _SHAPES.items():
        chosen = np.flatnonzero(kinds == kind)
        if len(chosen):
            places = torch.from_numpy(chosen).to(numbers.device)
            values = [v[:, None, None] for v in numbers.index_select(0, places)[:, 1:].unbind(1)]
            out[places] = _distance(shape(x, y, values).expand(-1, side, side), side)
    return out


def _distance(field: torch.Tensor, side: int) -> torch.Tensor:
    """Signed distances from a field that is positive inside and smooth at the edge: f / |grad f|, cut off."""
    gradient_y, gradient_x = torch.gradient(field, spacing=2 / side, dim=(1, 2))
    steepness = (gradient_x.square() + gradient_y.square()).sqrt()
    # Where the field is flat, at the middle of things, the quotient would shoot up: it is cut off there anyway.
    return (field / steepness.clamp_min(0.25)).clamp(-FAR, FAR)


Values = list[torch.Tensor]


def _disc(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    return 0.9 - torch.sqrt(x * x + y * y) + 0 * v[0]


def _blob(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    y = y * v[10]
    angle = torch.atan2(y, x)
    radius = torch.full_like(angle, 0.62)
    for k in range(5):
        radius = radius + v[k] * torch.cos((k + 2) * angle + v[5 + k])
    return radius.clamp_max(0.88) - torch.sqrt(x * x + y * y)


def _box(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    power, aspect, radius = v[:3]
    reach = (x.abs() ** power + (y * aspect).abs() ** power).clamp_min(1e-12)
    return radius - reach ** (1 / power)


def _star(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    sides, depth, turn = v[:3]
    half = np.pi / sides
    angle = torch.atan2(y, x) + turn
    within = torch.remainder(angle, 2 * half) - half
    # A regular polygon; a star where the middle of each side is drawn in.
    middle = 0.8 * torch.cos(half) * (1 - depth * (1 - within.abs() / half))
    return middle - torch.sqrt(x * x + y * y) * torch.cos(within)


def _limb(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    along = ((x + LIMB) / (2 * LIMB)).clamp(0, 1)
    radius = v[0] + (v[1] - v[0]) * along
    return radius - torch.sqrt((x - (along * 2 - 1) * LIMB).square() + y * y)


def _ring(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    return v[1] - (torch.sqrt(x * x + y * y) - v[0]).abs()


def _bars(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    """Upright bars between two heights, with rails across."""
    upright = v[1] - (torch.remainder((x + 1) * v[0] / 2, 1) - 0.5).abs() * 2 / v[0]
    across = v[2].clamp_min(1)
    rail = v[4] - (torch.remainder((y / v[3] + 1) * across / 2, 1) - 0.5).abs() * 2 * v[3] / across
    rail = torch.where(v[2] > 0, rail, torch.full_like(rail, -1.0))
    return torch.minimum(torch.maximum(upright, rail), v[3] - y.abs())


def _grass(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    """Blades that taper and lean, of uneven height."""
    out = torch.full_like(x + y + v[0], -1.0)
    for row in range(2):
        place = (x + 1) * v[0] / 2 + 0.5 * row
        number = torch.floor(place)
        uneven = torch.sin(number * 2.4 + v[2 + row]) * torch.cos(number * 1.7 + v[4 + row])
        top = 0.85 - v[1] * (1 + uneven)
        up = ((1 - y) / (1 - top)).clamp(0, 1.5)
        centre = 0.5 + 0.28 * uneven * up * up
        width = v[6] * (1 - up)
        out = torch.maximum(out, (width - (place - number - centre).abs()) * 2 / v[0])
    return out


def _ridge(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    """Everything below an uneven line: hills, or roofs where the line has steps."""
    steps = v[12].clamp_min(1)
    at = torch.where(v[12] > 0, (torch.floor((x + 1) / 2 * steps) + 0.5) / steps * 2 - 1, x)
    line = sum(v[k] * torch.cos((k + 1) * np.pi / 2 * (at + 1) + v[6 + k]) for k in range(6))
    return y - line


def _tree(x: torch.Tensor, y: torch.Tensor, v: Values) -> torch.Tensor:
    crown = _blob(x / 0.85, (y + 0.12) / 0.85, [*v[:10], torch.ones_like(v[10]), *v[11:]]) * 0.85
    trunk = torch.minimum(v[11] - x.abs(), torch.minimum(y + 0.2, 0.88 - y))
    return torch.maximum(crown, trunk)


_SHAPES: dict[int, Callable[[torch.Tensor, torch.Tensor, Values], torch.Tensor]] = {
    DISC: _disc,
    BLOB: _blob,
    BOX: _box,
    STAR: _star,
    LIMB_KIND: _limb,
    RING: _ring,
    BARS: _bars,
    GRASS: _grass,
    RIDGE: _ridge,
    TREE: _tree,
}
