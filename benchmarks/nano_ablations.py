"""What each choice in nano is worth, one at a time, on the held-out cases of ``benchmarks/nano.py``.

    python benchmarks/nano_ablations.py [--only methods tracks temperature pooling training size] [--model nano|FOLDER]
        [--clips N] [--photographs N] [--steps N] [--json FILE] [--plots FOLDER]
        [--run FOLDER] [--budget 30m] [--sizes 256x3 384x4 512x5] [--work FOLDER] [--plot-only]

On given weights, without training:
  methods       none, ATI, Wan-Move, and the geometric warp
  tracks        1 to 200 tracks, spread over the picture or as they are drawn
  temperature   ATI's temperature and top-k
  pooling       Wan-Move's ways to pool the frames of a latent frame and to settle who writes to a cell
With training:
  training      the weights kept on the way (``--run``: a training's folder with ``snapshots/STEP``, by default what
                ``size`` left of its largest model), and the scores in its log
  size          three sizes (width x layers), each trained for ``--budget``; stopped and started again it goes on

Each finished part is kept in the JSON at once, and its picture drawn; ``--plot-only`` draws them again from there.
"""

from __future__ import annotations

import argparse
import copy
import json
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from _nano_cases import FRAMES, Case, Kind, make_cases
from _nano_measures import Row, following_error, interval, psnr
from _nano_plots import bars, curves
from _report import header, write
from nano import METHODS, Nano
from numpy.typing import NDArray

from motionloom.cli.train import parse_budget
from motionloom.errors import InputError
from motionloom.evaluate.perceptual import gms_dissim
from motionloom.methods.ati import ati
from motionloom.models.loading import load
from motionloom.models.nano.guidance import guidance_options
from motionloom.tracks.tracks import Tracks
from motionloom.train.nano import NanoRecipe, train

Frames = NDArray[np.uint8]
Section = dict[str, Any]

ROOT = Path(__file__).parents[1]
NUM_TRACKS = 16
COUNTS = (1, 2, 4, 8, 16, 32, 64, 128, 200)
TEMPERATURES = (1 / 16, 1 / 4, 1 / 2, 1, 2, 4, 16)  # of the one in use
TOP_KS = (1, 2, 8)
POOLINGS = ("sample", "average", "window")
COLLISIONS = ("random", "nearest")
SIZES = ("256x3", "384x4", "512x5")
MARKS = (0, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2)
"""Shares of the budget at which weights are kept; 0: what guidance copied and the codec make of it, untrained."""


@dataclass(frozen=True)
class Setup:
    """What all ablations share."""

    nano: Nano
    cases: Sequence[Case]
    steps: int
    options: argparse.Namespace


def methods(setup: Setup) -> Section:
    """None, ATI, Wan-Move, warp."""
    warp = load("warp")
    ways: dict[str, Callable[[Case], Frames]] = {
        "none": lambda case: setup.nano.make(case.frames[0], None, "ati", setup.steps),
        "ATI": lambda case: setup.nano.make(case.frames[0], case.tracks, "ati", setup.steps),
        "Wan-Move": lambda case: setup.nano.make(case.frames[0], case.tracks, "wan_move", setup.steps),
        "warp": lambda case: warp.generate(case.frames[0], case.tracks, num_frames=FRAMES).frames,
    }
    found = []
    for kind in ("procedural", "photograph"):
        mine = [case for case in setup.cases if case.name.startswith(kind)]
        for way, make in ways.items():
            if mine:
                found.append(point(f"{kind}s".replace("procedurals", "procedural"), way, mine, make))
    return {"points": found}


def tracks(setup: Setup) -> Section:
    """1 to 200 of them. ``epe_probes`` is of the same 16 points whatever was drawn: how the rest follows."""
    most = max(COUNTS)
    rich = {case.name: case for case in _cases(setup.options, NUM_TRACKS + most)}
    found = []
    for method in METHODS:
        for spread in (True, False):
            for count in COUNTS:
                rows = []
                for case in rich.values():
                    told, probes = _told_and_probes(case.tracks, count)
                    made = setup.nano.make(case.frames[0], told, method, setup.steps, densify=spread)
                    row = numbers(made, _telling(case, told))
                    rows.append({**row, "epe_probes": following_error(made, probes)})
                series = f"{method}, {'spread' if spread else 'as drawn'}"
                found.append(summary(series, count, rows))
    return {"points": found}


def temperature(setup: Setup) -> Section:
    """ATI's, as a multiple of the one in use, with different numbers of tracks that may write to one cell; and the
    published numbers and grid, which the network was not trained with."""
    model = setup.nano.models["ati"]
    cells = min(setup.cases[0].tracks.size) // model.pipeline.vae_scale_factor_spatial
    used = guidance_options("ati", cells, model.card.guidance)
    native = used.get("temperature", ati.TEMPERATURE)
    found = []
    for top_k in TOP_KS:
        for factor in TEMPERATURES:
            options = {"temperature": native * factor, "top_k": top_k}
            make = _guided(setup, "ati", options)
            entry = point(f"top-k {top_k}", round(native * factor, 2), setup.cases, make)
            found.append({**entry, "sigma_cells": round((cells - 1) / 2 / (2 * native * factor) ** 0.5, 3)})
    published = {"temperature": ati.TEMPERATURE, "top_k": ati.TOP_K, "grid": "reference"}
    for name, options in (("as trained", used), ("as published", published)):
        found.append(point(name, round(options["temperature"], 2), setup.cases, _guided(setup, "ati", options)))
    return {"points": found, "native": round(native, 2)}


