"""Simple clips: flat textured layers that move by similarities and bend."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from motionloom.prepare.procedural.scene import MAX_LAYERS, WAVES
from motionloom.prepare.procedural.textures import outline, texture


def simple_clip(rng: np.random.Generator, frames: int, resolution: int, motion: float) -> dict[str, torch.Tensor]:
    """The fields of one clip's `Scene`, without their first axis."""
    count = 1 + int(rng.choice(MAX_LAYERS, p=[0.1, 0.3, 0.3, 0.2, 0.1]))
    camera_scale, camera_shift = _camera(rng, frames, motion)
    values: dict[str, Any] = {
        "scale": np.ones((MAX_LAYERS, frames), np.complex64),
        "shift": np.zeros((MAX_LAYERS, frames), np.complex64),
        "bend_wave": np.zeros((MAX_LAYERS, WAVES, 2), np.float32),
        "bend_phase": np.zeros((MAX_LAYERS, WAVES, frames), np.float32),
        "bend_gain": np.zeros((MAX_LAYERS, WAVES, frames), np.complex64),
        "present": np.arange(MAX_LAYERS) < count,
    }
    sprite_side = max(32, resolution * 3 // 4)
    sprites = np.zeros((MAX_LAYERS - 1, 4, sprite_side, sprite_side), np.float32)
    for layer in range(count):
        scale, shift = np.ones(frames, complex), np.zeros(frames, complex)
        if layer:
            scale, shift = _object_motion(rng, frames, motion)
            sprites[layer - 1, :3] = texture(rng, sprite_side)
            shade = np.linspace(rng.uniform(0.6, 1.0), rng.uniform(0.8, 1.3), sprite_side, dtype=np.float32)
            sprites[layer - 1, :3] = np.clip(sprites[layer - 1, :3] * shade[:, None], 0, 1)
            sprites[layer - 1, 3] = outline(rng, sprite_side, softness=1.5 / sprite_side)
        # Layers in front answer a camera pan a little more, as near things do.
        parallax = 1.0 + 0.15 * layer * rng.uniform(0, 1)
        values["scale"][layer] = camera_scale * scale
        values["shift"][layer] = camera_scale * shift + camera_shift * parallax
        if rng.random() < (0.5 if layer else 0.3) and motion:
            values["bend_wave"][layer] = rng.normal(0, 2.5, (WAVES, 2))
            norm = np.linalg.norm(values["bend_wave"][layer], axis=-1)
            gain = rng.uniform(0, 0.45) * motion / WAVES / np.maximum(norm, 1.5)
            turn = np.exp(2j * np.pi * rng.random(WAVES))
            values["bend_gain"][layer] = (gain * turn)[:, None] * _timing(rng, frames)
            drift = rng.uniform(-2, 2, WAVES)[:, None] * np.linspace(0, 1, frames)
            values["bend_phase"][layer] = rng.uniform(0, 2 * np.pi, WAVES)[:, None] + drift
    values["sprites"] = sprites
    values["background"] = texture(rng, 2 * resolution)
    return {name: torch.from_numpy(np.ascontiguousarray(value)) for name, value in values.items()}


def _timing(rng: np.random.Generator, frames: int) -> NDArray[np.float64]:
    """A curve [T] from 0, of size about one: steady, eased, speeding up, slowing down, or there and back."""
    t = np.linspace(0, 1, frames) if frames > 1 else np.zeros(1)
    kind = rng.choice(5, p=[0.4, 0.2, 0.1, 0.1, 0.2])
    if kind == 4:
        return np.sin(np.pi * t * rng.uniform(1.0, 2.5))
    return [t, t * t * (3 - 2 * t), t * t, 1 - (1 - t) ** 2][kind]


def _camera(rng: np.random.Generator, frames: int, motion: float) -> tuple[NDArray[Any], NDArray[Any]]:
    """Zoom and roll (complex scale [T]) and pan (complex shift [T]), each present in about half of the clips."""
    log_zoom = motion * (rng.random() < 0.4) * rng.uniform(-0.4, 0.5) * _timing(rng, frames)
    roll = motion * (rng.random() < 0.3) * rng.normal(0, 0.25) * _timing(rng, frames)
    pan = motion * (rng.random() < 0.5) * rng.uniform(0, 0.6) * np.exp(2j * np.pi * rng.random())
    return np.exp(log_zoom + 1j * roll), pan * _timing(rng, frames)


def _object_motion(rng: np.random.Generator, frames: int, motion: float) -> tuple[NDArray[Any], NDArray[Any]]:
    size = np.exp(rng.uniform(np.log(0.18), np.log(0.75)))
    moving = motion * (rng.random() < 0.85)
    travel = moving * rng.uniform(0.05, 1.1) * np.exp(2j * np.pi * rng.random())
    sway = moving * (rng.random() < 0.4) * rng.uniform(-0.35, 0.35) * 1j * travel
    turn = moving * (rng.random() < 0.5) * rng.normal(0, 0.7)
    grow = moving * (rng.random() < 0.4) * rng.uniform(-0.45, 0.45)
    start = rng.uniform(-0.8, 0.8) + 1j * rng.uniform(-0.8, 0.8)
    heading = np.exp(2j * np.pi * rng.random())
    path = start - travel / 2 * rng.uniform(0, 1) + travel * _timing(rng, frames)
    path = path + sway * np.sin(np.pi * np.linspace(0, 1, frames))
    scale = size * heading * np.exp(grow * _timing(rng, frames) + 1j * turn * _timing(rng, frames))
    return scale, path
