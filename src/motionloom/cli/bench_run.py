"""motionloom bench run."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from motionloom.cli.console import progress, say, show_table, warn
from motionloom.cli.evaluate import (
    AllowDownload,
    Checkpoint,
    Code,
    Metrics,
    TrackerName,
    WeightPlaces,
    split,
    tool_values,
)
from motionloom.errors import InputError

if TYPE_CHECKING:
    from motionloom.evaluate.run import Run
    from motionloom.models.parameters import Parameters

_SHOWN = 6
"""Metrics in the table on the terminal; the report has all."""

_FIRST = ("epe", "me", "psnr", "ssim", "epe_flow", "epe_flow_dis", "ic", "fvmd_tracks")


def run(
    bench: Annotated[Path, typer.Argument(metavar="BENCH", help="Folder of the benchmark.", show_default=False)],
    model: Annotated[
        list[str],
        typer.Option(
            "-m",
            "--model",
            metavar="[LABEL=]MODEL[:METHOD]",
            help="Who is compared; repeatable. METHOD may be unguided; LABEL=@FOLDER measures videos <id>.mp4.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the results.", show_default=False)],
    mode: Annotated[
        str, typer.Option("--mode", help="Tracks of one object (single) or of several (multi).")
    ] = "single",
    language: Annotated[str | None, typer.Option("--language", help="Of the captions: en or zh.")] = None,
    seeds: Annotated[str, typer.Option("--seeds", help="Of every case, with commas.", metavar="0,1,...")] = "0",
    seed_rule: Annotated[
        str, typer.Option("--seed-rule", help="same for every case; published: seed + number of the case.")
    ] = "same",
    metrics: Metrics = None,
    limit: Annotated[int | None, typer.Option("--limit", help="Only the first so many cases.", min=1)] = None,
    category: Annotated[
        list[str] | None,
        typer.Option("--category", help="Only such motions: translation, rotation, zoom, curve, static; repeatable."),
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", help="This machine's part of the work, such as 1/4.", metavar="I/N")
    ] = None,
    executor: Annotated[
        str, typer.Option("--executor", help="inline, process (one per GPU), or ray (actors).")
    ] = "inline",
    workers: Annotated[
        int | None, typer.Option("--workers", help="Processes or actors; default one per GPU.", min=1)
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option("--ray-address", help="Of a running cluster: auto, or ray://HOST:PORT.")
    ] = None,
    time_limit: Annotated[
        float | None,
        typer.Option("--time-limit", help="Seconds a row may take on process or ray before its worker is ended."),
    ] = None,
    device: Annotated[
        str | None, typer.Option("--device", help="cpu, cuda, cuda:1 ...; default: the best there is.")
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Denoising steps.", min=1)] = None,
    size: Annotated[
        str | None, typer.Option("--size", metavar="WxH", help="Default: that of the first frame, or the model's.")
    ] = None,
    frames: Annotated[
        int | None, typer.Option("--frames", help="Default: as many as the tracks have, or the model's.", min=1)
    ] = None,
    guidance_scale: Annotated[
        float | None, typer.Option("--guidance-scale", help="How strongly the prompt guides.")
    ] = None,
    strength: Annotated[
        float, typer.Option("--strength", help="How strongly the motion guides; 0 is not at all.")
    ] = 1.0,
    negative_prompt: Annotated[str | None, typer.Option("--negative-prompt", help="What to keep away from.")] = None,
    lora: Annotated[
        list[str] | None, typer.Option("--lora", help="LoRA to load; repeatable.", metavar="FILE[:...]")
    ] = None,
    memory: Annotated[str, typer.Option("--memory", help="auto, max-speed, balanced, low or minimal.")] = "auto",
    option: Annotated[
        list[str] | None,
        typer.Option("--set", help="Option of the method, such as cfg_mode=split; repeatable.", metavar="NAME=VALUE"),
    ] = None,
    tracker: TrackerName = None,
    checkpoint: Checkpoint = None,
    code: Code = None,
    weights: WeightPlaces = None,
    allow_download: AllowDownload = False,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Leave the report to motionloom bench report.")
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Other settings than before: make again what they change.")
    ] = False,
) -> None:
    """Let models make the videos of a benchmark, measure them, and compare.

    Stop it whenever you like: the same command goes on where it stopped, and with more models, seeds or metrics it
    does only what is new. The parameters are for all models; give one a folder of its own with LABEL=MODEL.
    """
    from motionloom.evaluate.bench import Candidate, run_benchmark
    from motionloom.evaluate.bench.running import REPORT
    from motionloom.jobs import Parameters, parse_option, parse_size
    from motionloom.scale.executors import executor as executor_of

    parameters = Parameters(
        num_inference_steps=steps, size=parse_size(size) if size else None, num_frames=frames,
        guidance_scale=guidance_scale, strength=strength, negative_prompt=negative_prompt, loras=tuple(lora or ()),
        memory=memory, options=dict(map(parse_option, option or ())),
    )  # fmt: skip
    if out.is_file():
        raise InputError(f"{out}: is a file, expected a folder for the results")
    with progress(bench.name) as on_progress:
        runs = run_benchmark(
            bench,
            [Candidate.parse(text, _for(text, parameters)) for text in model],
            out,
            language=language,
            mode=mode,
            seeds=_seeds(seeds),
            seed_rule=seed_rule,  # pyright: ignore[reportArgumentType]
            metrics=split(metrics),
            tools=tool_values(tracker, checkpoint, code, weights, allow_download),
            executor=executor_of(
                executor,  # pyright: ignore[reportArgumentType]
                workers=workers,
                device=device,
                address=ray_address,
                time_limit=time_limit,
            ),
            limit=limit,
            categories=category,
            part=shard,
            overwrite=overwrite,
            report=not no_report,
            on_progress=on_progress,
            on_note=warn,
            command=["motionloom", *sys.argv[1:]],
        )
    _show(runs)
    say(str(out if no_report else out / REPORT))
    if any(row.status == "failed" for each in runs for row in each.rows):
        raise typer.Exit(1)


def _for(text: str, parameters: Parameters) -> Parameters:
    """What a model without a network has no use for is left out for it, so that one command compares it with others."""
    from dataclasses import replace

    from motionloom.evaluate.bench import Candidate

    if Candidate.parse(text).model != "warp":
        return parameters
    return replace(
        parameters, num_inference_steps=None, guidance_scale=None, negative_prompt=None, loras=(), options={},
        memory="auto",
    )  # fmt: skip


def _seeds(text: str) -> list[int]:
    found = [part.strip() for part in text.split(",") if part.strip()]
    if not found or not all(part.isdecimal() for part in found):
        raise InputError(f"--seeds: found {text!r}, expected numbers with commas such as 0,1,2")
    return [int(part) for part in found]


def _show(runs: Sequence[Run]) -> None:
    from rich.table import Table

    names = _columns(runs)
    table = Table("run", "done", "failed", *names, box=None, pad_edge=False)
    for each in runs:
        done = [row for row in each.rows if row.status == "done"]
        table.add_row(
            each.name, str(len(done)), str(len(each.rows) - len(done)), *(_mean(each, name) for name in names)
        )
    show_table(table)


def _columns(runs: Sequence[Run]) -> list[str]:
    """The first few metrics that have a number somewhere, the most asked for first."""
    from motionloom.evaluate.suite import METRICS

    there = dict.fromkeys(
        measurement.name
        for each in runs
        for measurement in (*(one for row in each.rows for one in row.measurements), *each.totals)
        if measurement.value is not None and measurement.name in METRICS
    )
    order = [name for name in _FIRST if name in there] + [name for name in there if name not in _FIRST]
    return order[:_SHOWN]


def _mean(each: Run, name: str) -> str:
    """As in the report: seeds of a case first, then cases."""
    from motionloom.evaluate.statistics import estimate

    values = {(row.case, row.seed): row.value(name) for row in each.rows}
    there = {pair: value for pair, value in values.items() if value is not None}
    mean = estimate(list(there.values()), [case for case, _ in there], boot=1).mean
    if mean is None:
        mean = next((one.value for one in each.totals if one.name == name), None)
    return "-" if mean is None else f"{mean:.4g}"