def pooling(setup: Setup) -> Section:
    """Wan-Move's variants; ATI has one way only, which stands beside them."""
    found = [
        point(f"collisions: {collision}", how, setup.cases, _guided(setup, "wan_move", options))
        for collision in COLLISIONS
        for how in POOLINGS
        for options in [{"pooling": how, "collision": collision}]
    ]
    return {"points": [*found, point("ATI", "ATI", setup.cases, _guided(setup, "ati", {}))]}


def training(setup: Setup) -> Section:
    """EPE of the weights that a training kept, over its steps; and what its log says."""
    run = setup.options.run or setup.options.work / setup.options.sizes[-1]
    places = [*sorted((run / "snapshots").glob("*")), run / "nano"]
    places = [place for place in places if (place / "training.json").exists()]
    if not places:
        raise SystemExit(
            f"{run}: found no weights in snapshots/ or nano/; name a training with --run, or run size first"
        )
    found, seen = [], set()
    for place in places:
        facts = json.loads((place / "training.json").read_text())
        if facts["steps"] in seen:
            continue
        seen.add(facts["steps"])
        for entry in _three(setup, place).values():
            found.append({**entry, "x": facts["steps"], "seconds": facts["seconds"]})
    log = [json.loads(line) for line in _lines(run / "log.jsonl")]
    scores = [{k: v for k, v in line.items() if k in ("step", "elapsed") or k.startswith("psnr")} for line in log]
    return {"points": found, "log": [line for line in scores if len(line) > 2]}


def size(setup: Setup) -> Section:
    """Three sizes, each trained for the same time by the recipe as it is."""
    options = setup.options
    found: list[Row] = []
    for name in options.sizes:
        width, layers = (int(part) for part in name.split("x"))
        out = options.work / name
        recipe = replace(NanoRecipe(), width=width, layers=layers)
        done = out / "done.json"
        if not done.exists() or json.loads(done.read_text())["budget"] < options.budget:
            print(f"  {name}: training for {options.budget:.0f} s in {out}", flush=True)
            every = max(5.0, options.budget / 128)
            keep = Snapshots(out)
            train(out, budget=options.budget, recipe=recipe, checkpoint_every=every, on_progress=keep)
            done.write_text(json.dumps({"budget": options.budget}) + "\n")
        facts = json.loads((out / "nano" / "training.json").read_text())
        for entry in _three(setup, out / "nano").values():
            found.append({**entry, "size": name, "steps": facts["steps"], "seconds": facts["seconds"]})
    return {"points": found, "budget": options.budget}


class Snapshots:
    """Keeps the weights of a training as they are when shares of its budget are spent: `MARKS`.

    Called with the facts of each step; copies the model that the last checkpoint wrote to ``snapshots/STEP``.
    """

    def __init__(self, out: Path) -> None:
        self.out = out

    def __call__(self, facts: dict[str, Any]) -> None:
        kept = len(list((self.out / "snapshots").glob("[0-9]*")))
        written = self.out / "nano" / "training.json"
        if kept >= len(MARKS) or facts["share"] < MARKS[kept] or not written.exists():
            return
        told = json.loads(written.read_text())
        target = self.out / "snapshots" / f"{told['steps']:06d}"
        if target.exists():
            return
        target.parent.mkdir(exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".", dir=target.parent))
        shutil.copytree(self.out / "nano", draft, dirs_exist_ok=True)
        draft.replace(target)


def point(series: str, x: float | str, cases: Iterable[Case], make: Callable[[Case], Frames]) -> Row:
    """The numbers of clips made in one way, over the cases."""
    return summary(series, x, [numbers(make(case), case) for case in cases])


def numbers(frames: Frames, case: Case) -> Row:
    whole = np.ones(frames.shape[:3], np.bool_)
    return {
        "case": case.name,
        "epe": following_error(frames, case.tracks),
        "psnr_all": psnr(frames, case.frames, whole),
        "gms_all": float(gms_dissim(frames[1:], case.frames[1:]).mean()),
    }


def summary(series: str, x: float | str, rows: Sequence[Row]) -> Row:
    names = [name for name in rows[0] if name != "case"]
    found = {"series": series, "x": x, **{name: interval(rows, name) for name in names}}
    print(f"  {series}, {x}: EPE {found['epe']['mean']:.2f} px, PSNR {found['psnr_all']['mean']:.2f} dB", flush=True)
    return found


