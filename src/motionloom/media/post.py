"""Post-processing of frames: denoise, sharpen, and frames in between.

Every step looks at a frame and its neighbours; the frames that come in are never changed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.errors import InputError
from motionloom.media.flow import between, fetch, flow_both_ways, optical_flow

Frames = NDArray[np.uint8]
Progress = Callable[[int, int], Any]

# Name: default, least, most, meaning.
STEPS: dict[str, tuple[float, float, float, str]] = {
    "denoise": (4.0, 0.5, 50.0, "noise to take out, in grey levels of 255"),
    "sharpen": (0.5, 0.0, 3.0, "how much of the fine detail to add"),
    "interpolate": (2, 2, 8, "whole number of times the frame rate"),
}

_HALO = 4.0  # grey levels that sharpening may go beyond the brightest and darkest pixel around


@dataclass(frozen=True)
class PostStep:
    """One step and its amount, see `STEPS`.

    Raises:
        InputError: an unknown step, or an amount out of its range.
    """

    name: str
    amount: float

    def __post_init__(self) -> None:
        if self.name not in STEPS:
            raise InputError(f"post: found step {self.name!r}, expected {', '.join(STEPS)}")
        _, least, most, meaning = STEPS[self.name]
        if not (math.isfinite(self.amount) and least <= self.amount <= most):
            raise InputError(f"post: {self.name}={self.amount:g}, expected {least:g} to {most:g} ({meaning})")
        if self.name == "interpolate" and self.amount % 1:
            raise InputError(f"post: interpolate={self.amount:g}, expected a whole number such as 2 or 4")

    def __str__(self) -> str:
        return f"{self.name}={self.amount:g}"


def parse_post(text: str) -> tuple[PostStep, ...]:
    """Steps in the order they are applied, as "denoise,sharpen=0.5,interpolate=2"; an empty text is no step.

    Raises:
        InputError: what is not a step, an amount that is no number or out of range, or the same step twice.
    """
    steps: list[PostStep] = []
    for part in text.split(",") if text.strip() else []:
        name, given, amount = (each.strip() for each in part.partition("="))
        if name not in STEPS:
            raise InputError(f"post: found {part.strip()!r} in {text!r}, expected {', '.join(STEPS)}")
        try:
            value = float(amount) if given else STEPS[name][0]
        except ValueError:
            raise InputError(f"post: found {part.strip()!r}, expected a number after {name}=") from None
        if any(step.name == name for step in steps):
            raise InputError(f"post: {name} is given twice in {text!r}")
        steps.append(PostStep(name, value))
    return tuple(steps)


def postprocess(
    frames: Frames, steps: Sequence[PostStep], fps: float, *, on_progress: Progress | None = None
) -> tuple[Frames, float]:
    """Frames after all steps, and their rate.

    Args:
        frames: uint8 [T, H, W, 3]; not changed, and returned itself where there is no step.
        steps: in the order to apply them; `parse_post` makes them from a text.
        on_progress: called with (frames done, frames in all), over all steps; what it raises ends the work.

    Returns:
        uint8 [T', H, W, 3] and frames per second. T' = n (T - 1) + 1 at n times the rate after "interpolate=n", so
        that every given frame stays at its moment; otherwise both as given.

    Raises:
        InputError: not such frames.
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[-1] != 3 or 0 in frames.shape:
        raise InputError(f"frames: found {frames.dtype} {list(frames.shape)}, expected uint8 [T, H, W, 3]")
    counts: list[int] = []
    count = len(frames)
    for step in steps:
        count = _count_after(step, count)
        counts.append(count)
    done, total = 0, sum(counts)
    for step, count in zip(steps, counts, strict=True):
        out = np.empty((count, *frames.shape[1:]), np.uint8)
        for index, frame in enumerate(_APPLY[step.name](frames, step.amount)):
            out[index] = frame
            done += 1
            if on_progress is not None:
                on_progress(done, total)
        frames = out
        if step.name == "interpolate":
            fps *= step.amount
    return frames, fps


def denoise(frames: Frames, noise: float) -> Iterator[Frames]:
    """Frames without noise of a standard deviation of ``noise`` grey levels; edges are kept.

    The frames before and after are brought onto each frame along the optical flow and averaged with it where they show
    the same, which also calms flicker; what is left is smoothed by a bilateral filter (Tomasi and Manduchi 1998).
    """
    variance = np.float32(noise**2)
    for index, frame in enumerate(frames):
        now = frame.astype(np.float32)
        mixed, total = now.copy(), np.ones((*now.shape[:2], 1), np.float32)
        for other in (index - 1, index + 1):
            if not 0 <= other < len(frames):
                continue
            moved = fetch(frames[other], optical_flow(frame, frames[other], blur=1.0, coarse=True))
            difference = cv2.GaussianBlur(np.square(moved - now).mean(-1), (0, 0), 1.5)
            # Two noisy pixels of the same thing differ by twice the variance; only what is above that counts against.
            weight = np.exp(-np.maximum(difference - 2 * variance, 0) / (2 * variance))[..., None]
            mixed += weight * moved
            total += weight
        smooth = cv2.bilateralFilter(mixed / total, 5, 2.0 * noise, 1.5)
        yield np.clip(np.rint(smooth), 0, 255).astype(np.uint8)


def sharpen(frames: Frames, amount: float) -> Iterator[Frames]:
    """Frames with ``amount`` times their fine detail (what a Gaussian of 1 pixel takes away) added.

    On brightness only, so that colours stay; the brightness goes at most `_HALO` grey levels beyond what the 3 x 3
    pixels around have, so that edges get steeper but no halo.
    """
    around = np.ones((3, 3), np.uint8)
    for frame in frames:
        light = cv2.cvtColor(frame.astype(np.float32), cv2.COLOR_RGB2GRAY)
        sharp = light + amount * (light - cv2.GaussianBlur(light, (0, 0), 1.0))
        sharp = np.clip(sharp, cv2.erode(light, around) - _HALO, cv2.dilate(light, around) + _HALO)
        yield np.clip(np.rint(frame + (sharp - light)[..., None]), 0, 255).astype(np.uint8)


def interpolate(frames: Frames, times: float) -> Iterator[Frames]:
    """The given frames bit for bit, and ``times`` - 1 new ones between each two, along the optical flow."""
    count = int(times)
    for index, frame in enumerate(frames):
        yield frame
        if index + 1 == len(frames):
            return
        after = frames[index + 1]
        if np.array_equal(frame, after):
            yield from [frame] * (count - 1)
            continue
        there, back = flow_both_ways(frame, after)
        for step in range(1, count):
            yield between(frame, after, there, back, step / count)


_APPLY: dict[str, Callable[[Frames, float], Iterator[Frames]]] = {
    "denoise": denoise,
    "sharpen": sharpen,
    "interpolate": interpolate,
}


def _count_after(step: PostStep, count: int) -> int:
    return int(step.amount) * (count - 1) + 1 if step.name == "interpolate" else count
