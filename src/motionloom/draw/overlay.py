"""Motion drawn over a clip or a photograph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from motionloom.draw.pen import Colour, Pen, Style
from motionloom.errors import InputError
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.media import Clip
    from motionloom.tracks.motion import Motion


def draw(
    picture: Clip | NDArray[np.uint8],
    motion: Motion | Tracks,
    *,
    trail: float | None = 1.25,
    colours: Sequence[Colour] | None = None,
    style: Style | None = None,
) -> Clip:
    """Motion drawn over a clip, or over a photograph that stands still.

    Args:
        picture: a clip, or an image uint8 [H, W, 3], or frames uint8 [T, H, W, 3].
        motion: a motion, compiled for the clip; or tracks, scaled to it and resampled onto its frames.
        trail: seconds that a point leaves a fading trail for; None keeps the whole way, 0 draws points alone.
        colours: RGB per track; default `PALETTE`, beyond it a rainbow across the places where tracks begin.
        style: see `Style`.

    Returns:
        A clip as long as the one given (as the motion, for a photograph). What its provenance tells about the clip
        below it is kept under "drawn_on".

    Raises:
        InputError: the picture, colours or trail are not usable.
    """
    frames, tracks, below = fitted(picture, motion)
    if trail is not None and not (np.isfinite(trail) and trail >= 0):
        raise InputError(f"trail: found {trail}, expected seconds, zero or more, or None for the whole way")
    length = tracks.num_frames if trail is None else round(trail * tracks.fps)
    pen = Pen(tracks, style or Style(), colours)
    drawn = np.empty((tracks.num_frames, *frames.shape[1:]), np.uint8)
    for t in range(tracks.num_frames):
        drawn[t] = pen.frame(frames[min(t, len(frames) - 1)], t, length)
    from motionloom.media import Clip

    return Clip(drawn, tracks.fps, {"drawn_on": below} if below else {})


def draw_paths(
    image: NDArray[np.uint8],
    motion: Motion | Tracks,
    *,
    colours: Sequence[Colour] | None = None,
    style: Style | None = None,
) -> NDArray[np.uint8]:
    """The whole way of every track on one picture, a dot at its start and an arrow head at its end: uint8 [H, W, 3].

    Args, Raises: see `draw`.
    """
    image = np.asarray(image)
    if image.ndim != 3:
        raise InputError(f"image: found shape {image.shape}, expected [H, W, 3]")
    frames, tracks, _ = fitted(image, motion)
    return Pen(tracks, style or Style(), colours).still(frames[0])


def fitted(
    picture: Clip | NDArray[np.uint8], motion: Motion | Tracks
) -> tuple[NDArray[np.uint8], Tracks, dict[str, Any]]:
    """Frames [T, H, W, 3] (one for a photograph), tracks that fit them, and the clip's provenance."""
    frames = np.asarray(getattr(picture, "frames", picture))
    still = frames.ndim == 3
    if still:
        frames = frames[None]
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != np.uint8 or 0 in frames.shape:
        raise InputError(f"picture: found {frames.dtype} {frames.shape}, expected uint8 [H, W, 3] or [T, H, W, 3]")
    size = (frames.shape[1], frames.shape[2])
    fps = getattr(picture, "fps", None)
    if isinstance(motion, Tracks):
        tracks = motion.resize(size)
        if not still and tracks.num_frames != len(frames):
            tracks = tracks.resample(len(frames))
        if fps is not None:
            tracks = Tracks(tracks.points, tracks.visible, size, fps)
    else:
        tracks = motion.compile(size=size, num_frames=None if still else len(frames), fps=fps)
    return frames, tracks, dict(getattr(picture, "provenance", {}))
