"""A video to be measured, with all that was asked of it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from motionloom.media import Clip
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

VideoSource = Clip | str | os.PathLike[str]
ImageSource = NDArray[np.uint8] | str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class Sample:
    """A generated video and what it is measured against; what is None is not known, and metrics that need it say so.

    Attributes:
        name: of the case, unique among those of one run together with ``seed``.
        video: what was generated.
        motion: what was asked for, on any canvas and with any number of frames.
        prompt: what was asked for in words.
        first_image, last_image: the photographs it should begin and end with.
        reference: the true video.
        masks: where the subject is in ``video``, bool [T, H, W]; or a file of that (.npy), or a folder of PNGs.
        box: (x0, y0, x1, y1) of the subject on the first frame, pixels of the video.
        category: kind of motion, for averages of their own.
        seed: the video was made with.
        by_frame: frame i of ``motion`` belongs to frame i of ``video``, whatever their rates say. Files of other
            programs hold no rate; what motionloom makes is compared by time.
    """

    name: str
    video: VideoSource
    motion: Tracks | Motion | None = None
    prompt: str | None = None
    first_image: ImageSource | None = None
    last_image: ImageSource | None = None
    reference: VideoSource | None = None
    masks: NDArray[np.bool_] | Path | None = None
    box: tuple[float, float, float, float] | None = None
    category: str | None = None
    seed: int | None = None
    by_frame: bool = False
