"""Tora's flow colours from trajectories, beside a plain writing-out of what the published program does.

That is a 99x99 filter over every frame and the colours of all frames at once; both are timed in the same run, on the
same trajectories, and their results are compared. 49 frames at 480x720 unless said otherwise. What is printed is the
processor's time; the file has the clock's too.

    OMP_NUM_THREADS=1 python benchmarks/tora_flow.py [--json FILE] [--repeats 5] [--tracks 1 10 100 1000]
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import torch
from _measure import measure
from _report import header, write
from numpy.typing import NDArray
from torch import Tensor

from motionloom.methods.tora.flow import flow_video

FRAMES, SIZE = 49, (480, 720)
LONGER = 193
"""Frames of a second clip, to see how time and memory grow."""
# Costs of the published program for one trajectory, measured once on another machine of 2 cores with 1 thread.
PUBLISHED = "1.1-1.7 s + 2.8-3.6 s for the colours, 2.4 GB"


def plain_flow_video(points: NDArray[np.float64]) -> Tensor:
    """uint8 [T, 3, H, W] for points [T, N, 2] inside the canvas."""
    height, width = SIZE
    flow = np.zeros((len(points), height, width, 2), np.float32)
    for track in range(points.shape[1]):
        for i in range(len(points) - 1):
            x, y = points[i, track].astype(int)
            flow[i + 1, y, x] = points[i + 1, track] - points[i, track]
    away = np.arange(-49, 50)
    kernel = np.exp(-np.add.outer(away**2, away**2) / 200.0)
    for i in range(1, len(flow)):
        flow[i] = cv2.filter2D(flow[i], -1, kernel)
    return plain_colours(flow)


def plain_colours(flow: NDArray[np.float32]) -> Tensor:
    """Middlebury colours uint8 [T, 3, H, W] of flow [T, H, W, 2], all pixels at once."""
    steps = (15, 6, 4, 11, 13, 6)
    main = np.array([[255, 0, 0], [255, 255, 0], [0, 255, 0], [0, 255, 255], [0, 0, 255], [255, 0, 255]])
    wheel = np.concatenate(
        [
            a + np.sign(b - a) * np.floor(255 * np.arange(n) / n)[:, None]
            for a, b, n in zip(main, np.roll(main, -1, 0), steps, strict=True)
        ]
    ).astype(np.float32)
    flow = flow / (np.linalg.norm(flow, axis=-1).max() + np.finfo(np.float32).eps)
    speed = np.linalg.norm(flow, axis=-1)
    place = (np.arctan2(-flow[..., 1], -flow[..., 0]) / np.float32(np.pi) + 1) / 2 * (len(wheel) - 1)
    low = np.floor(place).astype(np.int64)
    part = place - low.astype(np.float32)
    video = np.empty((len(flow), 3, *flow.shape[1:3]), np.uint8)
    for channel in range(3):
        colour = (1 - part) * wheel[low, channel] / 255 + part * wheel[(low + 1) % len(wheel), channel] / 255
        video[:, channel] = np.floor(255 * (1 - speed * (1 - colour)))
    return torch.from_numpy(video)


def trajectories(count: int, frames: int) -> NDArray[np.float64]:
    """Points [frames, count, 2] that wander over the canvas and stay on it."""
    rng = np.random.default_rng(count)
    width, height = SIZE[1], SIZE[0]
    way = rng.random((1, count, 2)) * [width, height] + np.cumsum(rng.normal(0, 3, (frames, count, 2)), 0)
    return np.clip(way, 0, [width - 0.5, height - 0.5])


def compare(count: int, repeats: int) -> dict[str, Any]:
    points = trajectories(count, FRAMES)
    visible = np.ones(points.shape[:2], bool)
    plain_repeats = max(1, repeats // 4)
    seconds, memory, result = measure(lambda: flow_video(points, visible, SIZE), repeats)
    plain_seconds, plain_memory, expected = measure(lambda: plain_flow_video(points), plain_repeats)
    cpu = cpu_seconds(lambda: flow_video(points, visible, SIZE), repeats)
    plain_cpu = cpu_seconds(lambda: plain_flow_video(points), plain_repeats)
    apart = (result.int() - expected.int()).abs()
    return {
        "tracks": count,
        "seconds": seconds,
        "cpu_seconds": cpu,
        "peak_bytes": memory,
        "plain_seconds": plain_seconds,
        "plain_cpu_seconds": plain_cpu,
        "plain_peak_bytes": plain_memory,
        "cpu_ratio": cpu / plain_cpu,
        "share_more_than_a_level_apart": float((apart > 1).float().mean()),
    }


def cpu_seconds(run: Callable[[], object], repeats: int) -> float:
    """Best time that the process itself has worked, which other processes change little."""
    best = float("inf")
    for _ in range(repeats):
        begin = time.process_time()
        run()
        best = min(best, time.process_time() - begin)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tracks", type=int, nargs="+", default=[1, 10, 100, 1000])
    options = parser.parse_args()
    threads = os.environ.get("OMP_NUM_THREADS", "all")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    print(", ".join(f"{name} {value}" for name, value in header().items()), f"- OMP_NUM_THREADS {threads}")
    print(f"Published program, one trajectory, elsewhere: {PUBLISHED}. The video itself is {_megabytes(FRAMES)} MB.")
    rows = []
    for count in options.tracks:
        row = compare(count, options.repeats)
        rows.append(row)
        print(
            f"{count:6d} tracks: {_cost(row)}, plain {_cost(row, 'plain_')}, {1 / row['cpu_ratio']:.1f}x less time, "
            f"{row['share_more_than_a_level_apart']:.1e} of the values more than a level apart",
            flush=True,
        )
    longer = []
    for frames in (FRAMES, LONGER):
        points = trajectories(10, frames)
        visible = np.ones(points.shape[:2], bool)
        _, memory, _ = measure(lambda: flow_video(points, visible, SIZE), 1)  # noqa: B023
        cpu = cpu_seconds(lambda: flow_video(points, visible, SIZE), options.repeats)  # noqa: B023
        longer.append({"frames": frames, "tracks": 10, "cpu_seconds": cpu, "peak_bytes": memory})
        print(f"{frames:6d} frames, 10 tracks: {_cost(longer[-1])}; the video is {_megabytes(frames)} MB", flush=True)
    write(
        {"threads": threads, "frames": FRAMES, "size": SIZE, "published_elsewhere": PUBLISHED}
        | {"tracks": rows, "frames_grow": longer},
        options.json,
    )


def _megabytes(frames: int) -> int:
    return round(frames * 3 * SIZE[0] * SIZE[1] / 1e6)


def _cost(row: dict[str, Any], of: str = "") -> str:
    peak = row[f"{of}peak_bytes"]
    text = f"{1e3 * row[f'{of}cpu_seconds']:.0f} ms"
    return text if peak is None else f"{text}, {peak / 1e6:.0f} MB"


if __name__ == "__main__":
    main()
