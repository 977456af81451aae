"""The size of the video for a photograph, as the published Wan programs choose it."""

from __future__ import annotations

import math

from motionloom.errors import InputError


def size_for_area(image_size: tuple[int, int], max_area: int, multiple: int = 16) -> tuple[int, int]:
    """The (height, width) of the video for an image of (height, width): its aspect, about ``max_area`` pixels.

    Floors the square roots as they come, so 832x480 at 480 * 832 gives 832x464, as in `WanATI.generate`. ``multiple``
    is the VAE's stride in space times the transformer's patch, 16 for Wan 2.1.

    Raises:
        InputError: a size below one pixel, or an area too small for one latent patch.
    """
    height, width = image_size
    if height < 1 or width < 1:
        raise InputError(f"image_size: found {image_size}, expected (height, width) of at least one pixel")
    aspect = height / width
    stride = multiple // 2
    latent = [int(math.sqrt(side) // stride // 2 * 2) for side in (max_area * aspect, max_area / aspect)]
    if min(latent) < 1:
        raise InputError(f"max_area: {max_area} pixels are too few for an image of {width}x{height}")
    return latent[0] * stride, latent[1] * stride
