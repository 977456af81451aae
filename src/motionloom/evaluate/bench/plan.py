"""What is to be done for each candidate, and the run that its rows make."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from motionloom.evaluate.bench.candidate import Candidate, weights_signature
from motionloom.evaluate.bench.folder import CandidateFolder
from motionloom.evaluate.bench.identity import made_from, measured_against
from motionloom.evaluate.bench.rows import work_on
from motionloom.evaluate.measuring import distances
from motionloom.evaluate.movebench import Benchmark, Case
from motionloom.evaluate.run import Row, Run
from motionloom.provenance import versions
from motionloom.scale.executors import Executor, Outcome, Task, WorkerSpec, shard

_FAILURES_SAID = 10


@dataclass(frozen=True)
class Plan:
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
        progress: Progress,
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
                "home": os.getcwd(),
            },
        )

        failed = 0

        def done(outcome: Outcome) -> None:
            nonlocal failed
            if outcome.status == "failed":
                self._write_failure(outcome, place)
                failed += 1
                if failed <= _FAILURES_SAID:
                    progress.note(f"{candidate.label}, {outcome.task.name}: {_reason(outcome)}")
            else:
                if outcome.attempts > 1:
                    progress.note(
                        f"{candidate.label}, {outcome.task.name}: done at attempt {outcome.attempts}; a worker died"
                    )
                if outcome.note.get("why"):
                    again = "made" if outcome.note["did"] == "made" else "measured"
                    progress.note(f"{candidate.label}: finished rows are {again} again: {outcome.note['why']}")
                for line in outcome.note["warnings"]:
                    progress.note(f"{candidate.label}: {line}")
            progress.add(1)

        executor.run(unfinished, spec, on_done=done)
        if failed > _FAILURES_SAID:
            progress.note(f"{candidate.label}: {failed} rows failed in all; run.json and the report name them")

    def collect(
        self, candidate: Candidate, place: CandidateFolder, everything: Mapping[str, Any], progress: Progress
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


class Progress:
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


def _known_digest(candidate: Candidate, place: CandidateFolder) -> str | None:
    """The digest of the weights, where it is certain without loading them: it was noted, and no file has changed."""
    if candidate.videos is not None:
        return ""
    record = place.read_record()
    signature = weights_signature(candidate)
    if signature is None or record.get("weights_signature") != signature:
        return None
    return record.get("digest")


def _reason(outcome: Outcome) -> str:
    return f"{outcome.error} ({outcome.where})" if outcome.where else str(outcome.error)
