"""A picture that slides: clips whose motion is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from motionloom.tracks.tracks import Tracks

SIZE, FRAMES, FPS = (64, 96), 5, 8.0


def sliding(picture: NDArray[np.uint8], per_frame: int, frames: int = FRAMES) -> NDArray[np.uint8]:
    """The picture moved to the right, what leaves coming in at the left."""
    return np.stack([np.roll(picture, per_frame * t, axis=1) for t in range(frames)])


def sliding_tracks(per_frame: float, frames: int = FRAMES) -> Tracks:
    start = np.array([[30, 20], [40, 40], [50, 30]], np.float32)
    tracks = Tracks(np.repeat(start[None], frames, 0), np.ones((frames, 3), bool), SIZE, FPS)
    return tracks.translate(per_frame=(per_frame, 0))
