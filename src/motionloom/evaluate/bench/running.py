"""The run: candidates x seeds x cases on an executor, then the runs and their report from the rows."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from motionloom.errors import InputError
from motionloom.evaluate.bench.candidate import Candidate, refuse_twins, weights_signature
from motionloom.evaluate.bench.folder import CandidateFolder, locked, settle, sweep
from motionloom.evaluate.bench.identity import made_from, measured_against
from motionloom.evaluate.bench.rows import work_on
from motionloom.evaluate.categories import CATEGORIES
from motionloom.evaluate.measuring import distances
from motionloom.evaluate.movebench import Benchmark, Case, open_benchmark
from motionloom.evaluate.run import Row, Run, read_json
from motionloom.evaluate.suite import choose
from motionloom.provenance import versions
from motionloom.scale.executors import Executor, InlineExecutor, Outcome, Task, WorkerSpec, shard

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
        report: write OUT/report.html.
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
        plan = _Plan(opened, settings, dict(tools or {}), numbers, list(command))
        todo = [plan.tasks(candidate, cases, part) for candidate in candidates]
        progress = _Progress(sum(map(len, todo)), on_progress, on_note)
        runs = []
        for candidate, place, tasks in zip(candidates, places, todo, strict=True):
            plan.work(candidate, place, tasks, executor or InlineExecutor(), folder / "reference-features", progress)
            runs.append(plan.collect(candidate, place, read_json(folder / "benchmark.json"), progress))
        if alone:
            sweep([folder])
    if report:
        from motionloom.evaluate.report import write_report

        title = f"{opened.name} · {opened.language} {opened.mode}"
        write_report(runs, folder / REPORT, title=title)
    return runs


class _Progress:
    """Counts rows, and says every line once."""

    def __init__(
        self, total: int, on_progress: Callable[[int, int], Any] | None, on_note: Callable[[str], Any] | None
    ) -> None:
        self.done, self.total, self._on_progress, self._on_note = 0, total, on_progress, on_note
        self._said: set[str] = set()
        self.add(0)

    def add(self, count: int) -> None:
        self.done += count
        if self._on_progress:
            self._on_progress(self.done, self.total)

    def note(self, line: str) -> None:
        if self._on_note and line not in self._said:
            self._said.add(line)
            self._on_note(line)


@dataclass(frozen=True)
class _Plan:
    """What is measured and how, for all candidates."""

    benchmark: Benchmark
    settings: Mapping[str, Any]
    tools: Mapping[str, Any]
    numbers: Mapping[str, int]
    command: Sequence[str]

    def used_seed(self, case: str, seed: int) -> int:
        return seed + self.numbers[case] if self.settings["seed_rule"] == "published" else seed

    def tasks(self, candidate: Candidate, cases: Sequence[Case], part: str | None) -> list[Task]:
        seeds = candidate.seeds(self.settings["seeds"])
        found = [
            Task(f"{case.id}.seed-{seed}", {"case": case.id, "seed": seed, "used_seed": self.used_seed(case.id, seed)})
            for seed in seeds
            for case in cases
        ]
        return shard(found, part)

    def work(
        self,
        candidate: Candidate,
        place: CandidateFolder,
        tasks: Sequence[Task],
        executor: Executor,
        reference_features: Path,
        progress: _Progress,
    ) -> None:
        digest = _known_digest(candidate, place)
        unfinished, loads = list(tasks), digest is None
        if digest is not None:
            works = {task.name: self._work_on(task, candidate, place, digest) for task in tasks}
            unfinished = [task for task in tasks if works[task.name] != "nothing"]
            loads = any(works[task.name] == "make" for task in unfinished)
            progress.add(len(tasks) - len(unfinished))
            if candidate.videos is None and not loads:
                place.keep_settings(candidate)
        spec = WorkerSpec(
            "motionloom.evaluate.bench.worker:BenchWorker",
            {
                "root": os.fspath(self.benchmark.root.resolve()),
                "language": self.benchmark.language,
                "mode": self.benchmark.mode,
                "candidate": candidate.record(),
                "folder": os.fspath(place.root.resolve()),
                "reference_features": os.fspath(reference_features.resolve()),
                "metrics": list(self.settings["metrics"]),
                "tools": dict(self.tools),
                "digest": None if loads else digest,
                "command": list(self.command),
            },
        )

        def done(outcome: Outcome) -> None:
            if outcome.status == "failed":
                self._write_failure(outcome, place)
                progress.note(f"{candidate.label}, {outcome.task.name}: {_reason(outcome)}")
            else:
                if outcome.note.get("why"):
                    again = "made" if outcome.note["did"] == "made" else "measured"
                    progress.note(f"{candidate.label}: finished rows are {again} again: {outcome.note['why']}")
                for line in outcome.note["warnings"]:
                    progress.note(f"{candidate.label}: {line}")
            progress.add(1)

        executor.run(unfinished, spec, on_done=done)

    def collect(
        self, candidate: Candidate, place: CandidateFolder, everything: Mapping[str, Any], progress: _Progress
    ) -> Run:
        """The run of a candidate: every row there is of these weights, parameters and ways of measuring."""
        record = place.read_record()
        digest = str(record.get("digest") or "")
        rows: list[Row] = []
        other = 0
        for seed in candidate.seeds(everything["seeds"]):
            for case in self.benchmark:
                row = place.read_row(case.id, seed)
                if row is None:
                    continue
                if row.status == "done" and not self._is_current(row, case, seed, candidate, digest):
                    other += 1
                    continue
                rows.append(row)
        if other:
            progress.note(
                f"{candidate.label}: {other} rows are of other weights, parameters or ways of measuring and are left "
                "out; run all cases and seeds again to have them made anew"
            )
        # Features are kept under the seed as it was asked for.
        keyed = [replace(row, seed=row.facts.get("base_seed", row.seed)) for row in rows]
        totals = distances(place.root, keyed, metrics=list(everything["metrics"]))
        counts = {status: sum(row.status == status for row in rows) for status in ("done", "failed")}
        facts = {
            "benchmark": {name: self.settings[name] for name in ("benchmark", "language", "mode", "digest")},
            "model": candidate.model or None,
            "videos": None if candidate.videos is None else os.fspath(candidate.videos),
            "method": record.get("method"),
            "guided": candidate.guided,
            "digest": digest or None,
            "parameters": candidate.settings(),
            "licence": record.get("licence"),
            "device": record.get("device"),
            "tracker": self.settings["tracker"],
            "metrics": list(everything["metrics"]),
            "seeds": list(candidate.seeds(everything["seeds"])),
            "seed_rule": self.settings["seed_rule"],
            "cases": len(self.benchmark),
            "left_out": dict(self.benchmark.left_out),
            **counts,
            "machine": platform.platform(),
            "versions": versions(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "command": list(self.command),
        }
        facts = {name: value for name, value in facts.items() if value not in (None, {})}
        run = Run(candidate.label, tuple(rows), totals, facts, place.root)
        run.save(place.run)
        return run

    def _work_on(self, task: Task, candidate: Candidate, place: CandidateFolder, digest: str) -> str:
        content = task.content
        case = self.benchmark[content["case"]]
        if candidate.videos is not None:
            return "measure"  # a file that is missing is that row's failure
        metrics = self.settings["metrics"]
        return work_on(
            case,
            content["seed"],
            content["used_seed"],
            candidate,
            place,
            digest=digest,
            metrics=metrics,
            tools=self.tools,
        ).what

    def _is_current(self, row: Row, case: Case, seed: int, candidate: Candidate, digest: str) -> bool:
        if row.facts.get("measured_against") != measured_against(case, self.tools):
            return False
        if candidate.videos is not None:
            return True
        made = made_from(case, candidate.settings(), digest, self.used_seed(case.id, seed))
        return row.facts.get("made_from") == made

    def _write_failure(self, outcome: Outcome, place: CandidateFolder) -> None:
        content = outcome.task.content
        case = self.benchmark[content["case"]]
        facts = {"base_seed": content["seed"], "kind": outcome.kind, "attempts": outcome.attempts}
        row = Row(
            case.id,
            content["used_seed"],
            "failed",
            case.category,
            case.caption or None,
            error=_reason(outcome),
            facts=facts,
        )
        place.write_row(row, content["seed"])


def _known_digest(candidate: Candidate, place: CandidateFolder) -> str | None:
    """The digest of the weights, where it is certain without loading them: it was noted, and no file has changed."""
    if candidate.videos is not None:
        return ""
    record = place.read_record()
    signature = weights_signature(candidate)
    if signature is None or record.get("weights_signature") != signature:
        return None
    return record.get("digest")


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


def _reason(outcome: Outcome) -> str:
    return f"{outcome.error} ({outcome.where})" if outcome.where else str(outcome.error)
