"""What a report shows, as JSON values: summaries, comparisons, curves and every value."""

from __future__ import annotations

import datetime
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from motionloom.evaluate.measurement import Measurement
from motionloom.evaluate.report.columns import Column, Results
from motionloom.evaluate.report.groups import TITLES, group_of
from motionloom.evaluate.run import Row, Run
from motionloom.evaluate.statistics import Difference, Estimate, holm, over_time
from motionloom.tracks.trackers import floor_of
from motionloom.version import __version__

CURVE_BYTES = 6_000_000
"""Room for curves of single videos; the mean curves are always there."""

_OF_THE_SAME_POINTS = ("epe", "epe_with_first", "epe_pessimistic")
"""Means over the points that ``epe_of_reference`` is of."""

_FOLLOWED = (
    *_OF_THE_SAME_POINTS,
    *("epe_trackable", "epe_median", "final_error", "objmc", "trajectory_error_mean_xy", "trajectory_error_sum_xy"),
)
"""Distances in px that the tracker's own error adds to; those of masks stand on no tracker."""


def page_data(
    results: Results, *, title: str, baseline: int, media: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Everything the page shows.

    Args:
        baseline: number of the run that others are compared with at first.
        media: pictures and videos of `motionloom.evaluate.report.media.players`.
    """
    columns = results.columns
    titles = _titles()
    categories = sorted({name for name in results.categories.values() if name is not None})
    place = {case: number for number, case in enumerate(results.cases)}
    prompts = {row.case: row.prompt for run in reversed(results.runs) for row in run.rows if row.prompt}
    numbers = range(len(results.runs))
    pairs = [(a, b) for a in numbers for b in numbers if a < b]
    differences = {(a, b): [results.difference(a, b, column) for column in columns] for a, b in pairs}
    return {
        "title": title,
        "made": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": __version__,
        "baseline": baseline,
        "notices": notices(results),
        "runs": [_run(results, number) for number in numbers],
        "failures": [
            {"run": number, "case": place[row.case], "seed": row.seed, "error": row.error or "no reason is given"}
            for number, run in enumerate(results.runs)
            for row in run.rows
            if row.status == "failed"
        ],
        "cases": [{"name": case, "category": results.categories[case], "prompt": prompts.get(case)} for case in place],
        "rows": [[[place[row.case], row.seed] for row in run.rows] for run in results.runs],
        "groups": list(TITLES),
        "columns": [_column(column, titles, results) for column in columns],
        "primary": columns.index(results.primary) if results.primary else None,
        "values": [[_values(results, number, column) for column in columns] for number in numbers],
        "summary": [_summary(results, differences, index) for index in range(len(columns))],
        "categories": categories,
        "by_category": [
            [
                [_estimate(results.cells[number, column].estimate(results.cases_of(name))) for number in numbers]
                for column in columns
            ]
            for name in categories
        ],
        "totals": [
            {**_column(column, titles, results), "cells": [None if each is None else _total(each) for each in found]}
            for column, found in results.totals.items()
        ],
        "differences": [
            {"a": a, "b": b, "columns": _compared(differences[a, b], [column in results.main for column in columns])}
            for a, b in pairs
        ],
        "curves": _curves(results),
        "media": list(media),
    }


def notices(results: Results) -> list[str]:
    """What one must know before comparing these runs."""
    found: list[str] = []
    trackers = {json.dumps(run.facts["tracker"], sort_keys=True) for run in results.runs if run.facts.get("tracker")}
    if len(trackers) > 1:
        found.append(
            "The runs were followed with different trackers: metrics that stand on tracks (EPE, PCK, ...) are not "
            "comparable between them."
        )
    sets = [{row.case for row in run.rows} for run in results.runs]
    if any(one != sets[0] for one in sets):
        common = len(set.intersection(*sets))
        found.append(
            f"The runs do not have the same cases ({common} in common). Means are over what each run has; differences "
            "are over what both have."
        )
    alike = Counter((column.name, column.variant, column.unit) for column in results.columns)
    split = sorted({key[0] for key, count in alike.items() if count > 1})
    if split:
        found.append(f"Of different sizes or networks, and kept in rows of their own: {', '.join(split)}.")
    standing_in = {column.name for column in (*results.columns, *results.totals) if column.fallback}
    if standing_in:
        found.append(
            f"{len(standing_in)} metrics are fallbacks, and labelled so: they stand in for metrics whose weights were "
            "not there, and are not comparable with published numbers."
            if len(standing_in) > 1
            else f"{standing_in.pop()} is a fallback: it stands in for a metric whose weights were not there, and is "
            "not comparable with published numbers."
        )
    return found


def short(value: float | None) -> float | None:
    """Six significant digits, as many as a report is read with."""
    return None if value is None else float(f"{value:.6g}")


def _run(results: Results, number: int) -> dict[str, Any]:
    run = results.runs[number]
    seconds = [row.seconds for row in run.rows if row.seconds is not None]
    facts = [["videos here", str(len(run.rows))]]
    if seconds:
        facts.append(["seconds per video", f"{sum(seconds) / len(seconds):.3g}"])
    return {"label": results.labels[number], "videos": len(run.rows), "facts": [*facts, *_flat(run.facts)]}


def _flat(facts: Mapping[str, Any], before: str = "") -> list[list[str]]:
    found: list[list[str]] = []
    for name, value in facts.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{name}.")
        elif isinstance(value, list) and all(isinstance(part, str) for part in value):
            found.append([before + name, " ".join(value)])
        else:
            found.append([before + name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)])
    return found


def _titles() -> dict[str, str]:
    try:
        from motionloom.evaluate.suite import METRICS
    except ImportError:
        return {}
    return {name: metric.title for name, metric in METRICS.items()}


def _column(column: Column, titles: Mapping[str, str], results: Results) -> dict[str, Any]:
    return {
        "name": column.name,
        "title": titles.get(column.name, ""),
        "qualifiers": column.qualifiers,
        "unit": column.unit,
        "better": column.better,
        "fallback": column.fallback,
        "group": group_of(column.name),
        "main": column in results.main,
        "floor": _floor(column, results.runs),
        "floor_true": short(_floor_in_true_videos(column, results)),
    }


def _floor(column: Column, runs: Sequence[Run]) -> list[float] | None:
    """Error in px that the trackers of these runs add themselves, lowest and highest; None where it is not known.

    Of the offline tracker the median and the mean, measured at about this size (docs/tracking.md). Facts of a run may
    say another, ``tracker_floor``, as one number or two.
    """
    if column.unit != "px" or column.fallback or column.name not in _FOLLOWED:
        return None
    found: list[float] = []
    for run in runs:
        own = run.facts.get("tracker_floor")
        if own is None:
            # The variant of a track metric names its tracker.
            own = _offline_floor(column, run) if "tracker offline" in column.variant else ()
        found += [float(each) for each in (own if isinstance(own, list | tuple) else [own])]
    return [min(found), max(found)] if found else None


def _offline_floor(column: Column, run: Run) -> tuple[float, ...]:
    sizes = [
        each.resolution
        for row in run.rows
        for each in row.measurements
        if each.name == column.name and each.resolution is not None
    ]
    if not sizes:
        return ()
    floor = floor_of(min(sizes, key=min))
    # Points that the tracker loses in the true video make up its mean; where they do not count, the median is left.
    return (floor.median,) if column.name in ("epe_trackable", "epe_median") else (floor.median, floor.mean)


def _floor_in_true_videos(column: Column, results: Results) -> float | None:
    """Mean error of the tracker in the true videos of these very cases, where it was measured: px."""
    if column.name not in _OF_THE_SAME_POINTS:
        return None
    found = [
        results.cells[number, other].estimate().mean
        for other in results.columns
        if other.name == "epe_of_reference" and other.size == column.size
        for number in range(len(results.runs))
    ]
    return max((mean for mean in found if mean is not None), default=None)


def _values(results: Results, number: int, column: Column) -> list[float | None]:
    cell = results.cells[number, column].values
    found = [cell.get((row.case, row.seed)) for row in results.runs[number].rows]
    return [short(each.value) if each else None for each in found]


def _summary(
    results: Results, differences: Mapping[tuple[int, int], Sequence[Difference]], index: int
) -> list[dict[str, Any]]:
    column = results.columns[index]
    cells = [results.cells[number, column] for number in range(len(results.runs))]
    means = [cell.estimate() for cell in cells]
    found = [
        {**_estimate(mean), "missing": len(cell.missing), "reasons": cell.reasons().most_common()}
        for mean, cell in zip(means, cells, strict=True)
    ]
    known = [number for number, mean in enumerate(means) if mean.mean is not None]
    if column.better is None or len(known) < 2:
        return found
    sign = 1 if column.better == "lower" else -1
    best = min(known, key=lambda number: sign * (means[number].mean or 0.0))
    for number in known:
        if number == best:
            found[number]["mark"] = "best"
            continue
        apart = differences[min(best, number), max(best, number)][index]
        low, high = apart.low, apart.high
        if low is not None and high is not None and low <= 0 <= high:
            found[number]["mark"] = "tied"
    return found


def _estimate(found: Estimate) -> dict[str, Any]:
    return {
        "mean": short(found.mean),
        "low": short(found.low),
        "high": short(found.high),
        "n": found.n,
        "videos": found.videos,
    }


def _total(found: Measurement) -> dict[str, Any]:
    return {
        "value": short(found.value),
        "reason": found.reason,
        "n": found.n,
        "frames": found.frames,
        "note": found.note,
    }


def _compared(found: Sequence[Difference], main: Sequence[bool]) -> list[dict[str, Any] | None]:
    # A reader who looks at the main metrics makes as many tests as there are of them; one who unfolds the rest, all.
    few = holm([each.p if shown else None for each, shown in zip(found, main, strict=True)])
    every = holm([each.p for each in found])
    corrected = [a if shown else b for a, b, shown in zip(few, every, main, strict=True)]
    return [
        None
        if each.mean is None
        else {
            "mean": short(each.mean),
            "low": short(each.low),
            "high": short(each.high),
            "sd": short(each.sd),
            "n": each.n,
            "first": short(each.first),
            "second": short(each.second),
            "wins": each.wins,
            "ties": each.ties,
            "losses": each.losses,
            "win_rate": short(each.win_rate),
            "p": short(each.p),
            "p_holm": short(corrected[index]),
            "p_sign": short(each.p_sign),
        }
        for index, each in enumerate(found)
    ]


def _curves(results: Results) -> list[dict[str, Any]]:
    """Mean curves of every run, and those of single videos as long as there is room."""
    found: list[dict[str, Any]] = []
    room = CURVE_BYTES
    for index, column in enumerate(results.columns):
        means: list[dict[str, Any] | None] = []
        single: dict[str, list[float | None]] = {}
        for number, run in enumerate(results.runs):
            rows = _with_curves(run, results.cells[number, column].values)
            if not rows:
                means.append(None)
                continue
            mean = over_time([curve for _, _, curve in rows], [row.case for _, row, _ in rows])
            means.append(
                {
                    "mean": [short(value) for value in mean.mean],
                    "low": [short(value) for value in mean.low],
                    "high": [short(value) for value in mean.high],
                    "n": mean.n,
                }
            )
            for place, _, curve in rows:
                values = [None if value is None else float(f"{value:.4g}") for value in curve]
                room -= 7 * len(values)
                if room > 0:
                    single[f"{number}:{place}"] = values
        if any(means):
            found.append({"column": index, "runs": means, "rows": single})
    return found


def _with_curves(run: Run, values: Mapping[Any, Measurement]) -> list[tuple[int, Row, tuple[float | None, ...]]]:
    found = []
    for place, row in enumerate(run.rows):
        each = values.get((row.case, row.seed))
        if each is not None and each.curve and any(value is not None for value in each.curve):
            found.append((place, row, each.curve))
    return found
