"""How well Time-to-Move makes nano follow drawn motion without any condition on the tracks.

Clips, tracks and measures as of ``benchmarks/nano.py --style simple``: the first frame and 16 tracks are given, the
result is tracked, errors are in pixels at 128x128. Beside nano's own unguided run, nano conditioned on the tracks
(ATI), the cue itself (the geometric warp), and both together.

    python benchmarks/time_to_move.py [--json FILE] [--clips N] [--photographs N] [--sheet FILE.png]

Prints one row for every setting: clocks, steps run, EPE, its share of the unguided run's, PSNR inside the mask of the
cue and outside it, seconds a clip.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from _nano_cases import FPS, FRAMES, SIZE, Case, make_cases
from _nano_measures import following_error, psnr
from _report import header, write
from numpy.typing import NDArray
from PIL import Image

from motionloom.methods.ati.pipeline import ATIWanImageToVideoPipeline
from motionloom.methods.time_to_move.cue import motion_cue
from motionloom.methods.time_to_move.dual_clock import NANO, NANO_STEPS
from motionloom.methods.time_to_move.pipeline import TimeToMoveWan, TimeToMoveWanPipeline
from motionloom.models.loading import load
from motionloom.models.nano.guidance import guidance_options
from motionloom.tracks.dense import dense_tracks
from motionloom.tracks.layers import Layer

# (steps of the schedule, t_weak, t_strong)
SETTINGS: tuple[tuple[int, float, float], ...] = (
    (8, 0.625, 0.875),
    (20, 0.8, 0.95),
    (40, 0.9, 0.975),
    (NANO_STEPS, NANO.t_weak, NANO.t_strong),
    (NANO_STEPS, NANO.t_strong, NANO.t_strong),
    (20, 0.8, 1.0),
)

EXACT = 50.0
"""dB: what still parts of the picture count that are met to the bit."""


class Both(TimeToMoveWan, ATIWanImageToVideoPipeline):
    """Moved by the cue, and conditioned on the tracks."""


def ways() -> dict[str, Callable[[Case], NDArray[np.uint8]]]:
    """From a case to frames uint8 [T, H, W, 3], by name."""
    model: Any = load("nano")
    pipe = model.pipeline
    moved, both = TimeToMoveWanPipeline.from_pipe(pipe), Both.from_pipe(pipe)
    for one in (moved, both):
        one.set_progress_bar_config(disable=True)
    nothing = torch.zeros(1, 1, pipe.transformer.config.text_dim)

    def run(pipeline: Any, case: Case, steps: int, **arguments: Any) -> NDArray[np.uint8]:
        video = pipeline(
            image=Image.fromarray(case.frames[0]),
            height=SIZE[0],
            width=SIZE[1],
            num_frames=FRAMES,
            num_inference_steps=steps,
            guidance_scale=1.0,
            generator=torch.Generator().manual_seed(0),
            prompt_embeds=nothing,
            negative_prompt_embeds=nothing,
            output_type="np",
            **arguments,
        ).frames[0]
        return np.clip(np.round(video * 255), 0, 255).astype(np.uint8)

    def clocks(steps: int, weak: float, strong: float) -> Callable[[Case], NDArray[np.uint8]]:
        def generate(case: Case) -> NDArray[np.uint8]:
            frames, mask = cue(case)
            return run(moved, case, steps, motion_frames=frames, motion_mask=mask, t_weak=weak, t_strong=strong)

        return generate

    def together(case: Case) -> NDArray[np.uint8]:
        frames, mask = cue(case)
        layer = Layer(case.tracks, None, False, "background", 0)
        return run(
            both,
            case,
            NANO_STEPS,
            motion_frames=frames,
            motion_mask=mask,
            t_weak=NANO.t_weak,
            t_strong=NANO.t_strong,
            tracks=dense_tracks([layer], pipe.vae_scale_factor_spatial),
            **guidance_options("ati", SIZE[0] // pipe.vae_scale_factor_spatial, model.card.guidance),
        )

    def guided(case: Case) -> NDArray[np.uint8]:
        return model.generate(case.frames[0], case.tracks, seed=0, size=SIZE, num_frames=FRAMES, fps=FPS).frames

    return {
        "unguided": lambda case: run(moved, case, 1),
        "ati": guided,
        **{f"{weak:g}/{strong:g} of {steps}": clocks(steps, weak, strong) for steps, weak, strong in SETTINGS},
        "ati and time-to-move": together,
        "the cue (warp)": lambda case: cue(case)[0],
    }


def cue(case: Case) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Moved photograph and mask, made once for a case."""
    if not hasattr(case, "cue"):
        case.cue = motion_cue(case.frames[0], case.tracks, None, SIZE, FRAMES)  # pyright: ignore
    return case.cue  # pyright: ignore


