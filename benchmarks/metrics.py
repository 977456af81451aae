"""What measuring costs: metrics without a network on many short clips, metric by metric, and memory on long ones.

    python benchmarks/metrics.py [--json FILE] [--clips N] [--workers N] [--long FRAMES]

The clips are 17 frames of 128x128 with 16 tracks and a true video each, read from files. Prints seconds for all of them
with all metrics on ``--workers`` processes, the share of each metric on one, and the peak memory of measuring a long
video beside one of a tenth of its length.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from _report import header, write

from motionloom.evaluate.evidence import Evidence, Tools
from motionloom.evaluate.metric import DistributionMetric
from motionloom.evaluate.suite import METRICS, choose, features_of, measure
from motionloom.evaluate.videos import evaluate_videos
from motionloom.media import Clip
from motionloom.prepare.procedural import render, sample_scene, trace
from motionloom.scale.executors import executor
from motionloom.tracks.formats import write_tracks
from motionloom.tracks.trackers import grid
from motionloom.tracks.tracks import Tracks

SIZE, FRAMES, FPS, TRACKS = (128, 128), 17, 8.0, 16
SEED = 90_000_011
BATCH = 10


def make_clips(folder: Path, count: int) -> Path:
    """Procedural videos, beside each a copy that is a frame late, and exact tracks; the manifest of them."""
    import torch

    entries = []
    for begin in range(0, count, BATCH):
        numbers = range(begin, min(begin + BATCH, count))
        scene = sample_scene(SEED, numbers, num_frames=FRAMES, resolution=SIZE[0])
        videos = (render(scene, SIZE).permute(0, 1, 3, 4, 2).numpy() * 255).round().astype(np.uint8)
        start = torch.from_numpy(grid(SIZE, SIZE[0] / TRACKS**0.5)[:, 1:].astype(np.float32))
        points, visible = trace(scene, start.expand(len(numbers), -1, -1), SIZE)
        for index, number in enumerate(numbers):
            name = f"clip{number:03}"
            Clip(videos[index], FPS).save(folder / "true" / f"{name}.mp4")
            late = videos[index][[0, *range(FRAMES - 1)]]
            Clip(late, FPS).save(folder / "videos" / f"{name}.mp4")
            tracks = Tracks(points[index].numpy(), visible[index].numpy(), SIZE, FPS)
            (folder / "tracks").mkdir(exist_ok=True)
            write_tracks(tracks, folder / "tracks" / f"{name}.npz", format="cotracker")
            entries.append(
                {
                    "video": f"videos/{name}.mp4",
                    "reference": f"true/{name}.mp4",
                    "motion": f"tracks/{name}.npz",
                    "box": [32, 32, 96, 96],
                }
            )
    manifest = folder / "clips.jsonl"
    manifest.write_text("\n".join(json.dumps(entry) for entry in entries))
    return manifest


def by_metric(manifest: Path, count: int = 8) -> dict[str, float]:
    """Seconds of processor time a clip of every metric on one thread, each with what it needs made anew."""
    import cv2
    import torch

    from motionloom.evaluate.collect import collect

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    samples, tools = collect(manifest)[:count], Tools()
    measure(samples[0], tools)  # imports and first calls
    seconds: dict[str, float] = {}
    for name in choose(("core", "distribution")):
        metric = METRICS[name]
        started = time.process_time()
        for sample in samples:
            if isinstance(metric, DistributionMetric):
                features_of(Evidence(sample, tools), metric, "video")
            else:
                measure(sample, tools, metrics=[name])
        seconds[name] = (time.process_time() - started) / len(samples)
    return seconds


_MEMORY = """
import json, resource, sys
from motionloom.evaluate.evidence import Tools
from motionloom.evaluate.sample import Sample
from motionloom.evaluate.suite import measure
from motionloom.tracks.tracks import Tracks
import numpy as np
path, frames = sys.argv[1], int(sys.argv[2])
start = np.stack(np.meshgrid(np.arange(4) * 80 + 40, np.arange(3) * 64 + 32), -1).reshape(1, -1, 2).astype(np.float32)
tracks = Tracks(np.repeat(start, frames, 0), np.ones((frames, start.shape[1]), bool), (240, 320), 24.0)
found = measure(Sample("long", path, tracks, reference=path), Tools(), metrics=["core"])
print(json.dumps([resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, sum(m.value is not None for m in found)]))
"""


def memory(folder: Path, frames: int) -> float:
    """Peak memory in MB of a process that measures a video of 320x240 against itself."""
    rng = np.random.default_rng(0)
    picture = np.repeat(np.repeat(rng.integers(0, 255, (60, 100, 3), np.uint8), 4, 0), 4, 1)
    video = np.stack([picture[:, t % 80 : t % 80 + 320] for t in range(frames)])
    path = folder / f"long{frames}.mp4"
    Clip(video, 24.0).save(path)
    del video
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", _MEMORY, os.fspath(path), str(frames)], capture_output=True, text=True, check=True
    )
    megabytes, values = json.loads(done.stdout.splitlines()[-1])
    assert values > 10, "most metrics have no value"
    return megabytes


def run(clips: int, workers: int, long: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = make_clips(folder, clips)
        started = time.perf_counter()
        found = evaluate_videos(
            manifest,
            folder / "out",
            metrics=["core", "distribution"],
            executor=executor("process", workers=workers),
            on_progress=lambda done, total: print(f"\r  {done}/{total}", end="", flush=True),
        )
        seconds = time.perf_counter() - started
        print()
        assert all(row.status == "done" for row in found.rows)
        shares = by_metric(manifest)
        peaks = {str(frames): memory(folder, frames) for frames in (max(33, long // 10), long)}
    return {
        "clips": clips,
        "workers": workers,
        "seconds": round(seconds, 1),
        "values": sum(each.value is not None for each in found.rows[0].measurements),
        "seconds_per_clip_by_metric": {name: round(value, 4) for name, value in shares.items()},
        "peak_mb_by_frames": {frames: round(peak) for frames, peak in peaks.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--clips", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--long", type=int, default=1200, help="frames of the long video")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(header())
    result = run(options.clips, options.workers, options.long)
    print(f"{result['clips']} clips of 17x128x128, {result['values']} numbers each: {result['seconds']:.0f} s")
    for name, seconds in sorted(result["seconds_per_clip_by_metric"].items(), key=lambda item: -item[1]):
        print(f"  {name:28} {1000 * seconds:8.1f} ms a clip alone")
    for frames, peak in result["peak_mb_by_frames"].items():
        print(f"  {frames} frames of 320x240: peak {peak} MB")
    write(result, options.json)


if __name__ == "__main__":
    main()
