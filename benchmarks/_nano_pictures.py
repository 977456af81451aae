"""Clips of nano beside the truth, to look at: videos, and a sheet of their frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from _nano_cases import FPS, FRAMES
from numpy.typing import NDArray

from motionloom.draw import draw, side_by_side
from motionloom.media import Clip, write_image
from motionloom.tracks.tracks import Tracks

Frames = NDArray[np.uint8]

MOMENTS = (0, FRAMES // 4, FRAMES // 2, 3 * FRAMES // 4, FRAMES - 1)
"""Frames of a sheet."""
_GAP = 6


def beside(name: str, ways: Mapping[str, Frames], tracks: Tracks) -> Clip:
    """All clips of a case next to each other under their names; the first column is the first way with the tracks."""
    first = next(iter(ways))
    clips = [draw(Clip(ways[first], FPS), tracks), *(Clip(frames, FPS) for frames in ways.values())]
    return side_by_side(*clips, labels=[name, *ways])


def write_video(path: Path, name: str, ways: Mapping[str, Frames], tracks: Tracks) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside(name, ways, tracks).save(path)


def write_sheet(path: Path, cases: Sequence[tuple[str, Mapping[str, Frames], Tracks]], columns: int = 2) -> None:
    """A block for each case: its clips next to each other, some frames one below the other."""
    blocks = [_block(*case) for case in cases]
    columns = min(columns, len(blocks))
    tall, wide = (max(block.shape[axis] for block in blocks) + _GAP for axis in (0, 1))
    sheet = np.full((-(-len(blocks) // columns) * tall - _GAP, columns * wide - _GAP, 3), 255, np.uint8)
    for place, block in enumerate(blocks):
        top, left = place // columns * tall, place % columns * wide
        sheet[top : top + block.shape[0], left : left + block.shape[1]] = block
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, sheet)


def _block(name: str, ways: Mapping[str, Frames], tracks: Tracks) -> Frames:
    frames = beside(name, ways, tracks).frames
    height = next(iter(ways.values())).shape[1]
    # Names stand over the first row only.
    rows = [frames[MOMENTS[0]], *(frames[moment][-height:] for moment in MOMENTS[1:])]
    return np.concatenate(rows)