def measure(clips: int, photographs: int) -> tuple[dict[str, Any], dict[str, list[NDArray[np.uint8]]]]:
    cases = make_cases("procedural", clips, 16, style="simple")
    cases += make_cases("photograph", photographs, 16, style="simple")
    rows: list[dict[str, Any]] = []
    videos: dict[str, list[NDArray[np.uint8]]] = {"truth": [case.frames for case in cases[:: max(1, len(cases) // 4)]]}
    for way, generate in ways().items():
        for index, case in enumerate(cases):
            started = time.perf_counter()
            frames = generate(case)
            seconds = time.perf_counter() - started
            mask = cue(case)[1]
            row = {"way": way, "case": case.name, "epe": following_error(frames, case.tracks), "seconds": seconds}
            row["psnr"] = psnr(frames, case.frames, case.seen)
            row["psnr_inside"] = psnr(frames, case.frames, mask) if mask[1:].any() else None
            # A few pixels say nothing of what the model makes there.
            outside = (~mask[1:]).mean() > 0.01
            row["psnr_outside"] = min(EXACT, psnr(frames, case.frames, ~mask) or EXACT) if outside else None
            rows.append(row)
            if index % max(1, len(cases) // 4) == 0:
                videos.setdefault(way, []).append(frames)
        print(f"  {way}: EPE {np.mean([row['epe'] for row in rows if row['way'] == way]):.2f}", flush=True)
    return {"settings": {way: summary(rows, way) for way in ways_of(rows)}, "cases": len(cases), "rows": rows}, videos


def ways_of(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["way"] for row in rows))


def summary(rows: list[dict[str, Any]], way: str) -> dict[str, float]:
    def mean(name: str, kind: str) -> float:
        found = [row[name] for row in rows if row["way"] == kind and row[name] is not None]
        return round(float(np.mean(found)), 3)

    names = ("epe", "psnr", "psnr_inside", "psnr_outside", "seconds")
    ratio = mean("epe", way) / mean("epe", "unguided")
    return {**{name: mean(name, way) for name in names}, "epe_ratio": round(ratio, 3)}


def show(result: dict[str, Any]) -> None:
    print(f"\n{result['cases']} clips")
    print(f"  {'':22}{'EPE px':>8}{'of unguided':>13}{'PSNR':>8}{'inside':>8}{'outside':>9}{'s':>7}")
    for way, found in result["settings"].items():
        print(
            f"  {way:22}{found['epe']:8.2f}{found['epe_ratio']:13.2f}{found['psnr']:8.2f}{found['psnr_inside']:8.2f}"
            f"{found['psnr_outside']:9.2f}{found['seconds']:7.2f}"
        )


def draw_sheet(videos: dict[str, list[NDArray[np.uint8]]], path: str) -> None:
    """Rows: the ways; columns: frames 4, 10 and 16 of a few clips."""
    rows = [np.concatenate([clip[t] for clip in clips for t in (4, 10, 16)], axis=1) for clips in videos.values()]
    Image.fromarray(np.concatenate(rows)).save(path)
    print("rows of the sheet:", ", ".join(videos))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--clips", type=int, default=16, help="held-out procedural clips")
    parser.add_argument("--photographs", type=int, default=12, help="clips made of photographs")
    parser.add_argument("--sheet", help="write a picture with frames of a few clips")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(header())
    result, videos = measure(options.clips, options.photographs)
    show(result)
    if options.sheet:
        draw_sheet(videos, options.sheet)
    write(result, options.json)


if __name__ == "__main__":
    main()
