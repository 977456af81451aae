"""The run: candidates x seeds x cases on an executor, then the runs and their report from the rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from motionloom.errors import FileFormatError, InputError
from motionloom.evaluate.bench.candidate import Candidate, refuse_twins
from motionloom.evaluate.bench.folder import FIXED, CandidateFolder, locked, settle, sweep
from motionloom.evaluate.bench.plan import Plan, Progress
from motionloom.evaluate.categories import CATEGORIES
from motionloom.evaluate.movebench import Benchmark, Case, open_benchmark
from motionloom.evaluate.run import Run, read_json
from motionloom.evaluate.suite import choose
from motionloom.scale.executors import Executor, InlineExecutor

SeedRule = Literal["same", "published"]
REPORT = "report.html"


def run_benchmark(
    benchmark: Benchmark | str | os.PathLike[str],
    candidates: Sequence[Candidate],
    out: str | os.PathLike[str],
    *,
    language: str | None = None,
    mode: str = "single",
    seeds: Sequence[int] = (0,),
    seed_rule: SeedRule = "same",
    metrics: Sequence[str] | None = None,
    tools: Mapping[str, Any] | None = None,
    executor: Executor | None = None,
    limit: int | None = None,
    categories: Sequence[str] | None = None,
    part: str | None = None,
    overwrite: bool = False,
    report: bool = True,
    on_progress: Callable[[int, int], Any] | None = None,
    on_note: Callable[[str], Any] | None = None,
    command: Sequence[str] = (),
) -> list[Run]:
    """Let every candidate make the videos of a benchmark, measure them, and compare.

    Safe to stop at any moment, and to call again: what is finished stays as long as the case, the weights, the
    parameters and the way of measuring are the same; only more seeds, cases, candidates or metrics are worked on.

    Args:
        benchmark: opened, or its folder with ``language`` and ``mode``.
        candidates: who is compared.
        out: folder of the results; see `motionloom.evaluate.bench.folder`.
        seeds: of every case. seed_rule: "same" for every case; "published": grows by one with every case of the
            benchmark, as the published program does.
        metrics: names of metrics or bundles; None is all.
        tools: arguments of `motionloom.evaluate.evidence.Tools.of` beside the device, JSON values.
        executor: where the work is done; in this process when not given.
        limit: only the first so many cases. categories: only motions of these kinds.
        part: "i/n", this machine's part of the work; each part reports what rows there are.
        overwrite: settings that differ from those of the folder replace them, and what they change is made again.
        report: write OUT/report.html, with the candidates of earlier calls that were measured in the same way.
        on_progress: called with (rows done, rows in all).
        on_note: called with lines about what is done again and why, and with warnings.
        command: the command line, for the record.

    Returns:
        A run for each candidate with all rows there are of it, also those of earlier calls.

    Raises:
        InputError: a candidate, setting or choice that makes no sense, other settings than those of the folder, or
            another process at work in it.
        MotionloomError: a model cannot be loaded. What fails for one case is a failed row instead.
    """
    opened = benchmark if isinstance(benchmark, Benchmark) else open_benchmark(benchmark, language=language, mode=mode)
    folder = Path(out)
    refuse_twins(candidates)
    wanted = _distinct(seeds)
    for candidate in candidates:
        candidate.seeds(wanted)
        _refuse_unknown(candidate)
    if seed_rule not in ("same", "published"):
        raise InputError(f"seed_rule: found {seed_rule!r}, expected 'same' or 'published'")
    settings = {
        "benchmark": opened.name,
        "language": opened.language,
        "mode": opened.mode,
        "seed_rule": seed_rule,
        "tracker": (tools or {}).get("tracker") or "offline",
        "root": os.fspath(opened.root.resolve()),
        "digest": opened.digest,
        "seeds": wanted,
        "metrics": list(choose(metrics)),
    }
    cases = _chosen(opened, limit, categories)
    with locked(folder, part) as alone:
        settle(folder, settings, overwrite=overwrite)
        places = [CandidateFolder(folder / candidate.folder_name) for candidate in candidates]
        for candidate, place in zip(candidates, places, strict=True):
            place.settle(candidate, overwrite=overwrite)
        if alone:
            sweep([folder])
        numbers = {case.id: number for number, case in enumerate(opened)}
        plan = Plan(opened, settings, dict(tools or {}), numbers, list(command))
        todo = [plan.tasks(candidate, cases, part) for candidate in candidates]
        progress = Progress(sum(map(len, todo)), on_progress, on_note)
        runs = []
        for candidate, place, tasks in zip(candidates, places, todo, strict=True):
            plan.work(candidate, place, tasks, executor or InlineExecutor(), folder / "reference-features", progress)
            runs.append(plan.collect(candidate, place, read_json(folder / "benchmark.json"), progress))
        if alone:
            sweep([folder])
    if report:
        from motionloom.evaluate.report import write_report

        title = f"{opened.name} · {opened.language} {opened.mode}"
        write_report([*runs, *_earlier(folder, runs, progress)], folder / REPORT, title=title)
    return runs


def _earlier(folder: Path, runs: Sequence[Run], progress: Progress) -> list[Run]:
    """Runs of candidates that other calls were about, measured in the same way."""
    names, now = {run.name for run in runs}, runs[0].facts
    found: list[Run] = []
    for path in sorted(folder.glob("*/run.json")):
        try:
            run = Run.load(path)
        except FileFormatError:
            continue
        before = {**run.facts, **run.facts.get("benchmark", {})}
        if run.name in names or any(before.get(name) != {**now, **now["benchmark"]}[name] for name in FIXED):
            continue
        if before.get("digest") != now["benchmark"]["digest"]:
            progress.note(f"{run.name}: is of an earlier state of the benchmark; name it with -m to renew it")
        found.append(run)
    return found


def _refuse_unknown(candidate: Candidate) -> None:
    """Names and methods that do not exist are known before the first candidate has worked for hours."""
    from motionloom.models.catalog import find_model

    name = candidate.model
    if candidate.videos is not None or Path(name).exists() or "/" in name or "\\" in name:
        return
    card = find_model(name)
    method = candidate.parameters.method
    if method is not None and method not in card.methods:
        raise InputError(f"{candidate.label}: {card.name} knows {', '.join(card.methods)}, found {method!r}")


def _chosen(benchmark: Benchmark, limit: int | None, categories: Sequence[str] | None) -> list[Case]:
    cases = list(benchmark)
    if categories:
        unknown = [name for name in categories if name not in CATEGORIES]
        if unknown:
            raise InputError(f"category: found {unknown[0]!r}, expected some of {', '.join(CATEGORIES)}")
        cases = [case for case in cases if case.motion_category() in categories]
        if not cases:
            raise InputError(f"category: {benchmark.name} has no case of {' or '.join(categories)}")
    if limit is not None and limit < 1:
        raise InputError(f"limit: found {limit}, expected at least 1")
    return cases[:limit]


def _distinct(seeds: Sequence[int]) -> list[int]:
    wanted = list(dict.fromkeys(int(seed) for seed in seeds))
    if not wanted or min(wanted) < 0:
        raise InputError(f"seeds: found {list(seeds)}, expected one or more numbers from 0")
    return wanted
