"""What Tora sees of a motion: a video of flow colours, made from trajectories or from dense flow.

Source: alibaba/Tora, ``diffusers-version/tora/traj_utils.py`` (inference) and ``sat/train_video.py`` (training), with
the colours of Baker et al. 2007 (Middlebury) as ``torchvision.utils.flow_to_image`` has them. In three steps:

1. where a trajectory is at frame i stands, in frame i + 1, how far it goes from there (`displacements`);
2. a Gaussian of height 1 spreads this around, and overlapping ones add up (`blurred`);
3. direction becomes hue and speed saturation, white for none; full colour is the fastest place (`flow_colours`).

`flow_video` does all three, frame by frame, and only where something moves (`motionloom.methods.tora.blob`).

Shapes: T frames, N trajectories, K displacements, H W pixels. Flow is (x, y) in pixels from a frame to the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from motionloom.errors import InputError
from motionloom.methods.tora.blob import BAND, Blob, Blur
from motionloom.methods.tora.colours import ColourWheel

Normalisation = Literal["inference", "training"]
"""Where the published programs differ. "inference": full colour is the fastest place of the clip, and blobs are
mirrored at the border. "training": of every few frames, and nothing lies beyond the border."""

TRAINED_SIZE = (480, 720)
"""(height, width) that the checkpoints were trained at, and that `Blob` is meant for."""
TRAINED_SPACING = 32
"""Pixels between the points of the grid that training chose its trajectories from."""
CHUNK = 2
"""Frames that share a maximum in training: max(T // 20, 1) there, with T = 49 frames."""
FARTHEST = 1e9  # pixels; squares of sums of these are still float32


@dataclass(frozen=True)
class Displacements:
    """How far things go from where they are, sorted by frame, row and column; zero everywhere else.

    Attributes:
        num_frames, size: T and (height, width) of the clip.
        frame, row, column: int64 [K]; the frame that things arrive in, the pixel that they come from.
        value: float32 [K, 2], (x, y) in pixels.
    """

    num_frames: int
    size: tuple[int, int]
    frame: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float32]

    def at(self, frame: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
        """Rows, columns and values of one frame."""
        part = slice(*np.searchsorted(self.frame, [frame, frame + 1]))
        return self.row[part], self.column[part], self.value[part]


def flow_video(
    points: ArrayLike | Tensor,
    visible: ArrayLike | Tensor,
    size: tuple[int, int],
    *,
    normalisation: Normalisation = "inference",
    scale_blob: bool = False,
    whole_pixels: bool = False,
    chunk: int = CHUNK,
    blob: Blob | None = None,
) -> Tensor:
    """The flow colours of trajectories, as the checkpoints expect them: uint8 [T, 3, H, W].

    Args:
        points: [T, N, 2], (x, y) in pixels of ``size``, continuous: a point lies in the pixel that holds it.
        visible: bool [T, N]. A step counts where both of its ends are visible and its source is on the canvas.
        size: (height, width).
        normalisation: see `Normalisation`.
        scale_blob: blobs as large for ``size`` as the published ones are for 480x720; off, they are 10 pixels at any
            size, as published.
        whole_pixels: positions are cut to whole pixels first, as the published program does.
        chunk: frames that share a maximum in "training".
        blob: another one than the published.

    Raises:
        InputError: shapes that disagree, values that are not numbers, no frame, or an unknown normalisation.
    """
    _check(normalisation, chunk)
    moves = displacements(points, visible, size, whole_pixels=whole_pixels)
    blur = Blur(moves.size, _chosen(blob, scale_blob, moves.size), normalisation == "inference")
    wheel = ColourWheel(BAND * moves.size[1])
    video = np.full((moves.num_frames, 3, *moves.size), 255, np.uint8)
    for frames in _chunks(moves.num_frames, normalisation, chunk):
        boxes = [(t, box) for t in frames for box in blur.boxes(*moves.at(t)[:2])]
        largest = max(
            (wheel.fastest(flow) for t, box in boxes for _, flow in blur.bands(*moves.at(t), box)), default=0.0
        )
        for t, box in boxes:
            # Once more, which is cheaper than to keep the flow of all frames.
            for band, flow in blur.bands(*moves.at(t), box):
                wheel.paint(flow, largest, video[t][(slice(None), *band.slices)])
    return torch.from_numpy(video)


def displacements(
    points: ArrayLike | Tensor, visible: ArrayLike | Tensor, size: tuple[int, int], *, whole_pixels: bool = False
) -> Displacements:
    """The steps of trajectories at their sources. Where two have one source in a frame, the later trajectory counts.

    Args, Raises: see `flow_video`.
    """
    height, width = _checked_size(size)
    place, seen = _checked(points, visible)
    if whole_pixels:
        place = np.trunc(place)
    source, step = place[:-1], place[1:] - place[:-1]
    inside = ((source >= 0) & (source < (width, height))).all(-1)
    frame, track = np.nonzero(seen[:-1] & seen[1:] & inside)
    column, row = source[frame, track].astype(np.int64).T
    pixel = (frame * height + row) * width + column
    # `np.nonzero` went through the trajectories in order: from behind, the first at a pixel is the one that counts.
    last = len(pixel) - 1 - np.unique(pixel[::-1], return_index=True)[1]
    value = step[frame, track].astype(np.float32)
    last = last[value[last].any(-1)]
    return Displacements(len(place), (height, width), frame[last] + 1, row[last], column[last], value[last])


def blurred(
    moves: Displacements,
    *,
    normalisation: Normalisation = "inference",
    scale_blob: bool = False,
    blob: Blob | None = None,
) -> Tensor:
    """The flow that displacements mean, float32 [T, H, W, 2]. `flow_video` never holds so much at once.

    Args: see `flow_video`.
    """
    _check(normalisation, CHUNK)
    blur = Blur(moves.size, _chosen(blob, scale_blob, moves.size), normalisation == "inference")
    flow = np.zeros((moves.num_frames, *moves.size, 2), np.float32)
    for t in range(moves.num_frames):
        for box in blur.boxes(*moves.at(t)[:2]):
            for band, part in blur.bands(*moves.at(t), box):
                flow[t][band.slices] = np.moveaxis(part, 0, -1)
    return torch.from_numpy(flow)


def flow_colours(flow: ArrayLike | Tensor, *, normalisation: Normalisation = "inference", chunk: int = CHUNK) -> Tensor:
    """Colours uint8 [T, 3, H, W] of flow [T, 2, H, W] in pixels; or [3, H, W] of one frame [2, H, W].

    Raises:
        InputError: another shape, or values that are not numbers.
    """
    _check(normalisation, chunk)
    # NumPy has no bfloat16.
    values = np.asarray(flow.detach().float().cpu() if isinstance(flow, Tensor) else flow, np.float32)
    if values.ndim not in (3, 4) or values.shape[-3] != 2:
        raise InputError(f"flow: found shape {values.shape}, expected [T, 2, H, W]")
    if not np.isfinite(values).all():
        raise InputError("flow: found values that are not finite numbers")
    clip = values[None] if values.ndim == 3 else values
    height, width = clip.shape[-2:]
    video = np.empty((len(clip), 3, height, width), np.uint8)
    wheel = ColourWheel(BAND * width)
    bands = [slice(start, min(start + BAND, height)) for start in range(0, height, BAND)]
    for frames in _chunks(len(clip), normalisation, chunk):
        largest = max((wheel.fastest(clip[t, :, band]) for t in frames for band in bands), default=0.0)
        for t in frames:
            for band in bands:
                wheel.paint(clip[t, :, band], largest, video[t, :, band])
    return torch.from_numpy(video[0] if values.ndim == 3 else video)


def dense_flow_video(
    flow: ArrayLike | Tensor, *, normalisation: Normalisation = "training", chunk: int = CHUNK
) -> Tensor:
    """Colours uint8 [T, 3, H, W] of all flow [T - 1, 2, H, W] between the frames of a clip; the first frame is white.

    What the first stage of Tora's training is conditioned on. Raises: see `flow_colours`.
    """
    values = torch.as_tensor(np.asarray(flow) if not isinstance(flow, Tensor) else flow)
    if values.ndim != 4 or values.shape[1] != 2:
        raise InputError(f"flow: found shape {tuple(values.shape)}, expected [T - 1, 2, H, W]")
    still = values.new_zeros(1, *values.shape[1:])
    return flow_colours(torch.cat([still, values]), normalisation=normalisation, chunk=chunk)


def _chunks(num_frames: int, normalisation: Normalisation, chunk: int) -> list[range]:
    """Frames that share a maximum."""
    length = num_frames if normalisation == "inference" else chunk
    return [range(start, min(start + length, num_frames)) for start in range(0, num_frames, max(1, length))]


def _chosen(blob: Blob | None, scale_blob: bool, size: tuple[int, int]) -> Blob:
    blob = blob or Blob()
    return blob.scaled(min(size[0] / TRAINED_SIZE[0], size[1] / TRAINED_SIZE[1])) if scale_blob else blob


def _check(normalisation: str, chunk: int) -> None:
    if normalisation not in get_args(Normalisation):
        raise InputError(f"normalisation: found {normalisation!r}, expected 'inference' or 'training'")
    if chunk < 1:
        raise InputError(f"chunk: found {chunk}, expected one frame or more")


def _checked_size(size: tuple[int, int]) -> tuple[int, int]:
    if len(size) != 2 or not all(int(side) == side and side > 0 for side in size):
        raise InputError(f"size: found {size}, expected (height, width) in whole pixels above zero")
    return int(size[0]), int(size[1])


def _checked(points: ArrayLike | Tensor, visible: ArrayLike | Tensor) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    place = np.asarray(points.detach().cpu() if isinstance(points, Tensor) else points, np.float64)
    seen = np.asarray(visible.detach().cpu() if isinstance(visible, Tensor) else visible)
    if place.ndim != 3 or place.shape[-1] != 2 or not len(place):
        raise InputError(f"points: found shape {place.shape}, expected [T, N, 2] with at least one frame")
    if seen.shape != place.shape[:2]:
        raise InputError(f"visible: found shape {seen.shape}, expected {place.shape[:2]} to match points")
    if not (np.abs(place) <= FARTHEST).all():
        frame, track, _ = np.argwhere(~(np.abs(place) <= FARTHEST))[0]
        raise InputError(
            f"points: found {place[frame, track].tolist()} at frame {frame}, track {track}, expected pixels; mark "
            "points you do not know as not visible and give them any position"
        )
    return place, seen.astype(bool)
