"""Time of the geometric model and of what it is made of, at 81 frames of 480x832 (and other sizes, if asked for).

    python benchmarks/warp.py [--json FILE] [--size 480x832] [--frames 81] [--threads 2]

Cases: a camera zoom, a bending field, free paths with anchors, one thing cut out and moved, the same over a moving
camera; interpolation from 64 tracks to 1024 points; drawing 20 tracks.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
from _report import header, write
from numpy.typing import NDArray

from motionloom.draw import draw
from motionloom.media import Clip
from motionloom.methods.warp import fill, warp
from motionloom.tracks.interpolate import interpolate_motion
from motionloom.tracks.layers import Layer
from motionloom.tracks.tracks import Tracks


def photograph(size: tuple[int, int]) -> NDArray[np.uint8]:
    """Noise at all scales: as many edges as a photograph has, and more."""
    rng = np.random.default_rng(0)
    image = np.zeros((*size, 3), np.float32)
    for octave in range(1, 7):
        coarse = rng.normal(0, 1, (max(2, size[0] >> octave), max(2, size[1] >> octave), 3)).astype(np.float32)
        image += cv2.resize(coarse, (size[1], size[0]), interpolation=cv2.INTER_CUBIC) * octave
    return np.clip(127 + 20 * image, 0, 255).astype(np.uint8)


def moving(rest: NDArray[Any], shift: Any, frames: int, size: tuple[int, int]) -> Tracks:
    part = np.linspace(0, 1, frames)[:, None, None]
    points = (rest[None] + part * np.asarray(shift, np.float64)).astype(np.float32)
    return Tracks(points, np.ones(points.shape[:2], np.bool_), size, 16.0)


def cases(size: tuple[int, int], frames: int) -> dict[str, Callable[[], Any]]:
    height, width = size
    image = photograph(size)
    rng = np.random.default_rng(1)
    grid = np.stack(np.meshgrid(np.arange(32, width, 64), np.arange(32, height, 64)), -1).reshape(-1, 2)
    centre = np.array([width / 2, height / 2])
    zoom = moving(grid, (grid - centre) * 0.5, frames, size)
    bend = moving(grid, rng.normal(0, 0.02 * height, grid.shape), frames, size)
    starts = rng.uniform([0, 0], [width, height], (24, 2))
    shifts = np.where(np.arange(24)[:, None] < 4, rng.normal(0, 0.08 * height, (24, 2)), 0.0)
    paths = moving(starts, shifts, frames, size)
    region = np.zeros(size, np.bool_)
    region[height // 3 : 2 * height // 3, width // 4 : width // 2] = True
    corners = np.array([[width / 4, height / 3], [width / 2, 2 * height / 3]])
    thing = Layer(moving(corners, (0.25 * width, -0.1 * height), frames, size), region, True, "thing", 1)
    camera = Layer(zoom, None, False, "camera", 0)
    few = Tracks(rng.uniform(0, 256, (17, 64, 2)).astype(np.float32), np.ones((17, 64), np.bool_), (256, 256), 16.0)
    queries = rng.uniform(0, 256, (1024, 2))
    clip = Clip(np.repeat(image[None], frames, axis=0), 16.0)
    return {
        "camera zoom": lambda: warp(image, zoom),
        f"bending field, {len(grid)} tracks": lambda: warp(image, bend),
        "4 free paths, 20 anchors": lambda: warp(image, paths),
        "one thing moved": lambda: warp(image, layers=[thing]),
        "one thing moved, camera zoom": lambda: warp(image, layers=[camera, thing]),
        f"  of which filling {region.mean():.0%} of the picture": lambda: fill(image, region),
        "interpolate 64 tracks to 1024 points, 17 frames": lambda: interpolate_motion(few, queries),
        f"draw 20 tracks, {frames} frames": lambda: draw(clip, paths.select(np.arange(20))),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="also write the results there")
    parser.add_argument("--size", default="480x832", help="HEIGHTxWIDTH")
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=2, help="the best of so many runs counts")
    arguments = parser.parse_args()
    cv2.setNumThreads(arguments.threads)
    height, width = (int(side) for side in arguments.size.split("x"))
    for name, value in header().items():
        print(f"{name}: {value}")
    results: dict[str, float] = {}
    for name, run in cases((height, width), arguments.frames).items():
        times = []
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            run()
            times.append(time.perf_counter() - start)
        results[name.strip()] = min(times)
        print(f"{name:55s} {min(times):8.3f} s")
    write({"size": [height, width], "frames": arguments.frames, "seconds": results}, arguments.json)


if __name__ == "__main__":
    main()
