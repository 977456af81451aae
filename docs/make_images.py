"""Make the pictures of the documentation from real runs of warp on the example photographs.

readme.webp: two of them with the drawn motion, beside the videos. warp.jpg: all, the drawn motion and three frames.
tora.jpg: two of them with the drawn motion, what Tora is shown of it, and both in one.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import motionloom as ml
from motionloom.draw import draw_flow
from motionloom.examples_data import NAMES, example
from motionloom.media import write_image

FOLDER = Path(__file__).parent / "images"
HEIGHT, WIDTH, FRAMES = 216, 324, 33
CELL = (200, 300)
MOMENTS = (0.4, 0.7, 1.0)


def drawn_and_moved(name: str, size: tuple[int, int] | None, num_frames: int) -> tuple[NDArray[np.uint8], ml.Clip]:
    """The first frame with the whole motion drawn on it, and the clip."""
    image, motion_file = example(name)
    motion = ml.Motion.load(motion_file)
    clip = ml.load("warp").generate(image, motion, size=size, num_frames=num_frames)
    tracks = motion.compile(size=clip.size, num_frames=clip.num_frames, fps=clip.fps)
    return ml.draw_paths(clip.frames[0], tracks), clip


def moving_row(name: str) -> ml.Clip:
    still, clip = drawn_and_moved(name, (HEIGHT, WIDTH), FRAMES)
    return ml.side_by_side(ml.Clip(np.repeat(still[None], clip.num_frames, axis=0), clip.fps), clip)


def still_row(name: str) -> NDArray[np.uint8]:
    still, clip = drawn_and_moved(name, None, FRAMES)
    last = clip.num_frames - 1
    cells = [_cell(picture) for picture in (still, *(clip.frames[round(part * last)] for part in MOMENTS))]
    gap = np.full((CELL[0], 4, 3), 255, np.uint8)
    return np.concatenate([part for cell in cells for part in (cell, gap)][:-1], axis=1)


def flow_row(name: str) -> NDArray[np.uint8]:
    still, clip = drawn_and_moved(name, (240, 360), 25)
    motion = ml.Motion.load(example(name)[1])
    shown = draw_flow(motion, size=clip.size, num_frames=clip.num_frames, legend=True)
    middle = clip.num_frames // 2
    return np.concatenate([still, shown.frames[middle], draw_flow(motion, clip).frames[middle]], axis=1)


def _cell(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The middle of a picture in the shape of a cell, scaled to it."""
    height, width = picture.shape[:2]
    share = min(height / CELL[0], width / CELL[1])
    tall, wide = round(CELL[0] * share), round(CELL[1] * share)
    top, left = (height - tall) // 2, (width - wide) // 2
    middle = picture[top : top + tall, left : left + wide]
    return np.asarray(cv2.resize(middle, (CELL[1], CELL[0]), interpolation=cv2.INTER_AREA), np.uint8)


def main() -> None:
    rows = [moving_row(name) for name in ("rocket", "coffee")]
    frames = np.concatenate([clip.frames for clip in rows], axis=1)
    files = [ml.Clip(frames, rows[0].fps).save(FOLDER / "readme.webp", quality=75)]
    sheet = [still_row(name) for name in NAMES]
    gap = np.full((4, sheet[0].shape[1], 3), 255, np.uint8)
    files.append(
        write_image(FOLDER / "warp.jpg", np.concatenate([part for row in sheet for part in (row, gap)][:-1], axis=0))
    )
    flows = np.concatenate([flow_row(name) for name in ("rocket", "coffee")])
    files.append(write_image(FOLDER / "tora.jpg", flows))
    for file in files:
        print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
