"""Clips, and reading and writing images and video.

Shapes: frames are uint8 [T, H, W, 3] RGB, an image is uint8 [H, W, 3] RGB.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Clip:
    """Frames of a video with their rate and provenance.

    Args:
        frames: uint8 [T, H, W, 3] RGB.
        fps: frames per second.
        provenance: everything needed to make the clip again (JSON values only); empty for a clip that was read.
    """

    frames: NDArray[np.uint8]
    fps: float
    provenance: dict[str, Any] = field(default_factory=dict)
