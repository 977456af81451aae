"""The numbers of a report for programs: everything as JSON, every value as CSV, the summary as CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.report.columns import Results
from motionloom.evaluate.run import Run
from motionloom.media.files import replacing

FORMAT, VERSION = "motionloom.report", 1

VALUES = (
    *("run", "case", "seed", "category", "metric", "variant", "value", "unit", "better", "fallback", "weights"),
    *("sha256", "n", "frames", "height", "width", "status", "reason", "note"),
)
"""Columns of the file of values."""


def write_all_json(path: Path, results: Results, data: Mapping[str, Any]) -> None:
    """The runs as they are, and what was made of them."""
    summaries = {name: data[name] for name in _SUMMARIES}
    runs = [_run(run.relative_to(path.parent)) for run in results.runs]
    record = {"format": FORMAT, "version": VERSION, **summaries, "labels": results.labels, "runs": runs}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, ensure_ascii=False, allow_nan=False), encoding="utf-8")


_SUMMARIES = (
    "title",
    "made",
    "baseline",
    "notices",
    "groups",
    "columns",
    "primary",
    "categories",
    "summary",
    "by_category",
    "totals",
    "differences",
)


def _run(run: Run) -> dict[str, Any]:
    return {
        "name": run.name,
        "facts": dict(run.facts),
        "totals": [each.record() for each in run.totals],
        "rows": [row.record() for row in run.rows],
    }


def write_values(path: Path, results: Results) -> None:
    """One line for each value, or reason for its absence: run, case, seed, ..."""
    _write(path, VALUES, _value_lines(results))


def write_summary(path: Path, results: Results) -> None:
    """One line for each run, one group of columns for each metric: mean, interval, cases, missing."""
    header: list[str] = ["run"]
    lines: list[list[Any]] = [[label] for label in results.labels]
    for column in results.columns:
        name = " ".join(part for part in (column.name, f"[{column.qualifiers}]" if column.qualifiers else "") if part)
        header += [name, f"{name} low", f"{name} high", f"{name} n", f"{name} missing"]
        for number, line in enumerate(lines):
            cell = results.cells[number, column]
            found = cell.estimate()
            line += [found.mean, found.low, found.high, found.n, len(cell.missing)]
    for column, found in results.totals.items():
        header.append(" ".join(part for part in (column.name, f"[{column.qualifiers}]") if part != "[]"))
        for line, each in zip(lines, found, strict=True):
            line.append(None if each is None else each.value)
    _write(path, header, lines)


def _value_lines(results: Results) -> Iterable[list[Any]]:
    for label, run in zip(results.labels, results.runs, strict=True):
        for row in run.rows:
            begin = [label, row.case, row.seed, row.category]
            if row.status == "failed" and not row.measurements:
                yield [*begin, *[None] * 12, row.status, row.error, None]
            for each in row.measurements:
                yield [*begin, *_line(each), row.status, each.reason, each.note]
        for each in run.totals:
            yield [label, None, None, None, *_line(each), "done", each.reason, each.note]


def _line(each: Measurement) -> list[Any]:
    weights, size = each.weights, each.resolution or (None, None)
    return [
        each.name,
        each.variant,
        each.value,
        each.unit,
        each.better,
        int(each.fallback),
        weights.name if weights else None,
        weights.sha256 if weights else None,
        each.n,
        each.frames,
        *size,
    ]


def _write(path: Path, header: Iterable[str], lines: Iterable[Iterable[Any]]) -> None:
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([_cell(name) for name in header])
        writer.writerows([_cell(value) for value in line] for line in lines)


def _cell(value: Any) -> Any:
    # Spreadsheets run what begins like a formula; a caption may begin with anything.
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return "'" + value
    return value
