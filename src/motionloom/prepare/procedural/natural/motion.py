"""How things and the camera of natural clips move over time; curves [T] drawn one clip at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]
Path = NDArray[np.complex128]


def curve(rng: np.random.Generator, frames: int) -> Curve:
    """A curve [T] from 0, of size about one: steady, eased, with rests, bouncing, or to and fro."""
    t = _times(frames)
    kind = rng.choice(8, p=[0.3, 0.17, 0.08, 0.08, 0.15, 0.1, 0.06, 0.06])
    if kind == 4:
        return np.sin(np.pi * t * rng.uniform(1.0, 4.0))
    if kind == 5:  # rests, goes, rests
        begin, end = np.sort(rng.uniform(0, 1, 2))
        s = np.clip((t - begin) / max(end - begin, 0.25), 0, 1)
        return s * s * (3 - 2 * s)
    if kind == 6:  # hops
        return np.abs(np.sin(np.pi * t * rng.uniform(1.0, 3.0)))
    if kind == 7:  # springs past its end and back
        return 1 - np.exp(-4 * t) * np.cos(rng.uniform(6, 10) * t)
    return [t, t * t * (3 - 2 * t), t * t, 1 - (1 - t) ** 2][kind]


@dataclass(frozen=True)
class Camera:
    """What all layers share: the logarithm of zoom and the roll [T], a pan [T], and shaking (pan and roll) [T]."""

    zoom: Curve
    roll: Curve
    pan: Path
    shake: Path

    def on(self, depth: float) -> tuple[Path, Path]:
        """(scale, shift) of what is at a depth: 0 for the background, 1 and more for what is near."""
        scale = np.exp(self.zoom * (0.8 + 0.3 * depth) + 1j * self.roll)
        return scale, self.pan * (0.8 + 0.35 * depth) + self.shake


def draw_camera(rng: np.random.Generator, frames: int, motion: float) -> Camera:
    """More than half of the cameras stand still; others pan, zoom, roll and shake."""
    still = rng.random() < 0.55
    moving = 0.0 if still else motion
    zoom = moving * (rng.random() < 0.45) * rng.uniform(-0.4, 0.45) * curve(rng, frames)
    roll = moving * (rng.random() < 0.25) * rng.normal(0, 0.2) * curve(rng, frames)
    pan = moving * (rng.random() < 0.6) * _speed(rng, 0.02, 0.7) * np.exp(2j * np.pi * rng.random())
    shaken = moving * (rng.random() < 0.35)
    shake = shaken * _shaking(rng, frames, np.exp(rng.uniform(np.log(0.003), np.log(0.05))))
    roll = roll + shaken * _shaking(rng, frames, 0.01).real
    return Camera(zoom, roll, pan * curve(rng, frames), shake)


@dataclass(frozen=True)
class Way:
    """How one thing goes: its middle [T] (complex), its heading [T] in radians, and its growth [T] as a logarithm."""

    place: Path
    heading: Curve
    growth: Curve


def draw_way(rng: np.random.Generator, frames: int, motion: float) -> Way:
    """Nearly half of the things stay; the others go at speeds from a crawl below a pixel a frame to a dash.

    Some start or end outside the picture; some swerve.
    """
    moving = motion * (rng.random() < 0.55)
    travel = moving * _speed(rng, 0.03, 1.5) * np.exp(2j * np.pi * rng.random())
    start = rng.uniform(-0.85, 0.85) + 1j * rng.uniform(-0.85, 0.85)
    # Through a place inside the picture at some moment: before it or after it the thing may be outside.
    place = start - travel * rng.uniform(0, 1) + travel * curve(rng, frames)
    swerve = moving * (rng.random() < 0.4) * rng.uniform(-0.35, 0.35) * 1j * travel
    place = place + swerve * np.sin(np.pi * _times(frames))
    turn = moving * (rng.random() < 0.45) * rng.normal(0, 0.8) * curve(rng, frames)
    growth = moving * (rng.random() < 0.35) * rng.uniform(-0.4, 0.4) * curve(rng, frames)
    return Way(place, rng.uniform(0, 2 * np.pi) + turn, growth)


def swing(rng: np.random.Generator, frames: int, size: float) -> Curve:
    """An angle that goes to and fro, [T] from 0."""
    t, cycles, phase = _times(frames), rng.uniform(0.4, 2.0), rng.uniform(0, 2 * np.pi)
    return size * (np.sin(2 * np.pi * cycles * t + phase) - np.sin(phase))


def rotation(axis: NDArray[Any], angle: Curve) -> NDArray[np.float64]:
    """Rodrigues: matrices [3, 3, T] about a unit axis (x right, y down, z away)."""
    x, y, z = axis
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    eye = np.eye(3)[..., None]
    return eye + np.sin(angle) * cross[..., None] + (1 - np.cos(angle)) * (cross @ cross)[..., None]


def _times(frames: int) -> Curve:
    return np.linspace(0, 1, frames) if frames > 1 else np.zeros(1)


def _speed(rng: np.random.Generator, least: float, most: float) -> float:
    return float(np.exp(rng.uniform(np.log(least), np.log(most))))


def _shaking(rng: np.random.Generator, frames: int, size: float) -> Path:
    """A hand's tremble [T] from 0: a few waves of at most a quarter cycle per frame."""
    t = np.arange(frames)[:, None]
    waves, phases = rng.uniform(0.04, 0.25, 4), rng.uniform(0, 2 * np.pi, (2, 4))
    x, y = (np.sin(2 * np.pi * waves * t + phase).sum(1) - np.sin(phase).sum() for phase in phases)
    return size * 0.5 * (x + 1j * y)
