"""How well nano follows drawn motion and how good its pictures are, beside its own unguided run and the geometric warp.

Cases: held-out procedural clips, and photographs (never trained on) moved as layers by the same generator, so that
every clip has exact tracks and a true video. Each model gets the first frame and 16 tracks. The result is tracked with
the package's offline tracker; lengths are in pixels of the clip. "latents" is what the network is trained to make: the
true video out of latents that say exactly where everything comes from, which a latent frame does once in four frames.

    python benchmarks/nano.py [--json FILE] [--model nano --model FOLDER ...] [--steps 1 2 4 20] [--size 128|256]
                               [--clips N] [--photographs N] [--anchors N] [--tracks N] [--style natural|simple]
                               [--guidance-scale X] [--lpips BACKBONE HEADS] [--quick]
                               [--sheet FILE.png] [--worst N] [--videos FOLDER]

Several models stand side by side, in the order they are given, each with its difference from the first; several step
counts are all run on all cases. One model with one step count takes some minutes on one core; ``--quick`` is for
looking whether something is broken, with four clips of each kind.

Prints tables with means over cases, and what of the goals is met. The JSON has 95 % bootstrap intervals over cases,
differences paired by case, and all rows.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _nano_cases import FPS, FRAMES, Case, Kind, as_bytes, make_anchors, make_cases
from _nano_measures import FOLLOWING, LIKENESS, LOOKS, Row, difference, drift, interval, measured, ratio
from _nano_pictures import write_sheet, write_video
from _nano_tables import goals, show
from _report import header, write
from numpy.typing import NDArray

from motionloom.evaluate.networks.lpips import LPIPS, load_lpips
from motionloom.models.loading import load
from motionloom.prepare.procedural import Style
from motionloom.tracks.tracks import Tracks
from motionloom.train.latents import to_latents, to_video, with_provenance

Frames = NDArray[np.uint8]
METHODS = ("ati", "wan_move")
SHEET_CASES = 6


class Nano:
    """One set of weights with both of its methods.

    Attributes:
        label: how it is called in tables; place: catalogue name or folder.
    """

    def __init__(self, place: str, label: str, guidance_scale: float | None = None) -> None:
        self.place, self.label, self.guidance_scale = place, label, guidance_scale
        self.models: dict[str, Any] = {method: load(place, method=method) for method in METHODS}
        self.default_steps = int(self.models["ati"].card.default_steps or 1)

    def make(self, image: Frames, tracks: Tracks | None, method: str, steps: int, seed: int = 0, **more: Any) -> Frames:
        """A clip uint8 [T, H, W, 3] of the size of the image; without tracks: unguided."""
        size = (image.shape[0], image.shape[1])
        motion = Tracks.empty(FRAMES, size, FPS) if tracks is None else tracks
        clip = self.models[method].generate(
            image,
            motion,
            seed=seed,
            size=size,
            num_frames=FRAMES,
            num_inference_steps=steps,
            guidance_scale=self.guidance_scale,
            **more,
        )
        return clip.frames

    def ways(self, steps: int) -> dict[str, Callable[[Frames, Tracks], Frames]]:
        return {
            "unguided": lambda image, _: self.make(image, None, "ati", steps),
            "ati": lambda image, tracks: self.make(image, tracks, "ati", steps),
            "wan_move": lambda image, tracks: self.make(image, tracks, "wan_move", steps),
        }

    def facts(self) -> dict[str, Any]:
        parts = self.models["ati"].pipeline
        numbers = {name: sum(p.numel() for p in getattr(parts, name).parameters()) for name in ("transformer", "vae")}
        return {"place": self.place, "digest": self.models["ati"].digest, "parameters": numbers}

    @torch.no_grad()
    def codec_psnr(self, case: Case) -> float:
        """What encoding and decoding alone leaves of a true video, dB, without the first frame."""
        video = _as_video(case)
        vae = self.models["ati"].pipeline.vae
        decoded = vae.decode(vae.encode(video.to(vae.device, vae.dtype)).latent_dist.mode()).sample.float().cpu()
        return float(-10 * torch.log10(((decoded - video)[:, :, 1:] / 2).square().mean()))

    @torch.no_grad()
    def through_latents(self, case: Case) -> Frames:
        """The true video out of the latents that training shows: what a network without error would make."""
        vae = self.models["ati"].pipeline.vae
        video = _as_video(case).to(vae.device, vae.dtype)
        places, seen = (part.to(vae.device) for part in case.origin)
        decoded = to_video(vae, with_provenance(vae, to_latents(vae, video), places, seen)).float().cpu()
        return as_bytes((decoded[0].transpose(0, 1) + 1) / 2)

    def seconds(self, case: Case, steps: int, repeats: int) -> float:
        """Median time of a whole call with ATI, after one that is not counted."""
        taken = []
        for _ in range(repeats + 1):
            started = time.perf_counter()
            self.make(case.frames[0], case.tracks, "ati", steps)
            taken.append(time.perf_counter() - started)
        return statistics.median(taken[1:])


def _as_video(case: Case) -> torch.Tensor:
    """[1, 3, T, H, W] in [-1, 1]."""
    return torch.from_numpy(case.frames).permute(3, 0, 1, 2)[None].float() / 127.5 - 1


def run(
    places: Sequence[str],
    *,
    clips: int,
    photographs: int,
    anchors: int,
    num_tracks: int,
    steps: Sequence[int],
    size: tuple[int, int],
    style: Style = "natural",
    guidance_scale: float | None = None,
    network: LPIPS | None = None,
    repeats: int = 5,
    on_case: Callable[[Case, dict[str, Frames], list[Row]], None] | None = None,
) -> dict[str, Any]:
    """Everything measured of some models.

    Args:
        anchors: cases of each kind and sort.
        steps: counts of denoising steps; empty: each model's own.
        on_case: called with each case, its clips by way, and their rows.
    """
    labels = _labels(places)
    nanos = [Nano(place, label, guidance_scale) for place, label in zip(places, labels, strict=True)]
    runs = [(nano, count) for nano in nanos for count in (steps or [nano.default_steps])]
    warp = load("warp")
    baselines: dict[str, Callable[[Frames, Tracks], Frames]] = {
        "warp": lambda image, tracks: warp.generate(image, tracks, num_frames=FRAMES).frames,
        "still": lambda image, _: np.repeat(image[None], FRAMES, axis=0),
    }
    kinds: dict[Kind, int] = {"procedural": clips, "photograph": photographs}

    rows: list[Row] = []
    for kind, count in kinds.items():
        for case in make_cases(kind, count, num_tracks, size, style):
            videos = {"truth": case.frames}
            made = [{"model": None, "steps": None, "way": "truth", **measured(case.frames, case, network)}]
            for nano, way_steps in runs:
                for way, make in nano.ways(way_steps).items():
                    facts: Row = {"model": nano.label, "steps": way_steps, "way": way}
                    frames = videos[way_label(facts, len(nanos) > 1)] = make(case.frames[0], case.tracks)
                    made.append(facts | measured(frames, case, network))
            for way, make in baselines.items():
                frames = make(case.frames[0], case.tracks)
                if way != "still":
                    videos[way] = frames
                made.append({"model": None, "steps": None, "way": way, **measured(frames, case, network)})
            for nano in nanos:
                facts = {"model": nano.label, "steps": None}
                made.append({**facts, "way": "codec", "psnr_all": nano.codec_psnr(case)})
                made.append({**facts, "way": "latents", **measured(nano.through_latents(case), case, network)})
            made = [{"case": case.name, "kind": kind, "several": case.several, **row} for row in made]
            rows += made
            if on_case:
                on_case(case, videos, made)
    anchored: list[Row] = []
    for kind, count in kinds.items():
        for case in make_anchors(kind, anchors, size, style) if count else ():
            about = {"case": case.name, "sort": case.sort}
            anchored.append({**about, "model": None, "steps": None, "way": "floor", **drift(case.frames, case)})
            for nano, way_steps in runs:
                for way, make in nano.ways(way_steps).items():
                    facts = {"model": nano.label, "steps": way_steps, "way": way}
                    anchored.append({**about, **facts, **drift(make(case.frames[0], case.tracks), case)})
    native = make_cases("procedural", 1, num_tracks, style=style)[0]
    parts = {"all": tuple(kinds), **{f"{kind}s" if kind == "photograph" else kind: (kind,) for kind in kinds}}
    chosen = {part: [row for row in rows if row["kind"] in among] for part, among in parts.items()}
    result: dict[str, Any] = {
        "size": list(size),
        "frames": FRAMES,
        "tracks": num_tracks,
        "style": style,
        "guidance_scale": guidance_scale,
        "threads": torch.get_num_threads(),
        "models": {nano.label: nano.facts() for nano in nanos},
        "runs": [
            {
                "model": nano.label,
                "steps": count,
                "seconds_128": round(nano.seconds(native, count, repeats), 3),
                **{part: _of_run(found, nano.label, count, runs[0]) for part, found in chosen.items() if found},
                "anchors": _anchors(anchored, ("unguided", *METHODS), nano.label, count),
            }
            for nano, count in runs
        ],
        "baselines": {part: _baselines(found) for part, found in chosen.items() if found},
        "anchor_floor": _anchors(anchored, ("floor",)),
    }
    return {**result, "goals": goals(result), "rows": rows, "anchor_rows": anchored}


def way_label(row: Row, several_models: bool) -> str:
    """How a clip is called on pictures."""
    name = row["way"] if row["steps"] is None else f"{row['way']} {row['steps']}"
    return f"{row['model']} {name}" if several_models and row["model"] else name


def _labels(places: Sequence[str]) -> list[str]:
    """Short and different names."""
    short = [Path(place).name if Path(place).is_dir() else place for place in places]
    return short if len(set(short)) == len(short) else list(places)


def _of(rows: Sequence[Row], way: str, model: str | None = None, steps: int | None = None) -> list[Row]:
    wanted = (way, model, steps)
    return [row for row in rows if (row["way"], row["model"], row["steps"]) == wanted]


def _of_run(rows: Sequence[Row], model: str, steps: int, first: tuple[Nano, int]) -> dict[str, Any]:
    """One model with one step count over one kind of case."""
    found: dict[str, Any] = {
        "cases": len({row["case"] for row in rows}),
        "codec_psnr": interval(_of(rows, "codec", model), "psnr_all"),
        "latents": _means(_of(rows, "latents", model)),
        "ways": {},
    }
    warp, unguided = _of(rows, "warp"), _of(rows, "unguided", model, steps)
    several = {row["case"] for row in rows if row["several"]}
    for way in ("unguided", *METHODS):
        mine = _of(rows, way, model, steps)
        entry: dict[str, Any] = _means(mine)
        if way != "unguided":
            entry["of_unguided"] = ratio(mine, unguided, "epe")
            entry["minus_warp"] = {name: difference(mine, warp, name) for name in LIKENESS if _known(mine, name)}
            entry["minus_warp_several"] = {
                name: difference([row for row in mine if row["case"] in several], warp, name)
                for name in LIKENESS
                if _known(mine, name)
            }
        if (first[0].label, first[1]) != (model, steps):
            base = _of(rows, way, first[0].label, first[1])
            entry["minus_first"] = {
                name: difference(mine, base, name) for name in (*FOLLOWING, *LIKENESS) if _known(mine, name)
            }
        found["ways"][way] = entry
    found["several"] = len(several)
    return found


def _baselines(rows: Sequence[Row]) -> dict[str, Any]:
    return {way: _means(mine) for way in ("warp", "still", "truth") if (mine := _of(rows, way))}


def _means(rows: Sequence[Row]) -> dict[str, Any]:
    return {name: interval(rows, name) for name in (*FOLLOWING, *LIKENESS, *LOOKS) if _known(rows, name)}


def _anchors(
    rows: Sequence[Row], ways: Sequence[str], model: str | None = None, steps: int | None = None
) -> dict[str, Any]:
    return {
        sort: {
            way: {name: interval(found, name) for name in ("drift", "stayed", "epe_moved")}
            for way in ways
            if (found := [row for row in _of(rows, way, model, steps) if row["sort"] == sort])
        }
        for sort in ("still", "held")
    }


def _known(rows: Sequence[Row], name: str) -> bool:
    return any(row.get(name) is not None for row in rows)


class Gallery:
    """What `--sheet`, `--worst` and `--videos` keep while the cases go by."""

    def __init__(self, sheet: Path | None, worst: int | None, videos: Path | None) -> None:
        self.sheet, self.worst, self.videos = sheet, worst, videos
        self.kept: list[tuple[float, Case, dict[str, Frames]]] = []

    def add(self, case: Case, videos: dict[str, Frames], rows: Sequence[Row]) -> None:
        guided = [row["epe"] for row in rows if row["way"] in METHODS]
        several = len({row["model"] for row in rows} - {None}) > 1
        errors = [f"{way_label(row, several)} {row['epe']:.2f}" for row in rows if row.get("epe") is not None]
        print(f"  {case.name}: {', '.join(errors)}", flush=True)
        if self.videos:
            write_video(self.videos / f"{case.name.replace(' ', '-')}.mp4", case.name, videos, case.tracks)
        if self.sheet:
            self.kept.append((max(guided), case, videos))
            if self.worst:
                self.kept = sorted(self.kept, key=lambda each: -each[0])[: self.worst]

    def finish(self) -> None:
        if not self.sheet or not self.kept:
            return
        # Without an order: some of each kind, since the cases come kind by kind.
        each = max(1, -(-len(self.kept) // SHEET_CASES))
        chosen = self.kept if self.worst else self.kept[::each]
        named = [(f"{case.name}, {error:.1f} px", videos, case.tracks) for error, case, videos in chosen]
        write_sheet(self.sheet, named)
        print(f"\n{self.sheet}: {len(named)} cases")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--model", action="append", help="catalogue name or model folder; several times for several")
    parser.add_argument("--clips", type=int, help="held-out procedural clips (16; --quick: 4)")
    parser.add_argument("--photographs", type=int, help="clips made of photographs (12; --quick: 4)")
    parser.add_argument("--anchors", type=int, help="clips with pinned points, of each kind and sort (3; --quick: 1)")
    parser.add_argument("--steps", type=int, nargs="+", default=[], help="denoising steps; each model's own by default")
    parser.add_argument("--size", type=int, default=128, help="side of the clips in pixels")
    parser.add_argument("--style", choices=("natural", "simple"), default="natural", help="of the generator's clips")
    parser.add_argument("--guidance-scale", type=float, help="of the motion; the model's default when not given")
    parser.add_argument("--tracks", type=int, default=16)
    parser.add_argument(
        "--lpips", type=Path, nargs=2, metavar=("BACKBONE", "HEADS"), help="AlexNet's file and LPIPS' heads for it"
    )
    parser.add_argument("--quick", action="store_true", help="few cases")
    parser.add_argument("--sheet", type=Path, help="write a picture with frames of some cases")
    parser.add_argument("--worst", type=int, metavar="N", help="the sheet shows the N cases with the largest EPE")
    parser.add_argument("--videos", type=Path, help="write every case as a video into this folder")
    options = parser.parse_args()
    if options.worst and not options.sheet:
        parser.error("--worst: name the picture too, with --sheet FILE.png")
    counts = {
        name: given if (given := getattr(options, name)) is not None else few if options.quick else many
        for name, many, few in (("clips", 16, 4), ("photographs", 12, 4), ("anchors", 3, 1))
    }
    if not counts["clips"] + counts["photographs"]:
        parser.error("--clips, --photographs: both are 0, at least one case is needed")
    warnings.filterwarnings("ignore")
    print(header())
    gallery = Gallery(options.sheet, options.worst, options.videos)
    result = run(
        options.model or ["nano"],
        **counts,
        num_tracks=options.tracks,
        steps=options.steps,
        size=(options.size, options.size),
        style=options.style,
        guidance_scale=options.guidance_scale,
        network=load_lpips("alex", *options.lpips) if options.lpips else None,
        repeats=3 if options.quick else 5,
        on_case=gallery.add,
    )
    show(result)
    gallery.finish()
    write(result, options.json)


if __name__ == "__main__":
    main()
