"""Warp with the call of a model's pipeline, so that it can stand wherever a model stands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.methods.warp.warp import Fill, warp

if TYPE_CHECKING:
    from motionloom.methods.warp.matte import Matting
    from motionloom.tracks.layers import Layer
    from motionloom.tracks.tracks import Tracks


class WarpPipeline:
    """The geometric model as a callable.

    Args:
        fill, matting: see `warp`.
    """

    def __init__(self, *, fill: Fill = "patch", matting: Matting = "refine") -> None:
        self.fill: Fill = fill
        self.matting: Matting = matting

    def __call__(
        self,
        image: NDArray[np.uint8],
        tracks: Tracks | None = None,
        layers: Sequence[Layer] | None = None,
        num_frames: int | None = None,
        height: int | None = None,
        width: int | None = None,
        strength: float = 1.0,
        on_progress: Callable[[int, int], Any] | None = None,
    ) -> NDArray[np.uint8]:
        """uint8 [T, height, width, 3]. The image is scaled to the size asked for (None keeps its own), axis by axis.

        ``on_progress(step, total)`` is called per frame; what it raises ends the run.

        Raises:
            InputError: see `warp`.
        """
        size = (width or image.shape[1], height or image.shape[0])
        if size != (image.shape[1], image.shape[0]):
            shrinks = size[0] * size[1] < image.shape[0] * image.shape[1]
            image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC).astype(
                np.uint8
            )
        return warp(
            image,
            tracks,
            layers=layers,
            num_frames=num_frames,
            strength=strength,
            fill=self.fill,
            matting=self.matting,
            on_progress=on_progress,
        )
