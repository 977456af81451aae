"""Make procedural.jpg: natural clips of the procedural generator, the first frame with some exact tracks, later ones.

python docs/make_procedural.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

import motionloom as ml
from motionloom.evaluate.make_bench import pick_tracks
from motionloom.media import write_image
from motionloom.prepare.photographs import training_photographs
from motionloom.prepare.procedural import render, sample_scene

SIZE, FRAMES, FPS = (160, 160), 17, 8.0
CLIPS = (103, 12, 4, 16, 20, 6, 113, 17, 104, 24, 27, 29)
MOMENTS = (5, 10, 16)
ACROSS = 2


def main() -> None:
    photographs = [photograph.pixels for photograph in training_photographs()]
    scene = sample_scene(0, CLIPS, num_frames=FRAMES, resolution=SIZE[0], style="natural", photographs=photographs)
    videos = (render(scene, SIZE).permute(0, 1, 3, 4, 2) * 255).round().to(torch.uint8).numpy()
    rows = [
        np.concatenate([ml.draw_paths(video[0], tracks), *video[list(MOMENTS)]], axis=1)
        for video, tracks in zip(videos, pick_tracks(scene, 6, SIZE, FPS, seed=0), strict=True)
    ]
    columns = [np.concatenate(rows[number::ACROSS]) for number in range(ACROSS)]
    gap = np.full((columns[0].shape[0], 6, 3), 255, np.uint8)
    sheet = np.concatenate([columns[0], gap, columns[1]], axis=1)
    write_image(Path(__file__).parent / "images" / "procedural.jpg", sheet)


if __name__ == "__main__":
    main()