def draw(name: str, section: Section, folder: Path) -> None:
    """The picture of a finished ablation."""
    points, path = section["points"], folder / f"nano_ablations_{name}.png"
    quality = ("epe", "psnr_all")
    if name == "methods":
        bars(points, (*quality, "gms_all"), path, x_title="guidance")
    elif name == "tracks":
        curves(points, ("epe", "epe_probes", "psnr_all"), path, x_title="tracks drawn")
    elif name == "temperature":
        curves(points, quality, path, x_title="temperature of ATI", mark=section["native"])
    elif name == "pooling":
        bars(points, quality, path, x_title="pooling of Wan-Move's latent frames")
    elif name == "training":
        curves(points, quality, path, x_title="training steps")
    elif name == "size":
        curves(points, quality, path, x_title="parameters of the transformer, millions")
    print(f"{path}")


ABLATIONS: dict[str, Callable[[Setup], Section]] = {
    "methods": methods,
    "tracks": tracks,
    "temperature": temperature,
    "pooling": pooling,
    "size": size,
    "training": training,
}


def _three(setup: Setup, place: Path) -> dict[str, Row]:
    """Unguided, ATI and Wan-Move with other weights; x is their size in millions of parameters."""
    nano = Nano(str(place), place.name)
    steps = setup.options.steps or nano.default_steps
    millions = round(nano.facts()["parameters"]["transformer"] / 1e6, 2)
    return {way: point(way, millions, setup.cases, _told(make)) for way, make in nano.ways(steps).items()}


def _told(make: Callable[[Frames, Tracks], Frames]) -> Callable[[Case], Frames]:
    return lambda case: make(case.frames[0], case.tracks)


def _guided(setup: Setup, method: str, options: dict[str, Any]) -> Callable[[Case], Frames]:
    return lambda case: setup.nano.make(case.frames[0], case.tracks, method, setup.steps, options=options)


def _cases(options: argparse.Namespace, num_tracks: int) -> list[Case]:
    counts: dict[Kind, int] = {"procedural": options.clips, "photograph": options.photographs}
    return [case for kind, count in counts.items() for case in make_cases(kind, count, num_tracks, style=options.style)]


def _told_and_probes(drawn: Tracks, count: int) -> tuple[Tracks, Tracks]:
    """The first ``count`` tracks in an order that does not depend on it, and 16 others: fewer tracks are among more."""
    order = np.random.default_rng(0).permutation(drawn.num_tracks)
    return drawn.select(order[NUM_TRACKS:][:count]), drawn.select(order[:NUM_TRACKS])


def _telling(case: Case, told: Tracks) -> Case:
    other = copy.copy(case)
    other.tracks = told
    return other


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=tuple(ABLATIONS), default=list(ABLATIONS))
    parser.add_argument("--model", default="nano", help="catalogue name or model folder")
    parser.add_argument("--clips", type=int, default=8, help="held-out procedural clips")
    parser.add_argument("--photographs", type=int, default=4, help="clips made of photographs")
    parser.add_argument("--style", choices=("natural", "simple"), default="natural", help="of the generator's clips")
    parser.add_argument("--steps", type=int, help="denoising steps; the model's default when not given")
    parser.add_argument("--json", type=Path, default=ROOT / "benchmarks" / "results" / "nano_ablations.json")
    parser.add_argument("--plots", type=Path, default=ROOT / "docs" / "images", help="folder of the pictures")
    parser.add_argument("--run", type=Path, help="folder of a training, for training")
    parser.add_argument("--budget", default="30m", help="time to train each size for: 90s, 20m, 1h30m")
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), metavar="WIDTHxLAYERS")
    parser.add_argument("--work", type=Path, default=Path("runs") / "nano_ablations", help="folder of the trainings")
    parser.add_argument("--plot-only", action="store_true", help="draw the pictures again from the JSON")
    options = parser.parse_args()
    if not options.clips + options.photographs:
        parser.error("--clips, --photographs: both are 0, at least one case is needed")
    try:
        options.budget = parse_budget(options.budget)
    except InputError as error:
        parser.error(str(error))
    warnings.filterwarnings("ignore")
    print(header())
    result: dict[str, Section] = json.loads(options.json.read_text()) if options.json.exists() else {}
    result.pop("header", None)
    if not options.plot_only:
        nano = Nano(options.model, options.model)
        setup = Setup(nano, _cases(options, NUM_TRACKS), options.steps or nano.default_steps, options)
        about = {
            "model": options.model,
            "digest": nano.facts()["digest"],
            "steps": setup.steps,
            "cases": len(setup.cases),
        }
        for name in options.only:
            print(f"\n{name}")
            result[name] = {"header": header(), **about, **ABLATIONS[name](setup)}
            options.json.parent.mkdir(parents=True, exist_ok=True)
            write(result, str(options.json))
            draw(name, result[name], options.plots)
        return
    for name in options.only:
        if name in result:
            draw(name, result[name], options.plots)


if __name__ == "__main__":
    main()
