"""Numbers for generated clips."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from motionloom.evaluate.sample import ImageSource
    from motionloom.media import Clip
    from motionloom.tracks.motion import Motion
    from motionloom.tracks.tracks import Tracks


def evaluate(
    clip: Clip | str | os.PathLike[str],
    motion: Motion | Tracks | str | os.PathLike[str] | None = None,
    *,
    reference: Clip | str | os.PathLike[str] | None = None,
    first_image: ImageSource | None = None,
    last_image: ImageSource | None = None,
    masks: NDArray[np.bool_] | str | os.PathLike[str] | None = None,
    box: tuple[float, float, float, float] | None = None,
    prompt: str | None = None,
    metrics: Sequence[str] = ("core",),
    weights: Mapping[str, Path] | None = None,
    device: str = "cpu",
) -> dict[str, float | None]:
    """Numbers for one clip: how well it moves as drawn, how like the true video it is, how steady and how sharp.

    Args:
        clip: generated, or a video file; a long file is read window by window.
        motion: what was asked for, or a file of it; fitted to the clip's size, frames and rate. A file that motionloom
            made knows its own, as it does its prompt and photographs.
        reference: the true video, for what compares with it.
        first_image, last_image: the photographs the clip should begin and end with.
        masks: where the subject is, bool [T, H, W], or a file of that (.npy), or a folder of PNGs.
        box: (x0, y0, x1, y1) of the subject on the first frame, pixels of the clip.
        prompt: what was asked for in words, for CLIPSIM.
        metrics: names of metrics or of bundles: "core" needs no network, "features" does.
        weights: places of networks by name; see `motionloom.evaluate.published_weights.WEIGHTS`.
        device: where networks run.

    Returns:
        Values by name, in pixels of the clip where they are lengths. A number that cannot be computed, such as the
        error of a motion without a track, is None; `motionloom.evaluate.suite.measure` also says why, and what each
        number is a mean of. The offline tracker has an error of its own, on textured clips about 0.1 pixel: smaller
        differences of EPE mean nothing.

    Raises:
        FileFormatError: a file is missing or cannot be read.
        InputError: an unknown metric or device, or a box that is none.
    """
    from motionloom.evaluate.collect import sample_of
    from motionloom.evaluate.evidence import Tools
    from motionloom.evaluate.suite import measure

    known = {"motion": motion, "reference": reference, "first_image": first_image, "last_image": last_image}
    sample = sample_of("clip", clip, {**known, "masks": masks, "box": box, "prompt": prompt})
    found = measure(sample, Tools(device=device, weights=weights), metrics=metrics)
    return {measurement.name: measurement.value for measurement in found}
