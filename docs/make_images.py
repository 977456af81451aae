"""Make docs/images/readme.webp: two example photographs with the drawn motion, beside the videos warp makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

import motionloom as ml
from motionloom.examples_data import example

HEIGHT, WIDTH, FRAMES = 216, 324, 33
TARGET = Path(__file__).parent / "images" / "readme.webp"


def row(name: str) -> ml.Clip:
    image, motion_file = example(name)
    motion = ml.Motion.load(motion_file)
    clip = ml.load("warp").generate(image, motion, size=(HEIGHT, WIDTH), num_frames=FRAMES)
    tracks = motion.compile(size=clip.size, num_frames=clip.num_frames, fps=clip.fps)
    still = ml.draw_paths(clip.frames[0], tracks)
    drawn = ml.Clip(np.repeat(still[None], clip.num_frames, axis=0), clip.fps)
    return ml.side_by_side(drawn, clip)


def main() -> None:
    rows = [row(name) for name in ("rocket", "coffee")]
    frames = np.concatenate([clip.frames for clip in rows], axis=1)
    ml.Clip(frames, rows[0].fps).save(TARGET, quality=75)
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
