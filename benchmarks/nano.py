"""How well nano follows drawn motion, beside its own unguided run and the geometric warp.

Cases: held-out procedural clips, and photographs (never trained on) moved as layers by the same generator, so that
every clip has exact tracks and a true video. Each model gets the first frame and 16 tracks. The result is tracked with
the package's offline tracker; errors are in pixels at 128x128.

    python benchmarks/nano.py [--json FILE] [--model nano|FOLDER] [--clips N] [--photographs N] [--steps N] [--tracks N]
                               [--guidance-scale X]

Prints one table; the JSON holds {"epe": {...}, "psnr": {...}, "codec_psnr": ...} and the same for each kind of case.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _report import header, write
from numpy.typing import NDArray

from motionloom.evaluate.make_bench import pick_tracks
from motionloom.evaluate.tracks import epe
from motionloom.media import read_image
from motionloom.models.loading import load
from motionloom.models.wan import WanModel
from motionloom.prepare.procedural import render, sample_scene, visible_before, with_photographs
from motionloom.tracks.trackers import track
from motionloom.tracks.tracks import Tracks
from motionloom.train.nano import VALIDATION_SEED

SIZE = (128, 128)
FRAMES, FPS = 17, 8.0
PHOTOGRAPHS = ("cat.jpg", "coffee.jpg", "rocket.jpg", "galaxies.jpg")


class Case:
    """A true video with its tracks: frames uint8 [T, H, W, 3], which pixels were visible at the start, 16 tracks."""

    def __init__(self, name: str, video: torch.Tensor, seen: torch.Tensor, tracks: Tracks) -> None:
        self.name, self.video, self.tracks = name, video, tracks
        self.frames: NDArray[np.uint8] = (video.permute(0, 2, 3, 1).numpy() * 255).round().astype(np.uint8)
        self.seen: NDArray[np.bool_] = seen.numpy()


def make_cases(kind: str, count: int, num_tracks: int) -> list[Case]:
    """``count`` cases of kind "procedural" or "photograph"; the same ones every time."""
    scene = sample_scene(VALIDATION_SEED + (kind == "photograph"), range(count), num_frames=FRAMES, resolution=SIZE[0])
    if kind == "photograph":
        folder = resources.files("motionloom.examples_data")
        scene = with_photographs(scene, [read_image(Path(str(folder / name))) for name in PHOTOGRAPHS], VALIDATION_SEED)
    video, seen = render(scene, SIZE), visible_before(scene, SIZE)
    tracks = pick_tracks(scene, num_tracks, SIZE, FPS, seed=VALIDATION_SEED)
    return [Case(f"{kind} {i}", video[i], seen[i], tracks[i]) for i in range(count)]


def psnr(a: NDArray[np.uint8], b: NDArray[np.uint8], mask: NDArray[np.bool_]) -> float:
    """Over the pixels [T, H, W] of ``mask``, first frame left out."""
    error = ((a[1:].astype(np.float64) - b[1:]) ** 2)[mask[1:]].mean()
    return float(10 * np.log10(255**2 / error))


def following_error(frames: NDArray[np.uint8], wanted: Tracks) -> float:
    """EPE of the tracks found in the frames."""
    start = wanted.points[0]
    queries = np.concatenate([np.zeros((len(start), 1)), start], axis=1)
    found = track(frames, queries, fps=FPS)
    error = epe(found.points, wanted.points, wanted.visible)
    assert error is not None
    return error


def codec_psnr(model: WanModel, case: Case) -> float:
    video = case.video.transpose(0, 1)[None] * 2 - 1
    with torch.no_grad():
        decoded = model.pipeline.vae.pictures(model.pipeline.vae.codes(video))
    return float(-10 * torch.log10(((decoded - video)[:, :, 1:] / 2).square().mean()))


def run(
    name: str,
    clips: int,
    photographs: int,
    steps: int | None,
    num_tracks: int,
    guidance_scale: float | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    models = {method: load(name, method=method) for method in ("ati", "wan_move")}
    warp = load("warp")

    def nano(method: str, guided: bool) -> Callable[[Case], NDArray[np.uint8]]:
        def generate(case: Case) -> NDArray[np.uint8]:
            motion = case.tracks if guided else Tracks.empty(FRAMES, SIZE, FPS)
            clip = models[method].generate(
                case.frames[0],
                motion,
                seed=seed,
                size=SIZE,
                num_frames=FRAMES,
                num_inference_steps=steps,
                guidance_scale=guidance_scale,
            )
            return clip.frames

        return generate

    ways: dict[str, Callable[[Case], NDArray[np.uint8]]] = {
        "unguided": nano("ati", False),
        "ati": nano("ati", True),
        "wan_move": nano("wan_move", True),
        "warp": lambda case: warp.generate(case.frames[0], case.tracks, num_frames=FRAMES).frames,
        "still": lambda case: np.repeat(case.frames[:1], FRAMES, axis=0),
        "truth": lambda case: case.frames,
    }
    cases = make_cases("procedural", clips, num_tracks) + make_cases("photograph", photographs, num_tracks)
    rows: list[dict[str, Any]] = []
    for case in cases:
        for way, generate in ways.items():
            started = time.perf_counter()
            frames = generate(case)
            row = {"case": case.name, "way": way, "epe": following_error(frames, case.tracks)}
            if way != "truth":
                row["psnr"] = psnr(frames, case.frames, case.seen)
            rows.append({**row, "seconds": round(time.perf_counter() - started, 2)})
        model = models["ati"]
        assert isinstance(model, WanModel)
        rows.append({"case": case.name, "way": "codec", "psnr": codec_psnr(model, case)})
        print(f"  {case.name}: " + ", ".join(f"{r['way']} {r['epe']:.2f}" for r in rows[-7:-1]), flush=True)
    parts = {"": ("",), "procedural": ("procedural",), "photographs": ("photograph",)}
    result: dict[str, Any] = {}
    for part, (prefix,) in parts.items():
        chosen = [row for row in rows if row["case"].startswith(prefix)]
        if chosen:
            summary = _summary(chosen)
            result |= summary if not part else {part: summary}
    digest = models["ati"].digest
    return {
        **result,
        "model": name,
        "digest": digest,
        "steps": steps or models["ati"].card.default_steps,
        "tracks": num_tracks,
        "rows": rows,
    }


def _summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    def mean(way: str, key: str) -> float:
        return round(float(np.mean([row[key] for row in rows if row["way"] == way])), 3)

    ways = ("unguided", "ati", "wan_move", "warp", "still")
    errors = {way: mean(way, "epe") for way in (*ways, "truth")}
    return {
        "epe": errors,
        "epe_ratio": {way: round(errors[way] / errors["unguided"], 3) for way in ("ati", "wan_move", "warp")},
        "psnr": {way: mean(way, "psnr") for way in ways},
        "codec_psnr": mean("codec", "psnr"),
        "cases": len({row["case"] for row in rows}),
    }


def show(result: dict[str, Any]) -> None:
    for part in ("procedural", "photographs", ""):
        summary = result if not part else result.get(part)
        if summary is None:
            continue
        print(f"\n{part or 'all'} ({summary['cases']} clips; codec {summary['codec_psnr']:.1f} dB)")
        print(f"  {'':10}{'EPE px':>8}{'of unguided':>13}{'PSNR dB':>9}")
        for way, error in summary["epe"].items():
            ratio = error / summary["epe"]["unguided"]
            quality = summary["psnr"].get(way)
            print(f"  {way:10}{error:8.2f}{ratio:13.2f}{'' if quality is None else f'{quality:9.2f}'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--model", default="nano", help="catalogue name or model folder")
    parser.add_argument("--clips", type=int, default=16, help="held-out procedural clips")
    parser.add_argument("--photographs", type=int, default=12, help="clips made of photographs")
    parser.add_argument("--steps", type=int, help="denoising steps; the model's default when not given")
    parser.add_argument("--guidance-scale", type=float, help="of the motion; the model's default when not given")
    parser.add_argument("--tracks", type=int, default=16)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(header())
    result = run(
        options.model, options.clips, options.photographs, options.steps, options.tracks, options.guidance_scale
    )
    show(result)
    write(result, options.json)


if __name__ == "__main__":
    main()
