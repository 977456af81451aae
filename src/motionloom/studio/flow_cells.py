"""Where in its latent video Tora is shown motion: the cells under the coloured blobs of its flow video."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from motionloom.models.clip_shape import ClipShape
    from motionloom.tracks.tracks import Tracks

SEEN = 0.1
"""Share of full colour from which a cell counts: below, a blob is hardly told from the white around it."""
_PER_CELL = 2  # pixels along a cell: the blobs are far wider, and a sixteenth of the pixels is worked out


def flow_cells(tracks: Tracks, shape: ClipShape, options: Mapping[str, Any]) -> tuple[list[list[int]], list[int]]:
    """Cells that show motion in each latent frame, and those on the first frame that moving tracks start in, as flat
    indices (row * columns + column). The first latent frame holds no flow.

    Args:
        tracks: on the clip's size, on frames that fill their latent frames.
        options: of the method.
    """
    import torch

    from motionloom.methods.tora.flow import TRAINED_SIZE, Blob, flow_video

    time, pixels = shape.strides
    height, width = tracks.size
    rows, columns, frames = height // pixels, width // pixels, (tracks.num_frames - 1) // time + 1
    scale = _PER_CELL / pixels
    blob = Blob()
    if options.get("scale_blob"):
        blob = blob.scaled(min(height / TRAINED_SIZE[0], width / TRAINED_SIZE[1]))
    video = flow_video(
        tracks.points * scale,
        tracks.visible,
        (rows * _PER_CELL, columns * _PER_CELL),
        normalisation=options.get("flow_normalisation", "inference"),
        blob=blob.scaled(scale),
    )
    colour = (255 - video.amin(1))[None, 1:].float() / 255
    cells: list[list[int]] = [[] for _ in range(frames)]
    if frames > 1:
        strongest = torch.nn.functional.max_pool3d(colour, (time, _PER_CELL, _PER_CELL))[0].flatten(1)
        for frame, shown in enumerate(strongest >= SEEN, start=1):
            cells[frame] = shown.nonzero().flatten().tolist()
    start = np.floor(tracks.points[0, moving(tracks) & tracks.inside()[0]] / pixels).astype(np.int64)
    start = np.minimum(start, [columns - 1, rows - 1])
    return cells, sorted(set((start[:, 1] * columns + start[:, 0]).tolist()))


def moving(tracks: Tracks) -> NDArray[np.bool_]:
    """bool [N]: goes anywhere between two frames in which it is visible."""
    steps = np.abs(np.diff(tracks.points, axis=0)).max(axis=2, initial=0)
    return ((steps > 0) & tracks.visible[1:] & tracks.visible[:-1]).any(axis=0)
