"""All methods side by side: the same small backbone, the same cases, the same seeds.

Every model that ships with the package and every method it knows (a method that joins the catalogue is in the table
by itself), nano without guidance, and for orientation the first frame standing still and the true video, whose error is
that of the tracker. The cases are procedural with exact tracks, half of them textured layers and half photographs
moved as layers, which nano has not been trained on; tracks on one object (single) and on several (multi).

    python benchmarks/methods.py [--json FILE] [--plot FILE.png] [--cases N] [--seeds 0,1] [--keep FOLDER] [--workers N]

Prints a table for each kind of case with 95 % bootstrap intervals over cases, and paired differences to the unguided
model. EPE is counted where the tracker finds the points in the true video (``epe_trackable``), since what it loses
there says nothing about a model; plain EPE stands beside it. ``--keep`` leaves the benchmark, the videos and the report
there; the same call goes on where it was stopped.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from _report import header, write

from motionloom.evaluate.bench import Candidate, run_benchmark
from motionloom.evaluate.bench.candidate import UNGUIDED
from motionloom.evaluate.make_bench import make_procedural
from motionloom.evaluate.movebench import open_benchmark
from motionloom.evaluate.run import Row, Run
from motionloom.evaluate.statistics import estimate, over_time, paired
from motionloom.media import Clip, read_image
from motionloom.models.catalog import list_models
from motionloom.scale.executors import executor

PHOTOGRAPHS = ("cat.jpg", "coffee.jpg", "rocket.jpg", "galaxies.jpg")
KINDS = ("textures", "photographs")
MODES = ("single", "multi")
METRICS = ("epe", "epe_trackable", "psnr", "ssim", "ic", "motion_smoothness_flowinterp", "fvmd_tracks")
SHOWN = ("epe_trackable", "epe", "pck_05", "psnr", "ssim", "ic")
MAIN = SHOWN[0]
SEED = 2026
BASE = f"nano:{UNGUIDED}"


def candidates(folder: Path) -> list[Candidate]:
    """Whatever of the catalogue runs here without being fetched, with each of its methods."""
    found = [Candidate.parse(f"still=@{folder / 'still'}"), Candidate.parse(BASE)]
    for card in list_models():
        if not card.files and card.installed:
            methods = card.methods if len(card.methods) > 1 else (None,)
            found += [Candidate.parse(card.name if method is None else f"{card.name}:{method}") for method in methods]
    return [*found, Candidate.parse(f"truth=@{folder / 'truth'}")]


def prepare(folder: Path, kind: str, cases: int) -> Path:
    """The benchmark of a kind, and beside it videos that stand still and true ones."""
    bench = folder / kind
    if bench.exists():
        return bench
    photographs = None
    if kind == "photographs":
        data = resources.files("motionloom.examples_data")
        photographs = [read_image(Path(str(data / name))) for name in PHOTOGRAPHS]
    make_procedural(bench, cases=cases, seed=SEED, fps=8.0, photographs=photographs)
    for mode in MODES:
        for case in open_benchmark(bench, mode=mode).cases:
            assert case.video is not None
            for name in ("still", "truth"):
                (folder / kind / name).mkdir(exist_ok=True)
            shutil.copyfile(case.video, bench / "truth" / f"{case.id}.mp4")
            true = Clip.load(case.video)
            Clip(np.repeat(true.frames[:1], true.num_frames, axis=0), true.fps).save(bench / "still" / f"{case.id}.mp4")
    return bench


def measure(folder: Path, cases: int, seeds: Sequence[int], workers: int) -> dict[str, dict[str, list[Run]]]:
    """Runs of all candidates by kind and mode."""
    found: dict[str, dict[str, list[Run]]] = {}
    for kind in KINDS:
        bench = prepare(folder, kind, cases)
        for mode in MODES:
            print(f"  {kind}, {mode}", flush=True)
            found.setdefault(kind, {})[mode] = run_benchmark(
                bench,
                candidates(bench),
                folder / "results" / f"{kind}-{mode}",
                mode=mode,
                seeds=seeds,
                metrics=METRICS,
                executor=executor("process", workers=workers, device="cpu"),
                on_note=print,
            )
    return found


def summary(runs: Sequence[Run]) -> dict[str, Any]:
    """Mean and interval of each metric by candidate; of EPE also by category and frame, and against the base."""
    base = next(run for run in runs if run.name == BASE)
    found: dict[str, Any] = {}
    for run in runs:
        failed = [row for row in run.rows if row.status == "failed"]
        assert not failed, f"{run.name}: {failed[0].case}: {failed[0].error}"
        entry: dict[str, Any] = {"videos": len(run.rows)}
        for name in SHOWN:
            entry[name] = _interval(run.rows, name)
        difference = paired(_values(base.rows, MAIN), _values(run.rows, MAIN), "lower")
        entry["minus_unguided"] = {
            "mean": _rounded(difference.mean), "low": _rounded(difference.low), "high": _rounded(difference.high),
            "win_rate": _rounded(difference.win_rate),
        }  # fmt: skip
        entry["by_category"] = {
            category: _interval([row for row in run.rows if row.category == category], MAIN)
            for category in sorted({row.category or "" for row in run.rows})
        }
        curves = [each.curve for row in run.rows for each in row.measurements if each.name == MAIN and each.curve]
        entry["over_time"] = [_rounded(value) for value in over_time(curves).mean]
        entry["totals"] = {total.name: _rounded(total.value) for total in run.totals}
        seconds = [row.seconds for row in run.rows if row.seconds is not None]
        entry["seconds_per_clip"] = _rounded(float(np.mean(seconds))) if seconds else None
        found[run.name] = entry
    return found


def _interval(rows: Sequence[Row], name: str) -> dict[str, Any]:
    values = _values(rows, name)
    found = estimate(list(values.values()), [case for case, _ in values])
    return {"mean": _rounded(found.mean), "low": _rounded(found.low), "high": _rounded(found.high), "n": found.n}


def _values(rows: Sequence[Row], name: str) -> dict[tuple[str, int | None], float]:
    found = ((row, row.value(name)) for row in rows)
    return {(row.case, row.seed): value for row, value in found if value is not None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def lines(summaries: dict[str, Any]) -> Iterator[str]:
    """The table of one kind and mode, as Markdown."""
    yield f"| method | {' | '.join(SHOWN)} | {MAIN} against unguided |"
    yield "|" + "---|" * (len(SHOWN) + 2)
    for name, entry in summaries.items():
        cells = []
        for metric in SHOWN:
            found = entry[metric]
            if found["mean"] is None:
                cells.append("-")
            elif metric == MAIN:
                cells.append(_with_interval(found, ".2f"))
            else:
                cells.append(f"{found['mean']:.2f}" if metric in ("epe", "psnr") else f"{found['mean']:.3f}")
        against = "-" if name == BASE else _with_interval(entry["minus_unguided"], "+.2f")
        yield f"| {name} | {' | '.join(cells)} | {against} |"


def _with_interval(found: dict[str, Any], form: str) -> str:
    """A mean and its interval, which a single case does not have."""
    if found["mean"] is None or found["low"] is None:
        return "-" if found["mean"] is None else format(found["mean"], form)
    return f"{found['mean']:{form}} ({found['low']:{form}} to {found['high']:{form}})"


def plot(result: dict[str, Any], path: Path) -> None:
    """EPE by category and over time, for both kinds of cases."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    colours = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#999999")
    figure, axes = plt.subplots(len(KINDS), 2, figsize=(11, 7.5), layout="constrained")
    for row, kind in enumerate(KINDS):
        entries = result[kind]["single"]
        categories = list(next(iter(entries.values()))["by_category"])
        width = 0.8 / len(entries)
        for index, (name, entry) in enumerate(entries.items()):
            colour = colours[index % len(colours)]
            found = [entry["by_category"][category] for category in categories]
            x = np.arange(len(categories)) + (index - (len(entries) - 1) / 2) * width
            mean = np.array([each["mean"] for each in found], float)
            spread = [
                [max(0.0, value - (each["low"] or value)) for value, each in zip(mean, found, strict=True)],
                [max(0.0, (each["high"] or value) - value) for value, each in zip(mean, found, strict=True)],
            ]
            axes[row][0].bar(x, mean, width * 0.9, color=colour, label=name)
            axes[row][0].errorbar(x, mean, spread, fmt="none", ecolor="#33333388", elinewidth=1)
            axes[row][1].plot(entry["over_time"], color=colour, label=name)
        axes[row][0].set(
            xticks=range(len(categories)), xticklabels=categories, ylabel="EPE where trackable, px", title=f"{kind}"
        )
        axes[row][1].set(xlabel="frame", ylabel="EPE where trackable, px", title=f"{kind}, over time")
        for axis in axes[row]:
            axis.spines[["top", "right"]].set_visible(False)
            axis.set_ylim(bottom=0)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside lower center", ncols=4, frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the results to this file")
    parser.add_argument("--plot", type=Path, help="write the picture to this file")
    parser.add_argument("--cases", type=int, default=24, help="of each kind")
    parser.add_argument("--seeds", default="0", help="with commas")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="folder for the benchmarks, videos and reports")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    print(header())
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        seeds = [int(seed) for seed in options.seeds.split(",")]
        runs = measure(folder, options.cases, seeds, options.workers)
        result = {kind: {mode: summary(found) for mode, found in modes.items()} for kind, modes in runs.items()}
        tables = {f"{kind}, {mode}": "\n".join(lines(result[kind][mode])) for kind in KINDS for mode in MODES}
        for title, table in tables.items():
            print(f"\n{title}\n{table}")
        if options.plot:
            plot(result, options.plot)
        write({**result, "cases": options.cases, "seeds": seeds, "tables": tables}, options.json)


if __name__ == "__main__":
    main()
