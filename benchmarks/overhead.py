"""What guidance costs a whole run: nano guided by ATI and by Wan-Move beside the same pipeline without tracks.

The runs take turns, so that a busy machine slows all of them alike; what counts is the ratio of their medians, measured
in one run. Tracks are a grid with one for every latent cell, what nano is guided with. "Densified" starts from a drawn
motion instead and adds the step that makes such a grid from it.

    python benchmarks/overhead.py [--json FILE] [--model nano|FOLDER] [--repeats 15] [--steps N] [--threads 2]

The target is a guided run within 2 % of the unguided one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from _report import header, write

from motionloom.errors import MotionloomError
from motionloom.examples_data import example
from motionloom.media import read_image
from motionloom.models.loading import load
from motionloom.tracks.dense import dense_tracks
from motionloom.tracks.motion import Motion
from motionloom.tracks.tracks import Tracks

TARGET = 0.02
METHODS = ("ati", "wan_move")


def runs(name: str, steps: int | None, device: str | None) -> dict[str, Callable[[], Any]]:
    """The runs to compare by name, "unguided" first; all with the same photograph, size, frames, steps and seed."""
    photograph, motion_file = example("coffee")
    image, motion = read_image(photograph), Motion.load(motion_file)
    models: dict[str, Any] = {method: load(name, method=method, device=device) for method in METHODS}
    first = models[METHODS[0]]
    size = first.default_size((image.shape[0], image.shape[1]))
    frames = first.card.num_frames
    rate = (frames - 1) * motion.fps / (motion.num_frames - 1)
    spread = dense_tracks(motion.layers(size, frames), first.pipeline.vae_scale_factor_spatial)
    nothing = Tracks.empty(frames, size, rate)

    def run(method: str, what: Motion | Tracks, densify: bool) -> Callable[[], Any]:
        return lambda: models[method].generate(
            image, what, size=size, num_frames=frames, num_inference_steps=steps, densify=densify
        )

    found = {"unguided": run(METHODS[0], nothing, False)}
    found |= {method: run(method, spread, False) for method in METHODS}
    found |= {f"{method}, densified": run(method, motion, True) for method in METHODS}
    return found


def measure(candidates: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every run, ``repeats`` times; each round in another order, after one round that does not count."""
    rng = np.random.default_rng(0)
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for repeat in range(repeats + 1):
        for name in rng.permutation(list(candidates)):
            begin = time.perf_counter()
            candidates[name]()
            if repeat:
                seconds[name].append(time.perf_counter() - begin)
    return seconds


def spread_of_ratio(values: list[float], base: list[float]) -> tuple[float, float]:
    """Range that holds the ratio of medians in 90 of 100 redrawings of the rounds."""
    rng = np.random.default_rng(0)
    pick = rng.integers(len(base), size=(2000, len(base)))
    ratios = np.median(np.array(values)[pick], axis=1) / np.median(np.array(base)[pick], axis=1)
    low, high = np.quantile(ratios, (0.05, 0.95))
    return float(low), float(high)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help="write the numbers here as well")
    parser.add_argument("--model", default="nano", help="a name, or a folder in diffusers' layout")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--steps", type=int, help="of the denoising; default the model's own number")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    try:
        candidates = runs(options.model, options.steps, options.device)
    except MotionloomError as error:
        parser.exit(1, f"{error}\n")
    print(", ".join(f"{name} {value}" for name, value in header().items()), f"- {options.threads} thread(s)")
    seconds = measure(candidates, options.repeats)
    base = seconds["unguided"]
    print(f"{'run':24} {'median':>10}   ratio to unguided (90 % range), {options.repeats} rounds")
    results: dict[str, Any] = {}
    for name, values in seconds.items():
        ratio, (low, high) = median(values) / median(base), spread_of_ratio(values, base)
        results[name] = {"seconds": values, "median": median(values), "ratio": ratio, "range": [low, high]}
        verdict = "" if name == "unguided" else f"  {'within' if ratio <= 1 + TARGET else 'above'} {TARGET:.0%}"
        print(f"{name:24} {median(values):8.3f} s   {ratio:.4f} ({low:.4f} to {high:.4f}){verdict}")
    write({"threads": options.threads, "repeats": options.repeats, "target": TARGET, "runs": results}, options.json)


if __name__ == "__main__":
    main()
