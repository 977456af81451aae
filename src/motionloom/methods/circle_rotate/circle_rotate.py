"""Circle-Rotate: the camera orbits a static subject, from a first (and a last) photograph and two LoRAs.

Source: `Jklaity/Circle-Rotate` (inference.py, workflow.json). There are no tracks: the LoRAs, one for each expert of
Wan2.2-I2V-A14B, the two photographs and the prompt say what happens. This file holds its constants, its noise levels
and the vocabulary of its captions; the LoRAs are those of `motionloom.models.lora`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError

PROMPT = "A static object, camera smoothly orbits around it"
"""The default of `inference.py`."""

BOUNDARY = 0.9
"""Noise level at which the low-noise expert takes over (Wan2.2 I2V); equals the published split, 2 steps of 4 each."""


@dataclass(frozen=True)
class Schedule:
    """Steps, shift of the noise levels and guidance scales of the two experts."""

    steps: int
    shift: float
    guidance_scale: float
    guidance_scale_2: float
    solver: Literal["euler", "unipc"]


DISTILLED = Schedule(steps=4, shift=8.0, guidance_scale=1.6, guidance_scale_2=1.6, solver="euler")
"""As published, with the four-step LoRA of the base below the orbit LoRA."""

PLAIN = Schedule(steps=40, shift=5.0, guidance_scale=3.5, guidance_scale_2=3.5, solver="unipc")
"""Without a four-step LoRA: as the base model itself is run."""


def unshifted(steps: int) -> NDArray[np.float64]:
    """Noise levels u [steps] before the shift, of ComfyUI's scheduler "simple": 1, ..., 1 / steps.

    shift u / (1 + (shift - 1) u) are those of the model: 1, 0.96, 0.888889, 0.727273 for four steps at shift 8. Where
    1000 is not a multiple of ``steps`` the published program has u rounded down to thousandths.

    Raises:
        InputError: fewer than one step.
    """
    if steps < 1:
        raise InputError(f"num_inference_steps: found {steps}, expected at least 1")
    return np.linspace(1.0, 1.0 / steps, steps)


View = Literal["front", "side", "rear", "left", "right"]
Direction = Literal["left", "right", "both"]

_DIRECTIONS = {
    "left": "camera circles right to left",
    "right": "camera circles left to right",
    "both": "camera orbits left and right",
}
_VIEWS = ("front", "side", "rear", "left", "right")
_SHOTS = ("full", "long", "medium", "eye-level", "wide")


def orbit_prompt(
    subject: str,
    *,
    view: View = "front",
    direction: Direction = "both",
    shot: Literal["full", "long", "medium", "eye-level", "wide"] = "medium",
    scene: str | Sequence[str] = (),
) -> str:
    """A prompt in the words of the captions the LoRAs were trained on: view, path of the camera, shot and scene.

    The subject stands still and the camera goes round it; say so of anything that might move by itself.

    Args:
        subject: what is orbited, such as "a car".
        view: the side seen in the first frame.
        direction: the way the camera goes, as seen from itself.
        scene: where it stands, such as "building exterior".

    Raises:
        InputError: an empty subject, or a word the captions do not have.
    """
    if not subject.strip():
        raise InputError("subject: found nothing, expected what the camera goes round, such as 'a car'")
    for name, value, known in (("view", view, _VIEWS), ("direction", direction, _DIRECTIONS), ("shot", shot, _SHOTS)):
        if value not in known:
            raise InputError(f"{name}: found {value!r}, expected one of {', '.join(known)}")
    scenes = [scene] if isinstance(scene, str) else list(scene)
    words = [f"static {view} view of {subject.strip()}", _DIRECTIONS[direction], f"{shot} shot", *scenes]
    return ", ".join(word.strip() for word in words if word.strip())
