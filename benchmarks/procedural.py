"""How fast the procedural generator makes clips: clips per second by style, size and batch, on the device at hand.

A clip counts with everything a training takes from it: its scene, 17 frames, and one exact track for every cell of 4x4
pixels. Every case runs in a process of its own, so that its peak of memory is its own; the median of some runs counts,
after one that warms up. On a machine with other work, --processor-time says what one would reach alone.

    python benchmarks/procedural.py [--json FILE] [--sizes 64 128 256] [--batches 1 8 32] [--styles simple natural]
                                    [--device cuda] [--photographs] [--runs 3] [--threads 1] [--processor-time]
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import sys
import time
from typing import Any, get_args

import torch
from _report import header, write

from motionloom.prepare.photographs import training_photographs
from motionloom.prepare.procedural import Style, render, sample_scene, trace

FRAMES = 17
CELL = 4
PARTS = ("scene", "frames", "tracks")


def measure(style: Style, size: int, batch: int, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds per clip of each part, clips per second, and the peak of memory in MB."""
    if options.threads:
        torch.set_num_threads(options.threads)
    device = torch.device(options.device)
    pictures = None
    if options.photographs and style == "natural":
        pictures = [photograph.pixels for photograph in training_photographs()]
    axis = torch.arange(CELL / 2, size, CELL, device=device)
    cells = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1).reshape(1, -1, 2).expand(batch, -1, -1)
    clock = time.process_time if options.processor_time else time.perf_counter

    def now() -> float:
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock()

    spent: dict[str, list[float]] = {part: [] for part in PARTS}
    for run in range(1 + options.runs):
        moments = [now()]
        clips = range(run * batch, (run + 1) * batch)
        common: dict[str, Any] = {"num_frames": FRAMES, "resolution": size, "device": device}
        scene = sample_scene(1, clips, style=style, photographs=pictures, **common)
        moments.append(now())
        render(scene, (size, size))
        moments.append(now())
        trace(scene, cells, (size, size))
        moments.append(now())
        if run:
            for part, begin, end in zip(PARTS, moments, moments[1:], strict=False):
                spent[part].append((end - begin) / batch)
    seconds = {part: statistics.median(times) for part, times in spent.items()}
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 1e6
    else:
        # Kilobytes on Linux, bytes on macOS; all that Python and torch hold counts.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)
    return {
        "style": style,
        "size": size,
        "batch": batch,
        "clips_per_second": round(1 / sum(seconds.values()), 2),
        "milliseconds": {part: round(1000 * value, 2) for part, value in seconds.items()},
        "peak_mb": round(peak),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--styles", nargs="+", choices=get_args(Style), default=list(get_args(Style)))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--photographs", action="store_true", help="natural clips with photographs of scikit-image")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--threads", type=int, help="threads of torch; all cores when not given")
    parser.add_argument("--processor-time", action="store_true", help="count the processor's time, not the wall's")
    options = parser.parse_args()
    about = header() | {"device": options.device}
    if options.device.startswith("cuda"):
        about["gpu"] = torch.cuda.get_device_name(options.device)
    print(about)
    print(
        f"{'':10}{'size':>6}{'batch':>7}{'clips/s':>9}{'scene ms':>10}{'frames ms':>11}{'tracks ms':>11}{'peak MB':>9}"
    )
    rows: list[dict[str, Any]] = []
    for style in options.styles:
        for size in options.sizes:
            for batch in options.batches:
                with multiprocessing.get_context("spawn").Pool(1) as alone:
                    row = alone.apply(measure, (style, size, batch, options))
                rows.append(row)
                scene, frames, tracks = row["milliseconds"].values()
                numbers = f"{row['clips_per_second']:9.1f}{scene:11.1f}{frames:11.1f}{tracks:11.1f}{row['peak_mb']:9}"
                print(f"{style:10}{size:6}{batch:7}{numbers}", flush=True)
    write({"device": options.device, "frames": FRAMES, "cell": CELL, "rows": rows}, options.json)


if __name__ == "__main__":
    main()
