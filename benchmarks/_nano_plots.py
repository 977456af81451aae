"""The pictures of nano's ablations: a number over what was varied, with 95 % intervals over cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Point = Mapping[str, Any]
"""{"series": name, "x": number or word, metric: {"mean", "low", "high", "n"}, ...}"""

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#999999")
"""Of Okabe and Ito: told apart by colour-blind people too."""
TITLES = {
    "epe": "end-point error, px",
    "epe_probes": "end-point error of points\nthat were not drawn, px",
    "psnr_all": "PSNR, dB",
    "gms_all": "difference of gradients",
}


def curves(points: Sequence[Point], metrics: Sequence[str], path: Path, *, x_title: str, mark: float | None = None):
    """One panel for each metric, a line for each series over a logarithmic axis.

    Where an x is 0 the axis is linear up to the smallest other one.

    Args:
        mark: value of x that is drawn as a line down: what is in use.
    """
    figure, axes = _panels(len(metrics))
    for axis, metric in zip(axes, metrics, strict=True):
        for number, (name, mine) in enumerate(_by_series(points).items()):
            known = [point for point in mine if point.get(metric, {}).get("mean") is not None]
            if not known:
                continue
            x = np.array([point["x"] for point in known], float)
            mean, low, high = _interval(known, metric)
            colour = COLOURS[number % len(COLOURS)]
            axis.plot(x, mean, color=colour, marker="o", markersize=3.5, label=name)
            axis.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
        if mark is not None:
            axis.axvline(mark, color="#888888", linewidth=0.8, linestyle=":")
        axis.set(xlabel=x_title, ylabel=TITLES.get(metric, metric))
        ticks = sorted({float(point["x"]) for point in points})
        if ticks[0] > 0:
            axis.set_xscale("log")
        else:  # where it begins at nothing, up to the first step it is linear
            axis.set_xscale("symlog", linthresh=ticks[1] if len(ticks) > 1 else 1, linscale=0.4)
        if len(ticks) <= 10:
            axis.set_xticks(ticks, _labels(ticks))
            axis.minorticks_off()
    _save(figure, axes, path)


def _labels(ticks: Sequence[float]) -> list[str]:
    """Of the ticks of a logarithmic axis; empty where they would lie over the one that follows."""
    positive = [tick for tick in ticks if tick > 0]
    wide = 0.03 * np.log(positive[-1] / positive[0]) if positive else 0.0  # a letter, as a share of the axis
    labels, following = [], np.inf
    for tick in reversed(ticks):
        label = f"{tick:g}"
        free = tick == 0 or np.log(following / tick) >= wide * len(label)
        labels.append(label if free else "")
        following = tick if free else following
    return labels[::-1]


def bars(points: Sequence[Point], metrics: Sequence[str], path: Path, *, x_title: str) -> None:
    """One panel for each metric, a group of bars for each x, a bar in it for each series."""
    figure, axes = _panels(len(metrics))
    series = _by_series(points)
    places = list(dict.fromkeys(point["x"] for point in points))
    width = 0.8 / len(series)
    for axis, metric in zip(axes, metrics, strict=True):
        for number, (name, mine) in enumerate(series.items()):
            known = [point for point in mine if point.get(metric, {}).get("mean") is not None]
            if not known:
                continue
            mean, low, high = _interval(known, metric)
            x = np.array([places.index(point["x"]) for point in known]) + (number - (len(series) - 1) / 2) * width
            axis.bar(x, mean, width * 0.9, color=COLOURS[number % len(COLOURS)], label=name)
            axis.errorbar(x, mean, [mean - low, high - mean], fmt="none", ecolor="#333333", elinewidth=1, capsize=2)
        axis.set(xlabel=x_title, ylabel=TITLES.get(metric, metric))
        axis.set_xticks(range(len(places)), [str(place) for place in places])
        if metric.startswith("psnr"):
            # Nothing is gained by showing the decibels that all have.
            lowest = min(point[metric]["low"] or point[metric]["mean"] for point in points if _has(point, metric))
            axis.set_ylim(bottom=max(0.0, np.floor(lowest - 2)))
    _save(figure, axes, path)


def _has(point: Point, metric: str) -> bool:
    return point.get(metric, {}).get("mean") is not None


def _by_series(points: Sequence[Point]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for point in points:
        found.setdefault(point["series"], []).append(point)
    return found


def _interval(points: Sequence[Point], metric: str) -> tuple[Any, Any, Any]:
    """Mean, low and high [n]; a single case has no interval."""
    mean = np.array([point[metric]["mean"] for point in points], float)
    bounds = (
        np.array([point[metric][end] if point[metric][end] is not None else point[metric]["mean"] for point in points])
        for end in ("low", "high")
    )
    low, high = bounds
    return mean, np.minimum(low, mean), np.maximum(high, mean)


def _panels(count: int) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    # An opaque white ground is readable on light and on dark pages.
    figure, axes = plt.subplots(1, count, figsize=(4.6 * count, 3.6), layout="constrained", facecolor="white")
    return figure, list(np.atleast_1d(axes))


def _save(figure: Any, axes: Sequence[Any], path: Path) -> None:
    import matplotlib.pyplot as plt

    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        if not axis.get_ylabel().startswith("PSNR"):
            axis.set_ylim(bottom=0)
        axis.grid(axis="y", color="#dddddd", linewidth=0.6)
        axis.set_axisbelow(True)
    handles, labels = axes[0].get_legend_handles_labels()
    if len(labels) > 1:
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)
    plt.close(figure)
