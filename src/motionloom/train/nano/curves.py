"""The course of a training as a picture, from its log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from motionloom.errors import MissingDependencyError

_TITLES = {
    "unguided": "unguided",
    "ati": "ATI",
    "wan_move": "Wan-Move",
    "dense": "all tracks",
    "boxes": "boxes",
    "last_frame": "last frame given",
}
_GREY = "#808080"  # readable on light and dark


def read_log(out: Path) -> list[dict[str, Any]]:
    """The lines of ``out/log.jsonl``; what a kill left of a half-written one is passed over."""
    path, entries = out / "log.jsonl", []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            entries.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return entries


def rewind_log(out: Path, step: int) -> None:
    """Forget what was logged after a step, where a run goes on from an earlier checkpoint."""
    entries = read_log(out)
    kept = [entry for entry in entries if entry.get("step", 0) <= step]
    if len(kept) < len(entries):
        draft = out / "log.jsonl.partial"
        draft.write_text("".join(json.dumps(entry) + "\n" for entry in kept), encoding="utf-8")
        draft.replace(out / "log.jsonl")


def draw_curves(out: Path) -> Path:
    """Write ``out/curves.png``: loss, PSNR of each kind of validation clip, and learning rate over the steps.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependencyError(
            "curves.png: needs matplotlib; pip install 'motionloom[train]' (the numbers are in log.jsonl all the same)"
        ) from error
    entries = read_log(out)
    losses = [entry for entry in entries if entry.get("loss") is not None]
    scores = [entry for entry in entries if any(name.startswith("psnr_") for name in entry)]
    figure = Figure(figsize=(8, 9), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    above, middle, below = figure.subplots(3, 1, sharex=True)

    # One line per stage: losses of different times, sizes and kinds do not compare.
    for stage in dict.fromkeys(entry.get("stage", 0) for entry in losses):
        mine = [entry for entry in losses if entry.get("stage", 0) == stage]
        label = f"stage {stage + 1}: {mine[0].get('kind', 'flow')}, {mine[0].get('side', '?')} px"
        above.plot([entry["step"] for entry in mine], [entry["loss"] for entry in mine], label=label, linewidth=1.2)
    above.set_ylabel("loss, running mean")
    if any(entry["loss"] > 0 for entry in losses):
        above.set_yscale("log")

    for name in dict.fromkeys(name for entry in scores for name in entry if name.startswith("psnr_")):
        known = [entry for entry in scores if name in entry]
        label = _TITLES.get(name[5:], name[5:])
        middle.plot([entry["step"] for entry in known], [entry[name] for entry in known], "o-", label=label, ms=3)
    middle.set_ylabel("PSNR of held-out clips, dB")

    rates = [entry for entry in losses if "rate" in entry]
    below.plot([entry["step"] for entry in rates], [entry["rate"] for entry in rates], color=_GREY)
    below.set_ylabel("learning rate")
    below.set_xlabel("step")
    for axes in (above, middle, below):
        axes.grid(alpha=0.25)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=8)
    path = out / "curves.png"
    draft = path.with_suffix(".partial.png")
    figure.savefig(draft)
    draft.replace(path)
    return path
