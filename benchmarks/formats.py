"""Reading and writing every track file format at 10,000 tracks x 121 frames.

Run: python benchmarks/formats.py [--tracks N] [--frames T] [--json FILE]
Tora is one file per track, so its time is that of opening files; it is timed with fewer (``--tora-tracks``). Camera
paths are read only: a grid of as many points is followed through the poses.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _report
import numpy as np

from motionloom.tracks.formats import read_tracks, write_tracks
from motionloom.tracks.tracks import Tracks

SIZE = (480, 832)
TARGET_SECONDS = 1.0
# Format, file name, and what its reader has to be told.
CASES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("motionloom", "a.tracks.safetensors", {}),
    ("ati", "a.pth", {"size": SIZE}),
    ("wan-move", "a_tracks.npy", {"size": SIZE}),
    ("wan2gp", "a.npy", {"units": "normalised"}),
    ("cotracker", "a.npz", {}),
    ("tapvid", "a.pkl", {}),
    ("anyi2v", "a.json", {}),
    ("kj-coordinates", "a.json", {"size": SIZE, "fps": 24.0}),
    ("kj-points", "a.json", {"size": SIZE, "fps": 24.0, "sampling": "points"}),
    ("trajectory-config", "a.json", {}),
    ("after-effects", "a.ae.txt", {}),
    ("blender", "a.csv", {}),
    ("tora", "a.txt", {"size": SIZE}),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tracks", type=int, default=10_000)
    parser.add_argument("--tora-tracks", type=int, default=1_000)
    parser.add_argument("--frames", type=int, default=121)
    parser.add_argument("--repeats", type=int, default=3, help="the best of these is reported")
    parser.add_argument("--json", metavar="FILE")
    arguments = parser.parse_args()
    for name, value in _report.header().items():
        print(f"{name:<8}{value}")
    import torch  # noqa: F401  its import is not part of writing an ATI file

    print(f"\n{'format':<20}{'tracks':>8}{'write s':>10}{'read s':>10}{'MB':>8}")
    results: dict[str, Any] = {}
    for name, file, said in CASES:
        count = arguments.tora_tracks if name == "tora" else arguments.tracks
        result = measure(name, file, said, walk(count, arguments.frames), arguments.repeats)
        results[name] = result
        show(name, result)
    results["realestate10k"] = measure_camera(arguments.tracks, arguments.frames, arguments.repeats)
    show("realestate10k", results["realestate10k"])
    _report.write({"frames": arguments.frames, "formats": results}, arguments.json)


def show(name: str, result: dict[str, Any]) -> None:
    seconds = [result[key] for key in ("write_s", "read_s") if key in result]
    late = "" if max(seconds) < TARGET_SECONDS else f"  over {TARGET_SECONDS:g} s"
    write = f"{result['write_s']:>10.3f}" if "write_s" in result else f"{'':>10}"
    print(f"{name:<20}{result['tracks']:>8}{write}{result['read_s']:>10.3f}{result['mb']:>8.1f}{late}")


def walk(count: int, frames: int) -> Tracks:
    """Random walks that stay inside the image and visible, so that every format can hold them."""
    draw = np.random.default_rng(0)
    start = draw.uniform(0.2, 0.8, (1, count, 2)) * [SIZE[1], SIZE[0]]
    points = start + np.cumsum(draw.normal(0, 0.5, (frames, count, 2)), axis=0)
    points = np.clip(points, 1, [SIZE[1] - 1, SIZE[0] - 1]).astype(np.float32)
    return Tracks(points, np.ones((frames, count), np.bool_), SIZE, 24.0)


def measure(name: str, file: str, said: dict[str, Any], tracks: Tracks, repeats: int) -> dict[str, Any]:
    if name in ("tora", "kj-points"):
        said = {**said, "num_frames": tracks.num_frames}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        written, seconds = best(lambda: write_tracks(tracks, path, format=name), repeats)
        source: Any = written if name == "tora" else written[0]
        read, read_seconds = best(lambda: read_tracks(source, **said), repeats)
        assert read.points.shape == tracks.points.shape
        size = sum(file.stat().st_size for file in written) / 1e6
    return {"tracks": tracks.num_tracks, "write_s": seconds, "read_s": read_seconds, "mb": size}


def measure_camera(count: int, frames: int, repeats: int) -> dict[str, Any]:
    points = np.random.default_rng(0).uniform(0, 1, (count, 2)) * [SIZE[1], SIZE[0]]
    rows = [f"{k * 41667} 0.6 1.07 0.5 0.5 0 0 1 0 0 {k * 1e-3} 0 1 0 0 0 0 1 {-k * 2e-3}" for k in range(frames)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "poses.txt"
        path.write_text("benchmark\n" + "\n".join(rows) + "\n")
        read, seconds = best(lambda: read_tracks(path, size=SIZE, points=points), repeats)
        assert read.points.shape == (frames, count, 2)
        return {"tracks": count, "read_s": seconds, "mb": path.stat().st_size / 1e6}


def best(run: Callable[[], Any], repeats: int) -> tuple[Any, float]:
    """The result and the shortest time."""
    times, result = [], None
    for _ in range(repeats):
        start = time.perf_counter()
        result = run()
        times.append(time.perf_counter() - start)
    return result, min(times)


if __name__ == "__main__":
    main()
