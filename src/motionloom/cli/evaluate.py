"""motionloom evaluate: numbers for videos that are there."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from motionloom.cli.console import progress, refuse_existing, say, show_table, warn
from motionloom.errors import InputError, MotionloomError

if TYPE_CHECKING:
    from motionloom.evaluate.run import Row, Run

Metrics = Annotated[
    str | None,
    typer.Option("--metrics", help="Bundles (core, features, distribution) or names, with commas; all by default."),
]
TrackerName = Annotated[
    str | None, typer.Option("--tracker", help="What finds the points again: offline, tapir, tapnext, cotracker3.")
]
Checkpoint = Annotated[Path | None, typer.Option("--tracker-checkpoint", help="The weights of a learned tracker.")]
Code = Annotated[Path | None, typer.Option("--tracker-code", help="The folder of a learned tracker's program.")]
WeightPlaces = Annotated[
    list[str] | None, typer.Option("--weights", help="NAME=PATH of a network; motionloom evaluate --list names them.")
]
AllowDownload = Annotated[
    bool, typer.Option("--allow-download", help="Fetch networks that are missing, where a hub has them.")
]
Device = Annotated[str | None, typer.Option("--device", help="Where networks run: cpu, cuda, ...")]
ExecutorName = Annotated[str, typer.Option("--executor", help="Where the work is done: inline, process, or ray.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes or actors.")]


def evaluate(
    source: Annotated[
        Path | None, typer.Argument(help="A video, a folder of videos, or a manifest (.jsonl, .yaml).")
    ] = None,
    motion: Annotated[
        Path | None,
        typer.Argument(help="What was asked for; for a folder of videos, the folder of motions."),
    ] = None,
    reference: Annotated[
        Path | None, typer.Option("--reference", help="The true video; for a folder, the folder of them.")
    ] = None,
    first_image: Annotated[Path | None, typer.Option("--first-image", help="What it should begin with.")] = None,
    last_image: Annotated[Path | None, typer.Option("--last-image", help="What it should end with.")] = None,
    prompt: Annotated[str | None, typer.Option("-p", "--prompt", help="What was asked for in words.")] = None,
    masks: Annotated[
        Path | None, typer.Option("--masks", help="Where the subject is: .npy [T, H, W] or a folder of PNGs.")
    ] = None,
    box: Annotated[str | None, typer.Option("--box", help="x0,y0,x1,y1 of the subject on the first frame.")] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder for report.html, report.csv and results.json.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", help="Of the run in the report.")] = None,
    metrics: Metrics = None,
    tracker: TrackerName = None,
    checkpoint: Checkpoint = None,
    code: Code = None,
    weights: WeightPlaces = None,
    allow_download: AllowDownload = False,
    device: Device = None,
    executor: ExecutorName = "inline",
    workers: Workers = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Of a single clip: every number, and why others have no value.")
    ] = False,
    listing: Annotated[bool, typer.Option("--list", help="List the metrics and the networks they want.")] = False,
) -> None:
    """How well videos move as drawn, how like the true ones they are, how steady and how sharp.

    A clip that motionloom made knows its motion; for others give MOTION. One video prints its numbers; a folder or a
    manifest also writes a report into OUT.
    """
    if listing:
        _list()
        return
    if source is None:
        raise InputError("SOURCE: missing; give a video, a folder of videos, or a manifest")
    from motionloom.evaluate.collect import is_single
    from motionloom.evaluate.videos import evaluate_videos
    from motionloom.scale.executors import executor as executor_of

    single = is_single(source)
    everything = everything or metrics is not None
    if out is not None and out.is_file():
        raise InputError(f"{out}: is a file, expected the name of a folder for the report")
    known = {
        "first_image": _text(first_image),
        "last_image": _text(last_image),
        "prompt": prompt,
        "box": _box(box),
    }
    arguments: dict[str, Any] = {
        "beside": {"motion": motion, "reference": reference, "masks": masks},
        "known": {key: value for key, value in known.items() if value is not None},
        "metrics": split(metrics),
        "tools": tool_values(tracker, checkpoint, code, weights, allow_download),
        "executor": executor_of(executor, workers=workers, device=device),  # pyright: ignore[reportArgumentType]
        "name": name,
        "on_note": warn,
        "command": ["motionloom", *sys.argv[1:]],
    }
    if single and out is None:
        import tempfile

        with tempfile.TemporaryDirectory(prefix="motionloom-") as folder:
            run = evaluate_videos(source, Path(folder), **arguments)
        _show_one(run.rows[0], everything)
        return
    whole = source.resolve()  # "." has no name
    beside = source.parent if source.name else whole.parent
    target = out or beside / f"{whole.stem}.evaluation"
    if out is None and target.exists() and not (target / "rows").is_dir():
        refuse_existing([target], False)
    with progress(whole.name) as report:
        run = evaluate_videos(source, target, on_progress=report, **arguments)
    if single:
        _show_one(run.rows[0], everything)
    from motionloom.evaluate.report import write_report

    page = write_report([run], target / "report.html")
    finish(run, page)


def finish(run: Run, page: Path) -> None:
    """The last lines: what failed, and where the report is.

    Raises:
        MotionloomError: some videos could not be measured.
    """
    failed = [row for row in run.rows if row.status == "failed"]
    for row in failed[:10]:
        warn(f"{row.case}: {row.error}")
    say(f"{run.name}: {len(run.rows) - len(failed)} of {len(run.rows)} videos measured")
    say(str(page))
    if failed:
        raise MotionloomError(f"{len(failed)} of {len(run.rows)} videos could not be measured; the report names them")


def split(text: str | None) -> list[str] | None:
    """Names with commas."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


