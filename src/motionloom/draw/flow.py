"""Motion as Tora sees it, in flow colours: hue for the direction, saturation for the speed; and Tora's own overlay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from motionloom.draw.overlay import fitted
from motionloom.errors import InputError
from motionloom.tracks.tracks import Tracks

if TYPE_CHECKING:
    from motionloom.media import Clip
    from motionloom.tracks.motion import Motion

LEGEND = 0.18
"""Diameter of the legend's wheel, as a share of the picture's short side."""

# Of Tora's ``draw_points``: RGB, pixels, and how much of the line shows.
_LINE, _LINE_WIDTH, _LINE_OPACITY = (255, 1, 1), 2, 0.7
_DOT, _DOT_RADIUS = (160, 230, 100), 3


def draw_flow(
    motion: Motion | Tracks,
    picture: Clip | NDArray[np.uint8] | None = None,
    *,
    size: tuple[int, int] | None = None,
    num_frames: int | None = None,
    scale_blob: bool = False,
    legend: bool = False,
) -> Clip:
    """The flow colours of a motion: on white exactly what Tora is given; or over a clip or a photograph.

    Args:
        motion: a motion, compiled; or tracks, scaled and resampled.
        picture: a clip, an image uint8 [H, W, 3], or frames uint8 [T, H, W, 3]; shows where nothing moves. None is
            white.
        size, num_frames: without a picture, (height, width) and frames; default those of the motion.
        scale_blob: see `motionloom.methods.tora.flow.flow_video`.
        legend: a wheel in the corner, which shows the colour of each direction.

    Raises:
        InputError: the picture is not usable, or comes with a size or a number of frames of its own.
    """
    from motionloom.media import Clip

    if picture is None:
        tracks = _tracks(motion, size, num_frames)
        frames, below = None, {}
    elif size is not None or num_frames is not None:
        raise InputError("picture: has a size and frames of its own; leave size and num_frames out, or the picture")
    else:
        frames, tracks, below = fitted(picture, motion)
    drawn = _colours(tracks, scale_blob)
    if frames is not None:
        for t in range(tracks.num_frames):
            drawn[t] = _over(drawn[t], frames[min(t, len(frames) - 1)])
    if legend:
        _add_legend(drawn)
    return Clip(drawn, tracks.fps, {"drawn_on": below} if below else {})


def draw_flow_paths(
    image: NDArray[np.uint8], motion: Motion | Tracks, *, scale_blob: bool = False, legend: bool = True
) -> NDArray[np.uint8]:
    """The flow of all frames on one picture: uint8 [H, W, 3], each pixel as in the frame in which it moves fastest.

    Args, Raises: see `draw_flow`.
    """
    image = np.asarray(image)
    if image.ndim != 3:
        raise InputError(f"image: found shape {image.shape}, expected [H, W, 3]")
    frames, tracks, _ = fitted(image, motion)
    fastest = np.full_like(frames[0], 255)
    for colours in _colours(tracks, scale_blob):
        faster = _speed(colours) > _speed(fastest)
        fastest[faster] = colours[faster]
    drawn = _over(fastest, frames[0])
    if legend:
        _add_legend(drawn[None])
    return drawn


def draw_tora(picture: Clip | NDArray[np.uint8], motion: Motion | Tracks) -> Clip:
    """The overlay that Tora's program saves beside its videos: whole ways in red, and a green dot that follows them.

    For comparison with its results; `draw` shows more. Whether a point is visible makes no difference to it.

    Args, Raises: see `draw`.
    """
    from motionloom.media import Clip

    frames, tracks, below = fitted(picture, motion)
    # Whole pixels, and far outside OpenCV would overflow.
    points = np.clip(np.trunc(tracks.points), -32768, 32767).astype(np.int32)
    ways = list(np.ascontiguousarray(points.transpose(1, 0, 2)))
    drawn = np.empty((tracks.num_frames, *frames.shape[1:]), np.uint8)
    for t in range(tracks.num_frames):
        frame = frames[min(t, len(frames) - 1)]
        lines = cv2.polylines(frame.copy(), ways, False, _LINE, _LINE_WIDTH) if ways else frame
        drawn[t] = cv2.addWeighted(lines, _LINE_OPACITY, frame, 1 - _LINE_OPACITY, 0)
        for point in points[t].tolist():
            cv2.circle(drawn[t], point, _DOT_RADIUS, _DOT, -1)
    return Clip(drawn, tracks.fps, {"drawn_on": below} if below else {})


def _tracks(motion: Motion | Tracks, size: tuple[int, int] | None, num_frames: int | None) -> Tracks:
    if not isinstance(motion, Tracks):
        return motion.compile(size=size, num_frames=num_frames)
    tracks = motion.resize(size) if size is not None else motion
    return tracks.resample(num_frames) if num_frames is not None else tracks


def _colours(tracks: Tracks, scale_blob: bool) -> NDArray[np.uint8]:
    """[T, H, W, 3] on white."""
    from motionloom.methods.tora.flow import flow_video

    video = flow_video(tracks.points, tracks.visible, tracks.size, scale_blob=scale_blob)
    return np.ascontiguousarray(video.numpy().transpose(0, 2, 3, 1))


def _speed(colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """0 to 255: every hue of the wheel has a channel that is empty at full speed and full at none."""
    return 255 - colours.min(-1)


def _over(colours: NDArray[np.uint8], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Flow colours with a picture in the place of white: opaque where it is fastest, and slower parts still seen."""
    drawn = picture.copy()
    speed = _speed(colours)
    rows, columns = np.flatnonzero(speed.any(axis=1)), np.flatnonzero(speed.any(axis=0))
    if not len(rows):
        return drawn
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    share = speed[box].astype(np.float32)[..., None] / 255
    # 254 is what a colour that is no more than rounding looks like.
    share[share < 1.5 / 255] = 0.0
    hue = 255 - (255 - colours[box].astype(np.float32)) / np.maximum(share, 1 / 255)
    opacity = np.sqrt(share)
    drawn[box] = np.rint(opacity * np.clip(hue, 0, 255) + (1 - opacity) * picture[box]).astype(np.uint8)
    return drawn


def _add_legend(frames: NDArray[np.uint8]) -> None:
    """A wheel into the lower right corner of frames [T, H, W, 3]: from white in the middle, outward as things go."""
    from motionloom.methods.tora.flow import flow_colours

    radius = round(LEGEND * min(frames.shape[1:3]) / 2)
    if radius < 4:
        return
    away = np.arange(-radius, radius + 1, dtype=np.float32)
    flow = np.stack(np.meshgrid(away, away))
    distance = np.hypot(*flow)
    wheel = flow_colours(np.where(distance <= radius, flow, 0)).numpy().transpose(1, 2, 0)
    wheel = wheel * (distance < radius - 1)[..., None].astype(np.uint8)  # a dark rim
    gap = max(2, radius // 4)
    corner = frames[:, -gap - len(wheel) : -gap, -gap - len(wheel) : -gap]
    corner[:, distance <= radius] = wheel[distance <= radius]