def tool_values(
    tracker: str | None, checkpoint: Path | None, code: Path | None, weights: list[str] | None, allow_download: bool
) -> dict[str, Any]:
    """Options of the command line as arguments of `motionloom.evaluate.evidence.Tools.of`."""
    from motionloom.evaluate.weights import parse_weights

    places = {name: str(path) for name, path in parse_weights(weights or []).items()}
    values = {
        "tracker": tracker,
        "checkpoint": _text(checkpoint),
        "code": _text(code),
        "weights": places,
        "allow_download": allow_download,
    }
    return {name: value for name, value in values.items() if value}


def _show_one(row: Row, everything: bool) -> None:
    """The numbers of a clip; the main ones by what they ask, or every one and why others are missing."""
    from rich.table import Table

    from motionloom.evaluate.report.groups import TITLES, group_of, main_metrics

    if row.status == "failed":
        raise MotionloomError(str(row.error))
    found = {each.name: each for each in row.measurements if each.value is not None}
    missing: dict[str, list[str]] = {}
    for each in row.measurements:
        if each.value is None:
            missing.setdefault(str(each.reason), []).append(each.name)
    shown = list(found) if everything else main_metrics(found)
    table = Table("metric", "value", "unit", "better", "what", box=None, pad_edge=False)
    group = -1
    for name in shown:
        each = found[name]
        if not everything and group_of(name) != group:
            group = group_of(name)
            table.add_row(f"[bold]{TITLES[group]}[/bold]")
        doubt = "not comparable with published numbers" if each.fallback else ""
        note = "; ".join(filter(None, (doubt, each.variant, each.note)))
        table.add_row(f"{'' if everything else '  '}{name}", f"{each.value:.4g}", each.unit, each.better or "", note)
    if table.row_count:
        show_table(table)
    if everything:
        for reason, names in missing.items():
            warn(f"{', '.join(names)}: {reason}")
        return
    more, without = len(found) - len(shown), sum(len(names) for names in missing.values())
    say(f"{more} more numbers, and why {without} have no value: --all")


def _list() -> None:
    from rich.table import Table

    from motionloom.evaluate.published_weights import WEIGHTS
    from motionloom.evaluate.suite import METRICS
    from motionloom.evaluate.weights import WeightsMissing, find_weights

    table = Table("metric", "bundle", "needs", "networks", "what", box=None, pad_edge=False)
    for metric in METRICS.values():
        table.add_row(metric.name, metric.bundle, " ".join(metric.needs), " ".join(metric.weights), metric.title)
    show_table(table)
    say("")
    networks = Table("network", "here", "licence", "what", "from", box=None, pad_edge=False)
    for weights in WEIGHTS.values():
        try:
            here = str(find_weights(weights.name))
        except WeightsMissing:
            here = "no"
        except MotionloomError as error:
            here = "damaged"
            warn(str(error))
        networks.add_row(weights.name, here, weights.licence, weights.title, weights.repo or weights.page or "")
    show_table(networks)


def _box(text: str | None) -> list[float] | None:
    if text is None:
        return None
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 4 or not all(map(math.isfinite, values)):
        raise InputError(f"--box: found {text!r}, expected x0,y0,x1,y1 in pixels of the video")
    return values


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)
